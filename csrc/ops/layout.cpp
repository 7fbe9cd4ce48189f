#include "ops/layout.h"

#include <algorithm>
#include <cmath>

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
    check(known > 0 && n % known == 0, Kind::Runtime, name, ": shape ", text(shape), " is invalid for input of size ",
          n);
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
  check(index >= -n && index < n, Kind::Index, "index ", index, " is out of bounds for dimension ", d, " with size ",
        n);
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

Array flip(const Array& x, const Dims& axes) {
  Array y = x;
  uint32_t seen = 0;
  for (int64_t a : axes) {
    int d = axis_of(a, x.ndim, "flip");
    check(!(seen >> d & 1), Kind::Runtime, "flip: dimension ", d, " appears more than once in ", text(axes));
    seen |= 1u << d;
    if (x.ndim == 0 || x.shape[d] == 0) continue;
    y.offset += (x.shape[d] - 1) * x.stride[d];
    y.stride[d] = -x.stride[d];
  }
  return y;
}

Array diagonal(const Array& x, int64_t offset, int64_t a, int64_t b) {
  check(x.ndim >= 2, Kind::Index, "diagonal: expected at least 2 dimensions, got ", x.ndim);
  int i = axis_of(a, x.ndim, "diagonal"), j = axis_of(b, x.ndim, "diagonal");
  check(i != j, Kind::Runtime, "diagonal: dimensions cannot be identical, got ", a, " and ", b);
  int64_t rows = x.shape[i], columns = x.shape[j];
  int64_t n = offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns);
  int64_t start = n <= 0 ? 0 : offset >= 0 ? offset * x.stride[j] : -offset * x.stride[i];
  Dims shape, stride;
  for (int d = 0; d < x.ndim; d++)
    if (d != i && d != j) {
      shape.push(x.shape[d]);
      stride.push(x.stride[d]);
    }
  shape.push(n < 0 ? 0 : n);
  stride.push(x.stride[i] + x.stride[j]);
  return as_strided(x, shape, stride, x.offset + start);
}

Array unfold(const Array& x, int64_t axis, int64_t size, int64_t step) {
  int d = axis_of(axis, x.ndim, "unfold");
  int64_t n = x.ndim ? x.shape[d] : 1, s = x.ndim ? x.stride[d] : 1;
  check(size >= 0 && size <= n, Kind::Runtime, "unfold: maximum size for tensor at dimension ", d, " is ", n,
        " but size is ", size);
  check(step > 0, Kind::Runtime, "unfold: step is ", step, " but must be > 0");
  Dims shape = x.dims(), stride = x.strides();
  if (x.ndim) {
    shape[d] = (n - size) / step + 1;
    stride[d] = s * step;
  }
  shape.push(size);
  stride.push(s);
  return as_strided(x, shape, stride, x.offset);
}

Array bit_view(const Array& x, DType dtype) {
  int64_t from = x.itemsize(), to = kDTypeSize[int(dtype)];
  Array y = x;
  y.dtype = dtype;
  if (from == to) return y;
  // The last dimension holds the same bytes in smaller or larger elements.
  int last = x.ndim - 1;
  check(last >= 0 && x.stride[last] == 1, Kind::Runtime, "view: to see ", name_of(x.dtype), " as ", name_of(dtype),
        ", which has another item size, the last dimension must have stride 1 (shape ", text(x.dims()), ")");
  bool fits = x.shape[last] * from % to == 0 && x.offset * from % to == 0;
  for (int d = 0; d < last; d++) fits &= x.stride[d] * from % to == 0;
  check(fits, Kind::Runtime, "view: the sizes and strides of shape ", text(x.dims()), " of ", name_of(x.dtype),
        " do not divide into elements of ", name_of(dtype));
  for (int d = 0; d < last; d++) y.stride[d] = x.stride[d] * from / to;
  y.shape[last] = x.shape[last] * from / to;
  y.offset = x.offset * from / to;
  return y;
}

Array ordered(const Array& x, const Dims& order) {
  Array by_order = permute(x, order);
  if (is_contiguous(by_order)) return x;
  Array y = contiguous(by_order);
  Dims back;
  back.n = order.n;
  for (int d = 0; d < order.n; d++) back[axis_of(order[d], x.ndim, "contiguous")] = d;
  return permute(y, back);
}

