/* The most probable tokens of a row of logits. */
#ifndef MASS_TOP_K_H
#define MASS_TOP_K_H

#include "common.h"

/* logits [vocabulary] -> log-probabilities and ids of the `count` most probable tokens, in descending order (of two
   equal ones the lower id first); if these are all tokens, in the order of the ids. Returns the log-sum-exp of the
   logits. */
float top_k(const float *logits, i64 vocabulary, i64 count, float *log_probs, int32_t *ids);

#endif
