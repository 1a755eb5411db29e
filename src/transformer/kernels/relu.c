/* ReLU with the bias before it and the dropout after it:

     out = dropout(max(product + bias, 0))

   An output above 0 was kept by the dropout and is positive before it, so the gradients need no mask:

     dproduct = dout / (1 - probability) where out > 0, else 0; dbias = sum over rows of dproduct */
#include "bfloat16.h"
#include "column_sums.h"
#include "dropout.h"
#include "kernel.h"

static inline float relu(float x) { return x < 0.0f ? 0.0f : x; } /* NaN stays NaN */

/* product [rows, columns], bias [columns], seed [2], site [1], probability [1] -> out [rows, columns] float32 or
   bfloat16 */
KERNEL(relu_forward) {
  const float *product = IN(float, 0), *bias = IN(float, 1);
  const Dropout dropout = make_dropout(IN(int32_t, 2), IN(int32_t, 3), IN(float, 4));
  const i64 rows = shapes[0][0], columns = shapes[0][1], words = words_of(columns);
  const int rounded = is_bfloat16(dtypes[5]);
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
      const float *factors = row.factors;
      float *wide = OUT(float, 5) + at;
      bfloat16 *narrow = OUT(bfloat16, 5) + at;
      if (rounded)
        for (i64 c = 0; c < columns; c++) narrow[c] = round_float(relu(product[at + c] + bias[c]) * factors[c]);
      else
        for (i64 c = 0; c < columns; c++) wide[c] = relu(product[at + c] + bias[c]) * factors[c];
    }
    free_dropout_row(&row);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* A row of gradients: to = from * scale where out > 0, else 0. */
static inline void relu_gradient(const float *from, const float *out, float scale, i64 count, float *to) {
  for (i64 c = 0; c < count; c++) to[c] = out[c] > 0.0f ? from[c] * scale : 0.0f;
}

/* dout [rows, columns], out [rows, columns] float32 or bfloat16, probability [1] -> dproduct of the type of out,
   dbias [columns] */
KERNEL(relu_backward) {
  const float *dout = IN(float, 0);
  const int32_t none[2] = {0, 0};
  const float scale = make_dropout(none, none, IN(float, 2)).scale;
  float *dbias = OUT(float, 4);
  const i64 rows = shapes[0][0], columns = shapes[0][1];
  const int rounded = is_bfloat16(dtypes[1]);
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < columns; first += COLUMN_BLOCK) {
    const i64 width = min_of(COLUMN_BLOCK, columns - first);
    float sums[COLUMN_BLOCK] = {0.0f}, wide[COLUMN_BLOCK], scratch[COLUMN_BLOCK];
    for (i64 r = 0; r < rows; r++) {
      const i64 at = r * columns + first;
      if (rounded) widen_all(IN(bfloat16, 1) + at, width, wide);
      float *to = row_for(params[3], rounded, at, scratch);
      relu_gradient(dout + at, rounded ? wide : IN(float, 1) + at, scale, width, to);
      for (i64 c = 0; c < width; c++) sums[c] += to[c];
      put_row(params[3], rounded, at, to, width);
    }
    memcpy(dbias + first, sums, sizeof(float) * (size_t)width);
  }
  return 0;
}
