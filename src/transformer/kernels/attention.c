/* Scaled dot-product attention with several heads, for rows that hold one or several sequences.

   Sequence number s of a row attends to sequence s of the row of keys and to nothing else, so only the tiles that can
   be seen are computed, and no weights are kept: the backward pass computes them again from the log-sum-exp of the
   scores (as Dao et al., 2022, do). Queries, keys and values come as products without their biases. */
#include "common.h"

#include <math.h>

enum { WIDTH = 16 }; /* floats of a vector; buffers are padded to it */
typedef float vector __attribute__((vector_size(4 * WIDTH), aligned(4)));

/* ---- Small matrix products: c [m, n] = a [m, k] b [k, n], n a multiple of WIDTH; `a_row` and `a_column` are the
   strides of a, which may thus stand for its transpose. */

static inline __attribute__((always_inline)) void tile(const int tile_rows, const int tile_vectors, i64 k,
                                                       const float *a, i64 a_row, i64 a_column, const float *b,
                                                       i64 b_row, float *c, i64 c_row) {
  vector sums[4][2];
  for (int i = 0; i < tile_rows; i++)
    for (int j = 0; j < tile_vectors; j++) sums[i][j] = (vector){0};
  for (i64 p = 0; p < k; p++) {
    vector from[2];
    for (int j = 0; j < tile_vectors; j++) from[j] = *(const vector *)(b + p * b_row + j * WIDTH);
    for (int i = 0; i < tile_rows; i++) {
      const float factor = a[i * a_row + p * a_column];
      for (int j = 0; j < tile_vectors; j++) sums[i][j] += from[j] * factor;
    }
  }
  for (int i = 0; i < tile_rows; i++)
    for (int j = 0; j < tile_vectors; j++) *(vector *)(c + i * c_row + j * WIDTH) = sums[i][j];
}

