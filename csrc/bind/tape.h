// The tape's nodes, as record() makes them and the engine walks them.
#pragma once
#include <cstring>

#include "bind/tensor.h"

namespace mielina::bind {

struct Shape {
  DType dtype = DType::f32;
  int32_t ndim = 0;
  int64_t shape[kMaxDims];
  void set(const Array& a) {
    dtype = a.dtype;
    ndim = a.ndim;
    std::memcpy(shape, a.shape, sizeof(int64_t) * size_t(ndim));
  }
  bool is(const Array& a) const {
    return a.dtype == dtype && a.ndim == ndim && std::memcmp(a.shape, shape, sizeof(int64_t) * size_t(ndim)) == 0;
  }
};

// One recorded op. Edges name the nodes (or leaves) that made the inputs; saves hold what the rule asked for.
struct Node {
  PyObject_HEAD PyObject* op;
  PyObject* edges;     // tuple: Node, leaf Tensor, or None where no gradient is wanted
  PyObject* needs;     // tuple of bools, one an input
  PyObject* saves;     // tuple, or NULL once freed
  PyObject* hooks;     // Python's, or NULL
  PyObject* stack;     // the lines that recorded it, in anomaly mode, or NULL
  uint64_t order;      // counts records: a consumer is always younger
  uint64_t* versions;  // of the saved tensors
  Shape* inputs;       // shapes of the inputs that want gradients
  int32_t* indices;    // which output of its node an input is
  Shape* outputs;
  int32_t n_outputs;
};
inline Node* as_node(PyObject* o) { return reinterpret_cast<Node*>(o); }

extern PyTypeObject* g_node;  // _core.Node
inline bool is_node(PyObject* o) { return Py_TYPE(o) == g_node; }

// The saves as the rule sees them: versions checked, saved outputs given their history back. NULL with an error set.
PyObject* unpack(Node* n);

// Whether an op of these inputs is put on the tape or shown to the tracer: 1, 0, or -1 with an error set.
int is_recorded(PyObject* const* inputs, Py_ssize_t n);
// Remembers that `op` made y from the inputs. saves: a tuple of what its rule asks for, which is taken, or NULL with an
// error set. False with an error set.
bool record(PyObject* y, PyObject* op, PyObject* const* inputs, Py_ssize_t n, PyObject* saves);
// The same where it is asked for; saves() makes the tuple.
template <class Saves>
bool record_if_asked(PyObject* y, PyObject* op, PyObject* const* inputs, Py_ssize_t n, Saves saves) {
  int asked = is_recorded(inputs, n);
  return asked == 0 || (asked > 0 && record(y, op, inputs, n, saves()));
}

// Whether this thread's ops are recorded; set_grad_enabled returns what was before.
bool grad_enabled();
bool set_grad_enabled(bool on);

}  // namespace mielina::bind
