// pow.
//
// |x|^y = exp(y log|x|), the logarithm with about 12 more bits than the result, since y log|x| may reach 745. f32 takes
// them from f64 arithmetic with short polynomials, f64 from pairs.
#pragma once
#include "cpu/math/log.h"

namespace mielina {
namespace MIELINA_ISA {

// |x|^y for finite nonzero x; exact powers of two in the limits 0 and inf.
MIELINA_INLINE vf64 pow_magnitude(vf64 x, vf64 y) {
  using V = vf64;
  V k, m = log_split(abs(x), k), f = m - c<V>(1);
  // s = f / (2 + f) as a pair; log(m) = 2 s (1 + u), u = z/3 + z^2 Q(z), z = s^2.
  V d = c<V>(2) + f, d_low = f - (d - c<V>(2)), inverse = c<V>(1) / d;
  V s = f * inverse, e, sd = two_prod(s, d, e);
  V s_low = (((f - sd) - e) - s * d_low) * inverse;
  V z_low, z = two_prod(s, s, z_low);
  z_low = fma(s + s, s_low, z_low);
  V q = z * z *
        poly(z, 0x1.eb3040aaf2cf9p-5, 0x1.de2fbee9c39dcp-5, 0x1.1120cc972fd97p-4, 0x1.3b136220135b5p-4,
             0x1.745d1834784adp-4, 0x1.c71c71c57c0fap-4, 0x1.2492492493058p-3, 0x1.9999999999995p-3);
  constexpr double third = 0x1.5555555555555p-2;
  V u1, u = two_prod(z, c<V>(third), u1);
  u1 = u1 + fma(z, c<V>(0x1.5555555555555p-56), z_low * c<V>(third));
  V u2;
  u = fast_two_sum(u, q, u2);
  u2 = u2 + u1;
  V s2 = s + s, v1, v = two_prod(s2, u, v1);
  v1 = v1 + fma(s2, u2, (s_low + s_low) * u);
  V l1, l2, log1 = fast_two_sum(k * c<V>(kLn2Hi<V>), s2, l1);
  log1 = fast_two_sum(log1, v, l2);
  V log2 = (l1 + l2) + (v1 + fma(k, c<V>(kLn2Lo<V>), s_low + s_low));
  y = at_least(at_most(y, 0x1p66), -0x1p66);  // |log| >= 2^-53: beyond, the result is 0, 1 or inf anyway
  V low, t = two_prod(y, log1, low);
  low = fma(y, log2, low);
  Mask<V> inside = abs(t) < c<V>(800);
  t = at_least(at_most(t, 720), -760);
  V n, r = exp_reduce(t, n) + select<V>(inside, low, c<V>(0));
  return scale_pow2(c<V>(1) + exp_tail(r), n);
}

// The same for f32 in f64, with 2^-37 in the logarithm and 2^-29 in exp2.
MIELINA_INLINE vf64 pow_magnitude_short(vf64 x, vf64 y) {
  using V = vf64;
  V k, m = log_split(abs(x), k), f = m - c<V>(1);
  V s = f / (c<V>(2) + f), z = s * s;
  V p = poly(z, 0x1.5c6d13052f512p-2, 0x1.a595d08f9dc1cp-2, 0x1.2777684b939edp-1, 0x1.ec709d441a2a9p-1,
             0x1.71547652b82fep1);
  V t = at_least(at_most(y * fma(s, p, k), 200), -200), n = round_even(t);
  V r = t - n, e = poly(r, 0x1.41d2ab7d6d194p-13, 0x1.5f4568bce7c6cp-10, 0x1.3b2dbca1b44a6p-7, 0x1.c6aed4c01e932p-5,
                        0x1.ebfbdadb45304p-3, 0x1.62e430c7de28ap-1, 0x1.0000000261b9ap0);
  return e * pow2(n);
}

// C's pow, special cases included.
// Max error: 0.53 ULP (f32), 1.20 (f64).
template <class V>
MIELINA_INLINE V pow(V x, V y) {
  using F = FpOf<V>;
  V magnitude;
  if constexpr (is_f32<V>) {
    Wide a = widen(x), b = widen(y);
    magnitude = narrow(pow_magnitude_short(a.low, b.low), pow_magnitude_short(a.high, b.high));
  } else {
    magnitude = pow_magnitude(x, y);
  }
  if constexpr (is_f32<V>) {  // 64 MB: 13.1 ms; 14.3 with all that follows
    if (__builtin_expect(!any_lane(~((x > c<V>(0)) & (x < c<V>(F::inf)) & (abs(y) < c<V>(F::inf)))), 1))
      return magnitude;
  }
  V half = y * c<V>(0.5), a = abs(x);
  Mask<V> integer = trunc(y) == y, odd = integer & (trunc(half) != half);
  Mask<V> edge = (a == c<V>(0)) | (a == c<V>(F::inf)), rises = (y > c<V>(0)) == (a > c<V>(1));
  V r = select<V>(edge, select<V>(rises, c<V>(F::inf), c<V>(0)), magnitude);
  V negative = from_bits<V>(bits(x) & bits(sign_mask<V>()) & (Bits<V>)odd);
  r = from_bits<V>(bits(r) | bits(negative));
  r = select<V>((x < c<V>(0)) & (a < c<V>(F::inf)) & ~integer, c<V>(F::nan), r);
  r = select<V>(is_nan(x) | is_nan(y), x + y, r);
  r = select<V>((a == c<V>(1)) & (abs(y) == c<V>(F::inf)), c<V>(1), r);
  return select<V>((y == c<V>(0)) | (x == c<V>(1)), c<V>(1), r);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
