#include "ops/softmax.h"

#include <algorithm>

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
  check(g.dtype == y.dtype && g.dims() == y.dims(), Kind::Value, name,
        ": the gradient must have the output's shape and dtype");
  int d = axis_of(axis, y.ndim, name);
  Array dx = empty_like(y);
  // Columns are walked side by side where all lie alike, one by one else: of a sum's gradient, 512 x 512, 1900 us, so
  // 230.
  const Array gy = y.ndim > 0 && y.stride[d] != 1 ? in_layout(g, dx) : g;
  launch<&Kernels::softmax_backward>(name, out(rows(dx, d)), in(rows(gy, d)), in(rows(y, d)), log);
  return dx;
}

static DType stat_type(const Array& x) { return x.dtype == DType::f64 ? DType::f64 : DType::f32; }

// target: class indices of x: (outer..., C). Here an index out of range is an error; a replayed step has no such check,
// so the kernels give NaN for it.
static void check_targets(const Array& x, const Array& target, const MaybeArray& weight, int64_t ignore,
                          const char* name) {
  check_floating(x, name);
  check(x.ndim >= 1 && target.dims() == Dims(x.shape, x.ndim - 1), Kind::Value, name,
        ": expected one target a row of classes, got rows ", text(x.dims()), " and targets ", text(target.dims()));
  check(target.dtype == DType::i64, Kind::Runtime, name, ": class indices must be int64, got ", name_of(target.dtype));
  int64_t C = x.shape[x.ndim - 1];
  check(!weight || (weight->ndim == 1 && weight->shape[0] == C && weight->dtype == x.dtype), Kind::Runtime, name,
        ": weight must hold one number of the logits' dtype for each of the ", C, " classes");
  if (target.device()) return;  // a card is not waited for: its kernels give NaN
  Array flat = contiguous(target);
  const int64_t *p = reinterpret_cast<const int64_t*>(flat.data()), n = flat.numel();
  auto good = [&](int64_t t) { return (t == ignore) | (uint64_t(t) < uint64_t(C)); };
  bool all = true;
  for (int64_t i = 0; i < n; i++) all &= good(p[i]);
  if (all) return;
  const int64_t bad = *std::find_if_not(p, p + n, good);
  check(false, Kind::Index, name, ": target ", bad, " is out of bounds for ", C, " classes");
}

std::tuple<Array, Array, Array> cross_entropy(const Array& x, const Array& target, const MaybeArray& weight,
                                              int64_t ignore, const std::string& reduction, double smoothing) {
  check(x.ndim == 2, Kind::Value, "cross_entropy: expected logits (N, C), got ", text(x.dims()));
  check_targets(x, target, weight, ignore, "cross_entropy");
  CrossEntropy args{ignore, smoothing, reduction != "none", reduction == "mean"};
  Array loss = empty(args.reduce ? Dims{} : Dims{x.shape[0]}, x.dtype);
  Array lse = empty(Dims{x.shape[0]}, stat_type(x)), divisor = empty(Dims{}, stat_type(x));
  if (!args.mean) fill(divisor, Number{1, 1, true});
  Cost cost{double(x.numel()) * 10, 0};
  if (auto query = kernels(x.device()).cross_entropy_workspace) cost.workspace = query(x.view(), args);
  launch<&Kernels::cross_entropy>("cross_entropy", cost, out(loss), out(lse), out(divisor), in(x), in(target),
                                  in(weight), args);
  return {loss, lse, divisor};
}

Array cross_entropy_backward(const Array& g, const Array& x, const Array& lse, const Array& divisor,
                             const Array& target, const MaybeArray& weight, int64_t ignore, double smoothing) {
  const char* name = "cross_entropy_backward";
  check(x.ndim == 2, Kind::Value, name, ": expected logits (N, C), got ", text(x.dims()));
  check_targets(x, target, weight, ignore, name);
  check(lse.dims() == Dims{x.shape[0]} && divisor.ndim == 0 && lse.dtype == stat_type(x) &&
            divisor.dtype == lse.dtype && is_contiguous(lse),
        Kind::Value, name, ": lse and divisor do not belong to these logits");
  check(is_floating(g.dtype), Kind::Value, name, ": the gradient must be floating");
  Array dx = empty_like(x);
  launch<&Kernels::cross_entropy_backward>(name, Cost{double(x.numel()) * 10, 0}, out(dx),
                                           in(expand(g, Dims{x.shape[0]}, name)), in(x), in(lse), in(divisor),
                                           in(target), in(weight), CrossEntropy{ignore, smoothing, false, false});
  return dx;
}

Array pick(const Array& x, const Array& target, const MaybeArray& weight, int64_t axis, int64_t ignore) {
  Array r = rows(x, axis_of(axis, x.ndim, "nll_loss"));
  check_targets(r, target, weight, ignore, "nll_loss");
  Array y = empty(target.dims(), x.dtype);
  launch<&Kernels::pick>("nll_loss", out(y), in(r), in(target), in(weight), ignore);
  return y;
}

Array unpick(const Array& g, const Array& target, const MaybeArray& weight, const Dims& shape, int64_t axis,
             int64_t ignore) {
  Array dx = empty(shape, g.dtype);
  Array r = rows(dx, axis_of(axis, dx.ndim, "nll_loss_backward"));
  check_targets(r, target, weight, ignore, "nll_loss_backward");
  check(g.dims() == target.dims(), Kind::Value, "nll_loss_backward: the gradient must have the targets' shape");
  fill(dx, Number{0, 0, true});
  launch<&Kernels::unpick>("nll_loss_backward", out(r), in(g), in(target), in(weight), ignore);
  return dx;
}

}  // namespace mielina::ops
