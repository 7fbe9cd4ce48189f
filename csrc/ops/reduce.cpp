#include "ops/reduce.h"

#include <algorithm>

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {

uint32_t axes_mask(const Array& x, const Dims& axes, const char* name) {
  if (axes.n == 0) return (1u << x.ndim) - 1;
  uint32_t mask = 0;
  for (int64_t a : axes) {
    int d = axis_of(a, x.ndim, name);
    check(!(mask >> d & 1), Kind::Runtime, name, ": dimension ", d, " appears twice in ", text(axes));
    mask |= 1u << d;
  }
  return x.ndim == 0 ? 0 : mask;
}

namespace {

// A list of axes as few axes as possible: sorted by |stride| (largest first) if `sort`, neighbours folded.
struct Axes {
  Dims shape, stride;
  void add(int64_t n, int64_t s) {
    if (n == 1) return;
    if (shape.n && stride[shape.n - 1] == n * s) {
      shape[shape.n - 1] *= n;
      stride[shape.n - 1] = s;
    } else {
      shape.push(n);
      stride.push(s);
    }
  }
};

}  // namespace

Array reduce(const char* name, Reduce op, const Array& x, const Dims& axes, bool keepdim, DType result) {
  uint32_t mask = axes_mask(x, axes, name);
  Dims kept, full;
  for (int d = 0; d < x.ndim; d++) {
    bool fold = mask >> d & 1;
    if (!fold || keepdim) full.push(fold ? 1 : x.shape[d]);
    if (!fold) kept.push(x.shape[d]);
  }
  Array y = empty(full, result);

  // The kernel's views: x as (outer..., reduced...), y as (outer...). Outer axes fold when both x and y allow it.
  std::pair<int64_t, int64_t> folded[kMaxDims];
  int n = 0;
  Dims oshape, ostride, ystride;
  int64_t rest = y.numel();
  for (int d = 0; d < x.ndim; d++) {
    if (mask >> d & 1) {
      folded[n++] = {x.stride[d] < 0 ? -x.stride[d] : x.stride[d], d};
      continue;
    }
    if (x.shape[d] == 1) continue;
    rest /= x.shape[d] ? x.shape[d] : 1;
    if (oshape.n && ostride[oshape.n - 1] == x.shape[d] * x.stride[d]) {
      oshape[oshape.n - 1] *= x.shape[d];
      ostride[oshape.n - 1] = x.stride[d];
      ystride[oshape.n - 1] = rest;
    } else {
      oshape.push(x.shape[d]);
      ostride.push(x.stride[d]);
      ystride.push(rest);
    }
  }
  std::sort(folded, folded + n, std::greater<>());
  Axes inner;
  for (int i = 0; i < n; i++) inner.add(x.shape[folded[i].second], x.stride[folded[i].second]);
  if (inner.shape.n == 0) inner.shape.push(1), inner.stride.push(1);

  Dims shape = oshape, stride = ostride;
  for (int i = 0; i < inner.shape.n; i++) shape.push(inner.shape[i]), stride.push(inner.stride[i]);
  Array xv = as_strided(x, shape, stride, x.offset);
  Array yv = as_strided(y, oshape, ystride, 0);
  Cost cost;
  Ctx ctx = make_ctx(x.device());
  if (auto query = kernels(x.device()).reduce_workspace) cost.workspace = query(ctx, yv.view(), xv.view(), op, inner.shape.n);
  launch<&Kernels::reduce>(name, cost, out(yv), in(xv), op, int32_t(inner.shape.n));
  return y;
}

Array sum(const Array& x, const Dims& axes, bool keepdim, std::optional<DType> dtype) {
  DType result = dtype ? *dtype : is_floating(x.dtype) ? x.dtype : DType::i64;
  if (is_floating(result) && result != x.dtype && (!is_floating(x.dtype) || result == DType::f64))
    return reduce("sum", Reduce::sum, convert(x, result), axes, keepdim, result);
  if (!is_floating(result) && is_floating(x.dtype)) return reduce("sum", Reduce::sum, convert(x, result), axes, keepdim, result);
  return reduce("sum", Reduce::sum, x, axes, keepdim, result);
}

Array sum_to(const Array& x, const Dims& shape) {
  if (x.dims() == shape) return x;
  Dims axes;
  int lead = x.ndim - shape.n;
  check(lead >= 0, Kind::Runtime, "sum_to: cannot sum shape ", text(x.dims()), " to ", text(shape));
  for (int d = 0; d < x.ndim; d++) {
    bool fold = d < lead || (shape[d - lead] == 1 && x.shape[d] != 1);
    check(fold || shape[d - lead] == x.shape[d], Kind::Runtime, "sum_to: cannot sum shape ", text(x.dims()), " to ", text(shape));
    if (fold) axes.push(d);
  }
  if (axes.n == 0) return reshape(x, shape);
  return reshape(reduce("sum", Reduce::sum, x, axes, false, x.dtype), shape);
}

}  // namespace mielina::ops
