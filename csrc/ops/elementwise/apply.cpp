// Functions of one, two and three operands.
#include <optional>

#include "ops/elementwise.h"

namespace mielina::ops {

namespace {

int category(DType d) { return is_floating(d) ? 2 : d == DType::b8 ? 0 : 1; }

// The dtype of an op's result, from its operands' common one.
DType result_of(const Traits& t, DType d) {
  static constexpr const char* expected[] = {
      "any dtype", "integers or floating numbers", "any dtype", "a floating dtype", "integers or bool", "integers"};
  static constexpr int least[] = {0, 1, 0, 2, 0, 1}, most[] = {2, 2, 2, 2, 1, 1};
  int c = category(d), i = int(t.domain);
  check(c >= least[i] && c <= most[i], Kind::NotImplemented, t.name, ": not implemented for ", name_of(d),
        "; expected ", expected[i]);
  return t.domain == Domain::promote ? to_floating(d) : d;
}

// May a result of this dtype be written to x?
void check_castable(const char* name, DType result, const Array& x) {
  check(category(result) <= category(x.dtype), Kind::Runtime, name, ": the result's dtype ", name_of(result),
        " cannot be cast to ", name_of(x.dtype), " of the tensor it is written to");
}

// The broadcast shape of operands, any of which may be a number.
template <int N>
Dims shape_of(const Operand (&o)[N], const char* name) {
  std::optional<Dims> shape;
  for (const Operand& x : o) {
    if (!x.array) continue;
    Dims d = x.array->dims();
    shape = !shape || *shape == d ? d : broadcast_shapes(*shape, d, name);
  }
  return shape.value_or(Dims{});
}

// A new array of the shape, in the stride order of the first operand that has it.
template <int N>
Array output_for(const Operand (&o)[N], const Dims& shape, DType dtype) {
  for (const Operand& x : o)
    if (x.array && x.array->dims() == shape) return empty_like(*x.array, dtype);
  return empty(shape, dtype);
}

// A number beside integers takes their width, as PyTorch's does: -1 beside uint8 is 255.
Operand fitted(Operand o, DType d) {
  if (o.array || is_floating(d) || d == DType::i64 || d == DType::b8) return o;
  int64_t& i = o.number.i;
  i = d == DType::u8 ? uint8_t(i) : d == DType::i8 ? int8_t(i) : d == DType::i16 ? int16_t(i) : int32_t(i);
  o.number.d = double(i);
  return o;
}

// Integer division: the kernels define x / 0, PyTorch raises. What a captured call divides by later is not known now.
void check_divisor(const char* name, const Operand& b) {
  bool zero;
  if (b.array) {
    if (recording()) return;
    zero = *any_zero(*b.array).data() != 0;
  } else {
    zero = b.number.i == 0;
  }
  check(!zero, Kind::Runtime, "ZeroDivisionError: ", name, ": integer division by zero");
}

bool divides(Binary op) {
  return op == Binary::floor_divide || op == Binary::trunc_divide || op == Binary::remainder || op == Binary::fmod;
}

// The dtype of f(a, b), after the checks that depend on dtypes.
DType binary_dtype(Binary op, const Operand (&o)[2]) {
  const Traits& t = traits(op);
  DType dtype = result_of(t, result_type(o, 2));
  if (op == Binary::sub)
    for (const Operand& x : o)
      check((x.array ? x.array->dtype : x.kind) != DType::b8, Kind::Runtime,
            "sub: bools have no subtraction; use logical_xor, or convert to a number");
  if (!is_floating(dtype)) {
    if (divides(op)) check_divisor(t.name, o[1]);
    check(!(op == Binary::pow && !o[1].array && o[1].number.i < 0), Kind::Runtime,
          "pow: integers to negative integer powers are not allowed; convert to a floating dtype");
  }
  return dtype;
}

// x^n for the few n that need no logarithm.
std::optional<Unary> power(Binary op, const Operand (&o)[2], DType dtype) {
  if (op != Binary::pow || !o[0].array || o[1].array) return std::nullopt;
  double n = o[1].number.d;
  if (n == 2) return Unary::square;
  if (!is_floating(dtype)) return std::nullopt;
  if (n == 0.5) return Unary::sqrt;
  if (n == -1) return Unary::reciprocal;
  if (n == -0.5) return Unary::rsqrt;
  return std::nullopt;
}

// An operand that shares memory with what is written, but not element by element, is copied first.
void separate(const Array& to, Operand& o, Array& copy) {
  if (!o.array || !may_overlap(to, *o.array)) return;
  if (same_layout(to, *o.array) && to.offset == o.array->offset && to.dtype == o.array->dtype) return;
  copy = clone(*o.array);
  o.array = &copy;
}

}  // namespace

Array unary(Unary op, const Array& x, double p, double q) {
  const Traits& t = traits(op);
  DType dtype = result_of(t, x.dtype);
  if (op == Unary::square && dtype == DType::b8) dtype = DType::i64;
  if (op >= Unary::ceil && op <= Unary::trunc && !is_floating(dtype)) return clone(x);
  Array y = empty_like(x, dtype);
  launch<&Kernels::unary>(t.name, out(y), in(x), op, compute_type(dtype), p, q);
  return y;
}

void unary_into(Unary op, const Array& x, double p, double q) {
  const Traits& t = traits(op);
  check_writable(x, t.name);
  DType dtype = result_of(t, x.dtype);
  check_castable(t.name, dtype, x);
  if (op >= Unary::ceil && op <= Unary::trunc && !is_floating(dtype)) return;
  launch<&Kernels::unary>(t.name, out(x), in(x), op, compute_type(dtype), p, q);
}

Array unary_backward(Unary op, const Array& g, const Array& x, const Array& y, double p, double q) {
  const Traits& t = traits(op);
  check(t.gradient, Kind::NotImplemented, t.name, ": there is no gradient kernel");
  check(
      is_floating(x.dtype) && g.dtype == x.dtype && y.dtype == x.dtype && g.dims() == x.dims() && y.dims() == x.dims(),
      Kind::Value, t.name, ": the gradient must have x's shape and floating dtype, got ", text(g.dims()), " ",
      name_of(g.dtype), " for ", text(x.dims()), " ", name_of(x.dtype));
  Array dx = empty_like(x);
  launch<&Kernels::unary_backward>(t.name, out(dx), in(g), in(x), in(y), op, p, q);
  return dx;
}

Array binary(Binary op, const Operand& a, const Operand& b) {
  const Operand o[2] = {a, b};
  DType dtype = binary_dtype(op, o);
  if (auto u = power(op, o, dtype); u && a.array->dtype == dtype) return unary(*u, *a.array);
  const char* name = traits(op).name;
  DType compute = compute_type(dtype);
  Dims shape = shape_of(o, name);
  Array y = output_for(o, shape, dtype);
  launch<&Kernels::binary>(name, out(y), in(fitted(a, dtype), compute, shape), in(fitted(b, dtype), compute, shape), op,
                           compute);
  return y;
}

void binary_into(Binary op, const Array& a, const Operand& b) {
  const char* name = traits(op).name;
  check_writable(a, name);
  const Operand o[2] = {Operand{&a, {}, {}}, b};
  DType dtype = binary_dtype(op, o);
  check_castable(name, dtype, a);
  Dims shape = a.dims();
  Dims joined = shape_of(o, name);
  check(joined == shape, Kind::Runtime, name, ": the output of shape ", text(shape),
        " does not hold the broadcast shape ", text(joined));
  Array copy;
  Operand right = fitted(b, dtype);
  separate(a, right, copy);
  DType compute = compute_type(dtype);
  launch<&Kernels::binary>(name, out(a), in(o[0], compute, shape), in(right, compute, shape), op, compute);
}

Array ternary(Ternary op, const Operand& a, const Operand& b, const Operand& c, Number p) {
  const Traits& t = traits(op);
  const Operand o[3] = {a, b, c};
  DType dtype = result_of(t, result_type(o, 3));
  DType compute = compute_type(dtype);
  check(compute != DType::i64 || p.integer || op != Ternary::addcmul, Kind::Runtime, t.name,
        ": value must be an integer for integers");
  Dims shape = shape_of(o, t.name);
  Array y = output_for(o, shape, dtype);
  launch<&Kernels::ternary>(t.name, out(y), in(fitted(a, dtype), compute, shape), in(fitted(b, dtype), compute, shape),
                            in(fitted(c, dtype), compute, shape), op, compute, p);
  return y;
}

Array compare(Compare op, const Operand& a, const Operand& b) {
  const char* name = name_of(op);
  Operand o[2] = {a, b};
  DType dtype = result_type(o, 2), compute = compute_type(dtype);
  for (Operand& x : o) x = fitted(x, dtype);
  // Beside halves a number is first rounded as they were: a half made from 0.1 equals 0.1.
  Array rounded[2];
  for (int i = 0; i < 2; i++)
    if (!o[i].array && is_half(dtype)) {
      rounded[i] = to_array(o[i], dtype);
      o[i].array = &rounded[i];
    }
  Dims shape = shape_of(o, name);
  Array y = output_for(o, shape, DType::b8);
  launch<&Kernels::compare>(name, out(y), in(o[0], compute, shape), in(o[1], compute, shape), op, compute);
  return y;
}

Array any_zero(const Array& x) {
  Array y = empty(Dims{}, DType::b8);
  launch<&Kernels::any_zero>("any_zero", out(y), in(x));
  return y;
}

Array where(const Array& condition, const Operand& a, const Operand& b) {
  check(condition.dtype == DType::b8, Kind::Runtime, "where: expected a bool condition, got ",
        name_of(condition.dtype));
  const Operand branches[2] = {a, b}, o[3] = {Operand{&condition, {}, {}}, a, b};
  DType dtype = result_type(branches, 2), compute = compute_type(dtype);
  Dims shape = shape_of(o, "where");
  Array y = output_for({a, b, o[0]}, shape, dtype);
  launch<&Kernels::where>("where", out(y), in(o[0], DType::b8, shape), in(a, compute, shape), in(b, compute, shape),
                          compute);
  return y;
}

}  // namespace mielina::ops
