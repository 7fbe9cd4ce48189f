// scan ops.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// Running sums, products and log-sum-exps along an axis. Integers and bool become int64; `dtype` converts first.
// before: without the element's own, so the first is 0 or 1.
Array scan(const char* name, Scan op, const Array& x, int64_t axis, bool reverse, std::optional<DType> dtype,
           bool before = false);
std::pair<Array, Array> scan_extreme(const char* name, const Array& x, int64_t axis, bool largest);
// y_i = a_i y_{i-1} + b_i along an axis, from the far end if `reverse`; with a_{i-1} if `late`. a and b: one shape and
// floating dtype.
Array recurrence(const Array& a, const Array& b, int64_t axis, bool reverse, bool late);

}  // namespace mielina::ops
