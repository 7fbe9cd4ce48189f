#include "ops/gemm.h"

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {

static void check_same(const Array& a, const Array& b, const char* name) {
  check(a.dtype == b.dtype, Kind::Runtime, name, ": expected both to have the same dtype, got ", name_of(a.dtype),
        " and ", name_of(b.dtype));
}

// Products of bools are not defined, but where nothing is multiplied the result is.
static Array empty_product(const Dims& shape, DType dtype, int64_t k, const char* name) {
  Array c = empty(shape, dtype);
  if (dtype != DType::b8) return c;
  check(k == 0 || c.numel() == 0, Kind::NotImplemented, name, ": not defined for bool tensors; convert them first");
  fill(c, {0, 0, true});
  return c;
}

// Integers below 32 bits are multiplied as int32, whose lower bits are what they wrap to: kernels of their own were 53
// KB and no faster.
static bool is_small_integer(const Array& a) {
  return a.device() == 0 && (a.dtype == DType::i8 || a.dtype == DType::u8 || a.dtype == DType::i16);
}
static Array widened(const Array& a) { return convert(a, DType::i32); }

// c = a b + bias, all of the kernel's (..., M, N) form.
static void product(const char* name, const Array& c, const Array& a, const Array& b, const MaybeArray& bias) {
  Cost cost;
  cost.flops = 2.0 * double(c.numel()) * double(a.shape[a.ndim - 1]);
  Ctx ctx = make_ctx(c.device());
  if (auto query = kernels(c.device()).gemm_workspace) cost.workspace = query(ctx, c.view(), a.view(), b.view());
  launch<&Kernels::gemm>(name, cost, out(c), in(a), in(b), in(bias), GemmArgs{false});
}

Array matmul(const Array& a, const Array& b) {
  check(a.ndim > 0 && b.ndim > 0, Kind::Runtime, "matmul: both arguments need at least 1 dimension, got ", a.ndim,
        " and ", b.ndim);
  check_same(a, b, "matmul");
  if (is_small_integer(a)) return convert(matmul(widened(a), widened(b)), a.dtype);
  Array x = a.ndim == 1 ? unsqueeze(a, 0) : a, y = b.ndim == 1 ? unsqueeze(b, 1) : b;
  int64_t k = x.shape[x.ndim - 1];
  check(k == y.shape[y.ndim - 2], Kind::Runtime, "matmul: expected a.shape[-1] == b.shape[-2], got ", k, " and ",
        y.shape[y.ndim - 2], " (a: ", text(a.dims()), ", b: ", text(b.dims()), ")");
  Dims batch = broadcast_shapes(Dims(x.shape, x.ndim - 2), Dims(y.shape, y.ndim - 2), "matmul");
  auto with = [&](const Array& m) {
    Dims s = batch;
    s.push(m.shape[m.ndim - 2]);
    s.push(m.shape[m.ndim - 1]);
    return expand(m, s, "matmul");
  };
  Dims shape = batch;
  shape.push(x.shape[x.ndim - 2]);
  shape.push(y.shape[y.ndim - 1]);
  Array c = empty_product(shape, a.dtype, k, "matmul");
  if (a.dtype != DType::b8) product("matmul", c, with(x), with(y), {});
  if (a.ndim == 1) c = squeeze(c, Dims{-2}, false);
  if (b.ndim == 1) c = squeeze(c, Dims{-1}, false);
  return c;
}

Array addmm(const Array& input, const Array& a, const Array& b) {
  const char* name = a.ndim == 3 ? "baddbmm" : "addmm";
  check(a.ndim == b.ndim && (a.ndim == 2 || a.ndim == 3), Kind::Runtime, name,
        ": expected two matrices or two batches of them, got shapes ", text(a.dims()), " and ", text(b.dims()));
  check_same(a, b, name);
  check_same(input, a, name);
  if (is_small_integer(a)) return convert(addmm(widened(input), widened(a), widened(b)), a.dtype);
  Dims shape(a.shape, a.ndim);
  shape[a.ndim - 1] = b.shape[b.ndim - 1];
  check(a.shape[a.ndim - 1] == b.shape[b.ndim - 2] && (a.ndim == 2 || a.shape[0] == b.shape[0]), Kind::Runtime, name,
        ": shapes ", text(a.dims()), " and ", text(b.dims()), " cannot be multiplied");
  Array c = empty_product(shape, a.dtype, a.shape[a.ndim - 1], name), bias = expand(input, shape, name);
  if (a.dtype == DType::b8) copy_into(c, bias);
  else product(name, c, a, b, bias);
  return c;
}

Array linear(const Array& x, const Array& w, const MaybeArray& bias) {
  check(w.ndim == 2 || w.ndim == 1, Kind::Runtime, "linear: weight must be (out, in) or (in), got shape ",
        text(w.dims()));
  check(x.ndim > 0, Kind::Runtime, "linear: input must have at least 1 dimension");
  check_same(x, w, "linear");
  if (is_small_integer(x)) {
    if (bias) check_same(x, *bias, "linear");
    return convert(linear(widened(x), widened(w), bias ? MaybeArray(widened(*bias)) : MaybeArray()), x.dtype);
  }
  int64_t k = w.shape[w.ndim - 1], n = w.ndim == 2 ? w.shape[0] : 1;
  check(x.shape[x.ndim - 1] == k, Kind::Runtime, "linear: expected input.shape[-1] == weight.shape[-1], got ",
        x.shape[x.ndim - 1], " and ", k, " (input: ", text(x.dims()), ", weight: ", text(w.dims()), ")");
  Dims shape(x.shape, x.ndim);
  shape[x.ndim - 1] = n;
  Array y = empty_product(shape, x.dtype, k, "linear");
  if (x.dtype == DType::b8) return y;
  int64_t m = 1;
  for (int d = 0; d < x.ndim - 1; d++) m *= x.shape[d];
  Array rows = x, flat = y;
  if (x.ndim != 2) {
    auto folded = try_view(x, Dims{m, k});
    rows = folded ? *folded : *try_view(contiguous(x), Dims{m, k});
    flat = *try_view(y, Dims{m, n});
  }
  MaybeArray b;
  if (bias) {
    check_same(x, *bias, "linear");
    check(bias->ndim <= 1 && (bias->ndim == 0 || bias->shape[0] == n || bias->shape[0] == 1), Kind::Runtime,
          "linear: bias must have shape (", n, ",), got ", text(bias->dims()));
    b = expand(*bias, Dims{m, n}, "linear");
  }
  product("linear", flat, rows, transpose(w.ndim == 2 ? w : unsqueeze(w, 0), 0, 1), b);
  if (w.ndim == 1) y = squeeze(y, Dims{-1}, false);
  return y;
}

}  // namespace mielina::ops
