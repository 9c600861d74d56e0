// What the files of the guard share. Knows Lua; knows no Swift.
#ifndef LG_INTERNAL_H
#define LG_INTERNAL_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "CKeyIndex.h"
#include "CLuaGuard.h"

// What stands at the bottom of the main thread's stack, so that a call pushes it without looking it up.
enum { SLOT_HANDLER = 1, SLOT_MESSAGE = 2, SLOT_ROUTE = 3, SLOTS = 3 };

// Bounds, with their reasons.
enum {
    LG_TICK = 1000,              // instructions between two looks at the budget: 1.5% of a busy loop's time
    LG_TICK_BIG_TABLES = 100,    // … while a table or stack of 1 MiB lives: `next` may scan all of it at
                                 // once; or a string of 32 KiB: `a == b` reads all of it at once
    LG_TICK_BIG_STRINGS = 20,    // … while a string of 256 KiB lives
    LG_TICK_HUGE_STRINGS = 4,    // … while a string of 4 MiB lives
    LG_BIG_TABLE = 1 << 20,
    LG_SHORT_CALL = 20000,       // nanoseconds: what a call takes that is too short to look at the clock
    LG_MEDIUM_STRING = 32 << 10,
    LG_BIG_STRING = 256 << 10,
    LG_HUGE_STRING = 4 << 20,
    LG_BIG_BLOCKS = 2304,        // big blocks that are tracked (64 MiB of 32 KiB and some); beyond, the tick
                                 // stays short for good
    LG_GRAIN = 16,               // small blocks are so many bytes, or twice as many, …
    LG_SMALL = 256,              // … up to this; 0 bytes are none
    LG_SPARE = 1 << 20,          // freed ones that are kept, in bytes
    LG_NESTING = 100,            // tables in tables, in field tables and JSON
    LG_MANIFEST_NESTING = 7,     // of what the host reads of a plugin's table
    LG_COROUTINE_COST = 500,     // a new coroutine starts a tick of its own: charge half of it
    LG_LOG_BYTES = 4096,
    LG_ROUTE_RESULTS = 65536,
    LG_ROUTE_QUEUES = 4096,      // queue(name) in one result
    LG_MOST_SELECTED = 1 << 22,  // ids of all selections of one call: 32 MiB
    LG_MOST_SELECTIONS = 1 << 16,  // of one call
    LG_NAME_BYTES = 255,         // a queue's name is a short string
    LG_REASON_BYTES = 1023,      // of a verdict, as far as the host gets to see it
    LG_EXPRESSION_BYTES = 4096,  // of a client's binding, which is compiled on the core loop
    LG_TASK_WAITS = 100,         // of one hook
    LG_WAITING_TASKS = 1000,     // of one interpreter; a coroutine takes about a kilobyte
    LG_URL_BYTES = 8192,         // also of a header's text
    LG_HTTP_HEADERS = 100,
    LG_HTTP_BODY = 1 << 20,
    LG_FEW_HEADERS = 6,          // are made a table at once: it takes as long as to read two of them
    LG_SHORT_HEADERS = 256,      // … if they have no more bytes
    LG_HEADERS_READS = 8,        // of many headers until a table is made of them
    LG_HEADERS_PASSED = 256,     // fields that are passed by in these reads
    LG_HEADERS_AT_ONCE = 64,     // messages whose headers are made a table at once after a script wanted one
    LG_KEY_BYTES = 255,          // a field table's key is a short string
};

enum Bigness { NOT_BIG, BIG_TABLE, MEDIUM_STRING, BIG_STRING, HUGE_STRING, BIGNESSES };

typedef struct {
    uintptr_t block;
    enum Bigness bigness;
} BigBlock;

typedef struct SpareBlock {
    struct SpareBlock *next;
} SpareBlock;

typedef struct {
    uint8_t *bytes;
    size_t count, capacity;
} Buffer;

