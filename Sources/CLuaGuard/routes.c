// Bindings as scripts see them, and the call of `route`. Knows ids, keys and arguments; the host knows what they mean.
//
//   bindings   userdata, one an exchange       user values: handles by id, index of `prepare`, definition
//   binding    userdata, one a binding         user values: fields, what `bind` kept
//   selection  userdata, a range of guard->selected, valid during its call

#include "internal.h"

bool lg_topic_matches(LGBytes pattern, LGBytes key);
bool lg_headers_match(LGBytes arguments, LGBytes headers);

static const char routes_metatable = 0, binding_metatable = 0, selection_metatable = 0;
enum { MOST_RESULTS = 1 << 22 };

// ---- Arguments

static uint32_t tag_at(lua_State *L, int index) {
    return lua_type(L, index) == LUA_TUSERDATA ? *(uint32_t *)lua_touserdata(L, index) : 0;
}

static LGRoutes *check_routes(lua_State *L) {
    RoutesBox *box = tag_at(L, 1) == TAG_ROUTES ? lua_touserdata(L, 1) : NULL;
    if (!box) luaL_typeerror(L, 1, "bindings");
    if (!box->routes) luaL_error(L, "the exchange of these bindings is gone");
    return box->routes;
}

static SelectionBox *check_selection(lua_State *L) {
    SelectionBox *box = tag_at(L, 1) == TAG_SELECTION ? lua_touserdata(L, 1) : NULL;
    if (!box) luaL_typeerror(L, 1, "selection");
    if (box->call != lg_of(L)->call) luaL_error(L, "a selection is valid during the call that made it");
    return box;
}

static LGBytes entry_key(const Entry *entry) { return lg_bytes(entry->block, entry->key_count); }
static LGBytes entry_arguments(const Entry *entry) {
    return lg_bytes(entry->block + entry->key_count, entry->arguments_count);
}

// Pushes the binding with this id, and what was kept with it.
static int push_binding(lua_State *L, LGRoutes *routes, uint64_t id) {
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
    LGRoutes *routes = check_routes(L);
    uint32_t next = 0;
    if (tag_at(L, 2) == TAG_BINDING) next = ((BindingBox *)lua_touserdata(L, 2))->index + 1;
    if (next >= routes->count) return 0;
    lua_getiuservalue(L, 1, ROUTES_HANDLES);
    lua_rawgeti(L, -1, (lua_Integer)routes->entries[next].id);
    lua_getiuservalue(L, -1, BINDING_KEPT);
    return 2;
}

static int routes_each(lua_State *L) {
    check_routes(L);
    lua_pushcfunction(L, each_next);
    lua_pushvalue(L, 1);
    return 2;
}

static int routes_length(lua_State *L) {
    lua_pushinteger(L, check_routes(L)->count);
    return 1;
}

// ---- Selections

