// One guarded Lua interpreter: what Swift may call. No Lua error, no stack index and no lua_State leaves this
// header: each function runs under lua_pcall and returns a status. Knows messages and bindings as views on
// bytes; knows no queue, connection or store.
#ifndef CLUAGUARD_H
#define CLUAGUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct LuaGuard LuaGuard;
typedef struct LGRoutes LGRoutes;
typedef struct LGHook LGHook;
typedef struct LGMatcher LGMatcher;
typedef struct LGTask LGTask;

/// Borrowed bytes. What a call returns this way is valid until the next call into the same interpreter.
typedef struct {
    const uint8_t *_Nullable bytes;
    size_t count;
} LGBytes;

typedef enum {
    LG_OK = 0,
    LG_SYNTAX = 1,
    LG_RUNTIME = 2,
    LG_MEMORY = 3,
    LG_INSTRUCTIONS = 4,
    LG_TIME = 5,
    LG_REFUSED = 6,  // the script said deny(text); or a call came while another was under way
} LGStatus;

/// A single string may not be longer than string_bytes: comparing, hashing and converting strings are one
/// instruction each, however long the string is.
typedef struct {
    size_t memory_bytes;
    size_t string_bytes;
    uint64_t seed;
} LGLimits;

/// An allowance for one call. Time is the CPU time of this thread.
typedef struct {
    uint64_t instructions;
    uint64_t nanoseconds;
} LGBudget;

typedef enum { LG_MD5 = 1, LG_SHA_1 = 2, LG_SHA_256 = 3, LG_SHA_512 = 4 } LGDigest;
enum { LG_DIGEST_BYTES = 64 };
typedef enum { LG_COUNTER = 1, LG_GAUGE = 2, LG_HISTOGRAM = 3 } LGMetric;

/// What the interpreter asks of its host. Callbacks may not call back into the interpreter. A null member has
/// a plain built-in behaviour.
typedef struct {
    void *_Nullable context;
    void (*_Nullable log)(void *_Nullable context, int32_t level, LGBytes text);
    int64_t (*_Nullable wall_nanoseconds)(void *_Nullable context);
    int64_t (*_Nullable monotonic_nanoseconds)(void *_Nullable context);
    /// Writes the digest of a text, or with a key its HMAC, and returns its size; 0 for none.
    int32_t (*_Nullable digest)(void *_Nullable context, LGDigest kind, const LGBytes *_Nullable key,
                                LGBytes text, uint8_t *_Nullable out);
    /// A number for a series, which stays; 0 refuses it. labels: field table content, strings only.
    uint64_t (*_Nullable metric_series)(void *_Nullable context, LGMetric kind, LGBytes name, LGBytes labels);
    void (*_Nullable metric_add)(void *_Nullable context, uint64_t series, double value);
    /// fields: field table content, checked. copies: of the message under way, changed by the fields. False
    /// refuses it; the reason, 0-terminated, is the script's.
    bool (*_Nullable publish)(void *_Nullable context, LGBytes fields, bool copies, char *_Nullable reason,
                              size_t reason_capacity);
} LGHost;

typedef struct {
    int32_t kind;  // LGStatus
    char message[1024];
    char traceback[4096];
} LGError;

/// A message as it stands in the core's memory; read lazily, valid during one call.
/// properties: the 2-byte flags and the property list of a content header, as on the wire.
/// identity: field table content; empty: there is none.
/// serial: if it is not 0, whoever gives the same number twice in a row gives the same message, and what was
/// read of it is not read again.
typedef struct {
    LGBytes exchange, routing_key, properties, body, vhost, user, queue, identity;
    int64_t delayed_milliseconds;  // negative: not delayed
    uint64_t serial;
    bool redelivered;
} LGMessage;

/// id is the host's, not 0, unique in its LGRoutes. arguments: field table content, without the length.
typedef struct {
    uint64_t id;
    LGBytes key, destination, arguments;
    bool to_exchange;
    bool is_new;  // a client binds just now
} LGBinding;

typedef enum {
    LG_ROUTED = 0,  // to ids and queues; unroutable when both are empty
    LG_DENIED = 1,
    LG_DROPPED = 2,
    LG_DELAYED = 3,
} LGVerdict;

