/* Label-smoothed cross-entropy of the rows of logits (Szegedy et al., 2016). For the logits z of a row, its label y and
   lse(z) = log(sum(exp(z))),

     loss = lse(z) - target_weight * z_y - other_weight * sum(z)
     nll = lse(z) - z_y
     dz = dloss * (exp(z - lse(z)) - other_weight - target_weight * [at y])

   where the smoothed distribution has target_weight + other_weight at y and other_weight elsewhere. Rows with the label
   0 (<pad>) are not predicted: loss, nll and gradient are 0. */
#include "fast_exp.h"
#include "kernel.h"

#include <math.h>

/* logits [rows, vocab_size], labels [rows], target_weight and other_weight [2] ->
   loss [rows], nll [rows], lse(z) [rows], all of them 0 where the label is 0 */
KERNEL(loss_forward) {
  const float *logits = IN(float, 0), *weights = IN(float, 2);
  const int32_t *labels = IN(int32_t, 1);
  float *loss = OUT(float, 3), *nll = OUT(float, 4), *log_sum = OUT(float, 5);
  const i64 rows = shapes[0][0], vocab_size = shapes[0][1];
  if (!all_below(labels, rows, vocab_size, "label")) return OUT_OF_RANGE;
#pragma omp parallel for schedule(static, 4)
  for (i64 r = 0; r < rows; r++) {
    loss[r] = nll[r] = log_sum[r] = 0.0f;
    if (labels[r] == 0) continue;
    const float *z = logits + r * vocab_size;
    float largest = z[0], sum = 0.0f, exponentials = 0.0f;
#pragma omp simd reduction(max : largest) reduction(+ : sum)
    for (i64 t = 0; t < vocab_size; t++) {
      largest = z[t] > largest ? z[t] : largest;
      sum += z[t];
    }
#pragma omp simd reduction(+ : exponentials)
    for (i64 t = 0; t < vocab_size; t++) exponentials += fast_exp(z[t] - largest);
    const float lse = largest + logf(exponentials), target = z[labels[r]];
    log_sum[r] = lse;
    nll[r] = lse - target;
    loss[r] = lse - weights[0] * target - weights[1] * sum;
  }
  return 0;
}

/* dloss [rows], logits [rows, vocab_size], labels [rows], target_weight and other_weight [2], lse(z) [rows] ->
   dlogits [rows, vocab_size] */
KERNEL(loss_backward) {
  const float *dloss = IN(float, 0), *logits = IN(float, 1), *weights = IN(float, 3), *log_sum = IN(float, 4);
  const int32_t *labels = IN(int32_t, 2);
  float *dlogits = OUT(float, 5);
  const i64 rows = shapes[1][0], vocab_size = shapes[1][1];
#pragma omp parallel for schedule(static, 4)
  for (i64 r = 0; r < rows; r++) {
    const float *z = logits + r * vocab_size;
    float *dz = dlogits + r * vocab_size;
    if (labels[r] == 0) {
      memset(dz, 0, sizeof(float) * (size_t)vocab_size);
      continue;
    }
    const float g = dloss[r], lse = log_sum[r], other = weights[1];
    for (i64 t = 0; t < vocab_size; t++) dz[t] = g * (fast_exp(z[t] - lse) - other);
    dz[labels[r]] -= g * weights[0];
  }
  return 0;
}
