// The message as scripts see it: one userdata an interpreter, reading from the core's bytes during a call.

#include "internal.h"

// ---- Properties: 2 bytes of flags, then the properties whose bit is set, in this order

static bool take_property(LGBytes *rest, enum Property which, LGBytes *value) {
    size_t size, skip = 0;
    switch (which) {
    case P_HEADERS:
        if (rest->count < 4) return false;
        skip = 4;
        size = (size_t)rest->bytes[0] << 24 | (size_t)rest->bytes[1] << 16 | (size_t)rest->bytes[2] << 8 |
               rest->bytes[3];
        break;
    case P_DELIVERY_MODE:
    case P_PRIORITY: size = 1; break;
    case P_TIMESTAMP: size = 8; break;
    default:
        if (rest->count < 1) return false;
        skip = 1;
        size = rest->bytes[0];
    }
    if (rest->count - skip < size) return false;
    *value = lg_bytes(rest->bytes + skip, size);
    rest->bytes += skip + size;
    rest->count -= skip + size;
    return true;
}

static bool read_properties(LuaGuard *guard) {
    guard->property_flags = 0;
    LGBytes rest = guard->message->properties;
    if (rest.count == 0) return true;
    if (rest.count < 2) return false;
    unsigned flags = (unsigned)rest.bytes[0] << 8 | rest.bytes[1];
    rest.bytes += 2;
    rest.count -= 2;
    if (flags & 3) return false;
    guard->property_flags = flags;
    for (int i = 0; flags << i & 0xffff; i++) {
        if (!(flags << i & 0x8000)) continue;
        if (!take_property(&rest, (enum Property)i, &guard->property[i])) return false;
    }
    return true;
}

void lg_message_begin(LuaGuard *guard, const LGMessage *message) {
    guard->message = message;
    if (message->serial && message->serial == guard->message_serial) return;
    guard->message_serial = message->serial;
    guard->properties_read = guard->headers_read = guard->identity_read = false;
}

void lg_message_end(LuaGuard *guard) { guard->message = NULL; }

static LGBytes property(lua_State *L, enum Property which) {
    LuaGuard *guard = lg_of(L);
    if (!guard->properties_read) {
        if (!read_properties(guard)) luaL_error(L, "malformed message properties");
        guard->properties_read = true;
    }
    if (!(guard->property_flags & 0x8000u >> which)) return lg_bytes(NULL, 0);
    return guard->property[which];
}

// The content of the message's header table; empty when it has none.
LGBytes lg_message_headers(lua_State *L) { return property(L, P_HEADERS); }

// ---- Fields

static int push_bytes(lua_State *L, LGBytes value) {
    if (value.count >= 4096) lg_spend_bytes(L, value.count);
    if (value.bytes || value.count) lua_pushlstring(L, (const char *)value.bytes, value.count);
    else lua_pushnil(L);
    return 1;
}

static int push_text(lua_State *L, LGBytes value) {
    lua_pushlstring(L, value.bytes ? (const char *)value.bytes : "", value.count);
    return 1;
}

static int push_number(lua_State *L, LGBytes value) {
    uint64_t number = 0;
    for (size_t i = 0; i < value.count; i++) number = number << 8 | value.bytes[i];
    if (value.count == 0) lua_pushnil(L);
    else if (number > INT64_MAX) lua_pushnumber(L, (lua_Number)number);
    else lua_pushinteger(L, (lua_Integer)number);
    return 1;
}

static int push_identity(lua_State *L, LuaGuard *guard) {
    if (guard->message->identity.count == 0) {
        lua_pushnil(L);
    } else if (!guard->identity_read) {
        lg_push_table(L, guard->message->identity);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, MESSAGE_IDENTITY);
        guard->identity_read = true;
    } else {
        lua_getiuservalue(L, 1, MESSAGE_IDENTITY);
    }
    return 1;
}

static int push_body(lua_State *L, LGBytes body) {
    lg_spend_bytes(L, body.count);
    return push_text(L, body);
}

static int message_index(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    const LGMessage *m = guard->message;
    size_t n;
    const char *s = lua_tolstring(L, 2, &n);
    if (!m) return luaL_error(L, "the message is gone: it is valid during the call that it was given to");
    if (lua_type(L, 2) != LUA_TSTRING || *(uint32_t *)lua_touserdata(L, 1) != TAG_MESSAGE) n = 0;
    switch (n) {
    case 4:
        if (IS(s, n, "body")) return push_body(L, m->body);
        if (IS(s, n, "type")) return push_bytes(L, property(L, P_TYPE));
        if (IS(s, n, "user")) return push_bytes(L, m->user);
        if (IS(s, n, "size")) {
            lua_pushinteger(L, (lua_Integer)m->body.count);
            return 1;
        }
        break;
    case 5:
        if (IS(s, n, "vhost")) return push_bytes(L, m->vhost);
        if (IS(s, n, "queue")) return push_bytes(L, m->queue);
        break;
    case 6:
        if (IS(s, n, "app_id")) return push_bytes(L, property(L, P_APP_ID));
        break;
    case 7:
        if (IS(s, n, "headers")) return lg_push_headers(L);
        if (IS(s, n, "user_id")) return push_bytes(L, property(L, P_USER_ID));
        if (IS(s, n, "delayed")) {
            if (m->delayed_milliseconds < 0) lua_pushnil(L);
            else lua_pushinteger(L, m->delayed_milliseconds);
            return 1;
        }
        break;
    case 8:
        if (IS(s, n, "exchange")) return push_text(L, m->exchange);
        if (IS(s, n, "identity")) return push_identity(L, guard);
        if (IS(s, n, "priority")) return push_number(L, property(L, P_PRIORITY));
        if (IS(s, n, "reply_to")) return push_bytes(L, property(L, P_REPLY_TO));
        break;
    case 9:
        if (IS(s, n, "timestamp")) return push_number(L, property(L, P_TIMESTAMP));
        break;
    case 10:
        if (IS(s, n, "message_id")) return push_bytes(L, property(L, P_MESSAGE_ID));
        if (IS(s, n, "expiration")) return push_bytes(L, property(L, P_EXPIRATION));
        if (IS(s, n, "cluster_id")) return push_bytes(L, property(L, P_CLUSTER_ID));
        break;
    case 11:
        if (IS(s, n, "routing_key")) return push_text(L, m->routing_key);
        if (IS(s, n, "redelivered")) {
            lua_pushboolean(L, m->redelivered);
            return 1;
        }
        break;
    case 12:
        if (IS(s, n, "content_type")) return push_bytes(L, property(L, P_CONTENT_TYPE));
        break;
    case 13:
        if (IS(s, n, "delivery_mode")) return push_number(L, property(L, P_DELIVERY_MODE));
        break;
    case 14:
        if (IS(s, n, "correlation_id")) return push_bytes(L, property(L, P_CORRELATION_ID));
        break;
    case 16:
        if (IS(s, n, "content_encoding")) return push_bytes(L, property(L, P_CONTENT_ENCODING));
        break;
    default: break;
    }
    return luaL_error(L, "a message has no field '%s'", luaL_tolstring(L, 2, NULL));
}

static int message_newindex(lua_State *L) {
    return luaL_error(L, "a message cannot be changed; return change{...}");
}

void lg_open_views(lua_State *L) {
    MessageBox *box = lua_newuserdatauv(L, sizeof *box, 2);
    box->tag = TAG_MESSAGE;
    lua_createtable(L, 0, 4);
    lua_pushcfunction(L, message_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, message_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "message");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lg_of(L)->message_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
