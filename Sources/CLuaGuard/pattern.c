// Lua patterns under a step budget: find, match, gmatch, gsub. The language is that of Lua 5.4's manual,
// 6.4.1, and so are the error texts; each step of the matcher is paid for, because the count hook does not
// see C.

#include <ctype.h>

#include "internal.h"

enum {
    MAX_CAPTURES = 32,
    MAX_DEPTH = 200,  // of the matcher's recursion, as in Lua
    STEPS_A_CHARGE = 256,
    OPEN = -1,
    POSITION = -2,
};

typedef struct {
    const char *text, *text_end, *pattern_end;
    lua_State *L;
    int depth, steps, level;
    struct { const char *start; ptrdiff_t count; } capture[MAX_CAPTURES];
} Matcher;

static const char *match_here(Matcher *m, const char *s, const char *p);

static inline void step(Matcher *m) {
    if (++m->steps >= STEPS_A_CHARGE) {
        m->steps = 0;
        lg_spend(m->L, STEPS_A_CHARGE);
    }
}

// The end of the single-character class that begins at p.
static const char *class_end(Matcher *m, const char *p) {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern");
    char first = *p++;
    if (first == '%') {
        if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (first != '[') return p;
    if (p < m->pattern_end && *p == '^') p++;
    do {
        if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
        step(m);
        if (*p++ == '%' && p < m->pattern_end) p++;
    } while (p == m->pattern_end || *p != ']');
    return p + 1;
}

static bool in_class(int c, int class) {
    bool yes;
    switch (tolower(class)) {
    case 'a': yes = isalpha(c); break;
    case 'c': yes = iscntrl(c); break;
    case 'd': yes = isdigit(c); break;
    case 'g': yes = isgraph(c); break;
    case 'l': yes = islower(c); break;
    case 'p': yes = ispunct(c); break;
    case 's': yes = isspace(c); break;
    case 'u': yes = isupper(c); break;
    case 'w': yes = isalnum(c); break;
    case 'x': yes = isxdigit(c); break;
    default: return class == c;
    }
    return isupper(class) ? !yes : yes;
}

// p at '[', end at the closing ']'.
static bool in_set(Matcher *m, int c, const char *p, const char *end) {
    bool found = true;
    if (*++p == '^') {
        found = false;
        p++;
    }
    for (; p < end; p++) {
        step(m);
        if (*p == '%') {
            p++;
            if (in_class(c, (unsigned char)*p)) return found;
        } else if (p + 2 < end && p[1] == '-') {
            if ((unsigned char)*p <= c && c <= (unsigned char)p[2]) return found;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return found;
        }
    }
    return !found;
}

static bool single(Matcher *m, const char *s, const char *p, const char *end) {
    step(m);
    if (s >= m->text_end) return false;
    int c = (unsigned char)*s;
    switch (*p) {
    case '.': return true;
    case '%': return in_class(c, (unsigned char)p[1]);
    case '[': return in_set(m, c, p, end - 1);
    default: return (unsigned char)*p == c;
    }
}

static const char *match_balance(Matcher *m, const char *s, const char *p) {
    if (p >= m->pattern_end - 1) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    if (s >= m->text_end || *s != *p) return NULL;
    char open = p[0], close = p[1];
    int depth = 1;
    while (++s < m->text_end) {
        step(m);
        if (*s == close) {
            if (--depth == 0) return s + 1;
        } else if (*s == open) {
            depth++;
        }
    }
    return NULL;
}

static const char *match_most(Matcher *m, const char *s, const char *p, const char *end) {
    ptrdiff_t count = 0;
    while (single(m, s + count, p, end)) count++;
    for (; count >= 0; count--) {
        const char *rest = match_here(m, s + count, end + 1);
        if (rest) return rest;
    }
    return NULL;
}

static const char *match_least(Matcher *m, const char *s, const char *p, const char *end) {
    for (;;) {
        const char *rest = match_here(m, s, end + 1);
        if (rest) return rest;
        if (!single(m, s, p, end)) return NULL;
        s++;
    }
}

static const char *match_open(Matcher *m, const char *s, const char *p, ptrdiff_t what) {
    if (m->level >= MAX_CAPTURES) luaL_error(m->L, "too many captures");
    m->capture[m->level].start = s;
    m->capture[m->level].count = what;
    m->level++;
    const char *rest = match_here(m, s, p);
    if (!rest) m->level--;
    return rest;
}

static const char *match_close(Matcher *m, const char *s, const char *p) {
    int at = m->level - 1;
    while (at >= 0 && m->capture[at].count != OPEN) at--;
    if (at < 0) luaL_error(m->L, "invalid pattern capture");
    m->capture[at].count = s - m->capture[at].start;
    const char *rest = match_here(m, s, p);
    if (!rest) m->capture[at].count = OPEN;
    return rest;
}

static const char *match_back(Matcher *m, const char *s, int digit) {
    int at = digit - '1';
    if (at < 0 || at >= m->level || m->capture[at].count == OPEN) {
        luaL_error(m->L, "invalid capture index %%%d", at + 1);
    }
    ptrdiff_t count = m->capture[at].count;
    if (count == POSITION) return NULL;
    lg_spend(m->L, (uint64_t)count / 64 + 1);
    if (m->text_end - s >= count && memcmp(m->capture[at].start, s, (size_t)count) == 0) return s + count;
    return NULL;
}

static const char *match_frontier(Matcher *m, const char *s, const char *p, const char **next) {
    if (p == m->pattern_end || *p != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    const char *end = class_end(m, p);
    int before = s == m->text ? 0 : (unsigned char)s[-1];
    int here = s < m->text_end ? (unsigned char)*s : 0;
    *next = end;
    return !in_set(m, before, p, end - 1) && in_set(m, here, p, end - 1) ? s : NULL;
}

static const char *match_loop(Matcher *m, const char *s, const char *p) {
    while (p != m->pattern_end) {
        step(m);
        if (*p == '(') return p + 1 < m->pattern_end && p[1] == ')' ? match_open(m, s, p + 2, POSITION)
                                                                      : match_open(m, s, p + 1, OPEN);
        if (*p == ')') return match_close(m, s, p + 1);
        if (*p == '$' && p + 1 == m->pattern_end) return s == m->text_end ? s : NULL;
        if (*p == '%' && p + 1 < m->pattern_end) {
            if (p[1] == 'b') {
                if (!(s = match_balance(m, s, p + 2))) return NULL;
                p += 4;
                continue;
            }
            if (p[1] == 'f') {
                if (!(s = match_frontier(m, s, p + 2, &p))) return NULL;
                continue;
            }
            if (isdigit((unsigned char)p[1])) {
                if (!(s = match_back(m, s, (unsigned char)p[1]))) return NULL;
                p += 2;
                continue;
            }
        }
        const char *end = class_end(m, p);
        char suffix = end < m->pattern_end ? *end : 0;
        if (suffix == '*') return match_most(m, s, p, end);
        if (suffix == '-') return match_least(m, s, p, end);
        bool one = single(m, s, p, end);
        if (suffix == '+') return one ? match_most(m, s + 1, p, end) : NULL;
        if (suffix == '?') {
            if (one) {
                const char *rest = match_here(m, s + 1, end + 1);
                if (rest) return rest;
            }
            p = end + 1;
            continue;
        }
        if (!one) return NULL;
        s++;
        p = end;
    }
    return s;
}

static const char *match_here(Matcher *m, const char *s, const char *p) {
    if (m->depth == MAX_DEPTH) luaL_error(m->L, "pattern too complex");
    m->depth++;
    const char *end = match_loop(m, s, p);
    m->depth--;
    return end;
}

static void prepare(Matcher *m, lua_State *L, const char *text, size_t text_count, const char *pattern_end) {
    m->L = L;
    m->text = text;
    m->text_end = text + text_count;
    m->pattern_end = pattern_end;
    m->depth = m->steps = m->level = 0;
}

static const char *match_at(Matcher *m, const char *s, const char *p) {
    m->level = 0;
    m->depth = 0;
    return match_here(m, s, p);
}

static void push_capture(Matcher *m, int at, const char *s, const char *end) {
    if (at >= m->level) {
        if (at != 0) luaL_error(m->L, "invalid capture index %%%d", at + 1);
        lg_spend_bytes(m->L, (size_t)(end - s));
        lua_pushlstring(m->L, s, (size_t)(end - s));
        return;
    }
    ptrdiff_t count = m->capture[at].count;
    if (count == OPEN) luaL_error(m->L, "unfinished capture");
    if (count == POSITION) {
        lua_pushinteger(m->L, m->capture[at].start - m->text + 1);
    } else {
        lg_spend_bytes(m->L, (size_t)count);
        lua_pushlstring(m->L, m->capture[at].start, (size_t)count);
    }
}

// All captures, or the whole match when there are none and s is given.
static int push_captures(Matcher *m, const char *s, const char *end) {
    int count = m->level == 0 && s ? 1 : m->level;
    luaL_checkstack(m->L, count, "too many captures");
    for (int i = 0; i < count; i++) push_capture(m, i, s, end);
    return count;
}

// A start position as Lua counts it: from 1, or from the end when negative; beyond the end is count + 1 at
// least.
static size_t start_offset(lua_Integer at, size_t count) {
    if (at > 0) return (size_t)at - 1;
    if (at == 0 || at < -(lua_Integer)count) return 0;
    return count - (size_t)-at;
}

static bool is_plain(const char *pattern, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (pattern[i] && strchr("^$*+?.([%-", pattern[i])) return false;
    }
    return true;
}

// As memmem, but paid for as it goes: a first byte that matches everywhere makes it quadratic.
static const char *find_plain(lua_State *L, const char *text, size_t count, const char *sought, size_t n) {
    if (n == 0) return text;
    const char *at = text, *end = text + count;
    uint64_t cost = 1;
    while ((size_t)(end - at) >= n) {
        const char *hit = memchr(at, sought[0], (size_t)(end - at) - n + 1);
        cost += (uint64_t)((hit ? hit : end) - at) / 64 + 1;
        if (!hit) break;
        cost += n / 64;
        if (cost > STEPS_A_CHARGE) {
            lg_spend(L, cost);
            cost = 0;
        }
        if (memcmp(hit + 1, sought + 1, n - 1) == 0) return hit;
        at = hit + 1;
    }
    lg_spend(L, cost);
    return NULL;
}

static int find_or_match(lua_State *L, bool find) {
    size_t count, pattern_count;
    const char *text = luaL_checklstring(L, 1, &count);
    const char *pattern = luaL_checklstring(L, 2, &pattern_count);
    size_t start = start_offset(luaL_optinteger(L, 3, 1), count);
    if (start > count) {
        luaL_pushfail(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || is_plain(pattern, pattern_count))) {
        const char *hit = find_plain(L, text + start, count - start, pattern, pattern_count);
        if (hit) {
            lua_pushinteger(L, hit - text + 1);
            lua_pushinteger(L, hit - text + (lua_Integer)pattern_count);
            return 2;
        }
    } else {
        Matcher m;
        bool anchored = *pattern == '^' && pattern_count > 0;
        const char *p = pattern + anchored, *s = text + start;
        prepare(&m, L, text, count, pattern + pattern_count);
        do {
            const char *end = match_at(&m, s, p);
            if (end) {
                if (!find) return push_captures(&m, s, end);
                lua_pushinteger(L, s - text + 1);
                lua_pushinteger(L, end - text);
                return push_captures(&m, NULL, NULL) + 2;
            }
        } while (s++ < m.text_end && !anchored);
    }
    luaL_pushfail(L);
    return 1;
}

int lg_find(lua_State *L) { return find_or_match(L, true); }
int lg_match(lua_State *L) { return find_or_match(L, false); }

// Upvalues: text, pattern, offset to go on from, offset where the last match ended (or -1).
static int gmatch_next(lua_State *L) {
    size_t count, pattern_count;
    const char *text = lua_tolstring(L, lua_upvalueindex(1), &count);
    const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_count);
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    Matcher m;
    prepare(&m, L, text, count, pattern + pattern_count);
    for (const char *s = text + lua_tointeger(L, lua_upvalueindex(3)); s <= m.text_end; s++) {
        const char *end = match_at(&m, s, pattern);
        if (end && end - text != last) {
            lua_pushinteger(L, end - text);
            lua_copy(L, -1, lua_upvalueindex(3));
            lua_copy(L, -1, lua_upvalueindex(4));
            lua_pop(L, 1);
            return push_captures(&m, s, end);
        }
    }
    lua_pushinteger(L, (lua_Integer)count + 1);
    lua_replace(L, lua_upvalueindex(3));
    return 0;
}

