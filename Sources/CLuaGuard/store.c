// The dictionaries behind `shared`. Each is a table of linear hashing, which grows and shrinks by one bucket
// at a time: no write waits until a million entries have moved.

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "store.h"

enum {
    SEGMENT = 256,         // buckets of a segment
    SEGMENTS = 4096,       // 1,048,576 buckets: more than LG_SHARED_MOST_ENTRIES
    MALLOC_BYTES = 16,     // what malloc adds to a block
    TIDIED = 2,            // of the oldest entries, looked at by each write: what has expired goes
    SHRINK_STEPS = 8,      // buckets that one removal may take away
    EVICTED_AT_ONCE = 64,  // above a capacity that was lowered
};

struct SharedDictionary {
    LGShared *store;
    SharedEntry ***directory;     // of segments
    uint32_t directory_capacity;
    uint32_t buckets;             // 0 before the first entry
    uint32_t level;               // the power of two at or below `buckets`
    uint32_t count, capacity, timed;
    size_t bytes;                 // of entries
    SharedEntry *oldest, *newest;
    size_t name_count;
    uint8_t name[LG_SHARED_NAME_BYTES];
};

struct LGShared {
    size_t limit, used;  // by entries and buckets; the dictionaries themselves are a thousand at most
    uint64_t generation, seed;
    uint32_t count;
    SharedDictionary *dictionaries[LG_SHARED_NAMES];
};

static uint64_t next_generation(void) {
    static _Atomic uint64_t last = 0;  // over all stores: a handle may see several
    return atomic_fetch_add(&last, 1) + 1;
}

LGShared *lg_shared_open(size_t memory_bytes, uint64_t seed) {
    LGShared *store = calloc(1, sizeof *store);
    if (!store) return NULL;
    store->limit = memory_bytes;
    store->seed = seed;
    store->generation = next_generation();
    return store;
}

uint64_t lg_store_generation(const LGShared *store) { return store->generation; }
size_t lg_store_limit(const LGShared *store) { return store->limit; }
size_t lg_shared_memory(const LGShared *store) { return store->used; }

// ---- Buckets

static SharedEntry **bucket_at(const SharedDictionary *d, uint32_t index) {
    return &d->directory[index / SEGMENT][index % SEGMENT];
}

static SharedEntry **bucket_of(const SharedDictionary *d, uint64_t hash) {
    uint32_t index = (uint32_t)hash & (2 * d->level - 1);
    return bucket_at(d, index < d->buckets ? index : index & (d->level - 1));
}

static bool add_segment(SharedDictionary *d, uint32_t segment) {
    size_t more = SEGMENT * sizeof(SharedEntry *);
    if (segment >= d->directory_capacity) {
        uint32_t capacity = d->directory_capacity ? d->directory_capacity * 2 : 1;
        if (capacity > SEGMENTS) return false;
        SharedEntry ***grown = realloc(d->directory, capacity * sizeof *grown);
        if (!grown) return false;
        d->directory = grown;
        d->directory_capacity = capacity;
    }
    d->directory[segment] = calloc(SEGMENT, sizeof(SharedEntry *));
    if (!d->directory[segment]) return false;
    d->store->used += more;
    return true;
}

// Splits one bucket. Without memory the chains become longer, that is all.
static void grow(SharedDictionary *d) {
    uint32_t added = d->buckets;
    if (added % SEGMENT == 0 && !add_segment(d, added / SEGMENT)) return;
    SharedEntry **from = bucket_at(d, added - d->level), **to = bucket_at(d, added);
    uint32_t mask = 2 * d->level - 1;
    d->buckets++;
    if (d->buckets == 2 * d->level) d->level = d->buckets;
    while (*from) {
        SharedEntry *entry = *from;
        if (((uint32_t)entry->hash & mask) == added) {
            *from = entry->chain;
            entry->chain = *to;
            *to = entry;
        } else {
            from = &entry->chain;
        }
    }
}

// Gives the last bucket's entries back to the bucket that it was split from.
static void shrink(SharedDictionary *d) {
    if (d->buckets == d->level) d->level /= 2;
    uint32_t last = --d->buckets;
    SharedEntry **to = bucket_at(d, last - d->level), *moved = *bucket_at(d, last);
    while (*to) to = &(*to)->chain;
    *to = moved;
    *bucket_at(d, last) = NULL;
    if (last % SEGMENT == 0) {
        free(d->directory[last / SEGMENT]);
        d->directory[last / SEGMENT] = NULL;
        d->store->used -= SEGMENT * sizeof(SharedEntry *);
    }
}

// ---- Dictionaries

static void free_dictionary(SharedDictionary *d) {
    for (SharedEntry *entry = d->oldest, *next; entry; entry = next) {
        next = entry->newer;
        free(entry);
    }
    uint32_t segments = (d->buckets + SEGMENT - 1) / SEGMENT;
    for (uint32_t i = 0; i < segments; i++) free(d->directory[i]);
    d->store->used -= d->bytes + segments * SEGMENT * sizeof(SharedEntry *);
    free(d->directory);
    free(d);
}

void lg_shared_close(LGShared *store) {
    if (!store) return;
    for (uint32_t i = 0; i < store->count; i++) free_dictionary(store->dictionaries[i]);
    free(store);
}

// An empty dictionary makes room: names that a script made up must not use up all names for good.
static bool drop_empty(LGShared *store) {
    for (uint32_t i = 0; i < store->count; i++) {
        if (store->dictionaries[i]->count > 0) continue;
        free_dictionary(store->dictionaries[i]);
        store->dictionaries[i] = store->dictionaries[--store->count];
        store->generation = next_generation();
        return true;
    }
    return false;
}

