#include "top_k.h"

#include "fast_exp.h"

#include <math.h>

enum { BLOCK = 128 }; /* logits that are skipped together if the largest of them is too small */

static float largest_of(const float *x, i64 count) {
  float largest = -INFINITY;
#pragma omp simd reduction(max : largest)
  for (i64 i = 0; i < count; i++) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

/* Insert a token into `count` tokens in descending order; the last one is dropped. */
static void insert(float value, int32_t id, i64 count, float *values, int32_t *ids) {
  i64 place = count - 1;
  for (; place > 0 && values[place - 1] < value; place--) {
    values[place] = values[place - 1];
    ids[place] = ids[place - 1];
  }
  values[place] = value;
  ids[place] = id;
}

static void select_top(const float *logits, i64 vocabulary, i64 count, float *values, int32_t *ids) {
  for (i64 i = 0; i < count; i++) values[i] = -INFINITY, ids[i] = 0;
  for (i64 first = 0; first < vocabulary; first += BLOCK) {
    const i64 last = min_of(first + BLOCK, vocabulary);
    if (!(largest_of(logits + first, last - first) > values[count - 1])) continue;
    for (i64 s = first; s < last; s++)
      if (logits[s] > values[count - 1]) insert(logits[s], (int32_t)s, count, values, ids);
  }
}

float top_k(const float *logits, i64 vocabulary, i64 count, float *log_probs, int32_t *ids) {
  if (count < vocabulary) {
    select_top(logits, vocabulary, count, log_probs, ids);
  } else {
    for (i64 s = 0; s < vocabulary; s++) log_probs[s] = logits[s], ids[s] = (int32_t)s;
  }
  const float largest = count < vocabulary ? log_probs[0] : largest_of(logits, vocabulary);
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (i64 s = 0; s < vocabulary; s++) sum += fast_exp(logits[s] - largest);
  const float log_sum = largest + logf(sum);
  for (i64 i = 0; i < count; i++) log_probs[i] -= log_sum;
  return log_sum;
}