// Basic properties, in the order of their flags.
enum Property {
    P_CONTENT_TYPE, P_CONTENT_ENCODING, P_HEADERS, P_DELIVERY_MODE, P_PRIORITY, P_CORRELATION_ID, P_REPLY_TO,
    P_EXPIRATION, P_MESSAGE_ID, P_TIMESTAMP, P_TYPE, P_USER_ID, P_APP_ID, P_CLUSTER_ID, PROPERTIES
};

struct LuaGuard {
    lua_State *L;        // the main thread
    lua_State *running;  // the coroutine that runs
    LGLimits limits;
    LGHost host;

    // Memory.
    size_t used;
    uint64_t allocations, fail_from;
    SpareBlock *spare[LG_SMALL / LG_GRAIN + 1];  // by size
    size_t spare_bytes;
    BigBlock big[LG_BIG_BLOCKS];
    int big_count, big_counts[BIGNESSES];
    bool big_overflowed;
    int tick;  // instructions to the next look

    // The budget of the call under way.
    LGBudget budget;
    uint64_t spent, next_look;
    uint64_t clock_start, clock_last;  // 0: not looked yet
    int looks;
    bool timed_whole;  // the clock was read before the call began
    int tripped;  // LGStatus of the limit that was hit, or 0
    bool busy;
    int failure;  // what an error that is no limit is called
    LGError error;

    // Registry references.
    int plugin, validate, bind, prepare, route, sources, loaded, settings, message_ref;
    int expression_names;  // what expressions see as globals; made when the first is compiled
    // Tests stop the clocks and move them by hand.
    bool clocks_stopped;
    int64_t stopped_wall, stopped_monotonic;
    // Strings, so that reading a verdict allocates nothing.
    int key_verdict, key_reason, key_name, key_milliseconds, key_change;

    // What the libraries keep.
    bool dry;  // a trial: nothing is written outside of the interpreter
    LGShared *shared;
    uint8_t random[256];  // the last `random_left` of it are not used yet
    size_t random_left;
    struct LGSeries *series;  // of metrics; null before the first
    struct LGRegexes *regexes;
    Buffer publication;
    uint64_t published_call;  // the call of which `published` counts
    int published;

    // The message and the routing under way.
    const LGMessage *message;
    LGBytes property[PROPERTIES];  // where they stand; only those that property_flags name
    unsigned property_flags;       // as on the wire
    uint64_t message_serial;
    bool properties_read, headers_read, identity_read;
    const void *headers_metatable;  // its address, to tell it from others
    unsigned headers_reads, headers_passed, headers_at_once;
    const char *calling;  // the hook that runs, for errors; null when it has no name
    LGRoutes *routes;   // whose route is under way
    LGRoutes *all;      // list of all, for lg_close
    uint64_t serial;    // of routes
    LGTask *task;       // the hook that runs and may wait
    lua_State *task_thread;
    bool wanted;        // it waits for what stands in `out`
    bool resume_fails;  // the wait raises what it was resumed with
    int waiting;        // tasks
    int test_waits;     // the function that answers waits in a plugin's tests
    uint64_t call;      // number of the call: a selection of an older one is stale

    // Results; kept between calls, grown by malloc.
    uint64_t *ids;
    size_t id_count, id_capacity;
    struct Selection *selections;  // of this call
    size_t selection_count, selection_capacity;
    uint64_t *selected;  // their ids, one behind the other
    size_t selected_count, selected_capacity;
    LGBytes *queues;
    size_t queue_count, queue_capacity;
    Buffer text;  // queue names and verdict texts
    Buffer out;   // encoded field tables
};

typedef struct {
    uint64_t id, seed;
    double weight;
    uint8_t *block;  // key, then arguments
    size_t key_count, arguments_count;
} Entry;

struct LGRoutes {
    LuaGuard *guard;
    LGRoutes *next, *previous;
    KeyIndex *indexes[2];  // by KIKind; each is made when it is first asked
    uint64_t serial;
    int ref;
    bool uneven;  // weights differ
    bool stale;   // bindings changed since prepare
    Entry *entries;
    uint32_t count, capacity;
};

