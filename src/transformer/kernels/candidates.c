#include "candidates.h"

#include "fast_exp.h"
#include "top_k.h"

#include <math.h>

enum { BLOCK_PANELS = 8, MOST_KEPT = 72, MORE_KEPT = 8, SUMS = 16 }; /* MORE_KEPT: than are wanted */

/* For Python: whether a step of this many candidates chooses them without storing all logits. */
int chooses_early(i64 candidates, i64 vocabulary) {
  return candidates + MORE_KEPT <= MOST_KEPT && candidates + MORE_KEPT < vocabulary;
}

int make_candidates(Candidates *found, const Network *n, const Step *step) {
  const i64 rows = step->count * step->width, outputs = BLOCK_PANELS * panel_outputs();
  *found = (Candidates){.blocks = (n->vocabulary + outputs - 1) / outputs,
                        .threads = team_size(),
                        .kept = step->candidates + (n->logits.format == INT8 ? MORE_KEPT : 0)};
  if (!chooses_early(step->candidates, n->vocabulary)) return 1;
  const i64 kept = found->threads * rows * found->kept, blocks = rows * found->blocks;
  float *memory = malloc(sizeof(float) * (size_t)(2 * blocks + rows + 2 * kept + found->threads * rows * (SUMS + 1) + 1));
  if (!memory) return 0;
  found->largest = memory;
  found->sum = found->largest + blocks;
  found->eos = found->sum + blocks;
  found->values = found->eos + rows;
  found->ids = (int32_t *)(found->values + kept);
  found->partial = (float *)(found->ids + kept);
  found->running = found->partial + found->threads * rows * SUMS;
  for (i64 i = 0; i < kept; i++) found->values[i] = -INFINITY;
  return 1;
}

void free_candidates(Candidates *found) { free(found->largest); }

/* Take the logits of a panel, [SUMS * 2] at most, of one row into the largest one and the sum of its block. */
static inline float add_to_block(const float *logits, i64 count, float *running, float *partial) {
  float largest = -INFINITY;
#pragma omp simd reduction(max : largest)
  for (i64 i = 0; i < count; i++) largest = logits[i] > largest ? logits[i] : largest;
  if (largest > *running) {
    const float factor = fast_exp(*running - largest);
    for (int i = 0; i < SUMS; i++) partial[i] *= factor;
    *running = largest;
  }
  const float base = *running;
  for (i64 first = 0; first < count; first += SUMS)
#pragma omp simd
    for (int i = 0; i < SUMS; i++) partial[i] += fast_exp(logits[first + i] - base);
  return largest;
}

/* The logits of one block of outputs for all rows. */
static void compute_block(Member me, const Network *n, const Step *step, Inputs x, i64 rows, i64 block,
                          Candidates *found) {
  const i64 size = panel_outputs(), kept = found->kept, first_panel = block * BLOCK_PANELS;
  float *values = found->values + me.thread * rows * kept, *running = found->running + me.thread * rows;
  int32_t *ids = found->ids + me.thread * rows * kept;
  float *partial = found->partial + me.thread * rows * SUMS, logits[LARGEST_TILE] __attribute__((aligned(64)));
  memset(partial, 0, sizeof(float) * (size_t)(rows * SUMS));
  for (i64 r = 0; r < rows; r++) running[r] = -INFINITY;
  for (i64 p = first_panel; p < first_panel + BLOCK_PANELS && p * size < n->vocabulary; p++) {
    const i64 count = min_of(size, n->vocabulary - p * size);
    for (i64 row = 0, done; row < rows; row += done) {
      done = packed_panel(x, row, rows, &n->logits, p, logits);
      for (i64 r = row; r < row + done; r++) {
        float *own = logits + (r - row) * size;
        for (i64 i = count; i < size; i++) own[i] = -INFINITY;
        const float largest = add_to_block(own, size, running + r, partial + r * SUMS);
        if (largest > values[r * kept + kept - 1])
          keep_largest(own, count, (int32_t)(p * size), kept, values + r * kept, ids + r * kept);
        if (step->eos / size == p) found->eos[r] = own[step->eos % size];
      }
    }
  }
  for (i64 r = 0; r < rows; r++) {
    float sum = 0.0f;
    for (int i = 0; i < SUMS; i++) sum += partial[r * SUMS + i];
    found->largest[r * found->blocks + block] = running[r], found->sum[r * found->blocks + block] = sum;
  }
}

