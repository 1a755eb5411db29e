/* ReLU with the bias before it and the dropout after it:

     out = dropout(max(product + bias, 0))

   An output above 0 was kept by the dropout and is positive before it, so the gradients need no mask:

     dproduct = dout / (1 - probability) where out > 0, else 0; dbias = sum over rows of dproduct */
#include "column_sums.h"
#include "dropout.h"
#include "kernel.h"

/* product [rows, columns], bias [columns], seed [2], site [1], probability [1] -> out [rows, columns] */
KERNEL(relu_forward) {
  const float *product = IN(float, 0), *bias = IN(float, 1);
  const Dropout dropout = make_dropout(IN(int32_t, 2), IN(int32_t, 3), IN(float, 4));
  float *out = OUT(float, 5);
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
      for (i64 c = 0; c < columns; c++) {
        const float sum = product[at + c] + bias[c];
        out[at + c] = (sum < 0.0f ? 0.0f : sum) * row.factors[c];
      }
    }
    free_dropout_row(&row);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* dout, out [rows, columns], probability [1] -> dproduct [rows, columns], dbias [columns] */
KERNEL(relu_backward) {
  const float *dout = IN(float, 0), *out = IN(float, 1);
  const int32_t none[2] = {0, 0};
  const float scale = make_dropout(none, none, IN(float, 2)).scale;
  float *dproduct = OUT(float, 3), *dbias = OUT(float, 4);
  const i64 rows = shapes[0][0], columns = shapes[0][1];
#pragma omp parallel for schedule(static)
  for (i64 i = 0; i < rows * columns; i++) dproduct[i] = out[i] > 0.0f ? dout[i] * scale : 0.0f;
  column_sums(dproduct, rows, columns, dbias);
  return 0;
}