void lg_select_add(LuaGuard *guard, uint64_t id) {
    if (!lg_grow(&guard->selected, &guard->selected_capacity, guard->selected_count, sizeof(uint64_t))) {
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
    LGRoutes *routes = check_routes(L);
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

static LGBytes check_text(lua_State *L, int index) {
    size_t count;
    const char *text = luaL_checklstring(L, index, &count);
    return lg_bytes(text, count);
}

static int routes_key(lua_State *L) { return select_bindings(L, LG_SELECT_KEY, check_text(L, 2)); }
static int routes_topic(lua_State *L) { return select_bindings(L, LG_SELECT_TOPIC, check_text(L, 2)); }

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
    LGRoutes *routes = check_routes(L);
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

// -ln(u) for 0 < u < 1, to 1e-8: exponent and mantissa apart, the mantissa by the series of atanh. libm's log would
// be one more library to link.
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

// Rendezvous hashing: each binding draws for each value, the best draw wins. Even to the noise of the hash, and a
// new binding takes exactly its share from the others; the price is a draw (2 ns, 6 with weights) a binding.
static int routes_hash(lua_State *L) {
    LGRoutes *routes = check_routes(L);
    size_t count;
    luaL_argexpected(L, lua_type(L, 2) == LUA_TSTRING || lua_type(L, 2) == LUA_TNUMBER, 2, "string or number");
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
    push_binding(L, routes, best);
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
    return push_binding(L, box->routes, lg_of(L)->selected[box->start + (size_t)at]);
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
        push_binding(L, box->routes, lg_of(L)->selected[box->start + (size_t)at - 1]);
        lua_pop(L, 1);
        return 1;
    }
    size_t n;
    const char *s = lua_tolstring(L, 2, &n);
    if (!s || !IS(s, n, "each")) return luaL_error(L, "a selection has no '%s'", luaL_tolstring(L, 2, NULL));
    lua_pushcfunction(L, selection_each);
    return 1;
}

static void metatable(lua_State *L, const void *key, const char *name, lua_CFunction index, lua_CFunction length) {
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
    metatable(L, &routes_metatable, "bindings", routes_index, routes_length);
    metatable(L, &binding_metatable, "binding", binding_index, NULL);
    metatable(L, &selection_metatable, "selection", selection_index, selection_length);
}

// ---- Life of an exchange's routes

typedef struct {
    LGRoutes *routes;
    LGBytes definition;
} Opening;

static int open_body(lua_State *L) {
    Opening *opening = lua_touserdata(L, 1);
    RoutesBox *box = lua_newuserdatauv(L, sizeof *box, 3);
    *box = (RoutesBox){TAG_ROUTES, NULL};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &routes_metatable);
    lua_setmetatable(L, -2);
    lua_newtable(L);
    lua_setiuservalue(L, -2, ROUTES_HANDLES);
    lg_push_table(L, opening->definition);
    lua_setiuservalue(L, -2, ROUTES_DEFINITION);
    opening->routes->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    box->routes = opening->routes;
    return 0;
}

static LGRoutes *new_routes(LuaGuard *guard, void *context) {
    LGRoutes *routes = calloc(1, sizeof *routes);
    if (!routes) return NULL;
    routes->guard = guard;
    routes->context = context;
    routes->serial = ++guard->serial;
    routes->stale = true;
    routes->ref = LUA_NOREF;
    routes->next = guard->all;
    if (routes->next) routes->next->previous = routes;
    guard->all = routes;
    return routes;
}

static const LGBudget opening_budget = {10000000, 1000000000};

LGRoutes *lg_routes_open(LuaGuard *guard, void *context, LGBytes definition) {
    LGRoutes *routes = new_routes(guard, context);
    if (!routes) return NULL;
    Opening opening = {routes, definition};
    if (lg_run(guard, open_body, &opening, opening_budget) != LG_OK) {
        lg_routes_close(routes);
        return NULL;
    }
    return routes;
}

void lg_routes_close(LGRoutes *routes) {
    if (!routes) return;
    LuaGuard *guard = routes->guard;
    lua_State *L = guard->L;
    if (routes->ref != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
        ((RoutesBox *)lua_touserdata(L, -1))->routes = NULL;
        lua_pop(L, 1);
        luaL_unref(L, LUA_REGISTRYINDEX, routes->ref);
    }
    for (uint32_t i = 0; i < routes->count; i++) free(routes->entries[i].block);
    free(routes->entries);
    if (routes->next) routes->next->previous = routes->previous;
    if (routes->previous) routes->previous->next = routes->next;
    else guard->all = routes->next;
    free(routes);
}

// Raises LG_REFUSED with the script's text when the value on top is a denial.
static void raise_denial(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    const char *verdict = lua_istable(L, -1) ? lg_verdict(L, lua_gettop(L)) : NULL;
    if (!verdict || (strcmp(verdict, "deny") != 0 && strcmp(verdict, "drop") != 0)) return;
    LGBytes text = lg_verdict_text(L, lua_gettop(L), guard->key_reason);
    guard->failure = LG_REFUSED;
    lua_pushlstring(L, text.bytes ? (const char *)text.bytes : "", text.count);
    lua_error(L);
}

