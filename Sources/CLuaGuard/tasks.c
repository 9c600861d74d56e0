// Hooks that may wait: each runs in a coroutine of its own, which the host starts, resumes and gives up.
// Knows what scripts may wait for by name only.
//
//   start ──▶ running ──▶ finished        running ──wait──▶ waiting ──resume──▶ running
//                └──▶ failed                                   └──cancel──▶ gone

#include <stdio.h>

#include "internal.h"

struct LGTask {
    LuaGuard *guard;
    lua_State *thread;  // null: over
    uint32_t waits;
    bool waiting, cancelled;
    char path[];
};

// ---- Waiting, as scripts see it

// What the host answered stands above `base`; or the text of its error.
static int after_wait(lua_State *L, int status, lua_KContext base) {
    (void)status;
    if (lg_of(L)->resume_fails) {
        lg_of(L)->resume_fails = false;
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
        return lua_error(L);
    }
    return lua_gettop(L) - (int)base;
}

static void check_may_wait(lua_State *L, const char *name) {
    LuaGuard *guard = lg_of(L);
    if (!guard->task) {
        luaL_error(L, "%s waits, and %s may not wait", name, guard->calling ? guard->calling : "this hook");
    }
    if (guard->task->thread != L) {
        luaL_error(L, "%s waits, and may do so only in the hook itself, not in a coroutine of the "
                   "script's own", name);
    }
    if (!lua_isyieldable(L)) {
        luaL_error(L, "%s waits, and may not do so in a function that sort, gsub, require or the like calls",
                   name);
    }
    if (guard->task->waits >= LG_TASK_WAITS) {
        luaL_error(L, "%s: a hook may wait %d times at most", name, LG_TASK_WAITS);
    }
    if (guard->waiting >= LG_WAITING_TASKS) {
        luaL_error(L, "%s: %d hooks of this plugin wait already", name, LG_WAITING_TASKS);
    }
}

// Waits for what the value on top describes. The request is written before the wait, where an error can still
// be caught.
static int wait_for(lua_State *L, const char *name) {
    LuaGuard *guard = lg_of(L);
    int base = lua_gettop(L) - 1;
    if (guard->test_waits != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, guard->test_waits);
        lua_pushstring(L, name);
        lua_pushvalue(L, base + 1);
        lua_call(L, 2, LUA_MULTRET);
        return lua_gettop(L) - base - 1;
    }
    check_may_wait(L, name);
    lua_createtable(L, 2, 0);
    lua_pushstring(L, name);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, base + 1);
    lua_rawseti(L, -2, 2);
    guard->out.count = 0;
    lg_encode(L, base + 2, &guard->out, false);
    lua_settop(L, base);
    guard->wanted = true;
    return lua_yieldk(L, 0, base, after_wait);
}

static int wait_sleep(lua_State *L) {
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds >= 0 && seconds <= 60, 1, "0 to 60 seconds expected");
    lua_settop(L, 0);
    lua_pushnumber(L, seconds);
    return wait_for(L, "sleep");
}

static int wait_resolve(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    size_t count = lua_rawlen(L, 1);
    luaL_argcheck(L, count >= 1 && count <= 253, 1, "a name of 1 to 253 bytes expected");
    lua_settop(L, 1);
    return wait_for(L, "dns.resolve");
}

static int wait_challenge(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 1);
    return wait_for(L, "challenge");
}

// ---- http.request

static bool is_plain(const char *text, size_t count, unsigned char least) {
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < least && c != '\t') || c == 127) return false;
    }
    return true;
}

static bool is_token(const char *text, size_t count) {
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 127 || strchr("()<>@,;:\\\"/[]?={}", c)) return false;
    }
    return count > 0 && count <= 128;
}

static bool is_url(const char *text, size_t count) {
    if (count > LG_URL_BYTES || !is_plain(text, count, '!') || memchr(text, '\t', count)) return false;
    return (count > 7 && memcmp(text, "http://", 7) == 0) || (count > 8 && memcmp(text, "https://", 8) == 0);
}

// The headers at the top: names and texts.
static void check_headers(lua_State *L) {
    int headers = lua_gettop(L), seen = 0;
    if (!lua_istable(L, headers)) luaL_error(L, "http.request: headers must be a table");
    lg_settle(L, headers);
    lua_pushnil(L);
    while (lua_next(L, headers)) {
        size_t name_count, count;
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &name_count) : NULL;
        if (!name || !is_token(name, name_count)) luaL_error(L, "http.request: a header's name is none");
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &count) : NULL;
        if (!text || count > LG_URL_BYTES || !is_plain(text, count, ' ')) {
            luaL_error(L, "http.request: header '%s' must be a text of one line", name);
        }
        if (++seen > LG_HTTP_HEADERS) luaL_error(L, "http.request: more than %d headers", LG_HTTP_HEADERS);
        lua_pop(L, 1);
    }
}

