// The interpreter's life, memory, budget and protected calls. Knows no message and no binding.
//
// Lua's count hook looks at the budget each LG_TICK instructions. What it cannot see is bounded elsewhere:
// library functions charge for what they do (lg_spend), big blocks shorten the tick, and pcall and its
// relatives raise again once a limit was hit.

#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>

#include "internal.h"

const char lg_null = 0;

// ---- Memory

static enum Bigness bigness(size_t size, bool is_string) {
    if (!is_string) return size >= LG_BIG_TABLE ? BIG_TABLE : NOT_BIG;
    return size >= LG_HUGE_STRING     ? HUGE_STRING
           : size >= LG_BIG_STRING    ? BIG_STRING
           : size >= LG_MEDIUM_STRING ? MEDIUM_STRING
                                      : NOT_BIG;
}

static void remember_big(LuaGuard *guard, void *block, enum Bigness bigness) {
    if (guard->big_count == LG_BIG_BLOCKS) {
        guard->big_overflowed = true;
    } else {
        guard->big[guard->big_count++] = (BigBlock){(uintptr_t)block, bigness};
        guard->big_counts[bigness]++;
    }
}

static void forget_big(LuaGuard *guard, uintptr_t block) {
    for (int i = guard->big_count - 1; i >= 0; i--) {
        if (guard->big[i].block != block) continue;
        guard->big_counts[guard->big[i].bigness]--;
        guard->big[i] = guard->big[--guard->big_count];
        return;
    }
}

static int proper_tick(const LuaGuard *guard) {
    const int *counts = guard->big_counts;
    return guard->big_overflowed || counts[HUGE_STRING]  ? LG_TICK_HUGE_STRINGS
           : counts[BIG_STRING]                          ? LG_TICK_BIG_STRINGS
           : counts[MEDIUM_STRING] || counts[BIG_TABLE] ? LG_TICK_BIG_TABLES
                                                         : LG_TICK;
}

static void on_count(lua_State *L, lua_Debug *where);

// Setting a hook starts its count anew, so it is only ever set shorter here; the hook itself relaxes it.
static void shorten_tick(LuaGuard *guard) {
    guard->tick = proper_tick(guard);
    lua_State *L = guard->running;
    if (L && lua_gethookcount(L) > guard->tick) lua_sethook(L, on_count, LUA_MASKCOUNT, guard->tick);
}

// What is freed of small blocks waits for the next that is as big: most of what a call allocates is a table and a
// few strings, and a collection frees those of thousands of calls together, which is more than malloc keeps at
// hand. Sizes are rounded to grains, so that blocks of a class can stand for each other.

static size_t small_class(size_t size) { return (size + LG_GRAIN - 1) / LG_GRAIN; }

static void *take_small(LuaGuard *guard, size_t size) {
    size_t class = small_class(size);
    SpareBlock *block = guard->spare[class];
    if (!block) return malloc(class * LG_GRAIN);
    guard->spare[class] = block->next;
    guard->spare_bytes -= class * LG_GRAIN;
    return block;
}

static void free_spare(LuaGuard *guard) {
    for (size_t class = 0; class <= LG_SMALL / LG_GRAIN; class++) {
        while (guard->spare[class]) {
            SpareBlock *block = guard->spare[class];
            guard->spare[class] = block->next;
            free(block);
        }
    }
    guard->spare_bytes = 0;
}

static void give(LuaGuard *guard, void *block, size_t size) {
    if (size > LG_SMALL) return free(block);
    size_t class = small_class(size);
    // All go when they are too many: sizes that nobody asks for any more would be kept for good.
    if (guard->spare_bytes + class * LG_GRAIN > LG_SPARE) free_spare(guard);
    SpareBlock *spare = block;
    spare->next = guard->spare[class];
    guard->spare[class] = spare;
    guard->spare_bytes += class * LG_GRAIN;
}

