// AMQP 0-9-1 field tables to Lua tables and back, with RabbitMQ's types. Bytes are checked; nothing is
// trusted.
//
//   table content:  ( key-length(1) key  type(1) value )*        array content:  ( type(1) value )*
//   t bool  b B i8 u8  s u i16 u16  I i i32 u32  l L i64 u64  f d float  D decimal  S longstr  x bytes
//   T timestamp  A array  F table  V void; all big-endian

#include "internal.h"

typedef struct {
    lua_State *L;
    const uint8_t *at, *end, *begin;
} Reader;

static int malformed(lua_State *L, size_t at) {
    return luaL_error(L, "malformed field table at byte %I", (lua_Integer)at);
}

static void need(Reader *r, size_t count) {
    if ((size_t)(r->end - r->at) < count) malformed(r->L, (size_t)(r->at - r->begin));
}

static uint64_t take(Reader *r, size_t count) {
    need(r, count);
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) value = value << 8 | r->at[i];
    r->at += count;
    return value;
}

static Reader sub_reader(Reader *r) {
    size_t count = take(r, 4);
    need(r, count);
    Reader inner = {r->L, r->at, r->at + count, r->begin};
    r->at += count;
    return inner;
}

static void push_bytes(Reader *r) {
    size_t count = take(r, 4);
    need(r, count);
    lua_pushlstring(r->L, (const char *)r->at, count);
    r->at += count;
}

static void push_pairs(Reader *r, int depth);
static void push_items(Reader *r, int depth);

static void push_value(Reader *r, int depth) {
    lua_State *L = r->L;
    switch (take(r, 1)) {
    case 't': lua_pushboolean(L, take(r, 1) != 0); break;
    case 'b': lua_pushinteger(L, (int8_t)take(r, 1)); break;
    case 'B': lua_pushinteger(L, (lua_Integer)take(r, 1)); break;
    case 's': lua_pushinteger(L, (int16_t)take(r, 2)); break;
    case 'u': lua_pushinteger(L, (lua_Integer)take(r, 2)); break;
    case 'I': lua_pushinteger(L, (int32_t)take(r, 4)); break;
    case 'i': lua_pushinteger(L, (lua_Integer)take(r, 4)); break;
    case 'l': lua_pushinteger(L, (lua_Integer)take(r, 8)); break;
    case 'L': {
        uint64_t value = take(r, 8);
        if (value > INT64_MAX) lua_pushnumber(L, (lua_Number)value);
        else lua_pushinteger(L, (lua_Integer)value);
        break;
    }
    case 'f': {
        uint32_t bits = (uint32_t)take(r, 4);
        float value;
        memcpy(&value, &bits, 4);
        lua_pushnumber(L, value);
        break;
    }
    case 'd': {
        uint64_t bits = take(r, 8);
        double value;
        memcpy(&value, &bits, 8);
        lua_pushnumber(L, value);
        break;
    }
    case 'D': {
        uint64_t scale = take(r, 1);
        double value = (double)take(r, 4), divisor = 1;
        for (; scale > 0; scale--) divisor *= 10;
        lua_pushnumber(L, value / divisor);
        break;
    }
    case 'S':
    case 'x': push_bytes(r); break;
    case 'T': {
        uint64_t seconds = take(r, 8);
        lua_createtable(L, 0, 1);
        if (seconds > INT64_MAX) lua_pushnumber(L, (lua_Number)seconds);
        else lua_pushinteger(L, (lua_Integer)seconds);
        lua_setfield(L, -2, "timestamp");
        break;
    }
    case 'A': {
        Reader inner = sub_reader(r);
        push_items(&inner, depth + 1);
        break;
    }
    case 'F': {
        Reader inner = sub_reader(r);
        push_pairs(&inner, depth + 1);
        break;
    }
    case 'V': lua_pushlightuserdata(L, (void *)&lg_null); break;
    default:
        luaL_error(L, "unknown field type %d at byte %I", (int)r->at[-1],
                   (lua_Integer)(r->at - r->begin - 1));
    }
}

static void enter(Reader *r, int depth) {
    if (depth > LG_NESTING) luaL_error(r->L, "field table nested deeper than %d", LG_NESTING);
    luaL_checkstack(r->L, 4, "field table");
}

