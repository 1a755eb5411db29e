/* Layer norm of one row (Ba et al., 2016), for training and search. */
#ifndef MASS_LAYER_NORM_H
#define MASS_LAYER_NORM_H

#include "common.h"

#include <math.h>

typedef struct {
  float mean, factor; /* factor = 1 / sqrt(variance + epsilon) */
} RowStatistics;

/* x, gamma, beta [columns] -> y [columns], y = (x - mean) * factor * gamma + beta; returns mean and factor. */
static inline RowStatistics layer_norm_row(const float *x, i64 columns, float epsilon, const float *gamma,
                                           const float *beta, float *y) {
  float sum = 0.0f, squares = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (i64 c = 0; c < columns; c++) sum += x[c];
  const float mean = sum / (float)columns;
#pragma omp simd reduction(+ : squares)
  for (i64 c = 0; c < columns; c++) squares += (x[c] - mean) * (x[c] - mean);
  const float factor = 1.0f / sqrtf(squares / (float)columns + epsilon);
  for (i64 c = 0; c < columns; c++) y[c] = (x[c] - mean) * factor * gamma[c] + beta[c];
  return (RowStatistics){mean, factor};
}

#endif
