#include "ops/softmax.h"

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {

static void check_floating(const Array& x, const char* name) {
  check(is_floating(x.dtype), Kind::NotImplemented, name, ": expected a floating dtype, got ", name_of(x.dtype));
}

// The axis moved last; a scalar becomes a row of one.
static Array rows(const Array& x, int axis) {
  if (x.ndim == 0) return unsqueeze(x, 0);
  Dims order;
  for (int d = 0; d < x.ndim; d++)
    if (d != axis) order.push(d);
  order.push(axis);
  return permute(x, order);
}

Array softmax(const Array& x, int64_t axis, bool log) {
  const char* name = log ? "log_softmax" : "softmax";
  check_floating(x, name);
  int d = axis_of(axis, x.ndim, name);
  Array y = empty_like(x);
  launch<&Kernels::softmax>(name, out(rows(y, d)), in(rows(x, d)), log);
  return y;
}

Array softmax_backward(const Array& g, const Array& y, int64_t axis, bool log) {
  const char* name = log ? "log_softmax_backward" : "softmax_backward";
  check_floating(y, name);
  check(g.dtype == y.dtype && g.dims() == y.dims(), Kind::Value, name, ": the gradient must have the output's shape and dtype");
  int d = axis_of(axis, y.ndim, name);
  Array dx = empty_like(y);
  launch<&Kernels::softmax_backward>(name, out(rows(dx, d)), in(rows(g, d)), in(rows(y, d)), log);
  return dx;
}

static void check_targets(const Array& x, const Array& target, const MaybeArray& weight, int64_t ignore, const char* name) {
  check_floating(x, name);
  check(x.ndim == 2 && target.ndim == 1 && target.shape[0] == x.shape[0], Kind::Value, name,
        ": expected logits (N, C) and targets (N), got ", text(x.dims()), " and ", text(target.dims()));
  check(target.dtype == DType::i64, Kind::Runtime, name, ": class indices must be int64, got ", name_of(target.dtype));
  check(!weight || (weight->ndim == 1 && weight->shape[0] == x.shape[1] && weight->dtype == x.dtype), Kind::Runtime, name,
        ": weight must hold one number of the logits' dtype for each of the ", x.shape[1], " classes");
  // Here an index out of range is an error; a replayed step has no such check, so the kernel gives NaN for it.
  const char* p = target.data();
  int64_t C = x.shape[1];
  for (int64_t i = 0; i < target.shape[0]; i++) {
    int64_t t = *reinterpret_cast<const int64_t*>(p + i * target.stride[0] * 8);
    check(t == ignore || (t >= 0 && t < C), Kind::Index, name, ": target ", t, " is out of bounds for ", C, " classes");
  }
}

std::pair<Array, Array> cross_entropy(const Array& x, const Array& target, const MaybeArray& weight, int64_t ignore) {
  check_targets(x, target, weight, ignore, "cross_entropy");
  Array loss = empty(Dims{x.shape[0]}, x.dtype);
  Array lse = empty(Dims{x.shape[0]}, x.dtype == DType::f64 ? DType::f64 : DType::f32);
  launch<&Kernels::cross_entropy>("cross_entropy", out(loss), out(lse), in(x), in(target), in(weight), ignore);
  return {loss, lse};
}

Array cross_entropy_backward(const Array& g, const Array& x, const Array& lse, const Array& target, const MaybeArray& weight,
                             int64_t ignore) {
  check_targets(x, target, weight, ignore, "cross_entropy_backward");
  check(lse.ndim == 1 && lse.shape[0] == x.shape[0] && lse.dtype == (x.dtype == DType::f64 ? DType::f64 : DType::f32),
        Kind::Value, "cross_entropy_backward: lse does not belong to these logits");
  Array dx = empty_like(x);
  launch<&Kernels::cross_entropy_backward>("cross_entropy_backward", out(dx), in(expand(g, Dims{x.shape[0]}, "cross_entropy")),
                                           in(x), in(lse), in(target), in(weight), ignore);
  return dx;
}

}  // namespace mielina::ops
