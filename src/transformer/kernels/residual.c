/* The residual connection with the bias and the dropout of its branch:

     out = x + dropout(product + bias)

   The gradient of x is dout itself. With the dropout factors f (0 or 1 / (1 - probability)), the other gradients are

     dproduct = dout * f, dbias = sum over rows of dproduct */
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

/* dout [rows, columns], seed [2], site [1], probability [1] -> dproduct [rows, columns], dbias [columns] */
KERNEL(residual_backward) {
  const float *dout = IN(float, 0);
  const Dropout dropout = make_dropout(IN(int32_t, 1), IN(int32_t, 2), IN(float, 3));
  float *dproduct = OUT(float, 4), *dbias = OUT(float, 5);
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
      for (i64 c = 0; c < columns; c++) dproduct[at + c] = dout[at + c] * row.factors[c];
    }
    free_dropout_row(&row);
  }
  if (failed) return OUT_OF_MEMORY;
  column_sums(dproduct, rows, columns, dbias);
  return 0;
}
