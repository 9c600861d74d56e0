// publish{…} and publish(message, {…}): checks a message that a script makes, and hands it to the host as
// the content of a field table. When and where it goes is the host's.

#include "internal.h"

enum {
    PUBLICATIONS = 100,      // in one call about a message: what one may lead to
    MORE_PUBLICATIONS = 1000,  // in any other call: a bind, an event, a timer
    SHORT_BYTES = 255,       // AMQP's short strings
    REMOVED = 256,           // names of headers in `remove`
    REASON_BYTES = 256,      // of a refusal
    KEPT_BYTES = 64 << 10,   // of the buffer, between calls
};

enum Shape { SHORT_TEXT, PROPERTY_TEXT, BODY, HEADERS, NAMES, MODE, OCTET, SECONDS };

static const struct Field {
    const char *name;
    enum Shape shape;
} fields[] = {
    {"exchange", SHORT_TEXT},          {"routing_key", SHORT_TEXT},     {"body", BODY},
    {"headers", HEADERS},              {"remove", NAMES},               {"vhost", SHORT_TEXT},
    {"queue", SHORT_TEXT},             {"content_type", PROPERTY_TEXT}, {"content_encoding", PROPERTY_TEXT},
    {"delivery_mode", MODE},           {"priority", OCTET},             {"correlation_id", PROPERTY_TEXT},
    {"reply_to", PROPERTY_TEXT},       {"expiration", PROPERTY_TEXT},   {"message_id", PROPERTY_TEXT},
    {"timestamp", SECONDS},            {"type", PROPERTY_TEXT},         {"user_id", PROPERTY_TEXT},
    {"app_id", PROPERTY_TEXT},
};

// ---- Checks. The field's name is at index - 1, its value at index; both are strings' and tables' own bytes.

static const struct Field *check_name(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TSTRING) luaL_error(L, "publish: a field's name must be a string");
    size_t count;
    const char *name = lua_tolstring(L, index, &count);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (lg_is(name, count, fields[i].name, strlen(fields[i].name))) return &fields[i];
    }
    luaL_error(L, "publish: there is no field '%s'", name);
    return NULL;
}

static void wrong(lua_State *L, const struct Field *field, const char *expected) {
    luaL_error(L, "publish: %s must be %s", field->name, expected);
}

static void check_whole(lua_State *L, int index, const struct Field *field, lua_Integer least,
                        lua_Integer most, const char *expected) {
    lua_Integer value = lua_isinteger(L, index) ? lua_tointeger(L, index) : least - 1;
    if (value < least || value > most) wrong(L, field, expected);
}

static void check_headers(lua_State *L, int index, const struct Field *field) {
    if (lua_type(L, index) != LUA_TTABLE) wrong(L, field, "a table");
    lg_settle(L, index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lg_spend(L, 1);
        if (lua_type(L, -2) != LUA_TSTRING) wrong(L, field, "a table whose names are strings");
        lua_pop(L, 1);
    }
}

static void check_names(lua_State *L, int index, const struct Field *field) {
    static const char expected[] = "a list of at most 256 strings of at most 255 bytes";
    if (lua_type(L, index) != LUA_TTABLE) wrong(L, field, expected);
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    if (count > REMOVED) wrong(L, field, expected);
    for (lua_Integer i = 1; i <= count; i++) {
        lg_spend(L, 1);
        bool short_text = lua_rawgeti(L, index, i) == LUA_TSTRING && lua_rawlen(L, -1) <= SHORT_BYTES;
        if (!short_text) wrong(L, field, expected);
        lua_pop(L, 1);
    }
}

static bool is_null(lua_State *L, int index) {
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == (void *)&lg_null;
}

