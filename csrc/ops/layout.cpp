#include "ops/layout.h"

#include "ops/elementwise.h"

namespace mielina::ops {

Dims infer_shape(const Array& x, Dims shape, const char* name) {
  int unknown = -1;
  int64_t known = 1;
  for (int d = 0; d < shape.n; d++) {
    if (shape[d] == -1) {
      check(unknown < 0, Kind::Runtime, name, ": only one dimension can be inferred, got shape ", text(shape));
      unknown = d;
    } else {
      check(shape[d] >= 0, Kind::Runtime, name, ": invalid shape ", text(shape));
      check(!__builtin_mul_overflow(known, shape[d], &known), Kind::Runtime, name, ": invalid shape ", text(shape));
    }
  }
  int64_t n = x.numel();
  if (unknown >= 0) {
    check(known > 0 && n % known == 0, Kind::Runtime, name, ": shape ", text(shape), " is invalid for input of size ", n);
    shape[unknown] = n / known;
  } else {
    check(known == n, Kind::Runtime, name, ": shape ", text(shape), " is invalid for input of size ", n);
  }
  return shape;
}

std::optional<Array> try_view(const Array& x, const Dims& shape) {
  Dims stride;
  stride.n = shape.n;
  if (x.numel() == 0) {
    int64_t s = 1;
    for (int d = shape.n - 1; d >= 0; d--) {
      stride[d] = s;
      s *= shape[d] > 1 ? shape[d] : 1;
    }
    return as_strided(x, shape, stride, x.offset);
  }
  // Walk x's axes from the last, in runs that are contiguous among themselves; each run must hold whole new axes.
  int to = shape.n - 1, from = x.ndim - 1;
  int64_t base = 1;
  while (from >= 0) {
    base = x.stride[from];
    int64_t run = x.shape[from];
    while (from > 0 && (x.shape[from - 1] == 1 || x.stride[from - 1] == run * base)) run *= x.shape[--from];
    if (run == 1 && from > 0) base = 1;
    int64_t filled = 1;
    while (to >= 0 && filled * shape[to] <= run) {
      if (run % (filled * shape[to]) != 0) return std::nullopt;
      stride[to] = filled * base;
      filled *= shape[to--];
      if (filled == run && (to < 0 || shape[to] != 1)) break;
    }
    if (filled != run) return std::nullopt;
    from--;
  }
  for (; to >= 0; to--) {
    if (shape[to] != 1) return std::nullopt;
    stride[to] = base;
  }
  return as_strided(x, shape, stride, x.offset);
}

Array view(const Array& x, const Dims& shape) {
  Dims s = infer_shape(x, shape, "view");
  auto v = try_view(x, s);
  check(v.has_value(), Kind::Runtime, "view: shape ", text(x.dims()), " with strides ", text(x.strides()),
        " cannot be seen as ", text(s), " without a copy; use reshape");
  return *v;
}

Array reshape(const Array& x, const Dims& shape) {
  Dims s = infer_shape(x, shape, "reshape");
  if (auto v = try_view(x, s)) return *v;
  return *try_view(contiguous(x), s);
}

Array permute(const Array& x, const Dims& axes) {
  check(axes.n == x.ndim, Kind::Runtime, "permute: ", axes.n, " axes for a tensor of ", x.ndim, " dimensions");
  Dims shape, stride;
  uint32_t seen = 0;
  for (int64_t a : axes) {
    int d = axis_of(a, x.ndim, "permute");
    check(!(seen >> d & 1), Kind::Runtime, "permute: repeated axis ", d, " in ", text(axes));
    seen |= 1u << d;
    shape.push(x.shape[d]);
    stride.push(x.stride[d]);
  }
  return as_strided(x, shape, stride, x.offset);
}

Array transpose(const Array& x, int64_t a, int64_t b) {
  int i = axis_of(a, x.ndim, "transpose"), j = axis_of(b, x.ndim, "transpose");
  Array y = x;
  if (x.ndim == 0) return y;
  std::swap(y.shape[i], y.shape[j]);
  std::swap(y.stride[i], y.stride[j]);
  return y;
}

Array slice(const Array& x, int64_t axis, int64_t start, int64_t stop, int64_t step) {
  check(x.ndim > 0, Kind::Index, "slice: a 0-dim tensor cannot be sliced");
  int d = axis_of(axis, x.ndim, "slice");
  check(step > 0, Kind::Value, "slice: step must be positive, got ", step);
  int64_t n = x.shape[d];
  auto clip = [n](int64_t i) { return i < 0 ? (i + n < 0 ? 0 : i + n) : i > n ? n : i; };
  start = clip(start);
  stop = clip(stop);
  Array y = x;
  y.shape[d] = stop > start ? (stop - start - 1) / step + 1 : 0;
  if (y.shape[d] > 0) y.offset += start * x.stride[d];
  if (y.shape[d] > 1) y.stride[d] = x.stride[d] * step;
  return y;
}

Array select(const Array& x, int64_t axis, int64_t index) {
  check(x.ndim > 0, Kind::Index, "select: a 0-dim tensor cannot be indexed");
  int d = axis_of(axis, x.ndim, "select");
  int64_t n = x.shape[d];
  check(index >= -n && index < n, Kind::Index, "index ", index, " is out of bounds for dimension ", d, " with size ", n);
  Dims shape, stride;
  for (int i = 0; i < x.ndim; i++)
    if (i != d) {
      shape.push(x.shape[i]);
      stride.push(x.stride[i]);
    }
  return as_strided(x, shape, stride, x.offset + (index < 0 ? index + n : index) * x.stride[d]);
}

Array unsqueeze(const Array& x, int64_t axis) {
  int d = axis_of(axis, x.ndim + 1, "unsqueeze");
  Dims shape, stride;
  for (int i = 0; i <= x.ndim; i++) {
    if (i == d) {
      shape.push(1);
      stride.push(i < x.ndim ? x.shape[i] * x.stride[i] : 1);
    }
    if (i < x.ndim) {
      shape.push(x.shape[i]);
      stride.push(x.stride[i]);
    }
  }
  return as_strided(x, shape, stride, x.offset);
}

Array squeeze(const Array& x, const Dims& axes, bool all) {
  uint32_t drop = 0;
  for (int64_t a : axes) drop |= 1u << axis_of(a, x.ndim, "squeeze");
  Dims shape, stride;
  for (int i = 0; i < x.ndim; i++) {
    if (x.shape[i] == 1 && (all || (drop >> i & 1))) continue;
    shape.push(x.shape[i]);
    stride.push(x.stride[i]);
  }
  return as_strided(x, shape, stride, x.offset);
}

Array expand_to(const Array& x, const Dims& shape) {
  Dims s = shape;
  int lead = s.n - x.ndim;
  for (int d = 0; d < s.n; d++)
    if (s[d] == -1) {
      check(d >= lead, Kind::Runtime, "expand: -1 is not allowed in a leading, new dimension of ", text(shape));
      s[d] = x.shape[d - lead];
    }
  for (int64_t v : s) check(v >= 0, Kind::Runtime, "expand: invalid shape ", text(shape));
  return expand(x, s, "expand");
}

}  // namespace mielina::ops
