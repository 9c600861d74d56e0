// Regular expressions in linear time: POSIX extended ones, with Perl's \d \w \s (and \D \W \S) and (?:…).
// Knows nothing of Lua or Swift.
//
//   .  [a-z]  [^[:space:]_]  \d \w \s  ^  $  ( )  (?: )  |  *  +  ?  {2}  {2,}  {2,5}  \n \t \r \f \v  \. …
//
// They work on octets and tell capitals from small letters; `.` is any octet, ^ and $ are the two ends of the
// text. There are no back references and no look-around: they are what takes more than linear time.
#ifndef CREGEX_H
#define CREGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct LGRegex LGRegex;

enum { LG_REGEX_ERROR_BYTES = 128 };

/// Null when the pattern is none, with the reason (0-terminated, LG_REGEX_ERROR_BYTES) in `error`.
LGRegex *_Nullable lg_regex_compile(const uint8_t *_Nullable pattern, size_t count, char *_Nonnull error);
void lg_regex_free(LGRegex *_Nullable regex);

/// Whether the pattern matches anywhere in the text. It changes the regex's cache: one thread at a time.
/// Each few thousand steps (an octet is about one) `pay` is called, which need not return.
bool lg_regex_search(LGRegex *_Nonnull regex, const uint8_t *_Nullable text, size_t count,
                     void (*_Nullable pay)(void *_Nullable context, uint64_t steps), void *_Nullable context);

/// Octets that it holds; about how many steps it took to make.
size_t lg_regex_memory(const LGRegex *_Nonnull regex);
uint64_t lg_regex_cost(const LGRegex *_Nonnull regex);

#endif
