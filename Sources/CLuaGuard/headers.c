// The headers of the message under way, as scripts see them. Few are made a table at once. Many are a table
// that holds their bytes under a key that no script can name, and whose fields are read when they are asked
// for; a script that walks it, writes to it or reads it often makes it a table like any other. Either is the
// script's own and may be kept.

#include "internal.h"

static const char headers_metatable = 0, content_key = 0;

// Fills the table at index, whose metatable is ours. Next time the script may do the same: the tables of its
// next messages are made at once, which is quicker.
static void fill(lua_State *L, int index) {
    LuaGuard *guard = lg_of(L);
    lua_rawgetp(L, index, &content_key);
    lg_fill_table(L, index, lg_check_text(L, lua_gettop(L)));
    lua_pushnil(L);
    lua_rawsetp(L, index, &content_key);
    lua_pushnil(L);
    lua_setmetatable(L, index);
    lua_pop(L, 1);
    guard->headers_at_once = LG_HEADERS_AT_ONCE;
}

void lg_settle(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) return;
    bool ours = lua_topointer(L, -1) == lg_of(L)->headers_metatable;
    lua_pop(L, 1);
    if (ours) fill(L, index);
}

int lg_push_headers(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    if (guard->headers_read) {
        lua_getiuservalue(L, 1, MESSAGE_HEADERS);
        return 1;
    }
    LGBytes content = lg_message_headers(L);
    int count = content.count <= LG_SHORT_HEADERS ? lg_count_fields(content, LG_FEW_HEADERS) : -1;
    if (count >= 0) {
        lg_push_counted(L, content, count);
    } else if (guard->headers_at_once > 0) {
        guard->headers_at_once--;
        lg_push_table(L, content);
    } else {
        lua_createtable(L, 0, 1);
        lua_pushlstring(L, (const char *)content.bytes, content.count);
        lua_rawsetp(L, -2, &content_key);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &headers_metatable);
        lua_setmetatable(L, -2);
        guard->headers_reads = guard->headers_passed = 0;
    }
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, MESSAGE_HEADERS);
    guard->headers_read = true;
    return 1;
}

// hot:
static int headers_index(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    size_t count;
    const char *name = lua_tolstring(L, 2, &count);
    if (++guard->headers_reads <= LG_HEADERS_READS && guard->headers_passed <= LG_HEADERS_PASSED) {
        lua_rawgetp(L, 1, &content_key);
        guard->headers_passed += lg_push_field(L, lg_check_text(L, 3), name, count);
        // Who gets a table may change it, and wants to find it changed.
        if (lua_type(L, -1) != LUA_TTABLE) return 1;
    }
    fill(L, 1);
    lua_settop(L, 2);
    lua_rawget(L, 1);
    return 1;
}

static int headers_newindex(lua_State *L) {
    lg_settle(L, 1);
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
}

// Upvalue: next.
static int headers_pairs(lua_State *L) {
    lg_settle(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

// Upvalue: the function that passes by metamethods.
static int settled(lua_State *L) {
    if (lua_type(L, 1) == LUA_TTABLE) lg_settle(L, 1);
    return ((lua_CFunction)lua_touserdata(L, lua_upvalueindex(1)))(L);
}

void lg_open_headers(lua_State *L) {
    static const char *const raw[] = {"next", "rawget", "rawset", "setmetatable"};
    lua_createtable(L, 0, 4);
    lua_pushcfunction(L, headers_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, headers_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_getglobal(L, "next");
    lua_pushcclosure(L, headers_pairs, 1);
    lua_setfield(L, -2, "__pairs");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lg_of(L)->headers_metatable = lua_topointer(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &headers_metatable);
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
        lua_getglobal(L, raw[i]);
        lua_pushlightuserdata(L, (void *)lua_tocfunction(L, -1));
        lua_pushcclosure(L, settled, 1);
        lua_setglobal(L, raw[i]);
        lua_pop(L, 1);
    }
}
