// The functors of activations; see unary.h.
#pragma once
#include "cpu/elementwise/unary.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// ---- activations: smooth ones ---------------------------------------------------------------------------------------
template <>
struct Fn<Unary::gelu> {  // x Phi(x)
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return gelu(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * gelu_slope(x);
  }
};
template <>
struct Fn<Unary::gelu_tanh> {  // x (1 + tanh(u / 2)) / 2 = x sigmoid(u), u = 2 sqrt(2 / pi) (x + 0.044715 x^3)
  static constexpr bool halves = true;
  static constexpr double k = 2 * kSqrtHalf * kTwoOverSqrtPi;
  template <class V>
  MIELINA_INLINE V s(V x) {
    return sigmoid(c<V>(k) * x * (one<V>() + c<V>(0.044715) * x * x));
  }
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return x * s(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    V y = s(x), slope = c<V>(k) * (one<V>() + c<V>(3 * 0.044715) * x * x);
    return g * (y + x * (y * (one<V>() - y)) * slope);
  }
};
template <>
struct Fn<Unary::silu> {
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return x * sigmoid(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    V s = sigmoid(x);
    return g * (s * (one<V>() + x * (one<V>() - s)));
  }
};
template <>
struct Fn<Unary::mish> {  // x tanh(log(1 + e)), e = exp(x): x n / (n + 2) with n = e (e + 2)
  template <class V>
  MIELINA_INLINE V e(V x) {
    return exp(at_most(x, is_f32<V> ? 20 : 40));
  }
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    V n = e(x) * (e(x) + c<V>(2));
    return x * (n / (n + c<V>(2)));
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    V u = e(x), n = u * (u + c<V>(2)), m = n + c<V>(2), t = n / m;
    return select<V>(x > c<V>(20), g, g * (t + x * (c<V>(4) * u * (u + one<V>()) / (m * m))));
  }
};
template <>
struct Fn<Unary::log_sigmoid> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return log_sigmoid(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * sigmoid(-x);
  }
};
template <>
struct Fn<Unary::softplus> {  // log(1 + exp(p x)) / p; x itself where p x > q
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V p, V q) {
    return select<V>(x * p > q, x, softplus(x * p) / p);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V p, V q) {
    return select<V>(x * p > q, g, g * sigmoid(x * p));
  }
};
template <>
struct Fn<Unary::softsign> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return x / (one<V>() + abs(x));
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    V m = one<V>() + abs(x);
    return g / (m * m);
  }
};
template <>
struct Fn<Unary::tanhshrink> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return x - tanh(x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    V t = tanh(x);
    return g * (t * t);
  }
};
template <>
struct Fn<Unary::elu> {  // p (exp(q x) - 1) on the left; celu is p = alpha, q = 1 / alpha
  template <class V>
  MIELINA_INLINE V f(V x, V p, V q) {
    return select<V>(x >= V{}, x, p * expm1(at_most(x, 0) * q));
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V p, V q) {
    return select<V>(x > V{}, g, g * (p * q * exp(at_most(x, 0) * q)));
  }
};
template <>
struct Fn<Unary::selu> {  // Klambauer et al. 2017
  static constexpr double alpha = 1.6732632423543772848, scale = 1.0507009873554804934;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return c<V>(scale) * select<V>(x > V{}, x, c<V>(alpha) * expm1(at_most(x, 0)));
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return g * select<V>(x > V{}, c<V>(scale), c<V>(scale * alpha) * exp(at_most(x, 0)));
  }
};

// ---- activations: pieces of straight lines --------------------------------------------------------------------------
template <>
struct Fn<Unary::hardtanh> {  // clamp, but a bound passes no gradient
  template <class V>
  MIELINA_INLINE V f(V x, V p, V q) {
    return Fn<Unary::clamp>::f(x, p, q);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V p, V q) {
    return select<V>((x > p) & (x < q), g, V{});
  }
};
template <>
struct Fn<Unary::hardsigmoid> {
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return Fn<Unary::clamp>::f(x + c<V>(3), V{}, c<V>(6)) * c<V>(1.0 / 6);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return select<V>((x > c<V>(-3)) & (x < c<V>(3)), g * c<V>(1.0 / 6), V{});
  }
};
template <>
struct Fn<Unary::hardswish> {
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V, V) {
    return x * (Fn<Unary::clamp>::f(x + c<V>(3), V{}, c<V>(6)) * c<V>(1.0 / 6));  // 6 x may overflow
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V, V) {
    return zero_where<V>(x <= c<V>(-3), select<V>(x >= c<V>(3), g, g * (x * c<V>(1.0 / 3) + c<V>(0.5))));
  }
};
template <>
struct Fn<Unary::hardshrink> {
  template <class V>
  MIELINA_INLINE V f(V x, V p, V) {
    return zero_where<V>(abs(x) <= p, x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V p, V) {
    return select<V>(abs(x) > p, g, V{});
  }
};
template <>
struct Fn<Unary::softshrink> {
  template <class V>
  MIELINA_INLINE V f(V x, V p, V) {
    return zero_where<V>(abs(x) <= p, x - copysign(p, x));
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V p, V) {
    return select<V>(abs(x) > p, g, V{});
  }
};
template <>
struct Fn<Unary::leaky_relu> {
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V p, V) {
    return select<V>(x > V{}, x, x * p);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V p, V) {
    return select<V>(x > V{}, g, g * p);
  }
};
template <>
struct Fn<Unary::threshold> {  // q where x <= p
  template <class V>
  MIELINA_INLINE V f(V x, V p, V q) {
    return select<V>(x <= p, q, x);
  }
  template <class V>
  MIELINA_INLINE V d(V g, V x, V, V p, V) {
    return zero_where<V>(x <= p, g);
  }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