Array cat(const std::vector<Array>& all, int64_t axis) {
  check(!all.empty(), Kind::Value, "cat: expected a non-empty list of tensors");
  std::vector<Array> xs;
  std::vector<Operand> operands;
  for (const Array& x : all) {
    check(x.ndim > 0, Kind::Runtime, "cat: zero-dimensional tensor at position ", &x - all.data(),
          " cannot be concatenated; use stack");
    operands.push_back({&x, {}, {}});
    if (x.ndim != 1 || x.shape[0] != 0) xs.push_back(x);  // PyTorch skips empty vectors, whatever the others' rank
  }
  DType dtype = result_type(operands.data(), int(operands.size()));
  if (xs.empty()) return empty({0}, dtype);
  int d = axis_of(axis, xs[0].ndim, "cat");
  Dims shape = xs[0].dims();
  for (size_t k = 1; k < xs.size(); k++) {
    bool same = xs[k].ndim == shape.n;
    for (int i = 0; same && i < shape.n; i++) same = i == d || xs[k].shape[i] == shape[i];
    check(same, Kind::Runtime, "cat: sizes must match except in dimension ", d, ": expected like ", text(xs[0].dims()),
          " but got ", text(xs[k].dims()), " for tensor number ", k);
    shape[d] += xs[k].shape[d];
  }
  Array y = empty(shape, dtype);  // in the first input's stride order: channels last stay so
  if (!is_contiguous(xs[0]) && is_dense(xs[0])) {
    std::pair<int64_t, int> order[kMaxDims];
    for (int i = 0; i < shape.n; i++) order[i] = {-xs[0].stride[i], i};
    std::stable_sort(order, order + shape.n, [](auto& a, auto& b) { return a.first < b.first; });
    int64_t stride = 1;
    for (int i = shape.n - 1; i >= 0; i--) {
      y.stride[order[i].second] = stride;
      stride *= std::max<int64_t>(shape[order[i].second], 1);
    }
  }
  launch<&Kernels::cat>("cat", out(y), in(xs), int32_t(d));
  return y;
}

// Diagonals beyond the corners are all the same.
static int64_t within(const Array& x, int64_t diagonal) {
  return std::clamp(diagonal, -x.shape[x.ndim - 2] - 1, x.shape[x.ndim - 1] + 1);
}

Array tri(const Array& x, int64_t diagonal, bool upper) {
  check(x.ndim >= 2, Kind::Runtime, upper ? "triu" : "tril", ": expected at least 2 dimensions, got ", x.ndim);
  Array y = empty(x.dims(), x.dtype);
  launch<&Kernels::tri>(upper ? "triu" : "tril", out(y), in(x), within(x, diagonal), upper);
  return y;
}

void tri_into(const Array& x, int64_t diagonal, bool upper) {
  check_writable(x, upper ? "triu_" : "tril_");
  check(x.ndim >= 2, Kind::Runtime, upper ? "triu_" : "tril_", ": expected at least 2 dimensions, got ", x.ndim);
  launch<&Kernels::tri>(upper ? "triu_" : "tril_", out(x), in(x), within(x, diagonal), upper);
}

// What PyTorch makes of the bounds of a sequence of integers: whole numbers, toward 0.
static Number whole(const char* name, Number n, DType dtype) {
  if (n.integer) return n;
  check_fits(name, n, dtype);
  return {std::trunc(n.d), int64_t(n.d), true};
}

// Of int64 the bounds are cut to whole numbers before they are counted, of narrower integers only start and step after.
Array arange(Number start, Number end, Number step, DType dtype) {
  check(dtype != DType::b8, Kind::NotImplemented, "arange: not implemented for bool");
  check(step.d != 0, Kind::Runtime, "arange: step must be nonzero");
  if (dtype == DType::i64) {
    start = whole("arange", start, dtype), end = whole("arange", end, dtype), step = whole("arange", step, dtype);
    check(step.i != 0, Kind::Value, "arange: step must be nonzero as an int64");
  }
  check(std::isfinite(start.d) && std::isfinite(end.d) && std::isfinite(step.d), Kind::Runtime,
        "arange: unsupported range: ", start.d, " -> ", end.d);
  check((step.d > 0) == (end.d >= start.d) || start.d == end.d, Kind::Runtime,
        "arange: upper bound and lower bound inconsistent with step sign: ", start.d, " -> ", end.d, " by ", step.d);
  double count;
  if (start.integer && end.integer && step.integer) {
    __int128 span = __int128(end.i) - start.i, s = step.i;
    count = double((span + s - (s > 0 ? 1 : -1)) / s);
  } else {
    count = std::ceil((end.d - start.d) / step.d);
  }
  check(count < double(int64_t(1) << 58), Kind::Runtime, "arange: ", count, " elements do not fit into memory");
  Array y = empty({int64_t(count)}, dtype);
  if (!is_floating(dtype)) start = whole("arange", start, dtype), step = whole("arange", step, dtype);
  launch<&Kernels::sequence>("arange", out(y), start, step, start, y.shape[0]);
  return y;
}

Array linspace(double start, double end, int64_t steps, DType dtype) {
  check(steps >= 0, Kind::Runtime, "linspace: number of steps must be non-negative, got ", steps);
  check(dtype != DType::b8, Kind::NotImplemented, "linspace: not implemented for bool");
  if (!is_floating(dtype)) {
    start = whole("linspace", {start, 0, false}, dtype).d;
    end = whole("linspace", {end, 0, false}, dtype).d;
  }
  auto real = [](double d) { return Number{d, 0, false}; };
  Array y = empty({steps}, dtype);
  launch<&Kernels::sequence>("linspace", out(y), real(start), real(steps > 1 ? (end - start) / double(steps - 1) : 0),
                             real(end), steps > 1 ? steps / 2 : steps);
  return y;
}

}  // namespace mielina::ops
