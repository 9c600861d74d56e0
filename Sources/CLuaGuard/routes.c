// Bindings as scripts see them. Knows ids, keys and arguments; the host knows what they mean.
//
//   bindings   userdata, one an exchange       user values: handles by id, index of `prepare`, definition
//   binding    userdata, one a binding         user values: fields, what `bind` kept
//   selection  userdata, a range of guard->selected, valid during its call

#include "internal.h"

const char lg_routes_metatable = 0, lg_binding_metatable = 0;
static const char selection_metatable = 0;

// ---- Arguments

uint32_t lg_tag_at(lua_State *L, int index) {
    return lua_type(L, index) == LUA_TUSERDATA ? *(uint32_t *)lua_touserdata(L, index) : 0;
}

LGRoutes *lg_check_routes(lua_State *L) {
    RoutesBox *box = lg_tag_at(L, 1) == TAG_ROUTES ? lua_touserdata(L, 1) : NULL;
    if (!box) luaL_typeerror(L, 1, "bindings");
    if (!box->routes) luaL_error(L, "the exchange of these bindings is gone");
    return box->routes;
}

static SelectionBox *check_selection(lua_State *L) {
    SelectionBox *box = lg_tag_at(L, 1) == TAG_SELECTION ? lua_touserdata(L, 1) : NULL;
    if (!box) luaL_typeerror(L, 1, "selection");
    if (box->call != lg_of(L)->call) luaL_error(L, "a selection is valid during the call that made it");
    return box;
}

static LGBytes entry_key(const Entry *entry) { return lg_bytes(entry->block, entry->key_count); }
static LGBytes entry_arguments(const Entry *entry) {
    return lg_bytes(entry->block + entry->key_count, entry->arguments_count);
}

// Pushes the binding with this id, and what was kept with it.
int lg_push_binding(lua_State *L, LGRoutes *routes, uint64_t id) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    lua_getiuservalue(L, -1, ROUTES_HANDLES);
    if (lua_rawgeti(L, -1, (lua_Integer)id) == LUA_TNIL) return luaL_error(L, "no binding with this id");
    lua_getiuservalue(L, -1, BINDING_KEPT);
    return 2;
}

// ---- binding

static int binding_index(lua_State *L) {
    size_t n;
    const char *s = lua_tolstring(L, 2, &n);
    if (s && IS(s, n, "index")) {
        lua_pushinteger(L, ((BindingBox *)lua_touserdata(L, 1))->index + 1);
        return 1;
    }
    lua_getiuservalue(L, 1, BINDING_FIELDS);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
}

// ---- bindings:each(), #bindings

static int each_next(lua_State *L) {
    LGRoutes *routes = lg_check_routes(L);
    uint32_t next = 0;
    if (lg_tag_at(L, 2) == TAG_BINDING) next = ((BindingBox *)lua_touserdata(L, 2))->index + 1;
    if (next >= routes->count) return 0;
    lua_getiuservalue(L, 1, ROUTES_HANDLES);
    lua_rawgeti(L, -1, (lua_Integer)routes->entries[next].id);
    lua_getiuservalue(L, -1, BINDING_KEPT);
    return 2;
}

static int routes_each(lua_State *L) {
    lg_check_routes(L);
    lua_pushcfunction(L, each_next);
    lua_pushvalue(L, 1);
    return 2;
}

static int routes_length(lua_State *L) {
    lua_pushinteger(L, lg_check_routes(L)->count);
    return 1;
}

// ---- Selections

void lg_select_add(LuaGuard *guard, uint64_t id) {
    if (guard->selected_count >= LG_MOST_SELECTED ||
        !lg_grow(&guard->selected, &guard->selected_capacity, guard->selected_count, sizeof(uint64_t))) {
        guard->select_failed = true;
        return;
    }
    guard->selected[guard->selected_count++] = id;
}

