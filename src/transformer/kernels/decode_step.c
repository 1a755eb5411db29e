/* The network as the search runs it: the encoder once, then single steps of the decoder with keys and values cached.
   Python calls these functions by ctypes (src/transformer/decoding/c_steps.py, which has the same structures); no graph is
   compiled, and no shape is fixed. All matrices are float32 and flat, [rows, columns]. */
#include "fast_exp.h"
#include "layer_norm.h"
#include "packed_matmul.h"
#include "top_k.h"

#include <math.h>

enum { NOT_FINITE = 4 };

typedef struct {
  const float *gamma, *beta;
} Norm;

/* A layer of the encoder (without cross_...) or of the decoder. */
typedef struct {
  Norm attention_norm, cross_norm, feed_forward_norm;
  Dense query_key_value, attention_output;
  Dense cross_query, cross_key_value, cross_output;
  Dense expand, contract;
} Layer;

typedef struct {
  i64 hidden, heads, inner, symbols, positions, encoder_layers, decoder_layers, gelu;
  float epsilon, embedding_scale;
  const float *table, *position_table; /* [symbols, hidden], [positions, hidden] */
  const Layer *encoder, *decoder;
  Norm encoder_norm, decoder_norm;
  Dense logits;
} Network;

/* Sentences end to end, without padding: the symbols of sentence s are starts[s] .. starts[s + 1] - 1. */
typedef struct {
  i64 batch, symbols, longest; /* longest: symbols of the longest sentence */
  const i64 *starts;           /* [batch + 1] */
  const int32_t *ids, *positions, *visible; /* [symbols]; visible: 1 where attended to */
  float *memory;               /* [decoder_layers, symbols, 2 * hidden], keys and values: what encode makes */
} Source;

/* One step of the search: see Step in search/step_result.py. */
typedef struct {
  i64 count, width, position, max_length, candidates, eos;
  const int32_t *sentences, *last_ids, *ancestors; /* [count], [count, width], [count, width, position + 1] */
  float *cache;     /* [decoder_layers, batch, max_length, width, 2 * hidden] */
  float *log_probs; /* [count, width, candidates] */
  int32_t *ids;     /* [count, width, candidates] */
  float *eos_log_probs; /* [count, width] */
  float *attention; /* [count, width, longest], or NULL if not wanted */
} Step;

/* What is computed between the weights: matrices of so many rows. */
typedef struct {
  i64 rows;
  float *x, *normed, *projected, *mixed, *inner, *logits;
} Work;

/* Of one thread: what a query may look at, and its weights. */
typedef struct {
  const float **entries; /* rows [2 * hidden] or so, key first */
  float *weights;
} Scratch;

static i64 row_size(const Network *n) { return 6 * n->hidden + n->inner; }

/* For Python: floats of `work` for so many rows, with their logits if it is a step. */
i64 work_size(const Network *n, i64 rows, int step) { return rows * (row_size(n) + (step ? n->symbols : 0)); }

static Work make_work(const Network *n, i64 rows, float *work) {
  Work w = {.rows = rows, .x = work};
  w.normed = w.x + rows * n->hidden, w.projected = w.normed + rows * n->hidden;
  w.mixed = w.projected + 3 * rows * n->hidden, w.inner = w.mixed + rows * n->hidden;
  w.logits = w.inner + rows * n->inner;
  return w;
}

static int make_scratch(Scratch *s, i64 longest) {
  s->entries = malloc(sizeof(float *) * (size_t)(longest + 1));
  s->weights = malloc(sizeof(float) * (size_t)(longest + 1));
  return s->entries && s->weights;
}

static void free_scratch(Scratch *s) {
  free(s->entries);
  free(s->weights);
}

static void embed(Member me, const Network *n, const int32_t *ids, const int32_t *positions, i64 position, Work *w) {
  const Share mine = share(me, w->rows);
  for (i64 r = mine.first; r < mine.last; r++) {
    const float *symbol = n->table + ids[r] * n->hidden;
    const float *encoding = n->position_table + (positions ? positions[r] : position) * n->hidden;
    for (i64 c = 0; c < n->hidden; c++) w->x[r * n->hidden + c] = symbol[c] * n->embedding_scale + encoding[c];
  }
}

/* The norm of x [rows, hidden] -> out; all members have it when this returns. */
static void normalize(Member me, const Network *n, const float *x, i64 rows, const Norm *norm, float *out) {
  const i64 hidden = n->hidden;
  meet(me);
  const Share mine = share(me, rows);
  for (i64 r = mine.first; r < mine.last; r++)
    layer_norm_row(x + r * hidden, hidden, n->epsilon, norm->gamma, norm->beta, out + r * hidden);
  meet(me);
}