static void *resize(LuaGuard *guard, void *block, size_t old, size_t new) {
    if (!block) return new <= LG_SMALL ? take_small(guard, new) : malloc(new);
    if (old > LG_SMALL && new > LG_SMALL) return realloc(block, new);
    if (old <= LG_SMALL && new <= LG_SMALL && small_class(old) == small_class(new)) return block;
    void *moved = new <= LG_SMALL ? take_small(guard, new) : malloc(new);
    // Lua relies on it that to make a block smaller never fails; this one is more than large enough.
    if (!moved) return new < old ? block : NULL;
    memcpy(moved, block, old < new ? old : new);
    give(guard, block, old);
    return moved;
}

// hot:
static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
    LuaGuard *guard = context;
    bool is_string = block == NULL && old_size == LUA_TSTRING;
    size_t old = block ? old_size : 0;
    uintptr_t address = (uintptr_t)block;
    if (new_size == 0) {
        if (!block) return NULL;
        if (old >= LG_MEDIUM_STRING) forget_big(guard, address);
        give(guard, block, old);
        guard->used -= old;
        return NULL;
    }
    if (new_size > old) {
        guard->allocations++;
        if (guard->fail_from && guard->allocations >= guard->fail_from) return NULL;
        if (new_size - old > guard->limits.memory_bytes - guard->used) return NULL;
        if (is_string && new_size > guard->limits.string_bytes) return NULL;
    }
    void *moved = resize(guard, block, old, new_size);
    if (moved == NULL) return NULL;
    guard->used = guard->used - old + new_size;
    if (new_size <= LG_SMALL && old <= LG_SMALL) return moved;
    if (new_size > 4096) guard->spent += new_size / 64;
    if (old >= LG_MEDIUM_STRING) forget_big(guard, address);
    enum Bigness big = bigness(new_size, is_string);
    if (big != NOT_BIG) {
        remember_big(guard, moved, big);
        shorten_tick(guard);
    }
    return moved;
}

bool lg_buffer_reserve(Buffer *buffer, size_t more) {
    if (buffer->capacity - buffer->count >= more) return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity - buffer->count < more) capacity *= 2;
    uint8_t *bytes = realloc(buffer->bytes, capacity);
    if (!bytes) return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

bool lg_grow(void *array, size_t *capacity, size_t count, size_t element) {
    if (count < *capacity) return true;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    void **slot = array;
    void *grown = realloc(*slot, wanted * element);
    if (!grown) return false;
    *slot = grown;
    *capacity = wanted;
    return true;
}

// ---- Budget

static uint64_t cpu_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Pushes "file:line: " of the innermost function in Lua from that level on: it is the one to blame.
static void push_place(lua_State *L, int level) {
    for (int last = level + 3; level < last; level++) {
        luaL_where(L, level);
        if (lua_rawlen(L, -1) > 0) return;
        lua_pop(L, 1);
    }
    luaL_where(L, level);
}

static void raise_limit(lua_State *L, int level) {
    LuaGuard *guard = lg_of(L);
    push_place(L, level);
    switch (guard->tripped) {
    case LG_INSTRUCTIONS:
        lua_pushfstring(L, "limit of %I instructions reached", (lua_Integer)guard->budget.instructions);
        break;
    case LG_TIME:
        lua_pushfstring(L, "time limit of %I microseconds reached",
                        (lua_Integer)guard->budget.nanoseconds / 1000);
        break;
    default:
        lua_pushfstring(L, "memory limit of %I bytes reached", (lua_Integer)guard->limits.memory_bytes);
    }
    lua_concat(L, 2);
    lua_error(L);
}

// From now on each instruction of this thread raises: a `__close` that loops ends at once.
void lg_trip(lua_State *L, int kind) {
    LuaGuard *guard = lg_of(L);
    if (!guard->tripped) guard->tripped = kind;
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
}

