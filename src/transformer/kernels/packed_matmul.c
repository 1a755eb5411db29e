#include "packed_matmul.h"

#include "packed_tiles.h"

#include <math.h>

/* Bytes of x that are multiplied with all panels in turn: they should stay in the cache. */
enum { INPUTS_AT_ONCE = 1 << 20 };

static i64 panels_of(i64 out) { return (out + PANEL - 1) / PANEL; }

static i64 groups_of(NumberFormat format, i64 in) { return (in + group_of(format) - 1) / group_of(format); }

_Static_assert(MOST_ROWS * PANEL <= LARGEST_TILE, "the result of packed_panel() must hold the largest tile");

i64 panel_outputs(void) { return PANEL; }

/* For Python: the number of floats of a packed weight. */
i64 packed_size(i64 format, i64 out, i64 in) { return panels_of(out) * PANEL * groups_of(format, in); }

/* The largest absolute value of a row of weights is 127 times its scale. */
static float scale_of(const float *weight, i64 in) {
  float largest = 0.0f;
  for (i64 i = 0; i < in; i++) largest = fabsf(weight[i]) > largest ? fabsf(weight[i]) : largest;
  for (i64 i = 0; i < in; i++)
    if (!isfinite(weight[i])) return NAN;
  return largest / 127.0f;
}

static group pack_group(NumberFormat format, const float *weights, i64 count, float scale) {
  union { group bits; float value; bfloat16 halves[2]; uint8_t bytes[4]; } packed = {0};
  if (format == FLOAT32) packed.value = weights[0];
  for (i64 i = 0; format == BFLOAT16 && i < count; i++) packed.halves[i] = round_float(weights[i]);
  for (i64 i = 0; format == INT8 && i < count; i++)
    packed.bytes[place_of_byte((int)i)] = (uint8_t)(128 + (scale > 0.0f ? (int)rintf(weights[i] / scale) : 0));
  return packed.bits;
}

/* For Python: weight [out, in] -> panels [out / PANEL, groups, PANEL], the last one padded with zeros, and, if the
   format is INT8, scales and totals, both padded with zeros as well.
   The sums of a panel read its groups in order. */
void pack_weight(i64 format, const float *weight, i64 out, i64 in, void *panels, float *scales, float *totals) {
  const i64 groups = groups_of(format, in), each = group_of(format);
#pragma omp parallel for schedule(static)
  for (i64 row = 0; row < panels_of(out) * PANEL; row++) {
    const float *own = weight + row * in, scale = format == INT8 && row < out ? scale_of(own, in) : 0.0f;
    group *packed = (group *)panels + row / PANEL * groups * PANEL + row % PANEL;
    int32_t total = 0;
    for (i64 g = 0; g < groups; g++) {
      packed[g * PANEL] = row < out ? pack_group(format, own + g * each, min_of(each, in - g * each), scale) : 0;
      for (int i = 0; i < 4; i++) total += (int32_t)(((uint32_t)packed[g * PANEL] >> 8 * i) & 255) - 128;
    }
    for (i64 i = in; format == INT8 && i < groups * each; i++) total += 128; /* those that are not there */
    if (format == INT8) scales[row] = scale, totals[row] = row < out ? scale * (float)total : 0.0f;
  }
}

/* Sums of products of bytes [rows, together * PANEL] -> those of the numbers that they stand for. */
static void scale_sums(Inputs x, i64 first, int rows, const Dense *dense, i64 first_output, int together, float *sums) {
  for (int r = 0; r < rows; r++) {
    const int32_t added = 128 * x.totals[first + r];
    const float scale = x.scales[first + r], offset = x.offsets[first + r];
    for (i64 c = 0; c < together * PANEL; c += WIDTH) {
      float *own = sums + r * together * PANEL + c;
      const vector scaled = __builtin_convertvector(*(whole_vector *)own - added, vector) * scale;
      *(vector *)own = scaled * *(const vector *)(dense->scales + first_output + c) +
                      *(const vector *)(dense->totals + first_output + c) * offset;
    }
  }
}

/* One tile, of rows from `first` on and `together` panels from `panel` on -> sums [returned number of rows,
   together * PANEL]. */
