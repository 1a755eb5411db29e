/* The sum of the squares of a tensor, of which the global norm of all gradients is made. */
#include "kernel.h"

/* Numbers that are added one after another by one thread. The partition does not depend on the number of threads, so
   the sum does not either. */
enum { CHUNK = 1 << 14 };

/* x of any shape -> sum of x^2 [1] */
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
