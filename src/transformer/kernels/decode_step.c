/* One step of the decoder: the newest token of each hypothesis goes through all layers, and the most probable next
   tokens come out. */
#include "cached_attention.h"
#include "candidates.h"

/* Self-attention of the hypotheses of one sentence, for one head. Their new keys and values are written to the cache,
   [max_length, width, 2 * hidden] for a sentence, where nothing is ever moved: each hypothesis attends to the entries
   of its own ancestors. */
static void self_attend(const Network *n, const Step *step, i64 index, i64 head, float *cache, Work *w, Scratch *s) {
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
    attend(n, head, w->projected + 3 * row * hidden, s, past, w->context + row * hidden);
  }
}

/* Cross-attention of the hypotheses of one sentence, for one head, to the layer's `keys_values` of the source. */
static void cross_attend(const Network *n, const Step *step, const Source *source, i64 index, i64 head,
                         float *keys_values, float *attention, Work *w, Scratch *s) {
  const i64 sentence = step->sentences[index], first = index * step->width * n->hidden;
  const KeysValues from = place_keys(n, source, sentence, head, keys_values);
  attend_together(n, source, sentence, head, &from, w->projected + first, n->hidden, step->width, s,
                  w->context + first, attention);
}

/* x += self_attention(norm(x)), then x += cross_attention(norm(x)), then x += feed_forward(norm(x)) */
static void decoder_layer(Member me, const Network *n, i64 number, const Step *step, const Source *source, Work *w,
                          Scratch *s) {
  const DecoderLayer *layer = n->decoder + number;
  const SelfAttention *self = &layer->self_attention;
  const CrossAttention *cross = &layer->cross_attention;
  const i64 heads = step->count * n->heads;
  float *cache = step->cache + number * source->batch * step->max_length * step->width * 2 * n->hidden;
  packed_matmul(me, normalize(me, n, &self->norm, &self->query_key_value, w), w->rows, &self->query_key_value, STORE,
                w->projected);
  for (Share some = {0}; take(me, heads, 1, &some);)
    for (i64 t = some.first; t < some.last; t++) self_attend(n, step, t / n->heads, t % n->heads, cache, w, s);
  packed_matmul(me, inputs_of(me, w->context, &self->output, w), w->rows, &self->output, ADD, w->x);

  float *keys_values = source->keys_values + number * layer_keys_values(n, source);
  packed_matmul(me, normalize(me, n, &cross->norm, &cross->query, w), w->rows, &cross->query, STORE, w->projected);
  if (step->attention && number == n->decoder_layers - 1) {
    for (Share some = {0}; take(me, step->count, 1, &some);) /* one thread adds up the heads of a sentence */
      for (i64 i = some.first; i < some.last; i++)
        for (i64 head = 0; head < n->heads; head++)
          cross_attend(n, step, source, i, head, keys_values, step->attention + i * step->width * source->longest, w,
                       s);
  } else {
    for (Share some = {0}; take(me, heads, 1, &some);)
      for (i64 t = some.first; t < some.last; t++)
        cross_attend(n, step, source, t / n->heads, t % n->heads, keys_values, NULL, w, s);
  }
  packed_matmul(me, inputs_of(me, w->context, &cross->output, w), w->rows, &cross->output, ADD, w->x);

  add_feed_forward(me, n, &layer->feed_forward, w);
}

typedef struct {
  const Network *network;
  const Source *source;
  const Step *step;
  Work work;
  int failed;
  Candidates candidates;
} Decoding;

static void decode_together(Member me, void *argument) {
  Decoding *d = argument;
  const Network *n = d->network;
  Scratch s;
  if (!make_scratch(n, d->source->longest > d->step->max_length ? d->source->longest : d->step->max_length, &s)) {
    lack_memory(me, &d->failed);
  } else {
    embed(me, n, d->step->last_ids, NULL, d->step->position, &d->work);
    for (i64 i = 0; i < n->decoder_layers; i++) decoder_layer(me, n, i, d->step, d->source, &d->work, &s);
    find_candidates(me, n, d->step, &d->work, &d->candidates, &d->failed);
  }
  free_scratch(&s);
}

/* For Python: run one step. The outputs are those of `step`, of which `attention` must be 0 before. Returns 0, or why
   it failed. */
int decode_step(const Network *n, const Source *source, const Step *step, float *work) {
  Decoding decoding = {n, source, step, make_work(n, step->count * step->width, work), 0, {0}};
  if (!all_below(step->last_ids, decoding.work.rows, n->vocabulary, "token id")) return OUT_OF_RANGE;
  if (!make_candidates(&decoding.candidates, n, step)) return OUT_OF_MEMORY;
  run_team(decode_together, &decoding);
  free_candidates(&decoding.candidates);
  return decoding.failed;
}
