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

void keep_largest(const float *logits, i64 size, int32_t first_id, i64 count, float *values, int32_t *ids) {
  for (i64 i = 0; i < size; i++)
    if (logits[i] > values[count - 1]) insert(logits[i], first_id + (int32_t)i, count, values, ids);
}

void merge_largest(const float *other_values, const int32_t *other_ids, i64 count, float *values, int32_t *ids) {
  for (i64 i = 0; i < count && other_values[i] >= values[count - 1] && other_values[i] > -INFINITY; i++) {
    i64 place = count;
    for (; place > 0; place--)
      if (values[place - 1] > other_values[i] ||
          (values[place - 1] == other_values[i] && ids[place - 1] < other_ids[i]))
        break;
    if (place == count) continue;
    const i64 moved = count - 1 - place;
    memmove(values + place + 1, values + place, sizeof(float) * (size_t)moved);
    memmove(ids + place + 1, ids + place, sizeof(int32_t) * (size_t)moved);
    values[place] = other_values[i], ids[place] = other_ids[i];
  }
}

static void select_top(const float *logits, i64 vocabulary, i64 count, float *values, int32_t *ids) {
  for (i64 i = 0; i < count; i++) values[i] = -INFINITY, ids[i] = 0;
  for (i64 first = 0; first < vocabulary; first += BLOCK) {
    const i64 last = min_of(first + BLOCK, vocabulary);
    if (largest_of(logits + first, last - first) > values[count - 1])
      keep_largest(logits + first, last - first, (int32_t)first, count, values, ids);
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
