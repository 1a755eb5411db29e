/* Sums over the rows of a matrix, as the gradients of biases need them. */
#ifndef MASS_COLUMN_SUMS_H
#define MASS_COLUMN_SUMS_H

#include "bfloat16.h"

/* Columns are distributed over threads in blocks of whole cache lines. Each column is summed by one thread in the order
   of the rows, so the sums do not depend on the number of threads. */
enum { COLUMN_BLOCK = 4 * CACHE_LINE };

/* x [rows, columns], bfloat16 if `rounded`, else float32 -> sums [columns], sums[c] = sum of x[r, c] over the rows. */
static inline void column_sums(const void *x, int rounded, i64 rows, i64 columns, float *sums) {
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < columns; first += COLUMN_BLOCK) {
    const i64 width = min_of(COLUMN_BLOCK, columns - first);
    float partial[COLUMN_BLOCK] = {0.0f};
    for (i64 r = 0; r < rows; r++) {
      const i64 at = r * columns + first;
      if (rounded)
        for (i64 c = 0; c < width; c++) partial[c] += widen(((const bfloat16 *)x)[at + c]);
      else
        for (i64 c = 0; c < width; c++) partial[c] += ((const float *)x)[at + c];
    }
    memcpy(sums + first, partial, sizeof(float) * (size_t)width);
  }
}

#endif
