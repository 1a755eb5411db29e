/* The update of Adam (Kingma and Ba, 2015) in the form at the end of section 2, for all weights of a network in one pass
   over memory. With g = factor * gradient,

     mean = beta1 mean + (1 - beta1) g
     variance = beta2 variance + (1 - beta2) g^2
     weight = weight - rate sqrt(1 - beta2^step) / (1 - beta1^step) mean / (sqrt(variance) + epsilon) */
#include "kernel.h"

#include <math.h>

enum { CHUNK = 1 << 14 }; /* numbers that one thread updates at a time */

typedef struct {
  float beta1, beta2, epsilon, rate, factor;
} Adam;

static void update(const Adam *a, i64 count, float *restrict weight, float *restrict mean, float *restrict variance,
                   const float *restrict gradient) {
  for (i64 i = 0; i < count; i++) {
    const float g = gradient[i] * a->factor;
    mean[i] = a->beta1 * mean[i] + (1.0f - a->beta1) * g;
    variance[i] = a->beta2 * variance[i] + (1.0f - a->beta2) * (g * g);
    weight[i] -= a->rate * mean[i] / (sqrtf(variance[i]) + a->epsilon);
  }
}

/* n weights, n means and n variances, which are updated in place, n gradients, {beta1, beta2, epsilon} [3],
   beta1^step [], beta2^step [], rate [], factor [] -> factor [1] */
KERNEL(adam) {
  const int n = (count - 6) / 4;
  const float *constants = IN(float, 4 * n), beta1_power = IN(float, 4 * n + 1)[0];
  const float beta2_power = IN(float, 4 * n + 2)[0], rate = IN(float, 4 * n + 3)[0], factor = IN(float, 4 * n + 4)[0];
  const Adam a = {constants[0], constants[1], constants[2], rate * sqrtf(1.0f - beta2_power) / (1.0f - beta1_power),
                  factor};
#pragma omp parallel
  for (int t = 0; t < n; t++) {
    i64 size = 1;
    for (int d = 0; d < ndims[t]; d++) size *= shapes[t][d];
#pragma omp for schedule(static) nowait
    for (i64 first = 0; first < size; first += CHUNK)
      update(&a, min_of(CHUNK, size - first), OUT(float, t) + first, OUT(float, n + t) + first,
             OUT(float, 2 * n + t) + first, IN(float, 3 * n + t) + first);
  }
  OUT(float, count - 1)[0] = factor;
  return 0;
}
