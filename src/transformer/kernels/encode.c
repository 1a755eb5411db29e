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
      const i64 sentence = t / n->heads;
      const i64 count = enter_unmasked(source, sentence, w->projected + hidden, 3 * hidden, s);
      for (i64 i = source->starts[sentence]; i < source->starts[sentence + 1]; i++)
        attend(n, t % n->heads, w->projected + i * 3 * hidden, s, count, w->context + i * hidden);
    }
  packed_matmul(me, inputs_of(me, w->context, output, w), w->rows, output, ADD, w->x);
  add_feed_forward(me, n, &layer->feed_forward, w);
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
  if (!make_scratch(&s, e->source->longest)) {
    lack_memory(me, &e->failed);
  } else {
    embed(me, n, e->source->ids, e->source->positions, 0, w);
    for (i64 i = 0; i < n->encoder_layers; i++) encoder_layer(me, n, n->encoder + i, e->source, w, &s);
    const Inputs output = normalize(me, n, &n->encoder_norm, &n->decoder[0].cross_attention.key_value, w);
    for (i64 i = 0; i < n->decoder_layers; i++)
      packed_matmul(me, output, w->rows, &n->decoder[i].cross_attention.key_value, STORE,
                    e->source->keys_values + i * e->source->tokens * 2 * n->hidden);
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
