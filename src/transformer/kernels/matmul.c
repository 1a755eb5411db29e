/* Matrix multiplication of a dense layer:

     out = x weight^T, dx = dout weight, dweight = dout^T x

   It calls the sgemm of oneDNN, the library that MindSpore itself uses, with one part of the result for each thread, and
   is as fast as MindSpore's own product (benchmarks/kernels.py). */
#include "matmul.h"
#include "kernel.h"
#include "onednn.h"

static Sgemm find_sgemm(void) {
  static Sgemm found;
  if (!found) *(void **)&found = find_onednn("dnnl_sgemm");
  return found;
}

/* Returns 1 if this process has loaded oneDNN, which the kernels below need, else 0; for Python. */
int matmul_available(void) { return find_sgemm() != NULL; }

/* The rows of a factor, or the columns if `columns`, from `first` on. */
static const float *part_of(Factor f, i64 first, int columns) {
  return f.data + ((f.transposed == 'T') == columns ? first * f.columns : first);
}

/* Each thread computes some rows of c, or some columns if c has more of them. */
static int multiply_parts(Sgemm sgemm, i64 m, i64 n, i64 k, Factor a, Factor b, float beta, float *c, i64 columns) {
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    const Part part = part_of_thread(m > n ? m : n);
    const i64 first = part.first, count = part.count;
    if (count > 0 && m > n)
      failed = sgemm(a.transposed, b.transposed, count, n, k, 1.0f, part_of(a, first, 0), a.columns, b.data, b.columns,
                     beta, c + first * columns, columns);
    else if (count > 0)
      failed = sgemm(a.transposed, b.transposed, m, count, k, 1.0f, a.data, a.columns, part_of(b, first, 1), b.columns,
                     beta, c + first, columns);
  }
  return failed;
}

/* Returns whether the rows of a^T or b in a^T b, `columns` floats apart, should be moved apart first. oneDNN reads the
   numbers of a column one after another. If they are a multiple of 2 KiB apart, they share a few places of the cache,
   and without AVX-512 the product takes up to twice the time (the row "matmul" of benchmarks/kernels.py). */
static int should_spread(Factor f, i64 smallest) { return f.columns >= smallest && f.columns % 512 == 0; }

/* Returns f [rows, length], as it lies in memory, with its rows a cache line further apart; its data are NULL if there
   is not enough memory. */
static Factor spread(Factor f, i64 rows, i64 length) {
  const i64 columns = round_up(length, CACHE_LINE) | CACHE_LINE;
  float *copy = malloc(sizeof(float) * (size_t)(rows * columns + 1));
  if (copy) {
#pragma omp parallel for schedule(static)
    for (i64 r = 0; r < rows; r++) memcpy(copy + r * columns, f.data + r * f.columns, sizeof(float) * (size_t)length);
  }
  return (Factor){copy, columns, f.transposed};
}

int parallel_matmul(i64 m, i64 n, i64 k, Factor a, Factor b, float beta, float *c, i64 columns) {
  const Sgemm sgemm = find_sgemm();
  if (!sgemm) return NO_LIBRARY;
  const int by_columns = a.transposed == 'T' && b.transposed == 'N';
  const int spread_a = by_columns && should_spread(a, 512), spread_b = by_columns && should_spread(b, 1536);
  if (spread_a) a = spread(a, k, m);
  if (spread_b) b = spread(b, k, n);
  const int failed = a.data && b.data ? multiply_parts(sgemm, m, n, k, a, b, beta, c, columns) : OUT_OF_MEMORY;
  if (spread_a) free((void *)a.data);
  if (spread_b) free((void *)b.data);
  return failed;
}

/* x [rows, in], weight [out, in] -> out [rows, out] */
KERNEL(matmul_forward) {
  const i64 rows = shapes[0][0], in = shapes[0][1], out = shapes[1][0];
  const Factor x = {IN(float, 0), in, 'N'}, weight = {IN(float, 1), in, 'T'};
  return parallel_matmul(rows, out, in, x, weight, 0.0f, OUT(float, 2), out);
}

/* dout [rows, out], x [rows, in], weight [out, in] -> dx [rows, in], dweight [out, in] */
KERNEL(matmul_backward) {
  const i64 rows = shapes[1][0], in = shapes[1][1], out = shapes[2][0];
  const Factor dout = {IN(float, 0), out, 'N'}, dout_transposed = {IN(float, 0), out, 'T'};
  const Factor x = {IN(float, 1), in, 'N'}, weight = {IN(float, 2), in, 'N'};
  const int failed = parallel_matmul(rows, in, out, dout, weight, 0.0f, OUT(float, 3), in);
  return failed ? failed : parallel_matmul(out, in, rows, dout_transposed, x, 0.0f, OUT(float, 4), in);
}
