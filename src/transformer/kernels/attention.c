/* Scaled dot-product attention with several heads (Vaswani et al., 2017), for rows that hold one or several sequences.
   For each head, with q = queries + query_bias and so on,

     scores = q k^T / sqrt(size), weights w = softmax(scores), context = (f * w) v

   where f are the dropout factors (0 or 1 / (1 - probability)) and `size` is that of a head. The gradients are, with
   dw = dcontext v^T,

     dscores = w * (f * dw - sum over keys of w * f * dw)
     dq = dscores k / sqrt(size), dk = dscores^T q / sqrt(size), dv = (f * w)^T dcontext

   Sequence s of a row of queries attends to sequence s of the row of keys and to nothing else, so scores are computed
   for pairs of such sequences only. No weights are stored: the backward pass computes them again from the log-sum-exp
   of the scores (as Dao et al., 2022, do). */
#include "bfloat16.h"
#include "column_sums.h"
#include "dropout.h"
#include "fast_exp.h"
#include "kernel.h"
#include "small_matmul.h"

#include <math.h>

/* The words between the dropout factors of a row and those of the next one. It is not WIDTH, because the factors must
   not depend on the processor. */
enum { WORDS_BETWEEN_ROWS = 16 };

/* The inputs of a kernel. */
typedef struct {
  i64 batch, heads, query_len, key_len, size; /* size of a head */
  int causal;
  const float *queries, *keys, *values, *query_bias, *key_bias, *value_bias;
  const int32_t *query_segments, *key_segments;
  Dropout dropout;
  float scale;
} Attention;

/* One head of one sequence, the queries [query_start, query_start + query_count) of a row and its keys likewise: what a
   thread computes at a time. */
typedef struct {
  i64 row, head, query_start, query_count, key_start, key_count;
} Task;

/* A matrix that is computed, of float32 or bfloat16 numbers. */
typedef struct {
  void *data;
  int rounded; /* whether it is of bfloat16 */
} Result;

/* Buffers of one thread, large enough for the longest possible sequences. */
typedef struct {
  float *allocated, *q, *k, *k_transposed, *v, *v_transposed, *scores, *dscores, *result, *dcontext, *factors;
  uint64_t *bits;
  i64 wide_keys, wide_size; /* rounded up to WIDTH */
} Buffers;

/* Reads the inputs from number `first` on: queries [batch * query_len, hidden], keys, values [batch * key_len, hidden],
   query_bias, key_bias, value_bias [hidden], query_segments [batch, query_len], key_segments [batch, key_len],
   {heads, causal} [2], seed [2], site [1], probability [1]. Segments number the sequences of a row from 1 and are 0 at
   padding; those of keys are negative where a key is masked. */
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

static int make_buffers(Buffers *s, const Attention *a) {
  s->wide_keys = round_up(a->key_len, WIDTH), s->wide_size = round_up(a->size, WIDTH);
  const i64 by_query = a->query_len * s->wide_size, by_key = s->wide_keys * s->wide_size;
  const i64 by_both = a->query_len * s->wide_keys, longest = a->query_len > s->wide_keys ? a->query_len : s->wide_keys;
  const i64 size = 2 * by_query + 4 * by_key + 2 * by_both + longest * s->wide_size + s->wide_keys;
  s->allocated = malloc(sizeof(float) * (size_t)size);
  s->bits = malloc(sizeof(uint64_t) * (size_t)words_of(s->wide_keys));
  s->q = s->allocated, s->dcontext = s->q + by_query;
  s->k = s->dcontext + by_query, s->k_transposed = s->k + by_key, s->v = s->k_transposed + by_key;
  s->v_transposed = s->v + by_key;
  s->scores = s->v_transposed + by_key, s->dscores = s->scores + by_both;
  s->result = s->dscores + by_both, s->factors = s->result + longest * s->wide_size;
  return s->allocated && s->bits;
}

static void free_buffers(Buffers *s) {
  free(s->allocated);
  free(s->bits);
}

/* Finds the next sequence of a row of queries, from *at on, and its keys; returns 0 if there is none. Sequences without
   keys are skipped. */
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
static void load_head(const Attention *a, const float *from, const float *restrict bias, i64 len, i64 start, i64 count,
                      float scale, const Task *task, i64 wide, float *restrict to) {
  const i64 hidden = a->heads * a->size, size = a->size;
  bias += task->head * size;
  for (i64 i = 0; i < count; i++) {
    const float *restrict row = from + (task->row * len + start + i) * hidden + task->head * size;
    for (i64 c = 0; c < size; c++) to[i * wide + c] = (row[c] + bias[c]) * scale;
    for (i64 c = size; c < wide; c++) to[i * wide + c] = 0.0f;
  }
}

/* to [columns, wide_rows] = the transpose of from [rows, columns]; the columns from `rows` on are 0. `columns` and
   `wide_rows` are multiples of WIDTH. */
