// CRC-32C, of which librocksdb takes one of each octet of its log. It has a function of its own for that, and Debian
// builds it for any x86-64: by tables, which was a sixth of what a persistent message costs. The linker lets
// the library call the program's function of the same name instead. The sums are the same. Knows no record.
#ifndef CCRC32C_H
#define CCRC32C_H

#include <stddef.h>
#include <stdint.h>

// The sum of what came before and of these octets; 0 is that of none. Uses what the processor has for it, if it has.
uint32_t ccrc32c_extend(uint32_t sum, const void *octets, size_t count);

#endif