// The option at the top, whose name is below it.
static void check_option(lua_State *L) {
    size_t n, count = 0;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &n) : NULL;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &count) : NULL;
    if (!name) {
        luaL_error(L, "http.request: an option's name is a %s", luaL_typename(L, -2));
    } else if (IS(name, n, "url")) {
        if (!text || !is_url(text, count)) {
            luaL_error(L, "http.request: url must begin with http:// or https:// and have no spaces");
        }
    } else if (IS(name, n, "method")) {
        if (!text || !is_token(text, count)) luaL_error(L, "http.request: method must be a word");
    } else if (IS(name, n, "headers")) {
        check_headers(L);
    } else if (IS(name, n, "body")) {
        if (!text || count > LG_HTTP_BODY) {
            luaL_error(L, "http.request: body must be a text of at most 1 MiB");
        }
    } else if (IS(name, n, "timeout")) {
        lua_Number seconds = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (!(seconds > 0 && seconds <= 30)) luaL_error(L, "http.request: timeout must be 0 to 30 seconds");
    } else {
        luaL_error(L, "http.request has no option '%s'", name);
    }
}

static int wait_request(lua_State *L) {
    if (!lua_istable(L, 1)) return luaL_error(L, "http.request takes a table");
    lua_settop(L, 1);
    lg_settle(L, 1);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lg_spend(L, 4);
        check_option(L);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 2);
    }
    if (lua_getfield(L, 2, "url") == LUA_TNIL) return luaL_error(L, "http.request needs a url");
    lua_pop(L, 1);
    return wait_for(L, "http.request");
}

// yutu.host: from now on f(name, request) answers what would wait; nil ends it.
int lg_answer_waits(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_unref(L, LUA_REGISTRYINDEX, guard->test_waits);
    guard->test_waits = LUA_NOREF;
    lua_settop(L, 1);
    if (!lua_isnil(L, 1)) guard->test_waits = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

void lg_open_tasks(lua_State *L) {
    lg_of(L)->test_waits = LUA_NOREF;
    lua_pushcfunction(L, wait_sleep);
    lua_setglobal(L, "sleep");
    lua_pushcfunction(L, wait_challenge);
    lua_setglobal(L, "challenge");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, wait_request);
    lua_setfield(L, -2, "request");
    lua_setglobal(L, "http");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, wait_resolve);
    lua_setfield(L, -2, "resolve");
    lua_setglobal(L, "dns");
}

// ---- The host's side

typedef struct {
    LGTask *task;
    LGBytes path, values;
    bool starts, fails;
    LGProgress *progress;
} Turn;

// Makes the task's coroutine, with the function on its stack. The registry holds it under its own address, by
// which coroutine.resume knows that it is none of the script's.
static void make_thread(lua_State *L, Turn *turn) {
    LGTask *task = turn->task;
    if (!lg_push_path(L, turn->path) || !lua_isfunction(L, -1)) {
        lg_of(L)->failure = LG_REFUSED;
        luaL_error(L, "the plugin has no such function");
    }
    lua_State *thread = lua_newthread(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, thread);
    task->thread = thread;
    lua_xmove(L, thread, 1);
}

// Moves the values onto the thread and returns how many they are. A null among a wait's results is a nil.
static int move_values(lua_State *L, Turn *turn) {
    lg_push_array(L, turn->values);
    int values = lua_gettop(L), count = (int)lua_rawlen(L, values);
    luaL_checkstack(L, count + 4, "too many values");
    if (!lua_checkstack(turn->task->thread, count + 4)) luaL_error(L, "too many values");
    for (int i = 1; i <= count; i++) {
        if (lua_rawgeti(L, values, i) == LUA_TLIGHTUSERDATA && !turn->starts) {
            lua_pop(L, 1);
            lua_pushnil(L);
        }
    }
    lua_xmove(L, turn->task->thread, count);
    return count;
}

