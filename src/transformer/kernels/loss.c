/* Label-smoothed cross-entropy of rows of logits (Szegedy et al., 2016). */
#include "common.h"

#include <math.h>

/* logits [rows, symbols], labels [rows] (0: not predicted), weights [2]: of the target and of each other symbol ->
   for each row: the smoothed loss, the negative log-likelihood, and the log-sum-exp of the logits; 0 where not predicted.
   With weights t + o on the target z_y and o on each other z: loss = lse - t z_y - o sum(z). */
KERNEL(loss_forward) {
  const float *logits = IN(float, 0), *weights = IN(float, 2);
  const int32_t *labels = IN(int32_t, 1);
  float *loss = OUT(float, 3), *nll = OUT(float, 4), *log_sum = OUT(float, 5);
  const i64 rows = shapes[0][0], symbols = shapes[0][1];
  if (!all_below(labels, rows, symbols, "label")) return OUT_OF_RANGE;
#pragma omp parallel for schedule(static, 4)
  for (i64 r = 0; r < rows; r++) {
    loss[r] = nll[r] = log_sum[r] = 0.0f;
    if (labels[r] == 0) continue;
    const float *z = logits + r * symbols;
    float largest = z[0], sum = 0.0f, exponentials = 0.0f;
#pragma omp simd reduction(max : largest) reduction(+ : sum)
    for (i64 s = 0; s < symbols; s++) {
      largest = z[s] > largest ? z[s] : largest;
      sum += z[s];
    }
#pragma omp simd reduction(+ : exponentials)
    for (i64 s = 0; s < symbols; s++) exponentials += fast_exp(z[s] - largest);
    const float lse = largest + logf(exponentials), target = z[labels[r]];
    log_sum[r] = lse;
    nll[r] = lse - target;
    loss[r] = lse - weights[0] * target - weights[1] * sum;
  }
  return 0;
}

/* gradient of the rows' losses [rows], logits, labels, weights, log-sum-exp [rows] -> gradient of the logits */
KERNEL(loss_backward) {
  const float *dloss = IN(float, 0), *logits = IN(float, 1), *weights = IN(float, 3), *log_sum = IN(float, 4);
  const int32_t *labels = IN(int32_t, 2);
  float *dlogits = OUT(float, 5);
  const i64 rows = shapes[1][0], symbols = shapes[1][1];
#pragma omp parallel for schedule(static, 4)
  for (i64 r = 0; r < rows; r++) {
    const float *z = logits + r * symbols;
    float *to = dlogits + r * symbols;
    if (labels[r] == 0) {
      memset(to, 0, sizeof(float) * (size_t)symbols);
      continue;
    }
    const float g = dloss[r], lse = log_sum[r], other = weights[1];
    for (i64 s = 0; s < symbols; s++) to[s] = g * (fast_exp(z[s] - lse) - other);
    to[labels[r]] -= g * weights[0];
  }
  return 0;
}
