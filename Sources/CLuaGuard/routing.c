// The life of an exchange's bindings in an interpreter, and the calls of `validate`, `bind`, `prepare` and
// `route`.

#include "internal.h"

// ---- Life of an exchange's routes

int lg_open_routes_body(lua_State *L) {
    Opening *opening = lua_touserdata(L, 1);
    RoutesBox *box = lua_newuserdatauv(L, sizeof *box, 3);
    *box = (RoutesBox){TAG_ROUTES, NULL};
    lua_newtable(L);
    lua_setiuservalue(L, -2, ROUTES_HANDLES);
    lg_push_table(L, opening->definition);
    lua_setiuservalue(L, -2, ROUTES_DEFINITION);
    lg_set_methods(L, lua_gettop(L));
    opening->routes->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    box->routes = opening->routes;
    return 0;
}

LGRoutes *lg_new_routes(LuaGuard *guard) {
    LGRoutes *routes = calloc(1, sizeof *routes);
    if (!routes) return NULL;
    routes->guard = guard;
    routes->serial = ++guard->serial;
    routes->stale = true;
    routes->ref = LUA_NOREF;
    routes->next = guard->all;
    if (routes->next) routes->next->previous = routes;
    guard->all = routes;
    return routes;
}

static const LGBudget opening_budget = {10000000, 1000000000};

