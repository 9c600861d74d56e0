// The matcher: Thompson's machine, whose sets of positions become states of a deterministic one when they are
// first met. Each octet of the text is one step, however the pattern is made; states that do not fit the
// cache are made again.
//
//   state = which of the instructions that wait for an octet (or for the end) may be next

#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum {
    CACHE_BYTES = 256 << 10,
    FIRST_BYTES = 2048,   // of the cache: most patterns need no more
    FEWEST_STATES = 8,
    MOST_STATES = 4096,
    HASHES = 256,
    PAY_EACH = 4096,      // steps
    UNKNOWN = 0xFFFF,
};

typedef struct {
    uint16_t chain;          // the next state of the same hash
    uint8_t matches;         // whatever comes
    uint8_t matches_at_end;
    uint8_t at_begin;
    uint8_t dead;            // it will never match
    uint16_t unused;         // what follows are 64-bit words
} State;

struct LGRegex {
    Instruction *code;
    ByteSet *sets;
    uint16_t count, classes, words;  // words: 64 bits each, of a state's set
    uint8_t class_of[256];
    uint8_t byte_of[256];            // one octet of each class
    uint16_t *stack, *marks;         // of a closure
    uint16_t mark;
    uint64_t *found, *again;         // the closure under way; that of a match that begins later
    bool found_match, again_matches, again_alive;

    uint8_t *cache;
    size_t stride, capacity, most;   // octets of a state; states that fit now and at most
    size_t states;
    uint16_t start;
    uint16_t heads[HASHES];
    uint64_t cost;
};

static State *state_at(const LGRegex *r, size_t index) { return (State *)(r->cache + index * r->stride); }
static uint64_t *set_of(const LGRegex *r, State *state) { (void)r; return (uint64_t *)(state + 1); }
static uint16_t *next_of(const LGRegex *r, State *state) { return (uint16_t *)(set_of(r, state) + r->words); }

// ---- Closures

static void begin_closure(LGRegex *r) {
    memset(r->found, 0, r->words * sizeof *r->found);
    r->found_match = false;
    if (++r->mark == 0) {
        memset(r->marks, 0, r->count * sizeof *r->marks);
        r->mark = 1;
    }
}

// Adds what can be reached from an instruction without an octet; returns how many it looked at.
static uint64_t add_closure(LGRegex *r, uint16_t from, bool at_begin, bool at_end) {
    uint64_t steps = 0;
    size_t depth = 0;
    if (r->marks[from] != r->mark) {
        r->marks[from] = r->mark;
        r->stack[depth++] = from;
    }
    while (depth > 0) {
        uint16_t at = r->stack[--depth], next[2];
        const Instruction *i = &r->code[at];
        int count = 0;
        steps++;
        switch (i->operation) {
        case JUMP: next[count++] = i->x; break;
        case SPLIT:
            next[count++] = i->x;
            next[count++] = i->y;
            break;
        case AT_BEGIN:
            if (at_begin) next[count++] = (uint16_t)(at + 1);
            break;
        case AT_END:
            if (at_end) next[count++] = (uint16_t)(at + 1);
            else r->found[at >> 6] |= UINT64_C(1) << (at & 63);
            break;
        case MATCH: r->found_match = true; break;
        default: r->found[at >> 6] |= UINT64_C(1) << (at & 63);
        }
        for (int k = 0; k < count; k++) {
            if (r->marks[next[k]] == r->mark) continue;
            r->marks[next[k]] = r->mark;  // marked when pushed: the stack holds each at most once
            r->stack[depth++] = next[k];
        }
    }
    return steps;
}

static bool takes(const LGRegex *r, const Instruction *i, uint8_t byte) {
    return i->operation == BYTE ? i->byte == byte : i->operation == SET && has_byte(&r->sets[i->x], byte);
}

// ---- States