static void spend(lua_State *L, uint64_t units, int level) {
    LuaGuard *guard = lg_of(L);
    guard->spent += units;
    if (guard->tripped) {
        lg_trip(L, guard->tripped);
        raise_limit(L, level);
    }
    if (guard->spent < guard->next_look) return;
    guard->next_look = guard->spent + (uint64_t)guard->tick;
    if (guard->spent > guard->budget.instructions) {
        lg_trip(L, LG_INSTRUCTIONS);
        raise_limit(L, level);
    }
    // A short call never reads the clock: the first tick of a call may be the rest of earlier ones'. What
    // pays for more than two ticks is about to take its time.
    if (guard->looks++ == 0 && guard->tick == LG_TICK && guard->spent < 2 * LG_TICK) return;
    guard->clock_last = cpu_nanoseconds();
    if (!guard->clock_start) guard->clock_start = guard->clock_last;
    if (guard->clock_last - guard->clock_start > guard->budget.nanoseconds) {
        lg_trip(L, LG_TIME);
        raise_limit(L, level);
    }
}

void lg_spend(lua_State *L, uint64_t units) { spend(L, units, 1); }

static void on_count(lua_State *L, lua_Debug *where) {
    (void)where;
    LuaGuard *guard = lg_of(L);
    int count = lua_gethookcount(L);
    if (count < LG_TICK) guard->next_look = guard->spent;  // what lies between may be slow: look each time
    if (!guard->tripped) {
        guard->tick = proper_tick(guard);
        if (guard->tick != count) lua_sethook(L, on_count, LUA_MASKCOUNT, guard->tick);
    }
    spend(L, (uint64_t)count, 0);
}

void lg_raise_if_tripped(lua_State *L) {
    if (lg_of(L)->tripped) lua_error(L);
}

int lg_script_error(lua_State *L, const char *text) {
    luaL_where(L, 1);
    lua_pushstring(L, text);
    lua_concat(L, 2);
    return lua_error(L);
}

// ---- Protected calls

static void copy_text(char *to, size_t capacity, const char *from, size_t count) {
    if (count >= capacity) count = capacity - 1;
    memcpy(to, from, count);
    to[count] = 0;
}

void lg_copy_traceback(lua_State *L, lua_State *thread) {
    LuaGuard *guard = lg_of(L);
    if (guard->error.traceback[0] != 0) return;
    luaL_traceback(L, thread, NULL, L == thread ? 1 : 0);
    size_t count;
    const char *text = lua_tolstring(L, -1, &count);
    copy_text(guard->error.traceback, sizeof guard->error.traceback, text, count);
    lua_pop(L, 1);
}

