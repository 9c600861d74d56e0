// hash.sha256 and its kin, hmac, password, uuid. The sums are the host's: no cryptography of our own.

#ifdef __APPLE__
#include <sys/random.h>
#endif
#include <unistd.h>

#include "internal.h"

enum {
    SALT = 4,                     // octets before the sum, in RabbitMQ's passwords
    SHA_256 = 32, SHA_512 = 64,   // octets of a sum
    PASSWORD_BYTES = 4096,        // a password that is longer than this is none
};

// ---- Chance

// From the system, many octets at a time: a call of it takes longer than all that is done with 16.
static void draw(lua_State *L, uint8_t *out, size_t count) {
    LuaGuard *guard = lg_of(L);
    if (guard->random_left < count) {
        if (getentropy(guard->random, sizeof guard->random) != 0) {
            luaL_error(L, "the system has no random numbers");
        }
        guard->random_left = sizeof guard->random;
    }
    guard->random_left -= count;
    memcpy(out, guard->random + guard->random_left, count);
    memset(guard->random + guard->random_left, 0, count);
}

static void put_hexadecimal(const uint8_t *bytes, size_t count, char *out) {
    for (size_t i = 0; i < count; i++) {
        *out++ = "0123456789abcdef"[bytes[i] >> 4];
        *out++ = "0123456789abcdef"[bytes[i] & 15];
    }
}

static int uuid(lua_State *L) {
    uint8_t bytes[16];
    char text[36];
    lg_spend(L, 20);
    draw(L, bytes, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    static const struct { int from, count, at; } parts[] = {
        {0, 4, 0}, {4, 2, 9}, {6, 2, 14}, {8, 2, 19}, {10, 6, 24}};
    memset(text, '-', sizeof text);
    for (int i = 0; i < 5; i++) {
        put_hexadecimal(bytes + parts[i].from, (size_t)parts[i].count, text + parts[i].at);
    }
    lua_pushlstring(L, text, sizeof text);
    return 1;
}

// ---- Sums

static size_t digest(lua_State *L, LGDigest kind, const LGBytes *key, LGBytes text, uint8_t *out) {
    LuaGuard *guard = lg_of(L);
    // Four octets take about as long as an instruction.
    lg_spend(L, 100 + (text.count + (key ? key->count : 0)) / 4);
    int32_t count = guard->host.digest ? guard->host.digest(guard->host.context, kind, key, text, out) : 0;
    if (count <= 0) luaL_error(L, "this host has no digests");
    return (size_t)count;
}

static LGBytes check_text(lua_State *L, int index) {
    size_t count;
    const char *text = luaL_checklstring(L, index, &count);
    return lg_bytes(text, count);
}

static int push_digest(lua_State *L, LGDigest kind, bool keyed) {
    uint8_t sum[LG_DIGEST_BYTES];
    char text[2 * LG_DIGEST_BYTES];
    LGBytes key = check_text(L, 1), content = keyed ? check_text(L, 2) : key;
    size_t count = digest(L, kind, keyed ? &key : NULL, content, sum);
    put_hexadecimal(sum, count, text);
    lua_pushlstring(L, text, 2 * count);
    return 1;
}

static int hash_sha256(lua_State *L) { return push_digest(L, LG_SHA_256, false); }
static int hash_sha1(lua_State *L) { return push_digest(L, LG_SHA_1, false); }
static int hash_md5(lua_State *L) { return push_digest(L, LG_MD5, false); }
static int hmac_sha256(lua_State *L) { return push_digest(L, LG_SHA_256, true); }
static int hmac_sha1(lua_State *L) { return push_digest(L, LG_SHA_1, true); }

// ---- Passwords, as RabbitMQ keeps them: base64 of 4 octets of salt and the sum of salt and password

static size_t salted(lua_State *L, LGDigest kind, const uint8_t *salt, LGBytes password, uint8_t *sum) {
    uint8_t text[SALT + PASSWORD_BYTES];
    memcpy(text, salt, SALT);
    memcpy(text + SALT, password.bytes, password.count);
    return digest(L, kind, NULL, lg_bytes(text, SALT + password.count), sum);
}

static int password_check(lua_State *L) {
    LGBytes hash = check_text(L, 1), password = check_text(L, 2);
    uint8_t expected[SALT + SHA_512 + 8], sum[LG_DIGEST_BYTES];
    ptrdiff_t count = -1;
    if (hash.count <= 96 && password.count <= PASSWORD_BYTES) {  // 92 letters for 68 octets
        count = lg_base64_decode((const char *)hash.bytes, hash.count, expected);
    }
    bool right = false;
    if (count == SALT + SHA_256 || count == SALT + SHA_512) {
        LGDigest kind = count == SALT + SHA_256 ? LG_SHA_256 : LG_SHA_512;
        size_t size = salted(L, kind, expected, password, sum);
        uint8_t difference = 0;  // in constant time: all octets are looked at
        for (size_t i = 0; i < size; i++) difference |= (uint8_t)(sum[i] ^ expected[SALT + i]);
        right = difference == 0 && size == (size_t)count - SALT;
    }
    lua_pushboolean(L, right);
    return 1;
}

static int password_hash(lua_State *L) {
    LGBytes password = check_text(L, 1);
    luaL_argcheck(L, password.count <= PASSWORD_BYTES, 1, "a password has at most 4096 bytes");
    uint8_t bytes[SALT + LG_DIGEST_BYTES];
    char text[(SALT + SHA_256) / 3 * 4];
    draw(L, bytes, SALT);
    salted(L, LG_SHA_256, bytes, password, bytes + SALT);
    lg_base64_encode(bytes, SALT + SHA_256, text);
    lua_pushlstring(L, text, sizeof text);
    return 1;
}

// Opened after `hash` is there.
void lg_open_digests(lua_State *L) {
    static const luaL_Reg hashes[] = {
        {"sha256", hash_sha256}, {"sha1", hash_sha1}, {"md5", hash_md5}, {NULL, NULL}};
    static const luaL_Reg hmacs[] = {{"sha256", hmac_sha256}, {"sha1", hmac_sha1}, {NULL, NULL}};
    static const luaL_Reg passwords[] = {{"check", password_check}, {"hash", password_hash}, {NULL, NULL}};
    lua_getglobal(L, "hash");
    luaL_setfuncs(L, hashes, 0);
    lua_pop(L, 1);
    luaL_newlib(L, hmacs);
    lua_setglobal(L, "hmac");
    luaL_newlib(L, passwords);
    lua_setglobal(L, "password");
    lua_pushcfunction(L, uuid);
    lua_setglobal(L, "uuid");
}
