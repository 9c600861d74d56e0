// Hooks: functions of the plugin's table, found once and called often, and the verdicts that they return.

#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

// ---- Life

// Pushes the field of the table on top that a part of a path names: a list's items are named by numbers.
static void push_part(lua_State *L, const char *name, size_t count) {
    lua_pushlstring(L, name, count);
    lua_rawget(L, -2);
    char number[8];
    if (!lua_isnil(L, -1) || count == 0 || count >= sizeof number) return;
    memcpy(number, name, count);
    number[count] = 0;
    char *end;
    long item = strtol(number, &end, 10);
    if (*end || item < 1) return;
    lua_pop(L, 1);
    lua_rawgeti(L, -1, item);
}

bool lg_push_path(lua_State *L, LGBytes path) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, lg_of(L)->plugin);
    const char *at = (const char *)path.bytes, *end = at + path.count;
    while (at <= end && lua_istable(L, -1)) {
        const char *dot = at < end ? memchr(at, '.', (size_t)(end - at)) : NULL;
        if (!dot) dot = end;
        push_part(L, at, (size_t)(dot - at));
        lua_remove(L, -2);
        at = dot + 1;
    }
    if (at > end && !lua_isnil(L, -1)) return true;
    lua_pop(L, 1);
    lua_pushnil(L);
    return false;
}

typedef struct {
    LGHook *hook;
    LGBytes path;
} Finding;

static int find_body(lua_State *L) {
    Finding *finding = lua_touserdata(L, 1);
    if (lg_push_path(L, finding->path) && lua_isfunction(L, -1)) {
        finding->hook->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return 0;
}

static const LGBudget finding_budget = {100000, 100000000};

LGHook *lg_hook_open(LuaGuard *guard, LGBytes path) {
    LGHook *hook = calloc(1, sizeof *hook + path.count + 1);
    if (!hook) return NULL;
    if (path.count) memcpy(hook->path, path.bytes, path.count);
    hook->guard = guard;
    hook->ref = LUA_NOREF;
    Finding finding = {hook, path};
    if (lg_run(guard, find_body, &finding, finding_budget) != LG_OK || hook->ref == LUA_NOREF) {
        free(hook);
        return NULL;
    }
    return hook;
}

void lg_hook_close(LGHook *hook) {
    if (!hook) return;
    luaL_unref(hook->guard->L, LUA_REGISTRYINDEX, hook->ref);
    free(hook);
}

// ---- Verdicts

int lg_fail(LuaGuard *guard, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    guard->error.kind = LG_RUNTIME;
    guard->error.traceback[0] = 0;
    vsnprintf(guard->error.message, sizeof guard->error.message, format, arguments);
    va_end(arguments);
    return LG_RUNTIME;
}

static int encode_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    guard->out.count = 0;
    lg_encode_verdict(L, 1, &guard->out);
    return 0;
}

static int change_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    guard->out.count = 0;
    lg_encode_table(L, 1, &guard->out, false);
    return 0;
}

int lg_take_change(lua_State *L, int verdict, LGBytes *change) {
    LuaGuard *guard = lg_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->key_change);
    if (lua_rawget(L, verdict) != LUA_TTABLE) {
        lua_pop(L, 1);
        return LUA_OK;
    }
    lua_pushcfunction(L, change_body);
    lua_insert(L, -2);
    int status = lua_pcall(L, 1, 0, 0);
    if (status == LUA_OK) *change = lg_bytes(guard->out.bytes, guard->out.count);
    return status;
}

static const char *take_milliseconds(lua_State *L, LuaGuard *guard, int index, LGHookResult *result) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->key_milliseconds);
    lua_rawget(L, index);
    lua_Integer milliseconds = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
    lua_pop(L, 1);
    result->milliseconds = milliseconds;
    return milliseconds >= 0 && milliseconds <= UINT32_MAX ? NULL : "a time out of range";
}

static const char *take_reason(lua_State *L, LuaGuard *guard, int index, LGHookResult *result) {
    LGBytes reason = lg_verdict_text(L, index, guard->key_reason);
    if (reason.count > LG_REASON_BYTES) reason.count = LG_REASON_BYTES;
    guard->text.count = 0;
    if (!lg_buffer_reserve(&guard->text, reason.count + 1)) return "more than memory holds";
    if (reason.count) memcpy(guard->text.bytes, reason.bytes, reason.count);
    result->content = lg_bytes(guard->text.bytes, reason.count);
    return NULL;
}