static void transpose(const float *from, i64 rows, i64 columns, i64 wide_rows, float *to) {
  for (i64 r = 0; r < wide_rows; r += WIDTH)
    for (i64 c = 0; c < columns; c += WIDTH)
      transpose_tile(from + r * columns + c, min_of(rows - r, WIDTH), columns, to + c * wide_rows + r, wide_rows);
}

/* Writes `count` rows of one head, [count, wide], times `scale` to their places in a matrix of all heads. */
static void store_head(const Attention *a, const float *from, i64 wide, float scale, const Task *task, i64 len,
                       i64 start, i64 count, Result to) {
  const i64 hidden = a->heads * a->size;
  for (i64 i = 0; i < count; i++) {
    const i64 at = (task->row * len + start + i) * hidden + task->head * a->size;
    if (to.rounded)
      for (i64 c = 0; c < a->size; c++) ((bfloat16 *)to.data)[at + c] = round_float(from[i * wide + c] * scale);
    else
      for (i64 c = 0; c < a->size; c++) ((float *)to.data)[at + c] = from[i * wide + c] * scale;
  }
}

/* Sets one head of a row of `len` queries or keys to 0. */
static void clear_head(const Attention *a, const Task *task, i64 len, Result to) {
  const i64 hidden = a->heads * a->size, bytes = to.rounded ? sizeof(bfloat16) : sizeof(float);
  for (i64 i = 0; i < len; i++)
    memset((char *)to.data + ((task->row * len + i) * hidden + task->head * a->size) * bytes, 0,
           (size_t)(a->size * bytes));
}

/* Computes the scores [query_count, wide], where wide, which is returned, is key_count rounded up to WIDTH. */
static i64 compute_scores(const Attention *a, const Task *task, Buffers *s) {
  const i64 wide = round_up(task->key_count, WIDTH);
  load_head(a, a->queries, a->query_bias, a->query_len, task->query_start, task->query_count, a->scale, task,
            s->wide_size, s->q);
  load_head(a, a->keys, a->key_bias, a->key_len, task->key_start, task->key_count, 1.0f, task, s->wide_size, s->k);
  load_head(a, a->values, a->value_bias, a->key_len, task->key_start, task->key_count, 1.0f, task, s->wide_size, s->v);
  transpose(s->k, task->key_count, s->wide_size, wide, s->k_transposed);
  small_matmul(task->query_count, wide, s->wide_size, s->q, s->wide_size, 1, s->k_transposed, wide, s->scores, wide);
  return wide;
}

/* Sets the scores of the keys that query i of the task does not attend to, to -infinity; returns the number of those
   that it attends to. */
static i64 mask_scores(const Attention *a, const Task *task, i64 i, i64 wide, float *scores) {
  const int32_t *segments = a->key_segments + task->row * a->key_len + task->key_start;
  const i64 last = a->causal ? min_of(i + 1, task->key_count) : task->key_count;
  i64 attended = 0;
  for (i64 j = 0; j < last; j++) {
    attended += segments[j] > 0;
    scores[j] = segments[j] > 0 ? scores[j] : -INFINITY;
  }
  for (i64 j = last; j < wide; j++) scores[j] = -INFINITY;
  return attended;
}

/* Draws the dropout factors of the weights of query i, one for each key of the task. */
static void weight_factors(const Attention *a, const Task *task, i64 i, i64 wide, Buffers *s) {
  const i64 row = (task->row * a->heads + task->head) * a->query_len + task->query_start + i;
  dropout_factors(&a->dropout, row, words_of(a->key_len) + WORDS_BETWEEN_ROWS, 0, wide, s->bits, s->factors);
}

/* Computes the context and the log-sum-exp of the scores for the queries of one task. */
static void attend_forward(const Attention *a, const Task *task, Buffers *s, Result context, float *log_sums) {
  const i64 wide = compute_scores(a, task, s);
  log_sums += (task->row * a->heads + task->head) * a->query_len + task->query_start;
  for (i64 i = 0; i < task->query_count; i++) {
    float *scores = s->scores + i * wide;
    const i64 attended = mask_scores(a, task, i, wide, scores);
    float largest = -INFINITY, sum = 0.0f;
#pragma omp simd reduction(max : largest)
    for (i64 j = 0; j < wide; j++) largest = scores[j] > largest ? scores[j] : largest;
    if (attended == 0) largest = 0.0f; /* all weights are 0; attended scores of -infinity (overflow) give NaN */
#pragma omp simd reduction(+ : sum)
    for (i64 j = 0; j < wide; j++) {
      scores[j] = fast_exp(scores[j] - largest);
      sum += scores[j];
    }
    const float factor = attended == 0 ? 0.0f : 1.0f / sum;
    log_sums[i] = attended == 0 ? 0.0f : largest + logf(sum);
    weight_factors(a, task, i, wide, s);
    for (i64 j = 0; j < wide; j++) scores[j] *= factor * s->factors[j];
  }
  small_matmul(task->query_count, s->wide_size, task->key_count, s->scores, wide, 1, s->v, s->wide_size, s->result,
               s->wide_size);
  store_head(a, s->result, s->wide_size, 1.0f, task, a->query_len, task->query_start, task->query_count, context);
}

