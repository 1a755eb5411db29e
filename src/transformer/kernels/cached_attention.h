/* Attention of the encoder and of a step of the decoder. */
#ifndef MASS_CACHED_ATTENTION_H
#define MASS_CACHED_ATTENTION_H

#include "network.h"

/* What one thread needs. */
typedef struct {
  const float **entries;  /* the keys that a query attends to; the value of each stands `hidden` floats after it */
  float *weights;         /* attention weights of some queries, a row each */
  float *context;         /* results of these queries */
  float *keys_values;     /* those of one head, see place_keys() */
} Scratch;

/* Keys and values of one head, of those tokens of a sentence that are not masked. */
typedef struct {
  i64 count, columns, size; /* tokens, and the lengths of the rows of keys and values */
  float *keys;              /* [head size, columns], a column for each token */
  float *values;            /* [count, size] */
} KeysValues;

/* Allocate for `longest` keys; returns 0 if there is no memory. */
int make_scratch(const Network *n, i64 longest, Scratch *s);
void free_scratch(Scratch *s);

/* What a member does that cannot allocate: the others do without it, unless it is the one that has to return. */
static inline void lack_memory(Member me, int *failed) {
  if (me.thread == 0) __atomic_store_n(failed, OUT_OF_MEMORY, __ATOMIC_RELAXED);
}

/* softmax(query . keys / sqrt(head_size)) values for one head, over the first `count` of s->entries; 0 without any.
   query and out [hidden], of which the head's columns are read and written. */
void attend(const Network *n, i64 head, const float *query, Scratch *s, i64 count, float *out);

/* Where the keys and values of a head of a sentence are, in those of one layer, or in s->keys_values. */
KeysValues place_keys(const Network *n, const Source *source, i64 sentence, i64 head, float *of_layer);
KeysValues place_scratch_keys(const Network *n, const Source *source, i64 sentence, Scratch *s);

/* The floats of keys and values of one layer. */
i64 layer_keys_values(const Network *n, const Source *source);

/* Copy keys and values from `rows`, which have `columns` floats for each token, keys first, then values. */
void collect_keys(const Network *n, const Source *source, i64 sentence, i64 head, const float *rows, i64 columns,
                  KeysValues *to);

/* As attend(), for `count` queries, which begin `columns` floats after each other, and results, `hidden` floats. Where
   `attention` [count, source->longest] is given, the weights, divided by the number of heads, are added to it. */
void attend_together(const Network *n, const Source *source, i64 sentence, i64 head, const KeysValues *from,
                     const float *queries, i64 columns, i64 count, Scratch *s, float *out, float *attention);

#endif
