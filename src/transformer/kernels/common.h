/* What the kernels share: the calling convention of MindSpore's custom operators, dropout masks, exponentials. */
#ifndef MASS_COMMON_H
#define MASS_COMMON_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MindSpore calls a kernel with all inputs, then all outputs, in `params`; 0 means success. */
#define KERNEL(name)                                                                                        \
  int name(int count, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *stream, void *extra)
#define IN(type, index) ((const type *)params[index])
#define OUT(type, index) ((type *)params[index])

typedef int64_t i64;

enum { OUT_OF_MEMORY = 1, OUT_OF_RANGE = 2 };

/* 1 if numbers[0 .. count - 1] all lie in [0, limit); else 0, and the first that does not is named on standard error:
   MindSpore's own message, which follows, has the kernel's name only. */
static inline int all_below(const int32_t *numbers, i64 count, i64 limit, const char *what) {
  for (i64 i = 0; i < count; i++)
    if (numbers[i] < 0 || numbers[i] >= limit) {
      fprintf(stderr, "C kernel: %s %d in row %lld is out of range: allowed are 0 to %lld\n", what, (int)numbers[i],
              (long long)i, (long long)limit - 1);
      return 0;
    }
  return 1;
}

static inline i64 min_of(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 round_up(i64 n, i64 multiple) { return (n + multiple - 1) / multiple * multiple; }

/* Columns are shared out among threads in pieces of this many floats, a cache line. Each column is summed by one
   thread in the order of the rows, so that sums do not depend on the number of threads. */
enum { PIECE = 16 };

/* sums[c] = sum over the rows of x[row, c]. */
static inline void column_sums(const float *x, i64 rows, i64 columns, float *sums) {
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < columns; first += 4 * PIECE) {
    const i64 last = min_of(first + 4 * PIECE, columns);
    for (i64 c = first; c < last; c++) sums[c] = 0.0f;
    for (i64 r = 0; r < rows; r++)
      for (i64 c = first; c < last; c++) sums[c] += x[r * columns + c];
  }
}

/* ---- Dropout. The mask of an element follows from (seed, site, index) alone, so the backward pass draws it again
   instead of reading it from memory. SplitMix64 (Steele et al., 2014) as a counter-based generator; each 64-bit
   word serves four elements with 16 bits each. */

typedef struct {
  uint64_t key;
  uint32_t threshold; /* an element is dropped if its 16 bits are below */
  float scale;        /* of the elements that are kept: 1 / (1 - threshold / 65536) */
} Dropout;

static inline uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static const uint64_t GOLDEN = 0x9e3779b97f4a7c15u;

/* seed: two words of 32 bits, one pair for each step; site: which dropout of the network; probability of dropping. */
static inline Dropout make_dropout(const int32_t *seed, const int32_t *site, const float *probability) {
  uint64_t step = (uint64_t)(uint32_t)seed[0] | (uint64_t)(uint32_t)seed[1] << 32;
  Dropout dropout;
  dropout.key = mix(mix(step + GOLDEN) + GOLDEN * (uint64_t)(uint32_t)site[0]);
  dropout.threshold = (uint32_t)min_of((i64)(probability[0] * 65536.0f + 0.5f), 65535);
  dropout.scale = 65536.0f / (65536.0f - (float)dropout.threshold);
  return dropout;
}

typedef uint16_t __attribute__((may_alias)) Quarter; /* a quarter of a 64-bit word */

static inline i64 words_of(i64 columns) { return (columns + 3) / 4; }

/* Random bits for the columns [4 * first, 4 * last) of a row that has `words` words. */
static inline void draw_bits(const Dropout *dropout, i64 row, i64 words, i64 first, i64 last, uint64_t *bits) {
  const uint64_t start = dropout->key + GOLDEN * (uint64_t)(row * words);
  for (i64 w = first; w < last; w++) bits[w - first] = mix(start + GOLDEN * (uint64_t)w);
}

/* factors[c] = scale or 0 for the columns [4 * first, 4 * first + columns) of a row; bits: room for its words. */
static inline void dropout_factors(const Dropout *dropout, i64 row, i64 words, i64 first, i64 columns, uint64_t *bits,
                                   float *factors) {
  if (dropout->threshold == 0) {
    for (i64 c = 0; c < columns; c++) factors[c] = 1.0f;
    return;
  }
  draw_bits(dropout, row, words, first, first + words_of(columns), bits);
  const Quarter *quarters = (const Quarter *)bits;
  const uint16_t threshold = (uint16_t)dropout->threshold;
  const float scale = dropout->scale;
  for (i64 c = 0; c < columns; c++) factors[c] = quarters[c] >= threshold ? scale : 0.0f;
}

/* ---- layer norm of a row: (from - mean) * factor * gamma + beta -> to. */
typedef struct { float mean, factor; } RowStatistics;

static inline RowStatistics norm_row(const float *from, i64 columns, float epsilon, const float *gamma,
                                     const float *beta, float *to) {
  float sum = 0.0f, squares = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (i64 c = 0; c < columns; c++) sum += from[c];
  const float mean = sum / (float)columns;
#pragma omp simd reduction(+ : squares)
  for (i64 c = 0; c < columns; c++) squares += (from[c] - mean) * (from[c] - mean);
  const float factor = 1.0f / sqrtf(squares / (float)columns + epsilon);
  for (i64 c = 0; c < columns; c++) to[c] = (from[c] - mean) * factor * gamma[c] + beta[c];
  return (RowStatistics){mean, factor};
}

/* ---- exp(x) for x <= 88, to about 1 unit in the last place (range reduction and a polynomial of degree 6), written
   so that compilers vectorize it. Very small x gives 0; NaN stays NaN. */
static inline float fast_exp(float x) {
  const float clipped = x < -87.0f ? -87.0f : x;
  const float k = __builtin_rintf(clipped * 1.44269504088896341f);
  const float r = (clipped - k * 0.693359375f) - k * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  union { int32_t bits; float value; } power;
  power.bits = ((int32_t)k + 127) << 23;
  const float result = p * power.value;
  return x < -87.0f ? 0.0f : result;
}

#endif