// The message handler of each outermost call: text and traceback, bounded.
int lg_on_error(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    if (lua_type(L, 1) != LUA_TSTRING) {
        if (!guard->tripped && luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
            lua_pop(L, 1);
            luaL_tolstring(L, 1, NULL);
        } else if (lua_type(L, 1) == LUA_TNUMBER) {
            luaL_tolstring(L, 1, NULL);
        } else {
            lua_pushfstring(L, "error object is a %s value", luaL_typename(L, 1));
        }
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
    lg_copy_traceback(L, L);
    return 1;
}

void lg_begin(LuaGuard *guard, LGBudget budget) {
    guard->busy = true;
    guard->budget = budget;
    guard->spent = 0;
    guard->next_look = budget.instructions < LG_TICK ? budget.instructions : LG_TICK;
    guard->call++;
    guard->selection_count = guard->selected_count = 0;
    // While something big lives, even a call of a few instructions may take long.
    guard->timed_whole = guard->tick < LG_TICK;
    guard->clock_start = guard->clock_last = guard->timed_whole ? cpu_nanoseconds() : 0;
    guard->looks = 0;
    guard->tripped = 0;
    guard->failure = LG_RUNTIME;
    guard->calling = NULL;
    guard->error.kind = LG_OK;
    guard->error.message[0] = 0;
    guard->error.traceback[0] = 0;
    guard->running = guard->L;
    if (lua_gethookcount(guard->L) > guard->tick) lua_sethook(guard->L, on_count, LUA_MASKCOUNT, guard->tick);
}

// Ends a call whose lua_pcall gave `status`; the error value, if any, is at the top of the main stack.
int lg_end(LuaGuard *guard, int status) {
    lua_State *L = guard->L;
    int kind = LG_OK;
    if (status != LUA_OK) {
        if (status == LUA_ERRMEM && !guard->tripped) guard->tripped = LG_MEMORY;
        kind = guard->tripped ? guard->tripped : guard->failure;
        size_t count = 0;
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &count) : NULL;
        if (kind == LG_MEMORY) {
            snprintf(guard->error.message, sizeof guard->error.message,
                     "memory limit of %zu bytes reached (%s)", guard->limits.memory_bytes, text ? text : "");
        } else if (text) {
            copy_text(guard->error.message, sizeof guard->error.message, text, count);
        } else {
            copy_text(guard->error.message, sizeof guard->error.message, "unknown error", 13);
        }
        guard->error.kind = kind;
    }
    lua_settop(L, SLOTS);
    if (lua_gethookcount(L) < LG_TICK) {
        guard->tick = proper_tick(guard);
        lua_sethook(L, on_count, LUA_MASKCOUNT, guard->tick);
    }
    if (guard->clock_start) guard->clock_last = cpu_nanoseconds();
    guard->running = NULL;
    guard->busy = false;
    return kind;
}

int lg_refuse_nested(LuaGuard *guard) {
    guard->error.kind = LG_REFUSED;
    guard->error.traceback[0] = 0;
    copy_text(guard->error.message, sizeof guard->error.message, "a call is under way", 19);
    return LG_REFUSED;
}

int lg_run(LuaGuard *guard, lua_CFunction body, void *argument, LGBudget budget) {
    if (guard->busy) return lg_refuse_nested(guard);
    lua_State *L = guard->L;
    lg_begin(guard, budget);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, argument);
    return lg_end(guard, lua_pcall(L, 1, 0, SLOT_HANDLER));
}

// ---- Life

static int panic(lua_State *L) {
    (void)L;
    fputs("yutu: a Lua error outside of a protected call\n", stderr);
    return 0;  // Lua aborts
}

static int open_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    lg_open_base(L);
    lg_open_coroutine(L);
    lg_open_strings(L);
    lg_open_tables(L);
    lg_open_host(L);
    lg_open_json(L);
    lg_open_shared(L);
    lg_open_base64(L);
    lg_open_digests(L);
    lg_open_net(L);
    lg_open_metrics(L);
    lg_open_publish(L);
    lg_open_regex(L);
    lg_open_views(L);
    lg_open_headers(L);
    lg_open_routes(L);
    lg_open_tasks(L);
    lua_newtable(L);
    guard->sources = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    guard->loaded = luaL_ref(L, LUA_REGISTRYINDEX);
    // Lua's own table of libraries would hand out what the sandbox left out, to `luaL_*` lookups at least.
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    return 0;
}

static const LGBudget unlimited = {UINT64_MAX / 2, UINT64_MAX / 2};

LuaGuard *lg_open(const LGLimits *limits, const LGHost *host) {
    LuaGuard *guard = calloc(1, sizeof *guard);
    if (!guard) return NULL;
    guard->limits = *limits;
    guard->host = *host;
    guard->tick = LG_TICK;
    guard->plugin = guard->validate = guard->bind = guard->prepare = guard->route = LUA_NOREF;
    guard->expression_names = LUA_NOREF;
    lua_State *L = lua_newstate(allocate, guard);
    if (!L) {
        free(guard);
        return NULL;
    }
    guard->L = L;
    *(LuaGuard **)lua_getextraspace(L) = guard;
    lua_atpanic(L, panic);
    lua_sethook(L, on_count, LUA_MASKCOUNT, LG_TICK);
    lua_pushcfunction(L, lg_on_error);
    lua_pushnil(L);
    lua_pushnil(L);
    if (lg_run(guard, open_body, NULL, unlimited) != LG_OK) {
        lg_close(guard);
        return NULL;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->message_ref);
    lua_replace(L, SLOT_MESSAGE);
    return guard;
}