static void check_field(lua_State *L, int index, const struct Field *field) {
    int type = lua_type(L, index);
    bool removes = is_null(L, index) && field->shape != SHORT_TEXT && field->shape != BODY &&
                   field->shape != HEADERS && field->shape != NAMES;
    if (removes) return;
    switch (field->shape) {
    case SHORT_TEXT:
    case PROPERTY_TEXT:
        if (type != LUA_TSTRING || lua_rawlen(L, index) > SHORT_BYTES) {
            wrong(L, field, "a string of at most 255 bytes");
        }
        break;
    case BODY:
        if (type != LUA_TSTRING) wrong(L, field, "a string");
        lg_spend_bytes(L, lua_rawlen(L, index));
        break;
    case HEADERS: check_headers(L, index, field); break;
    case NAMES: check_names(L, index, field); break;
    case MODE: check_whole(L, index, field, 1, 2, "1 or 2"); break;
    case OCTET: check_whole(L, index, field, 0, 255, "an integer from 0 to 255"); break;
    case SECONDS: check_whole(L, index, field, 0, INT64_MAX, "an integer: seconds since 1970"); break;
    }
}

// ---- Encoding

static void put(lua_State *L, Buffer *out, const void *bytes, size_t count) {
    if (!lg_buffer_reserve(out, count)) luaL_error(L, "not enough memory");
    memcpy(out->bytes + out->count, bytes, count);
    out->count += count;
}

// Headers are a table even if { timestamp = 1 } looks like another type.
static void put_headers(lua_State *L, Buffer *out, int index) {
    put(L, out, "F\0\0\0", 5);
    size_t start = out->count;
    lg_encode_table(L, index, out, false);
    uint64_t size = out->count - start;
    for (size_t i = 0; i < 4; i++) out->bytes[start - 4 + i] = (uint8_t)(size >> (24 - 8 * i));
}

static void put_fields(lua_State *L, Buffer *out, int table, bool copies) {
    bool aimed = copies;
    lg_settle(L, table);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int value = lua_gettop(L);
        const struct Field *field = check_name(L, value - 1);
        lg_spend(L, 4);
        check_field(L, value, field);
        if (field->shape == NAMES && !copies) {
            luaL_error(L, "publish: remove needs a message to take headers from: publish(message, {...})");
        }
        if (field->shape == SHORT_TEXT && strcmp(field->name, "vhost") != 0) aimed = true;
        if (field->shape != NAMES || lua_rawlen(L, value) > 0) {
            uint8_t count = (uint8_t)strlen(field->name);
            put(L, out, &count, 1);
            put(L, out, field->name, count);
            if (field->shape == HEADERS) put_headers(L, out, value);
            else lg_encode(L, value, out, false);
        }
        lua_settop(L, value - 1);
    }
    if (!aimed) luaL_error(L, "publish: an exchange, a routing_key or a queue is needed");
}

static int publish(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    bool copies = lg_tag_at(L, 1) == TAG_MESSAGE;
    int table = copies ? 2 : 1;
    if (copies && !guard->message) {
        return luaL_error(L, "the message is gone: it is valid during the call that it was given to");
    }
    if (copies && lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_newtable(L);
    }
    luaL_checktype(L, table, LUA_TTABLE);
    lua_settop(L, table);
    if (guard->published_call != guard->call) guard->published = 0;
    guard->published_call = guard->call;
    int most = guard->message ? PUBLICATIONS : MORE_PUBLICATIONS;
    if (++guard->published > most) return luaL_error(L, "more than %d messages in a call", most);
    lg_spend(L, 50);

    Buffer *out = &guard->publication;
    char reason[REASON_BYTES] = "publishing is not possible here";
    out->count = 0;
    put_fields(L, out, table, copies);
    bool taken = guard->dry;
    if (!taken && guard->host.publish) {
        taken = guard->host.publish(guard->host.context, lg_bytes(out->bytes, out->count), copies, reason,
                                    sizeof reason);
    }
    if (out->capacity > KEPT_BYTES) {
        free(out->bytes);
        *out = (Buffer){0};
    }
    if (taken) {
        lua_pushboolean(L, 1);
        return 1;
    }
    reason[sizeof reason - 1] = 0;
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

void lg_open_publish(lua_State *L) {
    lua_pushcfunction(L, publish);
    lua_setglobal(L, "publish");
}
