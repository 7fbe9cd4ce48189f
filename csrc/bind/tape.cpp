// The tape's nodes and its only entry, record(). The way back stands in engine.cpp.
#include "bind/tape.h"

#include "bind/fast.h"
#include "core/launch.h"

namespace mielina::bind {

PyTypeObject* g_node = nullptr;

namespace {

// Per thread: whether gradients are wanted, and a Python callable that sees every op (export, FLOP counts), or NULL.
thread_local bool t_grad = true;
thread_local PyObject* t_tracer = nullptr;

std::atomic<uint64_t> g_order{0};
PyObject* g_stack_keeper = nullptr;  // in anomaly mode: Python's stack() -> str, asked once a node
PyObject* g_outputs[8] = {};         // OUTPUT, OUTPUT_1, ...: placeholders among saves for the op's own results

int node_traverse(PyObject* o, visitproc visit, void* arg) {
  Node* n = as_node(o);
  Py_VISIT(Py_TYPE(o));
  Py_VISIT(n->op);
  Py_VISIT(n->edges);
  Py_VISIT(n->needs);
  Py_VISIT(n->saves);
  Py_VISIT(n->hooks);
  Py_VISIT(n->stack);
  return 0;
}
int node_clear(PyObject* o) {
  Node* n = as_node(o);
  Py_CLEAR(n->op);
  Py_CLEAR(n->edges);
  Py_CLEAR(n->needs);
  Py_CLEAR(n->saves);
  Py_CLEAR(n->hooks);
  Py_CLEAR(n->stack);
  return 0;
}
void node_dealloc(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  PyObject_GC_UnTrack(o);
  // A graph can be a chain of any length: without the trash can, freeing it would overflow the C stack.
  Py_TRASHCAN_BEGIN(o, node_dealloc) node_clear(o);
  Node* n = as_node(o);
  delete[] n->versions;
  delete[] n->inputs;
  delete[] n->indices;
  delete[] n->outputs;
  type->tp_free(o);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

// What a node keeps of a tensor: leaves as they are (their identity matters); anything else as a second window on the
// memory with the same history, so that an in-place op on the original cannot tie the graph into a knot.
PyObject* save(PyObject* o, PyObject* y, uint64_t* version) {
  for (PyObject* placeholder : g_outputs)
    if (o == placeholder) {
      Py_ssize_t i = 0;
      while (g_outputs[i] != o) i++;
      PyObject* out = PyTuple_Check(y) ? PyTuple_GET_ITEM(y, i) : y;
      *version = as_tensor(out)->array.storage->version;
      PyObject* copy = wrap(Array(as_tensor(out)->array));
      if (copy) {
        as_tensor(copy)->index = int32_t(-1 - i);  // marks it: the node is its maker, but it must not hold the node
      }
      return copy;
    }
  if (!is_tensor(o)) {
    *version = 0;
    return Py_NewRef(o);
  }
  PyTensor* t = as_tensor(o);
  *version = t->array.storage->version;
  if (t->requires_grad && !t->node) return Py_NewRef(o);
  PyObject* copy = wrap(Array(t->array));
  if (copy && t->node) {
    as_tensor(copy)->node = Py_NewRef(t->node);
    as_tensor(copy)->index = t->index;
  }
  return copy;
}

void own(PyObject* y, PyObject* node, int32_t index) {
  PyTensor* t = as_tensor(y);
  Py_XSETREF(t->node, Py_NewRef(node));
  t->index = index;
}

PyObject* make_node(PyObject* y, PyObject* op, PyObject* const* inputs, Py_ssize_t ni, PyObject* saves) {
  PyObject* o = g_node->tp_alloc(g_node, 0);
  if (!o) return nullptr;
  Node* n = as_node(o);
  n->op = Py_NewRef(op);
  n->order = g_order.fetch_add(1, std::memory_order_relaxed);
  Py_ssize_t ns = PyTuple_GET_SIZE(saves);
  n->edges = PyTuple_New(ni);
  n->needs = PyTuple_New(ni);
  n->saves = PyTuple_New(ns);
  if (!n->edges || !n->needs || !n->saves) {
    Py_DECREF(o);
    return nullptr;
  }
  n->inputs = new Shape[size_t(ni)];
  n->indices = new int32_t[size_t(ni)]();
  for (Py_ssize_t i = 0; i < ni; i++) {
    PyObject* in = inputs[i];
    if (is_tensor(in)) settle(as_tensor(in));
    bool wanted = is_tensor(in) && tracked(as_tensor(in)) && is_floating(as_tensor(in)->array.dtype);
    PyObject* edge = Py_None;
    if (wanted) {
      PyTensor* t = as_tensor(in);
      edge = t->node ? t->node : in;
      n->indices[i] = t->index;
      n->inputs[i].set(t->array);
    }
    PyTuple_SET_ITEM(n->edges, i, Py_NewRef(edge));
    PyTuple_SET_ITEM(n->needs, i, Py_NewRef(wanted ? Py_True : Py_False));
  }
  n->versions = new uint64_t[size_t(ns)];
  for (Py_ssize_t i = 0; i < ns; i++) {
    PyObject* kept = save(PyTuple_GET_ITEM(saves, i), y, &n->versions[i]);
    if (!kept) {
      Py_DECREF(o);
      return nullptr;
    }
    PyTuple_SET_ITEM(n->saves, i, kept);
  }
  if (PyTuple_Check(y)) {
    n->n_outputs = int32_t(PyTuple_GET_SIZE(y));
    n->outputs = new Shape[size_t(n->n_outputs)];
    for (int32_t i = 0; i < n->n_outputs; i++) {
      PyObject* out = PyTuple_GET_ITEM(y, i);
      n->outputs[i].set(as_tensor(out)->array);
      if (is_floating(as_tensor(out)->array.dtype)) own(out, o, i);
    }
  } else {
    n->n_outputs = 1;
    n->outputs = new Shape[1];
    n->outputs[0].set(as_tensor(y)->array);
    own(y, o, 0);
  }
  if (g_stack_keeper) [[unlikely]] {
    PyObject* keeper = Py_NewRef(g_stack_keeper);  // another thread may end the mode meanwhile
    n->stack = PyObject_CallNoArgs(keeper);
    Py_DECREF(keeper);
    if (!n->stack) Py_CLEAR(o);
  }
  return o;
}

bool floating_output(PyObject* y) {
  if (is_tensor(y)) return is_floating(as_tensor(y)->array.dtype);
  check(PyTuple_Check(y), Kind::Type, "record: an op returns a Tensor or a tuple of Tensors");
  bool any = false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(y); i++) {
    check(is_tensor(PyTuple_GET_ITEM(y, i)), Kind::Type, "record: an op returns a Tensor or a tuple of Tensors");
    any |= is_floating(as_tensor(PyTuple_GET_ITEM(y, i))->array.dtype);
  }
  return any;
}

PyObject* tuple_of(PyObject* const* values, Py_ssize_t n) {
  PyObject* tuple = PyTuple_New(n);
  for (Py_ssize_t i = 0; tuple && i < n; i++) PyTuple_SET_ITEM(tuple, i, Py_NewRef(values[i]));
  return tuple;
}

PyObject* const* items(PyObject* tuple) { return reinterpret_cast<PyTupleObject*>(tuple)->ob_item; }

// record(y, op, inputs, saves) -> y, remembering how it was made if anybody will ask.
PyObject* record_call(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 4 || !PyTuple_Check(args[2]) || !PyTuple_Check(args[3])) {
    PyErr_SetString(PyExc_TypeError, "record(y, op, inputs, saves): inputs and saves are tuples");
    return nullptr;
  }
  PyObject* saves = args[3];
  bool done =
      record_if_asked(args[0], args[1], items(args[2]), PyTuple_GET_SIZE(args[2]), [&] { return Py_NewRef(saves); });
  return done ? Py_NewRef(args[0]) : nullptr;
}

// recorded_view(y, op, x, *saves) -> y, a view of x unless it is a copy: record() for the ops that open windows.
PyObject* recorded_view(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 3 || !is_tensor(args[0]) || !is_tensor(args[2]))
    return PyErr_Format(PyExc_TypeError, "recorded_view(y, op, x, *saves): y and x are Tensors");
  PyObject *y = args[0], *const *x = args + 2;
  if (as_tensor(y)->array.storage.get() == as_tensor(*x)->array.storage.get()) share(as_tensor(y), *x);
  bool done = record_if_asked(y, args[1], x, 1, [&] { return tuple_of(args + 3, count - 3); });
  return done ? Py_NewRef(y) : nullptr;
}

