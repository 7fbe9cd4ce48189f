// The Python object of a tensor: an Array with its place on the tape. The Python class `Tensor` derives from it and
// adds methods only, so an op returns a finished Tensor: one object, one allocation.
#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "core/types.h"

namespace mielina::bind {

struct PyTensor {
  PyObject_HEAD Array array;
  PyObject* node;   // what made it (_core.Node), or NULL for a leaf
  PyObject* grad;   // accumulated gradient of a leaf, or NULL
  PyObject* base;   // the tensor that this one is a differentiable view of, or NULL
  PyObject* extra;  // whatever Python keeps with it (hooks), or NULL
  PyObject* weakrefs;
  int32_t index;        // which of the node's outputs
  uint32_t epoch;       // how often an in-place op gave this base a new history
  uint32_t base_epoch;  // the base's epoch that this view's history belongs to
  bool requires_grad;   // a leaf that asked for a gradient
};

extern PyTypeObject* g_base;    // _core.TensorBase
extern PyTypeObject* g_tensor;  // the class of new tensors: mielina.Tensor once it exists
extern PyObject* g_dtypes[kDTypes];

inline bool is_tensor(PyObject* o) { return Py_TYPE(o) == g_tensor || PyObject_TypeCheck(o, g_base); }
inline PyTensor* as_tensor(PyObject* o) { return reinterpret_cast<PyTensor*>(o); }
// A view whose base was changed in place derives its history anew before anybody looks at it.
void refresh(PyTensor* view);
inline void settle(PyTensor* t) {
  if (t->base && as_tensor(t->base)->epoch != t->base_epoch) [[unlikely]]
    refresh(t);
}
void share(PyTensor* y, PyObject* x);  // y is a view of x: in-place changes of either are changes of the other
inline bool tracked(PyTensor* t) { return t->requires_grad || t->node; }

PyObject* wrap(Array&& a);      // a new reference; NULL with an exception set
DType dtype_from(PyObject* o);  // a dtype object; throws Type error
void add_tensor_type(PyObject* module);
void add_tape(PyObject* module);

}  // namespace mielina::bind
