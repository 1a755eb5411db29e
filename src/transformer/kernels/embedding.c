/* Embedding look-up with positions and dropout. */
#include "common.h"

/* table [symbols, columns], ids [rows], positions [rows], position_table [positions, columns], scale [1], seed [2],
   site [1], probability [1] -> dropout(table[ids] * scale + position_table[positions]) [rows, columns] */
KERNEL(embedding_forward) {
  const float *table = IN(float, 0), *position_table = IN(float, 3);
  const int32_t *ids = IN(int32_t, 1), *positions = IN(int32_t, 2);
  const float scale = IN(float, 4)[0];
  const Dropout dropout = make_dropout(IN(int32_t, 5), IN(int32_t, 6), IN(float, 7));
  float *out = OUT(float, 8);
  const i64 rows = shapes[1][0], columns = shapes[0][1], words = words_of(columns);
  if (!all_below(ids, rows, shapes[0][0], "symbol") || !all_below(positions, rows, shapes[3][0], "position"))
    return OUT_OF_RANGE;
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    float *factors = malloc(sizeof(float) * (size_t)columns);
    uint64_t *bits = malloc(sizeof(uint64_t) * (size_t)words);
    failed = !factors || !bits;
#pragma omp for schedule(static)
    for (i64 r = 0; r < rows; r++) {
      if (failed) continue;
      dropout_factors(&dropout, r, words, 0, columns, bits, factors);
      const float *symbol = table + ids[r] * columns, *position = position_table + positions[r] * columns;
      for (i64 c = 0; c < columns; c++) out[r * columns + c] = (symbol[c] * scale + position[c]) * factors[c];
    }
    free(factors);
    free(bits);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* dout [rows, columns], ids [rows], table (for its shape), scale, seed, site, probability -> gradient of the table.
   Each thread adds up its own columns of all rows, in their order. */
KERNEL(embedding_backward) {
  const float *dout = IN(float, 0);
  const int32_t *ids = IN(int32_t, 1);
  const float scale = IN(float, 3)[0];
  const Dropout dropout = make_dropout(IN(int32_t, 4), IN(int32_t, 5), IN(float, 6));
  float *dtable = OUT(float, 7);
  const i64 rows = shapes[1][0], symbols = shapes[2][0], columns = shapes[2][1], words = words_of(columns);
#pragma omp parallel for schedule(static)
  for (i64 s = 0; s < symbols; s++) memset(dtable + s * columns, 0, sizeof(float) * (size_t)columns);
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < columns; first += 4 * PIECE) {
    const i64 width = min_of(4 * PIECE, columns - first);
    float factors[4 * PIECE];
    uint64_t bits[PIECE];
    for (i64 r = 0; r < rows; r++) {
      dropout_factors(&dropout, r, words, first / 4, width, bits, factors);
      float *to = dtable + ids[r] * columns + first;
      const float *from = dout + r * columns + first;
      for (i64 c = 0; c < width; c++) to[c] += from[c] * factors[c] * scale;
    }
  }
  return 0;
}
