// The table library: as Lua's own, with a charge for each element. Knows no broker word.

#include <limits.h>

#include "internal.h"

// Reads and writes pass through metamethods as in Lua's library; `__len` may say anything, so every loop is
// paid for before it begins.
static lua_Integer length(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    return luaL_len(L, 1);
}

static void spend_span(lua_State *L, lua_Integer from, lua_Integer to) {
    if (to >= from) lg_spend(L, ((lua_Unsigned)to - (lua_Unsigned)from) / 2 + 1);
}

static int table_insert(lua_State *L) {
    lua_Integer e = (lua_Integer)((lua_Unsigned)length(L) + 1);
    lua_Integer at = e;
    switch (lua_gettop(L)) {
    case 2: break;
    case 3:
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, (lua_Unsigned)at - 1u < (lua_Unsigned)e, 2, "position out of bounds");
        spend_span(L, at, e);
        for (lua_Integer i = e; i > at; i--) {
            lua_geti(L, 1, i - 1);
            lua_seti(L, 1, i);
        }
        break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_seti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L) {
    lua_Integer size = length(L);
    lua_Integer at = luaL_optinteger(L, 2, size);
    if (at != size) {
        luaL_argcheck(L, (lua_Unsigned)at - 1u <= (lua_Unsigned)size, 2, "position out of bounds");
    }
    spend_span(L, at, size);
    lua_geti(L, 1, at);
    for (; at < size; at++) {
        lua_geti(L, 1, at + 1);
        lua_seti(L, 1, at);
    }
    lua_pushnil(L);
    lua_seti(L, 1, at);
    return 1;
}

static int table_move(lua_State *L) {
    lua_Integer f = luaL_checkinteger(L, 2), e = luaL_checkinteger(L, 3), t = luaL_checkinteger(L, 4);
    int to = lua_isnoneornil(L, 5) ? 1 : 5;
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, to, LUA_TTABLE);
    if (e >= f) {
        luaL_argcheck(L, f > 0 || e < LUA_MAXINTEGER + f, 3, "too many elements to move");
        lua_Integer n = e - f + 1;
        luaL_argcheck(L, t <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
        spend_span(L, f, e);
        if (t > e || t <= f || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ))) {
            for (lua_Integer i = 0; i < n; i++) {
                lua_geti(L, 1, f + i);
                lua_seti(L, to, t + i);
            }
        } else {
            for (lua_Integer i = n - 1; i >= 0; i--) {
                lua_geti(L, 1, f + i);
                lua_seti(L, to, t + i);
            }
        }
    }
    lua_pushvalue(L, to);
    return 1;
}

static int table_concat(lua_State *L) {
    lua_Integer last = length(L);
    size_t separator_count;
    const char *separator = luaL_optlstring(L, 2, "", &separator_count);
    lua_Integer i = luaL_optinteger(L, 3, 1);
    last = luaL_optinteger(L, 4, last);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (; i <= last; i++) {
        lua_geti(L, 1, i);
        if (!lua_isstring(L, -1)) {
            return luaL_error(L, "invalid value (at index %I) in table for 'concat'", (LUAI_UACINT)i);
        }
        lg_spend(L, (lua_rawlen(L, -1) + separator_count) / 64 + 1);
        luaL_addvalue(&out);
        if (i == last) break;  // also where i + 1 would overflow
        luaL_addlstring(&out, separator, separator_count);
    }
    luaL_pushresult(&out);
    return 1;
}

static int table_pack(lua_State *L) {
    int count = lua_gettop(L);
    lg_spend(L, (uint64_t)count / 2 + 1);
    lua_createtable(L, count, 1);
    lua_insert(L, 1);
    for (int i = count; i >= 1; i--) lua_seti(L, 1, i);
    lua_pushinteger(L, count);
    lua_setfield(L, 1, "n");
    return 1;
}

static int table_unpack(lua_State *L) {
    lua_Integer i = luaL_optinteger(L, 2, 1);
    lua_Integer e = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
    if (i > e) return 0;
    lua_Unsigned count = (lua_Unsigned)e - (lua_Unsigned)i;
    if (count >= (unsigned)INT_MAX || !lua_checkstack(L, (int)count + 1)) {
        return luaL_error(L, "too many results to unpack");
    }
    lg_spend(L, count / 2 + 1);
    for (; i < e; i++) lua_geti(L, 1, i);
    lua_geti(L, 1, e);
    return (int)count + 1;
}

// The order that sort goes by. Upvalue: a function, or nil for `<`. No hook sees what C compares.
static int sort_order(lua_State *L) {
    lua_settop(L, 2);
    size_t bytes = lua_type(L, 1) == LUA_TSTRING ? lua_rawlen(L, 1) : 0;
    if (lua_type(L, 2) == LUA_TSTRING) bytes += lua_rawlen(L, 2);
    lg_spend(L, bytes / 64 + 2);
    if (lua_isnil(L, lua_upvalueindex(1))) {
        lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    } else {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, 2, 1);
    }
    return 1;
}

// Whether sort may compare by itself: a function in Lua is seen by the hook, and numbers are quick.
static bool compares_itself(lua_State *L) {
    if (!lua_isnil(L, 2)) return !lua_iscfunction(L, 2);
    lua_rawgeti(L, 1, 1);
    bool number = lua_type(L, -1) == LUA_TNUMBER;
    lua_pop(L, 1);
    return number && !luaL_getmetafield(L, 1, "__index");
}

// Upvalue: Lua's own sort. It asks for the length itself, and `__len` may answer otherwise then: refused.
static int table_sort(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL) {
        return luaL_error(L, "sort takes a table without __len");
    }
    uint64_t count = lua_rawlen(L, 1), steps = count;
    for (uint64_t n = count; n > 1; n /= 2) steps += count;
    lg_spend(L, steps);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
    if (!compares_itself(L)) {
        lua_settop(L, 2);
        lua_pushcclosure(L, sort_order, 1);
    }
    lua_settop(L, 2);
    return ((lua_CFunction)lua_touserdata(L, lua_upvalueindex(1)))(L);
}

void lg_open_tables(lua_State *L) {
    static const luaL_Reg own[] = {
        {"insert", table_insert}, {"remove", table_remove}, {"move", table_move},
        {"concat", table_concat}, {"pack", table_pack}, {"unpack", table_unpack}, {NULL, NULL},
    };
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
    luaL_setfuncs(L, own, 0);
    lua_getfield(L, -1, "sort");
    lua_CFunction sort = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    lua_pushlightuserdata(L, (void *)sort);
    lua_pushcclosure(L, table_sort, 1);
    lua_setfield(L, -2, "sort");
    lua_pop(L, 1);
}
