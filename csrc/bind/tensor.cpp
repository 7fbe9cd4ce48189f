#include "bind/tensor.h"

#include <pybind11/pybind11.h>

#include <new>

#include "bind/fast.h"
#include "bind/operators.h"
#include "core/launch.h"

namespace mielina::bind {

PyTypeObject* g_base = nullptr;
PyTypeObject* g_tensor = nullptr;
PyObject* g_dtypes[kDTypes] = {};

PyObject* wrap(Array&& a) {
  PyObject* o = g_tensor->tp_alloc(g_tensor, 0);
  if (!o) return nullptr;
  new (&as_tensor(o)->array) Array(std::move(a));
  return o;
}

DType dtype_from(PyObject* o) {
  for (int i = 0; i < kDTypes; i++)
    if (o == g_dtypes[i]) return DType(i);
  if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) return DType::f64;  // Python's own types, as in PyTorch
  if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) return DType::i64;
  if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) return DType::b8;
  fail(Kind::Type, "expected a dtype such as mielina.float32, got ", Py_TYPE(o)->tp_name);
}

namespace {

// Python subclasses (Parameter) are made from a tensor: cls(tensor) shares its memory.
PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject* source = nullptr;
  if (!PyArg_ParseTuple(args, "O", &source)) return nullptr;
  if (!is_tensor(source)) {
    PyErr_Format(PyExc_TypeError, "%s: expected a Tensor, got %s; use mielina.tensor(data) to make one", type->tp_name,
                 Py_TYPE(source)->tp_name);
    return nullptr;
  }
  PyObject* o = type->tp_alloc(type, 0);
  if (o) new (&as_tensor(o)->array) Array(as_tensor(source)->array);
  return o;
}

// Before an attribute of what may be no Tensor is asked for; in C, because every second function of the pages begins
// with it: 18 ns, 110 in Python.
PyObject* check_tensors(PyObject*, PyObject* const* args, Py_ssize_t n) {
  for (Py_ssize_t i = 1; i < n; i++)
    if (!is_tensor(args[i])) [[unlikely]]
      return PyErr_Format(PyExc_TypeError, "%S: expected a Tensor, got %s; use mielina.tensor(data) to make one",
                          args[0], Py_TYPE(args[i])->tp_name);
  return Py_NewRef(Py_None);
}

int tensor_traverse(PyObject* o, visitproc visit, void* arg) {
  PyTensor* t = as_tensor(o);
  Py_VISIT(Py_TYPE(o));
  Py_VISIT(t->node);
  Py_VISIT(t->grad);
  Py_VISIT(t->base);
  Py_VISIT(t->extra);
  return 0;
}
int tensor_clear(PyObject* o) {
  PyTensor* t = as_tensor(o);
  Py_CLEAR(t->node);
  Py_CLEAR(t->grad);
  Py_CLEAR(t->base);
  Py_CLEAR(t->extra);
  return 0;
}
void tensor_dealloc(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  PyObject_GC_UnTrack(o);
  if (as_tensor(o)->weakrefs) PyObject_ClearWeakRefs(o);
  tensor_clear(o);
  as_tensor(o)->array.~Array();
  type->tp_free(o);
  Py_DECREF(type);
}

