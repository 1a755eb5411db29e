/* Products of bfloat16 matrices. They are oneDNN's where its products of this type are available, with one part of the
   result for each thread, as for float32 (matmul.c). Elsewhere the factors are widened and multiplied as float32: the
   same result but for the order of the sums, slower than if they had never been rounded. */
#include "bfloat16_matmul.h"
#include "onednn.h"

/* As Sgemm (onednn.h), with factors in bfloat16. */
typedef int (*Bgemm)(char transa, char transb, i64 m, i64 n, i64 k, float alpha, const bfloat16 *a, i64 lda,
                     const bfloat16 *b, i64 ldb, float beta, float *c, i64 ldc);

enum { ISA_AVX512_BF16 = 1 << 7 };

/* Returns 1 if oneDNN multiplies bfloat16 matrices with instructions for them (AVX512-BF16 or AMX-BF16), else 0; for
   Python (operators/number_format.py). oneDNN asks the processor and respects its variable ONEDNN_MAX_CPU_ISA. The
   bits of its instruction sets include those of lesser ones. */
int fast_bfloat16(void) {
  int (*effective_isa)(void);
  *(void **)&effective_isa = find_onednn("dnnl_get_effective_cpu_isa");
  return effective_isa && find_onednn("dnnl_gemm_bf16bf16f32") && (effective_isa() & ISA_AVX512_BF16) != 0;
}

static Bgemm find_bgemm(void) {
  static Bgemm found;
  static int asked;
  if (!__atomic_load_n(&asked, __ATOMIC_ACQUIRE)) {
    if (fast_bfloat16()) *(void **)&found = find_onednn("dnnl_gemm_bf16bf16f32");
    __atomic_store_n(&asked, 1, __ATOMIC_RELEASE);
  }
  return found;
}

/* The number of rows of a factor with `rows` rows and `columns` columns, as they lie in memory. */
static i64 stored_rows(RoundedFactor f, i64 rows, i64 columns) { return f.transposed == 'T' ? columns : rows; }

/* Returns a copy of a factor as float32, NULL if there is not enough memory. */
static float *widened(RoundedFactor f, i64 rows, i64 columns) {
  const i64 count = stored_rows(f, rows, columns), length = f.transposed == 'T' ? rows : columns;
  float *wide = malloc(sizeof(float) * (size_t)(count * length + 1));
  for (i64 r = 0; wide && r < count; r++) widen_all(f.data + r * f.columns, length, wide + r * length);
  return wide;
}

static int multiply_widened(i64 m, i64 n, i64 k, RoundedFactor a, RoundedFactor b, float beta, float *c, i64 columns) {
  Sgemm sgemm;
  *(void **)&sgemm = find_onednn("dnnl_sgemm");
  if (!sgemm) return NO_LIBRARY;
  float *wide_a = widened(a, m, k), *wide_b = widened(b, k, n);
  const int failed = !wide_a || !wide_b
                         ? OUT_OF_MEMORY
                         : sgemm(a.transposed, b.transposed, m, n, k, 1.0f, wide_a, a.transposed == 'T' ? m : k, wide_b,
                                 b.transposed == 'T' ? k : n, beta, c, columns);
  free(wide_a);
  free(wide_b);
  return failed;
}

/* The product of one thread. */
static int multiply(i64 m, i64 n, i64 k, RoundedFactor a, RoundedFactor b, float beta, float *c, i64 columns) {
  const Bgemm bgemm = find_bgemm();
  if (!bgemm) return multiply_widened(m, n, k, a, b, beta, c, columns);
  return bgemm(a.transposed, b.transposed, m, n, k, 1.0f, a.data, a.columns, b.data, b.columns, beta, c, columns);
}

/* The rows of a factor, or its columns if `columns`, from number `first` on. */
static RoundedFactor part_of(RoundedFactor f, i64 first, int columns) {
  f.data += (f.transposed == 'T') == columns ? first * f.columns : first;
  return f;
}

/* Each thread computes some rows of c, or some columns if c has more of them. */
int parallel_bfloat16_matmul(i64 m, i64 n, i64 k, RoundedFactor a, RoundedFactor b, float beta, float *c, i64 columns) {
  int failed = 0;
#pragma omp parallel reduction(| : failed)
  {
    const Part part = part_of_thread(m > n ? m : n);
    const i64 first = part.first, count = part.count;
    if (count > 0 && m > n)
      failed = multiply(count, n, k, part_of(a, first, 0), b, beta, c + first * columns, columns);
    else if (count > 0)
      failed = multiply(m, count, k, a, part_of(b, first, 1), beta, c + first, columns);
  }
  return failed;
}

void parallel_round(const float *from, i64 count, bfloat16 *to) {
  enum { CHUNK = 1 << 13 };
#pragma omp parallel for schedule(static)
  for (i64 first = 0; first < count; first += CHUNK)
    round_floats(from + first, min_of(CHUNK, count - first), to + first);
}
