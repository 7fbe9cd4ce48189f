// Names, kinds and promotion of dtypes, for the host side.
#pragma once
#include "core/array.h"

namespace mielina {

const char* name_of(DType d);  // "float32"
bool is_floating(DType d);
bool is_half(DType d);            // f16, bf16
DType promote(DType a, DType b);  // PyTorch's table
DType default_float();
void set_default_float(DType d);
inline DType to_floating(DType d) { return is_floating(d) ? d : default_float(); }
// The type in which a kernel computes: f32 for halves, i64 for integers and bool.
DType compute_type(DType d);

void check_fits(const char* name, Number value, DType dtype);  // RuntimeError: beyond the dtype's range
double rounded_to(double x, DType d);  // the nearest number of a half format; of float32 and float64, x itself

// An operand of an op: an array, or a Python number, which is weaker than any array of its kind.
struct Operand {
  const Array* array = nullptr;
  Number number{};
  DType kind = DType::i64;  // of a number: b8, i64 or f64 (a Python bool, int or float)
};
// PyTorch's rule: dimensioned arrays first, then 0-dim arrays, then numbers; a weaker class counts only if its category
// (bool < integer < floating) is higher.
DType result_type(const Operand* operands, int n);
Array to_array(const Operand& o, DType dtype);  // a number becomes a 0-dim array

}  // namespace mielina
