/* Vectors of as many floats as a register of the processor has. Code for wider ones compiles too, but the compiler
   keeps them in memory instead of registers, which takes ten times as long. */
#ifndef MASS_VECTORS_H
#define MASS_VECTORS_H

#include "common.h"

#ifdef __AVX512F__
#define LOG_WIDTH 4
#elif defined(__AVX__)
#define LOG_WIDTH 3
#else
#define LOG_WIDTH 2
#endif

enum { WIDTH = 1 << LOG_WIDTH }; /* floats of a vector */

/* Vectors that are summed up at the same time in one loop; the other registers are for the factors. */
#if defined(__AVX512F__) || defined(__aarch64__)
enum { MOST_SUMS = 24 }; /* of 32 registers */
#else
enum { MOST_SUMS = 12 }; /* of 16 registers */
#endif

typedef float vector __attribute__((vector_size(4 * WIDTH), aligned(4)));
/* Integers of the same number and size. */
typedef int32_t whole_vector __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

/* The numbers of two vectors in turn: of their first halves, and of their second halves. */
#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (whole_vector){__VA_ARGS__})
#endif
#if LOG_WIDTH == 4
#define FIRST_HALVES(a, b) SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define SECOND_HALVES(a, b) SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif LOG_WIDTH == 3
#define FIRST_HALVES(a, b) SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define SECOND_HALVES(a, b) SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define FIRST_HALVES(a, b) SHUFFLE(a, b, 0, 4, 1, 5)
#define SECOND_HALVES(a, b) SHUFFLE(a, b, 2, 6, 3, 7)
#endif

#endif
