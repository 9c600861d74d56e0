// JSON (RFC 8259) for scripts: `json.decode(text)` and `json.encode(value)`. A null is `null`.

#include <math.h>
#include <stdio.h>

#include "internal.h"

typedef struct {
    lua_State *L;
    const char *text, *at, *end;
    int depth;
} Parser;

static int fail(Parser *p, const char *what) {
    return luaL_error(p->L, "invalid JSON at byte %I: %s", (lua_Integer)(p->at - p->text + 1), what);
}

static void skip_space(Parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r')) p->at++;
}

static int hex_4(Parser *p) {
    int value = 0;
    if (p->end - p->at < 4) fail(p, "short \\u escape");
    for (int i = 0; i < 4; i++) {
        char c = *p->at++;
        int letter = c | 32, digit = c >= '0' && c <= '9' ? c - '0' : -1;
        if (letter >= 'a' && letter <= 'f') digit = letter - 'a' + 10;
        if (digit < 0) fail(p, "bad \\u escape");
        value = value << 4 | digit;
    }
    return value;
}

static void add_utf8(luaL_Buffer *out, unsigned code) {
    if (code < 0x80) {
        luaL_addchar(out, (char)code);
    } else if (code < 0x800) {
        luaL_addchar(out, (char)(0xC0 | code >> 6));
        luaL_addchar(out, (char)(0x80 | (code & 63)));
    } else if (code < 0x10000) {
        luaL_addchar(out, (char)(0xE0 | code >> 12));
        luaL_addchar(out, (char)(0x80 | (code >> 6 & 63)));
        luaL_addchar(out, (char)(0x80 | (code & 63)));
    } else {
        luaL_addchar(out, (char)(0xF0 | code >> 18));
        luaL_addchar(out, (char)(0x80 | (code >> 12 & 63)));
        luaL_addchar(out, (char)(0x80 | (code >> 6 & 63)));
        luaL_addchar(out, (char)(0x80 | (code & 63)));
    }
}

static void add_escape(Parser *p, luaL_Buffer *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (p->at == p->end) fail(p, "unfinished string");
    char c = *p->at++;
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        luaL_addchar(out, to[simple - from]);
        return;
    }
    if (c != 'u') fail(p, "unknown escape");
    unsigned code = (unsigned)hex_4(p);
    if (code >= 0xD800 && code < 0xDC00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
        p->at += 2;
        unsigned low = (unsigned)hex_4(p);
        if (low < 0xDC00 || low > 0xDFFF) fail(p, "unpaired surrogate");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xD800 && code <= 0xDFFF) {
        fail(p, "unpaired surrogate");
    }
    add_utf8(out, code);
}

static void parse_string(Parser *p) {
    const char *start = ++p->at;
    while (p->at < p->end && *p->at != '"' && *p->at != '\\' && (unsigned char)*p->at >= 32) p->at++;
    if (p->at < p->end && *p->at == '"') {
        lua_pushlstring(p->L, start, (size_t)(p->at++ - start));
        return;
    }
    luaL_Buffer out;
    luaL_buffinit(p->L, &out);
    luaL_addlstring(&out, start, (size_t)(p->at - start));
    for (;;) {
        if (p->at == p->end) fail(p, "unfinished string");
        unsigned char c = (unsigned char)*p->at;
        if (c < 32) fail(p, "control character in string");
        p->at++;
        if (c == '"') break;
        if (c == '\\') add_escape(p, &out);
        else luaL_addchar(&out, (char)c);
    }
    luaL_pushresult(&out);
}

static void parse_number(Parser *p) {
    const char *start = p->at;
    char number[64];
    if (*p->at == '-') p->at++;
    bool digits = p->at < p->end && *p->at >= '0' && *p->at <= '9';
    if (digits && *p->at == '0' && p->at + 1 < p->end && p->at[1] >= '0' && p->at[1] <= '9') {
        fail(p, "leading zero");
    }
    while (p->at < p->end && *p->at && strchr("0123456789+-.eE", *p->at)) p->at++;
    size_t count = (size_t)(p->at - start);
    if (!digits || count >= sizeof number) fail(p, "not a number");
    memcpy(number, start, count);
    number[count] = 0;
    if (lua_stringtonumber(p->L, number) != count + 1) fail(p, "not a number");
}

static void parse_value(Parser *p);

static void parse_array(Parser *p) {
    lua_newtable(p->L);
    p->at++;
    skip_space(p);
    if (p->at < p->end && *p->at == ']') {
        p->at++;
        return;
    }
    for (lua_Integer i = 1;; i++) {
        parse_value(p);
        lua_rawseti(p->L, -2, i);
        skip_space(p);
        if (p->at == p->end) fail(p, "unfinished array");
        char c = *p->at++;
        if (c == ']') return;
        if (c != ',') fail(p, "',' or ']' expected");
    }
}

