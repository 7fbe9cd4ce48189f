#include "ops/attention.h"

#include <algorithm>

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {
namespace {

const char* const kName = "scaled_dot_product_attention";

int64_t size(const Array& x, int from_end) { return x.ndim >= from_end ? x.shape[x.ndim - from_end] : 1; }

// The leading dims: those before the heads, the heads of q and of k, and what a head of k serves.
struct Leading {
  Dims batch;
  int64_t heads, shared;  // of k and v; of q to each of them
  Dims with(std::initializer_list<int64_t> rest) const {
    Dims d = batch;
    for (int64_t n : rest) d.push(n);
    return d;
  }
};

Dims lead(const Array& x, int rest) { return Dims(x.shape, std::max(0, x.ndim - rest)); }

Leading leading(const Array& q, const Array& k, const Array& v, bool grouped) {
  check(q.ndim >= 2 && k.ndim >= 2 && v.ndim >= 2, Kind::Runtime, kName,
        ": query, key and value must have at least 2 dimensions, got ", q.ndim, ", ", k.ndim, " and ", v.ndim);
  check(q.dtype == k.dtype && k.dtype == v.dtype, Kind::Runtime, kName,
        ": expected query, key and value of one dtype, got ", name_of(q.dtype), ", ", name_of(k.dtype), " and ",
        name_of(v.dtype));
  check(is_floating(q.dtype), Kind::Runtime, kName, ": expected a floating dtype, got ", name_of(q.dtype));
  check(size(q, 1) == size(k, 1), Kind::Runtime, kName, ": expected query.shape[-1] == key.shape[-1], got ", size(q, 1),
        " and ", size(k, 1), " (query: ", text(q.dims()), ", key: ", text(k.dims()), ")");
  check(size(k, 2) == size(v, 2), Kind::Runtime, kName, ": expected key.shape[-2] == value.shape[-2], got ", size(k, 2),
        " and ", size(v, 2), " (key: ", text(k.dims()), ", value: ", text(v.dims()), ")");
  Leading d;
  d.batch = broadcast_shapes(broadcast_shapes(lead(q, 3), lead(k, 3), kName), lead(v, 3), kName);
  if (grouped) {
    check(size(k, 3) == size(v, 3) && size(k, 3) > 0 && size(q, 3) % size(k, 3) == 0, Kind::Runtime, kName,
          ": the heads of key and value must be equal and divide those of query, got ", size(q, 3), ", ", size(k, 3),
          " and ", size(v, 3));
    d.heads = size(k, 3);
    d.shared = size(q, 3) / d.heads;
  } else {
    d.heads = broadcast_shapes(broadcast_shapes(Dims{size(q, 3)}, Dims{size(k, 3)}, kName), Dims{size(v, 3)}, kName)[0];
    d.shared = 1;
  }
  return d;
}

// x as (B, heads, M, N): leading dims expanded and folded, by a copy only where strides do not fold.
Array fold(const Array& x, const Leading& d, int64_t heads, int64_t rows) {
  Array wide = expand(x, d.with({heads, rows, size(x, 1)}), kName);
  int64_t b = 1;
  for (int64_t n : d.batch) b *= n;
  const Dims shape{b, heads, rows, size(x, 1)};
  auto view = try_view(wide, shape);
  return view ? *view : *try_view(contiguous(wide), shape);
}

// (B, H G, M, N) as (B, H, G, M, N)
Array split(const Array& x, const Leading& d) {
  return as_strided(x, Dims{x.shape[0], d.heads, d.shared, x.shape[2], x.shape[3]},
                    Dims{x.stride[0], x.stride[1] * d.shared, x.stride[1], x.stride[2], x.stride[3]}, x.offset);
}

struct Views {
  Array q, k, v;
  MaybeArray mask;
};

Views views(const Array& q, const Array& k, const Array& v, const MaybeArray& mask, const Leading& d) {
  const int64_t all = d.heads * d.shared, L = size(q, 2), S = size(k, 2);
  Views r{split(fold(q, d, all, L), d), fold(k, d, d.heads, S), fold(v, d, d.heads, S), {}};
  if (!mask) return r;
  check(mask->dtype == DType::b8 || mask->dtype == DType::f32 || mask->dtype == q.dtype, Kind::Runtime, kName,
        ": expected attn_mask to be bool, float32 or of query's dtype, got ", name_of(mask->dtype), " with ",
        name_of(q.dtype));
  Array m = *mask;
  const DType sums = compute_type(q.dtype);
  if (m.dtype != DType::b8 && m.dtype != q.dtype && m.dtype != sums) m = convert(m, sums);
  if (m.ndim < 2) m = expand(m, Dims{1, m.ndim ? m.shape[0] : 1}, kName);
  r.mask = split(fold(expand(m, d.with({all, L, S}), kName), d, all, L), d);
  return r;
}

AttentionArgs arguments(double scale, bool causal, double dropout, const MaybeArray& key) {
  check(dropout >= 0 && dropout <= 1, Kind::Runtime, kName, ": dropout probability has to be between 0 and 1, but got ",
        dropout);
  check(key.has_value() == (dropout > 0), Kind::Value, kName, ": dropout and a generator's key go together");
  check(!key || (key->dtype == DType::i64 && key->ndim == 1 && key->shape[0] == 2), Kind::Value, kName,
        ": a generator's key is an int64 pair");
  return {scale, causal, dropout};
}

double flops(const Array& q, const Array& v) {
  return 2.0 * double(q.numel()) * double(size(v, 2)) +
         2.0 * double(q.numel() / std::max<int64_t>(1, size(q, 1))) * double(size(v, 2)) * double(size(v, 1));
}

// A new array for x's gradient; x's stride order where it has the full shape.
Array gradient(const Array& x, const Dims& shape) {
  return x.ndim <= 4 && x.dims() == shape ? empty_like(x) : empty(shape, x.dtype);
}

Dims full_shape(const Array& x, const Leading& d, int64_t heads, int ndim) {
  Dims shape = d.with({heads, size(x, 2), size(x, 1)});
  return Dims(shape.v + (shape.n - ndim), ndim);
}

int result_ndim(const Array& q, const Array& k, const Array& v) { return std::max({q.ndim, k.ndim, v.ndim}); }

}  // namespace

std::pair<Array, Array> attention(const Array& q, const Array& k, const Array& v, const MaybeArray& mask,
                                  const MaybeArray& key, double scale, bool causal, double dropout, bool grouped) {
  const Leading d = leading(q, k, v, grouped);
  const AttentionArgs args = arguments(scale, causal, dropout, key);
  const Views x = views(q, k, v, mask, d);
  const int64_t all = d.heads * d.shared, L = size(q, 2), F = size(v, 1);
  // The memory is (..., L, H, F): joining the heads again is then free.
  Array y = transpose(empty(d.with({L, all, F}), q.dtype), -3, -2);
  Array lse = empty(Dims{x.q.shape[0], d.heads, d.shared, L}, compute_type(q.dtype));
  Cost cost;
  cost.flops = flops(x.q, x.v);
  cost.workspace = workspace_of<&Kernels::attention_workspace>(q.device(), x.q.view(), x.k.view(), x.v.view());
  const Array folded = split(fold(y, d, all, L), d);
  launch<&Kernels::attention>(kName, cost, out(folded), out(lse), in(x.q), in(x.k), in(x.v), in(x.mask), in(key), args);
  for (int extra = y.ndim - result_ndim(q, k, v); extra > 0; extra--) y = squeeze(y, Dims{0}, false);
  return {y, lse};
}

std::tuple<Array, Array, Array> attention_backward(const Array& g, const Array& q, const Array& k, const Array& v,
                                                   const MaybeArray& mask, const MaybeArray& key, const Array& y,
                                                   const Array& lse, double scale, bool causal, double dropout,
                                                   bool grouped) {
  const Leading d = leading(q, k, v, grouped);
  const AttentionArgs args = arguments(scale, causal, dropout, key);
  const Views x = views(q, k, v, mask, d);
  const int64_t all = d.heads * d.shared, L = size(q, 2), S = size(k, 2);
  check(g.dtype == q.dtype && y.dtype == q.dtype && g.dims() == y.dims(), Kind::Value, kName,
        ": the gradient must have the output's shape and dtype");
  check(lse.dtype == compute_type(q.dtype) && is_contiguous(lse) &&
            lse.dims() == Dims{x.q.shape[0], d.heads, d.shared, L},
        Kind::Value, kName, ": lse does not belong to this query");
  const int n = result_ndim(q, k, v);
  Array dq = gradient(q, full_shape(q, d, all, n)), dk = gradient(k, full_shape(k, d, d.heads, n)),
        dv = gradient(v, full_shape(v, d, d.heads, n));
  Cost cost;
  cost.flops = 2.5 * flops(x.q, x.v);
  cost.workspace = workspace_of<&Kernels::attention_backward_workspace>(q.device(), x.q.view(), x.k.view(), x.v.view());
  const Array dq5 = split(fold(dq, d, all, L), d), dk4 = fold(dk, d, d.heads, S), dv4 = fold(dv, d, d.heads, S);
  launch<&Kernels::attention_backward>("attention_backward", cost, out(dq5), out(dk4), out(dv4),
                                       in(split(fold(g, d, all, L), d)), in(x.q), in(x.k), in(x.v), in(x.mask), in(key),
                                       in(split(fold(y, d, all, L), d)), in(lse), args);
  return {dq, dk, dv};
}

}  // namespace mielina::ops
