/* The number formats of packed weights, and the inputs of a product in each of them. */
#ifndef MASS_NUMBER_FORMATS_H
#define MASS_NUMBER_FORMATS_H

#include "common.h"

/* FLOAT32: as it is. BFLOAT16: inputs and weights are rounded to bfloat16, sums are float32. INT8: the weights of an
   output have one scale, and the inputs of a row a scale and an offset; sums are exact. */
typedef enum { FLOAT32, BFLOAT16, INT8 } NumberFormat;

/* The inputs of INT8, -127 to 127, as they are multiplied: bytes where the processor multiplies bytes and adds the
   products to sums of 32 bits, otherwise 16 bits, of which it multiplies pairs. */
#if (defined(__AVX512VNNI__) && defined(__AVX512BW__)) || (defined(__AVXVNNI__) && !defined(__AVX512F__))
#define MULTIPLIES_BYTES 1
typedef int8_t Quantized;
#else
#define MULTIPLIES_BYTES 0
typedef int16_t Quantized;
#endif

/* Rows of x in the format of the weights. Each row has `stride` bytes. */
typedef struct {
  void *values;
  i64 stride;
  /* INT8 only, [rows]: x = scale * value + offset; totals are the sums of the values. */
  float *scales, *offsets;
  int32_t *totals;
} Inputs;

/* bytes of a row of `in` inputs */
i64 input_stride(NumberFormat format, i64 in);

/* floats of memory for this many rows of inputs */
i64 input_size(NumberFormat format, i64 rows, i64 in);

/* The place of x [rows, in] in the format, in memory of input_size() floats; FLOAT32 is x itself. */
Inputs place_inputs(NumberFormat format, const float *x, i64 rows, i64 in, float *memory);

/* Convert row r of x [.., in]. */
void convert_row(NumberFormat format, const Inputs *inputs, const float *x, i64 r, i64 in);

#endif
