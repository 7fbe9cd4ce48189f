// sort ops.
#pragma once
#include <tuple>

#include "core/launch.h"

namespace mielina::ops {

using Pair = std::pair<Array, Array>;  // values and indices

Pair sort(const Array& x, int64_t axis, bool descending);                       // stable
Pair topk(const Array& x, int64_t k, int64_t axis, bool largest, bool sorted);  // in order
Pair kthvalue(const Array& x, int64_t k, int64_t axis, bool keepdim);           // k from 1
Pair median(const Array& x, int64_t axis, bool keepdim, bool skip_nan);
Pair mode(const Array& x, int64_t axis, bool keepdim);

Array searchsorted(const Array& s, const Array& v, bool right, const MaybeArray& sorter);
Array isin(const Array& elements, const Array& test);
// Distinct slices along an axis (of the flattened tensor without one), the slice each came to, how many came to it.
std::tuple<Array, Array, Array> unique(const Array& x, std::optional<int64_t> axis, bool consecutive, bool details);

Array bincount(const Array& x, const MaybeArray& weights, int64_t minlength);
Array histc(const Array& x, int64_t bins, double lo, double hi);

}  // namespace mielina::ops