// Skips a value, or returns false where it is malformed: only to count, push_value reports.
static bool skip_value(const uint8_t **at, const uint8_t *end) {
    if (*at >= end) return false;
    size_t size;
    switch (*(*at)++) {
    case 't': case 'b': case 'B': size = 1; break;
    case 's': case 'u': size = 2; break;
    case 'I': case 'i': case 'f': size = 4; break;
    case 'D': size = 5; break;
    case 'l': case 'L': case 'd': case 'T': size = 8; break;
    case 'V': size = 0; break;
    case 'S': case 'x': case 'A': case 'F':
        if (end - *at < 4) return false;
        size = 4 + ((size_t)(*at)[0] << 24 | (size_t)(*at)[1] << 16 | (size_t)(*at)[2] << 8 | (*at)[3]);
        break;
    default: return false;
    }
    if ((size_t)(end - *at) < size) return false;
    *at += size;
    return true;
}

int lg_count_fields(LGBytes content, int most) {
    const uint8_t *at = content.bytes, *end = at + content.count;
    int count = 0;
    for (; at < end; count++) {
        if (count == most || (size_t)(end - at) < 1u + *at) return -1;
        at += 1 + *at;
        if (!skip_value(&at, end)) return -1;
    }
    return count;
}

// count: of the fields, if it is known; it is only room.
static void push_counted(Reader *r, int depth, int count) {
    enter(r, depth);
    lg_spend(r->L, (uint64_t)count * 8);
    lua_createtable(r->L, 0, count);
    while (r->at < r->end) {
        size_t key = take(r, 1);
        need(r, key);
        lua_pushlstring(r->L, (const char *)r->at, key);
        r->at += key;
        push_value(r, depth);
        lua_rawset(r->L, -3);
    }
}

static void push_pairs(Reader *r, int depth) {
    int count = lg_count_fields(lg_bytes(r->at, (size_t)(r->end - r->at)), INT_MAX);
    push_counted(r, depth, count < 0 ? 0 : count);  // where it is malformed is said by who reads it
}

static void push_items(Reader *r, int depth) {
    enter(r, depth);
    lua_newtable(r->L);
    for (lua_Integer i = 1; r->at < r->end; i++) {
        lg_spend(r->L, 4);
        push_value(r, depth);
        lua_rawseti(r->L, -2, i);
    }
}

void lg_push_table(lua_State *L, LGBytes content) {
    Reader r = {L, content.bytes, content.bytes + content.count, content.bytes};
    push_pairs(&r, 1);
}

void lg_push_counted(lua_State *L, LGBytes content, int count) {
    Reader r = {L, content.bytes, content.bytes + content.count, content.bytes};
    push_counted(&r, 1, count);
}

void lg_push_array(lua_State *L, LGBytes content) {
    Reader r = {L, content.bytes, content.bytes + content.count, content.bytes};
    push_items(&r, 0);  // the array is no value of the script's: what it holds may nest as deep as a table
}

// Pushes the value of the first field of that name, or nil. Returns how many fields it looked at.
// hot:
unsigned lg_push_field(lua_State *L, LGBytes content, const char *name, size_t count) {
    const uint8_t *at = content.bytes, *end = at + content.count;
    unsigned looked = 0;
    while (at < end) {
        size_t key = *at;
        looked++;
        if ((size_t)(end - at) < key + 2) malformed(L, (size_t)(at - content.bytes));
        const uint8_t *value = at + 1 + key;
        if (key == count && memcmp(at + 1, name, key) == 0) {
            Reader r = {L, value, end, content.bytes};
            push_value(&r, 1);
            return looked;
        }
        if (!skip_value(&value, end)) malformed(L, (size_t)(at - content.bytes));
        at = value;
    }
    if (looked > 8) lg_spend(L, looked / 4);
    lua_pushnil(L);
    return looked;
}

// Puts the fields into a table that may hold some of them; the first of a name counts.
void lg_fill_table(lua_State *L, int table, LGBytes content) {
    Reader r = {L, content.bytes, content.bytes + content.count, content.bytes};
    enter(&r, 1);
    while (r.at < r.end) {
        lg_spend(L, 8);
        size_t key = take(&r, 1);
        need(&r, key);
        lua_pushlstring(L, (const char *)r.at, key);
        r.at += key;
        lua_pushvalue(L, -1);
        bool is_new = lua_rawget(L, table) == LUA_TNIL;
        lua_pop(L, 1);
        push_value(&r, 1);
        if (is_new) lua_rawset(L, table);
        else lua_pop(L, 2);
    }
}

// ---- Encoding

// The way to where the writer stands: a step for each table that is open. Its key is at that place of the
// stack, or it is an item of a list.
typedef struct Step {
    const struct Step *up;
    int table, key;
    lua_Integer item;
} Step;