// Userdata begin with a tag, so that any of ours can be told apart without a metatable.
enum Tag { TAG_MESSAGE = 1, TAG_ROUTES, TAG_BINDING };
typedef struct { uint32_t tag; } MessageBox;
typedef struct { uint32_t tag; LGRoutes *routes; } RoutesBox;
typedef struct { uint32_t tag; uint32_t index; uint64_t id, serial; } BindingBox;
typedef struct Selection { size_t start, count; LGRoutes *routes; } Selection;
enum { MESSAGE_HEADERS = 1, MESSAGE_IDENTITY = 2 };
enum { ROUTES_HANDLES = 1, ROUTES_INDEX = 2, ROUTES_DEFINITION = 3 };
enum { BINDING_FIELDS = 1, BINDING_KEPT = 2 };

static inline LuaGuard *lg_of(lua_State *L) { return *(LuaGuard **)lua_getextraspace(L); }
static inline LGBytes lg_bytes(const void *bytes, size_t count) { return (LGBytes){bytes, count}; }
static inline bool lg_is(const char *s, size_t n, const char *name, size_t m) {
    return n == m && memcmp(s, name, m) == 0;
}
#define IS(s, n, literal) lg_is(s, n, literal, sizeof(literal) - 1)

// guard.c
extern const char lg_null;  // its address is the light userdata `null`
void lg_spend(lua_State *L, uint64_t units);  // raises when the budget is gone
static inline void lg_spend_bytes(lua_State *L, size_t bytes) { lg_spend(L, bytes / 64 + 1); }
void lg_trip(lua_State *L, int kind);
void lg_raise_if_tripped(lua_State *L);  // raises the value at the top of the stack again
int lg_script_error(lua_State *L, const char *text);
bool lg_buffer_reserve(Buffer *buffer, size_t more);
bool lg_grow(void *array, size_t *capacity, size_t count, size_t element);
int lg_on_error(lua_State *L);
void lg_copy_traceback(lua_State *L, lua_State *thread);  // into the error, if none is there yet
int lg_refuse_nested(LuaGuard *guard);
int lg_run(LuaGuard *guard, lua_CFunction body, void *argument, LGBudget budget);
void lg_begin(LuaGuard *guard, LGBudget budget);
int lg_end(LuaGuard *guard, int status);

// sandbox.c, strings.c, tables.c, host.c, json.c: each opens a part of the globals
void lg_open_base(lua_State *L);
void lg_open_coroutine(lua_State *L);
void lg_open_strings(lua_State *L);
void lg_open_tables(lua_State *L);
void lg_open_host(lua_State *L);
void lg_open_json(lua_State *L);
void lg_open_views(lua_State *L);
void lg_open_routes(lua_State *L);
void lg_open_test_host(lua_State *L);
void lg_open_tasks(lua_State *L);
void lg_charged(lua_State *L, const char *name);  // wraps the field of the table at the top

// pattern.c
int lg_find(lua_State *L);
int lg_match(lua_State *L);
int lg_gmatch(lua_State *L);
int lg_gsub(lua_State *L);

// fields.c
void lg_push_table(lua_State *L, LGBytes content);
void lg_push_array(lua_State *L, LGBytes content);
int lg_count_fields(LGBytes content, int most);  // -1: they are more, or malformed
void lg_push_counted(lua_State *L, LGBytes content, int count);
unsigned lg_push_field(lua_State *L, LGBytes content, const char *name, size_t count);
void lg_fill_table(lua_State *L, int table, LGBytes content);
void lg_encode(lua_State *L, int index, Buffer *out, bool functions);        // one value, with its type octet
void lg_encode_table(lua_State *L, int index, Buffer *out, bool functions);  // content without length
void lg_encode_verdict(lua_State *L, int index, Buffer *out);  // the same without the field `verdict`

