#include "ops/reduce.h"

#include <cmath>

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {

uint32_t axes_mask(const Array& x, const Dims& axes, const char* name) {
  if (axes.n == 0) return (1u << x.ndim) - 1;
  uint32_t mask = 0;
  for (int64_t a : axes) {
    int d = axis_of(a, x.ndim, name);
    check(!(mask >> d & 1), Kind::Runtime, name, ": dimension ", d, " appears multiple times in ", text(axes));
    mask |= 1u << d;
  }
  return x.ndim == 0 ? 0 : mask;
}

namespace {

// Axes with up to two strides, neighbours merged where both allow it.
struct Axes {
  Dims shape, stride, other;
  void add(int64_t n, int64_t s, int64_t o) {
    if (n == 1) return;
    int last = shape.n - 1;
    if (last >= 0 && stride[last] == n * s && other[last] == n * o) {
      shape[last] *= n;
      stride[last] = s;
      other[last] = o;
    } else {
      shape.push(n);
      stride.push(s);
      other.push(o);
    }
  }
};

// The kernel's views of a reduction: x as (outer..., reduced...), the results as (outer...). Reduced axes are sorted by
// |stride|, largest first: the order of a sum is the order of memory.
struct Folding {
  Dims result;
  Axes outer, inner;
  Array x;
  Folding(const Array& from, uint32_t mask, bool keepdim) {
    int folded[kMaxDims], n = 0;
    int64_t rest = 1;
    for (int d = 0; d < from.ndim; d++) {
      bool fold = mask >> d & 1;
      if (!fold || keepdim) result.push(fold ? 1 : from.shape[d]);
      if (!fold) {
        rest *= from.shape[d];
        continue;
      }
      int at = n++;
      for (; at > 0 && std::abs(from.stride[folded[at - 1]]) < std::abs(from.stride[d]); at--)
        folded[at] = folded[at - 1];
      folded[at] = d;
    }
    for (int d = 0; d < from.ndim; d++) {
      if (mask >> d & 1) continue;
      rest /= from.shape[d] ? from.shape[d] : 1;
      outer.add(from.shape[d], from.stride[d], rest);
    }
    for (int i = 0; i < n; i++) inner.add(from.shape[folded[i]], from.stride[folded[i]], 0);
    if (inner.shape.n == 0) inner.shape.push(1), inner.stride.push(1);
    Dims shape = outer.shape, stride = outer.stride;
    for (int i = 0; i < inner.shape.n; i++) shape.push(inner.shape[i]), stride.push(inner.stride[i]);
    x = as_strided(from, shape, stride, from.offset);
  }
  Array of(const Array& y) const { return as_strided(y, outer.shape, outer.other, 0); }
  Cost cost() const {
    Cost c;
    if (auto query = kernels(x.device()).reduce_workspace)
      c.workspace = query(make_ctx(x.device()), x.view(), inner.shape.n);
    return c;
  }
};

Array run(const char* name, Reduce op, const Array& x, uint32_t mask, bool keepdim, DType result, double param) {
  Folding f(x, mask, keepdim);
  Array y = empty(f.result, result);
  launch<&Kernels::reduce>(name, f.cost(), out(f.of(y)), in(f.x), op, int32_t(f.inner.shape.n), param);
  return y;
}

std::pair<Array, Array> run_pair(const char* name, Reduce op, const Array& x, uint32_t mask, bool keepdim, DType first,
                                 DType second, double param) {
  Folding f(x, mask, keepdim);
  Array y = empty(f.result, first), z = empty(f.result, second);
  launch<&Kernels::reduce_pair>(name, f.cost(), out(f.of(y)), out(f.of(z)), in(f.x), op, int32_t(f.inner.shape.n),
                                param);
  return {y, z};
}

void check_floating(const Array& x, const char* name) {
  check(is_floating(x.dtype), Kind::Runtime, name, ": expected a floating dtype, got ", name_of(x.dtype));
}

// Extremes of nothing do not exist.
void check_some(const Array& x, uint32_t mask, bool all, const char* name) {
  if (all && x.ndim > 0)
    check(x.numel() > 0, Kind::Runtime, name, ": the tensor of shape ", text(x.dims()),
          " is empty and the operation has no identity; specify dim");
  for (int d = 0; d < x.ndim; d++)
    check(!(mask >> d & 1) || x.shape[d] > 0, Kind::Index, name, ": dimension ", d, " of shape ", text(x.dims()),
          " is reduced and must not be empty");
}

}  // namespace

Array reduce(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim, DType result, double param) {
  return run(name, op, x, axes_mask(x, axes, name), keepdim, result, param);
}

Array accumulate(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim, MaybeDType dtype) {
  DType result = dtype ? *dtype : is_floating(x.dtype) || op == Reduce::mean ? x.dtype : DType::i64;
  if (op == Reduce::mean)
    check(is_floating(result), Kind::Runtime, name, ": expected a floating dtype, got ", name_of(result),
          "; pass dtype=");
  // The kernel's accumulator follows x's dtype, so x is converted where the result asks for another one.
  // Halves add up in f32, so integers become that: f16 itself holds only those up to 2048.
  bool widen = is_floating(result) != is_floating(x.dtype) || (result == DType::f64 && x.dtype != DType::f64);
  if (op == Reduce::nansum && !is_floating(result)) op = Reduce::sum;
  return reduce(name, op, widen ? convert(x, is_half(result) ? DType::f32 : result) : x, axes, keepdim, result);
}

Array sum_to(const Array& x, const Dims& shape) {
  if (x.dims() == shape) return x;
  Dims axes;
  int lead = x.ndim - shape.n;
  check(lead >= 0, Kind::Runtime, "sum_to: cannot sum shape ", text(x.dims()), " to ", text(shape));
  for (int d = 0; d < x.ndim; d++) {
    bool fold = d < lead || (shape[d - lead] == 1 && x.shape[d] != 1);
    check(fold || shape[d - lead] == x.shape[d], Kind::Runtime, "sum_to: cannot sum shape ", text(x.dims()), " to ",
          text(shape));
    if (fold) axes.push(d);
  }
  if (axes.n == 0) return reshape(x, shape);
  return reshape(reduce("sum", Reduce::sum, x, axes, false, x.dtype), shape);
}

Array logic(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim) {
  bool count = op == Reduce::nonzero || op == Reduce::valid;
  if (op == Reduce::valid) check_floating(x, name);
  return reduce(name, op, x, axes, keepdim, count ? DType::i64 : x.dtype == DType::u8 ? DType::u8 : DType::b8);
}

Array extreme(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim) {
  uint32_t mask = axes_mask(x, axes, name);
  check_some(x, mask, axes.n == 0, name);
  return run(name, op, x, mask, keepdim, x.dtype, 0);
}

std::pair<Array, Array> extreme_at(const char* name, Reduce op, const Array& x, int64_t axis, bool keepdim) {
  uint32_t mask = axes_mask(x, Dims{axis}, name);
  check_some(x, mask, false, name);
  return run_pair(name, op, x, mask, keepdim, x.dtype, DType::i64, 0);
}

std::pair<Array, Array> aminmax(const Array& x, const Dims& axes, bool keepdim) {
  uint32_t mask = axes_mask(x, axes, "aminmax");
  check_some(x, mask, axes.n == 0, "aminmax");
  return run_pair("aminmax", Reduce::minmax, x, mask, keepdim, x.dtype, x.dtype, 0);
}

Array arg(const char* name, Reduce op, const Array& x, std::optional<int64_t> axis, bool keepdim) {
  if (axis) {
    uint32_t mask = axes_mask(x, Dims{*axis}, name);
    check_some(x, mask, false, name);
    return run(name, op, x, mask, keepdim, DType::i64, 0);
  }
  check(x.numel() > 0, Kind::Index, name, ": the tensor of shape ", text(x.dims()), " is empty; specify dim");
  Array y = run(name, op, reshape(x, Dims{-1}), 1, false, DType::i64, 0);  // the index counts in C order
  if (!keepdim) return y;
  Dims ones;
  for (int d = 0; d < x.ndim; d++) ones.push(1);
  return reshape(y, ones);
}

Array moment(const char* name, Reduce op, const Array& x, const Dims& axes, double correction, bool keepdim) {
  check_floating(x, name);
  return reduce(name, op, x, axes, keepdim, x.dtype, correction);
}

std::pair<Array, Array> moments(const char* name, Reduce op, const Array& x, const Dims& axes, double correction,
                                bool keepdim) {
  check_floating(x, name);
  return run_pair(name, op, x, axes_mask(x, axes, name), keepdim, x.dtype, x.dtype, correction);
}

Array norm(const Array& x, double p, const Dims& axes, bool keepdim, MaybeDType dtype) {
  DType result = dtype ? *dtype : x.dtype;
  check(is_floating(result) && is_floating(x.dtype), Kind::Runtime, "norm: expected a floating dtype, got ",
        name_of(is_floating(x.dtype) ? result : x.dtype));
  uint32_t mask = axes_mask(x, axes, "norm");
  check(!dtype || promote(x.dtype, *dtype) == *dtype, Kind::Runtime, "norm: dtype=", name_of(result), " would narrow ",
        name_of(x.dtype));
  if (p < 0 || std::isinf(p))
    for (int d = 0; d < x.ndim; d++)
      check(!(mask >> d & 1) || x.shape[d] > 0, Kind::Runtime, "norm: dimension ", d, " of shape ", text(x.dims()),
            " is empty, and the ", p, "-norm has no identity");
  Reduce op = p == 2          ? Reduce::norm2
              : p == 1        ? Reduce::norm1
              : p == 0        ? Reduce::nonzero
              : std::isinf(p) ? (p > 0 ? Reduce::norm_inf : Reduce::norm_minus_inf)
                              : Reduce::norm_p;
  const Array& from = result == DType::f64 && x.dtype != DType::f64 ? convert(x, result) : x;
  return run("norm", op, from, mask, keepdim, result, p);
}

Array logsumexp(const Array& x, const Dims& axes, bool keepdim) {
  Array from = is_floating(x.dtype) ? x : convert(x, default_float());
  return reduce("logsumexp", Reduce::logsumexp, from, axes, keepdim, from.dtype);
}

}  // namespace mielina::ops
