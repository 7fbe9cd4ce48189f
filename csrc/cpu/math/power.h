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

// log2(x) of a positive finite f64 that came from f32, with a relative error of 2^-37, at x near 1 too.
MIELINA_INLINE vf64 log2_short(vf64 x) {
  using V = vf64;
#if MIELINA_V512
  // Two registers hold 16 numbers c near 1 / m, so f = c m - 1 is exact, |f| < 0.0297, and log2(m) = log2(1 + f) -
  // log2(c) needs no division (64 MB: pow 13.1 ms with it, 10.7 without). m lies in [0.7, 1.4), where c is 1 around 1.
  alignas(64) static constexpr double inverse[16] = {
      0x1.66p+0, 0x1.57p+0, 0x1.49p+0, 0x1.3c8p+0, 0x1.308p+0, 0x1.258p+0, 0x1.1b8p+0, 0x1.12p+0,
      0x1.09p+0, 0x1p+0,    0x1.e5p-1, 0x1.cap-1,  0x1.b2p-1,  0x1.9cp-1,  0x1.88p-1,  0x1.76p-1};
  alignas(64) static constexpr double minus_log2[16] = {
      -0x1.ef6d67328e220p-2, -0x1.b031befe06434p-2, -0x1.72a1637cbc183p-2, -0x1.39683c4a9ce9ap-2, -0x1.004e3a7c97cbdp-2,
      -0x1.93e6587910444p-3, -0x1.2d79c6937efddp-3, -0x1.918a16e46335bp-4, -0x1.985bfc3495194p-5, 0,
      0x1.4023b7b26ac9ep-4,  0x1.494f863b8df35p-3,  0x1.e857d3d361368p-3,  0x1.4106017c3eca3p-2,  0x1.8a8980abfbd32p-2,
      0x1.cffae611ad12bp-2};
  auto of = [](const double* table, vi64 i) {
    return (V)_mm512_permutex2var_pd(_mm512_load_pd(table), (__m512i)i, _mm512_load_pd(table + 8));
  };
  Bits<V> above = bits(x) - 0x3fe6640000000000;
  vi64 i = (vi64)above >> 48;  // the table reads four bits of it
  V k = to_float(i >> 4), m = from_bits<V>(bits(x) - (above & 0xfff0000000000000));
  V f = fma(m, of(inverse, i), c<V>(-1));
  V p = poly(f, -0x1.ed027cca98972p-3, 0x1.27bdd77e81c0fp-2, -0x1.71546e2e5258bp-2, 0x1.ec7097c8a5315p-2,
             -0x1.71547652d4ac1p-1, 0x1.71547652bcf53p+0);
  return fma(f, p, k + of(minus_log2, i));
#else
  V k, m = log_split(x, k), f = m - c<V>(1), s = f / (c<V>(2) + f), z = s * s;
  V p = poly(z, 0x1.5c6d13052f512p-2, 0x1.a595d08f9dc1cp-2, 0x1.2777684b939edp-1, 0x1.ec709d441a2a9p-1,
             0x1.71547652b82fep1);
  return fma(s, p, k);
#endif
}

// The same for f32 in f64, with 2^-37 in the logarithm and 2^-29 in exp2.
MIELINA_INLINE vf64 pow_magnitude_short(vf64 x, vf64 y) {
  using V = vf64;
  V t = at_least(at_most(y * log2_short(abs(x)), 200), -200), n = round_even(t);
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
  if constexpr (is_f32<V>) {  // 64 MB: what follows costs 1.2 ms
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
