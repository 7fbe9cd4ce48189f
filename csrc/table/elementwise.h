// elementwise: y[i] = f(x[i], ...), copies and fills.
#pragma once
#include "core/view.h"

namespace mielina {

enum class Unary : int32_t { relu, count };
enum class Binary : int32_t { add, sub, mul, div, count };

struct ElementwiseTable {
  // All views have one shape (inputs expanded by strides). The inputs are converted to `compute` (f32, f64 or i64; halves
  // compute in f32, integers and bool in i64), f is applied, the result converted to y's dtype. p, q: the op's parameters.
  void (*unary)(const Ctx&, const View& y, const View& x, Unary op, DType compute, double p, double q) noexcept;
  void (*binary)(const Ctx&, const View& y, const View& a, const View& b, Binary op, DType compute) noexcept;
  // dx = g * f'(x), from x and y = f(x); one pass.
  void (*unary_backward)(const Ctx&, const View& dx, const View& g, const View& x, const View& y, Unary op, double p,
                         double q) noexcept;
  // y = x, converting dtype: float to integer truncates (C's rule; NaN and out of range give 0 or the bound as the
  // hardware has it), anything to bool is x != 0.
  void (*copy)(const Ctx&, const View& y, const View& x) noexcept;
  void (*fill)(const Ctx&, const View& y, Number value) noexcept;
};

}  // namespace mielina
