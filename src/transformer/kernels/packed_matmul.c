#include "packed_matmul.h"

#include <math.h>

/* Chosen so that a tile of sums, two vectors wide, and two vectors of weights fit into the registers. */
#ifdef __AVX512F__
enum { LANES = 16, MOST_ROWS = 12 };
#else
enum { LANES = 8, MOST_ROWS = 4 };
#endif
enum { PANEL = 2 * LANES };
enum { INPUTS_AT_ONCE = 1 << 18 }; /* floats of x that are multiplied with all panels in turn: they should stay in the cache */

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));

static i64 panels_of(i64 out) { return (out + PANEL - 1) / PANEL; }

/* For Python: the number of floats of a packed weight. */
i64 packed_size(i64 out, i64 in) { return panels_of(out) * PANEL * in; }

/* For Python: weight [out, in] -> panels [out / PANEL, in, PANEL], the last one padded with zeros. The sums of a panel
   read its floats in order. */
void pack_weight(const float *weight, i64 out, i64 in, float *panels) {
#pragma omp parallel for schedule(static)
  for (i64 panel = 0; panel < panels_of(out); panel++)
    for (i64 i = 0; i < in; i++)
      for (i64 o = 0; o < PANEL; o++) {
        const i64 row = panel * PANEL + o;
        panels[(panel * in + i) * PANEL + o] = row < out ? weight[row * in + i] : 0.0f;
      }
}

/* sums [rows, width * PANEL] = `rows` rows of x times `width` neighbouring panels */
static inline __attribute__((always_inline)) void tile(const int rows, const int width, i64 in, const float *x,
                                                       const float *panels, float *sums) {
  lanes held[MOST_ROWS][8];
#pragma GCC unroll 12
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < 2 * width; v++) held[r][v] = (lanes){0};
  for (i64 i = 0; i < in; i++) {
    lanes weights[8];
#pragma GCC unroll 8
    for (int v = 0; v < 2 * width; v++)
      weights[v] = *(const lanes *)(panels + ((v / 2) * in + i) * PANEL + v % 2 * LANES);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
      const float factor = x[r * in + i];
#pragma GCC unroll 8
      for (int v = 0; v < 2 * width; v++) held[r][v] += weights[v] * factor;
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < 2 * width; v++) *(lanes *)(sums + (r * 2 * width + v) * LANES) = held[r][v];
}

/* Compute one tile of as many rows as possible; returns their number. A tile of few rows takes several panels, so that
   there are enough independent sums to keep the processor busy. */
static int next_tile(i64 rows, int width, i64 in, const float *x, const float *panels, float *sums) {
  if (width == 4) {
    if (rows >= 2) return tile(2, 4, in, x, panels, sums), 2;
    return tile(1, 4, in, x, panels, sums), 1;
  }
  if (width == 2) {
    if (rows >= 4) return tile(4, 2, in, x, panels, sums), 4;
    if (rows >= 2) return tile(2, 2, in, x, panels, sums), 2;
    return tile(1, 2, in, x, panels, sums), 1;
  }
#ifdef __AVX512F__
  if (rows >= 12) return tile(12, 1, in, x, panels, sums), 12;
  if (rows >= 8) return tile(8, 1, in, x, panels, sums), 8;
#endif
  if (rows >= 4) return tile(4, 1, in, x, panels, sums), 4;
  if (rows >= 2) return tile(2, 1, in, x, panels, sums), 2;
  return tile(1, 1, in, x, panels, sums), 1;
}

static void finish_row(const float *sums, i64 count, const float *bias, Finish finish, float *out) {
  float sum[4 * PANEL];
  for (i64 c = 0; c < count; c++) sum[c] = sums[c] + (bias ? bias[c] : 0.0f);
  if (finish == ADD)
    for (i64 c = 0; c < count; c++) out[c] += sum[c];
  else if (finish == STORE_RELU)
    for (i64 c = 0; c < count; c++) out[c] = sum[c] < 0.0f ? 0.0f : sum[c];
  else if (finish == STORE_GELU)
    for (i64 c = 0; c < count; c++) out[c] = 0.5f * sum[c] * (1.0f + erff(sum[c] * 0.70710678f));
  else
    for (i64 c = 0; c < count; c++) out[c] = sum[c];
}

/* `rows` rows of x times `width` panels, the first of which is `panel`. */
static void times_panels(const float *x, i64 rows, const Dense *dense, i64 panel, int width, Finish finish, float *out) {
  float sums[MOST_ROWS * 2 * PANEL] __attribute__((aligned(64)));
  const i64 first = panel * PANEL, count = min_of(width * PANEL, dense->out - first);
  for (i64 row = 0; row < rows;) {
    const int done = next_tile(rows - row, width, dense->in, x + row * dense->in, dense->panels + first * dense->in,
                               sums);
    for (int r = 0; r < done; r++)
      finish_row(sums + r * width * PANEL, count, dense->bias ? dense->bias + first : NULL, finish,
                 out + (row + r) * dense->out + first);
    row += done;
  }
}

void packed_matmul(Member me, const float *x, i64 rows, const Dense *dense, Finish finish, float *out) {
  const i64 panels = panels_of(dense->out);
  const i64 parts = (rows * dense->in + INPUTS_AT_ONCE - 1) / INPUTS_AT_ONCE;
  const i64 part = parts ? round_up((rows + parts - 1) / parts, MOST_ROWS) : 0;
  const int most = rows > 4 ? 1 : rows > 2 ? 2 : 4;
  for (Share some = {0}; take(me, parts * panels, most, &some);)
    for (i64 at = some.first; at < some.last;) {
      const i64 first = min_of(at / panels * part, rows), count = min_of(part, rows - first);
      const int width = min_of(some.last, (at / panels + 1) * panels) - at >= most ? most : 1;
      times_panels(x + first * dense->in, count, dense, at % panels, width, finish, out + first * dense->out);
      at += width;
    }
}
