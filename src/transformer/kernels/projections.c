/* Dense layers without their biases, whose inputs are rounded to bfloat16, while sums and results are float32:

     product_i = x weight_i^T, dx = sum over i of dproduct_i weight_i, dweight_i = dproduct_i^T x

   for one or several weights. Each number is rounded once: x where it is computed, the weights in the forward pass,
   which passes them on to the backward pass, and the gradients of the products where they are computed. */
#include "bfloat16.h"
#include "kernel.h"
#include "matmul.h"

/* x float32 of any shape -> x rounded to bfloat16 */
KERNEL(round_to_bfloat16) {
  i64 size = 1;
  for (int d = 0; d < ndims[0]; d++) size *= shapes[0][d];
  parallel_round(IN(float, 0), size, OUT(bfloat16, 1));
  return 0;
}

/* x [rows, in] bfloat16, n weights [out, in] -> n products [rows, out], n rounded weights [out, in] bfloat16 */
KERNEL(projections_forward) {
  const int n = (count - 1) / 3;
  const i64 rows = shapes[0][0], in = shapes[0][1], out = shapes[1][0];
  const Factor x = {IN(bfloat16, 0), in, 'N', 1};
  int failed = 0;
  for (int i = 0; i < n && !failed; i++) {
    bfloat16 *rounded = OUT(bfloat16, 1 + 2 * n + i);
    parallel_round(IN(float, 1 + i), out * in, rounded);
    failed = parallel_matmul(rows, out, in, x, (Factor){rounded, in, 'T', 1}, 0.0f, OUT(float, 1 + n + i), out);
  }
  return failed;
}

/* A matrix of gradients as bfloat16: itself if it is, else a rounded copy, which *allocated owns. */
static const bfloat16 *rounded_gradient(const void *gradient, const char *dtype, i64 size, bfloat16 **allocated) {
  *allocated = NULL;
  if (is_bfloat16(dtype)) return gradient;
  *allocated = malloc(sizeof(bfloat16) * (size_t)(size + 1));
  if (*allocated) parallel_round(gradient, size, *allocated);
  return *allocated;
}

/* x [rows, in] bfloat16, n rounded weights [out, in] bfloat16, n dproducts [rows, out] float32 or bfloat16 ->
   dx [rows, in], n dweights [out, in] */
KERNEL(projections_backward) {
  const int n = (count - 2) / 3;
  const i64 rows = shapes[0][0], in = shapes[0][1], out = shapes[1][0];
  const Factor x = {IN(bfloat16, 0), in, 'N', 1};
  int failed = 0;
  for (int i = 0; i < n && !failed; i++) {
    bfloat16 *allocated;
    const bfloat16 *gradient = rounded_gradient(params[1 + n + i], dtypes[1 + n + i], rows * out, &allocated);
    const Factor weight = {IN(bfloat16, 1 + i), in, 'N', 1};
    failed = !gradient ? OUT_OF_MEMORY
                       : parallel_matmul(rows, in, out, (Factor){gradient, out, 'N', 1}, weight, i ? 1.0f : 0.0f,
                                         OUT(float, 1 + 2 * n), in);
    if (!failed)
      failed = parallel_matmul(out, in, rows, (Factor){gradient, out, 'T', 1}, x, 0.0f, OUT(float, 2 + 2 * n + i), in);
    free(allocated);
  }
  return failed;
}
