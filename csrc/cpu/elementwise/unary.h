// The unary functors: f(x, p, q), and d(g, x, y, p, q) = g f'(x) with y = f(x). Both have PyTorch's values at kinks.
//
// Written on vectors of any width: CUDA takes them too, with one lane (cuda/scalar.cuh).
#pragma once
#ifdef __CUDACC__
#include "cuda/scalar.cuh"
#else
#include "cpu/elementwise/rows.h"
#include "cpu/math/normal.h"
#endif

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <Unary op>
struct Fn;

constexpr double kLn2 = 0.693147180559945309417, kLn10 = 2.30258509299404568402, kPi = 3.14159265358979323846;
constexpr double kSqrtHalf = 0.707106781186547524401, kTwoOverSqrtPi = 1.12837916709551257390;

template <class V>
MIELINA_INLINE V one() {
  return c<V>(1);
}
template <class V>
MIELINA_INLINE V zero_where(Mask<V> m, V x) {
  return select<V>(m, V{}, x);
}

// ---- signs and rounding ---------------------------------------------------------------------------------------------
template <>
struct Fn<Unary::relu> {
  static constexpr bool integers = true, halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return zero_where<V>(x < V{}, x);
  }  // keeps NaN
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return zero_where<V>(y <= V{}, g);
  }
};
template <>
struct Fn<Unary::sign> {
  static constexpr bool integers = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return select<V>(x > V{}, one<V>(), select<V>(x < V{}, c<V>(-1), V{}));
  }
};
template <>
struct Fn<Unary::abs> {
  static constexpr bool integers = true, halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    if constexpr (__is_same(V, vi64)) return select<V>(x < V{}, (V) - (Wrap<V>)x, x);
    else return abs(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * Fn<Unary::sign>::f(x, x, x);
  }
};
template <>
struct Fn<Unary::neg> {
  static constexpr bool integers = true, halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return (V) - (Wrap<V>)x;
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V, V, V) {
    return -g;
  }
};
template <>
struct Fn<Unary::square> {
  static constexpr bool integers = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return (V)((Wrap<V>)x * (Wrap<V>)x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * (x + x);
  }
};
template <>
struct Fn<Unary::cube> {
  static constexpr bool integers = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return (V)((Wrap<V>)x * (Wrap<V>)x * (Wrap<V>)x);
  }
};
template <>
struct Fn<Unary::ceil> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return ceil(x);
  }
};
template <>
struct Fn<Unary::floor> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return floor(x);
  }
};
template <>
struct Fn<Unary::round> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return round_even(x);
  }
};
template <>
struct Fn<Unary::round_decimals> {  // p = 10^|decimals|; q = 1 where they are negative
  template <class V>
  MIELINA_INLINE V f(V x, V p, V q) {
    Mask<V> tens = q != V{};
    V y = round_even(select<V>(tens, x / p, x * p));
    return select<V>(tens, y * p, y / p);
  }
};
template <>
struct Fn<Unary::trunc> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return trunc(x);
  }
};
template <>
struct Fn<Unary::frac> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return x - trunc(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V, V, V) {
    return g;
  }
};
template <>
struct Fn<Unary::clamp> {  // to [p, q]
  template <class V>
  MIELINA_INLINE V f(V x, V p, V q) {
    V y = select<V>((x >= p) | is_nan(x), x, p);
    return select<V>((y <= q) | is_nan(y), y, q);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V p, V q) {
    return select<V>((x >= p) & (x <= q), g, V{});
  }
};

template <>
struct Fn<Unary::nan_to_num> {  // p where x is NaN, else x to [-q, q], q the largest number there is
  template <class V>
  MIELINA_INLINE V f(V x, V p, V q) {
    return select<V>(is_nan(x), p, Fn<Unary::clamp>::f(x, -q, q));
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V q) {
    return select<V>((x >= -q) & (x <= q), g, V{});
  }
};

// ---- powers, exponentials, logarithms -------------------------------------------------------------------------------
template <>
struct Fn<Unary::sqrt> {
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return sqrt(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return g / (y + y);
  }
};
template <>
struct Fn<Unary::rsqrt> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return one<V>() / sqrt(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return c<V>(-0.5) * g * (y * y * y);
  }
};
template <>
struct Fn<Unary::reciprocal> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return one<V>() / x;
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return -g * (y * y);
  }
};
template <>
struct Fn<Unary::exp> {
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return exp(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return g * y;
  }
};
template <>
struct Fn<Unary::exp2> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return exp2(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return g * y * c<V>(kLn2);
  }
};
template <>
struct Fn<Unary::expm1> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return expm1(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return g * (y + one<V>());
  }
};
template <>
struct Fn<Unary::log> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return log(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g / x;
  }
};
template <>
struct Fn<Unary::log2> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return log2(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g / (x * c<V>(kLn2));
  }
};
template <>
struct Fn<Unary::log10> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return log10(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g / (x * c<V>(kLn10));
  }
};
template <>
struct Fn<Unary::log1p> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return log1p(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g / (x + one<V>());
  }
};
template <>
struct Fn<Unary::logit> {  // of x moved into [p, q]; near 1/2 both halves are exact and log(1 + near) keeps the zero's
                           // digits
  template <class V>
  MIELINA_INLINE V f(V x, V p, V q) {
    x = select<V>(x < p, p, select<V>(x > q, q, x));
    V far = x / (one<V>() - x), near = (x + x - one<V>()) / (one<V>() - x);
    return log_either(near, far);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V p, V q) {  // without bounds NaN outside [0, 1], with them 0 outside
    Mask<V> bounded = p != c<V>(-FpOf<V>::inf);
    V low = select<V>(bounded, p, V{}), high = select<V>(bounded, q, one<V>());
    return select<V>((x < low) | (x > high), zero_where<V>(bounded, c<V>(FpOf<V>::nan)), g / (x * (one<V>() - x)));
  }
};
template <>
struct Fn<Unary::sigmoid> {
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return sigmoid(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return g * (y * (one<V>() - y));
  }
};

