/* Matrix products with weights that are packed once, for all steps of a search. */
#ifndef MASS_PACKED_MATMUL_H
#define MASS_PACKED_MATMUL_H

#include "number_formats.h"
#include "team.h"

/* x W^T + b: W [out, in] in panels of some outputs each, see pack_weight; b [out], or NULL if there is none. */
typedef struct {
  const void *panels;
  const float *bias;
  const float *scales, *totals; /* INT8 only, [out], padded to full panels: of each output, the scale and the sum of its weights */
  i64 in, out, format;          /* a NumberFormat */
} Dense;

/* What is done with x W^T + b: it is stored, or stored after ReLU or GELU, or added to the output. */
typedef enum { STORE, STORE_RELU, STORE_GELU, ADD } Finish;

enum { LARGEST_TILE = 12 * 32 }; /* floats of the result of packed_panel() */

/* Inputs [rows, in] -> out [rows, out]. The result of a row depends, to the last bit, neither on the other rows nor on
   the number of threads, because each element is summed in the order of its inputs. */
void packed_matmul(Member me, Inputs x, i64 rows, const Dense *dense, Finish finish, float *out);

/* The number of outputs of a panel: those of panel p begin at p * panel_outputs(). */
i64 panel_outputs(void);

/* Without the bias: as many of the rows from `first` to `rows` as fit a tile, times one panel -> out [returned number
   of rows, panel_outputs()]. */
int packed_panel(Inputs x, i64 first, i64 rows, const Dense *dense, i64 panel, float *out);

#endif
