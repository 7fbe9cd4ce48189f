// exp, exp2, expm1 and the activations that are made of them.
//
// Cody & Waite, Software Manual for the Elementary Functions (1980): x = n ln 2 + r, |r| <= ln 2 / 2, and a minimax
// polynomial in r. The high part of ln 2 has so few bits that n * high is exact without FMA as well.
#pragma once
#include "cpu/math/core.h"

namespace mielina {
namespace MIELINA_ISA {

template <class V>
constexpr double kLn2Hi = is_f32<V> ? 0x1.62e4p-1 : 0x1.62e42feep-1;
template <class V>
constexpr double kLn2Lo = is_f32<V> ? 0x1.7f7d1cf79abcap-20 : 0x1.a39ef35793c76p-33;

// exp(r) = 1 + exp_tail(r) for |r| <= 0.35.
template <class V>
MIELINA_INLINE V exp_tail(V r) {
  V q;
  if constexpr (is_f32<V>) q = poly(r, 0x1.6a1a8cp-10, 0x1.123fc6p-7, 0x1.555916p-5, 0x1.55548ap-3, 0x1.fffffcp-2);
  else
    q = poly(r, 0x1.ad7936c228525p-26, 0x1.28b1636cc34c2p-22, 0x1.71df2ff1c064bp-19, 0x1.a01995f3eea96p-16,
             0x1.a01a012292167p-13, 0x1.6c16c18599315p-10, 0x1.1111111129bb4p-7, 0x1.5555555550261p-5,
             0x1.55555555554fp-3, 0x1.000000000000bp-1);
  return fma(r * r, q, r);
}

// x = n ln 2 + r.
template <class V>
MIELINA_INLINE V exp_reduce(V x, V& n) {
  n = round_even(x * c<V>(0x1.71547652b82fep0));
  return fma(n, c<V>(-kLn2Lo<V>), fma(n, c<V>(-kLn2Hi<V>), x));
}

// exp of what is not above 0 by more than rounding, or NaN: softmax, whose exponentials are what it takes, has no bound
// to spend on the other side.
template <class V>
MIELINA_INLINE V exp_below(V x) {
  V n, r = exp_reduce(at_least(x, is_f32<V> ? -106 : -748), n);
  return scale_pow2(c<V>(1) + exp_tail(r), n);
}
// Max error: 1.01 ULP (f32), 1.03 (f64).
template <class V>
MIELINA_INLINE V exp(V x) {
  return exp_below(at_most(x, is_f32<V> ? 89 : 710));
}

// The reduction is exact: r = (x - round(x)) ln 2.
// Max error: 1.01 ULP (f32), 1.11 (f64).
template <class V>
MIELINA_INLINE V exp2(V x) {
  x = at_least(at_most(x, is_f32<V> ? 129 : 1025), is_f32<V> ? -152 : -1077);
  V n = round_even(x);
  return scale_pow2(c<V>(1) + exp_tail((x - n) * c<V>(0x1.62e42fefa39efp-1)), n);
}

// 2^n (1 + tail) - 1, halved inside so that 2^n stays finite.
// Max error: 1.51 ULP (f32), 2.21 (f64).
template <class V>
MIELINA_INLINE V expm1(V x) {
  V n, r = exp_reduce(at_least(at_most(x, is_f32<V> ? 89 : 710), -40), n), half = pow2(n - c<V>(1));
  V y = fma(half, exp_tail(r), half - c<V>(0.5));
  return select<V>(abs(x) < c<V>(FpOf<V>::min_normal), x, y + y);
}

// 1 / (1 + exp(-x)), from exp(-|x|) so that neither end overflows and the left tail is exact down to the subnormals.
// Max error: 2.41 ULP (f32), 2.19 (f64).
template <class V>
MIELINA_INLINE V sigmoid(V x) {
  V e = exp_below(-abs(x));
  return select<V>(x < c<V>(0), e, c<V>(1)) / (c<V>(1) + e);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
