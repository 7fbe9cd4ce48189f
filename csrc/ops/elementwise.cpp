#include "ops/elementwise.h"

namespace mielina::ops {

void check_writable(const Array& x, const char* name) {
  check(!x.storage->readonly, Kind::Value, name, ": the tensor shares read-only memory; work on a clone()");
  check(!overlaps_itself(x), Kind::Runtime, name,
        ": more than one element of the tensor refers to a single memory location (an expanded tensor); clone() it first");
}

Array unary(const char* name, Unary op, const Array& x, double p, double q) {
  Array y = empty_like(x);
  launch<&Kernels::unary>(name, out(y), in(x), op, compute_type(x.dtype), p, q);
  return y;
}

Array unary_backward(const char* name, Unary op, const Array& g, const Array& x, const Array& y, double p, double q) {
  check(is_floating(x.dtype) && g.dtype == x.dtype && y.dtype == x.dtype && g.dims() == x.dims() && y.dims() == x.dims(),
        Kind::Value, name, ": the gradient must have x's shape and floating dtype, got ", text(g.dims()), " ", name_of(g.dtype),
        " for ", text(x.dims()), " ", name_of(x.dtype));
  Array dx = empty_like(x);
  launch<&Kernels::unary_backward>(name, out(dx), in(g), in(x), in(y), op, p, q);
  return dx;
}

static bool floating_result(Binary op) { return op == Binary::div; }

// The broadcast shape of two operands; either may be a number.
static Dims shape_of(const Operand& a, const Operand& b, const char* name) {
  if (!a.array) return b.array ? b.array->dims() : Dims{};
  if (!b.array) return a.array->dims();
  Dims p = a.array->dims(), q = b.array->dims();
  return p == q ? p : broadcast_shapes(p, q, name);
}

// A new array of the shape, in the stride order of the first operand that has it.
static Array output_for(const Operand& a, const Operand& b, const Dims& shape, DType dtype) {
  if (a.array && a.array->dims() == shape) return empty_like(*a.array, dtype);
  if (b.array && b.array->dims() == shape) return empty_like(*b.array, dtype);
  return empty(shape, dtype);
}

Array binary(const char* name, Binary op, const Operand& a, const Operand& b) {
  Operand both[2] = {a, b};
  DType dtype = result_type(both, 2);
  if (floating_result(op)) dtype = to_floating(dtype);
  check(!(op == Binary::sub && dtype == DType::b8), Kind::Type,
        "sub: bool tensors have no subtraction; use logical_xor, or convert one to a number");
  DType compute = compute_type(dtype);
  Dims shape = shape_of(a, b, name);
  Array y = output_for(a, b, shape, dtype);
  launch<&Kernels::binary>(name, out(y), in(a, compute, shape), in(b, compute, shape), op, compute);
  return y;
}

void binary_into(const char* name, Binary op, const Array& a, const Operand& b) {
  check_writable(a, name);
  Operand both[2] = {Operand{&a, {}, {}}, b};
  DType dtype = result_type(both, 2);
  if (floating_result(op)) dtype = to_floating(dtype);
  auto category = [](DType d) { return is_floating(d) ? 2 : d == DType::b8 ? 0 : 1; };
  check(category(dtype) <= category(a.dtype), Kind::Runtime, name, ": the result's dtype ", name_of(dtype),
        " cannot be cast to ", name_of(a.dtype), " of the tensor it is written to");
  Dims shape = a.dims();
  Array other;
  Operand right = b;
  if (b.array) {
    Dims joined = shape_of(both[0], b, name);
    check(joined == shape, Kind::Runtime, name, ": the output of shape ", text(shape), " does not hold the broadcast shape ",
          text(joined));
    if (may_overlap(a, *b.array) && !(same_layout(a, *b.array) && a.offset == b.array->offset && a.dtype == b.array->dtype)) {
      other = clone(*b.array);
      right.array = &other;
    }
  }
  DType compute = compute_type(dtype);
  launch<&Kernels::binary>(name, out(a), in(both[0], compute, shape), in(right, compute, shape), op, compute);
}

Array convert(const Array& x, DType dtype) {
  Array y = empty_like(x, dtype);
  launch<&Kernels::copy>("to", out(y), in(x));
  return y;
}

Array contiguous(const Array& x) {
  if (is_contiguous(x)) return x;
  Array y = empty(x.dims(), x.dtype);
  launch<&Kernels::copy>("contiguous", out(y), in(x));
  return y;
}

Array clone(const Array& x) {
  Array y = empty_like(x);
  launch<&Kernels::copy>("clone", out(y), in(x));
  return y;
}

void copy_into(const Array& to, const Array& from) {
  check_writable(to, "copy_");
  Array source = expand(from, to.dims(), "copy_");
  if (may_overlap(to, source)) {
    if (same_layout(to, source) && to.offset == source.offset && to.dtype == source.dtype) return;
    source = clone(source);
  }
  launch<&Kernels::copy>("copy_", out(to), in(source));
}

void fill(const Array& x, Number value) {
  check_writable(x, "fill_");
  launch<&Kernels::fill>("fill_", out(x), value);
}

}  // namespace mielina::ops
