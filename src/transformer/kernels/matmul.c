/* Matrix multiplication of a dense layer:

     out = x weight^T, dx = dout weight, dweight = dout^T x

   It calls the products of oneDNN, the library that MindSpore itself uses, with one part of the result for each thread.
   Products of bfloat16 matrices are oneDNN's where it has instructions for them. Elsewhere the factors are widened and
   multiplied as float32: the same result but for the order of the sums, slower than if they had never been rounded. */
#include "matmul.h"
#include "bfloat16.h"
#include "kernel.h"
#include "onednn.h"

/* Bits of the instruction sets of oneDNN (its type dnnl_cpu_isa_t). A set has the bits of all lesser ones. */
enum { ISA_AVX512 = 1 << 5, ISA_AVX512_BF16 = 1 << 7 };

static Sgemm find_sgemm(void) {
  static Sgemm found;
  if (!found) *(void **)&found = find_onednn("dnnl_sgemm");
  return found;
}

/* Returns 1 if this process has loaded oneDNN, which the kernels below need, else 0; for Python. */
int matmul_available(void) { return find_sgemm() != NULL; }

/* Whether oneDNN uses an instruction set: it asks the processor and respects its variable ONEDNN_MAX_CPU_ISA. */
static int uses(int isa) {
  int (*effective_isa)(void);
  *(void **)&effective_isa = find_onednn("dnnl_get_effective_cpu_isa");
  return effective_isa && (effective_isa() & isa) != 0;
}

/* Returns 1 if oneDNN multiplies bfloat16 matrices with instructions for them (AVX512-BF16 or AMX-BF16), else 0; for
   Python (operators/number_format.py). */
int fast_bfloat16(void) { return find_onednn("dnnl_gemm_bf16bf16f32") && uses(ISA_AVX512_BF16); }

/* NULL if there are no instructions for it. */
static Bgemm find_bgemm(void) {
  static Bgemm found;
  static int asked;
  if (!__atomic_load_n(&asked, __ATOMIC_ACQUIRE)) {
    if (fast_bfloat16()) *(void **)&found = find_onednn("dnnl_gemm_bf16bf16f32");
    __atomic_store_n(&asked, 1, __ATOMIC_RELEASE);
  }
  return found;
}

/* The rows of a factor, or its columns if `columns`, from number `first` on. */
static Factor part_of(Factor f, i64 first, int columns) {
  const i64 numbers = (f.transposed == 'T') == columns ? first * f.columns : first;
  f.data = (const char *)f.data + numbers * (i64)(f.rounded ? sizeof(bfloat16) : sizeof(float));
  return f;
}

/* The product of one thread. */
static int multiply(i64 m, i64 n, i64 k, Factor a, Factor b, float beta, float *c, i64 columns) {
  return a.rounded ? find_bgemm()(a.transposed, b.transposed, m, n, k, 1.0f, a.data, a.columns, b.data, b.columns, beta,
                                  c, columns)
                   : find_sgemm()(a.transposed, b.transposed, m, n, k, 1.0f, a.data, a.columns, b.data, b.columns, beta,
                                  c, columns);
}

/* Each thread computes some rows of c, or some columns if c has more of them. The parts are the same, and so is the
   rounding, if OpenMP provides fewer threads. */
static int multiply_parts(i64 m, i64 n, i64 k, Factor a, Factor b, float beta, float *c, i64 columns) {
  const int threads = kernel_threads();
  int failed = 0;
#pragma omp parallel for schedule(static) reduction(| : failed)
  for (int number = 0; number < threads; number++) {
    const Part part = part_number(number, m > n ? m : n);
    const i64 first = part.first, count = part.count;
    if (count > 0 && m > n)
      failed |= multiply(count, n, k, part_of(a, first, 0), b, beta, c + first * columns, columns);
    else if (count > 0)
      failed |= multiply(m, count, k, a, part_of(b, first, 1), beta, c + first, columns);
  }
  return failed;
}

/* Returns whether a factor is copied before the product. A rounded one must be widened if there are no instructions for
   bfloat16. In a^T b, oneDNN reads the numbers of a column one after another. If they are a multiple of 2 KiB apart,
   they share a few places of the cache, and the product takes up to twice the time (the row "matmul" of
   benchmarks/kernels.py). This and `smallest`, the number of columns from which on a copy is faster, were measured on a
   processor with AVX2 (Zen 3); with AVX-512, nothing is copied. */
static int needs_copy(Factor f, int by_columns, i64 smallest) {
  if (f.rounded) return !find_bgemm();
  return by_columns && f.columns >= smallest && f.columns % 512 == 0 && !uses(ISA_AVX512);
}

/* Returns a factor, [rows, length] as it lies in memory, as float32 and with rows whose beginnings share no places of
   the cache. Its data are NULL if there is not enough memory. */
static Factor float_copy(Factor f, i64 rows, i64 length) {
  const i64 columns = spread_length(length);
  float *copy = malloc(sizeof(float) * (size_t)(rows * columns + 1));
  if (copy) {
#pragma omp parallel for schedule(static)
    for (i64 r = 0; r < rows; r++)
      if (f.rounded)
        widen_all((const bfloat16 *)f.data + r * f.columns, length, copy + r * columns);
      else
        memcpy(copy + r * columns, (const float *)f.data + r * f.columns, sizeof(float) * (size_t)length);
  }
  return (Factor){copy, columns, f.transposed, 0};
}

int parallel_matmul(i64 m, i64 n, i64 k, Factor a, Factor b, float beta, float *c, i64 columns) {
  if (!find_sgemm()) return NO_LIBRARY;
  const int by_columns = a.transposed == 'T' && b.transposed == 'N';
  const int copy_a = needs_copy(a, by_columns, 512), copy_b = needs_copy(b, by_columns, 1536);
  if (copy_a) a = a.transposed == 'T' ? float_copy(a, k, m) : float_copy(a, m, k);
  if (copy_b) b = b.transposed == 'T' ? float_copy(b, n, k) : float_copy(b, k, n);
  const int failed = a.data && b.data ? multiply_parts(m, n, k, a, b, beta, c, columns) : OUT_OF_MEMORY;
  if (copy_a) free((void *)a.data);
  if (copy_b) free((void *)b.data);
  return failed;
}

/* x [rows, in], weight [out, in] -> out [rows, out] */
KERNEL(matmul_forward) {
  const i64 rows = shapes[0][0], in = shapes[0][1], out = shapes[1][0];
  const Factor x = {IN(float, 0), in, 'N', 0}, weight = {IN(float, 1), in, 'T', 0};
  return parallel_matmul(rows, out, in, x, weight, 0.0f, OUT(float, 2), out);
}

/* dout [rows, out], x [rows, in], weight [out, in] -> dx [rows, in], dweight [out, in] */
KERNEL(matmul_backward) {
  const i64 rows = shapes[1][0], in = shapes[1][1], out = shapes[2][0];
  const Factor dout = {IN(float, 0), out, 'N', 0}, dout_transposed = {IN(float, 0), out, 'T', 0};
  const Factor x = {IN(float, 1), in, 'N', 0}, weight = {IN(float, 2), in, 'N', 0};
  const int failed = parallel_matmul(rows, in, out, dout, weight, 0.0f, OUT(float, 3), in);
  return failed ? failed : parallel_matmul(out, in, rows, dout_transposed, x, 0.0f, OUT(float, 4), in);
}