static int validate_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = lua_touserdata(L, 1);
    if (guard->validate == LUA_NOREF) return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->validate);
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    lua_getiuservalue(L, -1, ROUTES_DEFINITION);
    lua_remove(L, -2);
    lua_call(L, 1, 1);
    raise_denial(L);
    return 0;
}

LGStatus lg_routes_validate(LGRoutes *routes, LGBudget budget) {
    return lg_run(routes->guard, validate_body, routes, budget);
}

// ---- bind and unbind

static void set_text(lua_State *L, const char *name, LGBytes text) {
    lua_pushlstring(L, text.bytes ? (const char *)text.bytes : "", text.count);
    lua_setfield(L, -2, name);
}

static double weight_of(lua_State *L, int kept) {
    double weight = 1;
    if (lua_type(L, kept) == LUA_TNUMBER) {
        weight = lua_tonumber(L, kept);
    } else if (lua_istable(L, kept)) {
        lua_pushliteral(L, "weight");
        lua_rawget(L, kept);
        if (lua_type(L, -1) == LUA_TNUMBER) weight = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return weight > 0 && weight < 1e300 ? weight : 1;
}

static bool add_entry(LGRoutes *routes, const LGBinding *binding, double weight) {
    if (routes->count == routes->capacity) {
        uint32_t capacity = routes->capacity ? routes->capacity * 2 : 8;
        Entry *entries = realloc(routes->entries, capacity * sizeof *entries);
        if (!entries) return false;
        routes->entries = entries;
        routes->capacity = capacity;
    }
    Entry entry = {binding->id, lg_xxh64(binding->destination.bytes, binding->destination.count, binding->to_exchange),
                   weight, malloc(binding->key.count + binding->arguments.count + 1), binding->key.count,
                   binding->arguments.count};
    if (!entry.block) return false;
    if (entry.key_count) memcpy(entry.block, binding->key.bytes, entry.key_count);
    if (entry.arguments_count) memcpy(entry.block + entry.key_count, binding->arguments.bytes, entry.arguments_count);
    if (routes->count == 0) routes->uneven = false;
    else if (weight != routes->entries[0].weight) routes->uneven = true;
    routes->entries[routes->count++] = entry;
    routes->stale = true;
    return true;
}

// Pushes nothing; raises LG_REFUSED when `bind` says deny.
static void bind(lua_State *L, LGRoutes *routes, const LGBinding *binding) {
    LuaGuard *guard = lg_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    int bindings = lua_gettop(L);
    BindingBox *box = lua_newuserdatauv(L, sizeof *box, 2);
    int handle = lua_gettop(L);
    *box = (BindingBox){TAG_BINDING, UINT32_MAX, binding->id, routes->serial};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &binding_metatable);
    lua_setmetatable(L, handle);
    lua_createtable(L, 0, 7);
    set_text(L, "key", binding->key);
    set_text(L, "routing_key", binding->key);
    set_text(L, "destination", binding->destination);
    lua_pushstring(L, binding->to_exchange ? "exchange" : "queue");
    lua_setfield(L, -2, "destination_kind");
    lg_push_table(L, binding->arguments);
    lua_setfield(L, -2, "arguments");
    lua_getiuservalue(L, bindings, ROUTES_DEFINITION);
    lua_setfield(L, -2, "exchange");
    lua_setiuservalue(L, handle, BINDING_FIELDS);
    if (guard->bind == LUA_NOREF) {
        lua_pushnil(L);
    } else {
        lua_rawgeti(L, LUA_REGISTRYINDEX, guard->bind);
        lua_pushvalue(L, handle);
        lua_call(L, 1, 1);
        raise_denial(L);
    }
    double weight = weight_of(L, lua_gettop(L));
    lua_setiuservalue(L, handle, BINDING_KEPT);
    lua_getiuservalue(L, bindings, ROUTES_HANDLES);
    lua_pushvalue(L, handle);
    lua_rawseti(L, -2, (lua_Integer)binding->id);
    if (!add_entry(routes, binding, weight)) {
        lua_pushnil(L);
        lua_rawseti(L, -2, (lua_Integer)binding->id);
        lg_trip(L, LG_MEMORY);
        luaL_error(L, "not enough memory");
    }
    box->index = routes->count - 1;
    lua_settop(L, bindings - 1);
}

