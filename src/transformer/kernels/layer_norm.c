/* Layer norm of the rows of a matrix (Ba et al., 2016):

     n = (x - mean) * factor, factor = 1 / sqrt(variance + epsilon)
     y = n * gamma + beta

   with mean and variance of each row. With g = dy * gamma, the gradients are

     dx = factor * (g - mean(g) - n * mean(g * n)), dgamma = sum over rows of dy * n, dbeta = sum over rows of dy */
#include "bfloat16.h"
#include "column_sums.h"
#include "kernel.h"
#include "layer_norm.h"

/* x [rows, columns], gamma, beta [columns], epsilon [1] -> y [rows, columns] float32 or bfloat16, mean and factor of
   each row [rows, 2] */
KERNEL(layer_norm_forward) {
  const float *x = IN(float, 0), *gamma = IN(float, 1), *beta = IN(float, 2);
  const float epsilon = IN(float, 3)[0];
  float *statistics = OUT(float, 5);
  const i64 rows = shapes[0][0], columns = shapes[0][1];
  const int rounded = is_bfloat16(dtypes[4]);
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    float *scratch = malloc(sizeof(float) * (size_t)columns);
    failed = !scratch;
#pragma omp for schedule(static)
    for (i64 r = 0; r < rows; r++) {
      if (failed) continue;
      float *y = row_for(params[4], rounded, r * columns, scratch);
      const RowStatistics row = layer_norm_row(x + r * columns, columns, epsilon, gamma, beta, y);
      put_row(params[4], rounded, r * columns, y, columns);
      statistics[2 * r] = row.mean;
      statistics[2 * r + 1] = row.factor;
    }
    free(scratch);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* dy, x [rows, columns], mean and factor of each row [rows, 2], gamma [columns] ->
   dx [rows, columns], dgamma [columns], dbeta [columns] */
KERNEL(layer_norm_backward) {
  const float *dy = IN(float, 0), *x = IN(float, 1), *statistics = IN(float, 2), *gamma = IN(float, 3);
  float *dx = OUT(float, 4), *dgamma = OUT(float, 5), *dbeta = OUT(float, 6);
  const i64 rows = shapes[0][0], columns = shapes[0][1];
#pragma omp parallel for schedule(static)
  for (i64 r = 0; r < rows; r++) {
    const i64 at = r * columns;
    const float mean = statistics[2 * r], factor = statistics[2 * r + 1];
    float mean_g = 0.0f, mean_gn = 0.0f;
#pragma omp simd reduction(+ : mean_g, mean_gn)
    for (i64 c = 0; c < columns; c++) {
      const float g = dy[at + c] * gamma[c];
      mean_g += g;
      mean_gn += g * (x[at + c] - mean) * factor;
    }
    mean_g /= (float)columns;
    mean_gn /= (float)columns;
    for (i64 c = 0; c < columns; c++)
      dx[at + c] = factor * (dy[at + c] * gamma[c] - mean_g - (x[at + c] - mean) * factor * mean_gn);
  }
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < columns; first += COLUMN_BLOCK) {
    const i64 last = min_of(first + COLUMN_BLOCK, columns);
    for (i64 c = first; c < last; c++) dgamma[c] = dbeta[c] = 0.0f;
    for (i64 r = 0; r < rows; r++) {
      const float mean = statistics[2 * r], factor = statistics[2 * r + 1];
      for (i64 c = first; c < last; c++) {
        dgamma[c] += dy[r * columns + c] * (x[r * columns + c] - mean) * factor;
        dbeta[c] += dy[r * columns + c];
      }
    }
  }
  return 0;
}
