// Copies, conversions and fills.
#include <cmath>

#include "ops/elementwise.h"

namespace mielina::ops {

void check_writable(const Array& x, const char* name) {
  check(!x.storage->readonly, Kind::Value, name, ": the tensor shares read-only memory; work on a clone()");
  check(!overlaps_itself(x), Kind::Runtime, name,
        ": more than one element of the tensor refers to a single memory location (an expanded tensor); clone() it "
        "first");
}

Array convert(const Array& x, DType dtype) {
  Array y = empty_like(x, dtype);
  launch<&Kernels::copy>("to", out(y), in(x));
  return y;
}

Array contiguous(const Array& x) {
  if (is_contiguous(x)) return x;
  Array y = empty(x.dims(), x.dtype);
  launch<&Kernels::copy>("contiguous", out(y), in(x));
  return y;
}

Array in_layout(const Array& x, const Array& like) {
  if (same_layout(x, like)) return x;
  Array y = empty_like(like, x.dtype);
  copy_into(y, x);
  return y;
}

Array apart(const Array& x) { return overlaps_itself(x) ? clone(x) : x; }

Array clone(const Array& x) {
  Array y = empty_like(x);
  launch<&Kernels::copy>("clone", out(y), in(x));
  return y;
}

void copy_into(const Array& to, const Array& from) {
  check_writable(to, "copy_");
  if (from.device() != to.device()) {
    // On its own side first into the target's dtype and order, then one transfer, then broadcast on the other side.
    On there(from.device());
    Array sent = from.dtype == to.dtype ? from : convert(from, to.dtype);
    if (sent.dims() == to.dims()) return transfer(to, sent);
    On here(to.device());
    return copy_into(to, to_device(sent, to.device()));
  }
  Array source = expand(from, to.dims(), "copy_");
  if (may_overlap(to, source)) {
    if (same_layout(to, source) && to.offset == source.offset && to.dtype == source.dtype) return;
    source = clone(source);
  }
  launch<&Kernels::copy>("copy_", out(to), in(source));
}

void fill(const Array& x, Number value) {
  check_writable(x, "fill_");
  check_fits("fill_", value, x.dtype);
  launch<&Kernels::fill>("fill_", out(x), value);
}

}  // namespace mielina::ops
