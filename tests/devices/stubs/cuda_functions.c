/* Functions of CUDA and cuDNN that must do more than return 0 for MindSpore's GPU plugin to compile graphs.
 *
 * Device memory is host memory. The only device is of compute capability 8.0, as an A100 is.
 */
#include <stdlib.h>
#include <string.h>

static int allocate(void **pointer, size_t size) { return posix_memalign(pointer, 512, size ? size : 512) ? 2 : 0; }

int cudaGetDeviceCount(int *count) {
  *count = 1;
  return 0;
}

int cudaMalloc(void **pointer, size_t size) { return allocate(pointer, size); }

int cudaHostAlloc(void **pointer, size_t size, unsigned flags) { return allocate(pointer, size); }

int cudaFree(void *pointer) {
  free(pointer);
  return 0;
}

int cudaFreeHost(void *pointer) { return cudaFree(pointer); }

int cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
  *free_bytes = *total_bytes = (size_t)4 << 30;
  return 0;
}

int cudaMemcpy(void *target, const void *source, size_t size, int kind) {
  memmove(target, source, size);
  return 0;
}

int cudaMemcpyAsync(void *target, const void *source, size_t size, int kind, void *stream) {
  return cudaMemcpy(target, source, size, kind);
}

int cudaMemset(void *target, int value, size_t size) {
  memset(target, value, size);
  return 0;
}

int cudaMemsetAsync(void *target, int value, size_t size, void *stream) { return cudaMemset(target, value, size); }

int cudaEventElapsedTime(float *milliseconds, void *start, void *end) {
  *milliseconds = 1.0f;
  return 0;
}

const char *cudaGetErrorString(int error) { return "stub"; }

const char *cudaGetErrorName(int error) { return "stub"; }

const char *cudnnGetErrorString(int status) { return "stub"; }

int cuGetErrorName(int error, const char **name) {
  *name = "stub";
  return 0;
}

int nvrtcVersion(int *major, int *minor) {
  *major = 11;
  *minor = 6;
  return 0;
}

/* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR is 75, _MINOR 76. */
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? 8 : attribute == 76 ? 0 : 1024;
  return 0;
}

int cudnnGetTensorSizeInBytes(void *descriptor, size_t *size) {
  *size = 4096;
  return 0;
}

/* The first fields of cudaDeviceProp in CUDA 11, whose size is 712 bytes. */
struct properties {
  char name[256], uuid[16], luid[8];
  unsigned luid_mask;
  size_t global_memory, block_memory;
  int block_registers, warp_size;
  size_t pitch;
  int block_threads, block_size[3], grid_size[3], clock_rate;
  size_t constant_memory;
  int major, minor;
  size_t texture_alignment, texture_pitch_alignment;
  int overlap, processors;
};

int cudaGetDeviceProperties(struct properties *properties, int device) {
  enum { SIZE = 712, PROCESSOR_THREADS = 624 };
  memset(properties, 0, SIZE);
  *properties = (struct properties){
      .name = "stub", .global_memory = (size_t)40 << 30, .block_memory = 49152, .block_registers = 65536,
      .warp_size = 32, .pitch = 2147483647, .block_threads = 1024, .block_size = {1024, 1024, 64},
      .grid_size = {2147483647, 65535, 65535}, .clock_rate = 1410000, .constant_memory = 65536, .major = 8, .minor = 0,
      .texture_alignment = 512, .texture_pitch_alignment = 32, .overlap = 1, .processors = 108};
  *(int *)((char *)properties + PROCESSOR_THREADS) = 2048;
  return 0;
}
