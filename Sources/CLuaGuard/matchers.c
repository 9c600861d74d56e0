// Matchers of headers: a plugin's `matcher`, and expressions that clients bind with. Either is a function of
// the headers and of what was kept for it.

#include "internal.h"

struct LGMatcher {
    LuaGuard *guard;
    int match, kept;
    bool is_expression;
};

typedef struct {
    LGMatcher *matcher;
    LGBytes bytes;
} Making;

static LGMatcher *open_matcher(LuaGuard *guard, bool is_expression, lua_CFunction body, LGBytes bytes,
                               LGBudget budget) {
    LGMatcher *matcher = calloc(1, sizeof *matcher);
    if (!matcher) return NULL;
    *matcher = (LGMatcher){guard, LUA_NOREF, LUA_NOREF, is_expression};
    Making opening = {matcher, bytes};
    if (lg_run(guard, body, &opening, budget) != LG_OK) {
        lg_matcher_close(matcher);
        return NULL;
    }
    return matcher;
}

void lg_matcher_close(LGMatcher *matcher) {
    if (!matcher) return;
    luaL_unref(matcher->guard->L, LUA_REGISTRYINDEX, matcher->match);
    luaL_unref(matcher->guard->L, LUA_REGISTRYINDEX, matcher->kept);
    free(matcher);
}

// ---- A plugin's matcher

static int bind_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    Making *opening = lua_touserdata(L, 1);
    guard->calling = "matcher.bind";
    if (!lg_push_path(L, lg_bytes("matcher.match", 13)) || !lua_isfunction(L, -1)) {
        guard->failure = LG_REFUSED;
        return luaL_error(L, "the plugin has no matcher.match");
    }
    if (lg_push_path(L, lg_bytes("matcher.bind", 12)) && lua_isfunction(L, -1)) {
        lg_push_table(L, opening->bytes);
        lua_call(L, 1, 1);
        lg_raise_denial(L);
    } else {
        lua_pop(L, 1);
        lg_push_table(L, opening->bytes);
    }
    opening->matcher->kept = luaL_ref(L, LUA_REGISTRYINDEX);
    opening->matcher->match = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

LGMatcher *lg_matcher_open(LuaGuard *guard, LGBytes arguments, LGBudget budget) {
    return open_matcher(guard, false, bind_body, arguments, budget);
}

// ---- Expressions

static int refuse_write(lua_State *L) { return luaL_error(L, "an expression may not change anything"); }

// Puts a table that can be read but not written, and whose metatable cannot be had, in the place of the table
// on top.
static void protect(lua_State *L) {
    lua_createtable(L, 0, 0);
    lua_createtable(L, 0, 3);
    lua_rotate(L, -3, -1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

// The functions of a library, without one: a seed would be set for all expressions.
static void protect_library(lua_State *L, const char *name, const char *without) {
    lua_newtable(L);
    lua_getglobal(L, name);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    lua_pop(L, 1);
    if (without) {
        lua_pushnil(L);
        lua_setfield(L, -2, without);
    }
    protect(L);
    lua_setfield(L, -2, name);
}

static void push_names(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    static const char *const functions[] = {"type", "tonumber", "tostring"};
    if (guard->expression_names == LUA_NOREF) {
        lua_newtable(L);
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
            lua_getglobal(L, functions[i]);
            lua_setfield(L, -2, functions[i]);
        }
        protect_library(L, LUA_STRLIBNAME, NULL);
        protect_library(L, LUA_MATHLIBNAME, "randomseed");
        protect_library(L, LUA_UTF8LIBNAME, NULL);
        protect(L);
        guard->expression_names = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->expression_names);
}

// Leaves the compiled chunk, "<before><text><after>", on the stack.
static void compile(lua_State *L, const char *before, LGBytes text, const char *after) {
    luaL_Buffer chunk;
    luaL_buffinit(L, &chunk);
    luaL_addstring(&chunk, before);
    luaL_addlstring(&chunk, (const char *)text.bytes, text.count);
    luaL_addstring(&chunk, after);
    luaL_pushresult(&chunk);
    size_t count;
    const char *source = lua_tolstring(L, -1, &count);
    lg_spend(L, count + (uint64_t)count * count / 256);  // as in load
    int status = luaL_loadbufferx(L, source, count, "=x-lua", "t");
    if (status != LUA_OK) {
        if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
        lg_raise_if_tripped(L);
        lg_of(L)->failure = LG_SYNTAX;
        const char *problem = lua_tostring(L, -1);  // "C stack overflow" names no place
        if (strncmp(problem, "x-lua:", 6) != 0) lua_pushfstring(L, "x-lua:1: %s", problem);
        lua_error(L);
    }
}

// What compiles behind `return` is a list of expressions that closes nothing of ours; what compiles between
// parentheses too is one expression. `_ENV` is a local: whoever assigns to it changes nothing that lasts.
static int expression_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    Making *opening = lua_touserdata(L, 1);
    LGBytes text = opening->bytes;
    if (text.count > LG_EXPRESSION_BYTES) {
        guard->failure = LG_SYNTAX;
        return luaL_error(L, "x-lua: an expression has at most %d bytes", LG_EXPRESSION_BYTES);
    }
    compile(L, "return ", text, "");
    compile(L, "local headers, _ENV = ... return (", text, "\n)");
    int chunk = lua_gettop(L);
    push_names(L);
    opening->matcher->kept = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_settop(L, chunk);
    lua_pushnil(L);
    lua_setupvalue(L, chunk, 1);
    opening->matcher->match = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

LGMatcher *lg_expression_open(LuaGuard *guard, LGBytes text, LGBudget budget) {
    return open_matcher(guard, true, expression_body, text, budget);
}

// ---- Matching

static int match_body(lua_State *L) {
    LGMatcher *matcher = lua_touserdata(L, 2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, matcher->match);
    lg_push_headers(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, matcher->kept);
    lua_call(L, 2, 1);
    return 1;
}

// hot: no allocation but the script's own.
LGStatus lg_matcher_matches(LGMatcher *matcher, const LGMessage *message, LGBudget budget, bool *matches) {
    LuaGuard *guard = matcher->guard;
    lua_State *L = guard->L;
    *matches = false;
    if (guard->busy) return lg_refuse_nested(guard);
    lg_begin(guard, budget);
    lg_message_begin(guard, message);
    guard->calling = "matcher.match";
    lua_pushcfunction(L, match_body);
    lua_pushvalue(L, SLOT_MESSAGE);
    lua_pushlightuserdata(L, matcher);
    int status = lua_pcall(L, 2, 1, SLOT_HANDLER);
    const char *problem = NULL;
    if (status == LUA_OK) {
        int type = lua_type(L, -1);
        if (!matcher->is_expression && type != LUA_TBOOLEAN && type != LUA_TNIL) {
            problem = lua_typename(L, type);
        }
        *matches = lua_toboolean(L, -1);
    }
    lg_message_end(guard);
    int kind = lg_end(guard, status);
    if (!problem) return kind;
    *matches = false;
    return lg_fail(guard, "matcher.match returned a %s, expected a boolean", problem);
}