typedef struct {
    LGRoutes *routes;
    const LGBinding *binding;
} Binding;

static int bind_body(lua_State *L) {
    Binding *argument = lua_touserdata(L, 1);
    bind(L, argument->routes, argument->binding);
    return 0;
}

LGStatus lg_routes_bind(LGRoutes *routes, const LGBinding *binding, LGBudget budget) {
    Binding argument = {routes, binding};
    return lg_run(routes->guard, bind_body, &argument, budget);
}

// Allocates nothing and raises nothing: the last binding takes the place of the one that goes.
void lg_routes_unbind(LGRoutes *routes, uint64_t id) {
    lua_State *L = routes->guard->L;
    if (routes->guard->busy) return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    lua_getiuservalue(L, -1, ROUTES_HANDLES);
    if (lua_rawgeti(L, -1, (lua_Integer)id) == LUA_TUSERDATA) {
        BindingBox *gone = lua_touserdata(L, -1);
        uint32_t at = gone->index;
        free(routes->entries[at].block);
        routes->entries[at] = routes->entries[--routes->count];
        lua_pushnil(L);
        lua_rawseti(L, -3, (lua_Integer)id);
        if (at < routes->count) {
            lua_rawgeti(L, -2, (lua_Integer)routes->entries[at].id);
            ((BindingBox *)lua_touserdata(L, -1))->index = at;
        }
        gone->index = UINT32_MAX;
        routes->stale = true;
    }
    lua_settop(L, SLOTS);
}

// ---- route

static const char *add_id(LuaGuard *guard, uint64_t id) {
    if (guard->id_count >= MOST_RESULTS) return "route returned too many bindings";
    if (!lg_grow(&guard->ids, &guard->id_capacity, guard->id_count, sizeof(uint64_t))) return "not enough memory";
    guard->ids[guard->id_count++] = id;
    return NULL;
}

// Adds the binding, selection or queue("name") at the top. Returns what is wrong with it, or null.
static const char *add_target(lua_State *L, LuaGuard *guard, LGRoutes *routes) {
    uint32_t tag = tag_at(L, -1);
    if (tag == TAG_BINDING) {
        BindingBox *box = lua_touserdata(L, -1);
        if (box->serial != routes->serial) return "route returned a binding of another exchange";
        if (box->index >= routes->count || routes->entries[box->index].id != box->id) {
            return "route returned a binding that is gone";
        }
        return add_id(guard, box->id);
    }
    if (tag == TAG_SELECTION) {
        SelectionBox *box = lua_touserdata(L, -1);
        if (box->call != guard->call || box->routes != routes) return "route returned a selection of an earlier call";
        const char *problem = NULL;
        for (size_t i = 0; i < box->count && !problem; i++) problem = add_id(guard, guard->selected[box->start + i]);
        return problem;
    }
    const char *verdict = lua_istable(L, -1) ? lg_verdict(L, lua_gettop(L)) : NULL;
    if (!verdict || strcmp(verdict, "queue") != 0) {
        return "route returned something that is no binding, list of bindings, selection, queue(name) or verdict";
    }
    LGBytes name = lg_verdict_text(L, lua_gettop(L), guard->key_name);
    if (!lg_grow(&guard->queues, &guard->queue_capacity, guard->queue_count, sizeof(LGBytes)) ||
        !lg_buffer_reserve(&guard->text, name.count + 1)) {
        return "not enough memory";
    }
    memcpy(guard->text.bytes + guard->text.count, name.bytes, name.count);
    guard->queues[guard->queue_count++] = lg_bytes((const uint8_t *)(uintptr_t)guard->text.count, name.count);
    guard->text.count += name.count;
    return NULL;
}