static uint32_t hash_set(const LGRegex *r, const uint64_t *set, bool at_begin) {
    uint64_t hash = at_begin;
    for (uint16_t i = 0; i < r->words; i++) hash = (hash ^ set[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(hash >> 56) & (HASHES - 1);
}

static void flush(LGRegex *r) {
    r->states = 0;
    r->start = UNKNOWN;
    memset(r->heads, 0xFF, sizeof r->heads);
}

// A bigger cache, or the same one emptied when there is none.
static void make_room(LGRegex *r) {
    size_t wanted = r->capacity * 2 < r->most ? r->capacity * 2 : r->most;
    uint8_t *grown = wanted > r->capacity ? realloc(r->cache, wanted * r->stride) : NULL;
    if (!grown) {
        flush(r);
        return;
    }
    r->cache = grown;
    r->capacity = wanted;
}

// The state of the set in `found`. All states are gone when r->states is 1 afterwards.
static uint16_t intern(LGRegex *r, bool at_begin, uint64_t *steps) {
    uint32_t hash = hash_set(r, r->found, at_begin);
    for (uint16_t at = r->heads[hash]; at != UNKNOWN; at = state_at(r, at)->chain) {
        State *known = state_at(r, at);
        if (known->at_begin == at_begin && known->matches == r->found_match &&
            memcmp(set_of(r, known), r->found, r->words * sizeof *r->found) == 0) {
            return at;
        }
    }
    if (r->states == r->capacity) make_room(r);
    uint16_t index = (uint16_t)r->states++;
    State *state = state_at(r, index);
    *state = (State){.chain = r->heads[hash], .matches = r->found_match, .at_begin = at_begin};
    r->heads[hash] = index;
    uint64_t *set = set_of(r, state), any = 0;
    memcpy(set, r->found, r->words * sizeof *set);
    memset(next_of(r, state), 0xFF, r->classes * sizeof(uint16_t));

    begin_closure(r);
    for (uint16_t w = 0; w < r->words; w++) {
        any |= set[w];
        for (uint64_t rest = set[w]; rest; rest &= rest - 1) {
            uint16_t at = (uint16_t)(w * 64 + __builtin_ctzll(rest));
            if (r->code[at].operation == AT_END) *steps += add_closure(r, (uint16_t)(at + 1), at_begin, true);
        }
    }
    state->matches_at_end = state->matches || r->found_match;
    state->dead = !any && !r->again_alive && !state->matches;
    *steps += r->words + r->classes / 4 + 8;
    return index;
}

static uint16_t start(LGRegex *r, uint64_t *steps) {
    if (r->start == UNKNOWN) {
        begin_closure(r);
        *steps += add_closure(r, 0, true, false);
        r->start = intern(r, true, steps);
    }
    return r->start;
}

static uint16_t advance(LGRegex *r, uint16_t from, uint8_t class, uint64_t *steps) {
    const uint64_t *set = set_of(r, state_at(r, from));
    begin_closure(r);
    for (uint16_t w = 0; w < r->words; w++) {
        for (uint64_t rest = set[w]; rest; rest &= rest - 1) {
            uint16_t at = (uint16_t)(w * 64 + __builtin_ctzll(rest));
            ++*steps;
            if (takes(r, &r->code[at], r->byte_of[class])) {
                *steps += add_closure(r, (uint16_t)(at + 1), false, false);
            }
        }
    }
    // A match may begin here, too.
    for (uint16_t w = 0; w < r->words; w++) r->found[w] |= r->again[w];
    r->found_match |= r->again_matches;
    size_t before = r->states;
    uint16_t to = intern(r, false, steps);
    if (r->states >= before) next_of(r, state_at(r, from))[class] = to;  // else `from` went with all others
    return to;
}

// hot: a permission is asked of each publish whose answer is not kept.
bool lg_regex_search(LGRegex *r, const uint8_t *text, size_t count, void (*pay)(void *, uint64_t),
                     void *context) {
    uint64_t steps = 0;
    uint16_t at = start(r, &steps);
    for (size_t i = 0; i < count; i++) {
        State *state = state_at(r, at);
        if (state->matches || state->dead) break;
        uint8_t class = r->class_of[text[i]];
        uint16_t next = next_of(r, state)[class];
        at = next == UNKNOWN ? advance(r, at, class, &steps) : next;
        if (++steps >= PAY_EACH && pay) {
            // It may not return: nothing of ours is half done here.
            uint64_t due = steps;
            steps = 0;
            pay(context, due);
        }
    }
    bool matches = state_at(r, at)->matches_at_end;
    if (pay && steps) pay(context, steps);
    return matches;
}

// ---- Life

// Octets that no instruction tells apart are one class.
static void classify(LGRegex *r, const Program *program) {
    uint16_t classes = 1;
    memset(r->class_of, 0, sizeof r->class_of);
    ByteSet literals = {{0}};
    for (uint16_t i = 0; i < program->count; i++) {
        if (program->code[i].operation == BYTE) add_byte(&literals, program->code[i].byte);
    }
    for (uint16_t s = 0; s < program->set_count; s++) {
        uint16_t split[256];  // the class of those of a class that are in the set
        memset(split, 0xFF, sizeof split);
        uint16_t members[256] = {0}, inside[256] = {0};
        for (int c = 0; c < 256; c++) {
            members[r->class_of[c]]++;
            inside[r->class_of[c]] += has_byte(&program->sets[s], (uint8_t)c);
        }
        for (int c = 0; c < 256; c++) {
            uint8_t class = r->class_of[c];
            bool whole = !has_byte(&program->sets[s], (uint8_t)c) || inside[class] == members[class];
            if (!whole && split[class] == UINT16_MAX) split[class] = classes++;
        }
        for (int c = 0; c < 256; c++) {
            uint8_t class = r->class_of[c];
            if (has_byte(&program->sets[s], (uint8_t)c) && split[class] != UINT16_MAX) {
                r->class_of[c] = (uint8_t)split[class];
            }
        }
    }
    for (int c = 0; c < 256; c++) {
        if (!has_byte(&literals, (uint8_t)c)) continue;
        uint8_t class = r->class_of[c];
        bool alone = true;
        for (int other = 0; other < 256; other++) alone &= other == c || r->class_of[other] != class;
        if (!alone) r->class_of[c] = (uint8_t)classes++;
    }
    for (int c = 255; c >= 0; c--) r->byte_of[r->class_of[c]] = (uint8_t)c;
    r->classes = classes;
}

static bool build(LGRegex *r, const Program *program) {
    r->count = program->count;
    r->words = (uint16_t)((program->count + 63) / 64);
    r->code = malloc(program->count * sizeof *r->code);
    r->sets = malloc((program->set_count + 1u) * sizeof *r->sets);
    r->stack = malloc((program->count + 1u) * sizeof *r->stack);
    r->marks = calloc(program->count, sizeof *r->marks);
    r->found = calloc(r->words, sizeof *r->found);
    r->again = calloc(r->words, sizeof *r->again);
    if (!r->code || !r->sets || !r->stack || !r->marks || !r->found || !r->again) return false;
    memcpy(r->code, program->code, program->count * sizeof *r->code);
    memcpy(r->sets, program->sets, program->set_count * sizeof *r->sets);
    classify(r, program);

    r->stride = (sizeof(State) + 7) / 8 * 8 + r->words * 8u + (r->classes * 2u + 7) / 8 * 8;
    r->most = CACHE_BYTES / r->stride < MOST_STATES ? CACHE_BYTES / r->stride : MOST_STATES;
    r->capacity = FIRST_BYTES / r->stride > FEWEST_STATES ? FIRST_BYTES / r->stride : FEWEST_STATES;
    r->cache = malloc(r->capacity * r->stride);
    if (!r->cache) return false;
    flush(r);
    begin_closure(r);
    add_closure(r, 0, false, false);
    memcpy(r->again, r->found, r->words * sizeof *r->again);
    r->again_matches = r->found_match;
    for (uint16_t w = 0; w < r->words; w++) r->again_alive |= r->again[w] != 0;
    r->again_alive |= r->again_matches;
    return true;
}

LGRegex *lg_regex_compile(const uint8_t *pattern, size_t count, char *error) {
    static const uint8_t nothing = 0;
    Program *program = calloc(1, sizeof *program);
    LGRegex *regex = program ? calloc(1, sizeof *regex) : NULL;
    if (!regex) {
        strcpy(error, "not enough memory");
    } else if (!parse_regex(pattern ? pattern : &nothing, count, program, error)) {
        free(regex);
        regex = NULL;
    } else if (!build(regex, program)) {
        strcpy(error, "not enough memory");
        lg_regex_free(regex);
        regex = NULL;
    } else {
        regex->cost = 100 + count * 4 + program->count * 4u + program->set_count * 256u;
    }
    free(program);
    return regex;
}

void lg_regex_free(LGRegex *r) {
    if (!r) return;
    free(r->code);
    free(r->sets);
    free(r->stack);
    free(r->marks);
    free(r->found);
    free(r->again);
    free(r->cache);
    free(r);
}

size_t lg_regex_memory(const LGRegex *r) { return sizeof *r + r->count * 24u + r->capacity * r->stride; }
uint64_t lg_regex_cost(const LGRegex *r) { return r->cost; }
