// From `x + y` to the kernel without a Python frame: a kernel that puts itself on the tape, and the operators that call
// such kernels. `x + y` of four numbers took 0.40 us through two Python functions, and 0.25 so.
#include "bind/operators.h"

#include "bind/fast.h"
#include "bind/tape.h"

namespace mielina::bind {
namespace {

// ---- a kernel and its record ----------------------------------------------------------------------------------------
// recorded(kernel, op, saves, linear, inputs): called with the kernel's arguments, of which the first `inputs` are the
// op's, it gives the kernel's result and records it if anybody will ask.
struct Recorded {
  PyObject_HEAD vectorcallfunc call;
  PyObject* kernel;
  PyObject* op;
  PyObject* saves;       // a tuple: the number of an argument, or a placeholder for the result
  unsigned long linear;  // bit i: argument i is saved for the other's gradient only, so not if that wants none
  Py_ssize_t inputs;
};
Recorded* as_recorded(PyObject* o) { return reinterpret_cast<Recorded*>(o); }
PyTypeObject* g_recorded = nullptr;

// Whether no gradient of it is asked for; a view gets the history of its base only when it is looked at.
bool wants_none(PyObject* o) {
  if (!is_tensor(o)) return PyFloat_CheckExact(o) || PyLong_CheckExact(o);
  PyTensor* t = as_tensor(o);
  return !tracked(t) && !(t->base && tracked(as_tensor(t->base)));
}

PyObject* saved(const Recorded* r, PyObject* const* args, Py_ssize_t n) {
  Py_ssize_t count = PyTuple_GET_SIZE(r->saves);
  PyObject* saves = PyTuple_New(count);
  for (Py_ssize_t i = 0; saves && i < count; i++) {
    PyObject* what = PyTuple_GET_ITEM(r->saves, i);
    if (PyLong_CheckExact(what)) {
      Py_ssize_t at = PyLong_AsSsize_t(what);
      bool alone = n == 2 && (r->linear >> at & 1) && wants_none(args[1 - at]);
      what = alone ? Py_None : args[at];
    }
    PyTuple_SET_ITEM(saves, i, Py_NewRef(what));
  }
  return saves;
}

PyObject* recorded_call(PyObject* self, PyObject* const* args, size_t flags, PyObject* names) {
  const Recorded* r = as_recorded(self);
  PyObject* y = PyObject_Vectorcall(r->kernel, args, flags, names);
  Py_ssize_t n = PyVectorcall_NARGS(flags);
  const Py_ssize_t inputs = n < r->inputs ? n : r->inputs;
  if (y && !record_if_asked(y, r->op, args, inputs, [&] { return saved(r, args, n); })) Py_CLEAR(y);
  return y;
}

int recorded_traverse(PyObject* o, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(o));
  Py_VISIT(as_recorded(o)->kernel);
  Py_VISIT(as_recorded(o)->op);
  Py_VISIT(as_recorded(o)->saves);
  return 0;
}
int recorded_clear(PyObject* o) {
  Py_CLEAR(as_recorded(o)->kernel);
  Py_CLEAR(as_recorded(o)->op);
  Py_CLEAR(as_recorded(o)->saves);
  return 0;
}
void recorded_dealloc(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  PyObject_GC_UnTrack(o);
  recorded_clear(o);
  type->tp_free(o);
  Py_DECREF(type);
}

PyMemberDef recorded_members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(Recorded, call), READONLY, nullptr},
                                  {nullptr, 0, 0, 0, nullptr}};
PyType_Slot recorded_slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(recorded_dealloc)},
                                {Py_tp_traverse, reinterpret_cast<void*>(recorded_traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(recorded_clear)},
                                {Py_tp_members, recorded_members},
                                {0, nullptr}};
PyType_Spec recorded_spec = {
    "mielina._core.Recorded", sizeof(Recorded), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    recorded_slots};

PyObject* recorded(Object kernel, Object op, Object saves, int64_t linear, int64_t inputs) {
  check(PyTuple_Check(saves.p), Kind::Type, "recorded: saves is a tuple");
  PyObject* o = g_recorded->tp_alloc(g_recorded, 0);
  if (!o) return nullptr;
  Recorded* r = as_recorded(o);
  r->call = recorded_call;
  r->kernel = Py_NewRef(kernel.p);
  r->op = Py_NewRef(op.p);
  r->saves = Py_NewRef(saves.p);
  r->linear = static_cast<unsigned long>(linear);
  r->inputs = inputs;
  return o;
}

