// Three tables. Nodes, numbered, node 1 the root; children by (parent, word), whose slots are nodes; and the
// place of each id, by which it goes without a search.

#include "CKeyIndex.h"

#include <stdlib.h>
#include <string.h>

enum { ROOT = 1, FEWEST_SLOTS = 16, MOST_NODES = 1 << 30 };

typedef struct {
    uint64_t word_hash, stamp;  // stamp: the step that put the node into the set last
    uint8_t *word;              // of a child by a word; null for the root, * and #
    union {
        uint64_t one;    // while there is at most one
        uint64_t *many;  // else
    } ids;
    uint32_t count, capacity;  // of ids; capacity 0: `one`
    uint32_t word_count, parent, star, hash;
    uint32_t children;  // by words
    bool is_hash;       // takes any further word and stays
} Node;

typedef struct {
    uint64_t id;  // 0: empty
    uint32_t node, at;
} Place;

typedef struct {
    uint32_t *nodes;
    size_t count, capacity;
} NodeSet;

struct KeyIndex {
    KIKind kind;
    uint64_t secret[2];
    Node *nodes;
    uint32_t node_count, node_capacity, unused;  // unused: first of a list through `parent`
    uint32_t *children;                          // 0: empty
    size_t child_count, child_slots;
    Place *places;
    size_t place_count, place_slots;
    uint64_t stamp, steps;
    NodeSet reached, next;
    uint64_t *found;
    size_t found_count, found_capacity;
};

// ---- Hashes

