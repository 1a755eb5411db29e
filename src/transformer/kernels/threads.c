/* The threads of the kernels. */
#ifdef _OPENMP
#include <omp.h>
#endif

/* Returns the number of threads that a kernel runs on: that of OpenMP at the first call, when the library is loaded
   (build.py). It never changes, although another library may change OpenMP's number for some threads of the process,
   because the rounding of products depends on it. */
int kernel_threads(void) {
#ifdef _OPENMP
  static int threads;
  if (!__atomic_load_n(&threads, __ATOMIC_RELAXED)) __atomic_store_n(&threads, omp_get_max_threads(), __ATOMIC_RELAXED);
  return __atomic_load_n(&threads, __ATOMIC_RELAXED);
#else
  return 1;
#endif
}
