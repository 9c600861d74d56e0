// net.in_cidr(address, network): IPv4 and IPv6. An IPv4 address within IPv6 (::ffff:10.0.0.1) is the IPv4
// address.

#include <arpa/inet.h>

#include "internal.h"

typedef struct {
    uint8_t bytes[16];
    int bits;  // 32 or 128
} Address;

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

// A zone (fe80::1%eth0) is left out.
static bool read_address(const char *text, size_t count, Address *address) {
    char copy[INET6_ADDRSTRLEN + 1];
    const char *zone = memchr(text, '%', count);
    if (zone) count = (size_t)(zone - text);
    if (count >= sizeof copy || memchr(text, 0, count)) return false;
    memcpy(copy, text, count);
    copy[count] = 0;
    if (!zone && inet_pton(AF_INET, copy, address->bytes) == 1) {
        address->bits = 32;
        return true;
    }
    address->bits = 128;
    return inet_pton(AF_INET6, copy, address->bytes) == 1;
}

// Those of a network are as many as the address has, unless it says so.
static bool read_network(const char *text, size_t count, Address *network, int *bits) {
    const char *slash = memchr(text, '/', count);
    if (!read_address(text, slash ? (size_t)(slash - text) : count, network)) return false;
    *bits = network->bits;
    if (slash) {
        const char *at = slash + 1, *end = text + count;
        if (at == end || end - at > 3) return false;
        *bits = 0;
        for (; at < end; at++) {
            if (*at < '0' || *at > '9') return false;
            *bits = *bits * 10 + *at - '0';
        }
    }
    return *bits <= network->bits;
}

static bool unmap(Address *address) {
    if (address->bits != 128 || memcmp(address->bytes, mapped, sizeof mapped) != 0) return false;
    memmove(address->bytes, address->bytes + sizeof mapped, 4);
    address->bits = 32;
    return true;
}

static int in_cidr(lua_State *L) {
    size_t address_count, network_count;
    const char *address_text = luaL_checklstring(L, 1, &address_count);
    const char *network_text = luaL_checklstring(L, 2, &network_count);
    lg_spend(L, 20 + (address_count + network_count) / 64);
    Address address, network;
    int bits;
    if (!read_network(network_text, network_count, &network, &bits)) {
        return luaL_argerror(L, 2, lua_pushfstring(L, "'%s' is no network such as 10.0.0.0/8", network_text));
    }
    bool inside = false;
    if (read_address(address_text, address_count, &address)) {
        unmap(&address);
        if (bits >= 96 && unmap(&network)) bits -= 96;
        inside = address.bits == network.bits && memcmp(address.bytes, network.bytes, (size_t)bits / 8) == 0;
        if (inside && bits % 8) {
            inside = (address.bytes[bits / 8] ^ network.bytes[bits / 8]) >> (8 - bits % 8) == 0;
        }
    }
    lua_pushboolean(L, inside);
    return 1;
}

void lg_open_net(lua_State *L) {
    static const luaL_Reg functions[] = {{"in_cidr", in_cidr}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setglobal(L, "net");
}
