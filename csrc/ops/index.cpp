#include "ops/index.h"

#include <algorithm>

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {
namespace {

// Smallest and largest of an i64 array; each element that expanding repeats is looked at once.
std::pair<int64_t, int64_t> extremes(const Array& index) {
  int64_t low = INT64_MAX, high = INT64_MIN;
  Dims shape, stride;
  for (int d = 0; d < index.ndim; d++)
    if (index.stride[d] != 0 && index.shape[d] != 1) {
      shape.push(index.shape[d]);
      stride.push(index.stride[d]);
    }
  Array compact = as_strided(index, shape, stride, index.offset);
  if (is_dense(compact)) compact = as_strided(index, Dims{compact.numel()}, Dims{1}, index.offset);
  if (int64_t n = compact.numel(); n >= 4096 && compact.ndim == 1 && compact.stride[0] == 1) {
    constexpr int64_t chunk = 16 * 1024;  // on all threads: one read 4 million in 2.5 ms
    Array bounds = empty({(n + chunk - 1) / chunk, 2}, DType::i64);
    kernels(0).index_bounds(make_ctx(0), bounds.view(), compact.view());
    const int64_t* p = reinterpret_cast<const int64_t*>(bounds.data());
    for (int64_t k = 0; k < bounds.shape[0]; k++) low = std::min(low, p[2 * k]), high = std::max(high, p[2 * k + 1]);
    return {low, high};
  }
  int last = compact.ndim - 1;
  int64_t run = last < 0 ? 1 : compact.shape[last], step = last < 0 ? 1 : compact.stride[last];
  int64_t rows = run == 0 ? 0 : compact.numel() / run;
  for (int64_t i = 0; i < rows; i++) {
    const int64_t* p = reinterpret_cast<const int64_t*>(compact.data());
    int64_t rest = i;
    for (int d = last - 1; d >= 0; d--) {
      p += rest % compact.shape[d] * compact.stride[d];
      rest /= compact.shape[d];
    }
    for (int64_t j = 0; j < run; j++) {
      int64_t v = p[j * step];
      low = v < low ? v : low;
      high = v > high ? v : high;
    }
  }
  return {low, high};
}

// What an index must hold: values in [-bound, bound), or [0, bound) unless negatives count from the end. What is wrong
// with it is an IndexError in x[index] and a RuntimeError in gather and its kin, as in PyTorch.
struct Rule {
  int64_t bound;
  bool negative;
  int axis;
  const char* name;
  Kind kind;
};

Array as_index(const Array& index, const Rule& r) {
  check(!is_floating(index.dtype) && index.dtype != DType::b8, r.kind, r.name, ": indices must be integers, got ",
        name_of(index.dtype));
  return index.dtype == DType::i64 ? index : convert(index, DType::i64);
}
void check_bounds(const Array& i, const Rule& r) {
  if (i.numel() == 0 || i.device() != 0) return;
  auto [low, high] = extremes(i);
  int64_t bad = high >= r.bound ? high : low;
  check(low >= (r.negative ? -r.bound : 0) && high < r.bound, r.kind, r.name, ": index ", bad,
        " is out of bounds for dimension ", r.axis, " with size ", r.bound);
}
// Where nothing is lost if an index is wrong, it is checked as it is read (2048 x 2048, whose index is two thirds of
// the bytes: 4.1 to 3.0 ms): the kernel counts indices that are not in [0, bound) here, and only then they are looked
// at anew.
int64_t g_suspects = 0;
template <class Run, class Check>
void checked_after(Run run, Check check) {
  const int64_t before = __atomic_load_n(&g_suspects, __ATOMIC_RELAXED);
  run();
  if (__atomic_load_n(&g_suspects, __ATOMIC_RELAXED) != before) check();
}

Scatter scatter_op(const std::string& op) {
  if (op == "assign") return Scatter::assign;
  if (op == "add") return Scatter::add;
  if (op == "mul") return Scatter::mul;
  if (op == "max") return Scatter::max;
  check(op == "min", Kind::Value, "scatter: unknown reduction ", op);
  return Scatter::min;
}

// x as a column when it is a number: PyTorch lets 0-dim tensors be indexed along "dimension 0".
Array at_least_1d(const Array& x) { return x.ndim ? x : unsqueeze(x, 0); }

// Where the elements of a result are found in x: see Lookup.
struct Window {
  Array x, index;
  Lookup lookup;
  Array asked;  // the index before it was expanded, and what it must hold
  Rule rule;
};

// Along one axis: x's other axes are the result's, `shape` its shape.
Window along(const Array& x, const Dims& shape, const Array& index, const Array& asked, const Rule& rule) {
  const int axis = rule.axis;
  Dims stride = x.strides();
  Lookup lookup{x.shape[axis], stride[axis], &g_suspects};
  stride[axis] = 0;
  return {as_strided(x, shape, stride, x.offset), index, lookup, asked, rule};
}

// Other types than the kernels' own go through a wider copy: f(wide x) in place; halves are so rounded once.
template <class F>
void widened(const Array& x, Scatter op, F f) {
  DType compute = compute_type(x.dtype);
  if (op == Scatter::assign || compute == x.dtype) return f(x);
  Array wide = convert(x, compute);
  f(wide);
  copy_into(x, wide);
}

// fresh: x is dropped if an index is wrong; else all are checked before anything is written.
void scatter_into(const Window& w, const Array& src, Scatter op, const Array& x, bool fresh = false) {
  const bool early = !fresh || w.lookup.bound == 0 || w.x.numel() == 0;
  Lookup lookup = w.lookup;
  if (early && lookup.suspects) {  // without: offsets of indices that were checked when they became such
    check_bounds(w.asked, w.rule);
    lookup.suspects = nullptr;
  }
  Array values = src.dtype == x.dtype ? src : convert(src, x.dtype);
  if (may_overlap(x, values)) values = clone(values);
  const Array places = expand(may_overlap(x, w.index) ? clone(w.index) : w.index, w.x.dims(), "scatter");
  // Rows are added as rows: the gradient of a sum of 512 rows of 512 took five times as long where it lay.
  const int last = places.ndim - 1;
  if (op == Scatter::add && last > 0 && places.shape[last] > 1 && places.stride[last] == 0) values = apart(values);
  checked_after(
      [&] {
        launch<&Kernels::scatter>("scatter", out(w.x), in(expand(values, w.x.dims(), "scatter")), in(places), lookup,
                                  op);
      },
      [&] { check_bounds(w.asked, w.rule); });
}

// The index (i0, i1, ...) as a view of `ndim` dimensions in which it stands at `axis`, size 1 elsewhere.
Array at_axis(const Array& index, int axis, int ndim) {
  Dims shape, stride;
  for (int d = 0; d < ndim; d++) {
    shape.push(d == axis ? index.shape[0] : 1);
    stride.push(d == axis ? index.stride[0] : 0);
  }
  return as_strided(index, shape, stride, index.offset);
}

Array vector_index(const Array& index, const Rule& r) {
  check(index.ndim <= 1, Kind::Index, r.name, ": the index must be a vector, got shape ", text(index.dims()));
  return at_least_1d(as_index(index, r));
}

void check_smaller(const Array& index, const Array& x, int axis, const char* what, const char* name) {
  check(index.ndim == x.ndim, Kind::Runtime, name, ": index and ", what,
        " must have the same number of dimensions, got ", text(index.dims()), " and ", text(x.dims()));
  for (int d = 0; d < x.ndim; d++)
    check(d == axis || index.shape[d] <= x.shape[d], Kind::Runtime, name, ": index of shape ", text(index.dims()),
          " is larger than ", what, " of shape ", text(x.dims()), " in dimension ", d);
}

Array head(const Array& x, const Dims& shape) { return as_strided(x, shape, x.strides(), x.offset); }

// Advanced indexing: the result's shape, and x and the index seen in it.
Window advanced(const Array& x, const std::vector<Array>& indices, const Dims& axes, const char* name) {
  check(!indices.empty() && int(indices.size()) == axes.n, Kind::Value, name,
        ": as many axes as indices, and at least one");
  std::vector<Array> list;
  std::vector<Rule> rules;
  Dims common;
  bool neighbours = true;
  for (size_t k = 0; k < indices.size(); k++) {
    int64_t axis = axes[int(k)];
    check(axis >= 0 && axis < x.ndim && (k == 0 || axis > axes[int(k) - 1]), Kind::Index, name,
          ": axes must ascend within the tensor's");
    neighbours &= k == 0 || axis == axes[int(k) - 1] + 1;
    rules.push_back({x.shape[axis], true, int(axis), name, Kind::Index});
    list.push_back(as_index(indices[k], rules[k]));
    const Dims shape = list[k].dims();
    try {
      common = k == 0 ? shape : broadcast_shapes(common, shape, name);
    } catch (const Error&) {
      fail(Kind::Index, name, ": shape mismatch: indexing tensors of shapes ", text(common), " and ", text(shape),
           " do not broadcast together");
    }
  }
  for (Array& i : list) i = expand(i, common, name);
  Dims shape, stride, index_stride;
  Array places = list[0];
  Lookup lookup{x.shape[axes[0]], x.stride[axes[0]], &g_suspects};
  int64_t start = x.offset;
  if (list.size() > 1) {  // one index of offsets, ready to be added
    Lookups lookups{};
    lookup = {1, 1};
    for (size_t k = 0; k < list.size(); k++) {
      int64_t n = x.shape[axes[int(k)]], s = x.stride[axes[int(k)]];
      lookups.items[lookups.count++] = {n, s, &g_suspects};
      lookup.bound += (s < 0 ? -s : s) * (n - 1);
      if (s < 0) start += s * (n - 1);
    }
    places = empty(common, DType::i64);
    auto check_all = [&] {
      for (size_t k = 0; k < list.size(); k++) check_bounds(list[k], rules[k]);
    };
    if (places.numel() == 0 || x.numel() == 0) check_all();
    checked_after([&] { launch<&Kernels::index_offsets>("index_offsets", out(places), in(list), lookups); }, check_all);
    rules[0].bound = lookup.bound;
  }
  auto put_index = [&] {
    for (int d = 0; d < common.n; d++) {
      shape.push(common[d]);
      stride.push(0);
      index_stride.push(places.stride[d]);
    }
  };
  if (!neighbours) put_index();
  for (int d = 0, k = 0; d < x.ndim; d++) {
    if (k < axes.n && axes[k] == d) {
      if (k++ == 0 && neighbours) put_index();
      continue;
    }
    shape.push(x.shape[d]);
    stride.push(x.stride[d]);
    index_stride.push(0);
  }
  return {as_strided(x, shape, stride, start), as_strided(places, shape, index_stride, places.offset), lookup, places,
          rules[0]};
}

Array gathered(const Window& w) {
  Array y = empty(w.x.dims(), w.x.dtype);
  if (y.numel() == 0 || w.lookup.bound == 0) check_bounds(w.asked, w.rule);
  checked_after([&] { launch<&Kernels::gather>("gather", out(y), in(w.x), in(w.index), w.lookup); },
                [&] { check_bounds(w.asked, w.rule); });
  return y;
}

Array as_mask(const Array& mask, const Array& x, const char* name) {
  check(mask.dtype == DType::b8, Kind::Runtime, name, ": the mask must be a bool tensor, got ", name_of(mask.dtype));
  return expand(mask, x.dims(), name);
}

Array fill_value(const Operand& value, const Array& x, const char* name) {
  if (!value.array) {
    check_fits(name, value.number, x.dtype);
    return to_array(value, x.dtype);
  }
  check(value.array->ndim == 0, Kind::Runtime, name, ": the value must be a number or a 0-dim tensor, got shape ",
        text(value.array->dims()));
  return value.array->dtype == x.dtype ? *value.array : convert(*value.array, x.dtype);
}

Array rows_at(const Array& x, int64_t axis, const Array& index, const char* name, Kind kind) {
  int d = axis_of(axis, x.ndim, name);
  Array row = at_least_1d(x);
  const Rule rule{row.shape[d], false, d, name, kind};
  Array i = vector_index(index, rule);
  check(x.ndim || i.numel() == 1, Kind::Runtime, name, ": a 0-dim tensor takes one index, got ", i.numel());
  Dims shape = row.dims();
  shape[d] = i.shape[0];
  Array y = gathered(along(row, shape, expand(at_axis(i, d, row.ndim), shape, name), i, rule));
  return x.ndim ? y : as_strided(y, {}, {}, 0);
}

}  // namespace

Array gather(const Array& x, int64_t axis, const Array& index) {
  int d = axis_of(axis, x.ndim, "gather");
  Array row = at_least_1d(x), i = at_least_1d(index);
  if (i.numel() == 0) return empty(index.dims(), x.dtype);
  check_smaller(i, row, d, "input", "gather");
  const Rule rule{row.shape[d], false, d, "gather", Kind::Runtime};
  i = as_index(i, rule);
  Array y = gathered(along(row, i.dims(), i, i, rule));
  return index.ndim ? y : as_strided(y, {}, {}, 0);
}

void scatter(const Array& x, int64_t axis, const Array& index, const Array& src, const std::string& op, bool fresh) {
  check_writable(x, "scatter_");
  int d = axis_of(axis, x.ndim, "scatter");
  Array i = at_least_1d(index), values = src;
  if (i.numel() == 0) return;
  check_smaller(i, at_least_1d(x), d, "self", "scatter");
  if (src.ndim) {
    check_smaller(i, values, -1, "src", "scatter");
    values = head(values, i.dims());
  }
  Scatter how = scatter_op(op);
  const Rule rule{at_least_1d(x).shape[d], false, d, "scatter", Kind::Runtime};
  i = as_index(i, rule);
  widened(x, how,
          [&](const Array& y) { scatter_into(along(at_least_1d(y), i.dims(), i, i, rule), values, how, y, fresh); });
}

Array index_select(const Array& x, int64_t axis, const Array& index) {
  return rows_at(x, axis, index, "index_select", Kind::Runtime);
}

Array embedding(const Array& weight, const Array& index) {
  Array y = rows_at(weight, 0, reshape(index, {-1}), "embedding", Kind::Index);
  Dims shape = index.dims();
  shape.push(weight.shape[1]);
  return reshape(y, shape);
}

void index_into(const Array& x, int64_t axis, const Array& index, const Array& src, const std::string& op) {
  check_writable(x, "index_add_");
  int d = axis_of(axis, x.ndim, "index_add");
  Array row = at_least_1d(x), values = src;
  const Rule rule{row.shape[d], false, d, "index_add", Kind::Runtime};
  Array i = vector_index(index, rule);
  Dims shape = row.dims();
  shape[d] = i.shape[0];
  if (values.ndim)
    check(values.dims() == shape, Kind::Runtime, "index_add: expected a source of shape ", text(shape), ", got ",
          text(src.dims()));
  Scatter how = scatter_op(op);
  const Array places = expand(at_axis(i, d, row.ndim), shape, "index_add");
  widened(x, how, [&](const Array& y) { scatter_into(along(at_least_1d(y), shape, places, i, rule), values, how, y); });
}

Array index(const Array& x, const std::vector<Array>& indices, const Dims& axes) {
  return gathered(advanced(x, indices, axes, "index"));
}

void index_put(const Array& x, const std::vector<Array>& indices, const Dims& axes, const Array& values,
               bool accumulate) {
  check_writable(x, "index_put_");
  Scatter how = accumulate ? Scatter::add : Scatter::assign;
  widened(x, how, [&](const Array& y) {
    Window w = advanced(y, indices, axes, "index_put_");
    // As in an assignment, leading dimensions of size 1 that the indexed part lacks fall away.
    Array v = values;
    while (v.ndim > w.x.ndim && v.shape[0] == 1) v = select(v, 0, 0);
    scatter_into(w, v, how, y);
  });
}

Array take(const Array& x, const Array& index) {
  Array flat = reshape(x, {-1});
  check(!is_floating(index.dtype), Kind::Runtime, "take: expected an integer index, got ", name_of(index.dtype));
  const Rule rule{flat.shape[0], true, 0, "take", Kind::Index};
  Array i = as_index(index, rule);
  if (i.numel() == 0) return empty(index.dims(), x.dtype);
  Dims stride;
  for (int d = 0; d < i.ndim; d++) stride.push(0);
  return gathered(
      {as_strided(flat, i.dims(), stride, flat.offset), i, {flat.shape[0], flat.stride[0], &g_suspects}, i, rule});
}

Array nonzero(const Array& x, bool flat) {
  refuse_while_recording("nonzero()");
  Array mask = contiguous(x.dtype == DType::b8 ? x : convert(x, DType::b8));
  constexpr int64_t chunk = 64 * 1024;
  int64_t chunks = (mask.numel() + chunk - 1) / chunk, total = 0;
  Array counts = empty({chunks}, DType::i64);
  launch<&Kernels::nonzero_count>("nonzero_count", out(counts), in(mask));
  Array starts = on_host(counts);
  int64_t* c = reinterpret_cast<int64_t*>(starts.data());
  for (int64_t k = 0; k < chunks; k++) total += std::exchange(c[k], total);
  counts = to_device(starts, counts.device());
  Array places = empty(flat ? Dims{total} : Dims{total, x.ndim}, DType::i64);
  launch<&Kernels::nonzero>("nonzero", out(places), in(mask), in(counts));
  return places;
}

Array masked_fill(const Array& x, const Array& mask, const Operand& value) {
  Dims shape = broadcast_shapes(x.dims(), mask.dims(), "masked_fill");
  Array source = expand(x, shape, "masked_fill");
  Array y = shape == x.dims() ? empty_like(x) : empty(shape, x.dtype);
  launch<&Kernels::masked_fill>("masked_fill", out(y), in(source), in(as_mask(mask, y, "masked_fill")),
                                in(expand(fill_value(value, x, "masked_fill"), shape, "masked_fill")));
  return y;
}

void masked_fill_into(const Array& x, const Array& mask, const Operand& value) {
  check_writable(x, "masked_fill_");
  Array m = as_mask(mask, x, "masked_fill_");
  if (may_overlap(x, m)) m = clone(m);
  launch<&Kernels::masked_fill>("masked_fill_", out(x), in(x), in(m),
                                in(expand(fill_value(value, x, "masked_fill_"), x.dims(), "masked_fill_")));
}

Array repeat_index(const Array& counts) {
  refuse_while_recording("repeat_interleave()");
  check(counts.ndim == 1 && !is_floating(counts.dtype), Kind::Runtime,
        "repeat_interleave: repeats must be a vector of integers");
  Array n = contiguous(counts.dtype == DType::i64 ? counts : convert(counts, DType::i64));
  const Array host = on_host(n);
  const int64_t* p = reinterpret_cast<const int64_t*>(host.data());
  int64_t total = 0;
  for (int64_t i = 0; i < n.shape[0]; i++) {
    check(p[i] >= 0, Kind::Runtime, "repeat_interleave: repeats can not be negative, got ", p[i]);
    check(!__builtin_add_overflow(total, p[i], &total), Kind::Value, "repeat_interleave: too many elements");
  }
  Array y = empty({total}, DType::i64);
  launch<&Kernels::repeat_index>("repeat_index", out(y), in(n));
  return y;
}

}  // namespace mielina::ops