static SelectionBox *new_selection(lua_State *L, LGRoutes *routes) {
    LuaGuard *guard = lg_of(L);
    SelectionBox *box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = (SelectionBox){TAG_SELECTION, guard->call, guard->selected_count, 0, routes};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &selection_metatable);
    lua_setmetatable(L, -2);
    return box;
}

static int finish_selection(lua_State *L, SelectionBox *box) {
    LuaGuard *guard = lg_of(L);
    if (guard->select_failed) {
        lg_trip(L, LG_MEMORY);
        return luaL_error(L, "not enough memory");
    }
    box->count = guard->selected_count - box->start;
    lg_spend(L, box->count / 8 + 1);
    return 1;
}

static bool select_one(LGSelector selector, const Entry *entry, LGBytes value) {
    LGBytes key = entry_key(entry);
    switch (selector) {
    case LG_SELECT_KEY: return key.count == value.count && memcmp(key.bytes, value.bytes, key.count) == 0;
    case LG_SELECT_TOPIC: return lg_topic_matches(key, value);
    default: return lg_headers_match(entry_arguments(entry), value);
    }
}

static int select_bindings(lua_State *L, LGSelector selector, LGBytes value) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = lg_check_routes(L);
    SelectionBox *box = new_selection(L, routes);
    guard->select_failed = false;
    int answer = LG_NO_INDEX;
    if (guard->host.select && routes->context) {
        answer = guard->host.select(routes->context, selector, value, guard);
    }
    if (answer == LG_MALFORMED) return luaL_error(L, "malformed value");
    if (answer == LG_NO_INDEX) {
        for (uint32_t i = 0; i < routes->count; i++) {
            lg_spend(L, 1 + routes->entries[i].key_count / 16 + routes->entries[i].arguments_count / 8);
            if (select_one(selector, &routes->entries[i], value)) lg_select_add(guard, routes->entries[i].id);
        }
    }
    return finish_selection(L, box);
}

LGBytes lg_check_text(lua_State *L, int index) {
    size_t count;
    const char *text = luaL_checklstring(L, index, &count);
    return lg_bytes(text, count);
}

static int routes_key(lua_State *L) { return select_bindings(L, LG_SELECT_KEY, lg_check_text(L, 2)); }
static int routes_topic(lua_State *L) { return select_bindings(L, LG_SELECT_TOPIC, lg_check_text(L, 2)); }

