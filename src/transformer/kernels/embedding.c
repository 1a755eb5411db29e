/* Token embeddings with position encodings and dropout:

     out[r] = dropout(table[ids[r]] * scale + position_table[positions[r]])

   With the dropout factors f, dtable[t] = sum over the rows r with ids[r] = t of dout[r] * f[r] * scale. */
#include "column_sums.h"
#include "dropout.h"
#include "kernel.h"

/* table [vocab_size, columns], ids [rows], positions [rows], position_table [positions, columns], scale [1], seed [2],
   site [1], probability [1] -> out [rows, columns] */
KERNEL(embedding_forward) {
  const float *table = IN(float, 0), *position_table = IN(float, 3);
  const int32_t *ids = IN(int32_t, 1), *positions = IN(int32_t, 2);
  const float scale = IN(float, 4)[0];
  const Dropout dropout = make_dropout(IN(int32_t, 5), IN(int32_t, 6), IN(float, 7));
  float *out = OUT(float, 8);
  const i64 rows = shapes[1][0], columns = shapes[0][1], words = words_of(columns);
  if (!all_below(ids, rows, shapes[0][0], "token id") || !all_below(positions, rows, shapes[3][0], "position"))
    return OUT_OF_RANGE;
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    DropoutRow row;
    failed = !make_dropout_row(&row, columns);
#pragma omp for schedule(static)
    for (i64 r = 0; r < rows; r++) {
      if (failed) continue;
      dropout_factors(&dropout, r, words, 0, columns, row.bits, row.factors);
      const float *token = table + ids[r] * columns, *position = position_table + positions[r] * columns;
      for (i64 c = 0; c < columns; c++) out[r * columns + c] = (token[c] * scale + position[c]) * row.factors[c];
    }
    free_dropout_row(&row);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* dout [rows, columns], ids [rows], table [vocab_size, columns] (only its shape is used), scale [1], seed [2],
   site [1], probability [1] -> dtable [vocab_size, columns]. Each thread sums its own columns, in the order of the
   rows. */
KERNEL(embedding_backward) {
  const float *dout = IN(float, 0);
  const int32_t *ids = IN(int32_t, 1);
  const float scale = IN(float, 3)[0];
  const Dropout dropout = make_dropout(IN(int32_t, 4), IN(int32_t, 5), IN(float, 6));
  float *dtable = OUT(float, 7);
  const i64 rows = shapes[1][0], vocab_size = shapes[2][0], columns = shapes[2][1], words = words_of(columns);
#pragma omp parallel for schedule(static)
  for (i64 t = 0; t < vocab_size; t++) memset(dtable + t * columns, 0, sizeof(float) * (size_t)columns);
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < columns; first += COLUMN_BLOCK) {
    const i64 width = min_of(COLUMN_BLOCK, columns - first);
    float factors[COLUMN_BLOCK];
    uint64_t bits[COLUMN_BLOCK / 4];
    for (i64 r = 0; r < rows; r++) {
      dropout_factors(&dropout, r, words, first / 4, width, bits, factors);
      float *to = dtable + ids[r] * columns + first;
      const float *from = dout + r * columns + first;
      for (i64 c = 0; c < width; c++) to[c] += from[c] * factors[c] * scale;
    }
  }
  return 0;
}
