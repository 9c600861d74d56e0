// Bindings as scripts see them. Knows ids, keys and arguments; the host knows what they mean.
//
//   bindings   userdata, one an exchange       user values: handles by id, index of `prepare`, definition
//   binding    userdata, one a binding         user values: fields, what `bind` kept
//   selection  light userdata, which stands for a range of guard->selected during its call:
//
//     | 1 | call, 43 bits | number, 20 bits |      `null`, the other light userdata, begins with a 0

#include "internal.h"

const char lg_binding_metatable = 0;
static const char methods_metatable = 0;

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

static uint64_t selection_word(const LuaGuard *guard, size_t number) {
    return 1ull << 63 | (guard->call & ((1ull << 43) - 1)) << 20 | number;
}

const Selection *lg_selection_at(lua_State *L, int index, bool *stale) {
    const LuaGuard *guard = lg_of(L);
    *stale = false;
    if (lua_type(L, index) != LUA_TLIGHTUSERDATA) return NULL;
    uint64_t word = (uint64_t)(uintptr_t)lua_touserdata(L, index), number = word & ((1u << 20) - 1);
    if (!(word >> 63)) return NULL;
    *stale = word != selection_word(guard, number) || number >= guard->selection_count;
    return *stale ? NULL : &guard->selections[number];
}

static const Selection *check_selection(lua_State *L) {
    bool stale;
    const Selection *selection = lg_selection_at(L, 1, &stale);
    if (stale) luaL_error(L, "a selection is valid during the call that made it");
    if (!selection) luaL_typeerror(L, 1, "selection");
    return selection;
}

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

static void no_memory(lua_State *L) {
    lg_trip(L, LG_MEMORY);
    luaL_error(L, "not enough memory");
}

// Room for so many more ids, at the end of what was selected in this call.
static uint64_t *reserve(lua_State *L, size_t more) {
    LuaGuard *guard = lg_of(L);
    while (guard->selected_capacity - guard->selected_count < more) {
        if (guard->selected_count + more > LG_MOST_SELECTED ||
            !lg_grow(&guard->selected, &guard->selected_capacity, guard->selected_capacity, sizeof(uint64_t))) {
            no_memory(L);
        }
    }
    return guard->selected + guard->selected_count;
}

// Makes a selection of the `count` ids that were put where `reserve` said, and pushes it.
static int push_selection(lua_State *L, LGRoutes *routes, size_t count) {
    LuaGuard *guard = lg_of(L);
    size_t number = guard->selection_count;
    if (number == LG_MOST_SELECTIONS) return luaL_error(L, "more than %d selections", LG_MOST_SELECTIONS);
    if (!lg_grow(&guard->selections, &guard->selection_capacity, number, sizeof(Selection))) no_memory(L);
    guard->selections[guard->selection_count++] = (Selection){guard->selected_count, count, routes};
    guard->selected_count += count;
    lg_spend(L, count / 8 + 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)selection_word(guard, number));
    return 1;
}

LGBytes lg_check_text(lua_State *L, int index) {
    size_t count;
    const char *text = luaL_checklstring(L, index, &count);
    return lg_bytes(text, count);
}

// Null when memory is gone.
static KeyIndex *make_index(const LGRoutes *routes, KIKind kind) {
    uint64_t secret[2] = {routes->guard->limits.seed, ~routes->guard->limits.seed};
    KeyIndex *index = ki_open(kind, (const uint8_t *)secret);
    for (uint32_t i = 0; i < routes->count && index; i++) {
        const Entry *entry = &routes->entries[i];
        if (ki_add(index, entry->block, entry->key_count, entry->id)) continue;
        ki_close(index);
        index = NULL;
    }
    return index;
}

// hot:
static int select_keys(lua_State *L, KIKind kind) {
    LGRoutes *routes = lg_check_routes(L);
    LGBytes key = lg_check_text(L, 2);
    if (!routes->indexes[kind]) routes->indexes[kind] = make_index(routes, kind);
    const uint64_t *ids = NULL;
    size_t count = 0;
    if (!routes->indexes[kind] || !ki_match(routes->indexes[kind], key.bytes, key.count, &ids, &count)) {
        no_memory(L);
    }
    uint64_t *room = reserve(L, count);
    if (count) memcpy(room, ids, count * sizeof *ids);
    return push_selection(L, routes, count);
}