static const char *take_verdict(lua_State *L, LuaGuard *guard, int index, const char *verdict, LGRouteResult *result) {
    if (strcmp(verdict, "deny") == 0) result->verdict = LG_DENIED;
    else if (strcmp(verdict, "drop") == 0) result->verdict = LG_DROPPED;
    else if (strcmp(verdict, "delay") == 0) result->verdict = LG_DELAYED;
    else return "route returned a verdict that is not for routing";
    if (result->verdict == LG_DELAYED) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, guard->key_milliseconds);
        lua_rawget(L, index);
        result->milliseconds = lua_tointeger(L, -1);
        lua_pop(L, 1);
        return NULL;
    }
    LGBytes reason = lg_verdict_text(L, index, guard->key_reason);
    if (!lg_buffer_reserve(&guard->text, reason.count + 1)) return "not enough memory";
    if (reason.count) memcpy(guard->text.bytes, reason.bytes, reason.count);
    result->text = lg_bytes(guard->text.bytes, reason.count);
    return NULL;
}

// Reads what route returned, with functions that neither raise nor allocate from Lua: it may run unprotected.
int lg_collect(lua_State *L, LuaGuard *guard, LGRoutes *routes, int index, LGRouteResult *result,
               const char **problem) {
    const char *verdict;
    *problem = NULL;
    guard->id_count = guard->queue_count = 0;
    guard->text.count = 0;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA: break;
    case LUA_TTABLE:
        verdict = lg_verdict(L, index);
        if (verdict && strcmp(verdict, "queue") != 0) {
            *problem = take_verdict(L, guard, index, verdict, result);
        } else if (verdict) {
            lua_pushvalue(L, index);
            *problem = add_target(L, guard, routes);
            lua_pop(L, 1);
        } else {
            lua_Unsigned count = lua_rawlen(L, index);
            if (count > LG_ROUTE_RESULTS) *problem = "route returned too many bindings";
            for (lua_Unsigned i = 1; i <= count && !*problem; i++) {
                lua_rawgeti(L, index, (lua_Integer)i);
                *problem = add_target(L, guard, routes);
                lua_pop(L, 1);
            }
        }
        break;
    default:
        lua_pushvalue(L, index);
        *problem = add_target(L, guard, routes);
        lua_pop(L, 1);
    }
    if (*problem) return LG_RUNTIME;
    for (size_t i = 0; i < guard->queue_count; i++) {
        guard->queues[i].bytes = guard->text.bytes + (uintptr_t)guard->queues[i].bytes;
    }
    result->ids = guard->ids;
    result->id_count = guard->id_count;
    result->queues = guard->queues;
    result->queue_count = guard->queue_count;
    return LG_OK;
}

static void prepare(lua_State *L, LGRoutes *routes) {
    LuaGuard *guard = lg_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    if (guard->prepare == LUA_NOREF) {
        lua_pushnil(L);
    } else {
        guard->call++;
        guard->selected_count = 0;
        lua_rawgeti(L, LUA_REGISTRYINDEX, guard->prepare);
        lua_pushvalue(L, -2);
        lua_call(L, 1, 1);
    }
    lua_setiuservalue(L, -2, ROUTES_INDEX);
    lua_pop(L, 1);
    routes->stale = false;
}

static int prepare_body(lua_State *L) {
    prepare(L, lua_touserdata(L, 1));
    return 0;
}