typedef struct {
    lua_State *L;
    Buffer *out;
    const Step *at;
    bool functions;     // a manifest: what cannot be written is marked or left out
    bool skip_verdict;  // leaves out the field `verdict` of the outermost table
} Writer;

// Pushes the way as a script would write it, "users.ann[2]", cut where it gets long.
static void push_way(lua_State *L, const Step *last) {
    const Step *steps[LG_NESTING + 2];
    size_t depth = 0;
    for (; last && depth < LG_NESTING + 2; last = last->up) steps[depth++] = last;
    luaL_Buffer way;
    luaL_buffinit(L, &way);
    bool first = true;
    while (depth > 0 && luaL_bufflen(&way) < 200) {
        const Step *step = steps[--depth];
        if (step->key) {
            size_t count;
            bool is_text = lua_type(L, step->key) == LUA_TSTRING;
            const char *name = is_text ? lua_tolstring(L, step->key, &count) : NULL;
            if (!first) luaL_addchar(&way, '.');
            if (name) luaL_addlstring(&way, name, count < 64 ? count : 64);
            else luaL_addchar(&way, '?');
        } else {
            lua_pushfstring(L, "[%I]", (LUAI_UACINT)step->item);
            luaL_addvalue(&way);
        }
        first = false;
    }
    luaL_pushresult(&way);
}

static int refuse(Writer *w, const char *what) {
    lua_State *L = w->L;
    luaL_checkstack(L, 8, "field table");
    lua_pushstring(L, what);
    push_way(L, w->at);
    if (lua_rawlen(L, -1) == 0) return luaL_error(L, "%s", what);
    return luaL_error(L, "%s (at %s)", what, lua_tostring(L, -1));
}

// Says whether it is a table that holds itself that is nested so deep, and where it does.
static int refuse_depth(Writer *w, int table) {
    lua_State *L = w->L;
    const Step *shortest = NULL;
    const void *inner = lua_topointer(L, table);
    for (const Step *step = w->at; step; step = step->up) {
        for (const Step *outer = step->up; outer; outer = outer->up) {
            if (lua_topointer(L, step->table) == lua_topointer(L, outer->table)) shortest = step->up;
        }
        if (lua_topointer(L, step->table) == inner && !shortest) shortest = w->at;
    }
    if (shortest) {
        w->at = shortest;
        return refuse(w, "a table may not hold itself");
    }
    lua_pushfstring(L, "tables nested deeper than %d", LG_NESTING);
    return refuse(w, lua_tostring(L, -1));
}

static void put(Writer *w, const void *bytes, size_t count) {
    if (w->out->count + count > lg_of(w->L)->limits.string_bytes || !lg_buffer_reserve(w->out, count)) {
        luaL_error(w->L, "field table too large");
    }
    if (count) memcpy(w->out->bytes + w->out->count, bytes, count);
    w->out->count += count;
}

static void put_byte(Writer *w, uint8_t byte) { put(w, &byte, 1); }

static void put_integer(Writer *w, uint64_t value, size_t count) {
    uint8_t bytes[8];
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(value >> (8 * (count - 1 - i)));
    put(w, bytes, count);
}

static void put_text(Writer *w, const char *text, size_t count) {
    put_integer(w, count, 4);
    put(w, text, count);
}

static void write_pairs(Writer *w, int table, int depth);

// The length of a sequence 1…n that is all the table holds, or -1.
static lua_Integer sequence(lua_State *L, int table) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, table), seen = 0;
    if (count == 0) return -1;
    lg_spend(L, (uint64_t)count / 2);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (++seen > count || !lua_isinteger(L, -1)) {
            lua_pop(L, 1);
            return -1;
        }
    }
    return seen == count ? count : -1;
}

