// The dictionaries behind `shared`: entries in the order in which they were written, bounded in number and
// memory. Knows no Lua and no clock: the time comes with each call. One thread at a time.
#ifndef LG_STORE_H
#define LG_STORE_H

#include "CLuaGuard.h"

enum {
    LG_SHARED_NAMES = 1000,           // dictionaries of one store
    LG_SHARED_NAME_BYTES = 255,
    LG_SHARED_CAPACITY = 10000,       // entries of a dictionary, unless it is told
    LG_SHARED_MOST_ENTRIES = 1000000,
    LG_SHARED_KEY_BYTES = 1024,
    LG_SHARED_TEXT_BYTES = 1 << 20,
};

#define LG_NEVER INT64_MAX  // an entry that does not expire

enum SharedKind { SHARED_TEXT, SHARED_INTEGER, SHARED_NUMBER, SHARED_BOOLEAN, SHARED_BUCKET };

// What an entry holds. A bucket: tokens, as of a moment.
typedef struct {
    enum SharedKind kind;
    union {
        int64_t integer;
        double number;
        bool boolean;
        struct { double tokens; int64_t at; } bucket;
    };
    LGBytes text;
} SharedValue;

typedef struct SharedEntry SharedEntry;
struct SharedEntry {
    SharedEntry *chain;           // in its hash bucket
    SharedEntry *older, *newer;
    uint64_t hash;
    int64_t expires;
    SharedValue value;            // text.bytes lies behind the key
    size_t key_count, size;
    uint8_t bytes[];
};

typedef struct SharedDictionary SharedDictionary;

typedef enum { STORED, STORE_FULL, STORE_NO_MEMORY } Stored;

// Of all dictionaries there ever were: a pointer to one holds while its store's generation stays.
uint64_t lg_store_generation(const LGShared *store);
// Null when there are too many that are not empty (*full), or no memory.
SharedDictionary *lg_store_dictionary(LGShared *store, LGBytes name, bool *full);
size_t lg_store_limit(const LGShared *store);

void lg_dictionary_limit(SharedDictionary *dictionary, uint32_t capacity);
uint32_t lg_dictionary_count(const SharedDictionary *dictionary);
uint32_t lg_dictionary_timed(const SharedDictionary *dictionary);  // entries that expire some day
SharedEntry *lg_dictionary_oldest(const SharedDictionary *dictionary);
uint64_t lg_dictionary_hash(const SharedDictionary *dictionary, LGBytes key);

// Null when there is none, or it is from before `now`: it is gone then.
SharedEntry *lg_dictionary_find(SharedDictionary *dictionary, LGBytes key, uint64_t hash, int64_t now);
// Puts a value in, as the newest entry; *evicted counts the old ones that went for it.
Stored lg_dictionary_set(SharedDictionary *dictionary, LGBytes key, uint64_t hash, SharedValue value,
                         int64_t expires, int64_t now, uint32_t *evicted);
// Changes a value that is no text where it stands; the entry becomes the newest.
void lg_dictionary_update(SharedDictionary *dictionary, SharedEntry *entry, SharedValue value,
                          int64_t expires);
void lg_dictionary_remove(SharedDictionary *dictionary, SharedEntry *entry);

#endif
