// Whether a message's headers are what a binding asks for, as a headers exchange sees it.

#include "internal.h"

typedef struct {
    LGBytes key, value;
    uint8_t type;
} Field;

static uint64_t big_endian(const uint8_t *at, size_t count) {
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) value = value << 8 | at[i];
    return value;
}

// The next field of a table's content; false at its end, and where it is malformed.
static bool next_field(LGBytes *rest, Field *field) {
    const uint8_t *at = rest->bytes, *end = at + rest->count;
    if (rest->count < 2 || (size_t)(end - at) < 2u + *at) return false;
    field->key = lg_bytes(at + 1, *at);
    at += 1 + *at;
    field->type = *at++;
    size_t size;
    switch (field->type) {
    case 't': case 'b': case 'B': size = 1; break;
    case 's': case 'u': size = 2; break;
    case 'I': case 'i': case 'f': size = 4; break;
    case 'D': size = 5; break;
    case 'l': case 'L': case 'd': case 'T': size = 8; break;
    case 'V': size = 0; break;
    case 'S': case 'x': case 'A': case 'F':
        if (end - at < 4) return false;
        size = (size_t)big_endian(at, 4);
        at += 4;
        break;
    default: return false;
    }
    if ((size_t)(end - at) < size) return false;
    field->value = lg_bytes(at, size);
    *rest = lg_bytes(at + size, (size_t)(end - at) - size);
    return true;
}

static bool find_field(LGBytes table, LGBytes key, Field *field) {
    while (next_field(&table, field)) {
        if (field->key.count == key.count && memcmp(field->key.bytes, key.bytes, key.count) == 0) return true;
    }
    return false;
}

static bool integer_of(const Field *field, int64_t *value) {
    uint64_t bits = big_endian(field->value.bytes, field->value.count);
    switch (field->type) {
    case 'b': *value = (int8_t)bits; return true;
    case 's': *value = (int16_t)bits; return true;
    case 'I': *value = (int32_t)bits; return true;
    case 'B': case 'u': case 'i': case 'l': *value = (int64_t)bits; return true;
    case 'L': *value = (int64_t)bits; return bits <= INT64_MAX;
    default: return false;
    }
}

static bool float_of(const Field *field, double *value) {
    uint64_t bits = big_endian(field->value.bytes, field->value.count);
    uint32_t low = (uint32_t)bits;
    float narrow;
    if (field->type == 'd') {
        memcpy(value, &bits, 8);
        return true;
    }
    memcpy(&narrow, &low, 4);
    *value = narrow;
    return field->type == 'f';
}

static bool same_value(const Field *a, const Field *b) {
    int64_t x, y;
    double u, v;
    if (integer_of(a, &x)) return integer_of(b, &y) && x == y;
    if (float_of(a, &u)) return float_of(b, &v) && u == v;
    bool text = (a->type == 'S' || a->type == 'x') && (b->type == 'S' || b->type == 'x');
    return (text || a->type == b->type) && a->value.count == b->value.count &&
           (a->value.count == 0 || memcmp(a->value.bytes, b->value.bytes, a->value.count) == 0);
}

static bool field_is(LGBytes bytes, const char *text) {
    return bytes.count == strlen(text) && memcmp(bytes.bytes, text, bytes.count) == 0;
}

bool lg_headers_match(LGBytes arguments, LGBytes headers) {
    bool any = false, with_x = false;
    Field want, have;
    if (find_field(arguments, lg_bytes("x-match", 7), &want)) {
        any = field_is(want.value, "any") || field_is(want.value, "any-with-x");
        with_x = field_is(want.value, "all-with-x") || field_is(want.value, "any-with-x");
    }
    for (LGBytes rest = arguments; next_field(&rest, &want);) {
        if (field_is(want.key, "x-match")) continue;
        if (!with_x && want.key.count >= 2 && memcmp(want.key.bytes, "x-", 2) == 0) continue;
        bool met = find_field(headers, want.key, &have) && (want.type == 'V' || same_value(&want, &have));
        if (met == any) return any;
    }
    return !any;
}
