// shared(name, capacity): what scripts see of the store. A handle knows its dictionary by name, so that it
// outlives the store that it was made with.

#include <math.h>

#include "internal.h"
#include "store.h"

enum {
    TAG_SHARED = 16,
    COST = 6,                // instructions that a call is charged: it takes as long as ten of Lua's
    KEYS = 100,              // of `keys()`, unless it is told
    MOST_KEYS = 10000,
};
#define MOST_SECONDS 1e9     // 31 years: nanoseconds that fit 64 bits
static const char handles = 0, handle_metatable = 0;

typedef struct {
    uint32_t tag, capacity;  // 0: not said
    uint64_t generation;     // of the store, when the dictionary was looked up
    SharedDictionary *dictionary;
    size_t name_count;
    uint8_t name[];
} Handle;

// ---- Arguments

static SharedDictionary *look_up(lua_State *L, Handle *handle) {
    LGShared *store = lg_of(L)->shared;
    bool full;
    if (!store) luaL_error(L, "there is no shared memory here");
    SharedDictionary *d = lg_store_dictionary(store, lg_bytes(handle->name, handle->name_count), &full);
    if (!d && full) luaL_error(L, "there are %d shared dictionaries already", LG_SHARED_NAMES);
    if (!d) luaL_error(L, "not enough memory");
    if (handle->capacity) lg_dictionary_limit(d, handle->capacity);
    handle->dictionary = d;
    handle->generation = lg_store_generation(store);
    return d;
}

static SharedDictionary *check_dictionary(lua_State *L) {
    if (lg_tag_at(L, 1) != TAG_SHARED) luaL_typeerror(L, 1, "shared dictionary");
    Handle *handle = lua_touserdata(L, 1);
    LGShared *store = lg_of(L)->shared;
    if (store && handle->generation == lg_store_generation(store)) return handle->dictionary;
    return look_up(L, handle);
}

static LGBytes check_key(lua_State *L) {
    size_t count;
    if (lua_type(L, 2) != LUA_TSTRING) luaL_typeerror(L, 2, "string");
    const char *text = lua_tolstring(L, 2, &count);
    luaL_argcheck(L, count <= LG_SHARED_KEY_BYTES, 2, "a key has at most 1024 bytes");
    lg_spend(L, COST + count / 64);
    return lg_bytes(text, count);
}

static SharedValue check_number(lua_State *L, int index, int64_t otherwise) {
    SharedValue value = {.kind = SHARED_INTEGER, .integer = otherwise};
    if (lua_isnoneornil(L, index)) return value;
    if (lua_type(L, index) != LUA_TNUMBER) luaL_typeerror(L, index, "number");
    if (lua_isinteger(L, index)) value.integer = lua_tointeger(L, index);
    else value = (SharedValue){.kind = SHARED_NUMBER, .number = lua_tonumber(L, index)};
    return value;
}

static SharedValue check_value(lua_State *L, int index) {
    size_t count;
    switch (lua_type(L, index)) {
    case LUA_TNUMBER: return check_number(L, index, 0);
    case LUA_TBOOLEAN: return (SharedValue){.kind = SHARED_BOOLEAN, .boolean = lua_toboolean(L, index)};
    case LUA_TSTRING: {
        const char *text = lua_tolstring(L, index, &count);
        luaL_argcheck(L, count <= LG_SHARED_TEXT_BYTES, index, "a value has at most 1 MiB");
        lg_spend_bytes(L, count);
        return (SharedValue){.kind = SHARED_TEXT, .text = lg_bytes(text, count)};
    }
    default: luaL_typeerror(L, index, "string, number or boolean"); return (SharedValue){0};
    }
}

// A number above zero, and not above `most`.
static double check_above_zero(lua_State *L, int index, const char *name, double most) {
    if (lua_type(L, index) != LUA_TNUMBER) luaL_typeerror(L, index, "number");
    double value = lua_tonumber(L, index);
    if (!(value > 0 && value <= most)) {
        luaL_argerror(L, index, lua_pushfstring(L, "%s must be above 0 and at most %f", name, most));
    }
    return value;
}

static int64_t check_lifetime(lua_State *L, int index, int64_t now) {
    if (lua_isnoneornil(L, index)) return LG_NEVER;
    return now + (int64_t)(check_above_zero(L, index, "seconds", MOST_SECONDS) * 1e9);
}

// The time, if anything depends on it.
static int64_t time_for(lua_State *L, const SharedDictionary *d, int lifetime) {
    bool needed = lg_dictionary_timed(d) > 0 || (lifetime && !lua_isnoneornil(L, lifetime));
    return needed ? lg_monotonic_nanoseconds(lg_of(L)) : 0;
}