typedef struct {
    int32_t verdict;  // LGVerdict
    const uint64_t *_Nullable ids;
    size_t id_count;
    const LGBytes *_Nullable queues;
    size_t queue_count;
    LGBytes text;  // the reason; of LG_DELAYED what changes meanwhile, as field table content
    int64_t milliseconds;
} LGRouteResult;

typedef struct {
    size_t memory_bytes;
    uint64_t allocations;
} LGStatistics;

// Life. lg_open returns null when memory does not suffice for the libraries.
LuaGuard *_Nullable lg_open(const LGLimits *_Nonnull limits, const LGHost *_Nonnull host);
void lg_close(LuaGuard *_Nullable guard);
const LGError *_Nonnull lg_error(const LuaGuard *_Nonnull guard);
LGStatistics lg_statistics(const LuaGuard *_Nonnull guard);
/// CPU time of the last call, counted from its second look at the clock, or from its start while something big
/// lives; 0 for a call of less than about 20 microseconds.
uint64_t lg_last_call_nanoseconds(const LuaGuard *_Nonnull guard);
/// For tests: from the n-th allocation on, all fail; 0 ends it.
void lg_fail_allocations(LuaGuard *_Nonnull guard, uint64_t from);

// What `shared` holds, for all interpreters of one thread; it outlives them.
typedef struct LGShared LGShared;
LGShared *_Nullable lg_shared_open(size_t memory_bytes, uint64_t seed);
void lg_shared_close(LGShared *_Nullable store);
size_t lg_shared_memory(const LGShared *_Nonnull store);
/// From now on this interpreter sees this store; handles that its script has find their dictionaries there.
void lg_share(LuaGuard *_Nonnull guard, LGShared *_Nullable store);
/// A trial: what scripts write to `shared`, publish and count is checked and answered, and does not happen.
void lg_set_dry(LuaGuard *_Nonnull guard, bool dry);

// The script.
LGStatus lg_add_module(LuaGuard *_Nonnull guard, LGBytes name, LGBytes path, LGBytes text);
/// Runs a chunk; the table it returns is the plugin.
LGStatus lg_evaluate(LuaGuard *_Nonnull guard, LGBytes path, LGBytes text, LGBudget budget);
/// The plugin's table as the content of a field table; functions are of type 'x'.
LGStatus lg_manifest(LuaGuard *_Nonnull guard, LGBytes *_Nonnull table);
/// Fills the global `settings`.
LGStatus lg_set_settings(LuaGuard *_Nonnull guard, LGBytes table);
/// Calls the function at a dotted path of the plugin's table. arguments: field array content; result: one
/// field value (type octet and value). A missing function is LG_REFUSED.
LGStatus lg_call(LuaGuard *_Nonnull guard, LGBytes path, LGBytes arguments, LGBudget budget,
                 LGBytes *_Nonnull result);
/// Runs a chunk beside the plugin (its tests); result: what it returned, as one field value.
LGStatus lg_execute(LuaGuard *_Nonnull guard, LGBytes path, LGBytes text, LGBudget budget,
                    LGBytes *_Nonnull result);
/// Gives this interpreter the module `yutu.test`'s native half (global-free: require("yutu.host")).
LGStatus lg_allow_tests(LuaGuard *_Nonnull guard);

// Routing. definition: field table content (name, arguments, …), seen as `bindings.exchange`.
LGRoutes *_Nullable lg_routes_open(LuaGuard *_Nonnull guard, LGBytes definition);
void lg_routes_close(LGRoutes *_Nullable routes);
/// LG_REFUSED with the script's text in lg_error when validate says deny.
LGStatus lg_routes_validate(LGRoutes *_Nonnull routes, LGBudget budget);
LGStatus lg_routes_bind(LGRoutes *_Nonnull routes, const LGBinding *_Nonnull binding, LGBudget budget);
/// False while a call is under way: the binding stays then.
bool lg_routes_unbind(LGRoutes *_Nonnull routes, uint64_t id);
/// prepare_budget is for `prepare`, which runs first when bindings changed.
LGStatus lg_routes_route(LGRoutes *_Nonnull routes, const LGMessage *_Nonnull message, LGBudget budget,
                         LGBudget prepare_budget, LGRouteResult *_Nonnull result);