int lg_gmatch(lua_State *L) {
    size_t count;
    luaL_checklstring(L, 1, &count);
    luaL_checkstring(L, 2);
    size_t start = start_offset(luaL_optinteger(L, 3, 1), count);
    if (start > count) start = count + 1;
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)start);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

static void add_replacement_text(Matcher *m, luaL_Buffer *out, const char *s, const char *end) {
    lua_State *L = m->L;
    size_t count;
    const char *text = lua_tolstring(L, 3, &count);
    lg_spend_bytes(L, count);
    for (size_t i = 0; i < count; i++) {
        if (text[i] != '%') {
            luaL_addchar(out, text[i]);
            continue;
        }
        i++;
        char c = i < count ? text[i] : 0;
        if (c == '%') {
            luaL_addchar(out, '%');
        } else if (c == '0') {
            lg_spend_bytes(L, (size_t)(end - s));
            luaL_addlstring(out, s, (size_t)(end - s));
        } else if (isdigit((unsigned char)c)) {
            push_capture(m, c - '1', s, end);
            luaL_tolstring(L, -1, NULL);  // a position capture is a number
            lua_remove(L, -2);
            luaL_addvalue(out);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
}

static bool add_replacement(Matcher *m, luaL_Buffer *out, const char *s, const char *end, int type) {
    lua_State *L = m->L;
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, s, end), 1);
    } else if (type == LUA_TTABLE) {
        push_capture(m, 0, s, end);
        lua_gettable(L, 3);
    } else {
        add_replacement_text(m, out, s, end);
        return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, s, (size_t)(end - s));
        return false;
    }
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    lg_spend_bytes(L, lua_rawlen(L, -1));
    luaL_addvalue(out);
    return true;
}