PyObject* node_unpack(PyObject* o, PyObject*) { return unpack(as_node(o)); }
PyObject* node_free(PyObject* o, PyObject*) {
  Py_CLEAR(as_node(o)->saves);
  Py_RETURN_NONE;
}
// fits(i, g): g has the shape and dtype of input i.
PyObject* node_fits(PyObject* o, PyObject* const* args, Py_ssize_t n) {
  Py_ssize_t i = n == 2 ? PyLong_AsSsize_t(args[0]) : -1;
  if (i < 0 || i >= PyTuple_GET_SIZE(as_node(o)->edges) || !is_tensor(args[1])) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "fits(i, gradient)");
    return nullptr;
  }
  return PyBool_FromLong(as_node(o)->inputs[i].is(as_tensor(args[1])->array));
}
PyObject* meta(const Shape& s) {
  return Py_BuildValue("(NO)", to_python(Dims(s.shape, s.ndim)), g_dtypes[int(s.dtype)]);
}
PyObject* node_input_meta(PyObject* o, PyObject* arg) {
  Py_ssize_t i = PyLong_AsSsize_t(arg);
  if (i < 0 || i >= PyTuple_GET_SIZE(as_node(o)->edges))
    return PyErr_Occurred() ? nullptr : PyErr_Format(PyExc_IndexError, "input %zd", i);
  return meta(as_node(o)->inputs[i]);
}
PyObject* node_output_meta(PyObject* o, PyObject* arg) {
  Py_ssize_t i = PyLong_AsSsize_t(arg);
  if (i < 0 || i >= as_node(o)->n_outputs)
    return PyErr_Occurred() ? nullptr : PyErr_Format(PyExc_IndexError, "output %zd", i);
  return meta(as_node(o)->outputs[i]);
}
PyObject* node_index(PyObject* o, PyObject* arg) {
  Py_ssize_t i = PyLong_AsSsize_t(arg);
  if (i < 0 || i >= PyTuple_GET_SIZE(as_node(o)->edges))
    return PyErr_Occurred() ? nullptr : PyErr_Format(PyExc_IndexError, "input %zd", i);
  return PyLong_FromLong(as_node(o)->indices[i]);
}
PyObject* node_indices(PyObject* o, void*) {
  Node* n = as_node(o);
  Py_ssize_t count = PyTuple_GET_SIZE(n->edges);
  PyObject* r = PyTuple_New(count);
  for (Py_ssize_t i = 0; r && i < count; i++) PyTuple_SET_ITEM(r, i, PyLong_FromLong(n->indices[i]));
  return r;
}

