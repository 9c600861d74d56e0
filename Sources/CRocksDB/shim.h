// Debian's librocksdb-dev. Only BrokerStorage imports it.
#include <malloc.h>
#include <rocksdb/c.h>

// Few threads allocate much; of glibc's eight arenas a core, each would keep what was freed in it.
static inline void crocksdb_bound_arenas(void) {
#ifdef M_ARENA_MAX
  mallopt(M_ARENA_MAX, 2);
#endif
}
