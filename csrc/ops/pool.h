// pool ops. `dims` spatial axes, inputs (C, ...) or (N, C, ...); windows are one number or one an axis.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

Array max_pool(const Array& x, int64_t dims, const Dims& kernel, const std::optional<Dims>& stride, const Dims& padding,
               const Dims& dilation, bool ceil_mode);
// The largest and where they stood, in an image's C order: int64, or (small) int32 where that holds them.
std::pair<Array, Array> max_pool_index(const Array& x, int64_t dims, const Dims& kernel,
                                       const std::optional<Dims>& stride, const Dims& padding, const Dims& dilation,
                                       bool ceil_mode, bool small);
Array max_pool_backward(const Array& g, const Array& index, const Dims& shape, int64_t dims, const Dims& kernel,
                        const std::optional<Dims>& stride, const Dims& padding, const Dims& dilation, bool ceil_mode);
std::pair<Array, Array> adaptive_max_pool(const Array& x, int64_t dims, const Dims& size, bool small);
Array adaptive_max_pool_backward(const Array& g, const Array& index, const Dims& shape, int64_t dims);
// y[n, c, o] = x[n, c, index[n, c, o]]; and y = 0, y[n, c, index[n, c, o]] = (or +=) x[n, c, o].
Array plane_gather(const Array& x, const Array& index, int64_t dims);
Array plane_scatter(const Array& x, const Array& index, const Dims& shape, int64_t dims, bool add);

Array avg_pool(const Array& x, int64_t dims, const Dims& kernel, const std::optional<Dims>& stride, const Dims& padding,
               bool ceil_mode, bool count_include_pad, const std::optional<int64_t>& divisor);
Array avg_pool_backward(const Array& g, const Dims& shape, int64_t dims, const Dims& kernel,
                        const std::optional<Dims>& stride, const Dims& padding, bool ceil_mode, bool count_include_pad,
                        const std::optional<int64_t>& divisor);
Array adaptive_avg_pool(const Array& x, int64_t dims, const Dims& size);
Array adaptive_avg_pool_backward(const Array& g, const Dims& shape, int64_t dims);

Array unfold(const Array& x, const Dims& kernel, const Dims& dilation, const Dims& padding, const Dims& stride);
Array fold(const Array& x, const Dims& size, const Dims& kernel, const Dims& dilation, const Dims& padding,
           const Dims& stride);

}  // namespace mielina::ops