// ---- circular and hyperbolic ----------------------------------------------------------------------------------------
template <>
struct Fn<Unary::sin> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return sin(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * cos(x);
  }
};
template <>
struct Fn<Unary::cos> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return cos(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return -g * sin(x);
  }
};
template <>
struct Fn<Unary::tan> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return tan(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return g * (one<V>() + y * y);
  }
};
template <>
struct Fn<Unary::asin> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return asin(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g / sqrt((one<V>() - x) * (one<V>() + x));
  }
};
template <>
struct Fn<Unary::acos> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return acos(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return -g / sqrt((one<V>() - x) * (one<V>() + x));
  }
};
template <>
struct Fn<Unary::atan> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return atan(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g / (one<V>() + x * x);
  }
};
template <>
struct Fn<Unary::sinc> {  // sin(pi x) / (pi x), from the fraction of x, which is exact
  template <class V>
  MIELINA_INLINE V turns(V x, V& cosine) {
    V n = round_even(x), r = (x - n) * c<V>(kPi);
    Mask<V> even = n == c<V>(2) * round_even(n * c<V>(0.5));
    cosine = select<V>(even, cos(r), -cos(r));
    return select<V>(even, sin(r), -sin(r));
  }
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    V cosine;
    return select<V>(x == V{}, one<V>(), turns(x, cosine) / (c<V>(kPi) * x));
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    V cosine, sine = turns(x, cosine);
    return select<V>(x == V{}, V{}, g * ((cosine - sine / (c<V>(kPi) * x)) / x));
  }
};
template <>
struct Fn<Unary::sinh> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return sinh(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * cosh(x);
  }
};
template <>
struct Fn<Unary::cosh> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return cosh(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * sinh(x);
  }
};
template <>
struct Fn<Unary::tanh> {
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return tanh(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return g * (one<V>() - y * y);
  }
};
template <>
struct Fn<Unary::asinh> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return asinh(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g / sqrt(x * x + one<V>());
  }
};
template <>
struct Fn<Unary::acosh> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return acosh(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g / sqrt((x - one<V>()) * (x + one<V>()) + V{});  // + 0: at -1 the root must not be -0
  }
};
template <>
struct Fn<Unary::atanh> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return atanh(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g / ((one<V>() - x) * (one<V>() + x));
  }
};

// ---- special functions ----------------------------------------------------------------------------------------------
template <>
struct Fn<Unary::erf> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return erf(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * (c<V>(kTwoOverSqrtPi) * exp(-x * x));
  }
};
template <>
struct Fn<Unary::erfc> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return erfc(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * (c<V>(-kTwoOverSqrtPi) * exp(-x * x));
  }
};
template <>
struct Fn<Unary::erfinv> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return erfinv(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V, V y, V, V) {
    return g * (exp(y * y) * c<V>(1 / kTwoOverSqrtPi));
  }
};
template <>
struct Fn<Unary::trigamma> {
  // x >= 1/2: psi'(x) = sum_{i<10} 1 / (x + i)^2 + the asymptotic series at x + 10 (Abramowitz & Stegun 6.4.12).
  // Below: pi^2 / sin^2(pi x) - psi'(1 - x).
  MIELINA_INLINE vf64 f(vf64 x, vf64, vf64) {
    using V = vf64;
    Mask<V> left = x < c<V>(0.5);
    V t = select<V>(left, one<V>() - x, x), sum{};
    for (int i = 0; i < 10; i++, t += one<V>()) sum += one<V>() / (t * t);
    V w = one<V>() / t, z = w * w;
    V series = poly(z, 7.0 / 6, -691.0 / 2730, 5.0 / 66, -1.0 / 30, 1.0 / 42, -1.0 / 30, 1.0 / 6);
    sum += w + z * c<V>(0.5) + w * z * series;
    if (__builtin_expect(any_lane(left), 0)) {
      V s = c<V>(kPi) / sin(c<V>(kPi) * (x - round_even(x)));
      sum = select<V>(left, s * s - sum, sum);
    }
    return sum;
  }
  MIELINA_INLINE vf32 f(vf32 x, vf32, vf32) {
    Wide w = widen(x);
    return narrow(f(w.low, w.low, w.low), f(w.high, w.high, w.high));
  }
};
#ifndef __CUDACC__  // zeta's loop over vectors has no scalar twin yet: cards refuse it
template <>
struct Fn<Unary::polygamma> {  // q zeta(p + 1, x), q = (-1)^(p + 1) p!
  MIELINA_INLINE vf64 f(vf64 x, vf64 p, vf64 q) { return q * zeta(int(p[0]) + 1, x); }
  MIELINA_INLINE vf32 f(vf32 x, vf32 p, vf32 q) {
    Wide w = widen(x), factor = widen(q);
    vf64 n = widen(p).low;
    return narrow(f(w.low, n, factor.low), f(w.high, n, factor.low));
  }
};
#endif
template <>
struct Fn<Unary::digamma> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return digamma(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * Fn<Unary::trigamma>::f(x, x, x);
  }
};
template <>
struct Fn<Unary::lgamma> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return lgamma(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * digamma(x);
  }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
