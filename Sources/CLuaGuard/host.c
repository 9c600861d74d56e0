// What the host gives every script: verdicts, log, hash, time, null, settings. Knows no message and no
// binding.

#define _GNU_SOURCE
#include <time.h>

#include "internal.h"

static const char verdict_metatable = 0;

// ---- Verdicts: tables with a metatable of their own, so that a script can compare and print their fields

static void new_verdict(lua_State *L, const char *name) {
    lua_createtable(L, 0, 2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &verdict_metatable);
    lua_setmetatable(L, -2);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "verdict");
}

static int text_verdict(lua_State *L, const char *name, const char *field) {
    luaL_checkstring(L, 1);
    new_verdict(L, name);
    lua_pushvalue(L, 1);
    lua_tostring(L, -1);
    lua_setfield(L, -2, field);
    return 1;
}

static int table_verdict(lua_State *L, const char *name) {
    if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    new_verdict(L, name);
    if (lua_istable(L, 1)) {
        lg_settle(L, 1);
        lua_pushnil(L);
        while (lua_next(L, 1)) {
            lg_spend(L, 1);
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, 2);
        }
        lua_pushstring(L, name);
        lua_setfield(L, 2, "verdict");
    }
    return 1;
}

static int time_verdict(lua_State *L, const char *name) {
    lua_Number milliseconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, milliseconds >= 0 && milliseconds <= 4294967295.0, 1, "milliseconds out of range");
    new_verdict(L, name);
    lua_pushinteger(L, (lua_Integer)milliseconds);
    lua_setfield(L, -2, "milliseconds");
    return 1;
}

static int verdict_allow(lua_State *L) { return table_verdict(L, "allow"); }
static int verdict_change(lua_State *L) { return table_verdict(L, "change"); }
static int verdict_deny(lua_State *L) { return text_verdict(L, "deny", "reason"); }
static int verdict_drop(lua_State *L) {
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_pushliteral(L, "");
    }
    return text_verdict(L, "drop", "reason");
}
static int verdict_queue(lua_State *L) { return text_verdict(L, "queue", "name"); }
// delay(milliseconds, {…}): the message comes back with these changes.
static int verdict_delay(lua_State *L) {
    bool changes = !lua_isnoneornil(L, 2);
    if (changes) luaL_checktype(L, 2, LUA_TTABLE);
    time_verdict(L, "delay");
    if (changes) {
        lua_pushvalue(L, 2);
        lua_setfield(L, -2, "change");
    }
    return 1;
}
static int verdict_throttle(lua_State *L) { return time_verdict(L, "throttle"); }

const char *lg_verdict(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &verdict_metatable);
    bool ours = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return ours ? (const char *)lg_verdict_text(L, index, lg_of(L)->key_verdict).bytes : NULL;
}

LGBytes lg_verdict_text(lua_State *L, int index, int key) {
    size_t count = 0;
    const char *text = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, key);
    lua_rawget(L, index);
    if (lua_type(L, -1) == LUA_TSTRING) text = lua_tolstring(L, -1, &count);  // the verdict's table holds it
    lua_pop(L, 1);
    return lg_bytes(text, count);
}

// ---- Log

static int write_log(lua_State *L, int level, int first) {
    LuaGuard *guard = lg_of(L);
    luaL_Buffer line;
    int count = lua_gettop(L);
    luaL_buffinit(L, &line);
    for (int i = first; i <= count; i++) {
        if (i > first) luaL_addchar(&line, '\t');
        luaL_tolstring(L, i, NULL);
        lg_spend_bytes(L, lua_rawlen(L, -1));
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (guard->host.log) {
        if (size > LG_LOG_BYTES) size = LG_LOG_BYTES;
        guard->host.log(guard->host.context, level, lg_bytes(text, size));
    }
    lg_spend(L, 50);
    return 0;
}

static int log_debug(lua_State *L) { return write_log(L, 0, 1); }
static int log_info(lua_State *L) { return write_log(L, 1, 1); }
static int log_warn(lua_State *L) { return write_log(L, 2, 1); }
static int log_error(lua_State *L) { return write_log(L, 3, 1); }

// ---- Hashes

static inline uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }
static inline uint64_t read_64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint32_t read_32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
#define PRIME_1 0x9E3779B185EBCA87u
#define PRIME_2 0xC2B2AE3D27D4EB4Fu
#define PRIME_3 0x165667B19E3779F9u
#define PRIME_4 0x85EBCA77C2B2AE63u
#define PRIME_5 0x27D4EB2F165667C5u

static inline uint64_t xx_round(uint64_t sum, uint64_t input) {
    return rotate(sum + input * PRIME_2, 31) * PRIME_1;
}
static inline uint64_t xx_merge(uint64_t hash, uint64_t sum) {
    return (hash ^ xx_round(0, sum)) * PRIME_1 + PRIME_4;
}

