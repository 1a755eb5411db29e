/* Matrix products with weights that are packed once, for all steps of a search. */
#ifndef MASS_PACKED_MATMUL_H
#define MASS_PACKED_MATMUL_H

#include "team.h"

/* x W^T + b: W [out, in] in panels of some outputs each, see pack_weight; b [out], or NULL if there is none. */
typedef struct {
  const float *panels, *bias;
  i64 in, out;
} Dense;

/* What is done with x W^T + b: it is stored, or stored after ReLU or GELU, or added to the output. */
typedef enum { STORE, STORE_RELU, STORE_GELU, ADD } Finish;

/* x [rows, in] -> out [rows, out]. The result of a row depends, to the last bit, neither on the other rows nor on the
   number of threads, because each element is summed in the order of its inputs. */
void packed_matmul(Member me, const float *x, i64 rows, const Dense *dense, Finish finish, float *out);

#endif