/* The inputs of make_attention -> context [batch * query_len, hidden] float32 or bfloat16, log-sum-exp of the scores
   [batch, heads, query_len]. The context is 0 where a query has no key to attend to. */
KERNEL(attention_forward) {
  const Attention a = make_attention(params, shapes, 0);
  const Result context = {params[12], is_bfloat16(dtypes[12])};
  float *log_sums = OUT(float, 13);
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    Buffers s;
    failed = !make_buffers(&s, &a);
#pragma omp for schedule(static)
    for (i64 n = 0; n < a.batch * a.heads; n++) {
      if (failed) continue;
      Task task = {.row = n / a.heads, .head = n % a.heads};
      clear_head(&a, &task, a.query_len, context);
      memset(log_sums + n * a.query_len, 0, sizeof(float) * (size_t)a.query_len);
      for (i64 at = 0; next_task(&a, &task, &at);) attend_forward(&a, &task, &s, context, log_sums);
    }
    free_buffers(&s);
  }
  return failed ? OUT_OF_MEMORY : 0;
}

/* Computes the gradients of the queries, keys and values of one task. */
static void attend_backward(const Attention *a, const Task *task, Buffers *s, const float *dcontext,
                            const float *log_sums, Result dqueries, Result dkeys, Result dvalues) {
  const i64 wide = compute_scores(a, task, s), size = s->wide_size, hidden = a->heads * a->size;
  for (i64 i = 0; i < task->query_count; i++) {
    const i64 row = task->row * a->query_len + task->query_start + i;
    const float *from = dcontext + row * hidden + task->head * a->size;
    for (i64 c = 0; c < size; c++) s->dcontext[i * size + c] = c < a->size ? from[c] : 0.0f;
  }
  transpose(s->v, task->key_count, size, wide, s->v_transposed);
  small_matmul(task->query_count, wide, size, s->dcontext, size, 1, s->v_transposed, wide, s->dscores, wide);
  log_sums += (task->row * a->heads + task->head) * a->query_len + task->query_start;
  for (i64 i = 0; i < task->query_count; i++) {
    float *scores = s->scores + i * wide, *dscores = s->dscores + i * wide, sum = 0.0f;
    mask_scores(a, task, i, wide, scores);
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
  small_matmul(task->query_count, size, task->key_count, s->dscores, wide, 1, s->k, size, s->result, size);
  store_head(a, s->result, size, a->scale, task, a->query_len, task->query_start, task->query_count, dqueries);
  small_matmul(task->key_count, size, task->query_count, s->dscores, 1, wide, s->q, size, s->result, size);
  store_head(a, s->result, size, 1.0f, task, a->key_len, task->key_start, task->key_count, dkeys);
  small_matmul(task->key_count, size, task->query_count, s->scores, 1, wide, s->dcontext, size, s->result, size);
  store_head(a, s->result, size, 1.0f, task, a->key_len, task->key_start, task->key_count, dvalues);
}

/* dcontext [batch * query_len, hidden], the inputs of make_attention, log-sum-exp of the scores
   [batch, heads, query_len] -> dqueries [batch * query_len, hidden], dkeys, dvalues [batch * key_len, hidden], all
   float32 or all bfloat16, dquery_bias, dkey_bias, dvalue_bias [hidden] */
KERNEL(attention_backward) {
  const float *dcontext = IN(float, 0), *log_sums = IN(float, 13);
  const Attention a = make_attention(params, shapes, 1);
  const int rounded = is_bfloat16(dtypes[14]);
  const Result dqueries = {params[14], rounded}, dkeys = {params[15], rounded}, dvalues = {params[16], rounded};
  const i64 hidden = a.heads * a.size;
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    Buffers s;
    failed = !make_buffers(&s, &a);
#pragma omp for schedule(static)
    for (i64 n = 0; n < a.batch * a.heads; n++) {
      if (failed) continue;
      Task task = {.row = n / a.heads, .head = n % a.heads};
      clear_head(&a, &task, a.query_len, dqueries);
      clear_head(&a, &task, a.key_len, dkeys);
      clear_head(&a, &task, a.key_len, dvalues);
      for (i64 at = 0; next_task(&a, &task, &at);)
        attend_backward(&a, &task, &s, dcontext, log_sums, dqueries, dkeys, dvalues);
    }
    free_buffers(&s);
  }
  if (failed) return OUT_OF_MEMORY;
  column_sums(dqueries.data, rounded, a.batch * a.query_len, hidden, OUT(float, 17));
  column_sums(dkeys.data, rounded, a.batch * a.key_len, hidden, OUT(float, 18));
  column_sums(dvalues.data, rounded, a.batch * a.key_len, hidden, OUT(float, 19));
  return 0;
}
