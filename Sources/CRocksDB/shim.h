// Debian's librocksdb-dev. Only BrokerStorage imports it.
#include <rocksdb/c.h>