static bool is_timestamp(lua_State *L, int table) {
    int top = lua_gettop(L), keys = 0;
    lua_pushliteral(L, "timestamp");
    lua_rawget(L, table);
    bool yes = lua_isinteger(L, -1);
    lua_pushnil(L);
    while (yes && keys < 2 && lua_next(L, table)) {
        keys++;
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    return yes && keys == 1;
}

static void write_value(Writer *w, int index, int depth);

static void write_items(Writer *w, int table, lua_Integer count, int depth) {
    Step step = {w->at, table, 0, 0};
    w->at = &step;
    for (lua_Integer i = 1; i <= count; i++) {
        step.item = i;
        lua_rawgeti(w->L, table, i);
        write_value(w, lua_gettop(w->L), depth);
        lua_pop(w->L, 1);
    }
    w->at = step.up;
}

static void write_table(Writer *w, int index, int depth) {
    lua_State *L = w->L;
    if (w->functions && depth > LG_MANIFEST_NESTING) {
        put_byte(w, 'V');
        return;
    }
    if (depth > LG_NESTING) refuse_depth(w, index);
    luaL_checkstack(L, 8, "field table");
    lg_settle(L, index);
    if (is_timestamp(L, index)) {
        lua_pushliteral(L, "timestamp");
        lua_rawget(L, index);
        put_byte(w, 'T');
        put_integer(w, (uint64_t)lua_tointeger(L, -1), 8);
        lua_pop(L, 1);
        return;
    }
    lua_Integer count = sequence(L, index);
    put_byte(w, count < 0 ? 'F' : 'A');
    size_t start = w->out->count;
    put_integer(w, 0, 4);
    if (count < 0) write_pairs(w, index, depth + 1);
    else write_items(w, index, count, depth + 1);
    uint64_t size = w->out->count - start - 4;
    for (int i = 0; i < 4; i++) w->out->bytes[start + (size_t)i] = (uint8_t)(size >> (24 - 8 * i));
}

static void write_number(Writer *w, int index) {
    if (lua_isinteger(w->L, index)) {
        put_byte(w, 'l');
        put_integer(w, (uint64_t)lua_tointeger(w->L, index), 8);
    } else {
        double value = lua_tonumber(w->L, index);
        uint64_t bits;
        memcpy(&bits, &value, 8);
        put_byte(w, 'd');
        put_integer(w, bits, 8);
    }
}

static void write_value(Writer *w, int index, int depth) {
    lua_State *L = w->L;
    lg_spend(L, 2);
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        put_byte(w, 't');
        put_byte(w, (uint8_t)lua_toboolean(L, index));
        break;
    case LUA_TNUMBER: write_number(w, index); break;
    case LUA_TSTRING: {
        size_t count;
        const char *text = lua_tolstring(L, index, &count);
        put_byte(w, 'S');
        put_text(w, text, count);
        break;
    }
    case LUA_TNIL: put_byte(w, 'V'); break;
    case LUA_TLIGHTUSERDATA:
        if (!w->functions && lua_touserdata(L, index) != (void *)&lg_null) {
            refuse(w, "a field may not hold userdata");
        }
        put_byte(w, 'V');
        break;
    case LUA_TFUNCTION:
        if (!w->functions) refuse(w, "a field may not hold a function");
        put_byte(w, 'x');
        put_text(w, "function", 8);
        break;
    case LUA_TTABLE: write_table(w, index, depth); break;
    default:
        if (!w->functions) {
            lua_pushfstring(L, "a field may not hold a %s", luaL_typename(L, index));
            refuse(w, lua_tostring(L, -1));
        }
        put_byte(w, 'V');
    }
}

// depth: of the values.
static void write_pairs(Writer *w, int table, int depth) {
    lua_State *L = w->L;
    luaL_checkstack(L, 8, "field table");
    lg_settle(L, table);
    lua_pushnil(L);
    Step step = {w->at, table, lua_gettop(L), 0};
    while (lua_next(L, table)) {
        size_t count;
        if (w->functions && (lua_type(L, -2) != LUA_TSTRING || lua_rawlen(L, -2) > LG_KEY_BYTES)) {
            lua_pop(L, 1);  // a plugin may keep what it likes in its table
            continue;
        }
        if (lua_type(L, -2) != LUA_TSTRING) refuse(w, "a field's name must be a string");
        const char *key = lua_tolstring(L, -2, &count);
        if (w->skip_verdict && !w->at && IS(key, count, "verdict")) {
            lua_pop(L, 1);
            continue;
        }
        if (count > LG_KEY_BYTES) {
            lua_pushfstring(L, "a field's name is longer than %d bytes", LG_KEY_BYTES);
            refuse(w, lua_tostring(L, -1));
        }
        put_byte(w, (uint8_t)count);
        put(w, key, count);
        w->at = &step;
        write_value(w, lua_gettop(L), depth);
        w->at = step.up;
        lua_pop(L, 1);
    }
}

void lg_encode(lua_State *L, int index, Buffer *out, bool functions) {
    Writer w = {L, out, NULL, functions, false};
    write_value(&w, index, 1);
}

void lg_encode_table(lua_State *L, int index, Buffer *out, bool functions) {
    Writer w = {L, out, NULL, functions, false};
    write_pairs(&w, index, 2);
}

void lg_encode_verdict(lua_State *L, int index, Buffer *out) {
    Writer w = {L, out, NULL, false, true};
    write_pairs(&w, index, 2);
}
