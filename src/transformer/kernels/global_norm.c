/* The sum of the squares of all numbers of some tensors: the square of the global norm of the gradients. */
#include "kernel.h"

/* Numbers that are added one after another by one thread. The partition does not depend on the number of threads, so
   the sum does not either. */
enum { CHUNK = 1 << 14 };

static i64 size_of(int ndims, const int64_t *shape) {
  i64 size = 1;
  for (int d = 0; d < ndims; d++) size *= shape[d];
  return size;
}

static i64 chunks_of(i64 size) { return (size + CHUNK - 1) / CHUNK; }

static float chunk_sum(const float *x, i64 count) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (i64 i = 0; i < count; i++) sum += x[i] * x[i];
  return sum;
}

/* Tensors of any shapes -> sum of their squares [1] */
KERNEL(sum_of_squares) {
  i64 chunks = 0;
  for (int t = 0; t < count - 1; t++) chunks += chunks_of(size_of(ndims[t], shapes[t]));
  double *sums = malloc(sizeof(double) * (size_t)(chunks + 1));
  if (!sums) return OUT_OF_MEMORY;
#pragma omp parallel
  {
    double *of_tensor = sums;
    for (int t = 0; t < count - 1; t++) {
      const i64 size = size_of(ndims[t], shapes[t]), number = chunks_of(size);
#pragma omp for schedule(static) nowait
      for (i64 chunk = 0; chunk < number; chunk++)
        of_tensor[chunk] = chunk_sum(IN(float, t) + chunk * CHUNK, min_of(CHUNK, size - chunk * CHUNK));
      of_tensor += number;
    }
  }
  double total = 0.0;
  for (i64 chunk = 0; chunk < chunks; chunk++) total += sums[chunk];
  OUT(float, count - 1)[0] = (float)total;
  free(sums);
  return 0;
}
