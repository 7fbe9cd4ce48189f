// reduce ops: which axes fold, the result's dtype, and what an empty reduction is worth.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

using MaybeDType = std::optional<DType>;

// Which axes to fold; an empty list means all of them.
uint32_t axes_mask(const Array& x, const Dims& axes, const char* name);
Array reduce(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim, DType result,
             double param = 0);

// sum, prod, mean, nansum: accumulate in the result's dtype; integers in i64, except that a mean must be floating.
Array accumulate(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim, MaybeDType dtype);
inline Array sum(const Array& x, const Dims& axes, bool keepdim, MaybeDType dtype) {
  return accumulate("sum", Reduce::sum, x, axes, keepdim, dtype);
}
Array sum_to(const Array& x, const Dims& shape);  // the adjoint of expand
// any, all (bool; uint8 for uint8), count_nonzero, and the count of what is not NaN (int64).
Array logic(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim);
// max and min; an empty reduction is an Index error (a Runtime error where all axes fold).
Array extreme(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim);
std::pair<Array, Array> extreme_at(const char* name, Reduce op, const Array& x, int64_t axis, bool keepdim);
std::pair<Array, Array> aminmax(const Array& x, const Dims& axes, bool keepdim);
Array arg(const char* name, Reduce op, const Array& x, std::optional<int64_t> axis, bool keepdim);
// var, std, and the same with the mean. Floating only.
Array moment(const char* name, Reduce op, const Array& x, const Dims& axes, double correction, bool keepdim);
std::pair<Array, Array> moments(const char* name, Reduce op, const Array& x, const Dims& axes, double correction,
                                bool keepdim);
Array norm(const Array& x, double p, const Dims& axes, bool keepdim, MaybeDType dtype);
Array logsumexp(const Array& x, const Dims& axes, bool keepdim);

}  // namespace mielina::ops
