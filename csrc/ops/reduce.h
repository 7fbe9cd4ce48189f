// reduce ops.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// Which axes to fold; an empty list means all of them.
uint32_t axes_mask(const Array& x, const Dims& axes, const char* name);
Array reduce(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim, DType result);
Array sum(const Array& x, const Dims& axes, bool keepdim, std::optional<DType> dtype);
Array sum_to(const Array& x, const Dims& shape);   // the adjoint of expand

}  // namespace mielina::ops
