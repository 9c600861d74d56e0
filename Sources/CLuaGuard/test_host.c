// yutu.host, on which `yutu.test` stands: the same bind, prepare and route as the broker's, called from
// within Lua.

#include <math.h>

#include "internal.h"

static int test_exchange(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    guard->out.count = 0;
    lg_encode_table(L, 1, &guard->out, false);
    LGRoutes *routes = lg_new_routes(guard);  // lg_close frees it
    if (!routes) return luaL_error(L, "not enough memory");
    Opening opening = {routes, lg_bytes(guard->out.bytes, guard->out.count)};
    lua_pushcfunction(L, lg_open_routes_body);
    lua_pushlightuserdata(L, &opening);
    lua_call(L, 1, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    if (guard->validate != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, guard->validate);
        lua_getiuservalue(L, -2, ROUTES_DEFINITION);
        lua_call(L, 1, 1);
        if (lua_istable(L, -1) && lg_verdict(L, lua_gettop(L))) {
            lua_pushnil(L);
            lua_insert(L, -2);
            return 2;
        }
        lua_pop(L, 1);
    }
    return 1;
}

// (bindings, destination, key, arguments, to_exchange, is_old) -> true | nil, text
static int test_bind(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = lg_check_routes(L);
    LGBytes destination = lg_check_text(L, 2), key = lg_check_text(L, 3);
    luaL_checktype(L, 4, LUA_TTABLE);
    lua_settop(L, 6);
    guard->out.count = 0;
    lg_encode_table(L, 4, &guard->out, false);
    lua_pushlstring(L, (const char *)guard->out.bytes, guard->out.count);  // the script may use the buffer
    LGBytes arguments = lg_check_text(L, 7);
    LGBinding binding = {
        .id = ++guard->serial, .key = key, .destination = destination, .arguments = arguments,
        .to_exchange = lua_toboolean(L, 5), .is_new = !lua_toboolean(L, 6),
    };
    NewBinding argument = {routes, &binding};
    lua_pushcfunction(L, lg_bind_body);
    lua_pushlightuserdata(L, &argument);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) {
        if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
        lg_raise_if_tripped(L);
        if (guard->failure != LG_REFUSED) return lua_error(L);
        guard->failure = LG_RUNTIME;
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

static LGBytes text_field(lua_State *L, const char *name) {
    LGBytes text = {NULL, 0};
    size_t count;
    if (lua_getfield(L, 2, name) == LUA_TSTRING) {
        const char *bytes = lua_tolstring(L, -1, &count);
        text = lg_bytes(bytes, count);
    }
    lua_pop(L, 1);  // the message's table holds it
    return text;
}

static void add_bytes(lua_State *L, luaL_Buffer *out, const char *name, int bit, unsigned *flags) {
    LGBytes text = text_field(L, name);
    if (!text.bytes) return;
    if (text.count > 255) luaL_error(L, "property '%s' is longer than 255 bytes", name);
    *flags |= 1u << bit;
    luaL_addchar(out, (char)text.count);
    luaL_addlstring(out, (const char *)text.bytes, text.count);
}

static void add_number(lua_State *L, luaL_Buffer *out, const char *name, int bit, int bytes,
                       unsigned *flags) {
    lua_Integer number = 0;
    bool present = lua_getfield(L, 2, name) == LUA_TNUMBER;
    if (present) number = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (!present) return;
    *flags |= 1u << bit;
    for (int i = bytes - 1; i >= 0; i--) luaL_addchar(out, (char)(number >> (8 * i)));
}

// Pushes the properties of the message table at 2 as they stand on the wire.
static LGBytes push_properties(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    unsigned flags = 0;
    guard->out.count = 0;
    if (lua_getfield(L, 2, "headers") == LUA_TTABLE) {
        lg_encode_table(L, lua_gettop(L), &guard->out, false);
        flags |= 1u << 13;
    }
    lua_pop(L, 1);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    luaL_addlstring(&out, "\0\0", 2);
    add_bytes(L, &out, "content_type", 15, &flags);
    add_bytes(L, &out, "content_encoding", 14, &flags);
    if (flags & 1u << 13) {
        for (int i = 3; i >= 0; i--) luaL_addchar(&out, (char)(guard->out.count >> (8 * i)));
        luaL_addlstring(&out, (const char *)guard->out.bytes, guard->out.count);
    }
    add_number(L, &out, "delivery_mode", 12, 1, &flags);
    add_number(L, &out, "priority", 11, 1, &flags);
    add_bytes(L, &out, "correlation_id", 10, &flags);
    add_bytes(L, &out, "reply_to", 9, &flags);
    add_bytes(L, &out, "expiration", 8, &flags);
    add_bytes(L, &out, "message_id", 7, &flags);
    add_number(L, &out, "timestamp", 6, 8, &flags);
    add_bytes(L, &out, "type", 5, &flags);
    add_bytes(L, &out, "user_id", 4, &flags);
    add_bytes(L, &out, "app_id", 3, &flags);
    add_bytes(L, &out, "cluster_id", 2, &flags);
    luaL_buffaddr(&out)[0] = (char)(flags >> 8);
    luaL_buffaddr(&out)[1] = (char)flags;
    luaL_pushresult(&out);
    return lg_check_text(L, lua_gettop(L));
}

// Runs under a pcall of its own (test_route), so that the message never outlives its call.
static int test_route_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = lua_touserdata(L, 1);
    if (routes->stale) lg_prepare(L, routes);
    guard->call++;
    guard->selection_count = guard->selected_count = 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->route);
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->message_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    lua_getiuservalue(L, -1, ROUTES_INDEX);
    lua_call(L, 3, 1);
    LGRouteResult result = {0};
    const char *problem;
    if (lg_collect(L, guard, routes, lua_gettop(L), &result, &problem) != LUA_OK) return lua_error(L);
    if (problem) return luaL_error(L, "%s", problem);
    if (result.verdict != LG_ROUTED) return 1;  // the verdict itself
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_Integer n = 0;
    for (size_t i = 0; i < result.id_count; i++) {
        lg_push_binding(L, routes, result.ids[i]);
        lua_getiuservalue(L, -2, BINDING_FIELDS);
        lua_getfield(L, -1, "destination");
        lua_rawseti(L, list, ++n);
        lua_settop(L, list);
    }
    for (size_t i = 0; i < result.queue_count; i++) {
        lua_pushlstring(L, (const char *)result.queues[i].bytes, result.queues[i].count);
        lua_rawseti(L, list, ++n);
    }
    return 1;
}

