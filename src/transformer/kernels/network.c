#include "network.h"

#include "layer_norm.h"

/* For Python: the size of a structure that it mirrors, which must be that of its own; -1 if there is none of that name. */
i64 struct_size(const char *name) {
#define SIZE(type) \
  if (!strcmp(name, #type)) return (i64)sizeof(type)
  SIZE(Norm);
  SIZE(Dense);
  SIZE(SelfAttention);
  SIZE(CrossAttention);
  SIZE(FeedForward);
  SIZE(EncoderLayer);
  SIZE(DecoderLayer);
  SIZE(Network);
  SIZE(Source);
  SIZE(Step);
#undef SIZE
  return -1;
}

static i64 longest_input(const Network *n) { return n->hidden > n->inner ? n->hidden : n->inner; }

/* For Python: floats of `memory` for this many rows, with room for logits if `step`. */
i64 work_size(const Network *n, i64 rows, int step) {
  const i64 converted = input_size(BFLOAT16, rows, longest_input(n)); /* INT8 needs no more */
  return rows * (6 * n->hidden + n->inner + (step ? n->vocabulary : 0)) + converted;
}

Work make_work(const Network *n, i64 rows, float *memory) {
  Work w = {.rows = rows, .x = memory};
  w.normed = w.x + rows * n->hidden;
  w.projected = w.normed + rows * n->hidden;
  w.context = w.projected + 3 * rows * n->hidden;
  w.inner = w.context + rows * n->hidden;
  w.converted = w.inner + rows * n->inner;
  w.logits = w.converted + input_size(BFLOAT16, rows, longest_input(n));
  return w;
}

void embed(Member me, const Network *n, const int32_t *ids, const int32_t *positions, i64 position, Work *w) {
  for (Share some = {0}; take(me, w->rows, 8, &some);)
    for (i64 r = some.first; r < some.last; r++) {
      const float *token = n->table + ids[r] * n->hidden;
      const float *encoding = n->position_table + (positions ? positions[r] : position) * n->hidden;
      for (i64 c = 0; c < n->hidden; c++) w->x[r * n->hidden + c] = token[c] * n->embedding_scale + encoding[c];
    }
}

Inputs normalize(Member me, const Network *n, const Norm *norm, const Dense *next, Work *w) {
  const i64 hidden = n->hidden;
  const Inputs inputs = place_inputs(next->format, w->normed, w->rows, hidden, w->converted);
  for (Share some = {0}; take(me, w->rows, 8, &some);)
    for (i64 r = some.first; r < some.last; r++) {
      layer_norm_row(w->x + r * hidden, hidden, n->epsilon, norm->gamma, norm->beta, w->normed + r * hidden);
      convert_row(next->format, &inputs, w->normed, r, hidden);
    }
  return inputs;
}

Inputs inputs_of(Member me, const float *x, const Dense *next, Work *w) {
  const Inputs inputs = place_inputs(next->format, x, w->rows, next->in, w->converted);
  if (next->format != FLOAT32)
    for (Share some = {0}; take(me, w->rows, 8, &some);)
      for (i64 r = some.first; r < some.last; r++) convert_row(next->format, &inputs, x, r, next->in);
  return inputs;
}

void add_feed_forward(Member me, const Network *n, const FeedForward *layer, Work *w) {
  const Inputs normed = normalize(me, n, &layer->norm, &layer->fc1, w);
  packed_matmul(me, normed, w->rows, &layer->fc1, n->gelu ? STORE_GELU : STORE_RELU, w->inner);
  packed_matmul(me, inputs_of(me, w->inner, &layer->fc2, w), w->rows, &layer->fc2, ADD, w->x);
}
