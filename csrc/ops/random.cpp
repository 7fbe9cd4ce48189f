#include "ops/random.h"

#include <algorithm>
#include <cmath>

namespace mielina::ops {

static void check_state(const Array& a, const char* name) {
  check(a.dtype == DType::i64 && a.ndim == 1 && a.shape[0] == 2, Kind::Value, name,
        ": a generator's state or key is an int64 pair");
}

Array take_key(const Array& state, int64_t numbers, DType dtype) {
  check_state(state, "random");
  check(numbers >= 0 && numbers <= (int64_t(1) << 58), Kind::Runtime, "random: cannot draw ", numbers, " numbers");
  Array key = empty(Dims{2}, DType::i64);
  int64_t words = numbers * (dtype == DType::f64 ? 2 : 1);
  launch<&Kernels::random_take>("random_take", out(key), out(state), (words + 3) / 4);
  return key;
}

// Halves are drawn as float32 and rounded: what would be rounded up to `high` is left out.
static double below(double high, double low, DType dtype) {
  const int bits = dtype == DType::f16 ? 11 : dtype == DType::bf16 ? 8 : 0;  // of a significand
  if (bits == 0 || !(low < high) || high == 0) return high;
  int e;
  const double m = std::frexp(high, &e);
  const double step = std::ldexp(1.0, e - bits - (m == 0.5));  // from `high` to the number below it
  return std::max(low, high - step * (0.5 + 0x1p-9));          // float32's rounding must not reach the middle either
}

Array uniform(const Dims& shape, DType dtype, const Array& key, double low, double high) {
  check_state(key, "uniform");
  check(is_floating(dtype), Kind::Type, "uniform: expected a floating dtype, got ", name_of(dtype));
  Array y = empty(shape, dtype);
  launch<&Kernels::random_uniform>("uniform", out(y), in(key), low, below(high, low, dtype));
  return y;
}

Array normal(const Dims& shape, DType dtype, const Array& key, double mean, double std) {
  check_state(key, "normal");
  check(is_floating(dtype), Kind::Type, "normal: expected a floating dtype, got ", name_of(dtype));
  check(std >= 0, Kind::Runtime, "normal: expected std >= 0, got ", std);
  Array y = empty(shape, dtype);
  launch<&Kernels::random_normal>("normal", out(y), in(key), mean, std);
  return y;
}

Array integers(const Dims& shape, DType dtype, const Array& key, int64_t low, int64_t high) {
  check_state(key, "randint");
  check(low < high, Kind::Runtime, "randint: expected low < high, got ", low, " and ", high);
  Array y = empty(shape, dtype);
  launch<&Kernels::random_integers>("randint", out(y), in(key), low, uint64_t(high) - uint64_t(low));
  return y;
}

Array dropout(const Array& x, const Array& key, double p) {
  check_state(key, "dropout");
  check(p >= 0 && p <= 1, Kind::Value, "dropout: probability has to be between 0 and 1, but got ", p);
  check(is_floating(x.dtype), Kind::Runtime, "dropout: expected a floating dtype, got ", name_of(x.dtype));
  Array y = empty_like(x);
  launch<&Kernels::dropout>("dropout", out(y), in(x), in(key), p);
  return y;
}

}  // namespace mielina::ops
