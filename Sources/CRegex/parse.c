// From a pattern's text to a program: a tree of nodes, then instructions. All is bounded: text, nesting,
// sets, instructions.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum Kind { LITERAL, CLASS, BEGIN, END, SEQUENCE, CHOICE, REPEAT };
enum { NONE = -1, WITHOUT_END = -1 };

typedef struct {
    uint8_t kind, byte;
    uint16_t set;
    int16_t least, most;
    int32_t first, next;  // children are a list
} Node;

typedef struct {
    const uint8_t *text, *at, *end;
    Node *nodes;
    int32_t count;
    Program *program;
    char *error;
    int depth, emitted;
} Parser;

static int32_t fail(Parser *p, const char *reason) {
    if (!p->error[0]) {
        snprintf(p->error, LG_REGEX_ERROR_BYTES, "%s at byte %ld of the regular expression", reason,
                 (long)(p->at - p->text) + 1);
    }
    return NONE;
}

static int32_t too_large(Parser *p) {
    if (!p->error[0]) snprintf(p->error, LG_REGEX_ERROR_BYTES, "regular expression too large");
    return NONE;
}

static bool more(const Parser *p) { return p->at < p->end; }
static bool next_is(const Parser *p, char c) { return more(p) && *p->at == (uint8_t)c; }

static int32_t node(Parser *p, enum Kind kind) {
    Node *n = &p->nodes[p->count];
    memset(n, 0, sizeof *n);
    n->kind = (uint8_t)kind;
    n->first = n->next = NONE;
    return p->count++;
}

// ---- Sets

static void add_range(ByteSet *set, int from, int to) {
    for (int c = from; c <= to; c++) add_byte(set, (uint8_t)c);
}

static void invert(ByteSet *set) {
    for (int i = 0; i < 4; i++) set->bits[i] = ~set->bits[i];
}

// \d \w \s and their opposites.
static bool add_escaped(ByteSet *set, uint8_t letter) {
    ByteSet own = {{0}};
    switch (letter | 32) {
    case 'd': add_range(&own, '0', '9'); break;
    case 'w':
        add_range(&own, '0', '9');
        add_range(&own, 'a', 'z');
        add_range(&own, 'A', 'Z');
        add_byte(&own, '_');
        break;
    case 's':
        add_range(&own, '\t', '\r');
        add_byte(&own, ' ');
        break;
    default: return false;
    }
    if (!(letter & 32)) invert(&own);
    for (int i = 0; i < 4; i++) set->bits[i] |= own.bits[i];
    return true;
}

static bool add_named(ByteSet *set, const uint8_t *name, size_t count) {
    static const struct { const char *name, *ranges; } classes[] = {
        {"alpha", "azAZ"}, {"digit", "09"}, {"alnum", "azAZ09"}, {"upper", "AZ"}, {"lower", "az"},
        {"space", "\t\r  "}, {"blank", "\t\t  "}, {"punct", "!/:@[`{~"}, {"print", " ~"}, {"graph", "!~"},
        {"cntrl", "\x01\x1f\x7f\x7f"}, {"xdigit", "09afAF"}, {"word", "azAZ09__"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strlen(classes[i].name) != count || memcmp(classes[i].name, name, count) != 0) continue;
        for (const char *range = classes[i].ranges; *range; range += 2) add_range(set, range[0], range[1]);
        if (strcmp(classes[i].name, "cntrl") == 0) add_byte(set, 0);
        return true;
    }
    return false;
}

// The octet behind a backslash, or -1: letters and digits are for what we do not have.
static int escaped(uint8_t c) {
    static const char from[] = "nrtfv", to[] = "\n\r\t\f\v";
    const char *found = c ? strchr(from, c) : NULL;
    if (found) return to[found - from];
    bool wordy = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    return wordy ? -1 : c;
}

// One octet of a set, or -1 when a whole class was added, or -2 with an error.
static int set_item(Parser *p, ByteSet *set) {
    uint8_t c = *p->at++;
    if (c == '[' && more(p) && (*p->at == ':' || *p->at == '.' || *p->at == '=')) {
        const uint8_t *name = p->at + 1, *end = name;
        if (*p->at != ':') return fail(p, "[.….] and [=…=] are not known"), -2;
        while (end < p->end && *end != ':') end++;
        if (p->end - end < 2 || end[1] != ']' || !add_named(set, name, (size_t)(end - name))) {
            return fail(p, "unknown class of characters"), -2;
        }
        p->at = end + 2;
        return -1;
    }
    if (c != '\\') return c;
    if (!more(p)) return fail(p, "unfinished escape"), -2;
    c = *p->at++;
    if (add_escaped(set, c)) return -1;
    int value = escaped(c);
    if (value < 0) return fail(p, "unknown escape"), -2;
    return value;
}

