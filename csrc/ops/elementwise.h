// elementwise ops: promotion, broadcasting, output layout; the arithmetic is in the kernels.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// What an op takes and gives: everything and keeps it; all but bool; everything, integers and bool becoming the default
// float; floating only; integers and bool only; integers only.
enum class Domain : uint8_t { keep, number, promote, floating, integer, shift };
// Which operands may be Python numbers.
enum class Numbers : uint8_t { either, second, none };
struct Traits {
  const char* name;
  Domain domain;
  bool gradient = true;
  Numbers numbers = Numbers::either;
};
const Traits& traits(Unary op);
const Traits& traits(Binary op);
const Traits& traits(Ternary op);
const char* name_of(Compare op);
Numbers numbers_of(Compare op);

Array unary(Unary op, const Array& x, double p = 0, double q = 0);
void unary_into(Unary op, const Array& x, double p = 0, double q = 0);  // x = f(x)
Array unary_backward(Unary op, const Array& g, const Array& x, const Array& y, double p = 0, double q = 0);
Array binary(Binary op, const Operand& a, const Operand& b);
void binary_into(Binary op, const Array& a, const Operand& b);  // a = f(a, b), in a's dtype and memory
Array ternary(Ternary op, const Operand& a, const Operand& b, const Operand& c, Number p = {});
Array compare(Compare op, const Operand& a, const Operand& b);
Array any_zero(const Array& x);  // one bool: whether some element is 0
Array where(const Array& condition, const Operand& a, const Operand& b);

Array convert(const Array& x, DType dtype);  // always a new array
Array contiguous(const Array& x);            // x itself when it is
Array clone(const Array& x);
Array apart(const Array& x);  // x itself, or a copy if elements share memory: the gradient of a sum is such an array
Array in_layout(const Array& x, const Array& like);  // x itself or a copy, as `like`, made by empty_like, lies
void copy_into(const Array& to, const Array& from);
void fill(const Array& x, Number value);
void check_writable(const Array& x, const char* name);

}  // namespace mielina::ops
