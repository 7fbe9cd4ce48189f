#include "ops/sort.h"

#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/reduce.h"

namespace mielina::ops {
namespace {

// The axis moved last; a number becomes a row of one.
Array rows(const Array& x, int axis) {
  if (x.ndim == 0) return unsqueeze(x, 0);
  Dims order;
  for (int d = 0; d < x.ndim; d++)
    if (d != axis) order.push(d);
  order.push(axis);
  return permute(x, order);
}

Cost scratch(const Array& x) {
  Cost c;
  if (x.numel() == 0) return c;
  check(x.shape[x.ndim - 1] < (int64_t(1) << 32), Kind::Runtime, "sort: a row has less than 2^32 elements, got ",
        x.shape[x.ndim - 1]);
  if (auto query = kernels(x.device()).sort_workspace) c.workspace = query(make_ctx(x.device()), x.view());
  return c;
}

Dims without(const Array& x, int axis, bool keepdim) {
  Dims shape;
  for (int d = 0; d < x.ndim; d++)
    if (d != axis || keepdim) shape.push(d == axis ? 1 : x.shape[d]);
  return shape;
}

// Results of one number a row, as the kernel sees them: (outer...).
Array column(const Array& y, int axis, bool keepdim) {
  return keepdim && y.ndim > 0 ? squeeze(y, Dims{axis}, false) : y;
}

void check_some(const Array& x, int axis, const char* name) {
  check(x.ndim == 0 || x.shape[axis] > 0, Kind::Index, name, ": dimension ", axis, " of shape ", text(x.dims()),
        " must not be empty");
}

template <auto Kernel, class... Args>
Pair pick(const char* name, const Array& x, int64_t axis, bool keepdim, const Args&... args) {
  int d = axis_of(axis, x.ndim, name);
  check_some(x, d, name);
  Array values = empty(without(x, d, keepdim), x.dtype), indices = empty(values.dims(), DType::i64), r = rows(x, d);
  launch<Kernel>(name, scratch(r), out(column(values, d, keepdim)), out(column(indices, d, keepdim)), in(r), args...);
  return {values, indices};
}

// What searches and runs compute in: f32, f64 or i64, contiguous.
Array comparable(const Array& x) {
  DType t = compute_type(x.dtype);
  return contiguous(x.dtype == t ? x : convert(x, t));
}

}  // namespace

Pair sort(const Array& x, int64_t axis, bool descending) {
  int d = axis_of(axis, x.ndim, "sort");
  Array values = empty_like(x), indices = empty_like(x, DType::i64), r = rows(x, d);
  launch<&Kernels::sort>("sort", scratch(r), out(rows(values, d)), out(rows(indices, d)), in(r), descending);
  return {values, indices};
}

// Scratch of 16 n bytes for each thread.
static Cost pairs(const Array& rows) {
  Cost c;
  int threads = make_ctx(rows.device()).threads;
  c.workspace = 16 * rows.shape[rows.ndim - 1] * (threads > 0 ? threads : 1);
  return c;
}

Pair topk(const Array& x, int64_t k, int64_t axis, bool largest, bool sorted) {
  int d = axis_of(axis, x.ndim, "topk");
  int64_t n = x.ndim ? x.shape[d] : 1;
  check(k >= 0 && k <= n, Kind::Runtime, "topk: k = ", k, " is not in [0, ", n, "], the size of dimension ", d);
  Dims shape = x.dims();
  if (x.ndim) shape[d] = k;
  else k = 1;  // a number is its own largest; the result has no axis that could be empty
  Array values = empty(shape, x.dtype), indices = empty(shape, DType::i64), r = rows(x, d);
  if (values.numel() == 0 || k == 0) return {values, indices};
  Dims more = r.dims();
  more[more.n - 1] = sorted ? (k < n ? k + 1 : n) : 0;  // one more shows whether the last one has an equal
  Array top = empty(more, x.dtype), places = empty(more, DType::i64);
  if (sorted) launch<&Kernels::topk>("topk", scratch(r), out(top), out(places), in(r), largest);
  launch<&Kernels::topk_ties>("topk_ties", pairs(r), out(rows(values, d)), out(rows(indices, d)), in(r), in(top),
                              in(places), largest, sorted);
  return {values, indices};
}

Pair kthvalue(const Array& x, int64_t k, int64_t axis, bool keepdim) {
  int d = axis_of(axis, x.ndim, "kthvalue");
  int64_t n = x.ndim ? x.shape[d] : 1;
  check_some(x, d, "kthvalue");
  check(k >= 1 && k <= n, Kind::Runtime, "kthvalue: k = ", k, " is not in [1, ", n, "], the size of dimension ", d);
  return pick<&Kernels::kth>("kthvalue", x, axis, keepdim, Kth::kth, k - 1);
}

Pair median(const Array& x, int64_t axis, bool keepdim, bool skip_nan) {
  return pick<&Kernels::kth>(skip_nan ? "nanmedian" : "median", x, axis, keepdim,
                             skip_nan ? Kth::nanmedian : Kth::median, int64_t(0));
}

Pair mode(const Array& x, int64_t axis, bool keepdim) {
  Pair y = pick<&Kernels::mode>("mode", x, axis, keepdim);
  int d = axis_of(axis, x.ndim, "mode");
  Array r = rows(x, d);
  if (x.numel() > 0)
    launch<&Kernels::mode_ties>("mode_ties", pairs(r), out(column(y.first, d, keepdim)),
                                out(column(y.second, d, keepdim)), in(r));
  return y;
}

Array searchsorted(const Array& s, const Array& v, bool right, const MaybeArray& sorter) {
  check(s.ndim > 0, Kind::Runtime, "searchsorted: the sorted sequence must have at least one dimension");
  int last = s.ndim - 1;
  bool shared = s.ndim == 1;
  check(shared || v.ndim == s.ndim, Kind::Runtime, "searchsorted: expected values of ", s.ndim, " dimensions, got ",
        v.ndim);
  for (int d = 0; !shared && d < last; d++)
    check(s.shape[d] == v.shape[d], Kind::Runtime, "searchsorted: all dimensions but the last must match, got ",
          text(s.dims()), " and ", text(v.dims()));
  check(!sorter || (sorter->dims() == s.dims() && sorter->dtype == DType::i64), Kind::Runtime,
        "searchsorted: sorter must be int64 of the sequence's shape ", text(s.dims()));
  Array y = empty(v.dims(), DType::i64);
  if (v.numel() == 0) return y;
  DType common = compute_type(promote(s.dtype, v.dtype));
  Array sc = contiguous(s.dtype == common ? s : convert(s, common)),
        vc = contiguous(v.dtype == common ? v : convert(v, common));
  int64_t n = s.shape[last], batch = shared ? 1 : v.numel() / v.shape[last], m = shared ? v.numel() : v.shape[last];
  MaybeArray order;
  if (sorter) {
    order = reshape(contiguous(*sorter), Dims{batch, n});
    if (n > 0) {
      auto [lo, hi] = aminmax(*order, Dims{}, false);
      int64_t a = read<int64_t>(lo), b = read<int64_t>(hi);
      check(a >= 0 && b < n, Kind::Runtime, "searchsorted: sorter holds ", a < 0 ? a : b, ", out of range for ", n,
            " elements");
    }
  }
  launch<&Kernels::searchsorted>("searchsorted", out(reshape(y, Dims{batch, m})), in(reshape(sc, Dims{batch, n})),
                                 in(reshape(vc, Dims{batch, m})), in(order), right);
  return y;
}

Array isin(const Array& elements, const Array& test) {
  check(elements.dtype != DType::b8 && test.dtype != DType::b8, Kind::Runtime, "isin: not implemented for bool");
  const Operand both[2] = {{&elements, {}, {}}, {&test, {}, {}}};
  DType common = result_type(both, 2), compute = compute_type(common);
  auto as_common = [&](const Array& x) {
    Array y = x.dtype == common ? x : convert(x, common);
    return common == compute ? y : convert(y, compute);
  };
  Array y = empty(elements.dims(), DType::b8);
  if (elements.numel() == 0) return y;
  Array s = sort(reshape(as_common(test), Dims{-1}), 0, false).first;
  Array v = contiguous(as_common(elements));
  launch<&Kernels::contains>("isin", out(reshape(y, Dims{-1})), in(s), in(reshape(v, Dims{-1})));
  return y;
}

std::tuple<Array, Array, Array> unique(const Array& x, std::optional<int64_t> axis, bool consecutive, bool details) {
  const char* name = consecutive ? "unique_consecutive" : "unique";
  refuse_while_recording(name);
  check(!axis || x.ndim > 0, Kind::Index, name, ": dim is given, but the tensor has no dimensions");
  int d = axis ? axis_of(*axis, x.ndim, name) : 0;
  for (int i = 0; axis && i < x.ndim; i++)
    check(i == d || x.shape[i] > 0 || x.shape[d] == 0, Kind::Runtime, name, ": dimension ", i, " of shape ",
          text(x.dims()), " is empty and is not the one whose slices are compared");
  // Slices along the axis as rows of a matrix.
  Dims order;
  if (axis && x.ndim) order.push(d);
  for (int i = 0; axis && i < x.ndim; i++)
    if (i != d) order.push(i);
  Array moved = axis ? permute(x, order) : reshape(x, Dims{-1});
  int64_t n = moved.ndim ? moved.shape[0] : 1, m = n ? moved.numel() / n : 0;
  if (axis && n == 0 && x.ndim > 1) m = 1;
  Array table = reshape(comparable(moved), Dims{n, m});
  MaybeArray perm;
  if (!consecutive && n > 0) {
    if (m == 1) {
      auto [sorted, places] = sort(reshape(table, Dims{n}), 0, false);
      if (details) perm = places;
      else table = reshape(sorted, Dims{n, 1});
    } else {
      perm = empty(Dims{n}, DType::i64);
      launch<&Kernels::sort_rows>(name, Cost{double(n), n * 8}, out(*perm), in(table));
    }
  }
  Array group = empty(Dims{n}, DType::i64);
  int64_t found = 0;
  if (n > 0) {
    launch<&Kernels::runs>(name, out(group), in(table), in(perm));
    found = read<int64_t>(group, n - 1) + 1;
  }
  Dims shape = moved.dims();
  if (shape.n) shape[0] = found;
  Array values = empty(Dims{found, m}, table.dtype), counts = empty(Dims{found}, DType::i64),
        inverse = empty(Dims{n}, DType::i64);
  if (n > 0)
    launch<&Kernels::collect_runs>(name, out(values), out(inverse), out(counts), in(table), in(group), in(perm));
  values = reshape(values, shape.n ? shape : Dims{found});
  if (values.dtype != x.dtype) values = convert(values, x.dtype);
  if (!axis) return {values, reshape(inverse, x.dims()), counts};
  Dims back;  // axis 0 returns to its place
  for (int i = 0; i < x.ndim; i++) back.push(i == d ? 0 : i < d ? i + 1 : i);
  return {x.ndim ? contiguous(permute(values, back)) : values, inverse, counts};
}

Array bincount(const Array& x, const MaybeArray& weights, int64_t minlength) {
  refuse_while_recording("bincount");
  check(x.ndim == 1 && !is_floating(x.dtype), Kind::Runtime, "bincount: expected a 1-dim tensor of integers, got ",
        text(x.dims()), " ", name_of(x.dtype));
  check(!weights || weights->dims() == x.dims(), Kind::Runtime, "bincount: weights must have the input's shape ",
        text(x.dims()));
  check(minlength >= 0, Kind::Runtime, "bincount: minlength must not be negative, got ", minlength);
  if (x.numel() == 0) {
    Array none = empty(Dims{minlength}, DType::i64);
    fill(none, {0, 0, true});
    return none;
  }
  Array index = comparable(x);
  int64_t bins = minlength;
  if (x.numel() > 0) {
    auto [lo, hi] = aminmax(index, Dims{}, false);
    int64_t least = read<int64_t>(lo);
    check(least >= 0, Kind::Runtime, "bincount: the input must not be negative, got ", least);
    int64_t most = read<int64_t>(hi);
    check(most < INT64_MAX / 16, Kind::Value, "bincount: the input holds ", most,
          ", too large for a count of each number");
    bins = most >= bins ? most + 1 : bins;
  }
  MaybeArray w;
  if (weights) w = contiguous(weights->dtype == DType::f64 ? *weights : convert(*weights, DType::f64));
  Array y = empty(Dims{bins}, weights ? DType::f64 : DType::i64);
  launch<&Kernels::bincount>("bincount", out(y), in(index), in(w));
  return weights && weights->dtype == DType::f32 ? convert(y, DType::f32) : y;
}

Array histc(const Array& x, int64_t bins, double lo, double hi) {
  check(is_floating(x.dtype), Kind::NotImplemented, "histc: expected a floating dtype, got ", name_of(x.dtype));
  check(bins > 0, Kind::Runtime, "histc: bins must be positive, got ", bins);
  if (lo == hi && x.numel() > 0) {
    refuse_while_recording("histc without a range");
    auto [a, b] = aminmax(x.dtype == DType::f64 ? x : convert(x, DType::f64), Dims{}, false);
    lo = read<double>(a);
    hi = read<double>(b);
  }
  if (lo == hi) lo -= 1, hi += 1;
  check(lo - lo == 0 && hi - hi == 0, Kind::Runtime, "histc: the range [", lo, ", ", hi, "] is not finite");
  check(lo < hi, Kind::Runtime, "histc: max must be larger than min, got [", lo, ", ", hi, "]");
  Array y = empty(Dims{bins}, DType::i64);
  launch<&Kernels::histogram>("histc", out(y), in(x), lo, hi);
  return convert(y, x.dtype);
}

}  // namespace mielina::ops
