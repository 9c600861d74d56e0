// base64 (RFC 4648): `base64.encode(text)` and `base64.decode(text)`.

#include "internal.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void lg_base64_encode(const uint8_t *bytes, size_t count, char *out) {
    size_t at = 0;
    for (; count - at >= 3; at += 3) {
        uint32_t three = (uint32_t)bytes[at] << 16 | (uint32_t)bytes[at + 1] << 8 | bytes[at + 2];
        for (int i = 0; i < 4; i++) *out++ = alphabet[three >> (18 - 6 * i) & 63];
    }
    if (at == count) return;
    uint32_t rest = (uint32_t)bytes[at] << 16 | (at + 1 < count ? (uint32_t)bytes[at + 1] << 8 : 0);
    *out++ = alphabet[rest >> 18];
    *out++ = alphabet[rest >> 12 & 63];
    *out++ = at + 1 < count ? alphabet[rest >> 6 & 63] : '=';
    *out = '=';
}

static int digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

// The number of octets, or -1 when the text is no base64. The padding may be left out, and the alphabet may
// be the one for addresses (RFC 4648, 5): tokens come that way. Bits without a meaning must be zero.
ptrdiff_t lg_base64_decode(const char *text, size_t count, uint8_t *out) {
    uint8_t *begin = out;
    if (count % 4 == 0 && count > 0 && text[count - 1] == '=') count -= text[count - 2] == '=' ? 2 : 1;
    if (count % 4 == 1) return -1;
    uint32_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        int value = digit((uint8_t)text[i]);
        if (value < 0) return -1;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 1) *out++ = (uint8_t)(bits >> 4);
        if (i % 4 == 2) *out++ = (uint8_t)(bits >> 2);
        if (i % 4 == 3) *out++ = (uint8_t)bits;
    }
    if ((count % 4 == 2 && bits & 15) || (count % 4 == 3 && bits & 3)) return -1;
    return out - begin;
}

static int base64_encode(lua_State *L) {
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    lg_spend(L, count / 16 + 1);
    size_t size = (count + 2) / 3 * 4;
    if (size > lg_of(L)->limits.string_bytes) return luaL_error(L, "resulting string too large");
    luaL_Buffer out;
    lg_base64_encode((const uint8_t *)text, count, luaL_buffinitsize(L, &out, size));
    luaL_pushresultsize(&out, size);
    return 1;
}

static int base64_decode(lua_State *L) {
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    lg_spend(L, count / 16 + 1);
    luaL_Buffer out;
    uint8_t *bytes = (uint8_t *)luaL_buffinitsize(L, &out, count / 4 * 3 + 3);
    ptrdiff_t size = lg_base64_decode(text, count, bytes);
    luaL_pushresultsize(&out, size < 0 ? 0 : (size_t)size);
    if (size < 0) lua_pushnil(L);
    return 1;
}

void lg_open_base64(lua_State *L) {
    static const luaL_Reg functions[] = {{"encode", base64_encode}, {"decode", base64_decode}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setglobal(L, "base64");
}
