/* Functions of CANN that must do more than return 0 for MindSpore's Ascend plugin to compile graphs. */
#include <stdlib.h>

const char *aclrtGetSocName(void) { return "Ascend910B1"; }

int aclrtMalloc(void **pointer, size_t size, int policy) {
  return posix_memalign(pointer, 512, size ? size : 512) ? 1 : 0;
}

int aclrtMallocHost(void **pointer, size_t size) { return aclrtMalloc(pointer, size, 0); }
