#include "ops/layout.h"

#include <pybind11/numpy.h>

#include "bind/families.h"
#include "bind/fast.h"
#include "ops/elementwise.h"

namespace py = pybind11;

namespace mielina::bind {
namespace {

Array scalar(const Operand& value, DType dtype) {
  if (!value.array) check_fits("scalar", value.number, dtype);
  return to_array(value, dtype);
}
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
  check(low >= 0 && (none || high < capacity), Kind::Runtime, "as_strided: shape ", text(shape), ", strides ",
        text(stride), " and offset ", offset, " reach outside the storage of ", capacity, " elements");
  return as_strided(x, shape, stride, none ? 0 : offset);
}

Dims broadcast_all(const std::vector<Dims>& shapes) {
  Dims all;
  for (const Dims& s : shapes) all = broadcast_shapes(all, s, "broadcast");
  return all;
}

// What cat's gradient must cut: each tensor's size along the axis, -1 for the empty vectors that cat skips.
std::vector<int64_t> sizes_along(const std::vector<Array>& xs, int64_t axis) {
  std::vector<int64_t> sizes;
  for (const Array& x : xs)
    sizes.push_back(x.ndim == 1 && x.shape[0] == 0 ? -1 : x.shape[axis_of(axis, x.ndim, "cat")]);
  return sizes;
}

// In the order of x in memory, as PyTorch's: rot90 of 1024 x 1024 took 2.1 ms when a transposed window was flipped.
Array flipped(const Array& x, const Dims& axes) {
  Array y = empty_like(x, x.dtype);
  ops::copy_into(y, ops::flip(x, axes));
  return y;
}

// ---- x[key] for ints, slices, None and Ellipsis ---------------------------------------------------------------------
bool is_index(PyObject* o) {
  return PyLong_Check(o) ? !PyBool_Check(o) : PyIndex_Check(o) && !is_tensor(o) && !py::isinstance<py::array>(o);
}

int64_t bound_of(PyObject* o, int64_t missing) { return o == Py_None ? missing : From<int64_t>::get(o); }

Array sliced(const Array& x, int axis, PyObject* o) {
  auto* s = reinterpret_cast<PySliceObject*>(o);
  int64_t step = bound_of(s->step, 1);
  check(step > 0, Kind::Value, "slice step must be greater than zero, got ", step);
  return ops::slice(x, axis, bound_of(s->start, 0), bound_of(s->stop, INT64_MAX), step);
}

// The view, or None when the key holds a tensor, array, list or bool: those make copies.
PyObject* basic_index(const Array& x, Object key) {
  PyObject* const* items = &key.p;
  Py_ssize_t n = 1;
  if (PyTuple_Check(key.p)) {
    items = &PyTuple_GET_ITEM(key.p, 0);
    n = PyTuple_GET_SIZE(key.p);
  }
  int consumed = 0, dots = 0;
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject* o = items[i];
    if (PySlice_Check(o) || is_index(o)) consumed++;
    else if (o == Py_Ellipsis) dots++;
    else if (o != Py_None) Py_RETURN_NONE;
  }
  check(dots <= 1, Kind::Index, "an index can only have a single ellipsis ('...')");
  check(consumed <= x.ndim, Kind::Index, "too many indices for tensor of dimension ", x.ndim);
  Array y = x;
  int axis = 0;
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject* o = items[i];
    if (o == Py_Ellipsis) axis += x.ndim - consumed;
    else if (o == Py_None) y = ops::unsqueeze(y, axis++);
    else if (PySlice_Check(o)) y = sliced(y, axis, o), axis++;
    else y = ops::select(y, axis, From<int64_t>::get(o));
  }
  return to_python(std::move(y));
}

}  // namespace

void add_layout(PyObject* m) {
  def<&new_empty>(m, "empty", "shape, dtype");
  def<&scalar>(m, "scalar", "value, dtype");
  def<&new_like>(m, "empty_like", "x, dtype");
  def<&strided>(m, "as_strided", "x, shape, stride, offset");
  def<&is_contiguous>(m, "is_contiguous", "x");
  def<&overlaps_itself>(m, "overlaps_itself", "x");
  def<&broadcast_all>(m, "broadcast_shapes", "shapes");
  def<&ops::view>(m, "view", "x, shape");
  def<&ops::reshape>(m, "reshape", "x, shape");
  def<&ops::permute>(m, "permute", "x, axes");
  def<&ops::transpose>(m, "transpose", "x, a, b");
  def<&ops::slice>(m, "slice", "x, axis, start, stop, step");
  def<&ops::select>(m, "select", "x, axis, index");
  def<&ops::unsqueeze>(m, "unsqueeze", "x, axis");
  def<&ops::squeeze>(m, "squeeze", "x, axes, all");
  def<&ops::expand_to>(m, "expand", "x, shape");
  def<&flipped>(m, "flip", "x, axes");
  def<&ops::diagonal>(m, "diagonal", "x, offset, a, b");
  def<&ops::unfold>(m, "windows", "x, axis, size, step");
  def<&ops::bit_view>(m, "bit_view", "x, dtype");
  def<&ops::ordered>(m, "ordered", "x, order");
  def<&basic_index>(m, "basic_index", "x, key");
  def<&ops::cat>(m, "cat", "xs, axis");
  def<&sizes_along>(m, "sizes_along", "xs, axis");
  def<&ops::tri>(m, "tri", "x, diagonal, upper");
  def<&ops::tri_into>(m, "tri_", "x, diagonal, upper");
  def<&ops::arange>(m, "arange", "start, end, step, dtype");
  def<&ops::linspace>(m, "linspace", "start, end, steps, dtype");
}

}  // namespace mielina::bind