// Reads the value at index, which is the top. A table in it is written in a protected call whose status
// stands in `status`; nothing else raises or allocates. Returns what is wrong with it, or null.
static const char *take_verdict(lua_State *L, LuaGuard *guard, int index, LGHookResult *result, int *status) {
    int type = lua_type(L, index);
    if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == (void *)&lg_null)) {
        return NULL;
    }
    const char *verdict = type == LUA_TTABLE ? lg_verdict(L, index) : NULL;
    if (!verdict) return lua_typename(L, type);
    if (strcmp(verdict, "deny") == 0) result->verdict = LG_DENY;
    else if (strcmp(verdict, "drop") == 0) result->verdict = LG_DROP;
    else if (strcmp(verdict, "delay") == 0) result->verdict = LG_DELAY;
    else if (strcmp(verdict, "throttle") == 0) result->verdict = LG_THROTTLE;
    else if (strcmp(verdict, "allow") == 0) result->verdict = LG_ALLOW;
    else if (strcmp(verdict, "change") == 0) result->verdict = LG_CHANGE;
    else if (strcmp(verdict, "queue") == 0) return "queue(name)";
    else return "an unknown verdict";
    switch (result->verdict) {
    case LG_DENY:
    case LG_DROP: return take_reason(L, guard, index, result);
    case LG_DELAY:
        *status = lg_take_change(L, index, &result->content);
        if (*status != LUA_OK) return NULL;
        // falls through
    case LG_THROTTLE: return take_milliseconds(L, guard, index, result);
    default:
        lua_pushcfunction(L, encode_body);
        lua_insert(L, index);
        *status = lua_pcall(L, 1, 0, SLOT_HANDLER);
        result->content = lg_bytes(guard->out.bytes, guard->out.count);
        return NULL;
    }
}

static int name_problem(LGHook *hook, const char *problem) {
    const char *article = strchr(problem, ' ') || strchr(problem, '(') ? "" : "a ";
    return lg_fail(hook->guard, "%s returned %s%s, expected nothing or a verdict", hook->path, article,
                   problem);
}

// ---- Calls

static int finish(LGHook *hook, int status, LGHookResult *result) {
    LuaGuard *guard = hook->guard;
    const char *problem = NULL;
    if (status == LUA_OK) problem = take_verdict(guard->L, guard, SLOTS + 1, result, &status);
    lg_message_end(guard);
    int kind = lg_end(guard, status);
    return problem ? name_problem(hook, problem) : kind;
}

typedef struct {
    LGHook *hook;
    LGBytes values;
} Values;

static int second_body(lua_State *L) {
    Values *values = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, values->hook->ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lg_of(L)->message_ref);
    lg_push_table(L, values->values);
    lua_call(L, 2, 1);
    return 1;
}

// hot: no allocation but the script's own.
LGStatus lg_hook_run(LGHook *hook, const LGMessage *message, const LGBytes *second, LGBudget budget,
                     LGHookResult *result) {
    LuaGuard *guard = hook->guard;
    lua_State *L = guard->L;
    memset(result, 0, sizeof *result);
    if (guard->busy) return lg_refuse_nested(guard);
    lg_begin(guard, budget);
    lg_message_begin(guard, message);
    guard->calling = hook->path;
    int status;
    if (!second) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, hook->ref);
        lua_pushvalue(L, SLOT_MESSAGE);
        status = lua_pcall(L, 1, 1, SLOT_HANDLER);
    } else {
        Values values = {hook, *second};
        lua_pushcfunction(L, second_body);
        lua_pushlightuserdata(L, &values);
        status = lua_pcall(L, 1, 1, SLOT_HANDLER);
    }
    return finish(hook, status, result);
}

static int call_body(lua_State *L) {
    Values *values = lua_touserdata(L, 1);
    lg_push_array(L, values->values);
    int count = (int)lua_rawlen(L, 2);
    luaL_checkstack(L, count + 4, "too many arguments");
    lua_rawgeti(L, LUA_REGISTRYINDEX, values->hook->ref);
    for (int i = 1; i <= count; i++) lua_rawgeti(L, 2, i);
    lua_call(L, count, 1);
    return 1;
}

LGStatus lg_hook_call(LGHook *hook, LGBytes arguments, LGBudget budget, LGHookResult *result) {
    LuaGuard *guard = hook->guard;
    lua_State *L = guard->L;
    memset(result, 0, sizeof *result);
    if (guard->busy) return lg_refuse_nested(guard);
    Values values = {hook, arguments};
    lg_begin(guard, budget);
    guard->calling = hook->path;
    lua_pushcfunction(L, call_body);
    lua_pushlightuserdata(L, &values);
    return finish(hook, lua_pcall(L, 1, 1, SLOT_HANDLER), result);
}