static void parse_object(Parser *p) {
    lua_newtable(p->L);
    p->at++;
    skip_space(p);
    if (p->at < p->end && *p->at == '}') {
        p->at++;
        return;
    }
    for (;;) {
        skip_space(p);
        if (p->at == p->end || *p->at != '"') fail(p, "a name expected");
        parse_string(p);
        skip_space(p);
        if (p->at == p->end || *p->at++ != ':') fail(p, "':' expected");
        parse_value(p);
        lua_rawset(p->L, -3);
        skip_space(p);
        if (p->at == p->end) fail(p, "unfinished object");
        char c = *p->at++;
        if (c == '}') return;
        if (c != ',') fail(p, "',' or '}' expected");
    }
}

static bool word(Parser *p, const char *text) {
    size_t count = strlen(text);
    if ((size_t)(p->end - p->at) < count || memcmp(p->at, text, count) != 0) return false;
    p->at += count;
    return true;
}

static void parse_value(Parser *p) {
    lua_State *L = p->L;
    skip_space(p);
    if (p->at == p->end) fail(p, "a value expected");
    if (++p->depth > LG_NESTING) fail(p, "nested too deep");
    luaL_checkstack(L, 6, "JSON");
    lg_spend(L, 4);
    switch (*p->at) {
    case '{': parse_object(p); break;
    case '[': parse_array(p); break;
    case '"': parse_string(p); break;
    default:
        if (word(p, "true")) lua_pushboolean(L, 1);
        else if (word(p, "false")) lua_pushboolean(L, 0);
        else if (word(p, "null")) lua_pushlightuserdata(L, (void *)&lg_null);
        else if (*p->at == '-' || (*p->at >= '0' && *p->at <= '9')) parse_number(p);
        else fail(p, "a value expected");
    }
    p->depth--;
}

static int json_decode(lua_State *L) {
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    lg_spend(L, count / 8 + 1);
    Parser p = {L, text, text, text + count, 0};
    parse_value(&p);
    skip_space(&p);
    if (p.at != p.end) fail(&p, "text after the value");
    return 1;
}

static void emit(lua_State *L, const char *text, size_t count) {
    Buffer *out = &lg_of(L)->out;
    if (out->count + count > lg_of(L)->limits.string_bytes || !lg_buffer_reserve(out, count)) {
        luaL_error(L, "JSON text too large");
    }
    if (count) memcpy(out->bytes + out->count, text, count);
    out->count += count;
}

static void emit_string(lua_State *L, int index) {
    size_t count;
    const char *text = lua_tolstring(L, index, &count);
    lg_spend(L, count / 16 + 1);
    emit(L, "\"", 1);
    size_t start = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 32 && c != '"' && c != '\\') continue;
        char escape[8];
        emit(L, text + start, i - start);
        if (c == '"' || c == '\\') snprintf(escape, sizeof escape, "\\%c", c);
        else snprintf(escape, sizeof escape, "\\u%04x", c);
        emit(L, escape, strlen(escape));
        start = i + 1;
    }
    emit(L, text + start, count - start);
    emit(L, "\"", 1);
}

static void emit_value(lua_State *L, int index, int depth);

static void emit_table(lua_State *L, int index, int depth) {
    if (depth > LG_NESTING) luaL_error(L, "tables nested deeper than %d", LG_NESTING);
    luaL_checkstack(L, 8, "JSON");
    lg_settle(L, index);
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    if (count > 0) {
        emit(L, "[", 1);
        for (lua_Integer i = 1; i <= count; i++) {
            if (i > 1) emit(L, ",", 1);
            lua_rawgeti(L, index, i);
            emit_value(L, lua_gettop(L), depth + 1);
            lua_pop(L, 1);
        }
        emit(L, "]", 1);
        return;
    }
    emit(L, "{", 1);
    bool first = true;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (!first) emit(L, ",", 1);
        first = false;
        if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "a JSON name must be a string");
        emit_string(L, lua_gettop(L) - 1);
        emit(L, ":", 1);
        emit_value(L, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    emit(L, "}", 1);
}

static void emit_value(lua_State *L, int index, int depth) {
    char number[64];
    lg_spend(L, 4);
    switch (lua_type(L, index)) {
    case LUA_TNIL: emit(L, "null", 4); break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(L, index)) emit(L, "true", 4);
        else emit(L, "false", 5);
        break;
    case LUA_TSTRING: emit_string(L, index); break;
    case LUA_TTABLE: emit_table(L, index, depth); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            snprintf(number, sizeof number, "%lld", (long long)lua_tointeger(L, index));
        } else {
            double value = lua_tonumber(L, index);
            if (!isfinite(value)) luaL_error(L, "JSON has no infinity and no NaN");
            snprintf(number, sizeof number, "%.17g", value);
        }
        emit(L, number, strlen(number));
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) != (void *)&lg_null) luaL_error(L, "JSON has no selection");
        emit(L, "null", 4);
        break;
    default: luaL_error(L, "JSON has no %s", luaL_typename(L, index));
    }
}

static int json_encode(lua_State *L) {
    luaL_checkany(L, 1);
    Buffer *out = &lg_of(L)->out;
    out->count = 0;
    emit_value(L, 1, 1);
    lua_pushlstring(L, (const char *)out->bytes, out->count);
    return 1;
}

void lg_open_json(lua_State *L) {
    static const luaL_Reg functions[] = {{"encode", json_encode}, {"decode", json_decode}, {NULL, NULL}};
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_setglobal(L, "json");
}
