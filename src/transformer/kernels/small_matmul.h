/* Multiplication of matrices that are too small for a library: those of one head of one sequence. */
#ifndef MASS_SMALL_MATMUL_H
#define MASS_SMALL_MATMUL_H

#include "vectors.h"

enum { TILE_ROWS = MOST_SUMS >= 16 ? 8 : 6 }; /* times two vectors */

/* One tile of c: tile_rows rows and tile_vectors vectors of WIDTH columns. The sums stay in registers. */
static inline __attribute__((always_inline)) void matmul_tile(const int tile_rows, const int tile_vectors,
                                                              i64 k, const float *a, i64 a_row, i64 a_column,
                                                              const float *b, i64 b_row, float *c, i64 c_row) {
  vector sums[TILE_ROWS][2];
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

/* Some rows of c, in tiles of TILE_ROWS, one of 4 and one of the rest: a tile of one row would wait for its own
   sums. */
static inline __attribute__((always_inline)) void matmul_columns(const int tile_vectors, i64 m, i64 k, const float *a,
                                                                 i64 a_row, i64 a_column, const float *b, i64 b_row,
                                                                 float *c, i64 c_row) {
  for (; m >= TILE_ROWS; m -= TILE_ROWS, a += TILE_ROWS * a_row, c += TILE_ROWS * c_row)
    matmul_tile(TILE_ROWS, tile_vectors, k, a, a_row, a_column, b, b_row, c, c_row);
  for (; m >= 4; m -= 4, a += 4 * a_row, c += 4 * c_row)
    matmul_tile(4, tile_vectors, k, a, a_row, a_column, b, b_row, c, c_row);
  if (m == 3) matmul_tile(3, tile_vectors, k, a, a_row, a_column, b, b_row, c, c_row);
  if (m == 2) matmul_tile(2, tile_vectors, k, a, a_row, a_column, b, b_row, c, c_row);
  if (m == 1) matmul_tile(1, tile_vectors, k, a, a_row, a_column, b, b_row, c, c_row);
}

/* c [m, n] = a [m, k] b [k, n], where n is a multiple of WIDTH, to which rows of matrices are padded. Element (i, p) of
   a is a[i * a_row + p * a_column]: a may be the transpose of what is in memory. b_row and c_row are the lengths of the
   rows of b and c. */
static void small_matmul(i64 m, i64 n, i64 k, const float *a, i64 a_row, i64 a_column, const float *b, i64 b_row,
                         float *c, i64 c_row) {
  for (i64 j = 0; j < n; j += 2 * WIDTH)
    if (j + WIDTH < n)
      matmul_columns(2, m, k, a, a_row, a_column, b + j, b_row, c + j, c_row);
    else
      matmul_columns(1, m, k, a, a_row, a_column, b + j, b_row, c + j, c_row);
}

/* to [WIDTH, WIDTH] = the transpose of from [rows, WIDTH], rows <= WIDTH; the columns from `rows` on are 0. from_row
   and to_row are the lengths of the rows of the matrices that the tiles are of. A matrix of 2^n x 2^n numbers is
   transposed by merging the first half of its vectors with the second, number by number, n times. */
static inline void transpose_tile(const float *from, i64 rows, i64 from_row, float *to, i64 to_row) {
  vector tile[WIDTH], merged[WIDTH];
  for (int r = 0; r < WIDTH; r++) tile[r] = r < rows ? *(const vector *)(from + r * from_row) : (vector){0};
  for (int time = 0; time < LOG_WIDTH; time++) {
    for (int i = 0; i < WIDTH / 2; i++) {
      merged[2 * i] = FIRST_HALVES(tile[i], tile[i + WIDTH / 2]);
      merged[2 * i + 1] = SECOND_HALVES(tile[i], tile[i + WIDTH / 2]);
    }
    memcpy(tile, merged, sizeof tile);
  }
  for (int c = 0; c < WIDTH; c++) *(vector *)(to + c * to_row) = tile[c];
}

#endif
