/* The residual connection with the bias and the dropout of its branch:

     out = x + dropout(product + bias)

   The gradient of x is dout itself. With the dropout factors f (0 or 1 / (1 - probability)), the other gradients are

     dproduct = dout * f, dbias = sum over rows of dproduct */
#include "bfloat16.h"
#include "column_sums.h"
#include "dropout.h"
#include "kernel.h"

/* x, product [rows, columns], bias [columns], seed [2], site [1], probability [1] -> out [rows, columns] */
KERNEL(residual_forward) {
  const float *x = IN(float, 0), *product = IN(float, 1), *bias = IN(float, 2);
  const Dropout dropout = make_dropout(IN(int32_t, 3), IN(int32_t, 4), IN(float, 5));
  float *out = OUT(float, 6);
  const i64 rows = shapes[0][0], columns = shapes[0][1], words = words_of(columns);
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    DropoutRow row;
    failed = !make_dropout_row(&row, columns);
#pragma omp for schedule(static)
    for (i64 r = 0; r < rows; r++) {
      if (failed) continue;
      dropout_factors(&dropout, r, words, 0, columns, row.bits, row.factors);
      const i64 at = r * columns;
      for (i64 c = 0; c < columns; c++) out[at + c] = x[at + c] + (product[at + c] + bias[c]) * row.factors[c];
    }
    free_dropout_row(&row);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* dout [rows, columns], seed [2], site [1], probability [1] -> dproduct [rows, columns] float32 or bfloat16,
   dbias [columns] */
KERNEL(residual_backward) {
  const float *dout = IN(float, 0);
  const Dropout dropout = make_dropout(IN(int32_t, 1), IN(int32_t, 2), IN(float, 3));
  float *dbias = OUT(float, 5);
  const i64 rows = shapes[0][0], columns = shapes[0][1], words = words_of(columns);
  const int rounded = is_bfloat16(dtypes[4]);
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < columns; first += COLUMN_BLOCK) {
    const i64 width = min_of(COLUMN_BLOCK, columns - first);
    float sums[COLUMN_BLOCK] = {0.0f}, factors[COLUMN_BLOCK], scratch[COLUMN_BLOCK];
    uint64_t bits[COLUMN_BLOCK / 4];
    for (i64 r = 0; r < rows; r++) {
      const i64 at = r * columns + first;
      dropout_factors(&dropout, r, words, first / 4, width, bits, factors);
      float *to = row_for(params[4], rounded, at, scratch);
      for (i64 c = 0; c < width; c++) to[c] = dout[at + c] * factors[c];
      for (i64 c = 0; c < width; c++) sums[c] += to[c];
      put_row(params[4], rounded, at, to, width);
    }
    memcpy(dbias + first, sums, sizeof(float) * (size_t)width);
  }
  return 0;
}
