// Ids under keys, found fast: behind the native exchanges and behind `bindings:key()` and `bindings:topic()`.
// Knows nothing of bindings, Lua or Swift.
//
//   whole keys       a key finds what stands under the same octets
//   topic patterns   words between dots; * is one word, # any number: a tree of words
//
// A key is matched word by word, with the set of nodes that are reached so far: what is paid is the number of
// words times the nodes that match, whatever else is there. Nothing recurses, and no pattern such as
// `#.a.#.a.#` makes it try a key in more ways than there are nodes.
#ifndef CKEYINDEX_H
#define CKEYINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct KeyIndex KeyIndex;

typedef enum { KI_WHOLE_KEYS = 0, KI_TOPIC_PATTERNS = 1 } KIKind;

/// secret: 16 octets that nobody outside knows, so that a client who chooses keys cannot choose collisions.
/// Null when memory is gone.
KeyIndex *_Nullable ki_open(KIKind kind, const uint8_t *_Nonnull secret);
void ki_close(KeyIndex *_Nullable index);

/// id: not 0, and in the index once. False, and nothing changes, when memory is gone.
bool ki_add(KeyIndex *_Nonnull index, const uint8_t *_Nullable key, size_t count, uint64_t id);
/// False when it is not there. The price is the words of its key, however many others share it.
bool ki_remove(KeyIndex *_Nonnull index, uint64_t id);

/// Ids of what matches, in no order, valid until the index is asked or changed again. False when memory is
/// gone.
bool ki_match(KeyIndex *_Nonnull index, const uint8_t *_Nullable key, size_t count,
              const uint64_t *_Nullable *_Nonnull ids, size_t *_Nonnull found);

/// A number for a key that nobody outside can foresee.
uint64_t ki_hash(const KeyIndex *_Nonnull index, const uint8_t *_Nullable key, size_t count);

/// Ids in it; nodes reached since it was opened: what matches cost, for tests that count and do not measure.
size_t ki_count(const KeyIndex *_Nonnull index);
uint64_t ki_steps(const KeyIndex *_Nonnull index);

#endif
