// layout: views. Nothing here moves an element, except reshape where strides do not fold.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// x's memory seen with another shape, or nothing when its strides do not allow that.
std::optional<Array> try_view(const Array& x, const Dims& shape);
Dims infer_shape(const Array& x, Dims shape, const char* name);  // resolves one -1
Array view(const Array& x, const Dims& shape);
Array reshape(const Array& x, const Dims& shape);
Array permute(const Array& x, const Dims& axes);
Array transpose(const Array& x, int64_t a, int64_t b);
Array slice(const Array& x, int64_t axis, int64_t start, int64_t stop, int64_t step);
Array select(const Array& x, int64_t axis, int64_t index);
Array unsqueeze(const Array& x, int64_t axis);
Array squeeze(const Array& x, const Dims& axes, bool all);
Array expand_to(const Array& x, const Dims& shape);              // PyTorch's expand: -1 keeps a size

}  // namespace mielina::ops
