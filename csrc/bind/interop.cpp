// Memory shared with NumPy, without a copy in either direction.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "bind/families.h"
#include "bind/fast.h"
#include "core/launch.h"

namespace py = pybind11;

namespace mielina::bind {
namespace {

struct Format {
  DType dtype;
  char kind;
  int size;
};
const Format kFormats[] = {{DType::f32, 'f', 4}, {DType::f64, 'f', 8}, {DType::f16, 'f', 2},
                           {DType::i64, 'i', 8}, {DType::i32, 'i', 4}, {DType::i16, 'i', 2},
                           {DType::i8, 'i', 1},  {DType::u8, 'u', 1},  {DType::b8, 'b', 1}};

const Format* format_of(DType d) {
  for (auto& f : kFormats)
    if (f.dtype == d) return &f;
  return nullptr;
}

// Frees the reference that a Storage holds on a Python object; at interpreter shutdown it is left alone.
void drop(void* owner) {
  if (!Py_IsInitialized()) return;
  PyGILState_STATE s = PyGILState_Ensure();
  Py_DECREF(static_cast<PyObject*>(owner));
  PyGILState_Release(s);
}

Array from_numpy(Object o) {
  if (!py::isinstance<py::array>(o.p)) wrong_type("a numpy.ndarray", o.p);
  py::array a = py::reinterpret_borrow<py::array>(o.p);
  const Format* format = nullptr;
  const py::dtype dtype = a.dtype();
  const char kind = dtype.kind(), order = dtype.byteorder();
  for (auto& f : kFormats)
    if (kind == f.kind && a.itemsize() == f.size) format = &f;
  if (!format) fail(Kind::Type, "from_numpy: no tensor dtype for an array of dtype ", std::string(py::str(dtype)));
  check(order == '=' || order == '|' || order == '<', Kind::Value,
        "from_numpy: the array's byte order is not this machine's; use array.astype(array.dtype.newbyteorder('='))");
  check(a.ndim() <= kMaxDims, Kind::Value, "from_numpy: arrays have at most ", int(kMaxDims), " dimensions, got ",
        a.ndim());
  Array r;
  r.dtype = format->dtype;
  r.ndim = int32_t(a.ndim());
  int64_t low = 0, high = 0;
  bool none = false;
  for (int d = 0; d < r.ndim; d++) {
    int64_t s = a.strides(d);
    check(s % format->size == 0, Kind::Value,
          "from_numpy: strides must be a multiple of the item size; copy the array first");
    r.shape[d] = a.shape(d);
    r.stride[d] = a.shape(d) == 1 ? 1 : s / format->size;
    none |= r.shape[d] == 0;
    if (!none) (s < 0 ? low : high) += s * (r.shape[d] - 1);
  }
  char* p = static_cast<char*>(const_cast<void*>(a.data()));
  check(reinterpret_cast<uintptr_t>(p) % uintptr_t(format->size) == 0, Kind::Value,
        "from_numpy: the array is not aligned to its item size; copy it first");
  if (none) low = high = 0;
  r.storage = adopt(p + low, size_t(high - low + format->size), !a.writeable(), Py_NewRef(o.p), drop);
  r.offset = -low / format->size;
  return r;
}

PyObject* to_numpy(const Array& x) {
  refuse_while_recording("numpy()");
  check(x.device() == 0, Kind::Type, "numpy(): can't convert a tensor on ", device_name(x.device()),
        " to NumPy; use tensor.cpu() to copy it to the host's memory first");
  const Format* f = format_of(x.dtype);
  check(f, Kind::Type, "numpy(): NumPy has no ", name_of(x.dtype), "; convert with .float() first");
  std::vector<py::ssize_t> shape, strides;
  for (int d = 0; d < x.ndim; d++) {
    shape.push_back(x.shape[d]);
    strides.push_back(x.shape[d] > 1 ? x.stride[d] * f->size : f->size);  // an idle stride may be any number
  }
  auto* held = new Ref<Storage>(x.storage);
  py::capsule owner(held, [](void* p) { delete static_cast<Ref<Storage>*>(p); });
  std::string code = std::string(1, f->kind) + std::to_string(f->size);
  py::array a(py::dtype(code), shape, strides, x.data(), owner);
  if (x.storage->readonly) a.attr("setflags")(py::arg("write") = false);
  return a.release().ptr();
}

}  // namespace

void add_interop(PyObject* m) {
  def<&from_numpy>(m, "from_numpy", "array");
  def<&to_numpy>(m, "to_numpy", "x");
}

}  // namespace mielina::bind