static int resume(lua_State *L, LGTask *task, int count, int *results) {
    LuaGuard *guard = task->guard;
    lua_State *thread = task->thread;
    if (lua_gethookcount(thread) > guard->tick) {
        lua_sethook(thread, lua_gethook(thread), LUA_MASKCOUNT, guard->tick);
    }
    guard->wanted = false;
    guard->task = task;
    guard->task_thread = thread;
    guard->running = thread;
    int status = lua_resume(thread, L, count, results);
    guard->running = L;
    guard->task = NULL;
    guard->task_thread = NULL;
    guard->resume_fails = false;
    if (lua_gethookcount(L) > guard->tick) lua_sethook(L, lua_gethook(L), LUA_MASKCOUNT, guard->tick);
    return status;
}

static int turn_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    Turn *turn = lua_touserdata(L, 1);
    LGTask *task = turn->task;
    LGProgress *progress = turn->progress;
    if (turn->starts) make_thread(L, turn);
    int count = move_values(L, turn), results;
    guard->resume_fails = turn->fails;
    int status = resume(L, task, count, &results);
    lua_State *thread = task->thread;
    if (status == LUA_YIELD) {
        if (!guard->wanted) return luaL_error(L, "a hook may not yield");
        progress->waits = true;
        return 0;
    }
    if (status != LUA_OK) {
        lg_copy_traceback(L, thread);
        lua_xmove(thread, L, 1);
        if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
        return lua_error(L);
    }
    if (results == 0) {
        lua_pushnil(L);
    } else {
        lua_pop(thread, results - 1);
        lua_xmove(thread, L, 1);
    }
    progress->is_verdict = lua_istable(L, -1) && lg_verdict(L, lua_gettop(L));
    guard->out.count = 0;
    lg_encode(L, lua_gettop(L), &guard->out, false);
    return 0;
}

// Its memory goes with the next collection; what it left open is not closed.
static void end_task(LGTask *task) {
    LuaGuard *guard = task->guard;
    if (task->waiting) guard->waiting--;
    task->waiting = false;
    if (!task->thread) return;
    lua_pushnil(guard->L);
    lua_rawsetp(guard->L, LUA_REGISTRYINDEX, task->thread);
    task->thread = NULL;
}

static LGStatus run_turn(Turn *turn, LGBudget budget) {
    LGTask *task = turn->task;
    LuaGuard *guard = task->guard;
    lua_State *L = guard->L;
    if (task->waiting) guard->waiting--;
    task->waiting = false;
    lg_begin(guard, budget);
    guard->calling = task->path;
    lua_pushcfunction(L, turn_body);
    lua_pushlightuserdata(L, turn);
    int status = lg_end(guard, lua_pcall(L, 1, 0, SLOT_HANDLER));
    if (status == LG_OK && turn->progress->waits && task->cancelled) {
        lg_fail(guard, "the hook was given up");
        status = guard->error.kind = LG_REFUSED;
    }
    if (status == LG_OK) turn->progress->value = lg_bytes(guard->out.bytes, guard->out.count);
    if (status != LG_OK || !turn->progress->waits) {
        end_task(task);
        return status;
    }
    task->waits++;
    task->waiting = true;
    guard->waiting++;
    return LG_OK;
}

LGStatus lg_task_start(LuaGuard *guard, LGBytes path, LGBytes arguments, LGBudget budget,
                       LGProgress *progress) {
    memset(progress, 0, sizeof *progress);
    if (guard->busy) return lg_refuse_nested(guard);
    LGTask *task = calloc(1, sizeof *task + path.count + 1);
    if (!task) {
        lg_fail(guard, "not enough memory");
        return guard->error.kind = LG_MEMORY;
    }
    task->guard = guard;
    if (path.count) memcpy(task->path, path.bytes, path.count);
    Turn turn = {task, path, arguments, true, false, progress};
    LGStatus status = run_turn(&turn, budget);
    if (task->waiting) progress->task = task;
    else free(task);
    return status;
}

LGStatus lg_task_resume(LGTask *task, LGBytes values, bool fails, LGBudget budget, LGProgress *progress) {
    LuaGuard *guard = task->guard;
    memset(progress, 0, sizeof *progress);
    if (guard->busy) return lg_refuse_nested(guard);
    if (!task->waiting) {
        lg_fail(guard, "the hook is over");
        return guard->error.kind = LG_REFUSED;
    }
    Turn turn = {task, {NULL, 0}, values, false, fails, progress};
    LGStatus status = run_turn(&turn, budget);
    if (task->waiting) progress->task = task;
    return status;
}

void lg_task_cancel(LGTask *task) {
    task->cancelled = true;
    if (task->guard->task != task) end_task(task);
}

void lg_task_close(LGTask *task) {
    if (!task) return;
    end_task(task);
    free(task);
}