static int32_t parse_set(Parser *p) {
    ByteSet set = {{0}};
    bool inverse = next_is(p, '^');
    if (inverse) p->at++;
    for (bool first = true; !next_is(p, ']') || first; first = false) {
        if (!more(p)) return fail(p, "missing ]");
        int from = set_item(p, &set), to = from;
        if (from == -2) return NONE;
        if (from >= 0 && next_is(p, '-') && p->end - p->at > 1 && p->at[1] != ']') {
            p->at++;
            to = set_item(p, &set);
            if (to == -2) return NONE;
            if (to < from) return fail(p, "range with its end before its beginning");
        }
        if (from >= 0) add_range(&set, from, to);
    }
    p->at++;
    if (inverse) invert(&set);
    if (p->program->set_count == LG_REGEX_SETS) return too_large(p);
    int32_t n = node(p, CLASS);
    p->nodes[n].set = p->program->set_count;
    p->program->sets[p->program->set_count++] = set;
    return n;
}

static int32_t class_of(Parser *p, uint8_t letter) {
    ByteSet set = {{0}};
    if (letter == '.') invert(&set);
    else if (!add_escaped(&set, letter)) return NONE;
    Program *program = p->program;
    uint16_t at = 0;
    while (at < program->set_count && memcmp(&program->sets[at], &set, sizeof set) != 0) at++;
    if (at == LG_REGEX_SETS) return too_large(p);
    if (at == program->set_count) program->sets[program->set_count++] = set;
    int32_t n = node(p, CLASS);
    p->nodes[n].set = at;
    return n;
}

// ---- The tree

static int32_t parse_choice(Parser *p);

static int32_t parse_group(Parser *p) {
    if (next_is(p, '?')) {
        if (p->end - p->at < 2 || p->at[1] != ':') return fail(p, "of (?…) only (?:…) is known");
        p->at += 2;
    }
    if (++p->depth > LG_REGEX_NESTING) return fail(p, "groups nested too deep");
    int32_t inner = parse_choice(p);
    p->depth--;
    if (inner == NONE) return NONE;
    if (!next_is(p, ')')) return fail(p, "missing )");
    p->at++;
    return inner;
}

static int32_t parse_atom(Parser *p) {
    uint8_t c = *p->at++;
    int value = c;
    switch (c) {
    case '(': return parse_group(p);
    case '[': return parse_set(p);
    case '.': return class_of(p, c);
    case '^': return node(p, BEGIN);
    case '$': return node(p, END);
    case '*': case '+': case '?':
        p->at--;
        return fail(p, "nothing to repeat");
    case '\\': {
        if (!more(p)) return fail(p, "unfinished escape");
        c = *p->at++;
        int32_t set = c == '.' ? NONE : class_of(p, c);
        if (set != NONE) return set;
        if (p->error[0]) return NONE;
        value = escaped(c);
        if (value < 0) {
            p->at -= 2;
            return fail(p, "unknown escape");
        }
        break;
    }
    default: break;
    }
    int32_t n = node(p, LITERAL);
    p->nodes[n].byte = (uint8_t)value;
    return n;
}

static bool parse_number(const uint8_t **at, const uint8_t *end, int *value) {
    const uint8_t *begin = *at;
    for (*value = 0; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        if (*value <= LG_REGEX_REPEATS) *value = *value * 10 + **at - '0';
    }
    return *at > begin;
}

// {2}, {2,} or {2,5}; anything else that begins with a brace stands for itself.
static bool parse_braces(Parser *p, int *least, int *most) {
    const uint8_t *at = p->at + 1;
    if (!parse_number(&at, p->end, least)) return false;
    *most = *least;
    if (at < p->end && *at == ',') {
        at++;
        if (!parse_number(&at, p->end, most)) *most = WITHOUT_END;
    }
    if (at == p->end || *at != '}') return false;
    p->at = at + 1;
    return true;
}

static int32_t parse_repeats(Parser *p, int32_t atom) {
    int least = 0, most = WITHOUT_END;
    if (!more(p)) return atom;
    switch (*p->at) {
    case '*': p->at++; break;
    case '+': least = 1; p->at++; break;
    case '?': most = 1; p->at++; break;
    case '{':
        if (parse_braces(p, &least, &most)) break;
        return atom;
    default: return atom;
    }
    if (least > LG_REGEX_REPEATS || most > LG_REGEX_REPEATS) return too_large(p);
    if (most != WITHOUT_END && most < least) return fail(p, "repetition with its end before its beginning");
    if (next_is(p, '?')) p->at++;  // as few as possible: whether it matches is the same
    if (next_is(p, '*') || next_is(p, '+') || next_is(p, '?')) return fail(p, "nothing to repeat");
    int32_t n = node(p, REPEAT);
    p->nodes[n].least = (int16_t)least;
    p->nodes[n].most = (int16_t)most;
    p->nodes[n].first = atom;
    return n;
}

static int32_t parse_sequence(Parser *p) {
    int32_t sequence = node(p, SEQUENCE), last = NONE;
    while (more(p) && *p->at != '|' && *p->at != ')') {
        int32_t item = parse_atom(p);
        if (item != NONE) item = parse_repeats(p, item);
        if (item == NONE) return NONE;
        if (last == NONE) p->nodes[sequence].first = item;
        else p->nodes[last].next = item;
        last = item;
    }
    return sequence;
}