static int next_tile(Inputs x, i64 first, i64 rows, const Dense *dense, i64 panel, int together, float *sums) {
  const i64 groups = groups_of(dense->format, dense->in);
  const char *values = (const char *)x.values + first * x.stride;
  const group *panels = (const group *)dense->panels + panel * PANEL * groups;
  if (dense->format == FLOAT32) return next_float32(rows, together, groups, values, x.stride, panels, sums);
  if (dense->format == BFLOAT16) return next_bfloat16(rows, together, groups, values, x.stride, panels, sums);
  const int done = next_int8(rows, together, groups, values, x.stride, panels, sums);
  scale_sums(x, first, done, dense, panel * PANEL, together, sums);
  return done;
}

int packed_panel(Inputs x, i64 first, i64 rows, const Dense *dense, i64 panel, float *out) {
  return next_tile(x, first, rows - first, dense, panel, 1, out);
}

static float finish_number(float sum, Finish finish, float out) {
  if (finish == ADD) return out + sum;
  if (finish == STORE_RELU) return sum < 0.0f ? 0.0f : sum;
  return finish == STORE_GELU ? 0.5f * sum * (1.0f + erff(sum * 0.70710678f)) : sum;
}

/* The sums of one row, `count` of its outputs: whole vectors of them, then the rest one by one. */
static void finish_row(const float *sums, i64 count, const float *bias, Finish finish, float *out) {
  i64 c = 0;
  for (; finish != STORE_GELU && c + WIDTH <= count; c += WIDTH) {
    vector sum = *(const vector *)(sums + c);
    if (bias) sum += *(const vector *)(bias + c);
    if (finish == ADD) sum += *(const vector *)(out + c);
    if (finish == STORE_RELU) sum = (vector)((whole_vector)sum & ~(sum < 0.0f));
    *(vector *)(out + c) = sum;
  }
  for (; c < count; c++) out[c] = finish_number(sums[c] + (bias ? bias[c] : 0.0f), finish, out[c]);
}

/* Rows `from` to `to` of x times `together` panels, the first of which is `panel`. */
static void times_panels(Inputs x, i64 from, i64 to, const Dense *dense, i64 panel, int together, Finish finish,
                         float *out) {
  float sums[MOST_SUMS * WIDTH] __attribute__((aligned(64)));
  const i64 first = panel * PANEL, count = min_of(together * PANEL, dense->out - first);
  const float *bias = dense->bias ? dense->bias + first : NULL;
  for (i64 row = from; row < to;) {
    const int done = next_tile(x, row, to - row, dense, panel, together, sums);
    for (int r = 0; r < done; r++)
      finish_row(sums + r * together * PANEL, count, bias, finish, out + (row + r) * dense->out + first);
    row += done;
  }
}

void packed_matmul(Member me, Inputs x, i64 rows, const Dense *dense, Finish finish, float *out) {
  const i64 panels = panels_of(dense->out);
  const i64 parts = (rows * x.stride + INPUTS_AT_ONCE - 1) / INPUTS_AT_ONCE;
  const i64 part = parts ? round_up((rows + parts - 1) / parts, MOST_ROWS) : 0;
  const int most = panels_together(rows);
  for (Share some = {0}; take(me, parts * panels, most, &some);)
    for (i64 at = some.first; at < some.last;) {
      const i64 first = min_of(at / panels * part, rows), last = min_of(first + part, rows);
      const int together = min_of(some.last, (at / panels + 1) * panels) - at >= most ? most : 1;
      times_panels(x, first, last, dense, at % panels, together, finish, out);
      at += together;
    }
}

/* For Python, which tests it: x [rows, in] -> out [rows, out]. Returns 0, or OUT_OF_MEMORY. */
int packed_product(const Dense *dense, const float *x, i64 rows, float *out) {
  float *memory = malloc(sizeof(float) * (size_t)(input_size(dense->format, rows, dense->in) + 1));
  if (!memory) return OUT_OF_MEMORY;
  const Inputs inputs = place_inputs(dense->format, x, rows, dense->in, memory);
  for (i64 r = 0; r < rows; r++) convert_row(dense->format, &inputs, x, r, dense->in);
  packed_matmul((Member){.threads = 1}, inputs, rows, dense, STORE, out);
  free(memory);
  return 0;
}
