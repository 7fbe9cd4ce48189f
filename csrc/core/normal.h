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

// Below, D is double or a vector of doubles, U as many uint64_t: the CPU computes vectors, a card numbers. Integers
// below 2^52 become doubles by the bits of 2^52 + i: AVX2 cannot convert those of 64 bits.
template <class To, class From>
MIELINA_ANYWHERE To same_bits(From x) {
  To y;
  __builtin_memcpy(&y, &x, sizeof y);
  return y;
}
template <class D, class U>
MIELINA_ANYWHERE D normal_real(U i) {
  return same_bits<D>(i | 0x4330000000000000ull) - 0x1p52;
}

// log u for 0 < u <= 1: u = m 2^e with m in [sqrt(1/2), sqrt(2)), log m = 2 atanh s, s = (m - 1) / (m + 1), |s| <
// 0.172: twelve terms of the series leave an error below 2^-56.
template <class U, class D>
MIELINA_ANYWHERE D normal_log(D u) {
  constexpr uint64_t one = 0x3ff0000000000000ull, root = 0x3fe6a09e667f3bcdull;  // 1 and sqrt(1/2)
  const U b = same_bits<U>(u), e = (b - root + one) >> 52;                       // 1023 + the exponent
  const D m = same_bits<D>(b - (e << 52) + one);
  const D s = (m - 1.0) / (m + 1.0), q = s * s;
  D p = 1.0 / 23 * q + 1.0 / 21;
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
  return (normal_real<D>(e) - 1023.0) * 0.69314718055994531 + 2.0 * s * p;
}

// (cos, sin)(2 pi v) for 0 <= v < 1: the nearest quarter turn, and Taylor's series within an eighth (error below
// 2^-57).
template <class U, class D>
MIELINA_ANYWHERE void normal_turn(D v, D& c, D& s) {
  const D turned = 4.0 * v + 0.5;
  D up = turned + 0x1p52;
  up = up - 0x1p52 > turned ? up - 1.0 : up;  // 2^52 + the number of quarters, rounded down
  const U quarter = same_bits<U>(up);
  const D x = (v - 0.25 * (up - 0x1p52)) * 6.2831853071795865, q = x * x;
  D a = -1.0 / 6402373705728000.0 * q + 1.0 / 20922789888000.0;  // cos: up to x^18
  a = a * q - 1.0 / 87178291200.0;
  a = a * q + 1.0 / 479001600.0;
  a = a * q - 1.0 / 3628800.0;
  a = a * q + 1.0 / 40320.0;
  a = a * q - 1.0 / 720.0;
  a = a * q + 1.0 / 24.0;
  a = a * q - 0.5;
  a = a * q + 1.0;
  D b = 1.0 / 355687428096000.0 * q - 1.0 / 1307674368000.0;  // sin: up to x^17
  b = b * q + 1.0 / 6227020800.0;
  b = b * q - 1.0 / 39916800.0;
  b = b * q + 1.0 / 362880.0;
  b = b * q - 1.0 / 5040.0;
  b = b * q + 1.0 / 120.0;
  b = b * q - 1.0 / 6.0;
  b = b * q + 1.0;
  b = b * x;
  const auto swap = (quarter & 1) != 0;
  c = same_bits<D>(same_bits<U>(swap ? b : a) ^ ((quarter + 1) & 2) << 62);
  s = same_bits<D>(same_bits<U>(swap ? a : b) ^ (quarter & 2) << 62);
}

// Box & Muller 1958: two uniforms, u in (0, 1] and v in [0, 1), make two independent normal numbers. `root` is the
// device's correctly rounded square root.
template <class U, class D, class Root>
MIELINA_ANYWHERE void normal_pair(D u, D v, D& first, D& second, Root root) {
  D radius = root(-2.0 * normal_log<U>(u)), c, s;
  normal_turn<U>(v, c, s);
  first = radius * c;
  second = radius * s;
}

}  // namespace mielina
