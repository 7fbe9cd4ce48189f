// layout: views, which move no element (except reshape where strides do not fold); arrays put together; sequences.
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
Array expand_to(const Array& x, const Dims& shape);  // PyTorch's expand: -1 keeps a size
Array flip(const Array& x, const Dims& axes);        // a view with negative strides
Array diagonal(const Array& x, int64_t offset, int64_t a, int64_t b);
Array unfold(const Array& x, int64_t axis, int64_t size, int64_t step);  // windows along an axis, as a new last axis
Array bit_view(const Array& x, DType dtype);       // the same bits as another dtype of the same size
Array ordered(const Array& x, const Dims& order);  // a copy in which order's last axis is innermost, or x

Array cat(const std::vector<Array>& xs, int64_t axis);
Array tri(const Array& x, int64_t diagonal, bool upper);
void tri_into(const Array& x, int64_t diagonal, bool upper);
Array arange(Number start, Number end, Number step, DType dtype);
Array linspace(double start, double end, int64_t steps, DType dtype);

}  // namespace mielina::ops
