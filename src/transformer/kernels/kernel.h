/* The calling convention of MindSpore's custom operators. */
#ifndef MASS_KERNEL_H
#define MASS_KERNEL_H

#include "common.h"

/* MindSpore calls a kernel with the addresses of all inputs, then of all outputs, in `params`, and with their shapes.
   The result 0 means success. Comments above kernels read: inputs [shape] -> outputs [shape]. */
#define KERNEL(name)                                                                                        \
  int name(int count, void **params, int *ndims, int64_t **shapes, const char **dtypes, void *stream, void *extra)
#define IN(type, index) ((const type *)params[index])
#define OUT(type, index) ((type *)params[index])

#endif
