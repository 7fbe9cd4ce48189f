#include "core/array.h"

#include <algorithm>

namespace mielina {

std::ostream& operator<<(std::ostream& s, const ShapeText& t) {
  s << "(";
  for (int i = 0; i < t.dims.n; i++) s << (i ? ", " : "") << t.dims[i];
  return s << (t.dims.n == 1 ? ",)" : ")");
}

View Array::view() const {
  View v;
  v.data = data();
  v.dtype = dtype;
  v.number = false;
  v.ndim = ndim;
  std::memcpy(v.shape, shape, sizeof shape);
  std::memcpy(v.stride, stride, sizeof stride);
  return v;
}

int64_t checked_numel(const Dims& shape) {
  int64_t n = 1;
  bool zero = false, over = false;
  for (int64_t s : shape) {
    check(s >= 0, Kind::Runtime, "negative size in shape ", text(shape));
    zero |= s == 0;
    over |= __builtin_mul_overflow(n, s == 0 ? 1 : s, &n) || n > (int64_t(1) << 58);
  }
  check(!over, Kind::Runtime, "shape ", text(shape), " has more elements than memory can address");
  return zero ? 0 : n;
}

Array empty(const Dims& shape, DType dtype) {
  Array a;
  a.dtype = dtype;
  a.ndim = shape.n;
  int64_t n = checked_numel(shape), stride = 1;
  for (int d = shape.n - 1; d >= 0; d--) {
    a.shape[d] = shape[d];
    a.stride[d] = stride;
    stride *= shape[d] > 1 ? shape[d] : 1;
  }
  a.storage = allocate(size_t(n) * kDTypeSize[int(dtype)]);
  return a;
}

Array empty_like(const Array& x, DType dtype) {
  Array a = empty(x.dims(), dtype);
  if (is_contiguous(x)) return a;
  int order[kMaxDims], n = 0;
  for (int d = 0; d < x.ndim; d++) {
    if (x.shape[d] == 1) continue;
    if (x.stride[d] <= 0) return a;
    order[n++] = d;
  }
  const bool dense = is_dense(x);
  std::stable_sort(order, order + n, [&](int d, int e) { return x.stride[d] > x.stride[e]; });
  for (int d = 0; d < x.ndim; d++) a.stride[d] = dense ? x.stride[d] : x.numel();
  for (int64_t step = 1; n-- > 0; step *= x.shape[order[n]]) a.stride[order[n]] = step;
  return a;
}

bool is_contiguous(const Array& x) {
  int64_t expected = 1;
  for (int d = x.ndim - 1; d >= 0; d--) {
    if (x.shape[d] == 0) return true;
    if (x.shape[d] == 1) continue;
    if (x.stride[d] != expected) return false;
    expected *= x.shape[d];
  }
  return true;
}

// Sizes and strides of the axes longer than 1, by ascending stride.
static int sorted_axes(const Array& x, std::pair<int64_t, int64_t>* axes) {
  int n = 0;
  for (int d = 0; d < x.ndim; d++)
    if (x.shape[d] != 1) axes[n++] = {x.stride[d], x.shape[d]};
  std::sort(axes, axes + n);
  return n;
}

bool is_dense(const Array& x) {
  std::pair<int64_t, int64_t> axes[kMaxDims];
  int n = sorted_axes(x, axes);
  int64_t expected = 1;
  for (int i = 0; i < n; i++) {
    if (axes[i].second == 0) return true;
    if (axes[i].first != expected) return false;
    expected *= axes[i].second;
  }
  return true;
}

bool overlaps_itself(const Array& x) {
  std::pair<int64_t, int64_t> axes[kMaxDims];
  int n = sorted_axes(x, axes);
  int64_t reach = 0;
  for (int i = 0; i < n; i++) {
    int64_t stride = axes[i].first < 0 ? -axes[i].first : axes[i].first;
    if (axes[i].second == 0) return false;
    if (stride <= reach) return true;
    reach += stride * (axes[i].second - 1);
  }
  return false;
}

bool same_layout(const Array& a, const Array& b) {
  if (a.ndim != b.ndim) return false;
  for (int d = 0; d < a.ndim; d++)
    if (a.shape[d] != b.shape[d] || (a.shape[d] != 1 && a.stride[d] != b.stride[d])) return false;
  return true;
}

bool may_overlap(const Array& a, const Array& b) {
  if (a.storage.get() != b.storage.get() || a.numel() == 0 || b.numel() == 0) return false;
  auto range = [](const Array& x) {
    int64_t low = 0, high = 0;
    for (int d = 0; d < x.ndim; d++) (x.stride[d] < 0 ? low : high) += x.stride[d] * (x.shape[d] - 1);
    char* p = x.data();
    return std::pair(p + low * x.itemsize(), p + (high + 1) * x.itemsize());
  };
  auto [a0, a1] = range(a);
  auto [b0, b1] = range(b);
  return a0 < b1 && b0 < a1;
}

int axis_of(int64_t axis, int ndim, const char* name) {
  int64_t rank = ndim == 0 ? 1 : ndim;  // a scalar takes 0 and -1, as in PyTorch
  check(axis >= -rank && axis < rank, Kind::Index, name, ": dimension out of range (expected to be in range of [",
        -rank, ", ", rank - 1, "], but got ", axis, ")");
  return int(axis < 0 ? axis + rank : axis);
}

Array as_strided(const Array& x, const Dims& shape, const Dims& stride, int64_t offset) {
  Array a;
  a.storage = x.storage;
  a.offset = offset;
  a.dtype = x.dtype;
  a.ndim = shape.n;
  std::memcpy(a.shape, shape.v, sizeof a.shape);
  std::memcpy(a.stride, stride.v, sizeof a.stride);
  return a;
}

Array expand(const Array& x, const Dims& shape, const char* name) {
  int lead = shape.n - x.ndim;
  check(lead >= 0, Kind::Runtime, name, ": cannot expand shape ", text(x.dims()), " to fewer dimensions ", text(shape));
  checked_numel(shape);
  Dims stride;
  for (int d = 0; d < shape.n; d++) {
    int64_t size = d < lead ? 1 : x.shape[d - lead];
    bool same = size == shape[d];
    check(same || size == 1, Kind::Runtime, name, ": cannot expand shape ", text(x.dims()), " to ", text(shape));
    stride.push(d < lead || (size == 1 && shape[d] != 1) ? 0 : x.stride[d - lead]);
  }
  return as_strided(x, shape, stride, x.offset);
}

Dims broadcast_shapes(const Dims& a, const Dims& b, const char* name) {
  Dims r;
  r.n = a.n > b.n ? a.n : b.n;
  for (int d = 0; d < r.n; d++) {
    int64_t p = d < r.n - a.n ? 1 : a[d - (r.n - a.n)], q = d < r.n - b.n ? 1 : b[d - (r.n - b.n)];
    check(p == q || p == 1 || q == 1, Kind::Runtime, name, ": shapes ", text(a), " and ", text(b),
          " do not broadcast: dimension ", d - r.n, " has ", p, " and ", q);
    r[d] = p == 1 ? q : p;
  }
  return r;
}

}  // namespace mielina
