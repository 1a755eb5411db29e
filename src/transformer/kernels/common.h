/* Types, error codes and checks that all C files share. All matrices are float32 and row-major, [rows, columns]. */
#ifndef MASS_COMMON_H
#define MASS_COMMON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int64_t i64;

/* What functions that are called from Python return; 0 is success. */
enum { OUT_OF_MEMORY = 1, OUT_OF_RANGE = 2 };

enum { CACHE_LINE = 16 }; /* floats */

int kernel_threads(void); /* threads.c */

static inline i64 min_of(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 round_up(i64 n, i64 multiple) { return (n + multiple - 1) / multiple * multiple; }

/* A length of rows of at least n floats, an odd number of cache lines: if the rows were a large power of 2 apart, the
   numbers of a column would share a few places of the cache. */
static inline i64 spread_length(i64 n) { return round_up(n, CACHE_LINE) | CACHE_LINE; }

/* Returns 1 if all of numbers[0 .. count - 1] are in [0, limit), else 0. The first one that is not is reported on
   standard error as `what`, because MindSpore's own message, which follows, has the kernel's name only. */
static inline int all_below(const int32_t *numbers, i64 count, i64 limit, const char *what) {
  for (i64 i = 0; i < count; i++)
    if (numbers[i] < 0 || numbers[i] >= limit) {
      fprintf(stderr, "C kernel: %s %d in row %lld is out of range: allowed are 0 to %lld\n", what, (int)numbers[i],
              (long long)i, (long long)limit - 1);
      return 0;
    }
  return 1;
}

#endif
