/* The threads of the kernels. */
#ifdef _OPENMP
#include <omp.h>
#endif

static int threads = 1;

#ifdef _OPENMP
__attribute__((constructor)) static void count_threads(void) { threads = omp_get_max_threads(); }
#endif

/* Returns the number of threads that a kernel runs on: that of OpenMP when the library was loaded. It never changes,
   although another library may change OpenMP's number for some threads of the process, because the rounding of products
   depends on it. */
int kernel_threads(void) { return threads; }
