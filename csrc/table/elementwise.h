// elementwise: y[i] = f(x[i], ...), copies and fills.
#pragma once
#include "core/view.h"

namespace mielina {

enum class Unary : int32_t {
  relu,
  abs,
  neg,
  sign,
  square,
  cube,
  ceil,
  floor,
  round,
  round_decimals,
  trunc,
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  cos,
  cosh,
  digamma,
  erf,
  erfc,
  erfinv,
  exp,
  exp2,
  expm1,
  lgamma,
  log,
  log10,
  log1p,
  log2,
  logit,
  reciprocal,
  rsqrt,
  sigmoid,
  sin,
  sinc,
  sinh,
  sqrt,
  tan,
  tanh,
  trigamma,
  polygamma,
  clamp,
  elu,
  frac,
  gelu,
  gelu_tanh,
  hardshrink,
  hardsigmoid,
  hardswish,
  hardtanh,
  leaky_relu,
  log_sigmoid,
  mish,
  nan_to_num,
  selu,
  silu,
  softplus,
  softshrink,
  softsign,
  tanhshrink,
  threshold,
  count
};
enum class Binary : int32_t {
  add,
  sub,
  mul,
  maximum,
  minimum,
  fmax,
  fmin,
  floor_divide,
  trunc_divide,
  remainder,
  fmod,
  pow,
  heaviside,
  bitwise_and,
  bitwise_or,
  bitwise_xor,
  left_shift,
  right_shift,
  div,
  atan2,
  copysign,
  hypot,
  logaddexp,
  logaddexp2,
  max_share,
  xlogy,
  count
};
enum class Ternary : int32_t { clamp, lerp, add_scaled, addcmul, addcdiv, count };
// The results are bool; the last ones look at a only.
enum class Compare : int32_t {
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  logical_and,
  logical_or,
  logical_xor,
  isnan,
  isinf,
  isfinite,
  signbit,
  count
};

struct ElementwiseTable {
  // All views have one shape (inputs expanded by strides). The inputs are converted to `compute` (f32, f64 or i64;
  // halves compute in f32, integers and bool in i64), f is applied, the result converted to y's dtype. p, q: the op's
  // parameters.
  void (*unary)(const Ctx&, const View& y, const View& x, Unary op, DType compute, double p, double q) noexcept;
  // i64: a / 0 and a mod 0 are 0 (see any_zero), a^b is 0 for b < 0 and |a| > 1, shifts beyond 63 leave the sign.
  void (*binary)(const Ctx&, const View& y, const View& a, const View& b, Binary op, DType compute) noexcept;
  // add_scaled: a + c b; addcmul, addcdiv: a + p b c, a + p b / c. clamp: p = 1, only the lower bound b counts; 2, only
  // the upper, c; 0, both.
  void (*ternary)(const Ctx&, const View& y, const View& a, const View& b, const View& c, Ternary op, DType compute,
                  Number p) noexcept;
  // y: bool, dense.
  void (*compare)(const Ctx&, const View& y, const View& a, const View& b, Compare op, DType compute) noexcept;
  // y = condition ? a : b; condition: bool.
  void (*where)(const Ctx&, const View& y, const View& condition, const View& a, const View& b, DType compute) noexcept;
  // dx = g * f'(x), from x and y = f(x); one pass. An op reads only what its derivative needs of x and y.
  void (*unary_backward)(const Ctx&, const View& dx, const View& g, const View& x, const View& y, Unary op, double p,
                         double q) noexcept;
  // y (one bool) = some x is 0.
  void (*any_zero)(const Ctx&, const View& y, const View& x) noexcept;
  // y = x, converting dtype: float to integer truncates (through i64, NaN and what does not fit giving its minimum),
  // anything to bool is x != 0.
  void (*copy)(const Ctx&, const View& y, const View& x) noexcept;
  void (*fill)(const Ctx&, const View& y, Number value) noexcept;
};

}  // namespace mielina
