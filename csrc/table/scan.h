// scan: running sums, products and extrema along the last dim. Floats run in f64, integers and bool in i64, in order.
#pragma once
#include "core/view.h"

namespace mielina {

enum class Scan : int32_t { sum, prod, logsumexp, count };

struct ScanTable {
  // y_i = x_0 op ... op x_i. All views have one shape and any strides (negative ones scan backwards).
  void (*scan)(const Ctx&, const View& y, const View& x, Scan op) noexcept;
  // The running maximum (or minimum) and the last index at which it was reached; NaN stays from where it first stands.
  void (*scan_extreme)(const Ctx&, const View& y, const View& index, const View& x, bool largest) noexcept;
  // The linear recurrence y_i = a_i y_{i-1} + b_i, y_{-1} = 0; late: with a_{i-1} in place of a_i.
  void (*recurrence)(const Ctx&, const View& y, const View& a, const View& b, bool late) noexcept;
};

}  // namespace mielina
