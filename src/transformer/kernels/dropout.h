/* Dropout masks.

   The mask of an element depends on (seed, site, index) alone, so the backward pass draws the mask again instead of
   reading it from memory. The generator is SplitMix64 (Steele et al., 2014), used with a counter; each 64-bit word
   serves four elements with 16 bits each. */
#ifndef MASS_DROPOUT_H
#define MASS_DROPOUT_H

#include "common.h"

typedef struct {
  uint64_t key;
  uint32_t threshold; /* an element is dropped if its 16 bits are below this */
  float scale;        /* factor of the elements that are kept: 1 / (1 - threshold / 65536) */
} Dropout;

static const uint64_t GOLDEN = 0x9e3779b97f4a7c15u;

static inline uint64_t mix_bits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* seed [2]: two words of 32 bits that change with every training step. site [1]: the number of this dropout in the
   network. probability [1]: that an element is dropped. */
static inline Dropout make_dropout(const int32_t *seed, const int32_t *site, const float *probability) {
  uint64_t step = (uint64_t)(uint32_t)seed[0] | (uint64_t)(uint32_t)seed[1] << 32;
  Dropout dropout;
  dropout.key = mix_bits(mix_bits(step + GOLDEN) + GOLDEN * (uint64_t)(uint32_t)site[0]);
  dropout.threshold = (uint32_t)min_of((i64)(probability[0] * 65536.0f + 0.5f), 65535);
  dropout.scale = 65536.0f / (65536.0f - (float)dropout.threshold);
  return dropout;
}

typedef uint16_t __attribute__((may_alias)) Quarter; /* a quarter of a 64-bit word */

/* Number of 64-bit words for the elements of a row. */
static inline i64 words_of(i64 columns) { return (columns + 3) / 4; }

/* Draws the words [first, last) of a row that has `words` words. */
static inline void draw_bits(const Dropout *dropout, i64 row, i64 words, i64 first, i64 last, uint64_t *bits) {
  const uint64_t start = dropout->key + GOLDEN * (uint64_t)(row * words);
  for (i64 w = first; w < last; w++) bits[w - first] = mix_bits(start + GOLDEN * (uint64_t)w);
}

/* factors[c] = scale or 0, for the columns 4 * first + c of a row, c in [0, columns). `bits` is scratch memory of
   words_of(columns) words. */
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

/* Scratch memory of one thread for the dropout factors of one row. */
typedef struct {
  float *factors;
  uint64_t *bits;
} DropoutRow;

/* Returns 0 if there is not enough memory. */
static inline int make_dropout_row(DropoutRow *row, i64 columns) {
  row->factors = malloc(sizeof(float) * (size_t)columns);
  row->bits = malloc(sizeof(uint64_t) * (size_t)words_of(columns));
  return row->factors && row->bits;
}

static inline void free_dropout_row(DropoutRow *row) {
  free(row->factors);
  free(row->bits);
}

#endif