static void store(lua_State *L, SharedDictionary *d, LGBytes key, uint64_t hash, SharedValue value,
                  int64_t expires, int64_t now) {
    uint32_t evicted;
    if (lg_of(L)->dry) return;
    switch (lg_dictionary_set(d, key, hash, value, expires, now, &evicted)) {
    case STORED: break;
    case STORE_FULL:
        luaL_error(L, "shared memory is full: other dictionaries hold it (limit of %I bytes)",
                   (lua_Integer)lg_store_limit(lg_of(L)->shared));
        break;
    case STORE_NO_MEMORY: luaL_error(L, "not enough memory"); break;
    }
    if (evicted > 1) lg_spend(L, (uint64_t)evicted * 4);
}

// ---- Methods

static int push_value(lua_State *L, const SharedValue *value) {
    switch (value->kind) {
    case SHARED_TEXT:
        lg_spend_bytes(L, value->text.count);
        lua_pushlstring(L, (const char *)value->text.bytes, value->text.count);
        break;
    case SHARED_INTEGER: lua_pushinteger(L, value->integer); break;
    case SHARED_NUMBER: lua_pushnumber(L, value->number); break;
    case SHARED_BOOLEAN: lua_pushboolean(L, value->boolean); break;
    case SHARED_BUCKET: lua_pushnumber(L, value->bucket.tokens); break;
    }
    return 1;
}

static int shared_get(lua_State *L) {
    SharedDictionary *d = check_dictionary(L);
    LGBytes key = check_key(L);
    SharedEntry *entry = lg_dictionary_find(d, key, lg_dictionary_hash(d, key), time_for(L, d, 0));
    if (entry) return push_value(L, &entry->value);
    lua_pushnil(L);
    return 1;
}

static int shared_set(lua_State *L) {
    SharedDictionary *d = check_dictionary(L);
    LGBytes key = check_key(L);
    SharedValue value = check_value(L, 3);
    int64_t now = time_for(L, d, 4), expires = check_lifetime(L, 4, now);
    store(L, d, key, lg_dictionary_hash(d, key), value, expires, now);
    return 0;
}

static int shared_add(lua_State *L) {
    SharedDictionary *d = check_dictionary(L);
    LGBytes key = check_key(L);
    SharedValue value = check_value(L, 3);
    int64_t now = time_for(L, d, 4), expires = check_lifetime(L, 4, now);
    uint64_t hash = lg_dictionary_hash(d, key);
    bool absent = lg_dictionary_find(d, key, hash, now) == NULL;
    if (absent) store(L, d, key, hash, value, expires, now);
    lua_pushboolean(L, absent);
    return 1;
}

static SharedValue sum(lua_State *L, SharedValue a, SharedValue b) {
    SharedValue result = {.kind = SHARED_INTEGER};
    if (a.kind == SHARED_INTEGER && b.kind == SHARED_INTEGER) {
        int64_t total;
        if (__builtin_add_overflow(a.integer, b.integer, &total)) luaL_error(L, "the sum is above 2^63");
        result.integer = total;
        return result;
    }
    result.kind = SHARED_NUMBER;
    result.number = (a.kind == SHARED_INTEGER ? (double)a.integer : a.number) +
                    (b.kind == SHARED_INTEGER ? (double)b.integer : b.number);
    if (!isfinite(result.number)) luaL_error(L, "the sum is no finite number");
    return result;
}

static int shared_incr(lua_State *L) {
    SharedDictionary *d = check_dictionary(L);
    LGBytes key = check_key(L);
    SharedValue by = check_number(L, 3, 1), initial = check_number(L, 4, 0);
    int64_t now = time_for(L, d, 5), expires = check_lifetime(L, 5, now);
    uint64_t hash = lg_dictionary_hash(d, key);
    SharedEntry *entry = lg_dictionary_find(d, key, hash, now);
    SharedValue result;
    if (entry) {
        if (entry->value.kind != SHARED_INTEGER && entry->value.kind != SHARED_NUMBER) {
            return luaL_error(L, "the value of '%s' is no number", lua_tostring(L, 2));
        }
        result = sum(L, entry->value, by);
        if (!lg_of(L)->dry) lg_dictionary_update(d, entry, result, entry->expires);
    } else {
        result = sum(L, initial, by);
        store(L, d, key, hash, result, expires, now);
    }
    return push_value(L, &result);
}

static int shared_delete(lua_State *L) {
    SharedDictionary *d = check_dictionary(L);
    LGBytes key = check_key(L);
    SharedEntry *entry = lg_dictionary_find(d, key, lg_dictionary_hash(d, key), time_for(L, d, 0));
    if (entry && !lg_of(L)->dry) lg_dictionary_remove(d, entry);
    lua_pushboolean(L, entry != NULL);
    return 1;
}