// bindings:headers() takes the message's own headers as they came; bindings:headers(t) any table.
static int routes_headers(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    if (lua_isnoneornil(L, 2)) {
        if (!guard->message) return luaL_error(L, "there is no message whose headers could be meant");
        return select_bindings(L, LG_SELECT_HEADERS, lg_message_headers(L));
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    guard->out.count = 0;
    lg_encode_table(L, 2, &guard->out, false);
    return select_bindings(L, LG_SELECT_HEADERS, lg_bytes(guard->out.bytes, guard->out.count));
}

static int routes_all(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = lg_check_routes(L);
    SelectionBox *box = new_selection(L, routes);
    guard->select_failed = false;
    for (uint32_t i = 0; i < routes->count; i++) lg_select_add(guard, routes->entries[i].id);
    return finish_selection(L, box);
}

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

// -ln(u) for 0 < u < 1, to 1e-8: exponent and mantissa apart, the mantissa by the series of atanh. libm's log
// would be one more library to link.
static double minus_log(double u) {
    uint64_t bits;
    memcpy(&bits, &u, 8);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u;
    double mantissa;
    memcpy(&mantissa, &bits, 8);
    double t = (mantissa - 1.4142135623730951) / (mantissa + 1.4142135623730951), s = t * t;
    double ln = 2 * t * (1 + s * (1.0 / 3 + s * (1.0 / 5 + s * (1.0 / 7 + s / 9))));
    return -(ln + (exponent + 0.5) * 0.6931471805599453);
}

// Rendezvous hashing: each binding draws for each value, the best draw wins. Even to the noise of the hash,
// and a new binding takes exactly its share from the others; the price is a draw (2 ns, 6 with weights) a
// binding.
static int routes_hash(lua_State *L) {
    LGRoutes *routes = lg_check_routes(L);
    size_t count;
    luaL_argexpected(L, lua_isstring(L, 2), 2, "string or number");
    const char *text = lua_tolstring(L, 2, &count);
    lg_spend(L, count / 64 + routes->count / 4 + 1);
    uint64_t hash = lg_xxh64((const uint8_t *)text, count, 0), best_draw = 0, best = 0;
    double best_score = -1;
    for (uint32_t i = 0; i < routes->count; i++) {
        const Entry *entry = &routes->entries[i];
        uint64_t draw = mix(hash ^ entry->seed);
        if (routes->uneven) {
            double score = entry->weight / minus_log(((double)(draw >> 11) + 0.5) * 0x1p-53);
            if (score <= best_score) continue;
            best_score = score;
        } else {
            if (best && draw <= best_draw) continue;
            best_draw = draw;
        }
        best = entry->id;
    }
    if (!best) return 0;
    lg_push_binding(L, routes, best);
    lua_pop(L, 1);
    return 1;
}

static int routes_index(lua_State *L) {
    size_t n;
    const char *s = lua_tolstring(L, 2, &n);
    lua_CFunction method = NULL;
    if (!s) method = NULL;
    else if (IS(s, n, "each")) method = routes_each;
    else if (IS(s, n, "key")) method = routes_key;
    else if (IS(s, n, "topic")) method = routes_topic;
    else if (IS(s, n, "headers")) method = routes_headers;
    else if (IS(s, n, "all")) method = routes_all;
    else if (IS(s, n, "hash")) method = routes_hash;
    else if (IS(s, n, "exchange")) {
        lua_getiuservalue(L, 1, ROUTES_DEFINITION);
        return 1;
    }
    if (!method) return luaL_error(L, "bindings have no '%s'", luaL_tolstring(L, 2, NULL));
    lua_pushcfunction(L, method);
    return 1;
}

// ---- selection:each(), #selection, selection[i]

// Upvalues: selection, position.
static int selection_next(lua_State *L) {
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    SelectionBox *box = check_selection(L);
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));
    if ((size_t)at >= box->count) return 0;
    lua_pushinteger(L, at + 1);
    lua_replace(L, lua_upvalueindex(2));
    return lg_push_binding(L, box->routes, lg_of(L)->selected[box->start + (size_t)at]);
}

static int selection_each(lua_State *L) {
    check_selection(L);
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, selection_next, 2);
    return 1;
}

static int selection_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)check_selection(L)->count);
    return 1;
}

static int selection_index(lua_State *L) {
    SelectionBox *box = check_selection(L);
    if (lua_isinteger(L, 2)) {
        lua_Integer at = lua_tointeger(L, 2);
        if (at < 1 || (size_t)at > box->count) return 0;
        lg_push_binding(L, box->routes, lg_of(L)->selected[box->start + (size_t)at - 1]);
        lua_pop(L, 1);
        return 1;
    }
    size_t n;
    const char *s = lua_tolstring(L, 2, &n);
    if (!s || !IS(s, n, "each")) return luaL_error(L, "a selection has no '%s'", luaL_tolstring(L, 2, NULL));
    lua_pushcfunction(L, selection_each);
    return 1;
}

static void metatable(lua_State *L, const void *key, const char *name, lua_CFunction index,
                      lua_CFunction length) {
    lua_createtable(L, 0, 4);
    lua_pushcfunction(L, index);
    lua_setfield(L, -2, "__index");
    if (length) {
        lua_pushcfunction(L, length);
        lua_setfield(L, -2, "__len");
    }
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void lg_open_routes(lua_State *L) {
    metatable(L, &lg_routes_metatable, "bindings", routes_index, routes_length);
    metatable(L, &lg_binding_metatable, "binding", binding_index, NULL);
    metatable(L, &selection_metatable, "selection", selection_index, selection_length);
}
