/* The exponential function, written so that compilers vectorize it. */
#ifndef MASS_FAST_EXP_H
#define MASS_FAST_EXP_H

#include <stdint.h>

/* exp(x) for x <= 88, to about 1 unit in the last place: range reduction and a polynomial of degree 6. The result is 0
   for x < -87 and NaN for NaN. */
static inline float fast_exp(float x) {
  const float clipped = x < -87.0f ? -87.0f : x;
  const float k = __builtin_rintf(clipped * 1.44269504088896341f);
  const float r = (clipped - k * 0.693359375f) - k * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  union { int32_t bits; float value; } power;
  power.bits = ((int32_t)k + 127) << 23;
  const float result = p * power.value;
  return x < -87.0f ? 0.0f : result;
}

#endif
