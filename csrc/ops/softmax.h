// softmax ops and the losses made of rows.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

Array softmax(const Array& x, int64_t axis, bool log);
Array softmax_backward(const Array& g, const Array& y, int64_t axis, bool log);
// Per-sample losses and log-sum-exps of x: (N, C) with target: (N) of class indices.
std::pair<Array, Array> cross_entropy(const Array& x, const Array& target, const MaybeArray& weight, int64_t ignore_index);
Array cross_entropy_backward(const Array& g, const Array& x, const Array& lse, const Array& target, const MaybeArray& weight,
                             int64_t ignore_index);

}  // namespace mielina::ops
