// softmax ops and the losses made of rows.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

Array softmax(const Array& x, int64_t axis, bool log);
Array softmax_backward(const Array& g, const Array& y, int64_t axis, bool log);
// Losses of x: (N, C) with target: (N) of class indices: (loss (N) or 0-dim, log-sum-exps (N), divisor of the mean).
std::tuple<Array, Array, Array> cross_entropy(const Array& x, const Array& target, const MaybeArray& weight,
                                              int64_t ignore_index, const std::string& reduction, double smoothing);
Array cross_entropy_backward(const Array& g, const Array& x, const Array& lse, const Array& divisor,
                             const Array& target, const MaybeArray& weight, int64_t ignore_index, double smoothing);
// -w_t x_t along `axis`, and its adjoint: zeros of `shape` with -w_t g at t.
Array pick(const Array& x, const Array& target, const MaybeArray& weight, int64_t axis, int64_t ignore_index);
Array unpick(const Array& g, const Array& target, const MaybeArray& weight, const Dims& shape, int64_t axis,
             int64_t ignore_index);

}  // namespace mielina::ops