void lg_close(LuaGuard *guard) {
    if (!guard) return;
    while (guard->all) lg_routes_close(guard->all);
    lua_close(guard->L);
    free_spare(guard);
    free(guard->ids);
    free(guard->selections);
    free(guard->selected);
    free(guard->queues);
    free(guard->text.bytes);
    free(guard->out.bytes);
    free(guard->publication.bytes);
    free(guard->series);
    lg_close_regexes(guard->regexes);
    free(guard);
}

const LGError *lg_error(const LuaGuard *guard) { return &guard->error; }

LGStatistics lg_statistics(const LuaGuard *guard) {
    return (LGStatistics){guard->used, guard->allocations};
}

uint64_t lg_last_call_nanoseconds(const LuaGuard *guard) {
    uint64_t took = guard->clock_start ? guard->clock_last - guard->clock_start : 0;
    return guard->timed_whole && took < LG_SHORT_CALL ? 0 : took;
}

void lg_fail_allocations(LuaGuard *guard, uint64_t from) {
    guard->fail_from = from ? guard->allocations + from : 0;
}

// ---- The script

typedef struct {
    LGBytes name, path, text;
} Source;

static int add_module_body(lua_State *L) {
    Source *source = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lg_of(L)->sources);
    lua_pushlstring(L, (const char *)source->name.bytes, source->name.count);
    lua_createtable(L, 2, 0);
    lua_pushlstring(L, (const char *)source->path.bytes, source->path.count);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, (const char *)source->text.bytes, source->text.count);
    lua_rawseti(L, -2, 2);
    lua_rawset(L, -3);
    return 0;
}

LGStatus lg_add_module(LuaGuard *guard, LGBytes name, LGBytes path, LGBytes text) {
    Source source = {name, path, text};
    return lg_run(guard, add_module_body, &source, unlimited);
}

static int function_ref(lua_State *L, int table, const char *name) {
    lua_getfield(L, table, name);
    if (lua_type(L, -1) != LUA_TFUNCTION) {
        lua_pop(L, 1);
        return LUA_NOREF;
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

// Leaves the chunk's name and its first result on the stack.
static void run_source(lua_State *L, const Source *source) {
    lua_pushliteral(L, "@");
    lua_pushlstring(L, (const char *)source->path.bytes, source->path.count);
    lua_concat(L, 2);
    lg_spend(L, source->text.count);
    const char *text = (const char *)source->text.bytes;
    int status = luaL_loadbufferx(L, text ? text : "", source->text.count, lua_tostring(L, -1), "t");
    if (status != LUA_OK) {
        if (status == LUA_ERRSYNTAX) lg_of(L)->failure = LG_SYNTAX;
        if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
        lua_error(L);
    }
    lua_call(L, 0, 1);
}

static int evaluate_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    Source *source = lua_touserdata(L, 1);
    run_source(L, source);
    if (!lua_istable(L, -1)) return luaL_error(L, "%s: a plugin returns a table", lua_tostring(L, 2) + 1);
    int table = lua_gettop(L);
    lua_pushvalue(L, table);
    guard->plugin = luaL_ref(L, LUA_REGISTRYINDEX);
    if (lua_getfield(L, table, "exchange") == LUA_TTABLE) {
        int exchange = lua_gettop(L);
        guard->validate = function_ref(L, exchange, "validate");
        guard->bind = function_ref(L, exchange, "bind");
        guard->prepare = function_ref(L, exchange, "prepare");
        guard->route = function_ref(L, exchange, "route");
    }
    return 0;
}

LGStatus lg_evaluate(LuaGuard *guard, LGBytes path, LGBytes text, LGBudget budget) {
    Source source = {path, path, text};
    int status = lg_run(guard, evaluate_body, &source, budget);
    if (status == LG_OK && guard->route != LUA_NOREF) {
        lua_rawgeti(guard->L, LUA_REGISTRYINDEX, guard->route);
        lua_replace(guard->L, SLOT_ROUTE);
    }
    return status;
}

static int manifest_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->plugin);
    if (!lua_istable(L, -1)) return luaL_error(L, "no plugin was evaluated");
    guard->out.count = 0;
    lg_encode_table(L, lua_gettop(L), &guard->out, true);
    return 0;
}