/* The tokens that the members kept of one row, in descending order, and the log-sum-exp of its logits. */
static float merge(const Candidates *found, i64 rows, i64 row, float *values, int32_t *ids) {
  const float *largest = found->largest + row * found->blocks, *sum = found->sum + row * found->blocks;
  const i64 kept = found->kept;
  for (i64 i = 0; i < kept; i++) values[i] = -INFINITY, ids[i] = 0;
  for (int t = 0; t < found->threads; t++)
    merge_largest(found->values + (t * rows + row) * kept, found->ids + (t * rows + row) * kept, kept, values, ids);
  float total = 0.0f, most = -INFINITY;
  for (i64 b = 0; b < found->blocks; b++) most = largest[b] > most ? largest[b] : most;
  for (i64 b = 0; b < found->blocks; b++) total += sum[b] * fast_exp(largest[b] - most);
  return most + logf(total);
}

static float exact_logit(const Network *n, const float *state, i64 token) {
  const float *row = n->table + token * n->hidden;
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (i64 c = 0; c < n->hidden; c++) sum += state[c] * row[c];
  return sum;
}

/* Replace approximate logits, of which log_sum is the log-sum-exp, by exact ones, and sort the tokens again. Returns the
   log-sum-exp with the exact ones in place of the approximate ones. */
static float compute_again(const Network *n, const float *state, i64 kept, float *values, int32_t *ids, float log_sum) {
  float exact[MOST_KEPT], rest = 1.0f, again = 0.0f;
  int32_t tokens[MOST_KEPT];
  for (i64 i = 0; i < kept; i++) {
    exact[i] = exact_logit(n, state, ids[i]), tokens[i] = ids[i];
    rest -= fast_exp(values[i] - log_sum), again += fast_exp(exact[i] - log_sum);
  }
  for (i64 i = 0; i < kept; i++) {
    i64 place = i;
    for (; place > 0 && (values[place - 1] < exact[i] || (values[place - 1] == exact[i] && ids[place - 1] > tokens[i]));
         place--)
      values[place] = values[place - 1], ids[place] = ids[place - 1];
    values[place] = exact[i], ids[place] = tokens[i];
  }
  return log_sum + logf((rest > 0.0f ? rest : 0.0f) + again);
}

/* The outputs of one row, from the tokens that the members kept. */
static float choose(const Network *n, const Step *step, const Candidates *found, const Work *w, i64 row) {
  float values[MOST_KEPT], *log_probs = step->log_probs + row * step->candidates, eos = found->eos[row];
  int32_t kept[MOST_KEPT], *ids = step->ids + row * step->candidates;
  float log_sum = merge(found, w->rows, row, values, kept);
  if (n->logits.format == INT8 && isfinite(log_sum)) {
    const float *state = w->normed + row * n->hidden;
    log_sum = compute_again(n, state, found->kept, values, kept, log_sum);
    eos = exact_logit(n, state, step->eos);
  }
  for (i64 i = 0; i < step->candidates; i++) log_probs[i] = values[i] - log_sum, ids[i] = kept[i];
  step->eos_log_probs[row] = eos - log_sum;
  return log_sum;
}

static float choose_from_stored(const Network *n, const Step *step, const Work *w, i64 row) {
  const float *logits = w->logits + row * n->vocabulary;
  const i64 count = step->candidates;
  const float log_sum = top_k(logits, n->vocabulary, count, step->log_probs + row * count, step->ids + row * count);
  step->eos_log_probs[row] = logits[step->eos] - log_sum;
  return log_sum;
}

void find_candidates(Member me, const Network *n, const Step *step, Work *w, Candidates *found, int *failed) {
  const Inputs states = normalize(me, n, &n->decoder_norm, &n->logits, w);
  if (found->largest)
    for (Share some = {0}; take(me, found->blocks, 1, &some);)
      for (i64 b = some.first; b < some.last; b++) compute_block(me, n, step, states, w->rows, b, found);
  else
    packed_matmul(me, states, w->rows, &n->logits, STORE, w->logits);
  for (Share some = {0}; take(me, w->rows, 1, &some);)
    for (i64 r = some.first; r < some.last; r++) {
      const float log_sum = found->largest ? choose(n, step, found, w, r) : choose_from_stored(n, step, w, r);
      if (!isfinite(log_sum)) __atomic_store_n(failed, NOT_FINITE, __ATOMIC_RELAXED);
    }
}
