// The string and utf8 libraries: Lua's own functions behind a charge, and ours where a count decides the
// cost.

#include "internal.h"

static int string_rep(lua_State *L) {
    size_t count, separator_count;
    const char *text = luaL_checklstring(L, 1, &count);
    lua_Integer times = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &separator_count);
    if (times <= 0 || count + separator_count == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    size_t unit = count + separator_count, limit = lg_of(L)->limits.string_bytes;
    if ((lua_Unsigned)times > limit / unit + 1) return luaL_error(L, "resulting string too large");
    size_t total = (size_t)times * unit - separator_count;
    lg_spend_bytes(L, total);
    luaL_Buffer out;
    char *at = luaL_buffinitsize(L, &out, total + separator_count);
    memcpy(at, text, count);
    memcpy(at + count, separator, separator_count);
    for (size_t done = unit; done < total + separator_count;) {
        size_t next = done <= total + separator_count - done ? done : total + separator_count - done;
        memcpy(at + done, at, next);
        done += next;
    }
    luaL_pushresultsize(&out, total);
    return 1;
}

static bool quotes(const char *format, size_t count) {
    for (size_t i = 0; i + 1 < count; i++) {
        if (format[i] == '%' && format[i + 1] == 'q') return true;
    }
    return false;
}

// Upvalue: Lua's format. "%99.99f" of 1e308 takes 10 microseconds: each argument is paid for as if it were
// one. So are strings under "%q", which prints each control character by itself.
static int string_format(lua_State *L) {
    size_t count;
    const char *format = luaL_checklstring(L, 1, &count);
    uint64_t cost = count / 16 + 1, price = quotes(format, count) ? 128 : 1;
    for (int i = 2; i <= lua_gettop(L); i++) {
        int type = lua_type(L, i);
        cost += type == LUA_TSTRING ? 8 + price * lua_rawlen(L, i) / 16 : type == LUA_TNUMBER ? 50 : 8;
    }
    lg_spend(L, cost);
    return ((lua_CFunction)lua_touserdata(L, lua_upvalueindex(1)))(L);
}

// Upvalue: Lua's pack or packsize. "c1000000" pads to that many bytes: numbers in the format are paid for.
static int string_pack(lua_State *L) {
    size_t count;
    const char *format = luaL_checklstring(L, 1, &count);
    uint64_t bytes = count * 4, number = 0;
    for (size_t i = 0; i <= count; i++) {
        if (i < count && format[i] >= '0' && format[i] <= '9') {
            if (number < UINT32_MAX) number = number * 10 + (uint64_t)(format[i] - '0');
        } else {
            bytes += number;
            number = 0;
        }
    }
    for (int i = 2; i <= lua_gettop(L); i++) bytes += lua_rawlen(L, i);
    lg_spend(L, bytes / 16 + 1);
    return ((lua_CFunction)lua_touserdata(L, lua_upvalueindex(1)))(L);
}

static void wrap(lua_State *L, const char *name, lua_CFunction wrapper) {
    lua_getfield(L, -1, name);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    lua_pushlightuserdata(L, (void *)function);
    lua_pushcclosure(L, wrapper, 1);
    lua_setfield(L, -2, name);
}

void lg_open_strings(lua_State *L) {
    static const luaL_Reg own[] = {{"find", lg_find},     {"match", lg_match}, {"gmatch", lg_gmatch},
                                   {"gsub", lg_gsub},     {"rep", string_rep}, {NULL, NULL}};
    static const char *const paid[] = {"byte", "char", "lower", "reverse", "sub", "upper"};
    static const char *const utf8_paid[] = {"char", "codepoint", "len", "offset", "codes"};
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
    luaL_setfuncs(L, own, 0);
    for (size_t i = 0; i < sizeof paid / sizeof *paid; i++) lg_charged(L, paid[i]);
    wrap(L, "format", string_format);
    wrap(L, "pack", string_pack);
    wrap(L, "packsize", string_pack);
    wrap(L, "unpack", string_pack);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    // The strings' own metatable indexes this same table; hide it, so that its arithmetic stays Lua's.
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 3);

    luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 1);
    for (size_t i = 0; i < sizeof utf8_paid / sizeof *utf8_paid; i++) lg_charged(L, utf8_paid[i]);
    lua_pop(L, 1);
}