LGStatus lg_manifest(LuaGuard *guard, LGBytes *table) {
    int status = lg_run(guard, manifest_body, NULL, unlimited);
    *table = lg_bytes(guard->out.bytes, status == LG_OK ? guard->out.count : 0);
    return status;
}

static int settings_body(lua_State *L) {
    LGBytes *bytes = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lg_of(L)->settings);
    int settings = lua_gettop(L);
    lg_push_table(L, *bytes);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, settings);
    }
    return 0;
}

LGStatus lg_set_settings(LuaGuard *guard, LGBytes table) {
    return lg_run(guard, settings_body, &table, unlimited);
}

typedef struct {
    LGBytes path, arguments;
} Call;

static int call_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    Call *call = lua_touserdata(L, 1);
    if (!lg_push_path(L, call->path) || !lua_isfunction(L, -1)) {
        guard->failure = LG_REFUSED;
        return luaL_error(L, "the plugin has no such function");
    }
    int function = lua_gettop(L);
    lg_push_array(L, call->arguments);
    int count = (int)lua_rawlen(L, -1);
    luaL_checkstack(L, count + 4, "too many arguments");
    lua_pushvalue(L, function);
    for (int i = 1; i <= count; i++) lua_rawgeti(L, function + 1, i);
    lua_call(L, count, 1);
    guard->out.count = 0;
    lg_encode(L, lua_gettop(L), &guard->out, false);
    return 0;
}

LGStatus lg_call(LuaGuard *guard, LGBytes path, LGBytes arguments, LGBudget budget, LGBytes *result) {
    Call call = {path, arguments};
    int status = lg_run(guard, call_body, &call, budget);
    *result = lg_bytes(guard->out.bytes, status == LG_OK ? guard->out.count : 0);
    return status;
}

static int round_trip_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    lg_push_table(L, *(LGBytes *)lua_touserdata(L, 1));
    guard->out.count = 0;
    lg_encode_table(L, lua_gettop(L), &guard->out, false);
    return 0;
}

LGStatus lg_round_trip(LuaGuard *guard, LGBytes table, LGBytes *result) {
    int status = lg_run(guard, round_trip_body, &table, unlimited);
    *result = lg_bytes(guard->out.bytes, status == LG_OK ? guard->out.count : 0);
    return status;
}

static int execute_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    Source *source = lua_touserdata(L, 1);
    run_source(L, source);
    guard->out.count = 0;
    lg_encode(L, lua_gettop(L), &guard->out, true);
    return 0;
}

LGStatus lg_execute(LuaGuard *guard, LGBytes path, LGBytes text, LGBudget budget, LGBytes *result) {
    Source source = {path, path, text};
    int status = lg_run(guard, execute_body, &source, budget);
    *result = lg_bytes(guard->out.bytes, status == LG_OK ? guard->out.count : 0);
    return status;
}

static int allow_tests_body(lua_State *L) {
    lg_open_test_host(L);
    return 0;
}

LGStatus lg_allow_tests(LuaGuard *guard) { return lg_run(guard, allow_tests_body, NULL, unlimited); }
