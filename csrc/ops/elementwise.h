// elementwise ops: promotion, broadcasting, output layout; the arithmetic is in the kernels.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

Array unary(const char* name, Unary op, const Array& x, double p = 0, double q = 0);
Array unary_backward(const char* name, Unary op, const Array& g, const Array& x, const Array& y, double p = 0, double q = 0);
Array binary(const char* name, Binary op, const Operand& a, const Operand& b);
// a op= b, in a's dtype and memory.
void binary_into(const char* name, Binary op, const Array& a, const Operand& b);

Array convert(const Array& x, DType dtype);      // always a new array
Array contiguous(const Array& x);                // x itself when it is
Array clone(const Array& x);
void copy_into(const Array& to, const Array& from);
void fill(const Array& x, Number value);
void check_writable(const Array& x, const char* name);

}  // namespace mielina::ops
