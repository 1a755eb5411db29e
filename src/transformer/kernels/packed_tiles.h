/* Tiles of packed products: some rows of inputs times some panels of weights, with the sums in registers. */
#ifndef MASS_PACKED_TILES_H
#define MASS_PACKED_TILES_H

#include "bfloat16.h"
#include "number_formats.h"
#include "vectors.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

enum {
  PANEL = 2 * WIDTH < 16 ? 16 : 2 * WIDTH, /* outputs of a panel */
  PANEL_VECTORS = PANEL / WIDTH,
  MOST_ROWS = MOST_SUMS / PANEL_VECTORS /* of a tile */
};

/* A group of neighbouring weights, 4 bytes: 1 float32, 2 bfloat16 or 4 bytes of INT8. A panel is
   [groups][PANEL][group], so that each vector has one group of each of its outputs. In INT8 the inputs are -127 to 127
   and the weights have 128 added to them, because the instruction for bytes takes one factor without a sign. */
typedef int32_t group __attribute__((may_alias));

static inline i64 group_of(NumberFormat format) { return format == FLOAT32 ? 1 : format == BFLOAT16 ? 2 : 4; }

/* The place of weight i of a group among its bytes: products of pairs take every second byte as a pair. */
static inline int place_of_byte(int i) { return MULTIPLIES_BYTES || i == 0 || i == 3 ? i : 3 - i; }

/* sums + weights * inputs for one group of inputs of a row */
static inline vector add_float32(vector sums, const group *weights, const group *inputs) {
  union { group bits; float value; } factor = {*inputs};
  return sums + *(const vector *)weights * factor.value;
}

static inline vector add_bfloat16(vector sums, const group *weights, const group *inputs) {
#ifdef __AVX512BF16__
  return (vector)_mm512_dpbf16_ps((__m512)sums, (__m512bh)_mm512_loadu_si512(weights),
                                  (__m512bh)_mm512_set1_epi32(*inputs));
#else
  const whole_vector w = *(const whole_vector *)weights;
  const float first = widen((bfloat16)(*inputs & 0xffff)), second = widen((bfloat16)((uint32_t)*inputs >> 16));
  sums += (vector)(w << 16) * first;
  return sums + (vector)(w & -65536) * second;
#endif
}

/* sums + products of pairs: `weights` has two numbers of 16 bits for each output, and `inputs` is the two of a row. */
static inline whole_vector add_pairs(whole_vector sums, whole_vector weights, int32_t inputs) {
#if defined(__AVX512F__) && defined(__AVX512BW__)
  return sums + (whole_vector)_mm512_madd_epi16((__m512i)weights, _mm512_set1_epi32(inputs));
#elif LOG_WIDTH == 3 && defined(__AVX2__)
  return sums + (whole_vector)_mm256_madd_epi16((__m256i)weights, _mm256_set1_epi32(inputs));
#elif LOG_WIDTH == 2 && defined(__SSE2__)
  return sums + (whole_vector)_mm_madd_epi16((__m128i)weights, _mm_set1_epi32(inputs));
#else
  return sums + (weights & 0xffff) * (int32_t)(int16_t)inputs + (weights >> 16) * (inputs >> 16);
#endif
}

static inline whole_vector add_int8(whole_vector sums, const group *weights, const group *inputs) {
#if MULTIPLIES_BYTES && defined(__AVX512F__)
  return (whole_vector)_mm512_dpbusd_epi32((__m512i)sums, _mm512_loadu_si512(weights), _mm512_set1_epi32(*inputs));
#elif MULTIPLIES_BYTES
  return (whole_vector)_mm256_dpbusd_avx_epi32((__m256i)sums, _mm256_loadu_si256((const __m256i *)weights),
                                               _mm256_set1_epi32(*inputs));
#else
  const whole_vector w = *(const whole_vector *)weights;
  return add_pairs(add_pairs(sums, w & 0xff00ff, inputs[0]), w >> 8 & 0xff00ff, inputs[1]);
#endif
}

/* Define NAME: `rows` rows of inputs, `stride` bytes each, times `together` panels of `groups` groups of inputs -> sums
   [rows, together * PANEL]. A group of inputs has INPUT_GROUPS times 4 bytes. */