// XXH64 as published by Yann Collet (little-endian machines).
uint64_t lg_xxh64(const uint8_t *p, size_t count, uint64_t seed) {
    const uint8_t *end = p + count;
    uint64_t hash;
    if (count >= 32) {
        uint64_t a = seed + PRIME_1 + PRIME_2, b = seed + PRIME_2, c = seed, d = seed - PRIME_1;
        for (; end - p >= 32; p += 32) {
            a = xx_round(a, read_64(p));
            b = xx_round(b, read_64(p + 8));
            c = xx_round(c, read_64(p + 16));
            d = xx_round(d, read_64(p + 24));
        }
        hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
        hash = xx_merge(xx_merge(xx_merge(xx_merge(hash, a), b), c), d);
    } else {
        hash = seed + PRIME_5;
    }
    hash += count;
    for (; end - p >= 8; p += 8) hash = rotate(hash ^ xx_round(0, read_64(p)), 27) * PRIME_1 + PRIME_4;
    if (end - p >= 4) {
        hash = rotate(hash ^ read_32(p) * PRIME_1, 23) * PRIME_2 + PRIME_3;
        p += 4;
    }
    for (; p < end; p++) hash = rotate(hash ^ *p * PRIME_5, 11) * PRIME_1;
    hash = (hash ^ hash >> 33) * PRIME_2;
    hash = (hash ^ hash >> 29) * PRIME_3;
    return hash ^ hash >> 32;
}

static int hash_xxhash(lua_State *L) {
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    lg_spend_bytes(L, count);
    uint64_t seed = (uint64_t)luaL_optinteger(L, 2, 0);
    lua_pushinteger(L, (lua_Integer)lg_xxh64((const uint8_t *)text, count, seed));
    return 1;
}

static int hash_crc32(lua_State *L) {
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    lg_spend(L, count + 1);
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < count; i++) {
        crc ^= (uint8_t)text[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    lua_pushinteger(L, (lua_Integer)(crc ^ 0xFFFFFFFF));
    return 1;
}

// ---- Time, in seconds

static int64_t read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t lg_wall_nanoseconds(const LuaGuard *guard) {
    const LGHost *host = &guard->host;
    if (guard->clocks_stopped) return guard->stopped_wall;
    return host->wall_nanoseconds ? host->wall_nanoseconds(host->context) : read_clock(CLOCK_REALTIME);
}

int64_t lg_monotonic_nanoseconds(const LuaGuard *guard) {
    const LGHost *host = &guard->host;
    if (guard->clocks_stopped) return guard->stopped_monotonic;
    return host->monotonic_nanoseconds ? host->monotonic_nanoseconds(host->context)
                                       : read_clock(CLOCK_MONOTONIC);
}

// Whole seconds by themselves: a double does not hold the nanoseconds since 1970.
static lua_Number seconds(int64_t nanoseconds) {
    return (lua_Number)(nanoseconds / 1000000000) + (lua_Number)(nanoseconds % 1000000000) / 1e9;
}

static int time_now(lua_State *L) {
    lua_pushnumber(L, seconds(lg_wall_nanoseconds(lg_of(L))));
    return 1;
}

static int time_monotonic(lua_State *L) {
    lua_pushnumber(L, seconds(lg_monotonic_nanoseconds(lg_of(L))));
    return 1;
}

// Of all light userdata: the other ones are selections.
static int null_text(lua_State *L) {
    lua_pushstring(L, lua_touserdata(L, 1) == (void *)&lg_null ? "null" : "selection");
    return 1;
}

static int anchor(lua_State *L, const char *text) {
    lua_pushstring(L, text);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static void library(lua_State *L, const char *name, const luaL_Reg *functions) {
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_setglobal(L, name);
}

void lg_open_host(lua_State *L) {
    static const luaL_Reg verdicts[] = {
        {"allow", verdict_allow}, {"change", verdict_change}, {"deny", verdict_deny},
        {"drop", verdict_drop},   {"queue", verdict_queue},   {"delay", verdict_delay},
        {"throttle", verdict_throttle}, {"print", log_info},  {NULL, NULL},
    };
    static const luaL_Reg log_functions[] = {
        {"debug", log_debug}, {"info", log_info}, {"warn", log_warn}, {"error", log_error}, {NULL, NULL}};
    static const luaL_Reg hashes[] = {{"xxhash", hash_xxhash}, {"crc32", hash_crc32}, {NULL, NULL}};
    static const luaL_Reg times[] = {{"now", time_now}, {"monotonic", time_monotonic}, {NULL, NULL}};
    LuaGuard *guard = lg_of(L);
    guard->key_verdict = anchor(L, "verdict");
    guard->key_reason = anchor(L, "reason");
    guard->key_name = anchor(L, "name");
    guard->key_milliseconds = anchor(L, "milliseconds");
    guard->key_change = anchor(L, "change");

    lua_newtable(L);
    lua_pushliteral(L, "verdict");
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &verdict_metatable);

    lua_pushglobaltable(L);
    luaL_setfuncs(L, verdicts, 0);
    lua_pop(L, 1);
    library(L, "log", log_functions);
    library(L, "hash", hashes);
    library(L, "time", times);

    lua_newtable(L);
    lua_pushvalue(L, -1);
    guard->settings = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_setglobal(L, "settings");

    lua_pushlightuserdata(L, (void *)&lg_null);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, null_text);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_setglobal(L, "null");
}
