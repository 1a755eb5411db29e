/* The most probable tokens of a row of logits. */
#ifndef MASS_TOP_K_H
#define MASS_TOP_K_H

#include "common.h"

/* logits [vocabulary] -> log-probabilities and ids of the `count` most probable tokens, in descending order (of two
   equal ones the lower id first); if these are all tokens, in the order of the ids. Returns the log-sum-exp of the
   logits. */
float top_k(const float *logits, i64 vocabulary, i64 count, float *log_probs, int32_t *ids);

/* Take the logits [size] of the tokens first_id, first_id + 1, ... into the `count` largest ones so far, which are
   those of lower ids, in descending order. */
void keep_largest(const float *logits, i64 size, int32_t first_id, i64 count, float *values, int32_t *ids);

/* The same for `count` other tokens in descending order, of any ids; -INFINITY stands for none. */
void merge_largest(const float *other_values, const int32_t *other_ids, i64 count, float *values, int32_t *ids);

#endif