static int32_t parse_choice(Parser *p) {
    int32_t last = parse_sequence(p);
    if (last == NONE || !next_is(p, '|')) return last;
    int32_t choice = node(p, CHOICE);
    p->nodes[choice].first = last;
    while (next_is(p, '|')) {
        p->at++;
        int32_t other = parse_sequence(p);
        if (other == NONE) return NONE;
        p->nodes[last].next = other;
        last = other;
    }
    return choice;
}

// ---- Instructions

static uint16_t emit(Parser *p, enum Operation operation) {
    Program *program = p->program;
    if (program->count >= LG_REGEX_INSTRUCTIONS - 1) {
        too_large(p);
        return program->count;  // overwritten and never run
    }
    program->code[program->count] = (Instruction){.operation = (uint8_t)operation};
    return program->count++;
}

static void emit_node(Parser *p, int32_t index);

static void emit_repeat(Parser *p, const Node *n) {
    Instruction *code = p->program->code;
    uint16_t last = p->program->count;
    for (int i = 0; i < n->least && !p->error[0]; i++) {
        last = p->program->count;
        emit_node(p, n->first);
    }
    if (n->most == WITHOUT_END && n->least > 0) {
        uint16_t split = emit(p, SPLIT);
        code[split].x = last;
        code[split].y = p->program->count;
    } else if (n->most == WITHOUT_END) {
        uint16_t split = emit(p, SPLIT);
        code[split].x = p->program->count;
        emit_node(p, n->first);
        code[emit(p, JUMP)].x = split;
        code[split].y = p->program->count;
    } else {
        // Each further one may be the last: their ways out are a list until the end is known.
        uint16_t ways_out = UINT16_MAX;
        for (int i = n->least; i < n->most && !p->error[0]; i++) {
            uint16_t split = emit(p, SPLIT);
            code[split].x = p->program->count;
            code[split].y = ways_out;
            ways_out = split;
            emit_node(p, n->first);
        }
        while (ways_out != UINT16_MAX && !p->error[0]) {
            uint16_t next = code[ways_out].y;
            code[ways_out].y = p->program->count;
            ways_out = next;
        }
    }
}

static void emit_choice(Parser *p, const Node *n) {
    Instruction *code = p->program->code;
    uint16_t ways_out = UINT16_MAX;
    for (int32_t child = n->first; child != NONE && !p->error[0]; child = p->nodes[child].next) {
        bool is_last = p->nodes[child].next == NONE;
        uint16_t split = is_last ? 0 : emit(p, SPLIT);
        if (!is_last) code[split].x = p->program->count;
        emit_node(p, child);
        if (is_last) break;
        uint16_t jump = emit(p, JUMP);
        code[jump].x = ways_out;
        ways_out = jump;
        code[split].y = p->program->count;
    }
    while (ways_out != UINT16_MAX && !p->error[0]) {
        uint16_t next = code[ways_out].x;
        code[ways_out].x = p->program->count;
        ways_out = next;
    }
}

static void emit_node(Parser *p, int32_t index) {
    const Node *n = &p->nodes[index];
    Instruction *code = p->program->code;
    if (++p->emitted > LG_REGEX_EMITTED) too_large(p);
    if (p->error[0]) return;
    switch (n->kind) {
    case LITERAL: code[emit(p, BYTE)].byte = n->byte; break;
    case CLASS: code[emit(p, SET)].x = n->set; break;
    case BEGIN: emit(p, AT_BEGIN); break;
    case END: emit(p, AT_END); break;
    case REPEAT: emit_repeat(p, n); break;
    case CHOICE: emit_choice(p, n); break;
    case SEQUENCE:
        for (int32_t child = n->first; child != NONE && !p->error[0]; child = p->nodes[child].next) {
            emit_node(p, child);
        }
        break;
    default: break;
    }
}

bool parse_regex(const uint8_t *pattern, size_t count, Program *program, char *error) {
    Parser p = {.text = pattern, .at = pattern, .end = pattern + count, .program = program, .error = error};
    error[0] = 0;
    if (count > LG_REGEX_PATTERN_BYTES) return too_large(&p), false;
    // An octet makes at most three nodes (an atom, its repetition, a sequence), and there are two at the top.
    p.nodes = malloc((count * 3 + 4) * sizeof *p.nodes);
    if (!p.nodes) {
        snprintf(error, LG_REGEX_ERROR_BYTES, "not enough memory");
        return false;
    }
    int32_t top = parse_choice(&p);
    if (top != NONE && more(&p)) fail(&p, "unmatched )");
    if (top != NONE && !error[0]) {
        emit_node(&p, top);
        if (!error[0]) program->code[program->count++] = (Instruction){.operation = MATCH};
    }
    free(p.nodes);
    return !error[0];
}
