/* Sums over the rows of a matrix, as the gradients of biases need them. */
#ifndef MASS_COLUMN_SUMS_H
#define MASS_COLUMN_SUMS_H

#include "common.h"

/* Columns are distributed over threads in blocks of whole cache lines. Each column is summed by one thread in the order
   of the rows, so the sums do not depend on the number of threads. */
enum { CACHE_LINE = 16, COLUMN_BLOCK = 4 * CACHE_LINE }; /* floats */

/* x [rows, columns] -> sums [columns], sums[c] = sum of x[r, c] over the rows r. */
static inline void column_sums(const float *x, i64 rows, i64 columns, float *sums) {
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < columns; first += COLUMN_BLOCK) {
    const i64 last = min_of(first + COLUMN_BLOCK, columns);
    for (i64 c = first; c < last; c++) sums[c] = 0.0f;
    for (i64 r = 0; r < rows; r++)
      for (i64 c = first; c < last; c++) sums[c] += x[r * columns + c];
  }
}

#endif
