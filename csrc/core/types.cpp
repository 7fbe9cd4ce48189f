#include "core/types.h"

#include <atomic>
#include <cmath>

#include "core/launch.h"

namespace mielina {

const char* name_of(DType d) {
  static const char* const names[kDTypes] = {"float32", "float64", "float16", "bfloat16", "int64",
                                             "int32",   "int16",   "int8",    "uint8",    "bool"};
  return names[int(d)];
}
bool is_floating(DType d) { return d <= DType::bf16; }
bool is_half(DType d) { return d == DType::f16 || d == DType::bf16; }
DType compute_type(DType d) { return is_half(d) ? DType::f32 : is_floating(d) ? d : DType::i64; }

static std::atomic<DType> g_default{DType::f32};
DType default_float() { return g_default.load(std::memory_order_relaxed); }
void set_default_float(DType d) {
  check(is_floating(d), Kind::Type, "set_default_dtype: expected a floating dtype, got ", name_of(d));
  g_default = d;
}

static int category(DType d) { return is_floating(d) ? 2 : d == DType::b8 ? 0 : 1; }

DType promote(DType a, DType b) {
  if (a == b) return a;
  int ca = category(a), cb = category(b);
  if (ca != cb) return ca > cb ? a : b;
  if (ca == 2) {
    if (a == DType::f64 || b == DType::f64) return DType::f64;
    return DType::f32;  // two different ones, neither double: f32 holds both f16 and bf16
  }
  if (a == DType::u8 || b == DType::u8) {
    DType other = a == DType::u8 ? b : a;
    return other == DType::i8 ? DType::i16 : other;
  }
  return kDTypeSize[int(a)] > kDTypeSize[int(b)] ? a : b;
}

// Integers may be negative in an unsigned dtype (they wrap) but not larger than it in size; floating numbers must lie
// within the dtype's range, infinities and NaN only in floating dtypes.
void check_fits(const char* name, Number value, DType dtype) {
  static constexpr double kMost[] = {3.4028234663852886e38, 1.7976931348623157e308, 65504, 3.3895313892515355e38};
  bool fits = true;
  if (dtype == DType::b8 || (is_floating(dtype) && value.d - value.d != 0)) {
  } else if (is_floating(dtype)) {
    fits = std::abs(value.d) <= kMost[int(dtype)];
  } else {
    int bits = 8 * int(kDTypeSize[int(dtype)]);
    bool is_unsigned = dtype == DType::u8;
    double most = std::ldexp(1.0, is_unsigned ? bits : bits - 1);
    if (value.integer)
      fits = bits == 64 || (double(value.i) < most && double(value.i) >= (is_unsigned ? 1 - most : -most));
    else fits = (bits == 64 ? value.d < most : value.d <= most - 1) && value.d >= (is_unsigned ? 0 : -most);
  }
  check(fits, Kind::Runtime, name, ": the value ", value.integer ? double(value.i) : value.d,
        " cannot be converted to ", name_of(dtype), " without overflow");
}

double rounded_to(double x, DType d) {
  if (!is_half(d) || x == 0 || !std::isfinite(x)) return x;
  x = double(float(x));  // as PyTorch: by way of float32
  int digits = d == DType::f16 ? 11 : 8, exponent;
  std::frexp(x, &exponent);
  double unit = std::ldexp(1.0, std::max(exponent, d == DType::f16 ? -13 : -125) - digits);
  double y = std::nearbyint(x / unit) * unit, largest = d == DType::f16 ? 65504 : 0x1.fep127;
  return std::fabs(y) > largest ? std::copysign(HUGE_VAL, y) : y;
}

DType result_type(const Operand* operands, int n) {
  constexpr int none = -1;
  int strong = none, zero = none, weak = none;
  auto join = [](int a, DType b) { return a == none ? int(b) : int(promote(DType(a), b)); };
  for (int i = 0; i < n; i++) {
    const Operand& o = operands[i];
    if (!o.array) weak = join(weak, o.kind == DType::f64 ? default_float() : o.kind);
    else if (o.array->ndim == 0) zero = join(zero, o.array->dtype);
    else strong = join(strong, o.array->dtype);
  }
  auto combine = [](int higher, int lower) {
    if (higher == none || lower == none) return higher == none ? lower : higher;
    return category(DType(lower)) > category(DType(higher)) ? int(promote(DType(higher), DType(lower))) : higher;
  };
  return DType(combine(strong, combine(zero, weak)));
}

Array to_array(const Operand& o, DType dtype) {
  if (o.array) return *o.array;
  Array y = empty(Dims{}, dtype);
  launch<&Kernels::fill>("fill", out(y), o.number);
  return y;
}

}  // namespace mielina
