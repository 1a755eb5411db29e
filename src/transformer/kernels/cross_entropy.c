/* The output layer and its label-smoothed cross-entropy (Szegedy et al., 2016) as one operation. For the state s of a
   row, the embedding table E, the logits z = E s, the label y and lse(z) = log(sum(exp(z))),

     loss = lse(z) - target_weight * z_y - other_weight * sum(z)
     nll = lse(z) - z_y

   where the smoothed distribution has target_weight + other_weight at y and other_weight elsewhere. The gradients of
   the sum of all losses are

     dz = exp(z - lse(z)) - other_weight - target_weight * [at y]
     ds = E^T dz,  dE = sum over the rows of dz s^T

   Rows with the label 0 (<pad>) are not predicted: loss, nll and ds are 0, and nothing is computed for them.

   The logits of all rows are never stored ("Cut Your Losses in Large-Vocabulary Language Models", Wijmans et al.,
   2024). The rows are taken in chunks, and a chunk's logits become its dz in place while they are in the cache. Because
   the result is one sum, ds and dE are known but for one factor as soon as the logits are: in training the forward pass
   computes them, without a second product for the logits, and the backward pass multiplies them by the factor.

   If the states are bfloat16, so are the factors of all products: the table is rounded first, and dz where it is
   computed. Everything else is float32. */
#include "bfloat16.h"
#include "fast_exp.h"
#include "kernel.h"
#include "matmul.h"

#include <math.h>

typedef struct {
  i64 rows, hidden, vocabulary;
  int rounded;              /* whether the factors of products are bfloat16 */
  const char *states;       /* [rows, hidden], float32 or, if rounded, bfloat16 */
  const float *table;       /* [vocabulary, hidden] */
  bfloat16 *rounded_table;  /* the same; used only if rounded */
  const int32_t *labels;       /* [rows] */
  float target_weight, other_weight;
  float *total, *losses, *nll; /* [1], [rows], [rows] */
  float *dstates, *dtable;     /* [rows, hidden], [vocabulary, hidden], or both NULL */
  float *workspace;            /* [chunk_rows, workspace_columns], for the rows of a chunk */
  i64 chunk_rows, workspace_columns;
} CrossEntropy;

/* The rows of a chunk, one after another. `columns` floats lie between the beginnings of the rows of logits. */
typedef struct {
  i64 rows, columns;
  float *logits, *dstates; /* [rows, columns], [rows, hidden] */
  char *states;            /* [rows, hidden] of the type of the states */
  bfloat16 *dlogits;       /* [rows, columns]; used only if rounded, else dz takes the place of the logits */
} Chunk;

static Factor table_factor(const CrossEntropy *ce, char transposed) {
  return (Factor){ce->rounded ? (const void *)ce->rounded_table : ce->table, ce->hidden, transposed, ce->rounded};
}

/* Bytes of a row of states. */
static size_t states_size(const CrossEntropy *ce) {
  return (ce->rounded ? sizeof(bfloat16) : sizeof(float)) * (size_t)ce->hidden;
}

/* Write the loss and the negative log-likelihood of row r. If there are gradients, dz takes the place of its logits z
   or, rounded, is written to `dz`. */
static void row_loss(const CrossEntropy *ce, i64 r, float *z, bfloat16 *dz) {
  const i64 vocabulary = ce->vocabulary, label = ce->labels[r];
  const float target = z[label], other_weight = ce->other_weight;
  float largest = z[0], sum = 0.0f, exponentials = 0.0f;
#pragma omp simd reduction(max : largest) reduction(+ : sum)
  for (i64 t = 0; t < vocabulary; t++) {
    largest = z[t] > largest ? z[t] : largest;
    sum += z[t];
  }
  if (ce->dstates) {
#pragma omp simd reduction(+ : exponentials)
    for (i64 t = 0; t < vocabulary; t++) exponentials += z[t] = fast_exp(z[t] - largest);
    const float factor = 1.0f / exponentials;
    const float at_label = z[label] * factor - other_weight - ce->target_weight;
    if (ce->rounded) {
      for (i64 t = 0; t < vocabulary; t++) dz[t] = round_float(z[t] * factor - other_weight);
      dz[label] = round_float(at_label);
    } else {
      for (i64 t = 0; t < vocabulary; t++) z[t] = z[t] * factor - other_weight;
      z[label] = at_label;
    }
  } else {
#pragma omp simd reduction(+ : exponentials)
    for (i64 t = 0; t < vocabulary; t++) exponentials += fast_exp(z[t] - largest);
  }
  const float lse = largest + logf(exponentials);
  ce->nll[r] = lse - target;
  ce->losses[r] = lse - ce->target_weight * target - other_weight * sum;
}

