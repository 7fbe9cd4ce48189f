// random ops. A generator's state is an i64 array {seed, offset}.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

Array take_key(const Array& state, int64_t numbers, DType dtype);  // numbers: how many elements of dtype will be drawn
Array uniform(const Dims& shape, DType dtype, const Array& key, double low, double high);
Array normal(const Dims& shape, DType dtype, const Array& key, double mean, double std);
Array integers(const Dims& shape, DType dtype, const Array& key, int64_t low, int64_t high);
Array dropout(const Array& x, const Array& key, double p);

}  // namespace mielina::ops
