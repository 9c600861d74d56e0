// CRC-32C by the processor's own instruction, three at a time. Knows no record.
#include "CCRC32C.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>

#define SSE42 __attribute__((target("sse4.2")))

// The instruction takes three cycles, and can be begun in each: so three lanes, whose sums are then joined.
enum { LANE = 1024 };

static int is_supported;
// What a sum is when LANE zeros have followed it, for each octet of it: sums are linear.
static uint32_t after_zeros[4][256];

SSE42 static uint64_t eight(uint64_t sum, const uint8_t *octets) {
  uint64_t word;
  memcpy(&word, octets, sizeof word);
  return _mm_crc32_u64(sum, word);
}

SSE42 static void prepare_tables(void) {
  uint32_t of_bit[32];
  for (int bit = 0; bit < 32; bit++) {
    uint64_t sum = (uint64_t)1 << bit;
    for (int index = 0; index < LANE; index += 8) sum = _mm_crc32_u64(sum, 0);
    of_bit[bit] = (uint32_t)sum;
  }
  for (int octet = 0; octet < 4; octet++) {
    for (int value = 0; value < 256; value++) {
      uint32_t sum = 0;
      for (int bit = 0; bit < 8; bit++) {
        if (value >> bit & 1) sum ^= of_bit[octet * 8 + bit];
      }
      after_zeros[octet][value] = sum;
    }
  }
}

static uint32_t shifted(uint64_t sum) {
  return after_zeros[0][sum & 255] ^ after_zeros[1][sum >> 8 & 255] ^ after_zeros[2][sum >> 16 & 255] ^
         after_zeros[3][sum >> 24 & 255];
}

SSE42 static uint32_t extend_fast(uint32_t before, const uint8_t *octets, size_t count) {
  uint64_t sum = before ^ 0xFFFFFFFF;
  for (; count >= 3 * LANE; count -= 3 * LANE, octets += 3 * LANE) {
    uint64_t second = 0, third = 0;
    for (int index = 0; index < LANE; index += 8) {
      sum = eight(sum, octets + index);
      second = eight(second, octets + LANE + index);
      third = eight(third, octets + 2 * LANE + index);
    }
    sum = shifted(shifted(sum) ^ second) ^ third;
  }
  for (; count >= 8; count -= 8, octets += 8) sum = eight(sum, octets);
  for (; count > 0; count--, octets++) sum = _mm_crc32_u8((uint32_t)sum, *octets);
  return (uint32_t)sum ^ 0xFFFFFFFF;
}

// Before anything is summed up: the library does not while it is loaded.
__attribute__((constructor)) static void prepare(void) {
  unsigned a, b, c = 0, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_2)) return;
  prepare_tables();
  is_supported = 1;
}
#endif

static uint32_t extend_slowly(uint32_t before, const uint8_t *octets, size_t count) {
  uint32_t sum = before ^ 0xFFFFFFFF;
  for (; count > 0; count--, octets++) {
    sum ^= *octets;
    for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0x82F63B78 : 0);
  }
  return sum ^ 0xFFFFFFFF;
}

uint32_t ccrc32c_extend(uint32_t before, const void *octets, size_t count) {
#if defined(__x86_64__)
  if (is_supported) return extend_fast(before, octets, count);
#endif
  return extend_slowly(before, octets, count);
}

#if defined(__x86_64__)
// `rocksdb::crc32c::Extend(uint32_t, char const *, size_t)`.
uint32_t instead_of_theirs(uint32_t before, const char *octets, size_t count) __asm__(
    "_ZN7rocksdb6crc32c6ExtendEjPKcm");
uint32_t instead_of_theirs(uint32_t before, const char *octets, size_t count) {
  return ccrc32c_extend(before, octets, count);
}
#endif
