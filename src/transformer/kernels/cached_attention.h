/* Attention of one query to keys and values that may stand anywhere in memory. */
#ifndef MASS_CACHED_ATTENTION_H
#define MASS_CACHED_ATTENTION_H

#include "network.h"

/* What one thread needs for one query. */
typedef struct {
  const float **entries; /* the keys that the query attends to; the value of each stands `hidden` floats after it */
  float *weights;        /* the attention weights */
} Scratch;

/* Allocate for `longest` keys; returns 0 if there is no memory. */
int make_scratch(Scratch *s, i64 longest);
void free_scratch(Scratch *s);

/* What a member does that cannot allocate: the others do without it, unless it is the one that has to return. */
static inline void lack_memory(Member me, int *failed) {
  if (me.thread == 0) __atomic_store_n(failed, OUT_OF_MEMORY, __ATOMIC_RELAXED);
}

/* softmax(query . keys / sqrt(head_size)) values for one head, over the first `count` of s->entries; 0 without any.
   query and out [hidden], of which the head's columns are read and written. */
void attend(const Network *n, i64 head, const float *query, Scratch *s, i64 count, float *out);

/* Let s->entries be the tokens of a sentence that are not masked, among `rows`, which have `columns` floats for each
   token; returns their number. */
i64 enter_unmasked(const Source *source, i64 sentence, const float *rows, i64 columns, Scratch *s);

#endif