static inline uint64_t rotated(uint64_t x, int by) { return x << by | x >> (64 - by); }

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = rotated(v[1], 13) ^ v[0], v[0] = rotated(v[0], 32);
    v[2] += v[3], v[3] = rotated(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotated(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotated(v[1], 17) ^ v[2], v[2] = rotated(v[2], 32);
}

// SipHash-1-3 (https://131002.net/siphash): short words, and collisions that cannot be chosen.
static uint64_t hash_of(const KeyIndex *index, const uint8_t *word, size_t count) {
    uint64_t k0 = index->secret[0], k1 = index->secret[1], part, last = (uint64_t)count << 56;
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    for (; count >= 8; word += 8, count -= 8) {
        memcpy(&part, word, 8);
        v[3] ^= part;
        sip_round(v);
        v[0] ^= part;
    }
    for (size_t i = 0; i < count; i++) last |= (uint64_t)word[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t ki_hash(const KeyIndex *index, const uint8_t *key, size_t count) {
    return hash_of(index, key, count);
}

static inline uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static inline uint64_t child_hash(uint32_t parent, uint64_t word_hash) {
    return mixed(word_hash ^ (uint64_t)parent << 32);
}

// ---- Memory

static bool grow(void *array, size_t *capacity, size_t wanted, size_t element) {
    if (wanted <= *capacity) return true;
    size_t more = *capacity < 8 ? 8 : *capacity * 2;
    while (more < wanted) more *= 2;
    void **slot = array, *grown = realloc(*slot, more * element);
    if (!grown) return false;
    *slot = grown;
    *capacity = more;
    return true;
}

KeyIndex *ki_open(KIKind kind, const uint8_t *secret) {
    KeyIndex *index = calloc(1, sizeof *index);
    if (!index) return NULL;
    index->kind = kind;
    memcpy(index->secret, secret, sizeof index->secret);
    index->nodes = calloc(8, sizeof *index->nodes);
    index->node_capacity = 8;
    index->node_count = ROOT + 1;
    if (index->nodes) return index;
    free(index);
    return NULL;
}

void ki_close(KeyIndex *index) {
    if (!index) return;
    for (uint32_t i = ROOT; i < index->node_count; i++) {
        free(index->nodes[i].word);
        if (index->nodes[i].capacity) free(index->nodes[i].ids.many);
    }
    free(index->nodes);
    free(index->children);
    free(index->places);
    free(index->reached.nodes);
    free(index->next.nodes);
    free(index->found);
    free(index);
}

size_t ki_count(const KeyIndex *index) { return index->place_count; }
uint64_t ki_steps(const KeyIndex *index) { return index->steps; }

// ---- Children

// hot:
static uint32_t find_child(const KeyIndex *index, uint32_t parent, const uint8_t *word, size_t count,
                           uint64_t hash) {
    if (index->nodes[parent].children == 0) return 0;
    size_t mask = index->child_slots - 1, at = child_hash(parent, hash) & mask;
    for (uint32_t child; (child = index->children[at]) != 0; at = (at + 1) & mask) {
        const Node *node = &index->nodes[child];
        if (node->word_hash == hash && node->parent == parent && node->word_count == count &&
            memcmp(node->word, word, count) == 0) {
            return child;
        }
    }
    return 0;
}

static void put_child(uint32_t *slots, size_t mask, const Node *nodes, uint32_t child) {
    size_t at = child_hash(nodes[child].parent, nodes[child].word_hash) & mask;
    while (slots[at]) at = (at + 1) & mask;
    slots[at] = child;
}

// At most half of the slots are taken.
static bool reserve_child(KeyIndex *index) {
    if ((index->child_count + 1) * 2 <= index->child_slots) return true;
    size_t more = index->child_slots ? index->child_slots * 2 : FEWEST_SLOTS;
    uint32_t *slots = calloc(more, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < index->child_slots; i++) {
        if (index->children[i]) put_child(slots, more - 1, index->nodes, index->children[i]);
    }
    free(index->children);
    index->children = slots;
    index->child_slots = more;
    return true;
}

// Closes the gap, so that no search ends before a child that was pushed past it.
static void drop_child(KeyIndex *index, uint32_t child) {
    const Node *nodes = index->nodes;
    size_t mask = index->child_slots - 1;
    size_t hole = child_hash(nodes[child].parent, nodes[child].word_hash) & mask;
    while (index->children[hole] != child) hole = (hole + 1) & mask;
    for (size_t at = (hole + 1) & mask; index->children[at]; at = (at + 1) & mask) {
        uint32_t other = index->children[at];
        size_t home = child_hash(nodes[other].parent, nodes[other].word_hash) & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        index->children[hole] = other;
        hole = at;
    }
    index->children[hole] = 0;
    index->child_count--;
}

// ---- Nodes

// 0 when memory is gone.
static uint32_t new_node(KeyIndex *index, uint32_t parent) {
    uint32_t node = index->unused;
    if (node) {
        index->unused = index->nodes[node].parent;
    } else {
        size_t capacity = index->node_capacity;
        if (index->node_count == MOST_NODES ||
            !grow(&index->nodes, &capacity, index->node_count + 1u, sizeof *index->nodes)) {
            return 0;
        }
        index->node_capacity = (uint32_t)capacity;
        node = index->node_count++;
    }
    index->nodes[node] = (Node){.parent = parent};
    return node;
}

static void free_node(KeyIndex *index, uint32_t node) {
    free(index->nodes[node].word);
    index->nodes[node] = (Node){.parent = index->unused};
    index->unused = node;
}

// The child of that word, made if there is none; 0 when memory is gone.
static uint32_t child_of(KeyIndex *index, uint32_t parent, const uint8_t *word, size_t count) {
    uint64_t hash = hash_of(index, word, count);
    uint32_t child = find_child(index, parent, word, count, hash);
    if (child || !reserve_child(index)) return child;
    uint8_t *copy = malloc(count + 1);
    child = copy ? new_node(index, parent) : 0;
    if (!child) {
        free(copy);
        return 0;
    }
    if (count) memcpy(copy, word, count);
    Node *node = &index->nodes[child];
    node->word = copy;
    node->word_count = (uint32_t)count;
    node->word_hash = hash;
    put_child(index->children, index->child_slots - 1, index->nodes, child);
    index->child_count++;
    index->nodes[parent].children++;
    return child;
}

static uint32_t star_of(KeyIndex *index, uint32_t parent) {
    if (index->nodes[parent].star) return index->nodes[parent].star;
    uint32_t child = new_node(index, parent);
    index->nodes[parent].star = child;
    return child;
}

// "#.#" means what "#" means.
static uint32_t hash_below(KeyIndex *index, uint32_t parent) {
    if (index->nodes[parent].is_hash) return parent;
    if (index->nodes[parent].hash) return index->nodes[parent].hash;
    uint32_t child = new_node(index, parent);
    index->nodes[parent].hash = child;
    if (child) index->nodes[child].is_hash = true;
    return child;
}

// Takes away a node that leads nowhere, and those above it that do no more.
static void prune(KeyIndex *index, uint32_t node) {
    while (node != ROOT) {
        const Node *gone = &index->nodes[node];
        if (gone->count || gone->children || gone->star || gone->hash) return;
        uint32_t parent = gone->parent;
        if (gone->word) {
            drop_child(index, node);
            index->nodes[parent].children--;
        } else if (gone->is_hash) {
            index->nodes[parent].hash = 0;
        } else {
            index->nodes[parent].star = 0;
        }
        free_node(index, node);
        node = parent;
    }
}

// ---- Words: the empty key has none, "." has two empty ones

typedef struct {
    const uint8_t *at, *end;
} Words;

static inline bool next_word(Words *words, const uint8_t **word, size_t *count) {
    if (!words->at) return false;
    *word = words->at;
    const uint8_t *dot = words->at;
    while (dot < words->end && *dot != '.') dot++;
    *count = (size_t)(dot - words->at);
    words->at = dot < words->end ? dot + 1 : NULL;
    return true;
}

static uint32_t node_for(KeyIndex *index, const uint8_t *key, size_t count) {
    if (index->kind == KI_WHOLE_KEYS) return child_of(index, ROOT, key, count);
    Words words = {count ? key : NULL, key + count};
    uint32_t node = ROOT;
    for (const uint8_t *word; next_word(&words, &word, &count);) {
        uint32_t above = node;
        if (count == 1 && *word == '*') node = star_of(index, above);
        else if (count == 1 && *word == '#') node = hash_below(index, above);
        else node = child_of(index, above, word, count);
        if (node) continue;
        prune(index, above);
        return 0;
    }
    return node;
}

// ---- Places of ids

static Place *find_place(const KeyIndex *index, uint64_t id) {
    if (index->place_count == 0) return NULL;
    size_t mask = index->place_slots - 1, at = mixed(id) & mask;
    while (index->places[at].id != id) {
        if (index->places[at].id == 0) return NULL;
        at = (at + 1) & mask;
    }
    return &index->places[at];
}

static void put_place(Place *slots, size_t mask, Place place) {
    size_t at = mixed(place.id) & mask;
    while (slots[at].id) at = (at + 1) & mask;
    slots[at] = place;
}

static bool reserve_place(KeyIndex *index) {
    if ((index->place_count + 1) * 2 <= index->place_slots) return true;
    size_t more = index->place_slots ? index->place_slots * 2 : FEWEST_SLOTS;
    Place *slots = calloc(more, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < index->place_slots; i++) {
        if (index->places[i].id) put_place(slots, more - 1, index->places[i]);
    }
    free(index->places);
    index->places = slots;
    index->place_slots = more;
    return true;
}

static void drop_place(KeyIndex *index, Place *place) {
    size_t mask = index->place_slots - 1, hole = (size_t)(place - index->places);
    for (size_t at = (hole + 1) & mask; index->places[at].id; at = (at + 1) & mask) {
        size_t home = mixed(index->places[at].id) & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        index->places[hole] = index->places[at];
        hole = at;
    }
    index->places[hole].id = 0;
    index->place_count--;
}

// ---- Add and remove

static inline uint64_t *ids_of(Node *node) { return node->capacity ? node->ids.many : &node->ids.one; }

static bool append_id(Node *node, uint64_t id) {
    size_t capacity = node->capacity;
    if (node->count == 1 && capacity == 0) {
        uint64_t *many = NULL;
        if (!grow(&many, &capacity, 2, sizeof id)) return false;
        many[0] = node->ids.one;
        node->ids.many = many;
    } else if (node->count >= 1 && !grow(&node->ids.many, &capacity, node->count + 1u, sizeof id)) {
        return false;
    }
    node->capacity = (uint32_t)capacity;
    ids_of(node)[node->count++] = id;
    return true;
}

static const uint8_t nothing = 0;

bool ki_add(KeyIndex *index, const uint8_t *key, size_t count, uint64_t id) {
    if (!reserve_place(index)) return false;
    uint32_t node = node_for(index, count ? key : &nothing, count);
    if (!node) return false;
    if (!append_id(&index->nodes[node], id)) {
        prune(index, node);
        return false;
    }
    put_place(index->places, index->place_slots - 1, (Place){id, node, index->nodes[node].count - 1});
    index->place_count++;
    return true;
}

bool ki_remove(KeyIndex *index, uint64_t id) {
    Place *place = find_place(index, id);
    if (!place) return false;
    Node *node = &index->nodes[place->node];
    uint32_t number = place->node, at = place->at;
    uint64_t last = ids_of(node)[--node->count];
    if (last != id) {
        ids_of(node)[at] = last;
        find_place(index, last)->at = at;
    }
    if (node->count == 0 && node->capacity) {
        free(node->ids.many);
        node->capacity = 0;
    }
    drop_place(index, place);
    prune(index, number);
    return true;
}

// ---- Match

static bool take_ids(KeyIndex *index, Node *node) {
    if (node->count == 0) return true;
    if (!grow(&index->found, &index->found_capacity, index->found_count + node->count, sizeof(uint64_t))) {
        return false;
    }
    memcpy(index->found + index->found_count, ids_of(node), node->count * sizeof(uint64_t));
    index->found_count += node->count;
    return true;
}

// Puts a node into the set, and with it its `#`, which matches no word at all too.
static bool reach(KeyIndex *index, uint32_t number) {
    while (number) {
        Node *node = &index->nodes[number];
        if (node->stamp == index->stamp) return true;
        node->stamp = index->stamp;
        index->steps++;
        NodeSet *set = &index->reached;
        if (!grow(&set->nodes, &set->capacity, set->count + 1, sizeof(uint32_t))) return false;
        set->nodes[set->count++] = number;
        number = node->hash;
    }
    return true;
}

static bool step(KeyIndex *index, const uint8_t *word, size_t count) {
    NodeSet last = index->reached;
    index->reached = index->next;
    index->reached.count = 0;
    index->next = last;
    index->stamp++;
    bool fits = true, is_hashed = false;
    uint64_t hash = 0;
    for (size_t i = 0; i < last.count && fits; i++) {
        const Node *node = &index->nodes[last.nodes[i]];
        if (node->is_hash) fits = reach(index, last.nodes[i]);
        if (node->star) fits = fits && reach(index, node->star);
        if (node->children == 0) continue;
        if (!is_hashed) hash = hash_of(index, word, count);
        is_hashed = true;
        fits = fits && reach(index, find_child(index, last.nodes[i], word, count, hash));
    }
    return fits;
}

// hot: no node moves while a key is matched.
bool ki_match(KeyIndex *index, const uint8_t *key, size_t count, const uint64_t **ids, size_t *found) {
    if (count == 0) key = &nothing;
    index->found_count = 0;
    *found = 0;
    if (index->kind == KI_WHOLE_KEYS) {
        uint32_t node = find_child(index, ROOT, key, count, hash_of(index, key, count));
        if (node) {
            *ids = ids_of(&index->nodes[node]);
            *found = index->nodes[node].count;
        }
        return true;
    }
    index->stamp++;
    index->reached.count = 0;
    bool fits = reach(index, ROOT);
    Words words = {count ? key : NULL, key + count};
    for (const uint8_t *word; fits && next_word(&words, &word, &count);) fits = step(index, word, count);
    for (size_t i = 0; i < index->reached.count && fits; i++) {
        fits = take_ids(index, &index->nodes[index->reached.nodes[i]]);
    }
    *ids = index->found;
    *found = fits ? index->found_count : 0;
    return fits;
}
