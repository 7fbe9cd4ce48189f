#include "ops/elementwise.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {
namespace {

// The ops' names are template arguments, so that a call carries no more than its operands.
template <size_t N> struct Name {
  char text[N];
  constexpr Name(const char (&s)[N]) { for (size_t i = 0; i < N; i++) text[i] = s[i]; }
};
template <Binary op, Name name> Array binary(const Operand& a, const Operand& b) { return ops::binary(name.text, op, a, b); }
template <Binary op, Name name> void binary_into(const Array& a, const Operand& b) { ops::binary_into(name.text, op, a, b); }
template <Unary op, Name name> Array unary(const Array& x) { return ops::unary(name.text, op, x); }
template <Unary op, Name name> Array unary_backward(const Array& g, const Array& x, const Array& y) {
  return ops::unary_backward(name.text, op, g, x, y);
}

}  // namespace

void add_elementwise(PyObject* m) {
  def<&binary<Binary::add, "add">>(m, "add", "a, b");
  def<&binary<Binary::sub, "sub">>(m, "sub", "a, b");
  def<&binary<Binary::mul, "mul">>(m, "mul", "a, b");
  def<&binary<Binary::div, "div">>(m, "div", "a, b");
  def<&binary_into<Binary::add, "add_">>(m, "add_", "a, b");
  def<&binary_into<Binary::sub, "sub_">>(m, "sub_", "a, b");
  def<&binary_into<Binary::mul, "mul_">>(m, "mul_", "a, b");
  def<&binary_into<Binary::div, "div_">>(m, "div_", "a, b");
  def<&unary<Unary::relu, "relu">>(m, "relu", "x");
  def<&unary_backward<Unary::relu, "relu_backward">>(m, "relu_backward", "g, x, y");
  def<&ops::convert>(m, "convert", "x, dtype");
  def<&ops::contiguous>(m, "contiguous", "x");
  def<&ops::clone>(m, "clone", "x");
  def<&ops::copy_into>(m, "copy_into", "to, source");
  def<&ops::fill>(m, "fill_", "x, value");
}

}  // namespace mielina::bind
