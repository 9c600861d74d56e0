// The base library and coroutines, as far as a script may have them. Knows no broker word.
//
// Left out: dofile, loadfile, collectgarbage, warn, coroutine.close (5.4.4 overflows the C stack when calls
// of it nest), string.dump, io, debug, package, and os beyond time, date and clock.

#include "internal.h"

// ---- pcall and xpcall: a limit passes through

static int after_pcall(lua_State *L, int status, lua_KContext extra) {
    if (status != LUA_OK && status != LUA_YIELD) {
        if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
        lg_raise_if_tripped(L);
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)extra;
}

static int guarded_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return after_pcall(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, after_pcall), 0);
}

// A handler called from the count hook would run with hooks off: no handler runs for a limit.
static int handle_unless_tripped(lua_State *L) {
    if (lg_of(L)->tripped) return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int guarded_xpcall(lua_State *L) {
    int count = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle_unless_tripped, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    return after_pcall(L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, after_pcall), 2);
}

// ---- load, require, setmetatable, print

static int guarded_load(lua_State *L) {
    size_t count;
    if (lua_type(L, 1) != LUA_TSTRING) return luaL_argerror(L, 1, "load takes text");
    const char *text = lua_tolstring(L, 1, &count);
    const char *name = luaL_optstring(L, 2, text);
    // A name is sought through all locals of all enclosing functions: at worst the text's length squared.
    lg_spend(L, count + (uint64_t)count * count / 256);
    int status = luaL_loadbufferx(L, text, count, name, "t");
    if (status == LUA_OK) {
        if (!lua_isnone(L, 4)) {
            lua_pushvalue(L, 4);
            if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
        }
        return 1;
    }
    if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
    lg_raise_if_tripped(L);
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
}

static int guarded_require(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->loaded);  // 2
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) != LUA_TNIL) {
        if (lua_touserdata(L, -1) == (void *)guard) return luaL_error(L, "module '%s' requires itself", name);
        return 1;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->sources);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) != LUA_TTABLE) {
        return luaL_error(L, "module '%s' not found (looked in the plugin's folder and in _lib)", name);
    }
    int source = lua_gettop(L);
    lua_pushliteral(L, "@");
    lua_rawgeti(L, source, 1);
    lua_concat(L, 2);
    lua_rawgeti(L, source, 2);
    size_t count;
    const char *text = lua_tolstring(L, -1, &count);
    lg_spend(L, count);
    int status = luaL_loadbufferx(L, text, count, lua_tostring(L, -2), "t");
    if (status != LUA_OK) {
        if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
        return lua_error(L);
    }
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, guard);
    lua_rawset(L, 2);  // under way; stays so when it fails, and is set again below when it does not
    lua_pushvalue(L, 1);
    status = lua_pcall(L, 1, 1, 0);
    if (status != LUA_OK) {
        if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
        lua_pushvalue(L, 1);
        lua_pushnil(L);
        lua_rawset(L, 2);
        return lua_error(L);
    }
    if (lua_isnil(L, -1)) lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
    return 1;
}