static int routes_key(lua_State *L) { return select_keys(L, KI_WHOLE_KEYS); }
static int routes_topic(lua_State *L) { return select_keys(L, KI_TOPIC_PATTERNS); }

static int select_headers(lua_State *L, LGRoutes *routes, LGBytes headers) {
    size_t count = 0;
    uint64_t *room = reserve(L, routes->count);
    for (uint32_t i = 0; i < routes->count; i++) {
        const Entry *entry = &routes->entries[i];
        lg_spend(L, 1 + entry->key_count / 16 + entry->arguments_count / 8);
        if (lg_headers_match(entry_arguments(entry), headers)) room[count++] = entry->id;
    }
    return push_selection(L, routes, count);
}

// bindings:headers() takes the message's own headers as they came; bindings:headers(t) any table.
static int routes_headers(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = lg_check_routes(L);
    if (lua_isnoneornil(L, 2)) {
        if (!guard->message) return luaL_error(L, "there is no message whose headers could be meant");
        return select_headers(L, routes, lg_message_headers(L));
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    guard->out.count = 0;
    lg_encode_table(L, 2, &guard->out, false);
    return select_headers(L, routes, lg_bytes(guard->out.bytes, guard->out.count));
}

static int routes_all(lua_State *L) {
    LGRoutes *routes = lg_check_routes(L);
    uint64_t *room = reserve(L, routes->count);
    for (uint32_t i = 0; i < routes->count; i++) room[i] = routes->entries[i].id;
    return push_selection(L, routes, routes->count);
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

static int no_method(lua_State *L) {
    return luaL_error(L, "bindings have no '%s'", luaL_tolstring(L, 2, NULL));
}

// Methods are found without calling a function, and with them the exchange: each has a table of its own.
void lg_set_methods(lua_State *L, int routes) {
    static const luaL_Reg methods[] = {
        {"each", routes_each},       {"key", routes_key}, {"topic", routes_topic},
        {"headers", routes_headers}, {"all", routes_all}, {"hash", routes_hash},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 4);
    luaL_newlib(L, methods);
    lua_getiuservalue(L, routes, ROUTES_DEFINITION);
    lua_setfield(L, -2, "exchange");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_metatable);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, routes_length);
    lua_setfield(L, -2, "__len");
    lua_pushliteral(L, "bindings");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, routes);
}

// ---- selection:each(), #selection, selection[i]

// Upvalues: selection, position.
static int selection_next(lua_State *L) {
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    const Selection *selection = check_selection(L);
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));
    if ((size_t)at >= selection->count) return 0;
    lua_pushinteger(L, at + 1);
    lua_replace(L, lua_upvalueindex(2));
    return lg_push_binding(L, selection->routes, lg_of(L)->selected[selection->start + (size_t)at]);
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

// All light userdata have one metatable: selections and `null`.
static int selection_index(lua_State *L) {
    if (lua_touserdata(L, 1) == (void *)&lg_null) return luaL_error(L, "attempt to index null");
    const Selection *selection = check_selection(L);
    if (lua_isinteger(L, 2)) {
        lua_Integer at = lua_tointeger(L, 2);
        if (at < 1 || (size_t)at > selection->count) return 0;
        lg_push_binding(L, selection->routes, lg_of(L)->selected[selection->start + (size_t)at - 1]);
        lua_pop(L, 1);
        return 1;
    }
    size_t n;
    const char *s = lua_tolstring(L, 2, &n);
    if (!s || !IS(s, n, "each")) return luaL_error(L, "a selection has no '%s'", luaL_tolstring(L, 2, NULL));
    lua_pushcfunction(L, selection_each);
    return 1;
}

void lg_open_routes(lua_State *L) {
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, binding_index);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "binding");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &lg_binding_metatable);

    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, no_method);
    lua_setfield(L, -2, "__index");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &methods_metatable);

    lua_pushlightuserdata(L, (void *)&lg_null);
    lua_getmetatable(L, -1);
    lua_pushcfunction(L, selection_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, selection_length);
    lua_setfield(L, -2, "__len");
    lua_pop(L, 2);
}
