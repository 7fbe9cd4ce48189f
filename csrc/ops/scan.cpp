#include "ops/scan.h"

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {

// The axis moved last and, for a reversed scan, seen from its end. A number becomes a row of one.
static Array rows(const Array& x, int axis, bool reverse) {
  if (x.ndim == 0) return unsqueeze(x, 0);
  Dims order;
  for (int d = 0; d < x.ndim; d++)
    if (d != axis) order.push(d);
  order.push(axis);
  Array y = permute(x, order);
  int last = y.ndim - 1;
  if (reverse && y.numel() > 0) {
    y.offset += (y.shape[last] - 1) * y.stride[last];
    y.stride[last] = -y.stride[last];
  }
  return y;
}

Array scan(const char* name, Scan op, const Array& x, int64_t axis, bool reverse, std::optional<DType> dtype,
           bool before) {
  int d = axis_of(axis, x.ndim, name);
  DType result = dtype ? *dtype : is_floating(x.dtype) ? x.dtype : op == Scan::logsumexp ? default_float() : DType::i64;
  Array from = is_floating(result) == is_floating(x.dtype) ? x : convert(x, result);
  Array y = empty_like(from, result), to = rows(y, d, reverse), r = rows(from, d, reverse);
  if (before && y.numel() > 0) {
    const int64_t n = to.shape[to.ndim - 1];
    fill(slice(to, -1, 0, 1, 1), {double(op == Scan::prod), op == Scan::prod, true});
    to = slice(to, -1, 1, n, 1);
    r = slice(r, -1, 0, n - 1, 1);
  }
  launch<&Kernels::scan>(name, out(to), in(r), op);
  return y;
}

std::pair<Array, Array> scan_extreme(const char* name, const Array& x, int64_t axis, bool largest) {
  int d = axis_of(axis, x.ndim, name);
  Array y = empty_like(x), index = empty(x.dims(), DType::i64);
  launch<&Kernels::scan_extreme>(name, out(rows(y, d, false)), out(rows(index, d, false)), in(rows(x, d, false)),
                                 largest);
  return {y, index};
}

Array recurrence(const Array& a, const Array& b, int64_t axis, bool reverse, bool late) {
  int d = axis_of(axis, b.ndim, "recurrence");
  check(is_floating(b.dtype) && a.dtype == b.dtype && a.dims() == b.dims(), Kind::Value,
        "recurrence: expected two floating tensors of one shape and dtype, got ", text(a.dims()), " ", name_of(a.dtype),
        " and ", text(b.dims()), " ", name_of(b.dtype));
  Array y = empty_like(b);
  launch<&Kernels::recurrence>("recurrence", out(rows(y, d, reverse)), in(rows(a, d, reverse)), in(rows(b, d, reverse)),
                               late);
  return y;
}

}  // namespace mielina::ops
