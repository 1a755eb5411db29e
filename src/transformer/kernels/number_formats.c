#include "number_formats.h"

#include "bfloat16.h"

#include <float.h>

enum { LINE_BYTES = 4 * CACHE_LINE }; /* rows begin on a line */

/* For Python: whether this library was compiled for a processor with instructions for products of bfloat16. */
int has_bfloat16_products(void) {
#ifdef __AVX512BF16__
  return 1;
#else
  return 0;
#endif
}

i64 input_stride(NumberFormat format, i64 in) {
  const i64 bytes = format == FLOAT32 ? 4 : format == BFLOAT16 ? 2 : (i64)sizeof(Quantized);
  return format == FLOAT32 ? bytes * in : round_up(bytes * in, LINE_BYTES);
}

i64 input_size(NumberFormat format, i64 rows, i64 in) {
  if (format == FLOAT32) return 0; /* they are x itself */
  return rows * input_stride(format, in) / 4 + 3 * rows + CACHE_LINE;
}

static void round_row(const float *x, i64 in, i64 stride, bfloat16 *out) {
  round_floats(x, in, out);
  for (i64 i = in; i < stride / 2; i++) out[i] = 0;
}

/* Values from -127 to 127 for the range of a row. A row with a number that is not finite has a scale of NaN. */
static void quantize_row(const float *x, i64 in, i64 stride, Quantized *out, float *scale, float *offset,
                         int32_t *total) {
  float smallest = x[0], largest = x[0];
  int finite = 1;
#pragma omp simd reduction(min : smallest) reduction(max : largest) reduction(& : finite)
  for (i64 i = 0; i < in; i++) {
    smallest = x[i] < smallest ? x[i] : smallest;
    largest = x[i] > largest ? x[i] : largest;
    finite &= __builtin_fabsf(x[i]) <= FLT_MAX; /* false for NaN */
  }
  const float middle = 0.5f * (smallest + largest), half = largest - middle;
  const float factor = half > 0.0f ? 127.0f / half : 0.0f;
  int32_t sum = 0;
#pragma omp simd reduction(+ : sum)
  for (i64 i = 0; i < in; i++) {
    const int32_t value = (int32_t)__builtin_rintf((finite ? x[i] - middle : 0.0f) * factor);
    out[i] = (Quantized)value;
    sum += value;
  }
  memset(out + in, 0, (size_t)stride - (size_t)in * sizeof(Quantized));
  *scale = finite ? half / 127.0f : __builtin_nanf(""), *offset = middle, *total = sum;
}

Inputs place_inputs(NumberFormat format, const float *x, i64 rows, i64 in, float *memory) {
  const i64 stride = input_stride(format, in);
  if (format == FLOAT32) return (Inputs){(void *)x, stride, NULL, NULL, NULL};
  char *values = (char *)round_up((i64)memory, LINE_BYTES);
  float *scales = (float *)(values + rows * stride), *offsets = scales + rows;
  return (Inputs){values, stride, scales, offsets, (int32_t *)(offsets + rows)};
}

void convert_row(NumberFormat format, const Inputs *inputs, const float *x, i64 r, i64 in) {
  char *values = (char *)inputs->values + r * inputs->stride;
  if (format == BFLOAT16) round_row(x + r * in, in, inputs->stride, (bfloat16 *)values);
  if (format == INT8)
    quantize_row(x + r * in, in, inputs->stride, (Quantized *)values, inputs->scales + r, inputs->offsets + r,
                 inputs->totals + r);
}