PyObject* node_repr(PyObject* o) { return PyUnicode_FromFormat("<%S>", as_node(o)->op ? as_node(o)->op : Py_None); }

PyMethodDef methods[] = {{"unpack", node_unpack, METH_NOARGS, "The saved values, with versions checked."},
                         {"free", node_free, METH_NOARGS, "Drop the saved values."},
                         {"fits", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(node_fits)), METH_FASTCALL,
                          "Whether a gradient has input i's shape and dtype."},
                         {"input_meta", node_input_meta, METH_O, "(shape, dtype) of input i."},
                         {"output_meta", node_output_meta, METH_O, "(shape, dtype) of output i."},
                         {"index", node_index, METH_O, "Which output of its own node input i is."},
                         {nullptr, nullptr, 0, nullptr}};
PyMemberDef node_members[] = {{"op", T_OBJECT, offsetof(Node, op), READONLY, nullptr},
                              {"edges", T_OBJECT, offsetof(Node, edges), READONLY, nullptr},
                              {"needs", T_OBJECT, offsetof(Node, needs), READONLY, nullptr},
                              {"hooks", T_OBJECT, offsetof(Node, hooks), 0, nullptr},
                              {"stack", T_OBJECT, offsetof(Node, stack), READONLY, nullptr},
                              {"order", T_ULONGLONG, offsetof(Node, order), READONLY, nullptr},
                              {"n_outputs", T_INT, offsetof(Node, n_outputs), READONLY, nullptr},
                              {nullptr, 0, 0, 0, nullptr}};