// hot: no allocation but the script's own.
LGStatus lg_routes_route(LGRoutes *routes, const LGMessage *message, LGBudget budget, LGBudget prepare_budget,
                         LGRouteResult *result) {
    LuaGuard *guard = routes->guard;
    lua_State *L = guard->L;
    memset(result, 0, sizeof *result);
    if (guard->busy || guard->route == LUA_NOREF) return lg_refuse_nested(guard);
    if (routes->stale) {
        int status = lg_run(guard, prepare_body, routes, prepare_budget);
        if (status != LG_OK) return status;
    }
    lg_begin(guard, budget);
    lg_message_begin(guard, message);
    guard->call++;
    guard->selected_count = 0;
    lua_pushvalue(L, SLOT_ROUTE);
    lua_pushvalue(L, SLOT_MESSAGE);
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    lua_getiuservalue(L, -1, ROUTES_INDEX);
    int status = lua_pcall(L, 3, 1, SLOT_HANDLER);
    const char *problem = NULL;
    if (status == LUA_OK) lg_collect(L, guard, routes, SLOTS + 1, result, &problem);
    lg_message_end(guard);
    int kind = lg_end(guard, status);
    if (!problem) return kind;
    guard->error.kind = LG_RUNTIME;
    strncpy(guard->error.message, problem, sizeof guard->error.message - 1);
    return LG_RUNTIME;
}

// ---- yutu.host: what `yutu.test` stands on; the same bind, prepare and route, called from within Lua

static int test_exchange(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    guard->out.count = 0;
    lg_encode_table(L, 1, &guard->out, false);
    LGRoutes *routes = new_routes(guard, NULL);  // lg_close frees it
    if (!routes) return luaL_error(L, "not enough memory");
    Opening opening = {routes, lg_bytes(guard->out.bytes, guard->out.count)};
    lua_pushcfunction(L, open_body);
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

// (bindings, destination, key, arguments, to_exchange) -> true | nil, text
static int test_bind(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = check_routes(L);
    LGBytes destination = check_text(L, 2), key = check_text(L, 3);
    luaL_checktype(L, 4, LUA_TTABLE);
    lua_settop(L, 5);
    guard->out.count = 0;
    lg_encode_table(L, 4, &guard->out, false);
    lua_pushlstring(L, (const char *)guard->out.bytes, guard->out.count);  // the script may use the buffer
    LGBytes arguments = check_text(L, 6);
    LGBinding binding = {++guard->serial, key, destination, arguments, lua_toboolean(L, 5)};
    Binding argument = {routes, &binding};
    lua_pushcfunction(L, bind_body);
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

static void add_number(lua_State *L, luaL_Buffer *out, const char *name, int bit, int bytes, unsigned *flags) {
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
    return check_text(L, lua_gettop(L));
}

// Runs under a pcall of its own (test_route), so that the message never outlives its call.
static int test_route_body(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = lua_touserdata(L, 1);
    if (routes->stale) prepare(L, routes);
    guard->call++;
    guard->selected_count = 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->route);
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->message_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    lua_getiuservalue(L, -1, ROUTES_INDEX);
    lua_call(L, 3, 1);
    LGRouteResult result = {0};
    const char *problem;
    if (lg_collect(L, guard, routes, lua_gettop(L), &result, &problem) != LG_OK) return luaL_error(L, "%s", problem);
    if (result.verdict != LG_ROUTED) return 1;  // the verdict itself
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_Integer n = 0;
    for (size_t i = 0; i < result.id_count; i++) {
        push_binding(L, routes, result.ids[i]);
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

// (bindings, message table) -> list of destinations | verdict
static int test_route(lua_State *L) {
    LuaGuard *guard = lg_of(L);
    LGRoutes *routes = check_routes(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (guard->route == LUA_NOREF) return luaL_error(L, "the plugin has no exchange.route");
    lua_settop(L, 2);
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

void lg_open_test_host(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"exchange", test_exchange}, {"bind", test_bind}, {"route", test_route}, {NULL, NULL}};
    lua_rawgeti(L, LUA_REGISTRYINDEX, lg_of(L)->loaded);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_setfield(L, -2, "yutu.host");
}
