// x Phi(x) and its derivative, Phi the normal distribution: gelu.
//
// With t = |x| and the Mills ratio R(t) = exp(t^2 / 2) Phi(-t), the left half of Phi is exp(-t^2 / 2) R(t), and that of
// the derivative exp(-t^2 / 2) (R(t) - t / sqrt(2 pi)); the right halves are 1 minus those. In f32 this is one
// exponential beside one rational function, where erf and the density took two exponentials and three polynomials
// (gradients of 4 million numbers and gelu itself on two cores: 7.9 to 4.2 ms).
#pragma once
#include "cpu/math/erf.h"

namespace mielina {
namespace MIELINA_ISA {

// exp(-t^2 / 2) for 0 <= t <= 13.27; 0 below the normal numbers. As a power of two, whose argument needs no reduction
// but a subtraction, and with the polynomial in pairs: the chain is what a vector waits for (gelu on a Zen 3 19 to 14
// cycles). Rounding the argument costs up to t^2 / 2 ULP.
MIELINA_INLINE vf32 bell(vf32 t) {
  const vf32 x = t * (t * splat<vf32>(-0x1.715476p-1f)), magic = splat<vf32>(0x1.8p23f + 127);
  const vf32 sum = x + magic, r = x - (sum - magic), square = r * r;  // x's integer and the exponent's bias: low bits
  const vf32 scale = (vf32)(bits(sum) << 23);
  const vf32 high = poly(r, 0x1.41fb3p-13, 0x1.5f3f34p-10), middle = poly(r, 0x1.3b2d5p-7, 0x1.c6aee6p-5);
  const vf32 low = poly(r, 0x1.ebfbdcp-3, 0x1.62e43p-1);
  return fma(scale * r, fma(fma(high, square, middle), square, low), scale);
}
MIELINA_INLINE vf32 bell_range(vf32 x) { return at_most(abs(x), 13.27); }
MIELINA_INLINE vf32 from_left(vf32 x, vf32 left) { return select<vf32>(x < vf32{}, left, c<vf32>(1) - left); }

// Max error: 4 ULP on the right, 6 + x^2 on the left (where 1 + erf(x) has no digits left from -6 on).
MIELINA_INLINE vf32 gelu(vf32 x) {
  vf32 t = bell_range(x);
  vf32 p = poly(t, 0x1.074c8cp-8, 0x1.47686ep-5, 0x1.7335d2p-3, 0x1.be1226p-2, 0.5);
  vf32 q = poly(t, 0x1.49fddcp-7, 0x1.9a6016p-4, 0x1.db62b6p-2, 0x1.31bb98p0, 0x1.ab4b42p0, 1.0);
  return x * from_left(x, bell(t) * (p / q));
}
// Error: below 2^-23.
MIELINA_INLINE vf32 gelu_slope(vf32 x) {
  vf32 t = bell_range(x);
  vf32 p = poly(t, -0x1.588f72p-7, -0x1.696532p-4, -0x1.3a2e84p-2, -0x1.e1078ep-2, -0x1.900442p-4, 0.5);
  vf32 q = poly(t, 0x1.afd6fep-6, 0x1.c4f4f8p-3, 0x1.972fb6p-1, 0x1.6683c4p0, 1.0);
  return from_left(x, bell(t) * (p / q));
}

MIELINA_INLINE vf64 normal_cdf(vf64 x) {
  constexpr double sqrt_half = 0.707106781186547524401;
  return c<vf64>(0.5) * (c<vf64>(1) + erf(x * c<vf64>(sqrt_half)));
}
MIELINA_INLINE vf64 gelu(vf64 x) { return x * normal_cdf(x); }
MIELINA_INLINE vf64 gelu_slope(vf64 x) {
  constexpr double density = 0.398942280401432677940;  // 1 / sqrt(2 pi)
  return normal_cdf(x) + x * c<vf64>(density) * exp(c<vf64>(-0.5) * x * x);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
