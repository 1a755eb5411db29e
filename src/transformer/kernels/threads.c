/* The threads of the kernels. */
#ifdef _OPENMP
#include <omp.h>
#endif

/* Returns the number of threads that a kernel runs on; for the summary that Python prints (build.py). */
int kernel_threads(void) {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}