/* softmax(query . keys / sqrt(size)) values for one head: the first `count` of s->entries are the keys, their values
   stand `hidden` floats after them. Without any, 0. */
static void attend(const Network *n, i64 head, const float *query, Scratch *s, i64 count, float *out) {
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

/* The visible symbols of a sentence among rows of `columns` floats, one a symbol; returns how many they are. */
static i64 visible_entries(const Source *source, i64 sentence, const float *rows, i64 columns, Scratch *s) {
  i64 count = 0;
  for (i64 i = source->starts[sentence]; i < source->starts[sentence + 1]; i++)
    if (source->visible[i]) s->entries[count++] = rows + i * columns;
  return count;
}

static void feed_forward(Member me, const Network *n, const Layer *layer, Work *w) {
  normalize(me, n, w->x, w->rows, &layer->feed_forward_norm, w->normed);
  packed_product(me, w->normed, w->rows, &layer->expand, n->gelu ? STORE_GELU : STORE_RELU, w->inner);
  meet(me);
  packed_product(me, w->inner, w->rows, &layer->contract, ADD, w->x);
}

static void encoder_layer(Member me, const Network *n, const Layer *layer, const Source *source, Work *w, Scratch *s) {
  const i64 hidden = n->hidden;
  normalize(me, n, w->x, w->rows, &layer->attention_norm, w->normed);
  packed_product(me, w->normed, w->rows, &layer->query_key_value, STORE, w->projected);
  meet(me);
  const Share mine = share(me, source->batch * n->heads);
  for (i64 t = mine.first; t < mine.last; t++) {
    const i64 sentence = t / n->heads;
    const i64 count = visible_entries(source, sentence, w->projected + hidden, 3 * hidden, s);
    for (i64 i = source->starts[sentence]; i < source->starts[sentence + 1]; i++)
      attend(n, t % n->heads, w->projected + i * 3 * hidden, s, count, w->mixed + i * hidden);
  }
  meet(me);
  packed_product(me, w->mixed, w->rows, &layer->attention_output, ADD, w->x);
  feed_forward(me, n, layer, w);
}

/* Keys and values of the encoder's output for each layer of the decoder -> source->memory. 0 is success. */
int encode(const Network *n, const Source *source, float *work) {
  if (!all_below(source->ids, source->symbols, n->symbols, "symbol") ||
      !all_below(source->positions, source->symbols, n->positions, "position"))
    return OUT_OF_RANGE;
  Work w = make_work(n, source->symbols, work);
  Team team = {0};
  int failed = 0;
#pragma omp parallel
  {
    const Member me = join_team(&team);
    Scratch s;
    if (!make_scratch(&s, source->longest)) __atomic_store_n(&failed, OUT_OF_MEMORY, __ATOMIC_RELAXED);
    meet(me);
    if (!failed) {
      embed(me, n, source->ids, source->positions, 0, &w);
      for (i64 i = 0; i < n->encoder_layers; i++) encoder_layer(me, n, n->encoder + i, source, &w, &s);
      normalize(me, n, w.x, w.rows, &n->encoder_norm, w.normed);
      for (i64 i = 0; i < n->decoder_layers; i++)
        packed_product(me, w.normed, w.rows, &n->decoder[i].cross_key_value, STORE,
                       source->memory + i * source->symbols * 2 * n->hidden);
    }
    free_scratch(&s);
  }
  return failed;
}

/* Self-attention of the hypotheses of one sentence: their new keys and values join the cache, from which each sees
   those of its ancestors. Nothing that is there is moved. */
static void look_back(const Network *n, const Step *step, i64 index, i64 head, float *cache, Work *w, Scratch *s) {
  const i64 hidden = n->hidden, size = hidden / n->heads, width = step->width, past = step->position + 1;
  float *own = cache + step->sentences[index] * step->max_length * width * 2 * hidden;
  float *newest = own + step->position * width * 2 * hidden;
  for (i64 k = 0; k < width; k++)
    for (i64 part = 0; part < 2; part++)
      memcpy(newest + (2 * k + part) * hidden + head * size,
             w->projected + (3 * (index * width + k) + 1 + part) * hidden + head * size, sizeof(float) * (size_t)size);
  for (i64 k = 0; k < width; k++) {
    const i64 row = index * width + k;
    for (i64 p = 0; p < past; p++)
      s->entries[p] = own + (p * width + step->ancestors[row * past + p]) * 2 * hidden;
    attend(n, head, w->projected + 3 * row * hidden, s, past, w->mixed + row * hidden);
  }
}

/* Attention of the hypotheses of one sentence to the source, with `memory` of this layer; if `attention` is given
   [width, longest], the weights, divided by the number of heads, are added to it. */
static void look_at_source(const Network *n, const Step *step, const Source *source, i64 index, i64 head,
                           const float *memory, float *attention, Work *w, Scratch *s) {
  const i64 sentence = step->sentences[index];
  const i64 count = visible_entries(source, sentence, memory, 2 * n->hidden, s);
  for (i64 k = 0; k < step->width; k++) {
    const i64 row = index * step->width + k;
    attend(n, head, w->projected + row * n->hidden, s, count, w->mixed + row * n->hidden);
    for (i64 i = source->starts[sentence], j = 0; attention && j < count; i++)
      if (source->visible[i])
        attention[k * source->longest + i - source->starts[sentence]] += s->weights[j++] / (float)n->heads;
  }
}

static void decoder_layer(Member me, const Network *n, i64 number, const Step *step, const Source *source, Work *w,
                          Scratch *s) {
  const Layer *layer = n->decoder + number;
  float *cache = step->cache + number * source->batch * step->max_length * step->width * 2 * n->hidden;
  const float *memory = source->memory + number * source->symbols * 2 * n->hidden;
  normalize(me, n, w->x, w->rows, &layer->attention_norm, w->normed);
  packed_product(me, w->normed, w->rows, &layer->query_key_value, STORE, w->projected);
  meet(me);
  const Share heads = share(me, step->count * n->heads);
  for (i64 t = heads.first; t < heads.last; t++) look_back(n, step, t / n->heads, t % n->heads, cache, w, s);
  meet(me);
  packed_product(me, w->mixed, w->rows, &layer->attention_output, ADD, w->x);
  normalize(me, n, w->x, w->rows, &layer->cross_norm, w->normed);
  packed_product(me, w->normed, w->rows, &layer->cross_query, STORE, w->projected);
  meet(me);
  if (step->attention && number == n->decoder_layers - 1) {
    const Share sentences = share(me, step->count); /* one thread adds up the heads of a sentence */
    for (i64 i = sentences.first; i < sentences.last; i++)
      for (i64 head = 0; head < n->heads; head++)
        look_at_source(n, step, source, i, head, memory, step->attention + i * step->width * source->longest, w, s);
  } else {
    for (i64 t = heads.first; t < heads.last; t++)
      look_at_source(n, step, source, t / n->heads, t % n->heads, memory, NULL, w, s);
  }
  meet(me);
  packed_product(me, w->mixed, w->rows, &layer->cross_output, ADD, w->x);
  feed_forward(me, n, layer, w);
}

/* 0 is success; what is asked for is written to the step's outputs, of which `attention` must be 0 before. */
int decode_step(const Network *n, const Source *source, const Step *step, float *work) {
  Work w = make_work(n, step->count * step->width, work);
  if (!all_below(step->last_ids, w.rows, n->symbols, "symbol")) return OUT_OF_RANGE;
  Team team = {0};
  int failed = 0;
#pragma omp parallel
  {
    const Member me = join_team(&team);
    Scratch s;
    const i64 longest = source->longest > step->max_length ? source->longest : step->max_length;
    if (!make_scratch(&s, longest)) __atomic_store_n(&failed, OUT_OF_MEMORY, __ATOMIC_RELAXED);
    meet(me);
    if (!__atomic_load_n(&failed, __ATOMIC_RELAXED)) {
      embed(me, n, step->last_ids, NULL, step->position, &w);
      for (i64 i = 0; i < n->decoder_layers; i++) decoder_layer(me, n, i, step, source, &w, &s);
      normalize(me, n, w.x, w.rows, &n->decoder_norm, w.normed);
      packed_product(me, w.normed, w.rows, &n->logits, STORE, w.logits);
      meet(me);
      const Share rows = share(me, w.rows);
      for (i64 r = rows.first; r < rows.last; r++) {
        const float *logits = w.logits + r * n->symbols;
        const float log_sum = best_symbols(logits, n->symbols, step->candidates,
                                           step->log_probs + r * step->candidates, step->ids + r * step->candidates);
        step->eos_log_probs[r] = logits[step->eos] - log_sum;
        if (!isfinite(log_sum)) __atomic_store_n(&failed, NOT_FINITE, __ATOMIC_RELAXED);
      }
    }
    free_scratch(&s);
  }
  return failed;
}
