#include "cached_attention.h"

#include "fast_exp.h"

#include <math.h>

int make_scratch(Scratch *s, i64 longest) {
  s->entries = malloc(sizeof(float *) * (size_t)(longest + 1));
  s->weights = malloc(sizeof(float) * (size_t)(longest + 1));
  return s->entries && s->weights;
}

void free_scratch(Scratch *s) {
  free(s->entries);
  free(s->weights);
}

void attend(const Network *n, i64 head, const float *query, Scratch *s, i64 count, float *out) {
  const i64 size = n->hidden / n->heads, offset = head * size;
  const float scale = 1.0f / sqrtf((float)size);
  float *weights = s->weights, largest = -INFINITY, sum = 0.0f;
  for (i64 j = 0; j < count; j++) {
    const float *key = s->entries[j] + offset;
    float score = 0.0f;
#pragma omp simd reduction(+ : score)
    for (i64 c = 0; c < size; c++) score += query[offset + c] * key[c];
    weights[j] = score * scale;
    largest = weights[j] > largest ? weights[j] : largest;
  }
  for (i64 j = 0; j < count; j++) weights[j] = fast_exp(weights[j] - largest);
  for (i64 j = 0; j < count; j++) sum += weights[j];
  for (i64 c = 0; c < size; c++) out[offset + c] = 0.0f;
  for (i64 j = 0; j < count; j++) {
    weights[j] /= sum;
    const float *value = s->entries[j] + n->hidden + offset, weight = weights[j];
    for (i64 c = 0; c < size; c++) out[offset + c] += weight * value[c];
  }
}

i64 enter_unmasked(const Source *source, i64 sentence, const float *rows, i64 columns, Scratch *s) {
  i64 count = 0;
  for (i64 i = source->starts[sentence]; i < source->starts[sentence + 1]; i++)
    if (source->mask[i]) s->entries[count++] = rows + i * columns;
  return count;
}
