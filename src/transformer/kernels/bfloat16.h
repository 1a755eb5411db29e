/* The number format bfloat16: the upper half of a float32, with its 8 bits of exponent and 8 bits of precision. Inputs
   of matrix products may have it; sums never do. */
#ifndef MASS_BFLOAT16_H
#define MASS_BFLOAT16_H

#include "common.h"

typedef uint16_t bfloat16;

/* Rounds to the nearest bfloat16, to the even one of two equally near. NaN stays NaN, and large numbers become
   infinite. It is plain integer arithmetic, which compilers vectorize, so the result is the same on every processor. */
static inline bfloat16 round_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
  return (bfloat16)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

static inline float widen(bfloat16 x) {
  const uint32_t bits = (uint32_t)x << 16;
  float wide;
  memcpy(&wide, &bits, sizeof wide);
  return wide;
}

static inline void round_floats(const float *from, i64 count, bfloat16 *to) {
  for (i64 i = 0; i < count; i++) to[i] = round_float(from[i]);
}

static inline void widen_all(const bfloat16 *from, i64 count, float *to) {
  for (i64 i = 0; i < count; i++) to[i] = widen(from[i]);
}

/* Whether MindSpore's name of the type of an input or output is that of bfloat16. */
static inline int is_bfloat16(const char *dtype) { return strcmp(dtype, "bfloat16") == 0; }

/* A row of results that is computed in float32: the place of the row in a float32 matrix, or else `scratch`, from where
   put_row() rounds it to its place in a bfloat16 matrix. */
static inline float *row_for(void *matrix, int rounded, i64 at, float *scratch) {
  return rounded ? scratch : (float *)matrix + at;
}

static inline void put_row(void *matrix, int rounded, i64 at, const float *scratch, i64 count) {
  if (rounded) round_floats(scratch, count, (bfloat16 *)matrix + at);
}

/* to = from, rounded, on all threads. */
static inline void parallel_round(const float *from, i64 count, bfloat16 *to) {
  enum { CHUNK = 1 << 13 };
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < count; first += CHUNK)
    round_floats(from + first, min_of(CHUNK, count - first), to + first);
}

#endif