PyGetSetDef node_getset[] = {{"indices", node_indices, nullptr, "Which output of its node each input is.", nullptr},
                             {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot node_slots[] = {{Py_tp_repr, reinterpret_cast<void*>(node_repr)},
                            {Py_tp_dealloc, reinterpret_cast<void*>(node_dealloc)},
                            {Py_tp_traverse, reinterpret_cast<void*>(node_traverse)},
                            {Py_tp_clear, reinterpret_cast<void*>(node_clear)},
                            {Py_tp_methods, methods},
                            {Py_tp_members, node_members},
                            {Py_tp_getset, node_getset},
                            {0, nullptr}};
PyType_Spec node_spec = {"mielina._core.Node", sizeof(Node), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, node_slots};

// The new tracer (or None); returns the one before.
PyObject* set_tracer(Object f) {
  PyObject* before = t_tracer ? t_tracer : Py_NewRef(Py_None);
  t_tracer = f.p == Py_None ? nullptr : Py_NewRef(f.p);
  return before;
}
// Whom to ask for the stack of each op that is recorded, in any thread (or None).
void set_stack_keeper(Object f) { Py_XSETREF(g_stack_keeper, f.p == Py_None ? nullptr : Py_NewRef(f.p)); }
bool keeps_stacks() { return g_stack_keeper != nullptr; }

bool wants_gradient(PyObject* const* inputs, Py_ssize_t n) {
  if (!t_grad) return false;
  for (Py_ssize_t i = 0; i < n; i++) {
    if (!is_tensor(inputs[i])) continue;
    settle(as_tensor(inputs[i]));
    if (tracked(as_tensor(inputs[i])) && is_floating(as_tensor(inputs[i])->array.dtype)) return true;
  }
  return false;
}

}  // namespace

int is_recorded(PyObject* const* inputs, Py_ssize_t n) {
  try {
    return wants_gradient(inputs, n) || t_tracer;
  } catch (...) {
    set_python_error();
    return -1;
  }
}
bool record(PyObject* y, PyObject* op, PyObject* const* inputs, Py_ssize_t n, PyObject* saves) {
  if (!saves) return false;
  bool done = true;
  try {
    if (wants_gradient(inputs, n) && floating_output(y)) {
      PyObject* node = make_node(y, op, inputs, n, saves);
      done = node != nullptr;
      Py_XDECREF(node);
    }
    if (done && t_tracer) [[unlikely]] {
      PyObject* all = tuple_of(inputs, n);
      PyObject* seen = all ? PyObject_CallFunctionObjArgs(t_tracer, y, op, all, saves, nullptr) : nullptr;
      done = seen != nullptr;
      Py_XDECREF(seen);
      Py_XDECREF(all);
    }
  } catch (...) {
    set_python_error();
    done = false;
  }
  Py_DECREF(saves);
  return done;
}
bool grad_enabled() { return t_grad; }
bool set_grad_enabled(bool on) {
  bool before = t_grad;
  t_grad = on;
  return before;
}
PyObject* unpack(Node* n) {
  if (!n->saves) {
    PyErr_SetString(PyExc_RuntimeError,
                    "trying to go backward through the graph a second time: the saved tensors were freed by the first; "
                    "pass retain_graph=True to the first backward()");
    return nullptr;
  }
  Py_ssize_t count = PyTuple_GET_SIZE(n->saves);
  PyObject* r = PyTuple_New(count);
  for (Py_ssize_t i = 0; r && i < count; i++) {
    PyObject* s = PyTuple_GET_ITEM(n->saves, i);
    if (is_tensor(s)) {
      PyTensor* t = as_tensor(s);
      if (t->array.storage->version != n->versions[i]) {
        PyErr_Format(
            PyExc_RuntimeError,
            "a tensor that %S needs for its gradient was changed by an in-place operation (it is at version %llu, "
            "expected %llu): use the out-of-place form, or clone() it first",
            n->op, (unsigned long long)t->array.storage->version, (unsigned long long)n->versions[i]);
        Py_CLEAR(r);
        break;
      }
      if (t->index < 0) {
        PyObject* again = wrap(Array(t->array));
        if (!again) {
          Py_CLEAR(r);
          break;
        }
        own(again, reinterpret_cast<PyObject*>(n), -1 - t->index);
        PyTuple_SET_ITEM(r, i, again);
        continue;
      }
    }
    PyTuple_SET_ITEM(r, i, Py_NewRef(s));
  }
  return r;
}

void add_tape(PyObject* m) {
  g_node = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&node_spec));
  if (!g_node) return;
  PyModule_AddObjectRef(m, "Node", reinterpret_cast<PyObject*>(g_node));
  PyObject* outputs = PyTuple_New(8);
  for (int i = 0; i < 8; i++) {
    g_outputs[i] = PyObject_CallNoArgs(reinterpret_cast<PyObject*>(&PyBaseObject_Type));
    PyTuple_SET_ITEM(outputs, i, Py_NewRef(g_outputs[i]));
  }
  PyModule_AddObjectRef(m, "OUTPUTS", outputs);
  Py_DECREF(outputs);
  add_function(m, "record", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(record_call)),
               "def record(y: Any, op: Any, inputs: tuple[Any, ...], saves: tuple[Any, ...], /) -> Any: ...");
  add_function(m, "recorded_view", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(recorded_view)),
               "def recorded_view(y: Any, op: Any, x: Any, /, *saves: Any) -> Any: ...");
  def<&grad_enabled>(m, "grad_enabled", "");
  def<&set_grad_enabled>(m, "set_grad_enabled", "on");
  def<&set_tracer>(m, "set_tracer", "tracer");
  def<&set_stack_keeper>(m, "set_stack_keeper", "keeper");
  def<&keeps_stacks>(m, "keeps_stacks", "");
}

}  // namespace mielina::bind
