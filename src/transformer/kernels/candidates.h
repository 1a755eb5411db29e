/* The output layer: the most probable next tokens of each hypothesis.

   Where its weights are in INT8, the logits of all tokens are approximate, and serve to find some more tokens than are
   wanted. The logits of these are computed again, in float32, from the embedding table, and replace the approximate ones
   in the order of the tokens and in the sum of all probabilities. */
#ifndef MASS_CANDIDATES_H
#define MASS_CANDIDATES_H

#include "network.h"

/* Memory that the members share while they compute the logits, so that these need not be stored. */
typedef struct {
  i64 blocks;           /* of outputs; which blocks there are does not depend on the number of threads */
  i64 threads, kept;    /* kept: tokens of each row that each thread keeps */
  float *largest, *sum; /* [rows, blocks], of each block the largest logit and the sum of exp(logit - largest) */
  float *eos;           /* [rows], the logits of </s> */
  float *values;        /* [threads, rows, kept], the largest logits of each member's blocks, descending */
  int32_t *ids;         /* [threads, rows, kept], their tokens */
  float *partial;       /* [threads, rows, lanes], sums of a block that is being computed */
  float *running;       /* [threads, rows], its largest logits so far */
} Candidates;

/* Allocate for a step; returns 0 if there is no memory. */
int make_candidates(Candidates *found, const Network *n, const Step *step);
void free_candidates(Candidates *found);

/* The outputs of the step, from the decoder states in w->x; *failed is NOT_FINITE if one is not a finite number. */
void find_candidates(Member me, const Network *n, const Step *step, Work *w, Candidates *found, int *failed);

#endif