// host.c
uint64_t lg_xxh64(const uint8_t *bytes, size_t count, uint64_t seed);
int64_t lg_wall_nanoseconds(const LuaGuard *guard);  // what scripts see, be it a test's clock
int64_t lg_monotonic_nanoseconds(const LuaGuard *guard);
// "deny", … when the value at index is a verdict, else null; and its fields. They never raise and never
// allocate.
const char *lg_verdict(lua_State *L, int index);
LGBytes lg_verdict_text(lua_State *L, int index, int key);

// What the host gives, a file each; lg_open_digests wants `hash` to be there
void lg_open_shared(lua_State *L);
void lg_open_base64(lua_State *L);
void lg_open_digests(lua_State *L);
void lg_open_net(lua_State *L);
void lg_open_metrics(lua_State *L);
void lg_open_publish(lua_State *L);
void lg_open_regex(lua_State *L);
void lg_close_regexes(struct LGRegexes *regexes);

// base64.c. out: (count + 2) / 3 * 4 letters, and at most count / 4 * 3 + 2 octets
void lg_base64_encode(const uint8_t *bytes, size_t count, char *out);
ptrdiff_t lg_base64_decode(const char *text, size_t count, uint8_t *out);

// message.c
void lg_message_begin(LuaGuard *guard, const LGMessage *message);
void lg_message_end(LuaGuard *guard);
LGBytes lg_message_headers(lua_State *L);

// routes.c: the userdata, and what their methods share with routing.c and test_host.c
extern const char lg_binding_metatable;
void lg_set_methods(lua_State *L, int routes);  // gives the userdata there its metatable
const Selection *lg_selection_at(lua_State *L, int index, bool *stale);  // null: it is none, or stale
uint32_t lg_tag_at(lua_State *L, int index);  // of a userdata of ours, or 0
LGRoutes *lg_check_routes(lua_State *L);      // the bindings at 1
LGBytes lg_check_text(lua_State *L, int index);
int lg_push_binding(lua_State *L, LGRoutes *routes, uint64_t id);  // and what was kept with it

// headers.c
int lg_push_headers(lua_State *L);  // of the message under way, as scripts see them; its userdata is at 1
// Whoever reads a script's table without metamethods calls this before: it fills the headers' table.
void lg_settle(lua_State *L, int index);
void lg_open_headers(lua_State *L);

// calls.c
struct LGHook {
    LuaGuard *guard;
    int ref;
    char path[];
};
bool lg_push_path(lua_State *L, LGBytes path);  // what stands there in the plugin's table; false: nil
int lg_fail(LuaGuard *guard, const char *format, ...);  // sets the error of a call that has ended well
// What stands in delay(ms, {…}), as field table content; empty without. Takes a protected call, whose status it
// returns, with the error at the top.
int lg_take_change(lua_State *L, int verdict, LGBytes *change);

// tasks.c
int lg_answer_waits(lua_State *L);

// select.c
bool lg_headers_match(LGBytes arguments, LGBytes headers);

// routing.c
typedef struct {
    LGRoutes *routes;
    LGBytes definition;
} Opening;
typedef struct {
    LGRoutes *routes;
    const LGBinding *binding;
} NewBinding;
LGRoutes *lg_new_routes(LuaGuard *guard);
int lg_open_routes_body(lua_State *L);  // takes an Opening
int lg_bind_body(lua_State *L);         // takes a NewBinding; raises LG_REFUSED when `bind` says deny
void lg_prepare(lua_State *L, LGRoutes *routes);
void lg_raise_denial(lua_State *L);  // LG_REFUSED with the script's text when the value on top is a denial
// Reads what route returned. The status of lua_pcall, with an error at the top; or what is wrong with it.
int lg_collect(lua_State *L, LuaGuard *guard, LGRoutes *routes, int index, LGRouteResult *result,
               const char **problem);

#endif
