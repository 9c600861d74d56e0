// regex.match(pattern, text). The last patterns that a script used stay compiled.

#include "CRegex.h"
#include "internal.h"

enum { REGEXES = 64 };

struct LGRegexes {
    uint64_t hashes[REGEXES], used[REGEXES], clock;
    struct { LGRegex *regex; uint8_t *pattern; size_t count; } kept[REGEXES];
};

void lg_close_regexes(struct LGRegexes *regexes) {
    if (!regexes) return;
    for (int i = 0; i < REGEXES; i++) {
        lg_regex_free(regexes->kept[i].regex);
        free(regexes->kept[i].pattern);
    }
    free(regexes);
}

// Puts a pattern into the place of the one that was used longest ago.
static int compile(lua_State *L, struct LGRegexes *regexes, LGBytes pattern, uint64_t hash) {
    char error[LG_REGEX_ERROR_BYTES];
    int at = 0;
    for (int i = 1; i < REGEXES; i++) {
        if (regexes->used[i] < regexes->used[at]) at = i;
    }
    lg_spend(L, 200 + pattern.count);
    LGRegex *regex = lg_regex_compile(pattern.bytes, pattern.count, error);
    if (!regex) luaL_argerror(L, 1, error);
    uint8_t *copy = malloc(pattern.count + 1);
    if (!copy) {
        lg_regex_free(regex);
        luaL_error(L, "not enough memory");
    }
    memcpy(copy, pattern.bytes, pattern.count);
    lg_regex_free(regexes->kept[at].regex);
    free(regexes->kept[at].pattern);
    regexes->kept[at].regex = regex;
    regexes->kept[at].pattern = copy;
    regexes->kept[at].count = pattern.count;
    regexes->hashes[at] = hash;
    regexes->used[at] = ++regexes->clock;
    lg_spend(L, lg_regex_cost(regex) / 8);
    return at;
}

static LGRegex *find(lua_State *L, LGBytes pattern) {
    LuaGuard *guard = lg_of(L);
    if (!guard->regexes) guard->regexes = calloc(1, sizeof *guard->regexes);
    struct LGRegexes *regexes = guard->regexes;
    if (!regexes) luaL_error(L, "not enough memory");
    uint64_t hash = lg_xxh64(pattern.bytes, pattern.count, guard->limits.seed);
    int at = 0;
    while (at < REGEXES && !(regexes->hashes[at] == hash && regexes->kept[at].regex &&
                             regexes->kept[at].count == pattern.count &&
                             memcmp(regexes->kept[at].pattern, pattern.bytes, pattern.count) == 0)) {
        at++;
    }
    if (at == REGEXES) at = compile(L, regexes, pattern, hash);
    regexes->used[at] = ++regexes->clock;
    return regexes->kept[at].regex;
}

// An octet takes about a third of an instruction's time.
static void pay(void *context, uint64_t steps) { lg_spend(context, steps / 3); }

static int regex_match(lua_State *L) {
    size_t pattern_count, count;
    const char *pattern = luaL_checklstring(L, 1, &pattern_count);
    const char *text = luaL_checklstring(L, 2, &count);
    lg_spend(L, 10 + pattern_count / 64);
    LGRegex *regex = find(L, lg_bytes(pattern, pattern_count));
    lua_pushboolean(L, lg_regex_search(regex, (const uint8_t *)text, count, pay, L));
    return 1;
}

void lg_open_regex(lua_State *L) {
    static const luaL_Reg functions[] = {{"match", regex_match}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setglobal(L, "regex");
}
