/* Tiles of packed products: some rows of inputs times some panels of weights, with all sums in registers. */
#ifndef MASS_PACKED_TILES_H
#define MASS_PACKED_TILES_H

#include "bfloat16.h"
#include "number_formats.h"

#if defined(__AVX512F__) || defined(__AVXVNNI__)
#include <immintrin.h>
#endif

/* Chosen so that a tile of sums, two vectors wide, and two vectors of weights fit into the registers. */
#ifdef __AVX512F__
enum { LANES = 16, MOST_ROWS = 12 };
#else
enum { LANES = 8, MOST_ROWS = 4 };
#endif
enum { PANEL = 2 * LANES }; /* outputs of a panel */

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t whole_lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* A group of neighbouring inputs and weights, 4 bytes: 1 float32, 2 bfloat16 or 4 bytes of INT8. A panel is
   [groups][PANEL][group], so that each vector has one group of each of its outputs. In INT8 the inputs are -127 to 127
   and the weights have 128 added to them, because the instruction takes one factor without a sign. */
typedef int32_t group __attribute__((may_alias));

static inline i64 group_of(NumberFormat format) { return format == FLOAT32 ? 1 : format == BFLOAT16 ? 2 : 4; }

/* sums + weights * inputs for one group of inputs of a row */
static inline lanes add_float32(lanes sums, const group *weights, group inputs) {
  union { group bits; float value; } factor = {inputs};
  return sums + *(const lanes *)weights * factor.value;
}

static inline lanes add_bfloat16(lanes sums, const group *weights, group inputs) {
#ifdef __AVX512BF16__
  return (lanes)_mm512_dpbf16_ps((__m512)sums, (__m512bh)_mm512_loadu_si512(weights),
                                 (__m512bh)_mm512_set1_epi32(inputs));
#else
  const whole_lanes w = *(const whole_lanes *)weights;
  const float first = widen((bfloat16)(inputs & 0xffff)), second = widen((bfloat16)((uint32_t)inputs >> 16));
  sums += (lanes)(w << 16) * first;
  return sums + (lanes)(w & -65536) * second;
#endif
}

static inline whole_lanes add_int8(whole_lanes sums, const group *weights, group inputs) {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
  return (whole_lanes)_mm512_dpbusd_epi32((__m512i)sums, _mm512_loadu_si512(weights), _mm512_set1_epi32(inputs));
#elif defined(__AVXVNNI__) && !defined(__AVX512F__)
  return (whole_lanes)_mm256_dpbusd_avx_epi32((__m256i)sums, _mm256_loadu_si256((const __m256i *)weights),
                                              _mm256_set1_epi32(inputs));
#else
  const whole_lanes w = *(const whole_lanes *)weights;
  for (int i = 0; i < 4; i++) sums += (w >> 8 * i & 255) * (int32_t)(int8_t)(inputs >> 8 * i);
  return sums;
#endif
}

/* Define NAME: `rows` rows of inputs, `stride` bytes each, times `width` panels of `groups` groups of inputs -> sums
   [rows, width * PANEL]. */
#define TILE(NAME, LANES_TYPE, ADD)                                                                                   \
  static inline __attribute__((always_inline)) void NAME(const int rows, const int width, i64 groups,                 \
                                                         const char *x, i64 stride, const group *panels,              \
                                                         float *sums) {                                               \
    LANES_TYPE held[MOST_ROWS][8];                                                                                    \
    _Pragma("GCC unroll 12") for (int r = 0; r < rows; r++)                                                           \
    _Pragma("GCC unroll 8") for (int v = 0; v < 2 * width; v++) held[r][v] = (LANES_TYPE){0};                         \
    for (i64 i = 0; i < groups; i++) {                                                                                \
      if (width == 1) { /* the next panel */                                                                          \
        __builtin_prefetch(panels + (groups + i) * PANEL, 0, 2);                                                      \
        __builtin_prefetch(panels + (groups + i) * PANEL + LANES, 0, 2);                                              \
      }                                                                                                               \
      _Pragma("GCC unroll 12") for (int r = 0; r < rows; r++) {                                                       \
        const group inputs = *(const group *)(x + r * stride + 4 * i);                                                \
        _Pragma("GCC unroll 8") for (int v = 0; v < 2 * width; v++)                                                   \
          held[r][v] = ADD(held[r][v], panels + ((v / 2) * groups + i) * PANEL + v % 2 * LANES, inputs);              \
      }                                                                                                               \
    }                                                                                                                 \
    _Pragma("GCC unroll 12") for (int r = 0; r < rows; r++)                                                           \
    _Pragma("GCC unroll 8") for (int v = 0; v < 2 * width; v++)                                                       \
      *(LANES_TYPE *)(sums + (r * 2 * width + v) * LANES) = held[r][v];                                               \
  }

TILE(tile_float32, lanes, add_float32)
TILE(tile_bfloat16, lanes, add_bfloat16)
TILE(tile_int8, whole_lanes, add_int8)

/* Define NAME: compute one tile of as many rows as possible, and return their number. A tile of few rows takes several
   panels, so that there are enough independent sums to keep the processor busy. */
#ifdef __AVX512F__
#define MANY_ROWS(TILE_NAME)                        \
  if (rows >= 12) return TILE_OF(TILE_NAME, 12, 1); \
  if (rows >= 8) return TILE_OF(TILE_NAME, 8, 1);
#else
#define MANY_ROWS(TILE_NAME)
#endif
#define TILE_OF(TILE_NAME, ROWS, WIDTH) (TILE_NAME(ROWS, WIDTH, groups, x, stride, panels, sums), ROWS)
#define NEXT_TILE(NAME, TILE_NAME)                                                                               \
  static int NAME(i64 rows, int width, i64 groups, const char *x, i64 stride, const group *panels, float *sums) { \
    if (width == 4) return rows >= 2 ? TILE_OF(TILE_NAME, 2, 4) : TILE_OF(TILE_NAME, 1, 4);                       \
    if (width == 2) {                                                                                            \
      if (rows >= 4) return TILE_OF(TILE_NAME, 4, 2);                                                            \
      return rows >= 2 ? TILE_OF(TILE_NAME, 2, 2) : TILE_OF(TILE_NAME, 1, 2);                                    \
    }                                                                                                            \
    MANY_ROWS(TILE_NAME)                                                                                         \
    if (rows >= 4) return TILE_OF(TILE_NAME, 4, 1);                                                              \
    return rows >= 2 ? TILE_OF(TILE_NAME, 2, 1) : TILE_OF(TILE_NAME, 1, 1);                                      \
  }

NEXT_TILE(next_float32, tile_float32)
NEXT_TILE(next_bfloat16, tile_bfloat16)
NEXT_TILE(next_int8, tile_int8)

#endif
