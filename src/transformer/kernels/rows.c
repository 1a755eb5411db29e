/* Layer norm, bias with dropout and residual sum, bias with ReLU and dropout: everything that works row by row on
   float32 matrices [rows, columns]. */
#include "common.h"

#include <math.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* Threads that a kernel uses; build.py asks to see that the library can be loaded. */
int kernel_threads(void) {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/* Scratch for one row: dropout factors and the bits they come from. */
typedef struct {
  float *factors;
  uint64_t *bits;
} Row;

static int make_row(Row *row, i64 columns) {
  row->factors = malloc(sizeof(float) * (size_t)columns);
  row->bits = malloc(sizeof(uint64_t) * (size_t)words_of(columns));
  return row->factors && row->bits;
}

static void free_row(Row *row) {
  free(row->factors);
  free(row->bits);
}

/* x, product [rows, columns], bias [columns], seed [2], site [1], probability [1] -> x + dropout(product + bias) */
KERNEL(residual_forward) {
  const float *x = IN(float, 0), *product = IN(float, 1), *bias = IN(float, 2);
  const Dropout dropout = make_dropout(IN(int32_t, 3), IN(int32_t, 4), IN(float, 5));
  float *out = OUT(float, 6);
  const i64 rows = shapes[0][0], columns = shapes[0][1], words = words_of(columns);
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    Row row;
    failed = !make_row(&row, columns);
#pragma omp for schedule(static)
    for (i64 r = 0; r < rows; r++) {
      if (failed) continue;
      dropout_factors(&dropout, r, words, 0, columns, row.bits, row.factors);
      const i64 at = r * columns;
      for (i64 c = 0; c < columns; c++) out[at + c] = x[at + c] + (product[at + c] + bias[c]) * row.factors[c];
    }
    free_row(&row);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* dout [rows, columns], seed, site, probability -> gradients of product and bias */
KERNEL(residual_backward) {
  const float *dout = IN(float, 0);
  const Dropout dropout = make_dropout(IN(int32_t, 1), IN(int32_t, 2), IN(float, 3));
  float *dproduct = OUT(float, 4), *dbias = OUT(float, 5);
  const i64 rows = shapes[0][0], columns = shapes[0][1], words = words_of(columns);
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    Row row;
    failed = !make_row(&row, columns);
#pragma omp for schedule(static)
    for (i64 r = 0; r < rows; r++) {
      if (failed) continue;
      dropout_factors(&dropout, r, words, 0, columns, row.bits, row.factors);
      const i64 at = r * columns;
      for (i64 c = 0; c < columns; c++) dproduct[at + c] = dout[at + c] * row.factors[c];
    }
    free_row(&row);
  }
  if (failed) return OUT_OF_MEMORY;
  column_sums(dproduct, rows, columns, dbias);
  return 0;
}

/* product [rows, columns], bias [columns], seed, site, probability -> dropout(relu(product + bias)) */
KERNEL(relu_forward) {
  const float *product = IN(float, 0), *bias = IN(float, 1);
  const Dropout dropout = make_dropout(IN(int32_t, 2), IN(int32_t, 3), IN(float, 4));
  float *out = OUT(float, 5);
  const i64 rows = shapes[0][0], columns = shapes[0][1], words = words_of(columns);
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    Row row;
    failed = !make_row(&row, columns);
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
    free_row(&row);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* dout, out [rows, columns], probability -> gradients of product and bias. An output above 0 was kept and positive. */
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

/* x [rows, columns], gamma, beta [columns], epsilon [1] -> y = (x - mean) * factor * gamma + beta, and mean and
   factor = 1 / sqrt(variance + epsilon) of each row [rows, 2] */
KERNEL(layer_norm_forward) {
  const float *x = IN(float, 0), *gamma = IN(float, 1), *beta = IN(float, 2);
  const float epsilon = IN(float, 3)[0];
  float *y = OUT(float, 4), *statistics = OUT(float, 5);
  const i64 rows = shapes[0][0], columns = shapes[0][1];
#pragma omp parallel for schedule(static)
  for (i64 r = 0; r < rows; r++) {
    const RowStatistics row = norm_row(x + r * columns, columns, epsilon, gamma, beta, y + r * columns);
    statistics[2 * r] = row.mean;
    statistics[2 * r + 1] = row.factor;
  }
  return 0;
}

/* dy, x [rows, columns], statistics [rows, 2], gamma [columns] -> gradients of x, gamma and beta.
   With n = (x - mean) * factor and g = dy * gamma: dx = factor * (g - mean(g) - n * mean(g * n)). */
KERNEL(layer_norm_backward) {
  const float *dy = IN(float, 0), *x = IN(float, 1), *statistics = IN(float, 2), *gamma = IN(float, 3);
  float *dx = OUT(float, 4), *dgamma = OUT(float, 5), *dbeta = OUT(float, 6);
  const i64 rows = shapes[0][0], columns = shapes[0][1];
#pragma omp parallel for schedule(static)
  for (i64 r = 0; r < rows; r++) {
    const i64 at = r * columns;
    const float mean = statistics[2 * r], factor = statistics[2 * r + 1];
    float sum = 0.0f, product = 0.0f;
#pragma omp simd reduction(+ : sum, product)
    for (i64 c = 0; c < columns; c++) {
      const float g = dy[at + c] * gamma[c];
      sum += g;
      product += g * (x[at + c] - mean) * factor;
    }
    sum /= (float)columns;
    product /= (float)columns;
    for (i64 c = 0; c < columns; c++)
      dx[at + c] = factor * (dy[at + c] * gamma[c] - sum - (x[at + c] - mean) * factor * product);
  }
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < columns; first += 4 * PIECE) {
    const i64 last = min_of(first + 4 * PIECE, columns);
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

enum { CHUNK = 1 << 14 }; /* numbers that are summed one after another; the rest does not depend on the threads */

/* x of any shape -> sum of its squares [1] */
KERNEL(sum_of_squares) {
  const float *x = IN(float, 0);
  i64 size = 1;
  for (int d = 0; d < ndims[0]; d++) size *= shapes[0][d];
  const i64 chunks = (size + CHUNK - 1) / CHUNK;
  double *sums = malloc(sizeof(double) * (size_t)(chunks + 1));
  if (!sums) return OUT_OF_MEMORY;
#pragma omp parallel for schedule(static)
  for (i64 chunk = 0; chunk < chunks; chunk++) {
    const i64 first = chunk * CHUNK, last = min_of(first + CHUNK, size);
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (i64 i = first; i < last; i++) sum += x[i] * x[i];
    sums[chunk] = sum;
  }
  double total = 0.0;
  for (i64 chunk = 0; chunk < chunks; chunk++) total += sums[chunk];
  OUT(float, 1)[0] = (float)total;
  free(sums);
  return 0;
}
