#include "cached_attention.h"

#include "fast_exp.h"
#include "small_matmul.h"

#include <math.h>

enum { TOGETHER = 8 }; /* queries that are multiplied with the same keys at once */

static i64 head_size(const Network *n) { return n->hidden / n->heads; }

/* floats of the keys or the values of a head */
static i64 half_size(const Network *n, i64 columns) { return round_up(head_size(n), WIDTH) * columns; }

int make_scratch(const Network *n, i64 longest, Scratch *s) {
  const i64 columns = round_up(longest, WIDTH), half = half_size(n, columns);
  s->entries = malloc(sizeof(float *) * (size_t)(longest + 1));
  s->weights = malloc(sizeof(float) * (size_t)(TOGETHER * (columns + round_up(head_size(n), WIDTH)) + 2 * half + 1));
  if (!s->entries || !s->weights) return 0;
  s->context = s->weights + TOGETHER * columns;
  s->keys_values = s->context + TOGETHER * round_up(head_size(n), WIDTH);
  return 1;
}

void free_scratch(Scratch *s) {
  free(s->entries);
  free(s->weights);
}

/* The sum of the values, which stand `distance` floats after the keys' beginnings -> out [size]. */
static void add_values(const Scratch *s, i64 count, i64 distance, i64 size, float *out) {
  i64 c = 0;
  for (; c + 2 * WIDTH <= size; c += 2 * WIDTH) {
    vector first = {0}, second = {0};
    for (i64 j = 0; j < count; j++) {
      const float *value = s->entries[j] + distance + c;
      first += *(const vector *)value * s->weights[j];
      second += *(const vector *)(value + WIDTH) * s->weights[j];
    }
    *(vector *)(out + c) = first;
    *(vector *)(out + c + WIDTH) = second;
  }
  for (i64 i = c; i < size; i++) out[i] = 0.0f;
  for (i64 j = 0; j < count; j++)
    for (i64 i = c; i < size; i++) out[i] += s->weights[j] * s->entries[j][distance + i];
}

/* The factor of the scores, 1 / sqrt(head size) (Vaswani et al., 2017, 3.2.1). */
static float score_scale(i64 size) {
  return 1.0f / sqrtf((float)size);
}

void attend(const Network *n, i64 head, const float *query, Scratch *s, i64 count, float *out) {
  const i64 size = n->hidden / n->heads, offset = head * size;
  const float scale = score_scale(size);
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
  for (i64 j = 0; j < count; j++) weights[j] /= sum;
  add_values(s, count, n->hidden + offset, size, out + offset);
}

static KeysValues keys_in(const Network *n, i64 count, i64 columns, float *memory) {
  return (KeysValues){count, columns, round_up(head_size(n), WIDTH), memory, memory + half_size(n, columns)};
}

/* The room for a sentence ends where that of the next one begins. */
static i64 columns_of(const Source *source, i64 sentence) {
  return source->places[sentence + 1] - source->places[sentence];
}

KeysValues place_keys(const Network *n, const Source *source, i64 sentence, i64 head, float *of_layer) {
  const i64 columns = columns_of(source, sentence);
  float *own = of_layer + 2 * half_size(n, source->places[sentence]) * n->heads + 2 * half_size(n, columns) * head;
  return keys_in(n, source->unmasked[sentence], columns, own);
}

KeysValues place_scratch_keys(const Network *n, const Source *source, i64 sentence, Scratch *s) {
  return keys_in(n, source->unmasked[sentence], columns_of(source, sentence), s->keys_values);
}

i64 layer_keys_values(const Network *n, const Source *source) {
  return 2 * half_size(n, source->places[source->batch]) * n->heads;
}

/* For Python: the room for the keys of a sentence is a multiple of this number of them. */
i64 key_columns(void) { return WIDTH; }

/* For Python: the floats of source->keys_values. */
i64 keys_values_size(const Network *n, const Source *source) {
  return n->decoder_layers * layer_keys_values(n, source);
}

void collect_keys(const Network *n, const Source *source, i64 sentence, i64 head, const float *rows, i64 columns,
                  KeysValues *to) {
  const i64 size = head_size(n);
  i64 place = 0;
  memset(to->keys, 0, sizeof(float) * (size_t)(size * to->columns));
  for (i64 i = source->starts[sentence]; i < source->starts[sentence + 1]; i++) {
    if (!source->mask[i]) continue;
    const float *key = rows + i * columns + head * size, *value = key + n->hidden;
    for (i64 c = 0; c < size; c++) to->keys[c * to->columns + place] = key[c];
    for (i64 c = 0; c < to->size; c++) to->values[place * to->size + c] = c < size ? value[c] : 0.0f;
    place++;
  }
}

/* scores [count] -> softmax(scale * scores) */
static void softmax(float *scores, i64 count, float scale) {
  float largest = -INFINITY, sum = 0.0f;
#pragma omp simd reduction(max : largest)
  for (i64 j = 0; j < count; j++) largest = scores[j] > largest ? scores[j] : largest;
#pragma omp simd reduction(+ : sum)
  for (i64 j = 0; j < count; j++) {
    scores[j] = fast_exp((scores[j] - largest) * scale);
    sum += scores[j];
  }
  const float factor = 1.0f / sum;
  for (i64 j = 0; j < count; j++) scores[j] *= factor;
}

/* Add the weights of one query, for tokens that are not masked, to `attention`, which has a column for each token. */
static void add_weights(const Source *source, i64 sentence, const float *weights, i64 heads, float *attention) {
  for (i64 i = source->starts[sentence], j = 0; i < source->starts[sentence + 1]; i++)
    if (source->mask[i]) attention[i - source->starts[sentence]] += weights[j++] / (float)heads;
}

void attend_together(const Network *n, const Source *source, i64 sentence, i64 head, const KeysValues *from,
                     const float *queries, i64 columns, i64 count, Scratch *s, float *out, float *attention) {
  const i64 size = head_size(n), offset = head * size;
  const float scale = score_scale(size);
  for (i64 first = 0; first < count; first += TOGETHER) {
    const i64 rows = min_of(TOGETHER, count - first);
    small_matmul(rows, from->columns, size, queries + first * columns + offset, columns, 1, from->keys, from->columns,
                 s->weights, from->columns);
    for (i64 r = 0; r < rows; r++) softmax(s->weights + r * from->columns, from->count, scale);
    small_matmul(rows, from->size, from->count, s->weights, from->columns, 1, from->values, from->size, s->context,
                 from->size);
    for (i64 r = 0; r < rows; r++) {
      memcpy(out + (first + r) * n->hidden + offset, s->context + r * from->size, sizeof(float) * (size_t)size);
      if (attention)
        add_weights(source, sentence, s->weights + r * from->columns, n->heads,
                    attention + (first + r) * source->longest);
    }
  }
}