LGRoutes *lg_routes_open(LuaGuard *guard, LGBytes definition) {
    LGRoutes *routes = lg_new_routes(guard);
    if (!routes) return NULL;
    Opening opening = {routes, definition};
    if (lg_run(guard, lg_open_routes_body, &opening, opening_budget) != LG_OK) {
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
    for (int kind = 0; kind < 2; kind++) ki_close(routes->indexes[kind]);
    for (uint32_t i = 0; i < routes->count; i++) free(routes->entries[i].block);
    free(routes->entries);
    if (routes->next) routes->next->previous = routes->previous;
    if (routes->previous) routes->previous->next = routes->next;
    else guard->all = routes->next;
    free(routes);
}

void lg_routes_adopt(LGRoutes *routes, LGRoutes *old) {
    for (int kind = 0; kind < 2; kind++) {
        ki_close(routes->indexes[kind]);
        routes->indexes[kind] = old->indexes[kind];
        old->indexes[kind] = NULL;
    }
}

// Raises LG_REFUSED with the script's text when the value on top is a denial.
void lg_raise_denial(lua_State *L) {
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
    lg_raise_denial(L);
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
    LGBytes destination = binding->destination;
    Entry entry = {
        .id = binding->id,
        .seed = lg_xxh64(destination.bytes, destination.count, binding->to_exchange),
        .weight = weight,
        .block = malloc(binding->key.count + binding->arguments.count + 1),
        .key_count = binding->key.count,
        .arguments_count = binding->arguments.count,
    };
    if (!entry.block) return false;
    if (entry.key_count) memcpy(entry.block, binding->key.bytes, entry.key_count);
    if (entry.arguments_count) {
        memcpy(entry.block + entry.key_count, binding->arguments.bytes, entry.arguments_count);
    }
    if (routes->count == 0) routes->uneven = false;
    else if (weight != routes->entries[0].weight) routes->uneven = true;
    routes->entries[routes->count++] = entry;
    routes->stale = true;
    for (int kind = 0; kind < 2; kind++) {
        KeyIndex *index = routes->indexes[kind];
        if (!index || ki_add(index, entry.block, entry.key_count, entry.id)) continue;
        ki_close(index);  // memory is short: it is made anew when it is asked
        routes->indexes[kind] = NULL;
    }
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
    lua_rawgetp(L, LUA_REGISTRYINDEX, &lg_binding_metatable);
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
    lua_pushboolean(L, binding->is_new);
    lua_setfield(L, -2, "is_new");
    lua_setiuservalue(L, handle, BINDING_FIELDS);
    if (guard->bind == LUA_NOREF) {
        lua_pushnil(L);
    } else {
        lua_rawgeti(L, LUA_REGISTRYINDEX, guard->bind);
        lua_pushvalue(L, handle);
        lua_call(L, 1, 1);
        lg_raise_denial(L);
        lua_getiuservalue(L, handle, BINDING_FIELDS);
        lua_pushboolean(L, false);  // it was new while it was bound
        lua_setfield(L, -2, "is_new");
        lua_pop(L, 1);
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

int lg_bind_body(lua_State *L) {
    NewBinding *argument = lua_touserdata(L, 1);
    bind(L, argument->routes, argument->binding);
    return 0;
}

LGStatus lg_routes_bind(LGRoutes *routes, const LGBinding *binding, LGBudget budget) {
    NewBinding argument = {routes, binding};
    return lg_run(routes->guard, lg_bind_body, &argument, budget);
}

// Allocates nothing and raises nothing: the last binding takes the place of the one that goes.
bool lg_routes_unbind(LGRoutes *routes, uint64_t id) {
    lua_State *L = routes->guard->L;
    if (routes->guard->busy) return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    lua_getiuservalue(L, -1, ROUTES_HANDLES);
    if (lua_rawgeti(L, -1, (lua_Integer)id) == LUA_TUSERDATA) {
        BindingBox *gone = lua_touserdata(L, -1);
        uint32_t at = gone->index;
        for (int kind = 0; kind < 2; kind++) {
            if (routes->indexes[kind]) ki_remove(routes->indexes[kind], id);
        }
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
    return true;
}

// ---- route

// A script may name a binding more than once, but what it returns is looked at outside of its budget: no
// list of a few bindings may be made to stand for millions.
static const char *add_id(LuaGuard *guard, const LGRoutes *routes, uint64_t id) {
    if (guard->id_count >= 8 * (size_t)routes->count + 64) return "route returned too many bindings";
    if (!lg_grow(&guard->ids, &guard->id_capacity, guard->id_count, sizeof(uint64_t))) {
        return "not enough memory";
    }
    guard->ids[guard->id_count++] = id;
    return NULL;
}

// Finds the ids of the selection at index. Returns what is wrong with it, or null.
static const char *selected(lua_State *L, LuaGuard *guard, LGRoutes *routes, int index, const uint64_t **ids,
                            size_t *count) {
    bool stale;
    const Selection *selection = lg_selection_at(L, index, &stale);
    if (!selection && !stale) return "route returned what is no selection";
    if (stale || selection->routes != routes) return "route returned a selection of an earlier call";
    *ids = guard->selected + selection->start;
    *count = selection->count;
    return NULL;
}

// Adds the binding, selection or queue("name") at the top. Returns what is wrong with it, or null.
static const char *add_target(lua_State *L, LuaGuard *guard, LGRoutes *routes) {
    uint32_t tag = lg_tag_at(L, -1);
    if (tag == TAG_BINDING) {
        BindingBox *box = lua_touserdata(L, -1);
        if (box->serial != routes->serial) return "route returned a binding of another exchange";
        if (box->index >= routes->count || routes->entries[box->index].id != box->id) {
            return "route returned a binding that is gone";
        }
        return add_id(guard, routes, box->id);
    }
    if (lua_type(L, -1) == LUA_TLIGHTUSERDATA) {
        const uint64_t *ids;
        size_t count = 0;
        const char *problem = selected(L, guard, routes, -1, &ids, &count);
        for (size_t i = 0; i < count && !problem; i++) problem = add_id(guard, routes, ids[i]);
        return problem;
    }
    const char *verdict = lua_istable(L, -1) ? lg_verdict(L, lua_gettop(L)) : NULL;
    if (!verdict || strcmp(verdict, "queue") != 0) {
        return "route returned what is no binding, list of bindings, selection, queue(name) or verdict";
    }
    LGBytes name = lg_verdict_text(L, lua_gettop(L), guard->key_name);
    if (name.count > LG_NAME_BYTES) return "route returned a queue's name that is longer than 255 bytes";
    if (guard->queue_count >= LG_ROUTE_QUEUES) return "route returned too many queues";
    if (!lg_grow(&guard->queues, &guard->queue_capacity, guard->queue_count, sizeof(LGBytes)) ||
        !lg_buffer_reserve(&guard->text, name.count + 1)) {
        return "not enough memory";
    }
    if (name.count) memcpy(guard->text.bytes + guard->text.count, name.bytes, name.count);
    guard->queues[guard->queue_count++] = lg_bytes((const uint8_t *)(uintptr_t)guard->text.count, name.count);
    guard->text.count += name.count;
    return NULL;
}

static const char *take_verdict(lua_State *L, LuaGuard *guard, int index, const char *verdict,
                                LGRouteResult *result) {
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
    if (reason.count > LG_REASON_BYTES) reason.count = LG_REASON_BYTES;
    if (!lg_buffer_reserve(&guard->text, reason.count + 1)) return "not enough memory";
    if (reason.count) memcpy(guard->text.bytes, reason.bytes, reason.count);
    result->text = lg_bytes(guard->text.bytes, reason.count);
    return NULL;
}

// With functions that neither raise nor allocate from Lua, but for one protected call: it may run unprotected.
int lg_collect(lua_State *L, LuaGuard *guard, LGRoutes *routes, int index, LGRouteResult *result,
               const char **problem) {
    const char *verdict;
    *problem = NULL;
    guard->id_count = guard->queue_count = 0;
    guard->text.count = 0;
    switch (lua_type(L, index)) {
    case LUA_TNIL: break;
    case LUA_TTABLE:
        verdict = lg_verdict(L, index);
        if (verdict && strcmp(verdict, "queue") != 0) {
            *problem = take_verdict(L, guard, index, verdict, result);
            if (result->verdict == LG_DELAYED) return lg_take_change(L, index, &result->text);
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
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == (void *)&lg_null) break;
        *problem = selected(L, guard, routes, index, &result->ids, &result->id_count);
        return *problem ? LG_RUNTIME : LG_OK;
    default:
        lua_pushvalue(L, index);
        *problem = add_target(L, guard, routes);
        lua_pop(L, 1);
    }
    if (*problem) return LUA_OK;
    for (size_t i = 0; i < guard->queue_count; i++) {
        guard->queues[i].bytes = guard->text.bytes + (uintptr_t)guard->queues[i].bytes;
    }
    result->ids = guard->ids;
    result->id_count = guard->id_count;
    result->queues = guard->queues;
    result->queue_count = guard->queue_count;
    return LUA_OK;
}

void lg_prepare(lua_State *L, LGRoutes *routes) {
    LuaGuard *guard = lg_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    if (guard->prepare == LUA_NOREF) {
        lua_pushnil(L);
    } else {
        lua_rawgeti(L, LUA_REGISTRYINDEX, guard->prepare);
        lua_pushvalue(L, -2);
        lua_call(L, 1, 1);
    }
    lua_setiuservalue(L, -2, ROUTES_INDEX);
    lua_pop(L, 1);
    routes->stale = false;
}

static int prepare_body(lua_State *L) {
    lg_prepare(L, lua_touserdata(L, 1));
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
    guard->calling = "route";
    lua_pushvalue(L, SLOT_ROUTE);
    lua_pushvalue(L, SLOT_MESSAGE);
    lua_rawgeti(L, LUA_REGISTRYINDEX, routes->ref);
    lua_getiuservalue(L, -1, ROUTES_INDEX);
    int status = lua_pcall(L, 3, 1, SLOT_HANDLER);
    const char *problem = NULL;
    if (status == LUA_OK) status = lg_collect(L, guard, routes, SLOTS + 1, result, &problem);
    lg_message_end(guard);
    int kind = lg_end(guard, status);
    return problem ? lg_fail(guard, "%s", problem) : kind;
}