int lg_gsub(lua_State *L) {
    size_t count, pattern_count;
    const char *text = luaL_checklstring(L, 1, &count);
    const char *pattern = luaL_checklstring(L, 2, &pattern_count);
    const char *last = NULL;
    int type = lua_type(L, 3);
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)count + 1), done = 0;
    bool anchored = pattern_count > 0 && *pattern == '^', changed = false;
    bool usable = type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE;
    luaL_argexpected(L, usable, 3, "string/function/table");
    if (type == LUA_TNUMBER) lua_tostring(L, 3);
    Matcher m;
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    prepare(&m, L, text, count, pattern + pattern_count);
    const char *s = text, *p = pattern + anchored;
    while (done < most) {
        const char *end = match_at(&m, s, p);
        if (end && end != last) {
            done++;
            changed |= add_replacement(&m, &out, s, end, type);
            s = last = end;
        } else if (s < m.text_end) {
            luaL_addchar(&out, *s++);
        } else {
            break;
        }
        if (anchored) break;
    }
    if (changed) {
        lg_spend_bytes(L, (size_t)(m.text_end - s));
        luaL_addlstring(&out, s, (size_t)(m.text_end - s));
        luaL_pushresult(&out);
    } else {
        luaL_pushresult(&out);  // closes the buffer's box
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, done);
    return 2;
}