#define TILE(NAME, VECTOR_TYPE, ADD, INPUT_GROUPS)                                                                    \
  static inline __attribute__((always_inline)) void NAME(const int rows, const int together, i64 groups,              \
                                                         const char *x, i64 stride, const group *panels,              \
                                                         float *sums) {                                               \
    const int vectors = together * PANEL_VECTORS;                                                                     \
    VECTOR_TYPE held[MOST_SUMS];                                                                                      \
    _Pragma("GCC unroll 24") for (int i = 0; i < rows * vectors; i++) held[i] = (VECTOR_TYPE){0};                     \
    for (i64 i = 0; i < groups; i++) {                                                                                \
      if (together == 1) /* the next panel */                                                                         \
        _Pragma("GCC unroll 2") for (int line = 0; line < PANEL; line += CACHE_LINE)                                  \
          __builtin_prefetch(panels + (groups + i) * PANEL + line, 0, 2);                                             \
      _Pragma("GCC unroll 12") for (int r = 0; r < rows; r++) {                                                       \
        const group *inputs = (const group *)(x + r * stride) + i * INPUT_GROUPS;                                     \
        _Pragma("GCC unroll 8") for (int v = 0; v < vectors; v++) {                                                   \
          const group *panel = panels + ((v / PANEL_VECTORS) * groups + i) * PANEL;                                   \
          held[r * vectors + v] = ADD(held[r * vectors + v], panel + v % PANEL_VECTORS * WIDTH, inputs);              \
        }                                                                                                             \
      }                                                                                                               \
    }                                                                                                                 \
    _Pragma("GCC unroll 24") for (int i = 0; i < rows * vectors; i++) *(VECTOR_TYPE *)(sums + i * WIDTH) = held[i];   \
  }

TILE(tile_float32, vector, add_float32, 1)
TILE(tile_bfloat16, vector, add_bfloat16, 1)
TILE(tile_int8, whole_vector, add_int8, (i64)sizeof(Quantized))

/* The number of panels that a tile of some rows takes: 1, 2 or 4, with at most two thirds of the sums that there may be.
   A tile of few rows takes several, so that there are enough independent sums to keep the processor busy. */
static inline int panels_together(i64 rows) {
  int together = 4;
  while (together > 1 && rows * together * PANEL_VECTORS > MOST_SUMS * 2 / 3) together /= 2;
  return together;
}

/* Define NAME: compute one tile of as many rows as possible, times `together` panels, and return their number. */
#define RETURN_TILE(TILE_NAME, ROWS, PANELS)                                                                          \
  if (ROWS * PANELS * PANEL_VECTORS <= MOST_SUMS && rows >= ROWS && together == PANELS) {                             \
    TILE_NAME(ROWS, PANELS, groups, x, stride, panels, sums);                                                         \
    return ROWS;                                                                                                      \
  }
#define NEXT_TILE(NAME, TILE_NAME)                                                                                    \
  static int NAME(i64 rows, int together, i64 groups, const char *x, i64 stride, const group *panels, float *sums) {  \
    RETURN_TILE(TILE_NAME, 12, 1)                                                                                     \
    RETURN_TILE(TILE_NAME, 8, 1)                                                                                      \
    RETURN_TILE(TILE_NAME, 6, 1)                                                                                      \
    RETURN_TILE(TILE_NAME, 4, 1)                                                                                      \
    RETURN_TILE(TILE_NAME, 3, 1)                                                                                      \
    RETURN_TILE(TILE_NAME, 2, 1)                                                                                      \
    RETURN_TILE(TILE_NAME, 1, 1)                                                                                      \
    RETURN_TILE(TILE_NAME, 4, 2)                                                                                      \
    RETURN_TILE(TILE_NAME, 2, 2)                                                                                      \
    RETURN_TILE(TILE_NAME, 1, 2)                                                                                      \
    RETURN_TILE(TILE_NAME, 2, 4)                                                                                      \
    RETURN_TILE(TILE_NAME, 1, 4)                                                                                      \
    __builtin_trap(); /* `rows` is at least 1, and `together` is of panels_together() */                              \
  }

NEXT_TILE(next_float32, tile_float32)
NEXT_TILE(next_bfloat16, tile_bfloat16)
NEXT_TILE(next_int8, tile_int8)

#endif
