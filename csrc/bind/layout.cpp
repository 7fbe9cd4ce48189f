#include "ops/layout.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {
namespace {

Array new_empty(const Dims& shape, DType dtype) { return empty(shape, dtype); }
Array new_like(const Array& x, DType dtype) { return empty_like(x, dtype); }

// A window that must lie within x's storage.
Array strided(const Array& x, const Dims& shape, const Dims& stride, int64_t offset) {
  check(shape.n == stride.n, Kind::Runtime, "as_strided: ", shape.n, " sizes but ", stride.n, " strides");
  int64_t low = offset, high = offset;
  bool none = checked_numel(shape) == 0;
  for (int d = 0; d < shape.n && !none; d++) {
    int64_t reach;
    bool over = __builtin_mul_overflow(stride[d], shape[d] - 1, &reach);
    over |= __builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high);
    check(!over, Kind::Runtime, "as_strided: strides overflow");
  }
  int64_t capacity = int64_t(x.storage->bytes) / x.itemsize();
  check(low >= 0 && (none || high < capacity), Kind::Runtime, "as_strided: shape ", text(shape), ", strides ", text(stride),
        " and offset ", offset, " reach outside the storage of ", capacity, " elements");
  return as_strided(x, shape, stride, none ? 0 : offset);
}

}  // namespace

void add_layout(PyObject* m) {
  def<&new_empty>(m, "empty", "shape, dtype");
  def<&new_like>(m, "empty_like", "x, dtype");
  def<&strided>(m, "as_strided", "x, shape, stride, offset");
  def<&is_contiguous>(m, "is_contiguous", "x");
  def<&ops::view>(m, "view", "x, shape");
  def<&ops::reshape>(m, "reshape", "x, shape");
  def<&ops::permute>(m, "permute", "x, axes");
  def<&ops::transpose>(m, "transpose", "x, a, b");
  def<&ops::slice>(m, "slice", "x, axis, start, stop, step");
  def<&ops::select>(m, "select", "x, axis, index");
  def<&ops::unsqueeze>(m, "unsqueeze", "x, axis");
  def<&ops::squeeze>(m, "squeeze", "x, axes, all");
  def<&ops::expand_to>(m, "expand", "x, shape");
}

}  // namespace mielina::bind
