/* Products of whole matrices, on all threads. */
#ifndef MASS_MATMUL_H
#define MASS_MATMUL_H

#include "common.h"

/* A matrix as a factor of a product: `columns` numbers lie between the beginnings of its rows in memory. */
typedef struct {
  const void *data; /* float32 or, if rounded, bfloat16 */
  i64 columns;
  char transposed; /* 'T' if the transpose is the factor, else 'N' */
  int rounded;
} Factor;

/* c [m, n] = a [m, k] b [k, n] + beta c, where `columns` floats lie between the beginnings of the rows of c. Both
   factors have the same number format; sums and c are float32. Returns 0 on success. */
int parallel_matmul(i64 m, i64 n, i64 k, Factor a, Factor b, float beta, float *c, i64 columns);

#endif
