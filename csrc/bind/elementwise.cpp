#include "ops/elementwise.h"

#include <algorithm>

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {
namespace {

// One function stands behind all ops of a kind: `self` of its Python object is the op's number. Parameters that are
// missing at the end of a call are 0.
template <class Op>
Op op_of(PyObject* self) {
  return Op(PyLong_AsLong(self));
}

int32_t inputs_device(PyObject* const* args, Py_ssize_t n) {
  int32_t device = -1;
  for (Py_ssize_t i = 0; i < n; i++)
    if (is_tensor(args[i])) device = std::max(device, as_tensor(args[i])->array.device());
  return device < 0 ? current_device() : device;
}

template <auto Body>
PyObject* run(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  if constexpr (std::is_void_v<decltype(Body(self, args, n))>) {
    Body(self, args, n);
    Py_RETURN_NONE;
  } else {
    return to_python(Body(self, args, n));
  }
}

template <auto Body, int Least, int Most>
PyObject* call(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  try {
    check(n >= Least && n <= Most, Kind::Type, "expected ", Least, " to ", Most, " arguments, got ", n);
    if (g_cards) [[unlikely]] {
      On device(inputs_device(args, n));
      return run<Body>(self, args, n);
    }
    return run<Body>(self, args, n);
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

using Args = PyObject* const*;
const Array& array(PyObject* o) { return From<Array>::get(o); }
Operand operand(PyObject* o) { return From<Operand>::get(o); }
double parameter(Args args, Py_ssize_t n, int i) { return i < n ? From<double>::get(args[i]) : 0; }

Array unary(PyObject* self, Args a, Py_ssize_t n) {
  return ops::unary(op_of<Unary>(self), array(a[0]), parameter(a, n, 1), parameter(a, n, 2));
}
void unary_into(PyObject* self, Args a, Py_ssize_t n) {
  ops::unary_into(op_of<Unary>(self), array(a[0]), parameter(a, n, 1), parameter(a, n, 2));
}
Array unary_backward(PyObject* self, Args a, Py_ssize_t n) {
  return ops::unary_backward(op_of<Unary>(self), array(a[0]), array(a[1]), array(a[2]), parameter(a, n, 3),
                             parameter(a, n, 4));
}
// PyTorch takes tensors only where a number would be a likely mistake; so do we.
void check_numbers(const char* name, ops::Numbers allowed, const Operand& a, const Operand& b) {
  check(allowed == ops::Numbers::either || a.array, Kind::Type, name,
        ": expected a Tensor as the first operand, not a number");
  check(allowed != ops::Numbers::none || b.array, Kind::Type, name,
        ": expected a Tensor as the second operand, not a number");
}
Array binary(PyObject* self, Args a, Py_ssize_t) {
  Binary op = op_of<Binary>(self);
  const ops::Traits& t = ops::traits(op);
  Operand x = operand(a[0]), y = operand(a[1]);
  check_numbers(t.name, t.numbers, x, y);
  return ops::binary(op, x, y);
}
void binary_into(PyObject* self, Args a, Py_ssize_t) {
  Binary op = op_of<Binary>(self);
  const ops::Traits& t = ops::traits(op);
  Operand x = operand(a[0]), y = operand(a[1]);
  check(x.array, Kind::Type, t.name, "_: expected a Tensor to write to");
  check_numbers(t.name, t.numbers, x, y);
  ops::binary_into(op, *x.array, y);
}
Array ternary(PyObject* self, Args a, Py_ssize_t n) {
  Ternary op = op_of<Ternary>(self);
  Number p = n > 3 ? From<Number>::get(a[3]) : Number{1, 1, true};
  if (op == Ternary::clamp) p = {0, 0, true};
  if (op == Ternary::clamp && (a[1] == Py_None || a[2] == Py_None)) {
    bool lower = a[2] == Py_None;
    Operand x = operand(a[0]), bound = operand(a[lower ? 1 : 2]);
    if (bound.array) return ops::binary(lower ? Binary::maximum : Binary::minimum, x, bound);
    p = {lower ? 1.0 : 2.0, lower ? 1 : 2, true};  // one number stands for both bounds, and p says which counts
    return ops::ternary(op, x, bound, bound, p);
  }
  return ops::ternary(op, operand(a[0]), operand(a[1]), operand(a[2]), p);
}
Array compare(PyObject* self, Args a, Py_ssize_t n) {
  Compare op = op_of<Compare>(self);
  Operand x = operand(a[0]);
  if (n == 1) return ops::compare(op, x, Operand{nullptr, {0, 0, true}, DType::b8});
  Operand y = operand(a[1]);
  check_numbers(ops::name_of(op), ops::numbers_of(op), x, y);
  return ops::compare(op, x, y);
}

template <auto Body, int Least, int Most>
void add(PyObject* m, int op, const std::string& name, const char* signature) {
  PyObject* number = PyLong_FromLong(op);
  add_function(m, (new std::string(name))->c_str(),
               reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&call<Body, Least, Most>)),
               "def " + name + signature, number);
  Py_XDECREF(number);
}

}  // namespace

void add_elementwise(PyObject* m) {
  for (int i = 0; i < int(Unary::count); i++) {
    const ops::Traits& t = ops::traits(Unary(i));
    std::string name = t.name;
    // clamp takes tensors as bounds, too: the ternary op has the plain name.
    if (Unary(i) == Unary::clamp) name = "clamp_numbers";
    add<unary, 1, 3>(m, i, name, "(x: Tensor, p: float = 0, q: float = 0, /) -> Tensor: ...");
    add<unary_into, 1, 3>(m, i, name + "_", "(x: Tensor, p: float = 0, q: float = 0, /) -> None: ...");
    if (t.gradient)
      add<unary_backward, 3, 5>(m, i, name + "_backward",
                                "(g: Tensor, x: Tensor, y: Tensor, p: float = 0, q: float = 0, /) -> Tensor: ...");
  }
  for (int i = 0; i < int(Binary::count); i++) {
    std::string name = ops::traits(Binary(i)).name;
    add<binary, 2, 2>(m, i, name, "(a: Tensor | float, b: Tensor | float, /) -> Tensor: ...");
    add<binary_into, 2, 2>(m, i, name + "_", "(a: Tensor, b: Tensor | float, /) -> None: ...");
  }
  for (int i = 0; i < int(Ternary::count); i++)
    add<ternary, 3, 4>(m, i, ops::traits(Ternary(i)).name,
                       "(a: Tensor | float, b: Tensor | float, c: Tensor | float, p: float = 1, /) -> Tensor: ...");
  for (int i = 0; i < int(Compare::count); i++)
    add<compare, 1, 2>(m, i, ops::name_of(Compare(i)), "(a: Tensor | float, b: Tensor | float = 0, /) -> Tensor: ...");
  def<&ops::where>(m, "where", "condition, a, b");
  def<&ops::any_zero>(m, "any_zero", "x");
  def<&ops::convert>(m, "convert", "x, dtype");
  def<&ops::contiguous>(m, "contiguous", "x");
  def<&ops::clone>(m, "clone", "x");
  def<&ops::copy_into>(m, "copy_into", "to, source");
  def<&ops::fill>(m, "fill_", "x, value");
}

}  // namespace mielina::bind
