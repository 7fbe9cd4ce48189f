// norm ops: each returns the result and the statistics that its gradient needs.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// x seen as rows of `row` elements, normalised; weight and bias: one number for each of groups * row / inner channels.
// Returns (y, mean, rstd) with statistics of one number a row.
std::tuple<Array, Array, Array> norm_rows(const Array& x, const MaybeArray& weight, const MaybeArray& bias, int64_t row,
                                          int64_t groups, int64_t inner, double eps, bool center);
std::tuple<Array, Array, Array> norm_rows_backward(const Array& g, const Array& x, const Array& mean, const Array& rstd,
                                                   const MaybeArray& weight, int64_t row, int64_t groups, int64_t inner,
                                                   bool center);
// x: (N, C, ...). Training updates the running statistics in place. Returns (y, mean, rstd).
std::tuple<Array, Array, Array> batch_norm(const Array& x, const MaybeArray& weight, const MaybeArray& bias,
                                           const MaybeArray& running_mean, const MaybeArray& running_var, bool training,
                                           double momentum, double eps);
std::tuple<Array, Array, Array> batch_norm_backward(const Array& g, const Array& x, const Array& mean,
                                                    const Array& rstd, const MaybeArray& weight, bool training);

}  // namespace mielina::ops
