/* The network as the search runs it: encode() once for a batch, then decode_step() for each further token, with keys
   and values cached. Python calls these functions through ctypes; src/transformer/decoding/packed_weights.py and
   c_steps.py mirror the structures below. No graph is compiled and no shape is fixed. All matrices are float32 and
   flat, [rows, columns]. */
#ifndef MASS_NETWORK_H
#define MASS_NETWORK_H

#include "packed_matmul.h"

enum { NOT_FINITE = 4 };

typedef struct {
  const float *gamma, *beta; /* [hidden] */
} Norm;

typedef struct {
  Norm norm;
  Dense query_key_value, output; /* the three projections are one product, [3 * hidden, hidden] */
} SelfAttention;

typedef struct {
  Norm norm;
  Dense query, key_value, output; /* key_value [2 * hidden, hidden] */
} CrossAttention;

typedef struct {
  Norm norm;
  Dense fc1, fc2;
} FeedForward;

typedef struct {
  SelfAttention self_attention;
  FeedForward feed_forward;
} EncoderLayer;

typedef struct {
  SelfAttention self_attention;
  CrossAttention cross_attention;
  FeedForward feed_forward;
} DecoderLayer;

typedef struct {
  i64 hidden, heads, inner, vocabulary, positions, encoder_layers, decoder_layers, gelu; /* inner: width after fc1 */
  float epsilon, embedding_scale;
  const float *table, *position_table; /* [vocabulary, hidden], [positions, hidden] */
  const EncoderLayer *encoder;
  const DecoderLayer *decoder;
  Norm encoder_norm, decoder_norm;
  Dense logits;
} Network;

/* Sentences end to end, without padding: the tokens of sentence s are starts[s] .. starts[s + 1] - 1. */
typedef struct {
  i64 batch, tokens, longest; /* longest: tokens of the longest sentence */
  const i64 *starts;          /* [batch + 1] */
  const i64 *unmasked, *places; /* [batch], [batch + 1]: tokens that are attended to, and where their keys begin */
  const int32_t *ids, *positions, *mask; /* [tokens]; the mask is 1 where attended to */
  float *keys_values; /* those of the cross-attentions, which encode() computes; see place_keys() */
} Source;

/* One step of the search: see StepFunction in src/transformer/decoding/interface.py. */
typedef struct {
  i64 count, width, position, max_length, candidates, eos;
  const int32_t *sentences, *last_ids, *ancestors; /* [count], [count, width], [count, width, position + 1] */
  float *cache;     /* [decoder_layers, batch, max_length, width, 2 * hidden], keys and values of the self-attentions */
  float *log_probs; /* [count, width, candidates] */
  int32_t *ids;     /* [count, width, candidates] */
  float *eos_log_probs; /* [count, width] */
  float *attention; /* [count, width, longest], or NULL if not wanted */
} Step;

/* The activations, matrices of `rows` rows. */
typedef struct {
  i64 rows;
  float *x;         /* [rows, hidden], the residual stream */
  float *normed;    /* [rows, hidden] */
  float *projected; /* [rows, 3 * hidden] at most: queries, keys and values */
  float *context;   /* [rows, hidden], the results of attention */
  float *inner;     /* [rows, inner] */
  float *converted; /* the inputs of a product in the format of its weights */
  float *logits;    /* [rows, vocabulary], in a step only */
} Work;

Work make_work(const Network *n, i64 rows, float *memory);

/* Each of the following is one or several loops of all members: see take(). */

/* x = table[ids] * embedding_scale + position_table[positions]; without positions, all rows have `position`. */
void embed(Member me, const Network *n, const int32_t *ids, const int32_t *positions, i64 position, Work *w);

/* Layer norm of w->x -> w->normed, and the same as inputs of `next`. */
Inputs normalize(Member me, const Network *n, const Norm *norm, const Dense *next, Work *w);

/* The rows of `x` as inputs of `next`. */
Inputs inputs_of(Member me, const float *x, const Dense *next, Work *w);

/* x += fc2(activation(fc1(norm(x)))) */
void add_feed_forward(Member me, const Network *n, const FeedForward *layer, Work *w);

#endif
