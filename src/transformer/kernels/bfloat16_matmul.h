/* Products of whole bfloat16 matrices with float32 sums, on all threads. */
#ifndef MASS_BFLOAT16_MATMUL_H
#define MASS_BFLOAT16_MATMUL_H

#include "bfloat16.h"

/* A matrix as a factor of a product: `columns` numbers lie between the beginnings of its rows in memory. */
typedef struct {
  const bfloat16 *data;
  i64 columns;
  char transposed; /* 'T' if the transpose is the factor, else 'N' */
} RoundedFactor;

/* c [m, n] = a [m, k] b [k, n] + beta c, where `columns` floats lie between the beginnings of the rows of c. Returns 0
   on success. */
int parallel_bfloat16_matmul(i64 m, i64 n, i64 k, RoundedFactor a, RoundedFactor b, float beta, float *c, i64 columns);

/* to = from, rounded, on all threads. */
void parallel_round(const float *from, i64 count, bfloat16 *to);

#endif
