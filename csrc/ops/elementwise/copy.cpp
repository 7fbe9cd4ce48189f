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

Array clone(const Array& x) {
  Array y = empty_like(x);
  launch<&Kernels::copy>("clone", out(y), in(x));
  return y;
}

void copy_into(const Array& to, const Array& from) {
  check_writable(to, "copy_");
  Array source = expand(from, to.dims(), "copy_");
  if (may_overlap(to, source)) {
    if (same_layout(to, source) && to.offset == source.offset && to.dtype == source.dtype) return;
    source = clone(source);
  }
  launch<&Kernels::copy>("copy_", out(to), in(source));
}

// Integers may be negative in an unsigned dtype (they wrap) but not larger than it in size; floating numbers must lie
// within the dtype's range, infinities and NaN only in floating dtypes.
void check_fits(Number value, DType dtype, const char* name) {
  static constexpr double kMost[] = {3.4028234663852886e38, 1.7976931348623157e308, 65504, 3.3895313892515355e38};
  bool fits = true;
  if (dtype == DType::b8 || (is_floating(dtype) && value.d - value.d != 0)) {
  } else if (is_floating(dtype)) {
    fits = std::abs(value.d) <= kMost[int(dtype)];
  } else {
    int bits = 8 * int(kDTypeSize[int(dtype)]);
    bool is_unsigned = dtype == DType::u8;
    double most = std::ldexp(1.0, is_unsigned ? bits : bits - 1);
    if (value.integer) fits = bits == 64 || (double(value.i) < most && double(value.i) >= (is_unsigned ? 1 - most : -most));
    else fits = value.d < most && value.d >= (is_unsigned ? 0 : -most);
  }
  check(fits, Kind::Runtime, name, ": the value ", value.integer ? double(value.i) : value.d,
        " cannot be converted to ", name_of(dtype), " without overflow");
}

void fill(const Array& x, Number value) {
  check_writable(x, "fill_");
  check_fits(value, x.dtype, "fill_");
  launch<&Kernels::fill>("fill_", out(x), value);
}

}  // namespace mielina::ops
