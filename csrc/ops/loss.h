// loss ops: x and t have one shape and floating dtype.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// The losses of the elements, or their sum or mean. p: the kind's parameter.
Array loss(const Array& x, const Array& t, const std::string& kind, double p, const std::string& reduction);
// dx = g * d loss / d x; g: the loss's shape.
Array loss_backward(const Array& g, const Array& x, const Array& t, const std::string& kind, double p,
                    const std::string& reduction);

// The dtype that two tensors promote to.
DType common_type(const Array& x, const Array& t);

}  // namespace mielina::ops
