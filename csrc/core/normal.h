// Normal numbers with the same bits on every instruction set and device: log, sine and cosine are made of correctly
// rounded
// + - * / and sqrt alone, in double, and every file that includes this is compiled without contraction.
//
// Each file gets its own copy of these functions (static), so that no symbol is shared between ISA levels.
#pragma once
#include <stdint.h>

#ifdef __CUDACC__
#define MIELINA_ANYWHERE static __host__ __device__ inline
#else
#define MIELINA_ANYWHERE static inline __attribute__((always_inline))
#endif

namespace mielina {

// log u for 0 < u <= 1: u = m 2^e with m in [sqrt(1/2), sqrt(2)), log m = 2 atanh s, s = (m - 1) / (m + 1), |s| <
// 0.172: twelve terms of the series leave an error below 2^-56.
MIELINA_ANYWHERE double normal_log(double u) {
  uint64_t b;
  __builtin_memcpy(&b, &u, 8);
  uint64_t shifted = b - 0x3fe6a09e667f3bcdull;  // sqrt(1/2)
  int64_t e = int64_t(shifted) >> 52;
  uint64_t mb = b - (uint64_t(e) << 52);
  double m;
  __builtin_memcpy(&m, &mb, 8);
  double s = (m - 1.0) / (m + 1.0), q = s * s;
  double p = 1.0 / 23;
  p = p * q + 1.0 / 21;
  p = p * q + 1.0 / 19;
  p = p * q + 1.0 / 17;
  p = p * q + 1.0 / 15;
  p = p * q + 1.0 / 13;
  p = p * q + 1.0 / 11;
  p = p * q + 1.0 / 9;
  p = p * q + 1.0 / 7;
  p = p * q + 1.0 / 5;
  p = p * q + 1.0 / 3;
  p = p * q + 1.0;
  return double(e) * 0.69314718055994531 + 2.0 * s * p;
}

// (cos, sin)(2 pi v) for 0 <= v < 1: the nearest quarter turn, and Taylor's series within an eighth (error below
// 2^-57).
MIELINA_ANYWHERE void normal_turn(double v, double& c, double& s) {
  int32_t quarter = int32_t(4.0 * v + 0.5);
  double x = (v - 0.25 * double(quarter)) * 6.2831853071795865, q = x * x;
  double a = -1.0 / 6402373705728000.0;  // cos: up to x^18
  a = a * q + 1.0 / 20922789888000.0;
  a = a * q - 1.0 / 87178291200.0;
  a = a * q + 1.0 / 479001600.0;
  a = a * q - 1.0 / 3628800.0;
  a = a * q + 1.0 / 40320.0;
  a = a * q - 1.0 / 720.0;
  a = a * q + 1.0 / 24.0;
  a = a * q - 0.5;
  a = a * q + 1.0;
  double b = 1.0 / 355687428096000.0;  // sin: up to x^17
  b = b * q - 1.0 / 1307674368000.0;
  b = b * q + 1.0 / 6227020800.0;
  b = b * q - 1.0 / 39916800.0;
  b = b * q + 1.0 / 362880.0;
  b = b * q - 1.0 / 5040.0;
  b = b * q + 1.0 / 120.0;
  b = b * q - 1.0 / 6.0;
  b = b * q + 1.0;
  b = b * x;
  bool swap = quarter & 1;
  double cc = swap ? b : a, ss = swap ? a : b;
  c = (quarter == 1 || quarter == 2) ? -cc : cc;
  s = (quarter == 2 || quarter == 3) ? -ss : ss;
}

// Box & Muller 1958: two uniforms, u in (0, 1] and v in [0, 1), make two independent normal numbers. `root` is the
// device's correctly rounded square root.
template <class Root>
MIELINA_ANYWHERE void normal_pair(double u, double v, double& first, double& second, Root root) {
  double radius = root(-2.0 * normal_log(u)), c, s;
  normal_turn(v, c, s);
  first = radius * c;
  second = radius * s;
}

}  // namespace mielina