static void multiply(i64 m, i64 n, i64 k, const float *a, i64 a_row, i64 a_column, const float *b, i64 b_row, float *c,
                     i64 c_row) {
  for (i64 j = 0; j < n; j += 2 * WIDTH) {
    const int two = j + WIDTH < n;
    i64 i = 0;
    for (; i + 4 <= m; i += 4)
      if (two)
        tile(4, 2, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
      else
        tile(4, 1, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
    for (; i < m; i++)
      if (two)
        tile(1, 2, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
      else
        tile(1, 1, k, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row);
  }
}

/* ---- The problem and the part of it that one thread works on. */

typedef struct {
  i64 batch, heads, query_len, key_len, size; /* size of a head */
  int causal;
  const float *queries, *keys, *values, *query_bias, *key_bias, *value_bias;
  const int32_t *query_segments, *key_segments;
  Dropout dropout;
  float scale;
} Attention;

/* One head of one sequence: rows [query_start, query_start + query_count) of row `row`, and its keys likewise. */
typedef struct {
  i64 row, head, query_start, query_count, key_start, key_count;
} Task;

/* Buffers of a thread, for the longest sequences possible. */
typedef struct {
  float *memory, *q, *k, *k_transposed, *v, *v_transposed, *scores, *dscores, *out, *dout, *factors;
  uint64_t *bits;
  i64 wide_keys, wide_size; /* rounded up to WIDTH */
} Scratch;

/* Inputs from `first` on: queries, keys, values, their biases, segments of queries and keys, {heads, causal}, seed,
   site, probability. */
static Attention make_attention(void **params, int64_t **shapes, int first) {
  Attention a;
  const int32_t *options = IN(int32_t, first + 8);
  a.queries = IN(float, first), a.keys = IN(float, first + 1), a.values = IN(float, first + 2);
  a.query_bias = IN(float, first + 3), a.key_bias = IN(float, first + 4), a.value_bias = IN(float, first + 5);
  a.query_segments = IN(int32_t, first + 6), a.key_segments = IN(int32_t, first + 7);
  a.batch = shapes[first + 6][0], a.query_len = shapes[first + 6][1], a.key_len = shapes[first + 7][1];
  a.heads = options[0], a.causal = options[1];
  a.size = shapes[first][1] / a.heads;
  a.dropout = make_dropout(IN(int32_t, first + 9), IN(int32_t, first + 10), IN(float, first + 11));
  a.scale = 1.0f / sqrtf((float)a.size);
  return a;
}

static int make_scratch(Scratch *s, const Attention *a) {
  s->wide_keys = round_up(a->key_len, WIDTH), s->wide_size = round_up(a->size, WIDTH);
  const i64 by_query = a->query_len * s->wide_size, by_key = s->wide_keys * s->wide_size;
  const i64 by_both = a->query_len * s->wide_keys, longest = a->query_len > s->wide_keys ? a->query_len : s->wide_keys;
  s->memory = malloc(sizeof(float) * (size_t)(2 * by_query + 4 * by_key + 2 * by_both + longest * s->wide_size +
                                              s->wide_keys));
  s->bits = malloc(sizeof(uint64_t) * (size_t)words_of(s->wide_keys));
  s->q = s->memory, s->dout = s->q + by_query;
  s->k = s->dout + by_query, s->k_transposed = s->k + by_key, s->v = s->k_transposed + by_key;
  s->v_transposed = s->v + by_key;
  s->scores = s->v_transposed + by_key, s->dscores = s->scores + by_both;
  s->out = s->dscores + by_both, s->factors = s->out + longest * s->wide_size;
  return s->memory && s->bits;
}

static void free_scratch(Scratch *s) {
  free(s->memory);
  free(s->bits);
}

/* The next sequence of a row of queries, from *at on, with its keys; 0 if there is none. A sequence without keys is
   passed over. */
static int next_task(const Attention *a, Task *task, i64 *at) {
  const int32_t *queries = a->query_segments + task->row * a->query_len;
  const int32_t *keys = a->key_segments + task->row * a->key_len;
  while (*at < a->query_len) {
    const int32_t number = queries[*at];
    const i64 start = *at;
    while (*at < a->query_len && queries[*at] == number) (*at)++;
    if (number == 0) continue;
    i64 first = 0;
    while (first < a->key_len && abs(keys[first]) != number) first++;
    i64 last = first;
    while (last < a->key_len && abs(keys[last]) == number) last++;
    if (last == first) continue;
    task->query_start = start, task->query_count = *at - start;
    task->key_start = first, task->key_count = last - first;
    return 1;
  }
  return 0;
}

/* to [count, wide] = (from + bias) * scale, for one head; the columns from `size` on are 0. */
static void load(const Attention *a, const float *from, const float *bias, i64 len, i64 start, i64 count, float scale,
                 const Task *task, i64 wide, float *to) {
  const i64 hidden = a->heads * a->size;
  bias += task->head * a->size;
  for (i64 i = 0; i < count; i++) {
    const float *row = from + (task->row * len + start + i) * hidden + task->head * a->size;
    for (i64 c = 0; c < a->size; c++) to[i * wide + c] = (row[c] + bias[c]) * scale;
    for (i64 c = a->size; c < wide; c++) to[i * wide + c] = 0.0f;
  }
}

/* to [columns, wide_rows] = the transpose of from [rows, columns]; the columns from `rows` on are 0. */
static void transpose(const float *from, i64 rows, i64 columns, i64 wide_rows, float *to) {
  for (i64 c = 0; c < columns; c++) {
    for (i64 r = 0; r < rows; r++) to[c * wide_rows + r] = from[r * columns + c];
    for (i64 r = rows; r < wide_rows; r++) to[c * wide_rows + r] = 0.0f;
  }
}

/* Put `count` rows of a head, [count, wide], times `scale` back into a matrix of all heads. */
static void store(const Attention *a, const float *from, i64 wide, float scale, const Task *task, i64 len, i64 start,
                  i64 count, float *to) {
  const i64 hidden = a->heads * a->size;
  for (i64 i = 0; i < count; i++) {
    float *row = to + (task->row * len + start + i) * hidden + task->head * a->size;
    for (i64 c = 0; c < a->size; c++) row[c] = from[i * wide + c] * scale;
  }
}

static void clear(const Attention *a, const Task *task, i64 len, float *to) {
  const i64 hidden = a->heads * a->size;
  for (i64 i = 0; i < len; i++)
    memset(to + (task->row * len + i) * hidden + task->head * a->size, 0, sizeof(float) * (size_t)a->size);
}

/* Queries times transposed keys into `scores` [query_count, wide keys of this task]; returns that width. */
static i64 compute_scores(const Attention *a, const Task *task, Scratch *s) {
  const i64 wide = round_up(task->key_count, WIDTH);
  load(a, a->queries, a->query_bias, a->query_len, task->query_start, task->query_count, a->scale, task, s->wide_size,
       s->q);
  load(a, a->keys, a->key_bias, a->key_len, task->key_start, task->key_count, 1.0f, task, s->wide_size, s->k);
  load(a, a->values, a->value_bias, a->key_len, task->key_start, task->key_count, 1.0f, task, s->wide_size, s->v);
  transpose(s->k, task->key_count, s->wide_size, wide, s->k_transposed);
  multiply(task->query_count, wide, s->wide_size, s->q, s->wide_size, 1, s->k_transposed, wide, s->scores, wide);
  return wide;
}

/* Scores of the keys that query i of the task must not see become -infinity; returns how many it sees. */
static i64 hide(const Attention *a, const Task *task, i64 i, i64 wide, float *scores) {
  const int32_t *segments = a->key_segments + task->row * a->key_len + task->key_start;
  const i64 reach = a->causal ? min_of(i + 1, task->key_count) : task->key_count;
  i64 seen = 0;
  for (i64 j = 0; j < reach; j++) {
    seen += segments[j] > 0;
    scores[j] = segments[j] > 0 ? scores[j] : -INFINITY;
  }
  for (i64 j = reach; j < wide; j++) scores[j] = -INFINITY;
  return seen;
}

/* Dropout factors of the weights of query i, one for each key of the task. */
static void weight_factors(const Attention *a, const Task *task, i64 i, i64 wide, Scratch *s) {
  const i64 row = (task->row * a->heads + task->head) * a->query_len + task->query_start + i;
  dropout_factors(&a->dropout, row, words_of(a->key_len) + WIDTH, 0, wide, s->bits, s->factors);
}

static void attend(const Attention *a, const Task *task, Scratch *s, float *out, float *log_sums) {
  const i64 wide = compute_scores(a, task, s);
  log_sums += (task->row * a->heads + task->head) * a->query_len + task->query_start;
  for (i64 i = 0; i < task->query_count; i++) {
    float *scores = s->scores + i * wide;
    const i64 seen = hide(a, task, i, wide, scores);
    float largest = -INFINITY, sum = 0.0f;
#pragma omp simd reduction(max : largest)
    for (i64 j = 0; j < wide; j++) largest = scores[j] > largest ? scores[j] : largest;
    if (seen == 0) largest = 0.0f; /* all weights become 0; scores that have overflowed to -infinity give NaN */
#pragma omp simd reduction(+ : sum)
    for (i64 j = 0; j < wide; j++) {
      scores[j] = fast_exp(scores[j] - largest);
      sum += scores[j];
    }
    const float factor = seen == 0 ? 0.0f : 1.0f / sum;
    log_sums[i] = seen == 0 ? 0.0f : largest + logf(sum);
    weight_factors(a, task, i, wide, s);
    for (i64 j = 0; j < wide; j++) scores[j] *= factor * s->factors[j];
  }
  multiply(task->query_count, s->wide_size, task->key_count, s->scores, wide, 1, s->v, s->wide_size, s->out,
           s->wide_size);
  store(a, s->out, s->wide_size, 1.0f, task, a->query_len, task->query_start, task->query_count, out);
}

/* Inputs of make_attention -> mixed values [batch * query_len, hidden], log-sum-exp of the scores
   [batch, heads, query_len]. Key segments are negative where a key is there but hidden, 0 at padding. */
KERNEL(attention_forward) {
  const Attention a = make_attention(params, shapes, 0);
  float *out = OUT(float, 12), *log_sums = OUT(float, 13);
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    Scratch s;
    failed = !make_scratch(&s, &a);
#pragma omp for schedule(static)
    for (i64 n = 0; n < a.batch * a.heads; n++) {
      if (failed) continue;
      Task task = {.row = n / a.heads, .head = n % a.heads};
      clear(&a, &task, a.query_len, out);
      memset(log_sums + n * a.query_len, 0, sizeof(float) * (size_t)a.query_len);
      for (i64 at = 0; next_task(&a, &task, &at);) attend(&a, &task, &s, out, log_sums);
    }
    free_scratch(&s);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* With weights w = softmax(scores), dropout factors f and dw = dout v^T: the gradient of the scores is
   w (f dw - sum(w f dw)). */
static void attend_backward(const Attention *a, const Task *task, Scratch *s, const float *dout, const float *log_sums,
                            float *dqueries, float *dkeys, float *dvalues) {
  const i64 wide = compute_scores(a, task, s), size = s->wide_size, hidden = a->heads * a->size;
  for (i64 i = 0; i < task->query_count; i++) {
    const float *from = dout + (task->row * a->query_len + task->query_start + i) * hidden + task->head * a->size;
    for (i64 c = 0; c < size; c++) s->dout[i * size + c] = c < a->size ? from[c] : 0.0f;
  }
  transpose(s->v, task->key_count, size, wide, s->v_transposed);
  multiply(task->query_count, wide, size, s->dout, size, 1, s->v_transposed, wide, s->dscores, wide);
  log_sums += (task->row * a->heads + task->head) * a->query_len + task->query_start;
  for (i64 i = 0; i < task->query_count; i++) {
    float *scores = s->scores + i * wide, *dscores = s->dscores + i * wide, sum = 0.0f;
    hide(a, task, i, wide, scores);
    weight_factors(a, task, i, wide, s);
    const float *factors = s->factors;
#pragma omp simd reduction(+ : sum)
    for (i64 j = 0; j < wide; j++) {
      scores[j] = fast_exp(scores[j] - log_sums[i]);
      sum += scores[j] * factors[j] * dscores[j];
    }
    for (i64 j = 0; j < wide; j++) {
      dscores[j] = scores[j] * (factors[j] * dscores[j] - sum);
      scores[j] *= factors[j];
    }
  }
  multiply(task->query_count, size, task->key_count, s->dscores, wide, 1, s->k, size, s->out, size);
  store(a, s->out, size, a->scale, task, a->query_len, task->query_start, task->query_count, dqueries);
  multiply(task->key_count, size, task->query_count, s->dscores, 1, wide, s->q, size, s->out, size);
  store(a, s->out, size, 1.0f, task, a->key_len, task->key_start, task->key_count, dkeys);
  multiply(task->key_count, size, task->query_count, s->scores, 1, wide, s->dout, size, s->out, size);
  store(a, s->out, size, 1.0f, task, a->key_len, task->key_start, task->key_count, dvalues);
}

/* dout [batch * query_len, hidden], the inputs of attention_forward, its log-sum-exp -> gradients of queries, keys,
   values and of their biases */
KERNEL(attention_backward) {
  const float *dout = IN(float, 0), *log_sums = IN(float, 13);
  const Attention a = make_attention(params, shapes, 1);
  float *dqueries = OUT(float, 14), *dkeys = OUT(float, 15), *dvalues = OUT(float, 16);
  const i64 hidden = a.heads * a.size;
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    Scratch s;
    failed = !make_scratch(&s, &a);
#pragma omp for schedule(static)
    for (i64 n = 0; n < a.batch * a.heads; n++) {
      if (failed) continue;
      Task task = {.row = n / a.heads, .head = n % a.heads};
      clear(&a, &task, a.query_len, dqueries);
      clear(&a, &task, a.key_len, dkeys);
      clear(&a, &task, a.key_len, dvalues);
      for (i64 at = 0; next_task(&a, &task, &at);)
        attend_backward(&a, &task, &s, dout, log_sums, dqueries, dkeys, dvalues);
    }
    free_scratch(&s);
  }
  if (failed) return OUT_OF_MEMORY;
  column_sums(dqueries, a.batch * a.query_len, hidden, OUT(float, 17));
  column_sums(dkeys, a.batch * a.key_len, hidden, OUT(float, 18));
  column_sums(dvalues, a.batch * a.key_len, hidden, OUT(float, 19));
  return 0;
}
