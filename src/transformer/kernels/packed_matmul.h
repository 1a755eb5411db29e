/* Products with weights that are laid out once for all steps of a search. */
#ifndef MASS_PACKED_PRODUCT_H
#define MASS_PACKED_PRODUCT_H

#include "team.h"

/* x W^T + b for W [out, in]: W in panels of some outputs, see pack_weight; b [out], or NULL for none. */
typedef struct {
  const float *panels, *bias;
  i64 in, out;
} Dense;

/* What becomes of a product with its bias: it is stored, after ReLU or GELU, or added to what is there. */
typedef enum { STORE, STORE_RELU, STORE_GELU, ADD } Finish;

/* x [rows, in] -> out [rows, out]. The result of a row does not depend on the other rows, nor on the threads, to the
   last bit: each element is summed in the order of its inputs. */
void packed_product(Member me, const float *x, i64 rows, const Dense *dense, Finish finish, float *out);

#endif