// ---- operators ------------------------------------------------------------------------------------------------------
// What an operator calls: first the fast callable; after a TypeError the other, which knows NumPy's operands and whom
// to leave to the other side.
struct Operator {
  const char* symbol;
  PyObject *fast = nullptr, *slow = nullptr;
};
Operator g_add{"add"}, g_sub{"sub"}, g_mul{"mul"}, g_truediv{"truediv"}, g_floordiv{"floordiv"}, g_mod{"mod"},
    g_pow{"pow"}, g_and{"and"}, g_or{"or"}, g_xor{"xor"}, g_lshift{"lshift"}, g_rshift{"rshift"}, g_neg{"neg"};
Operator g_comparisons[6] = {{"lt"}, {"le"}, {"eq"}, {"ne"}, {"gt"}, {"ge"}};
static_assert(Py_LT == 0 && Py_LE == 1 && Py_EQ == 2 && Py_NE == 3 && Py_GT == 4 && Py_GE == 5);

Operator* operator_of(const std::string& symbol) {
  for (Operator* o : {&g_add, &g_sub, &g_mul, &g_truediv, &g_floordiv, &g_mod, &g_pow, &g_and, &g_or, &g_xor, &g_lshift,
                      &g_rshift, &g_neg})
    if (symbol == o->symbol) return o;
  for (Operator& o : g_comparisons)
    if (symbol == o.symbol) return &o;
  fail(Kind::Value, "set_operator: unknown operator ", symbol);
}

PyObject* operate(const Operator& o, PyObject* const* operands, size_t n) {
  if (!o.fast) Py_RETURN_NOTIMPLEMENTED;
  PyObject* y = PyObject_Vectorcall(o.fast, operands, n, nullptr);
  if (y || !PyErr_ExceptionMatches(PyExc_TypeError)) return y;
  PyErr_Clear();
  return PyObject_Vectorcall(o.slow, operands, n, nullptr);
}
template <Operator& o>
PyObject* two(PyObject* a, PyObject* b) {
  PyObject* operands[] = {a, b};
  return operate(o, operands, 2);
}
PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
  return two<g_pow>(a, b);
}
PyObject* negative(PyObject* x) { return operate(g_neg, &x, 1); }
PyObject* compare(PyObject* a, PyObject* b, int op) {
  PyObject* operands[] = {a, b};
  return operate(g_comparisons[op], operands, 2);
}
Py_hash_t identity_hash(PyObject* o) { return PyBaseObject_Type.tp_hash(o); }

void set_operator(const std::string& symbol, Object fast, Object slow) {
  Operator* o = operator_of(symbol);
  Py_XSETREF(o->fast, Py_NewRef(fast.p));
  Py_XSETREF(o->slow, Py_NewRef(slow.p));
}

template <class F>
PyType_Slot slot(int which, F* f) {
  return {which, reinterpret_cast<void*>(f)};
}

}  // namespace

std::vector<PyType_Slot> operator_slots() {
  return {slot(Py_nb_add, two<g_add>),
          slot(Py_nb_subtract, two<g_sub>),
          slot(Py_nb_multiply, two<g_mul>),
          slot(Py_nb_true_divide, two<g_truediv>),
          slot(Py_nb_floor_divide, two<g_floordiv>),
          slot(Py_nb_remainder, two<g_mod>),
          slot(Py_nb_power, power),
          slot(Py_nb_and, two<g_and>),
          slot(Py_nb_or, two<g_or>),
          slot(Py_nb_xor, two<g_xor>),
          slot(Py_nb_lshift, two<g_lshift>),
          slot(Py_nb_rshift, two<g_rshift>),
          slot(Py_nb_negative, negative),
          slot(Py_tp_richcompare, compare),
          slot(Py_tp_hash, identity_hash)};
}

void add_operators(PyObject* m) {
  g_recorded = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&recorded_spec));
  if (!g_recorded) return;
  def<&recorded>(m, "recorded", "kernel, op, saves, linear, inputs");
  def<&set_operator>(m, "set_operator", "symbol, fast, slow");
}

}  // namespace mielina::bind
