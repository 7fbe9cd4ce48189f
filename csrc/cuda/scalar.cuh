// The CPU's vector vocabulary (cpu/simd.h, cpu/math/) for one lane, so that the unary functors of cpu/elementwise/ are
// CUDA's too: a "vector" is a float, a double or an int64, a mask is a bool, and the elementary functions are CUDA's.
#pragma once
#include "cuda/device.cuh"

#define MIELINA_ISA cuda
#define MIELINA_INLINE static __device__ __forceinline__

namespace mielina {
namespace cuda {

using vf32 = float;
using vf64 = double;
using vi64 = int64_t;

template <class V>
using Mask = bool;
template <class V>
using Elem = V;
template <class V>
struct WrapOf {
  using type = V;
};
template <>
struct WrapOf<int64_t> {
  using type = uint64_t;
};
template <class V>
using Wrap = typename WrapOf<V>::type;  // arithmetic that wraps around
template <class V>
constexpr bool is_f32 = __is_same(V, float);

template <class V>
struct FpOf;
template <>
struct FpOf<float> {
  static constexpr float inf = __builtin_inff(), nan = __builtin_nanf("");
};
template <>
struct FpOf<double> {
  static constexpr double inf = __builtin_inf(), nan = __builtin_nan("");
};

template <class V>
MIELINA_INLINE V c(double x) {
  return V(x);
}
template <class V>
MIELINA_INLINE V select(bool m, V a, V b) {
  return m ? a : b;
}
MIELINA_INLINE bool any_lane(bool m) { return m; }
template <class T>
MIELINA_INLINE bool is_nan(T x) {
  return x != x;
}

using ::acos;
using ::acosh;
using ::asin;
using ::asinh;
using ::atan;
using ::atan2;
using ::atanh;
using ::ceil;
using ::copysign;
using ::cos;
using ::cosh;
using ::erf;
using ::erfc;
using ::erfinv;
using ::exp;
using ::exp2;
using ::expm1;
using ::floor;
using ::fma;
using ::fmod;
using ::hypot;
using ::lgamma;
using ::log;
using ::log10;
using ::log1p;
using ::log2;
using ::pow;
using ::sin;
using ::sinh;
using ::sqrt;
using ::tan;
using ::tanh;
using ::trunc;
MIELINA_INLINE float abs(float x) { return fabsf(x); }
MIELINA_INLINE double abs(double x) { return fabs(x); }
MIELINA_INLINE float round_even(float x) { return rintf(x); }
MIELINA_INLINE double round_even(double x) { return rint(x); }

// PyTorch's rule: NaN wins.
template <class V>
MIELINA_INLINE V max(V a, V b) {
  return a > b || a != a ? a : b;
}
template <class V>
MIELINA_INLINE V min(V a, V b) {
  return a < b || a != a ? a : b;
}
template <class V>
MIELINA_INLINE V at_most(V x, double bound) {
  return x > V(bound) ? V(bound) : x;
}
template <class V>
MIELINA_INLINE V horner(V, V sum) {
  return sum;
}
template <class V, class... C>
MIELINA_INLINE V horner(V x, V sum, double next, C... rest) {
  return horner(x, fma(sum, x, V(next)), rest...);
}
template <class V, class... C>
MIELINA_INLINE V poly(V x, double first, C... rest) {
  return horner(x, V(first), rest...);
}

// exp of what is never positive: neither side overflows.
template <class V>
MIELINA_INLINE V sigmoid(V x) {
  V e = exp(-abs(x)), y = V(1) / (V(1) + e);
  return x != x ? x : x < V(0) ? e * y : y;
}
template <class V>
MIELINA_INLINE V gelu(V x) {  // x Phi(x)
  return V(0.5) * x * erfc(x * V(-0.707106781186547524401));
}
template <class V>
MIELINA_INLINE V gelu_slope(V x) {
  return V(0.5) * erfc(x * V(-0.707106781186547524401)) + x * V(0.398942280401432677940) * exp(V(-0.5) * x * x);
}
template <class V>
MIELINA_INLINE V log_either(V near, V far) {
  return abs(near) < V(0.5) ? log1p(near) : log(far);
}
template <class V>
MIELINA_INLINE V log1p_exp_minus(V gap) {  // log(1 + exp(-|gap|))
  return log1p(exp(-abs(gap)));
}
template <class V>
MIELINA_INLINE V softplus(V x) {
  return max(x, V(0)) + log1p_exp_minus(x);
}
template <class V>
MIELINA_INLINE V log_sigmoid(V x) {
  return -softplus(-x);
}
// x > 0: ten steps of the recurrence, and the asymptotic series at x + 10 (Abramowitz & Stegun 6.3.18); below 1/2 by
// reflection: psi(1 - x) - pi / tan(pi x). At 0 infinite with the opposite sign, at other poles NaN.
MIELINA_INLINE double digamma(double x) {
  constexpr double pi = 3.14159265358979323846;
  if (x == 0) return copysign(FpOf<double>::inf, -x);
  if (x < 0 && x == floor(x)) return FpOf<double>::nan;
  bool left = x < 0.5;
  double t = left ? 1 - x : x, sum = 0;
  for (int i = 0; i < 10; i++, t += 1) sum -= 1 / t;
  double w = 1 / t, z = w * w;
  sum +=
      log(t) - 0.5 * w - z * poly(z, 1.0 / 12, -691.0 / 32760, 1.0 / 132, -1.0 / 240, 1.0 / 252, -1.0 / 120, 1.0 / 12);
  return left ? sum - pi / tan(pi * (x - rint(x))) : sum;
}
MIELINA_INLINE float digamma(float x) { return float(digamma(double(x))); }

struct Wide {
  double low, high;
};
MIELINA_INLINE Wide widen(float x) { return {double(x), double(x)}; }
MIELINA_INLINE float narrow(double low, double) { return float(low); }

}  // namespace cuda
}  // namespace mielina