PyObject* get_shape(PyObject* o, void*) { return to_python(as_tensor(o)->array.dims()); }
PyObject* get_dtype(PyObject* o, void*) { return to_python(as_tensor(o)->array.dtype); }
PyObject* get_ndim(PyObject* o, void*) { return PyLong_FromLong(as_tensor(o)->array.ndim); }
PyObject* get_strides(PyObject* o, void*) { return to_python(as_tensor(o)->array.strides()); }
PyObject* get_offset(PyObject* o, void*) { return PyLong_FromLongLong(as_tensor(o)->array.offset); }
PyObject* get_version(PyObject* o, void*) { return PyLong_FromUnsignedLongLong(as_tensor(o)->array.storage->version); }
PyObject* get_device(PyObject* o, void*) { return PyLong_FromLong(as_tensor(o)->array.device()); }
PyObject* get_address(PyObject* o, void*) { return PyLong_FromVoidPtr(as_tensor(o)->array.data()); }
PyObject* get_storage(PyObject* o, void*) { return PyLong_FromVoidPtr(as_tensor(o)->array.storage.get()); }
PyObject* get_readonly(PyObject* o, void*) { return PyBool_FromLong(as_tensor(o)->array.storage->readonly); }
PyObject* get_tracked(PyObject* o, void*) {
  try {
    settle(as_tensor(o));
  } catch (...) {
    set_python_error();
    return nullptr;
  }
  return PyBool_FromLong(tracked(as_tensor(o)));
}
PyObject* get_node(PyObject* o, void*) {
  PyObject* flag = get_tracked(o, nullptr);
  if (!flag) return nullptr;
  Py_DECREF(flag);
  return Py_NewRef(as_tensor(o)->node ? as_tensor(o)->node : Py_None);
}
PyObject* get_leaf_flag(PyObject* o, void*) { return PyBool_FromLong(as_tensor(o)->requires_grad); }
int set_leaf_flag(PyObject* o, PyObject* v, void*) {
  as_tensor(o)->requires_grad = v == Py_True;
  return 0;
}

