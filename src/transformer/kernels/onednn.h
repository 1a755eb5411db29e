/* oneDNN, the library that MindSpore itself multiplies matrices with, and how its products are divided among threads. */
#ifndef MASS_ONEDNN_H
#define MASS_ONEDNN_H

#include "common.h"

#include <dlfcn.h>

enum { NO_LIBRARY = 3, SMALLEST_PART = 16 };

/* The BLAS interface of oneDNN: c [m, n] = alpha op(a) op(b) + beta c, row-major, where op is the transpose if `trans`
   is 'T' and the matrix itself if it is 'N'. Returns 0 on success. */
typedef int (*Sgemm)(char transa, char transb, i64 m, i64 n, i64 k, float alpha, const float *a, i64 lda,
                     const float *b, i64 ldb, float beta, float *c, i64 ldc);

/* The same with factors in bfloat16. */
typedef int (*Bgemm)(char transa, char transb, i64 m, i64 n, i64 k, float alpha, const uint16_t *a, i64 lda,
                     const uint16_t *b, i64 ldb, float beta, float *c, i64 ldc);

/* Returns a function of oneDNN; NULL if MindSpore has not loaded the library, or it has no such function. */
static inline void *find_onednn(const char *name) {
  static void *library;
  if (!library) library = dlopen("libdnnl.so.3", RTLD_NOW | RTLD_NOLOAD);
  return library ? dlsym(library, name) : NULL;
}

typedef struct {
  i64 first, count;
} Part;

/* The part of `length` rows or columns with this number, of one part for each thread; it may be empty. */
static inline Part part_number(i64 number, i64 length) {
  const i64 threads = kernel_threads(), size = round_up((length + threads - 1) / threads, SMALLEST_PART);
  const i64 first = min_of(number * size, length);
  return (Part){first, min_of(first + size, length) - first};
}

#endif