// Searched one by one: a handle remembers what it found.
SharedDictionary *lg_store_dictionary(LGShared *store, LGBytes name, bool *full) {
    *full = false;
    for (uint32_t i = 0; i < store->count; i++) {
        SharedDictionary *d = store->dictionaries[i];
        if (d->name_count == name.count && memcmp(d->name, name.bytes, name.count) == 0) return d;
    }
    if (store->count == LG_SHARED_NAMES && !drop_empty(store)) {
        *full = true;
        return NULL;
    }
    SharedDictionary *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->store = store;
    d->capacity = LG_SHARED_CAPACITY;
    d->name_count = name.count;
    memcpy(d->name, name.bytes, name.count);
    store->dictionaries[store->count++] = d;
    return d;
}

void lg_dictionary_limit(SharedDictionary *d, uint32_t capacity) { d->capacity = capacity; }
uint32_t lg_dictionary_count(const SharedDictionary *d) { return d->count; }
uint32_t lg_dictionary_timed(const SharedDictionary *d) { return d->timed; }
SharedEntry *lg_dictionary_oldest(const SharedDictionary *d) { return d->oldest; }
uint64_t lg_dictionary_hash(const SharedDictionary *d, LGBytes key) {
    return lg_xxh64(key.bytes, key.count, d->store->seed);
}

// ---- Entries

static void append(SharedDictionary *d, SharedEntry *entry) {
    entry->newer = NULL;
    entry->older = d->newest;
    if (d->newest) d->newest->newer = entry;
    else d->oldest = entry;
    d->newest = entry;
}

static void unlink_entry(SharedDictionary *d, SharedEntry *entry) {
    if (entry->older) entry->older->newer = entry->newer;
    else d->oldest = entry->newer;
    if (entry->newer) entry->newer->older = entry->older;
    else d->newest = entry->older;
}

void lg_dictionary_remove(SharedDictionary *d, SharedEntry *entry) {
    SharedEntry **at = bucket_of(d, entry->hash);
    while (*at != entry) at = &(*at)->chain;
    *at = entry->chain;
    unlink_entry(d, entry);
    d->count--;
    d->timed -= entry->expires != LG_NEVER;
    d->bytes -= entry->size;
    d->store->used -= entry->size;
    free(entry);
    for (int i = 0; i < SHRINK_STEPS && d->buckets > 1 && d->count < d->buckets / 4; i++) shrink(d);
}

// hot: asked by each get and incr.
SharedEntry *lg_dictionary_find(SharedDictionary *d, LGBytes key, uint64_t hash, int64_t now) {
    if (d->count == 0) return NULL;
    for (SharedEntry *entry = *bucket_of(d, hash); entry; entry = entry->chain) {
        if (entry->hash != hash || entry->key_count != key.count ||
            memcmp(entry->bytes, key.bytes, key.count) != 0) {
            continue;
        }
        if (entry->expires > now) return entry;
        lg_dictionary_remove(d, entry);
        return NULL;
    }
    return NULL;
}

void lg_dictionary_update(SharedDictionary *d, SharedEntry *entry, SharedValue value, int64_t expires) {
    value.text = entry->value.text;
    entry->value = value;
    d->timed += (expires != LG_NEVER) - (entry->expires != LG_NEVER);
    entry->expires = expires;
    if (d->newest == entry) return;
    unlink_entry(d, entry);
    append(d, entry);
}

static void tidy(SharedDictionary *d, int64_t now) {
    for (int i = 0; i < TIDIED && d->timed && d->oldest && d->oldest->expires <= now; i++) {
        lg_dictionary_remove(d, d->oldest);
    }
}

Stored lg_dictionary_set(SharedDictionary *d, LGBytes key, uint64_t hash, SharedValue value, int64_t expires,
                         int64_t now, uint32_t *evicted) {
    LGShared *store = d->store;
    size_t size = sizeof(SharedEntry) + key.count + value.text.count + MALLOC_BYTES;
    *evicted = 0;
    tidy(d, now);
    SharedEntry *present = lg_dictionary_find(d, key, hash, now);
    if (present && present->size == size) {
        if (value.text.count) memcpy(present->bytes + key.count, value.text.bytes, value.text.count);
        lg_dictionary_update(d, present, value, expires);
        return STORED;
    }
    // What is not of this dictionary stays, so this is all the room that there can be.
    size_t needed = size + (d->buckets ? 0 : SEGMENT * sizeof(SharedEntry *));
    if (needed > store->limit || store->used - d->bytes > store->limit - needed) return STORE_FULL;
    if (d->buckets == 0) {
        if (!add_segment(d, 0)) return STORE_NO_MEMORY;
        d->buckets = d->level = 1;
    }
    SharedEntry *entry = malloc(sizeof *entry + key.count + value.text.count);
    if (!entry) return STORE_NO_MEMORY;
    if (present) lg_dictionary_remove(d, present);
    while (d->oldest && (store->used > store->limit - size ||
                         (d->count >= d->capacity && *evicted < EVICTED_AT_ONCE))) {
        lg_dictionary_remove(d, d->oldest);
        ++*evicted;
    }

    entry->hash = hash;
    entry->expires = expires;
    entry->key_count = key.count;
    entry->size = size;
    memcpy(entry->bytes, key.bytes, key.count);
    if (value.text.count) memcpy(entry->bytes + key.count, value.text.bytes, value.text.count);
    entry->value = value;
    entry->value.text.bytes = entry->bytes + key.count;
    SharedEntry **bucket = bucket_of(d, hash);
    entry->chain = *bucket;
    *bucket = entry;
    append(d, entry);
    d->count++;
    d->timed += expires != LG_NEVER;
    d->bytes += size;
    store->used += size;
    if (d->count > d->buckets && d->buckets < SEGMENT * SEGMENTS) grow(d);
    return STORED;
}
