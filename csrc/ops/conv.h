// conv ops. Images are (N, C, D, H, W): the binding adds the axes that 1-D and 2-D convolutions lack.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// stride, padding, dilation: as many as the image has dimensions (1 to 3); x: (N, C, spatial...), w: (K, C/groups, filter...).
Array conv(const Array& x, const Array& w, const MaybeArray& bias, const Dims& stride, const Dims& padding, const Dims& dilation,
           int64_t groups);

}  // namespace mielina::ops