// A token bucket that was not kept is a full one: the entry goes when it would be.
static int shared_take(lua_State *L) {
    SharedDictionary *d = check_dictionary(L);
    LGBytes key = check_key(L);
    double rate = check_above_zero(L, 3, "rate", 1e12), burst = check_above_zero(L, 4, "burst", 1e12);
    double count = lua_isnoneornil(L, 5) ? 1 : check_above_zero(L, 5, "count", burst);
    luaL_argcheck(L, count <= burst, 4, "burst is below count: there would never be enough");
    int64_t now = lg_monotonic_nanoseconds(lg_of(L));
    uint64_t hash = lg_dictionary_hash(d, key);
    SharedEntry *entry = lg_dictionary_find(d, key, hash, now);
    double tokens = burst;
    if (entry) {
        if (entry->value.kind != SHARED_BUCKET) {
            return luaL_error(L, "the value of '%s' is no token bucket", lua_tostring(L, 2));
        }
        double since = (double)(now - entry->value.bucket.at) / 1e9;
        tokens = entry->value.bucket.tokens + (since > 0 ? since * rate : 0);
        if (tokens > burst) tokens = burst;
    }
    bool enough = tokens >= count;
    double seconds = enough ? 0 : (count - tokens) / rate;
    if (enough) tokens -= count;
    double full = (burst - tokens) / rate;
    SharedValue value = {.kind = SHARED_BUCKET, .bucket = {tokens, now}};
    int64_t expires = now + (int64_t)((full < MOST_SECONDS ? full : MOST_SECONDS) * 1e9) + 1;
    if (!entry) store(L, d, key, hash, value, expires, now);
    else if (!lg_of(L)->dry) lg_dictionary_update(d, entry, value, expires);
    lua_pushboolean(L, enough);
    if (enough) return 1;
    lua_pushnumber(L, seconds);
    return 2;
}

// Entries that may expire are looked at one by one.
static int shared_count(lua_State *L) {
    SharedDictionary *d = check_dictionary(L);
    uint32_t count = lg_dictionary_count(d);
    if (lg_dictionary_timed(d) > 0) {
        lg_spend(L, (uint64_t)count * 4);
        int64_t now = lg_monotonic_nanoseconds(lg_of(L));
        for (SharedEntry *entry = lg_dictionary_oldest(d); entry; entry = entry->newer) {
            count -= entry->expires <= now;
        }
    }
    lua_pushinteger(L, count);
    return 1;
}

static int shared_keys(lua_State *L) {
    SharedDictionary *d = check_dictionary(L);
    lua_Integer limit = luaL_optinteger(L, 2, KEYS), found = 0;
    luaL_argcheck(L, limit >= 0 && limit <= MOST_KEYS, 2, "limit must be from 0 to 10000");
    int64_t now = time_for(L, d, 0);
    lua_newtable(L);
    for (SharedEntry *entry = lg_dictionary_oldest(d); entry && found < limit; entry = entry->newer) {
        lg_spend(L, 4);
        if (entry->expires <= now) continue;
        lua_pushlstring(L, (const char *)entry->bytes, entry->key_count);
        lua_rawseti(L, -2, ++found);
    }
    return 1;
}

// ---- shared(name, capacity)

static int shared(lua_State *L) {
    size_t count;
    if (lua_type(L, 1) != LUA_TSTRING) luaL_typeerror(L, 1, "string");
    const char *name = lua_tolstring(L, 1, &count);
    luaL_argcheck(L, count <= LG_SHARED_NAME_BYTES, 1, "a name has at most 255 bytes");
    lua_Integer capacity = luaL_optinteger(L, 2, 0);
    luaL_argcheck(L, lua_isnoneornil(L, 2) || (capacity > 0 && capacity <= LG_SHARED_MOST_ENTRIES), 2,
                  "capacity must be from 1 to 1000000");
    lg_spend(L, COST);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handles);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) != LUA_TUSERDATA) {
        lua_pop(L, 1);
        lg_spend(L, LG_SHARED_NAMES / 8);
        Handle *handle = lua_newuserdatauv(L, sizeof *handle + count, 0);
        *handle = (Handle){.tag = TAG_SHARED, .capacity = (uint32_t)capacity, .name_count = count};
        memcpy(handle->name, name, count);
        look_up(L, handle);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &handle_metatable);
        lua_setmetatable(L, -2);
        lua_pushvalue(L, 1);
        lua_pushvalue(L, -2);
        lua_rawset(L, -4);
    } else if (capacity) {
        Handle *handle = lua_touserdata(L, -1);
        handle->capacity = (uint32_t)capacity;
        look_up(L, handle);
    }
    return 1;
}

void lg_open_shared(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"get", shared_get},   {"set", shared_set},     {"add", shared_add},  {"incr", shared_incr},
        {"take", shared_take}, {"count", shared_count}, {"keys", shared_keys}, {"delete", shared_delete},
        {NULL, NULL},
    };
    lua_newtable(L);
    lua_createtable(L, 0, 1);  // weak: a script may make up names without end
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handles);
    lua_createtable(L, 0, 3);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "shared dictionary");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handle_metatable);
    lua_pushcfunction(L, shared);
    lua_setglobal(L, "shared");
}

void lg_share(LuaGuard *guard, LGShared *store) { guard->shared = store; }
void lg_set_dry(LuaGuard *guard, bool dry) { guard->dry = dry; }