PyGetSetDef getset[] = {{"shape", get_shape, nullptr, "Sizes along each dimension, as a tuple.", nullptr},
                        {"dtype", get_dtype, nullptr, "Element type.", nullptr},
                        {"ndim", get_ndim, nullptr, "Number of dimensions.", nullptr},
                        {"_strides", get_strides, nullptr, nullptr, nullptr},
                        {"_offset", get_offset, nullptr, nullptr, nullptr},
                        {"_version", get_version, nullptr, "How often the memory was changed in place.", nullptr},
                        {"_device", get_device, nullptr, nullptr, nullptr},
                        {"_address", get_address, nullptr, nullptr, nullptr},
                        {"_storage", get_storage, nullptr, nullptr, nullptr},
                        {"_readonly", get_readonly, nullptr, nullptr, nullptr},
                        {"_tracked", get_tracked, nullptr, nullptr, nullptr},
                        {"_node", get_node, nullptr, "What made the tensor, or None for a leaf.", nullptr},
                        {"_leaf_flag", get_leaf_flag, set_leaf_flag, nullptr, nullptr},
                        {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {{"_grad", T_OBJECT, offsetof(PyTensor, grad), 0, nullptr},
                         {"_base", T_OBJECT, offsetof(PyTensor, base), READONLY, nullptr},
                         {"_extra", T_OBJECT, offsetof(PyTensor, extra), 0, nullptr},
                         {"_index", T_INT, offsetof(PyTensor, index), 0, nullptr},
                         {"__weaklistoffset__", T_PYSSIZET, offsetof(PyTensor, weakrefs), READONLY, nullptr},
                         {nullptr, 0, 0, 0, nullptr}};

PyTypeObject* make_type() {
  std::vector<PyType_Slot> slots = operator_slots();
  slots.insert(slots.end(), {{Py_tp_new, reinterpret_cast<void*>(tensor_new)},
                             {Py_tp_dealloc, reinterpret_cast<void*>(tensor_dealloc)},
                             {Py_tp_traverse, reinterpret_cast<void*>(tensor_traverse)},
                             {Py_tp_clear, reinterpret_cast<void*>(tensor_clear)},
                             {Py_tp_getset, getset},
                             {Py_tp_members, members},
                             {0, nullptr}});
  PyType_Spec spec = {"mielina._core.TensorBase", sizeof(PyTensor), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots.data()};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

// The class of new tensors and the ten dtype objects, set once by the package.
void set_types(Object tensor, Object dtypes) {
  check(PyType_Check(tensor.p) && PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(tensor.p), g_base), Kind::Type,
        "set_types: expected a subclass of TensorBase");
  check(PyTuple_Check(dtypes.p) && PyTuple_GET_SIZE(dtypes.p) == kDTypes, Kind::Type,
        "set_types: expected a tuple of dtypes");
  g_tensor = reinterpret_cast<PyTypeObject*>(Py_NewRef(tensor.p));
  for (int i = 0; i < kDTypes; i++) g_dtypes[i] = Py_NewRef(PyTuple_GET_ITEM(dtypes.p, i));
}

// x's memory as a new tensor without history.
Array alias(const Array& x) { return x; }

// Nobody else can see x's memory.
bool owns_memory(const Array& x) {
  return x.storage->refs.load(std::memory_order_relaxed) == 1 && !x.storage->readonly;
}

// to becomes a window on from's memory (same object, another array); its history is the caller's business.
void rebind(Object to, const Array& from) {
  check(is_tensor(to.p), Kind::Type, "rebind: expected a Tensor");
  as_tensor(to.p)->array = Array(from);
}

PyObject* g_refresh = nullptr;  // Python's refresh(view)
void set_refresh(Object f) { Py_XSETREF(g_refresh, Py_NewRef(f.p)); }

void view_of(Object y, Object x) {
  check(is_tensor(y.p) && is_tensor(x.p), Kind::Type, "view_of: expected Tensors");
  share(as_tensor(y.p), x.p);
}

// `to` takes over the history of `from`. For a base, its views will derive theirs anew; for a view (`current`), the
// history belongs to its base's present state.
void adopt_history(Object to, Object from, bool current) {
  check(is_tensor(to.p) && is_tensor(from.p), Kind::Type, "adopt_history: expected Tensors");
  PyTensor *t = as_tensor(to.p), *f = as_tensor(from.p);
  Py_XSETREF(t->node, Py_XNewRef(f->node));
  t->index = f->index;
  if (current && t->base) t->base_epoch = as_tensor(t->base)->epoch;
  if (!current) t->epoch++;
}
void forget_history(Object o) {
  check(is_tensor(o.p), Kind::Type, "forget_history: expected a Tensor");
  Py_CLEAR(as_tensor(o.p)->node);
  Py_CLEAR(as_tensor(o.p)->base);
  as_tensor(o.p)->index = 0;
}

PyObject* item(const Array& x) {
  refuse_while_recording("item()");
  check(x.numel() == 1, Kind::Runtime, "a tensor with ", x.numel(), " elements cannot be converted to a number");
  const Number v = read_number(x);
  if (is_floating(x.dtype)) return PyFloat_FromDouble(v.d);
  return x.dtype == DType::b8 ? PyBool_FromLong(v.i != 0) : PyLong_FromLongLong(v.i);
}

}  // namespace

void share(PyTensor* y, PyObject* x) {
  PyObject* base = as_tensor(x)->base ? as_tensor(x)->base : x;
  Py_XSETREF(y->base, Py_NewRef(base));
  y->base_epoch = as_tensor(base)->epoch;
}

void refresh(PyTensor* view) {
  PyObject* r = g_refresh ? PyObject_CallOneArg(g_refresh, reinterpret_cast<PyObject*>(view)) : nullptr;
  if (!r) throw pybind11::error_already_set();
  Py_DECREF(r);
}

PyObject* to_python(const Dims& d) {
  PyObject* t = PyTuple_New(d.n);
  for (int i = 0; t && i < d.n; i++) {
    PyObject* v = PyLong_FromLongLong(d[i]);
    if (!v) Py_CLEAR(t);
    else PyTuple_SET_ITEM(t, i, v);
  }
  return t;
}

void add_tensor_type(PyObject* m) {
  g_base = make_type();
  if (!g_base) return;
  g_tensor = g_base;
  PyModule_AddObjectRef(m, "TensorBase", reinterpret_cast<PyObject*>(g_base));
  def<&set_types>(m, "set_types", "tensor, dtypes");
  add_function(m, "check_tensors", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(check_tensors)),
               "def check_tensors(name: str, *given: Any) -> None: ...");
  def<&alias>(m, "alias", "x");
  def<&owns_memory>(m, "owns_memory", "x");
  def<&rebind>(m, "rebind", "to, source");
  def<&set_refresh>(m, "set_refresh", "refresh");
  def<&view_of>(m, "view_of", "y, x");
  def<&adopt_history>(m, "adopt_history", "to, source, current");
  def<&forget_history>(m, "forget_history", "x");
  def<&item>(m, "item", "x");
}

}  // namespace mielina::bind
