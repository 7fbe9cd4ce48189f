// conv ops: a convolution and its two gradients, closed under differentiation. x: (N, C, spatial...),
// w: (K, C / groups, filter...), y: (N, K, spatial...), one to three spatial axes; stride, padding, dilation: one
// number for all of them, or one each. Results are channels-last where the image they are made from is.
#pragma once
#include <string>

#include "core/launch.h"

namespace mielina::ops {

// size: the spatial shape of the result, () for what fits the padded image. A larger one sees zeros behind the image.
Array conv(const Array& x, const Array& w, const MaybeArray& bias, const Dims& size, const Dims& stride,
           const Dims& padding, const Dims& dilation, int64_t groups);
// The gradient of conv with respect to x, whose spatial shape is `size`.
Array conv_backward_input(const Array& g, const Array& w, const Dims& size, const Dims& stride, const Dims& padding,
                          const Dims& dilation, int64_t groups);
// The gradient of conv with respect to w, of its shape and in its memory order.
Array conv_backward_weight(const Array& g, const Array& x, const Array& w, const Dims& stride, const Dims& padding,
                           const Dims& dilation, int64_t groups);
// conv_backward_input as a layer: x takes the place of g, and output_padding picks one of the sizes that a stride
// allows.
Array conv_transpose(const Array& x, const Array& w, const MaybeArray& bias, const Dims& output_padding,
                     const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups);

// "auto": the fastest algorithm that holds the tolerances; "direct": the definition's sums only.
void set_conv_algorithm(const std::string& name);
std::string conv_algorithm();

}  // namespace mielina::ops
