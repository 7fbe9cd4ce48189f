// asin, acos, atan, atan2.
#pragma once
#include "cpu/math/core.h"

namespace mielina {
namespace MIELINA_ISA {

// atan(num / den) for num, den >= 0 in [0, pi/2]: one division after turning by pi/4 or pi/2 so that the quotient stays
// within tan(pi/8); x + x^3 P(x^2) there.
template <class V>
MIELINA_INLINE V atan_positive(V num, V den) {
  Mask<V> steep = num > c<V>(2.414213562373095) * den, middle = num > c<V>(0.4142135623730950) * den;
  V top = select<V>(steep, -den, select<V>(middle, num - den, num));
  V bottom = select<V>(steep, num, select<V>(middle, num + den, den));
  V t = top / bottom, z = t * t, p;
  if constexpr (is_f32<V>) p = poly(z, -0x1.f1fd3p-5, 0x1.b1f1ccp-4, -0x1.23b5b6p-3, 0x1.9991a2p-3, -0x1.55554ap-2);
  else
    p = poly(z, 0x1.f1765865bdb37p-7, -0x1.121c9cb3e749p-5, 0x1.70e21de24abd6p-5, -0x1.ab7ae471fe015p-5,
             0x1.e1719e79509cp-5, -0x1.110c6e30c17fp-4, 0x1.3b136de52f22bp-4, -0x1.745d14b6e92dap-4,
             0x1.c71c71b739d0dp-4, -0x1.2492492475547p-3, 0x1.999999999964ap-3, -0x1.5555555555554p-2);
  constexpr double half = is_f32<V> ? -0x1.777a5cp-25 : 0x1.1a62633145c07p-54;  // pi/2 less its rounding
  V base = select<V>(steep, c<V>(0x1.921fb54442d18p0), select<V>(middle, c<V>(0x1.921fb54442d18p-1), c<V>(0)));
  V rest = select<V>(steep, c<V>(half), select<V>(middle, c<V>(0.5 * half), c<V>(0)));
  return base + (fma(t * z, p, rest) + t);
}

// Max error: 1.84 ULP (f32), 1.79 (f64).
template <class V>
MIELINA_INLINE V atan(V x) {
  V a = abs(x);
  V y = atan_positive(at_most(a, is_f32<V> ? 0x1p60 : 0x1p100), c<V>(1));
  return copysign(select<V>(a == c<V>(0), a, y), x);
}

// The angle of (x, y), with C's limits for zeros and infinities.
// Max error: 1.79 ULP (f32), 1.76 (f64).
template <class V>
MIELINA_INLINE V atan2(V y, V x) {
  using F = FpOf<V>;
  V a = abs(y), b = abs(x);
  Mask<V> big = (a > c<V>(is_f32<V> ? 0x1p100 : 0x1p1000)) | (b > c<V>(is_f32<V> ? 0x1p100 : 0x1p1000));
  V scale = select<V>(big, c<V>(is_f32<V> ? 0x1p-30 : 0x1p-60), c<V>(1));
  Mask<V> both_inf = (a == c<V>(F::inf)) & (b == c<V>(F::inf));
  V num = select<V>(both_inf, c<V>(1), at_most(a * scale, is_f32<V> ? 0x1p120 : 0x1p1015));
  V den = select<V>(both_inf | ((a == c<V>(0)) & (b == c<V>(0))), c<V>(1), b * scale);
  V t = atan_positive(num, den);
  Mask<V> left = (Mask<V>)bits(x) < 0;
  constexpr double pi_low = is_f32<V> ? -0x1.777a5cp-24 : 0x1.1a62633145c07p-53;
  t = select<V>(left, c<V>(0x1.921fb54442d18p1) - (t - c<V>(pi_low)), t);
  t = select<V>(is_nan(x) | is_nan(y), x + y, t);
  return copysign(t, y);
}

// asin(s) = s + s z P(z), z = s^2 <= 1/4.
template <class V>
MIELINA_INLINE V asin_tail(V z) {
  if constexpr (is_f32<V>)
    return z * poly(z, 0x1.33b6cap-5, 0x1.d803fap-7, 0x1.04a4eap-5, 0x1.6cac7p-5, 0x1.33388ep-4, 0x1.55554cp-3);
  else
    return z * poly(z, 0x1.0baf97557a36bp-5, -0x1.5951deb244cc8p-6, 0x1.6490bfd94330dp-6, 0x1.e2c526ad5b683p-9,
                    0x1.61737f9690c4p-7, 0x1.757b8fa9bfff7p-7, 0x1.ca20cb4960b2p-7, 0x1.1c49e2dac6964p-6,
                    0x1.6e8bdfa4901f8p-6, 0x1.f1c71a8dd5c0cp-6, 0x1.6db6db7225d4dp-5, 0x1.333333332df84p-4,
                    0x1.5555555555578p-3);
}
// |x| >= 1/2: asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)); 1 - x is exact there.
// Max error: 1.59 ULP (f32), 1.60 (f64).
template <class V>
MIELINA_INLINE V asin(V x) {
  constexpr double low = is_f32<V> ? -0x1.777a5cp-25 : 0x1.1a62633145c07p-54;
  V a = abs(x);
  Mask<V> outer = a >= c<V>(0.5);
  V z = select<V>(outer, c<V>(0.5) * (c<V>(1) - a), a * a);
  V s = select<V>(outer, sqrt(z), a), tail = s * asin_tail(z);
  V far = c<V>(0x1.921fb54442d18p0) - (c<V>(2) * s + (c<V>(2) * tail - c<V>(low)));
  return copysign(select<V>(outer, far, s + tail), x);
}
// Max error: 1.09 ULP (f32), 1.10 (f64).
template <class V>
MIELINA_INLINE V acos(V x) {
  constexpr double low = is_f32<V> ? -0x1.777a5cp-25 : 0x1.1a62633145c07p-54;
  V a = abs(x);
  Mask<V> outer = a >= c<V>(0.5);
  V z = select<V>(outer, c<V>(0.5) * (c<V>(1) - a), a * a);
  V s = select<V>(outer, sqrt(z), x), tail = s * asin_tail(z);
  V inner = c<V>(0x1.921fb54442d18p0) - (s + (tail - c<V>(low)));
  V twice = c<V>(2) * (s + tail);
  V left = c<V>(0x1.921fb54442d18p1) - (twice - c<V>(2 * low));
  return select<V>(outer, select<V>(x < c<V>(0), left, twice), inner);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
