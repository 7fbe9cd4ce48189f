// log, log2, log10, log1p, softplus, log_sigmoid.
//
// x = 2^k m with m in [sqrt(1/2), sqrt(2)), f = m - 1. f32: log(1 + f) = f - f^2/2 + f^3 P(f). f64: with s = f / (2 +
// f), log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)), the arrangement of Tang (1990), which keeps all rounding errors but
// the last below f^2 / 2.
#pragma once
#include "cpu/math/exp.h"

namespace mielina {
namespace MIELINA_ISA {

// Splits a positive finite x (subnormals too) into 2^k m. At 512 bits the instructions for exponent and mantissa do it,
// and give k = -inf for zeros, inf for inf, and m = NaN for negative numbers and NaN; adding 0 makes -0 a +0.
template <class V>
MIELINA_INLINE V log_split(V x, V& k) {
#if MIELINA_V512
  V m;
  x = x + c<V>(0);
  if constexpr (is_f32<V>) {
    k = (V)_mm512_maskz_getexp_ps((__mmask16)-1, (__m512)x);
    m = (V)_mm512_maskz_getmant_ps((__mmask16)-1, (__m512)x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_nan);
  } else {
    k = (V)_mm512_maskz_getexp_pd((__mmask8)-1, (__m512d)x);
    m = (V)_mm512_maskz_getmant_pd((__mmask8)-1, (__m512d)x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_nan);
  }
  Mask<V> upper = m > c<V>(0x1.6a09e667f3bcdp0);
  k = select<V>(upper, k + c<V>(1), k);
  return select<V>(upper, m * c<V>(0.5), m);
#else
  using F = FpOf<V>;
  using U = typename F::UInt;
  constexpr U one = is_f32<V> ? U(0x3f800000) : U(0x3ff0000000000000);
  constexpr U half_sqrt = is_f32<V> ? U(0x3f3504f3) : U(0x3fe6a09e667f3bcd);  // sqrt(1/2)
  constexpr int shift = F::digits - 1;
  constexpr double magic = is_f32<V> ? 0x1p23 : 0x1p52;  // an integer in the low bits of 2^(digits - 1) is its value
  Mask<V> tiny = x < c<V>(F::min_normal);
  x = select<V>(tiny, x * c<V>(magic), x);
  Bits<V> u = bits(x) + (one - half_sqrt);
  k = from_bits<V>((u >> shift) | bits(c<V>(magic))) -
      select<V>(tiny, c<V>(magic + F::bias + shift), c<V>(magic + F::bias));
  return from_bits<V>((u & ((U(1) << shift) - 1)) + half_sqrt);
#endif
}

// log(1 + f) = f - half_square + log_tail(f, half_square) for f in [sqrt(1/2) - 1, sqrt(2) - 1].
template <class V>
MIELINA_INLINE V log_tail(V f, V half_square) {
  if constexpr (is_f32<V>) {
    return f * f * f *
           poly(f, 0x1.145bc4p-4, -0x1.de44a6p-4, 0x1.e6f30ep-4, -0x1.fc2098p-4, 0x1.23372p-3, -0x1.555c58p-3,
                0x1.99a4bap-3, -0x1.000006p-2, 0x1.555548p-2);
  } else {
    V s = f / (c<V>(2) + f), z = s * s;
    V r = z * poly(z, 0x1.2f55e24165a3p-3, 0x1.399a1b4b40c23p-3, 0x1.746686b40a1dap-3, 0x1.c71c50bf2ee8dp-3,
                   0x1.249249436db75p-2, 0x1.999999997e4c1p-2, 0x1.5555555555597p-1);
    return s * (half_square + r);
  }
}

// log(1 + f) + k ln 2.
template <class V>
MIELINA_INLINE V log_core(V f, V k) {
  V half_square = c<V>(0.5) * f * f;
  V low = fma(k, c<V>(kLn2Lo<V>), log_tail(f, half_square)) - half_square;
  return fma(k, c<V>(kLn2Hi<V>), f + low);
}

// y, but the limits of log where x is 0, negative, infinite or NaN.
template <class V>
MIELINA_INLINE V log_limits(V x, V y) {
  using F = FpOf<V>;
  y = select<V>(x == c<V>(0), c<V>(-F::inf), y);
  y = select<V>((x < c<V>(0)) | is_nan(x), c<V>(F::nan), y);
  return select<V>(x == c<V>(F::inf), x, y);
}

// Max error: 0.84 ULP (f32), 0.79 (f64).
template <class V>
MIELINA_INLINE V log(V x) {
  V k, m = log_split(x, k), y = log_core(m - c<V>(1), k);
#if MIELINA_V512
  return y;  // both parts of ln 2 are positive, so k = -inf or inf runs through
#else
  return log_limits(x, y);
#endif
}

// log to another base, log(x) * scale + k * unit. log(1 + f) is cut into a head of half the digits and the rest, so
// that the head's products with the heads of the constants are exact.
template <class V>
MIELINA_INLINE V log_scaled(V x, double scale_hi, double scale, double scale_lo, double unit_hi, double unit_lo) {
  V k, m = log_split(x, k), f = m - c<V>(1);
  V half_square = c<V>(0.5) * f * f;
  V head = f - half_square;
  head = from_bits<V>(bits(head) & (is_f32<V> ? ~typename FpOf<V>::UInt(0xfff) : ~typename FpOf<V>::UInt(0xffffffff)));
  V rest = ((f - head) - half_square) + log_tail(f, half_square);
  V low, sum = fast_two_sum(k * c<V>(unit_hi), head * c<V>(scale_hi), low);
  low = low + fma(k, c<V>(unit_lo), fma(rest, c<V>(scale), head * c<V>(scale_lo)));
  return log_limits(x, sum + low);
}
// Max error: 0.78 ULP (f32), 0.76 (f64).
template <class V>
MIELINA_INLINE V log2(V x) {
  constexpr double hi = is_f32<V> ? 0x1.714p0 : 0x1.71547652p0, log2e = 0x1.71547652b82fep0;
  return log_scaled(x, hi, log2e, is_f32<V> ? log2e - hi : 0x1.705fc2eefa200p-33, 1, 0);
}
// Max error: 0.72 ULP (f32), 0.67 (f64).
template <class V>
MIELINA_INLINE V log10(V x) {
  constexpr double hi = is_f32<V> ? 0x1.bcap-2 : 0x1.bcb7b152p-2, log10e = 0x1.bcb7b1526e50ep-2;
  constexpr double unit = is_f32<V> ? 0x1.344p-2 : 0x1.34413508p-2, log10_2 = 0x1.34413509f79ffp-2;
  return log_scaled(x, hi, log10e, is_f32<V> ? log10e - hi : 0x1.b9438ca9aadd5p-36, unit,
                    is_f32<V> ? log10_2 - unit : 0x1.f79fef311f12bp-34);
}

// log(u) with u = 1 + x rounded, and the part of x that u lost added to f.
// Max error: 1.38 ULP (f32), 1.36 (f64).
template <class V>
MIELINA_INLINE V log1p(V x) {
  V u = c<V>(1) + x, big = select<V>(abs(x) > c<V>(1), x, c<V>(1)), small = select<V>(abs(x) > c<V>(1), c<V>(1), x);
  V lost = small - (u - big);
  V k, m = log_split(u, k);
  V f = (m - c<V>(1)) + lost * pow2(at_least(-k, 1 - FpOf<V>::bias));
  V y = log_limits(u, log_core(f, k));
  return select<V>(abs(x) < c<V>(FpOf<V>::min_normal), x, y);
}

// log(1 + near) where |near| < 1/2, else log(far): one logarithm for both, to which what 1 + near lost is added.
template <class V>
MIELINA_INLINE V log_either(V near, V far) {
  Mask<V> middle = abs(near) < c<V>(0.5);
  V u = select<V>(middle, c<V>(1) + near, far), lost = select<V>(middle, near - (u - c<V>(1)), V{});
  V k, m = log_split(u, k);
  return log_limits(u, log_core((m - c<V>(1)) + select<V>(k < V{}, lost + lost, lost), k));
}

// log(1 + e) for e in [0, 1]: f32 as e + e^2 P(e) / Q(e), f64 by a logarithm whose argument lies in [1, 2], so that k
// is 0 or 1 and no limit can occur.
template <class V>
MIELINA_INLINE V log1p_unit(V e) {
  if constexpr (is_f32<V>) {
    V p = poly(e, -0x1.27f326p-4, -0x1.cd8d72p-2, -0x1.fffffap-2);
    return fma(e * e, p / poly(e, 0x1.36133ap-4, 0x1.614442p-1, 0x1.917110p0, 1.0), e);
  } else {
    Mask<V> upper = e > c<V>(0.41421356);
    return log_core(select<V>(upper, c<V>(0.5) * (e - c<V>(1)), e), select<V>(upper, c<V>(1), c<V>(0)));
  }
}
// log(1 + exp(-|x|)).
template <class V>
MIELINA_INLINE V log1p_exp_minus(V x) {
  return log1p_unit(exp_below(-abs(x)));
}
// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
// Max error: 2.21 ULP (f32; 1.78 with FMA), 1.64 (f64).
template <class V>
MIELINA_INLINE V softplus(V x) {
  return select<V>(x < c<V>(0), c<V>(0), x) + log1p_exp_minus(x);
}
// log(sigmoid(x)) = min(x, 0) - log(1 + exp(-|x|)).
// Max error: 2.21 ULP (f32; 1.78 with FMA), 1.64 (f64).
template <class V>
MIELINA_INLINE V log_sigmoid(V x) {
  return select<V>(x > c<V>(0), c<V>(0), x) - log1p_exp_minus(x);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
