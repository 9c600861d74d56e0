// What the parser hands to the matcher: a program for Thompson's machine.
#ifndef CREGEX_INTERNAL_H
#define CREGEX_INTERNAL_H

#include "CRegex.h"

enum {
    LG_REGEX_PATTERN_BYTES = 8192,
    LG_REGEX_INSTRUCTIONS = 2000,
    LG_REGEX_SETS = 256,
    LG_REGEX_NESTING = 100,     // of groups: the parser follows them by recursion
    LG_REGEX_REPEATS = 1000,
    LG_REGEX_EMITTED = 50000,   // nodes: ((){1000}){1000} would be a million times nothing
};

// Each goes on to the next instruction, except for JUMP (to x), SPLIT (to x and y) and MATCH.
enum Operation { BYTE, SET, AT_BEGIN, AT_END, JUMP, SPLIT, MATCH };

typedef struct {
    uint8_t operation, byte;
    uint16_t x, y;  // x is a SET's number, too
} Instruction;

typedef struct {
    uint64_t bits[4];
} ByteSet;

typedef struct {
    Instruction code[LG_REGEX_INSTRUCTIONS];
    uint16_t count;
    ByteSet sets[LG_REGEX_SETS];
    uint16_t set_count;
} Program;

static inline bool has_byte(const ByteSet *set, uint8_t byte) {
    return set->bits[byte >> 6] >> (byte & 63) & 1;
}
static inline void add_byte(ByteSet *set, uint8_t byte) {
    set->bits[byte >> 6] |= UINT64_C(1) << (byte & 63);
}

// False with the reason in error.
bool parse_regex(const uint8_t *pattern, size_t count, Program *program, char *error);

#endif