/// Takes the indexes of one that has the same bindings under the same ids, which makes them anew if it is ever
/// asked again.
void lg_routes_adopt(LGRoutes *_Nonnull routes, LGRoutes *_Nonnull old);

// Hooks: functions of the plugin's table, found once.
typedef enum {
    LG_PASSED = 0,  // nothing, or null
    LG_ALLOW = 1,   // content: the verdict's other fields as field table content
    LG_DENY = 2,    // content: the reason
    LG_DROP = 3,    // the same
    LG_CHANGE = 4,  // content: as of LG_ALLOW
    LG_DELAY = 5,   // content: what changes meanwhile, as of LG_CHANGE
    LG_THROTTLE = 6,
} LGHookVerdict;

typedef struct {
    int32_t verdict;  // LGHookVerdict
    LGBytes content;
    int64_t milliseconds;
} LGHookResult;

/// Hooks and matchers are closed before their interpreter is.
/// The function at a dotted path of the plugin's table ("timers.1.run"); null when there is none, and when
/// memory is gone.
LGHook *_Nullable lg_hook_open(LuaGuard *_Nonnull guard, LGBytes path);
void lg_hook_close(LGHook *_Nullable hook);
/// Calls it with a message and, if there is one, with a table (field table content).
LGStatus lg_hook_run(LGHook *_Nonnull hook, const LGMessage *_Nonnull message,
                     const LGBytes *_Nullable second, LGBudget budget, LGHookResult *_Nonnull result);
/// Calls it with values (field array content).
LGStatus lg_hook_call(LGHook *_Nonnull hook, LGBytes arguments, LGBudget budget,
                      LGHookResult *_Nonnull result);

// Matchers of headers, one a binding.
/// Calls `matcher.bind`, if there is one, with the arguments (field table content), and keeps its result.
/// Null: the status is in lg_error, LG_REFUSED with the script's text when it says deny.
LGMatcher *_Nullable lg_matcher_open(LuaGuard *_Nonnull guard, LGBytes arguments, LGBudget budget);
/// Compiles one expression over `headers`. What it sees is an environment of its own, whatever the script
/// of this interpreter sees.
LGMatcher *_Nullable lg_expression_open(LuaGuard *_Nonnull guard, LGBytes text, LGBudget budget);
void lg_matcher_close(LGMatcher *_Nullable matcher);
LGStatus lg_matcher_matches(LGMatcher *_Nonnull matcher, const LGMessage *_Nonnull message, LGBudget budget,
                            bool *_Nonnull matches);

// Hooks that may wait.
typedef struct {
    LGTask *_Nullable task;  // while it waits
    bool waits;
    bool is_verdict;
    /// One field value (type octet and value): what it returned, of a verdict the table; or, while it waits,
    /// a list of what it waits for ("http.request", "sleep", …) and with which argument.
    LGBytes value;
} LGProgress;

/// Starts the function at a dotted path of the plugin's table in a coroutine of its own. arguments: field
/// array content. A missing function is LG_REFUSED. A task is closed before its interpreter is, by whoever
/// started it.
LGStatus lg_task_start(LuaGuard *_Nonnull guard, LGBytes path, LGBytes arguments, LGBudget budget,
                       LGProgress *_Nonnull progress);
/// values: what the wait gives back, as field array content; if it fails: one text, the error that it raises.
LGStatus lg_task_resume(LGTask *_Nonnull task, LGBytes values, bool fails, LGBudget budget,
                        LGProgress *_Nonnull progress);
/// The task is over, or will be when the call under way ends.
void lg_task_cancel(LGTask *_Nonnull task);
void lg_task_close(LGTask *_Nullable task);

// Field tables, for tests: bytes -> Lua -> bytes.
LGStatus lg_round_trip(LuaGuard *_Nonnull guard, LGBytes table, LGBytes *_Nonnull result);

#endif
