/* The encoder, and the keys and values that the decoder's cross-attentions take from its output. */
#include "cached_attention.h"

/* x += self_attention(norm(x)), then x += feed_forward(norm(x)) */
static void encoder_layer(Member me, const Network *n, const EncoderLayer *layer, const Source *source, Work *w,
                          Scratch *s) {
  const i64 hidden = n->hidden;
  const Dense *query_key_value = &layer->self_attention.query_key_value, *output = &layer->self_attention.output;
  packed_matmul(me, normalize(me, n, &layer->self_attention.norm, query_key_value, w), w->rows, query_key_value, STORE,
                w->projected);
  for (Share some = {0}; take(me, source->batch * n->heads, 1, &some);)
    for (i64 t = some.first; t < some.last; t++) {
      const i64 sentence = t / n->heads, head = t % n->heads, start = source->starts[sentence];
      KeysValues keys_values = place_scratch_keys(n, source, sentence, s);
      collect_keys(n, source, sentence, head, w->projected + hidden, 3 * hidden, &keys_values);
      attend_together(n, source, sentence, head, &keys_values, w->projected + start * 3 * hidden, 3 * hidden,
                      source->starts[sentence + 1] - start, s, w->context + start * hidden, NULL);
    }
  packed_matmul(me, inputs_of(me, w->context, output, w), w->rows, output, ADD, w->x);
  add_feed_forward(me, n, &layer->feed_forward, w);
}

/* The keys and values of the cross-attentions of all layers, from the encoder output. */
static void compute_keys_values(Member me, const Network *n, const Source *source, Work *w) {
  const Inputs output = normalize(me, n, &n->encoder_norm, &n->decoder[0].cross_attention.key_value, w);
  for (i64 layer = 0; layer < n->decoder_layers; layer++) {
    packed_matmul(me, output, w->rows, &n->decoder[layer].cross_attention.key_value, STORE, w->projected);
    for (Share some = {0}; take(me, source->batch * n->heads, 1, &some);)
      for (i64 t = some.first; t < some.last; t++) {
        const i64 sentence = t / n->heads, head = t % n->heads;
        KeysValues to = place_keys(n, source, sentence, head,
                                   source->keys_values + layer * layer_keys_values(n, source));
        collect_keys(n, source, sentence, head, w->projected, 2 * n->hidden, &to);
      }
  }
}

typedef struct {
  const Network *network;
  const Source *source;
  Work work;
  int failed;
} Encoding;

static void encode_together(Member me, void *argument) {
  Encoding *e = argument;
  const Network *n = e->network;
  Work *w = &e->work;
  Scratch s;
  if (!make_scratch(n, e->source->longest, &s)) {
    lack_memory(me, &e->failed);
  } else {
    embed(me, n, e->source->ids, e->source->positions, 0, w);
    for (i64 i = 0; i < n->encoder_layers; i++) encoder_layer(me, n, n->encoder + i, e->source, w, &s);
    compute_keys_values(me, n, e->source, w);
  }
  free_scratch(&s);
}

/* For Python: run the encoder and fill source->keys_values. Returns 0, or why it failed. */
int encode(const Network *n, const Source *source, float *work) {
  if (!all_below(source->ids, source->tokens, n->vocabulary, "token id") ||
      !all_below(source->positions, source->tokens, n->positions, "position"))
    return OUT_OF_RANGE;
  Encoding encoding = {n, source, make_work(n, source->tokens, work), 0};
  run_team(encode_together, &encoding);
  return encoding.failed;
}