/* Add the gradients of a chunk, whose logits hold dz: dstates of these rows, and their share of dtable. */
static int chunk_gradients(const CrossEntropy *ce, const Chunk *chunk, const i64 *numbers, int first) {
  const i64 rows = chunk->rows, hidden = ce->hidden, vocabulary = ce->vocabulary;
  const void *dz = ce->rounded ? (const void *)chunk->dlogits : chunk->logits;
  const Factor dlogits = {dz, chunk->columns, 'N', ce->rounded}, transposed = {dz, chunk->columns, 'T', ce->rounded};
  const Factor table = table_factor(ce, 'N'), states = {chunk->states, hidden, 'N', ce->rounded};
  const int failed = parallel_matmul(rows, hidden, vocabulary, dlogits, table, 0.0f, chunk->dstates, hidden);
  if (failed) return failed;
  for (i64 i = 0; i < rows; i++)
    memcpy(ce->dstates + numbers[i] * hidden, chunk->dstates + i * hidden, sizeof(float) * (size_t)hidden);
  return parallel_matmul(vocabulary, hidden, rows, transposed, states, first ? 0.0f : 1.0f, ce->dtable, hidden);
}

/* Compute the rows numbers[0 .. chunk->rows - 1]; `first` says that dtable holds nothing yet. */
static int compute_chunk(const CrossEntropy *ce, const Chunk *chunk, const i64 *numbers, int first) {
  const i64 rows = chunk->rows, hidden = ce->hidden;
  const size_t size = states_size(ce);
  const Factor states = {chunk->states, hidden, 'N', ce->rounded}, table = table_factor(ce, 'T');
  for (i64 i = 0; i < rows; i++)
    memcpy(chunk->states + (size_t)i * size, ce->states + (size_t)numbers[i] * size, size);
  const int failed = parallel_matmul(rows, ce->vocabulary, hidden, states, table, 0.0f, chunk->logits, chunk->columns);
  if (failed) return failed;
#pragma omp parallel for schedule(static)
  for (i64 i = 0; i < rows; i++)
    row_loss(ce, numbers[i], chunk->logits + i * chunk->columns, chunk->dlogits + i * chunk->columns);
  return ce->dstates ? chunk_gradients(ce, chunk, numbers, first) : 0;
}

/* Compute the rows numbers[0 .. count - 1] in chunks. MindSpore provides the workspace, because memory that is allocated
   for each call costs a page fault for each page: 4% of the time of a vocabulary of 45,744. */
static int compute_rows(const CrossEntropy *ce, const i64 *numbers, i64 count) {
  const i64 rows = ce->chunk_rows, columns = spread_length(ce->vocabulary);
  float *dstates = ce->workspace + rows * columns, *states = dstates + rows * ce->hidden;
  Chunk chunk = {0, columns, ce->workspace, dstates, (char *)states, (bfloat16 *)(states + rows * ce->hidden)};
  if (ce->workspace_columns < columns + 2 * ce->hidden + (ce->rounded ? columns / 2 : 0)) return OUT_OF_RANGE;
  int failed = 0;
  for (i64 first = 0; first < count && !failed; first += rows) {
    chunk.rows = min_of(rows, count - first);
    failed = compute_chunk(ce, &chunk, numbers + first, first == 0);
  }
  return failed;
}

