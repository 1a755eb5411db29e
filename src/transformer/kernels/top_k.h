/* The most probable symbols of a row of logits. */
#ifndef MASS_BEST_SYMBOLS_H
#define MASS_BEST_SYMBOLS_H

#include "common.h"

/* logits [symbols] -> the log-probabilities and ids of the `count` most probable symbols, falling (of two equal ones
   the lower id first); if that is all of them, in the order of the ids. Returns the log-sum-exp of the logits. */
float best_symbols(const float *logits, i64 symbols, i64 count, float *log_probs, int32_t *ids);

#endif