// Puts a copy of the message's table into its place, which no script can change while its texts are in use.
static void take_copy(lua_State *L) {
    lg_settle(L, 2);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lg_spend(L, 1);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 3);
    }
    lua_replace(L, 2);
}

// (bindings, message table) -> list of destinations | verdict
static int test_route(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = lg_check_routes(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (guard->route == LUA_NOREF) return luaL_error(L, "the plugin has no exchange.route");
    lua_settop(L, 2);
    take_copy(L);
    LGMessage message = {
        .exchange = text_field(L, "exchange"), .routing_key = text_field(L, "routing_key"),
        .body = text_field(L, "body"), .vhost = text_field(L, "vhost"), .user = text_field(L, "user"),
        .delayed_milliseconds = -1,
    };
    if (lua_getfield(L, 2, "delayed") == LUA_TNUMBER) message.delayed_milliseconds = lua_tointeger(L, -1);
    if (lua_getfield(L, 2, "redelivered")) message.redelivered = lua_toboolean(L, -1);
    lua_settop(L, 2);
    message.properties = push_properties(L);
    lg_message_begin(guard, &message);
    lua_pushcfunction(L, test_route_body);
    lua_pushlightuserdata(L, routes);
    int status = lua_pcall(L, 1, 1, 0);
    lg_message_end(guard);
    if (status == LUA_ERRMEM) lg_trip(L, LG_MEMORY);
    return status == LUA_OK ? 1 : lua_error(L);
}

static int test_plugin(lua_State *L) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, lg_of(L)->plugin);
    return 1;
}

// What a test calls next is a call of its own, as far as bounds for each call go.
static int test_begin(lua_State *L) {
    lg_of(L)->call++;
    return 0;
}

// ---- The clocks, which stand still from the first call on

static int64_t nanoseconds_at(lua_State *L, int index) {
    lua_Number seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds >= -4e9 && seconds <= 4e9, index, "seconds out of range");
    lua_Number whole = floor(seconds);  // a double holds no nanoseconds since 1970
    return (int64_t)whole * 1000000000 + llround((seconds - whole) * 1e9);
}

static LuaGuard *stop_clocks(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    if (guard->clocks_stopped) return guard;
    guard->stopped_wall = lg_wall_nanoseconds(guard);
    guard->stopped_monotonic = lg_monotonic_nanoseconds(guard);
    guard->clocks_stopped = true;
    return guard;
}

static int test_set_clock(lua_State *L) {
    int64_t now = nanoseconds_at(L, 1);
    stop_clocks(L)->stopped_wall = now;
    return 0;
}

static int test_advance(lua_State *L) {
    int64_t by = nanoseconds_at(L, 1);
    luaL_argcheck(L, by >= 0, 1, "clocks go forward");
    LuaGuard *guard = stop_clocks(L);
    if (__builtin_add_overflow(guard->stopped_wall, by, &guard->stopped_wall) ||
        __builtin_add_overflow(guard->stopped_monotonic, by, &guard->stopped_monotonic)) {
        return luaL_error(L, "the end of time");
    }
    return 0;
}

void lg_open_test_host(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"exchange", test_exchange}, {"bind", test_bind},           {"route", test_route},
        {"plugin", test_plugin},     {"set_clock", test_set_clock}, {"advance", test_advance},
        {"waits", lg_answer_waits},  {"begin", test_begin},         {NULL, NULL},
    };
    lua_rawgeti(L, LUA_REGISTRYINDEX, lg_of(L)->loaded);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_setfield(L, -2, "yutu.host");
}