/* Compute everything. All sums over rows have one order, whatever the number of threads. */
static int compute(const CrossEntropy *ce) {
  const size_t row_size = sizeof(float) * (size_t)ce->hidden;
  if (!all_below(ce->labels, ce->rows, ce->vocabulary, "label")) return OUT_OF_RANGE;
  i64 *numbers = malloc(sizeof(i64) * (size_t)(ce->rows + 1)), count = 0; /* of the rows that are predicted */
  if (!numbers) return OUT_OF_MEMORY;
  for (i64 r = 0; r < ce->rows; r++) {
    ce->losses[r] = ce->nll[r] = 0.0f;
    if (ce->labels[r]) numbers[count++] = r;
    else if (ce->dstates) memset(ce->dstates + r * ce->hidden, 0, row_size);
  }
  if (ce->dtable && count == 0) memset(ce->dtable, 0, row_size * (size_t)ce->vocabulary);
  if (ce->rounded) parallel_round(ce->table, ce->vocabulary * ce->hidden, ce->rounded_table);
  const int failed = compute_rows(ce, numbers, count);
  free(numbers);
  double total = 0.0;
  for (i64 r = 0; r < ce->rows; r++) total += ce->losses[r];
  ce->total[0] = (float)total;
  return failed;
}

/* Reads the inputs and outputs. The last output is the workspace, and the one before it is the rounded table if the
   states are rounded. */
static CrossEntropy cross_entropy(int count, void **params, int64_t **shapes, const char **dtypes) {
  return (CrossEntropy){.rows = shapes[0][0], .hidden = shapes[0][1], .vocabulary = shapes[1][0],
                        .rounded = is_bfloat16(dtypes[0]), .states = IN(char, 0), .table = IN(float, 1),
                        .rounded_table = OUT(bfloat16, count - 2), .labels = IN(int32_t, 2),
                        .workspace = OUT(float, count - 1), .chunk_rows = shapes[count - 1][0],
                        .workspace_columns = shapes[count - 1][1],
                        .target_weight = IN(float, 3)[0], .other_weight = IN(float, 3)[1],
                        .total = OUT(float, 4), .losses = OUT(float, 5), .nll = OUT(float, 6)};
}

/* states [rows, hidden], table [vocabulary, hidden], labels [rows], target_weight and other_weight [2] ->
   the sum of the losses [1], the losses [rows], nll [rows]; if the states are bfloat16, also the rounded table; the
   workspace [rows of a chunk, numbers for each], whose content means nothing */
KERNEL(cross_entropy_forward) {
  const CrossEntropy ce = cross_entropy(count, params, shapes, dtypes);
  return compute(&ce);
}

/* As cross_entropy_forward, and the gradients of the sum of the losses: ..., dstates [rows, hidden],
   dtable [vocabulary, hidden], both float32; if the states are bfloat16, also the rounded table; the workspace */
KERNEL(cross_entropy_gradients) {
  CrossEntropy ce = cross_entropy(count, params, shapes, dtypes);
  ce.dstates = OUT(float, 7), ce.dtable = OUT(float, 8);
  return compute(&ce);
}

/* The gradient of the sum [1], dstates [rows, hidden], dtable [vocabulary, hidden] -> both times that gradient */
KERNEL(cross_entropy_backward) {
  const float gradient = IN(float, 0)[0], *dstates = IN(float, 1), *dtable = IN(float, 2);
  float *scaled_states = OUT(float, 3), *scaled_table = OUT(float, 4);
  const i64 states_numbers = shapes[1][0] * shapes[1][1], table_numbers = shapes[2][0] * shapes[2][1];
#pragma omp parallel for schedule(static)
  for (i64 i = 0; i < states_numbers; i++) scaled_states[i] = gradient * dstates[i];
#pragma omp parallel for schedule(static)
  for (i64 i = 0; i < table_numbers; i++) scaled_table[i] = gradient * dtable[i];
  return 0;
}