static int guarded_setmetatable(lua_State *L) {
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        lua_rawget(L, 2);
        if (!lua_isnil(L, -1)) return luaL_error(L, "a metatable may not have __gc");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

// Calls the wrapped C function after charging for its strings and its number of arguments.
static int charged(lua_State *L) {
    int top = lua_gettop(L);
    size_t bytes = (size_t)top * 4;
    for (int i = 1; i <= top; i++) {
        if (lua_type(L, i) == LUA_TSTRING) bytes += lua_rawlen(L, i);
    }
    lg_spend(L, bytes / 16 + 1);
    return ((lua_CFunction)lua_touserdata(L, lua_upvalueindex(1)))(L);
}

void lg_charged(lua_State *L, const char *name) {
    lua_getfield(L, -1, name);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    lua_pushlightuserdata(L, (void *)function);
    lua_pushcclosure(L, charged, 1);
    lua_setfield(L, -2, name);
}

// Upvalue: Lua's date. A conversion of two characters takes half a microsecond.
static int os_date(lua_State *L) {
    lg_spend(L, lua_type(L, 1) == LUA_TSTRING ? (uint64_t)lua_rawlen(L, 1) * 40 : 40);
    return ((lua_CFunction)lua_touserdata(L, lua_upvalueindex(1)))(L);
}

static void forget(lua_State *L, const char *name) {
    lua_pushnil(L);
    lua_setfield(L, -2, name);
}

void lg_open_base(lua_State *L) {
    static const luaL_Reg own[] = {
        {"pcall", guarded_pcall},     {"xpcall", guarded_xpcall},
        {"load", guarded_load},       {"require", guarded_require},
        {"setmetatable", guarded_setmetatable}, {NULL, NULL},
    };
    static const char *const absent[] = {"dofile", "loadfile", "collectgarbage", "warn"};
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) forget(L, absent[i]);
    luaL_setfuncs(L, own, 0);
    lg_charged(L, "tonumber");
    lg_charged(L, "select");
    lua_pop(L, 1);

    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
    lg_charged(L, "max");
    lg_charged(L, "min");
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, (lua_Integer)lg_of(L)->limits.seed);
    lua_call(L, 1, 0);
    lua_pop(L, 1);

    luaL_requiref(L, LUA_OSLIBNAME, luaopen_os, 0);
    lua_createtable(L, 0, 3);
    static const char *const kept[] = {"time", "date", "clock"};
    for (size_t i = 0; i < 3; i++) {
        lua_getfield(L, -2, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    lua_getfield(L, -1, "date");
    lua_pushlightuserdata(L, (void *)lua_tocfunction(L, -1));
    lua_pushcclosure(L, os_date, 1);
    lua_setfield(L, -3, "date");
    lua_pop(L, 1);
    lua_setglobal(L, LUA_OSLIBNAME);
    lua_pop(L, 1);
}

// ---- Coroutines

static lua_State *check_coroutine(lua_State *L) {
    lua_State *thread = lua_tothread(L, 1);
    luaL_argexpected(L, thread, 1, "coroutine");
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, thread) != LUA_TNIL) {
        luaL_error(L, "cannot resume a hook: it goes on when what it waits for is there");
    }
    lua_pop(L, 1);
    return thread;
}

static int coroutine_create(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lg_spend(L, LG_COROUTINE_COST);
    lua_State *thread = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    return 1;
}

// Number of results on L's stack, or -1 with the error on top.
static int resume(lua_State *L, lua_State *thread, int arguments) {
    LuaGuard *guard = lg_of(L);
    lg_spend(L, 4 + (uint64_t)arguments / 4);
    if (!lua_checkstack(thread, arguments)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, thread, arguments);
    if (lua_gethookcount(thread) > guard->tick) {
        lua_sethook(thread, lua_gethook(thread), LUA_MASKCOUNT, guard->tick);
    }
    lua_State *outer = guard->running;
    int results;
    guard->running = thread;
    int status = lua_resume(thread, L, arguments, &results);
    guard->running = outer;
    if (lua_gethookcount(L) > guard->tick) {
        lua_sethook(L, lua_gethook(L), LUA_MASKCOUNT, guard->tick);  // it may have left something big behind
    }
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, results + 1)) {
            lua_pop(thread, results);
            lua_pushliteral(L, "too many results to resume");
            return -1;
        }
        lua_xmove(thread, L, results);
        return results;
    }
    lua_xmove(thread, L, 1);
    if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
    lg_raise_if_tripped(L);
    return -1;
}

static int coroutine_resume(lua_State *L) {
    int results = resume(L, check_coroutine(L), lua_gettop(L) - 1);
    if (results < 0) {
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushboolean(L, 1);
    lua_insert(L, -(results + 1));
    return results + 1;
}

static int wrapped(lua_State *L) {
    int results = resume(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L));
    if (results >= 0) return results;
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int coroutine_wrap(lua_State *L) {
    coroutine_create(L);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

// A hook that may wait runs in a coroutine, which is the host's to resume: it has no one to yield to.
static int coroutine_yield(lua_State *L) {
    if (lg_of(L)->task_thread == L) return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

void lg_open_coroutine(lua_State *L) {
    static const luaL_Reg own[] = {
        {"create", coroutine_create}, {"resume", coroutine_resume}, {"wrap", coroutine_wrap},
        {"yield", coroutine_yield},   {NULL, NULL},
    };
    luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 1);
    luaL_setfuncs(L, own, 0);
    forget(L, "close");
    lua_pop(L, 1);
}
