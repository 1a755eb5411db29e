/* Multiplication of matrices that are too small for a library: those of one head of one sequence. */
#ifndef MASS_SMALL_MATMUL_H
#define MASS_SMALL_MATMUL_H

#include "common.h"

enum { WIDTH = 16 }; /* floats of a vector; rows of matrices are padded to a multiple of it */
typedef float vector __attribute__((vector_size(4 * WIDTH), aligned(4)));

/* One tile of c: tile_rows rows and tile_vectors vectors of WIDTH columns. The sums stay in registers. */
static inline __attribute__((always_inline)) void matmul_tile(const int tile_rows, const int tile_vectors,
                                                              i64 k, const float *a, i64 a_row, i64 a_column,
                                                              const float *b, i64 b_row, float *c, i64 c_row) {
  vector sums[8][2];
  for (int i = 0; i < tile_rows; i++)
    for (int j = 0; j < tile_vectors; j++) sums[i][j] = (vector){0};
  for (i64 p = 0; p < k; p++) {
    vector from[2];
    for (int j = 0; j < tile_vectors; j++) from[j] = *(const vector *)(b + p * b_row + j * WIDTH);
    for (int i = 0; i < tile_rows; i++) {
      const float factor = a[i * a_row + p * a_column];
      for (int j = 0; j < tile_vectors; j++) sums[i][j] += from[j] * factor;
    }
  }
  for (int i = 0; i < tile_rows; i++)
    for (int j = 0; j < tile_vectors; j++) *(vector *)(c + i * c_row + j * WIDTH) = sums[i][j];
}

/* c [m, n] = a [m, k] b [k, n], where n is a multiple of WIDTH. Element (i, p) of a is a[i * a_row + p * a_column]:
   a may be the transpose of what is in memory. b_row and c_row are the lengths of the rows of b and c. */
static void small_matmul(i64 m, i64 n, i64 k, const float *a, i64 a_row, i64 a_column, const float *b, i64 b_row,
                         float *c, i64 c_row) {
  for (i64 j = 0; j < n; j += 2 * WIDTH) {
    const int two = j + WIDTH < n;
    i64 i = 0;
    for (; i + 8 <= m; i += 8)
      if (two)
        matmul_tile(8, 2, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
      else
        matmul_tile(8, 1, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
    for (; i + 4 <= m; i += 4)
      if (two)
        matmul_tile(4, 2, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
      else
        matmul_tile(4, 1, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
    for (; i < m; i++)
      if (two)
        matmul_tile(1, 2, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
      else
        matmul_tile(1, 1, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
  }
}

#endif
