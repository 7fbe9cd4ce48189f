// tanh, sinh, cosh and their inverses, from expm1, exp and log1p.
#pragma once
#include "cpu/math/log.h"

namespace mielina {
namespace MIELINA_ISA {

// |x| < 0.5625: x + x^3 P(x^2). Above: 1 - 2 / (exp(2 |x|) + 1), which rounds to 1 from the bound on.
// Max error: 1.40 ULP (f32), 1.39 (f64).
template <class V>
MIELINA_INLINE V tanh(V x) {
  V a = abs(x), z = a * a, p;
  if constexpr (is_f32<V>) p = poly(z, -0x1.9595e4p-8, 0x1.584cd2p-6, -0x1.b90d3p-5, 0x1.110c8ep-3, -0x1.555548p-2);
  else
    p = poly(z, -0x1.3d9f7041d7e72p-16, 0x1.59a624a18bed1p-14, -0x1.e81de96a3b8c3p-13, 0x1.3462b655a7f1ep-11,
             -0x1.7d8bda0ee5a5ap-10, 0x1.d6d24d48d95e7p-9, -0x1.226e2d2973d19p-7, 0x1.664f484aa16p-6,
             -0x1.ba1ba1b93c2e7p-5, 0x1.111111111032fp-3, -0x1.555555555554cp-2);
  V near = fma(a * z, p, a);
  V b = at_most(a, is_f32<V> ? 10 : 20), scale, tail;
  if constexpr (is_f32<V>) {  // 2 b = n ln 2 + 2 h, with factors of 2 in the constants, and n by way of its bits
    V shifted = fma(b, c<V>(0x1.71547652b82fep1), c<V>(0x1.8p23 + 127)), n = shifted - c<V>(0x1.8p23 + 127);
    V h = fma(n, c<V>(-kLn2Lo<V> / 2), fma(n, c<V>(-kLn2Hi<V> / 2), b));
    scale = from_bits<V>(bits(shifted) << 23);
    V q = poly(h, 0x1.6a1a8cp-5, 0x1.123fc6p-3, 0x1.555916p-2, 0x1.55548ap-1, 0x1.fffffcp-1);
    tail = fma((h + h) * h, q, h + h);
  } else {
    V n, r = exp_reduce(b + b, n);
    scale = pow2(n);
    tail = exp_tail(r);
  }
  V far = c<V>(1) - c<V>(2) / fma(scale, tail, scale + c<V>(1));
  return copysign(select<V>(a < c<V>(0.5625), near, far), x);
}

// exp(|x|) / 2, finite as long as sinh and cosh are.
template <class V>
MIELINA_INLINE V half_exp(V a) {
  a = at_most(a, is_f32<V> ? 89.5 : 710.6);
  V n, r = exp_reduce(a, n), scale = pow2(n - c<V>(2));
  return c<V>(2) * fma(scale, exp_tail(r), scale);
}
// |x| < 1: x + x^3 P(x^2). Above: h - 1 / (4 h), h = exp(|x|) / 2.
// Max error: 1.62 ULP (f32), 1.59 (f64).
template <class V>
MIELINA_INLINE V sinh(V x) {
  V a = abs(x), z = a * a, p;
  if constexpr (is_f32<V>) p = poly(z, 0x1.7a2684p-19, 0x1.9ffe12p-13, 0x1.111136p-7, 0x1.555556p-3);
  else
    p = poly(z, 0x1.b4cf549b9e321p-41, 0x1.611a3ab3eb3aep-33, 0x1.ae646764b9969p-26, 0x1.71de3a45f9e69p-19,
             0x1.a01a01a0291b9p-13, 0x1.11111111110a1p-7, 0x1.5555555555556p-3);
  V h = half_exp(a);
  return copysign(select<V>(a < c<V>(1), fma(a * z, p, a), h - c<V>(0.25) / h), x);
}
// Max error: 1.45 ULP (f32), 1.42 (f64).
template <class V>
MIELINA_INLINE V cosh(V x) {
  V h = half_exp(abs(x));
  return h + c<V>(0.25) / h;
}

// From 2^30 (2^60 in f64) on asinh(x) and acosh(x) are log(2 x) to the last bit.
template <class V>
constexpr double kLogOnly = is_f32<V> ? 0x1p30 : 0x1p60;

// log1p(a + a^2 / (1 + sqrt(1 + a^2))), a = |x|.
// Max error: 1.74 ULP (f32), 1.84 (f64).
template <class V>
MIELINA_INLINE V asinh(V x) {
  V a = abs(x), z = a * a;
  Mask<V> big = a >= c<V>(kLogOnly<V>);
  V y = log1p(select<V>(big, a, a + z / (c<V>(1) + sqrt(c<V>(1) + z))));
  return copysign(y + select<V>(big, c<V>(0x1.62e42fefa39efp-1), c<V>(0)), x);
}
// log1p(t + sqrt(t (t + 2))), t = x - 1.
// Max error: 2.37 ULP (f32), 2.53 (f64).
template <class V>
MIELINA_INLINE V acosh(V x) {
  V t = x - c<V>(1);
  Mask<V> big = x >= c<V>(kLogOnly<V>);
  V y = log1p(select<V>(big, x, t + sqrt(t * (t + c<V>(2))))) + select<V>(big, c<V>(0x1.62e42fefa39efp-1), c<V>(0));
  return select<V>(x < c<V>(1), c<V>(FpOf<V>::nan), y);
}
// log1p(2a / (1 - a)) / 2, a = |x|; below 1/2 the argument as 2a + 2a^2 / (1 - a), whose head is exact.
// Max error: 1.72 ULP (f32), 1.68 (f64).
template <class V>
MIELINA_INLINE V atanh(V x) {
  V a = abs(x), twice = a + a;
  Mask<V> small = a < c<V>(0.5);
  V q = select<V>(small, twice * a, twice) / (c<V>(1) - a);
  return copysign(c<V>(0.5) * log1p(select<V>(small, twice + q, q)), x);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
