#include "ops/norm.h"

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {

static DType stat_type(const Array& x) { return x.dtype == DType::f64 ? DType::f64 : DType::f32; }

static void check_input(const Array& x, const char* name) {
  check(is_floating(x.dtype), Kind::NotImplemented, name, ": expected a floating dtype, got ", name_of(x.dtype));
}

// A weight or bias of n numbers, contiguous.
static MaybeArray vector_of(const MaybeArray& v, int64_t n, const char* name, const char* what) {
  if (!v) return v;
  check(v->numel() == n && is_floating(v->dtype), Kind::Runtime, name, ": ", what, " must hold ", n,
        " floating numbers, got shape ", text(v->dims()), " ", name_of(v->dtype));
  return contiguous(reshape(*v, Dims{n}));
}

// The gradient of a weight has its dtype, or x's where there is none.
static Array gradient_for(const MaybeArray& weight, const Array& x, int64_t n) {
  return empty(Dims{n}, weight ? weight->dtype : x.dtype);
}

static Array as_rows(const Array& x, int64_t row, const char* name) {
  check(row > 0 && x.numel() % row == 0, Kind::Value, name, ": ", text(x.dims()), " is not made of rows of ", row);
  return reshape(contiguous(x), Dims{x.numel() / row, row});
}

static NormRows rows_args(int64_t row, int64_t groups, int64_t inner, double eps, bool center, const char* name) {
  check(inner > 0 && groups > 0 && row % inner == 0, Kind::Value, name, ": rows of ", row,
        " are not made of channels of ", inner);
  return {groups, inner, eps, center};
}

std::tuple<Array, Array, Array> norm_rows(const Array& x, const MaybeArray& weight, const MaybeArray& bias, int64_t row,
                                          int64_t groups, int64_t inner, double eps, bool center) {
  const char* name = "norm";
  check_input(x, name);
  NormRows args = rows_args(row, groups, inner, eps, center, name);
  Array xr = as_rows(x, row, name), y = empty(x.dims(), x.dtype);
  int64_t C = groups * (row / inner);
  Array mean = empty(Dims{xr.shape[0]}, stat_type(x)), rstd = empty(Dims{xr.shape[0]}, stat_type(x));
  MaybeArray w = vector_of(weight, C, name, "weight"), b = vector_of(bias, C, name, "bias");
  launch<&Kernels::norm_rows>(name, Cost{double(x.numel()) * 6, 0}, out(reshape(y, xr.dims())), out(mean), out(rstd),
                              in(xr), in(w), in(b), args);
  return {y, mean, rstd};
}

std::tuple<Array, Array, Array> norm_rows_backward(const Array& g, const Array& x, const Array& mean, const Array& rstd,
                                                   const MaybeArray& weight, int64_t row, int64_t groups, int64_t inner,
                                                   bool center) {
  const char* name = "norm_backward";
  check_input(x, name);
  NormRows args = rows_args(row, groups, inner, 0, center, name);
  check(g.dims() == x.dims() && is_floating(g.dtype), Kind::Value, name, ": the gradient must have the input's shape");
  Array xr = as_rows(x, row, name), gr = as_rows(g, row, name), dx = empty(x.dims(), x.dtype);
  for (const Array* s : {&mean, &rstd})
    check(s->dims() == Dims{xr.shape[0]} && s->dtype == stat_type(x) && is_contiguous(*s), Kind::Value, name,
          ": the statistics do not belong to this input");
  int64_t C = groups * (row / inner);
  MaybeArray w = vector_of(weight, C, name, "weight");
  Array dw = gradient_for(weight, x, C), db = gradient_for(weight, x, C);
  Cost cost{double(x.numel()) * 12, 0};
  if (auto query = kernels(x.device()).norm_rows_workspace) cost.workspace = query(xr.view(), args);
  launch<&Kernels::norm_rows_backward>(name, cost, out(reshape(dx, xr.dims())), out(dw), out(db), in(gr), in(xr),
                                       in(mean), in(rstd), in(w), args);
  return {dx, dw, db};
}

// ---- batch normalisation --------------------------------------------------------------------------------------------
// x: (N, C, ...) as (A, C, B), or nothing where its strides do not allow it: planes in C order (any strides over N and
// C), or channels innermost.
static std::optional<Array> planes(const Array& x) {
  int64_t B = 1, A = x.shape[0], inner = 1, outer = 1;
  bool order = true, last = x.stride[1] == 1 || x.shape[1] == 1;
  for (int d = x.ndim - 1; d >= 2; d--) {
    if (x.shape[d] != 1) {
      order &= x.stride[d] == B;
      last &= x.stride[d] == x.shape[1] * outer;
    }
    B *= x.shape[d];
    outer *= x.shape[d];
  }
  if (B > 1 && order) return as_strided(x, Dims{A, x.shape[1], B}, Dims{x.stride[0], x.stride[1], inner}, x.offset);
  if (x.shape[0] != 1 && B > 1) last &= x.stride[0] == x.shape[1] * outer;
  if (!last) return std::nullopt;
  return as_strided(x, Dims{A * B, x.shape[1], 1}, Dims{B > 1 ? x.shape[1] : x.stride[0], 1, 1}, x.offset);
}
// An output in x's stride order, or in C order if no kernel takes x's.
static Array output_like(const Array& x) {
  Array y = empty_like(x);
  return planes(y) ? y : empty(x.dims(), x.dtype);
}

static void check_channels(const Array& x, const char* name) {
  check_input(x, name);
  check(x.ndim >= 2, Kind::Value, name, ": expected an input (N, C, ...) of at least 2 dimensions, got ",
        text(x.dims()));
}

std::tuple<Array, Array, Array> batch_norm(const Array& x, const MaybeArray& weight, const MaybeArray& bias,
                                           const MaybeArray& running_mean, const MaybeArray& running_var, bool training,
                                           double momentum, double eps) {
  const char* name = "batch_norm";
  check_channels(x, name);
  int64_t C = x.shape[1];
  check(bool(running_mean) == bool(running_var), Kind::Value, name, ": running_mean and running_var come together");
  check(training || running_mean, Kind::Runtime, name,
        ": inference needs running_mean and running_var; pass them, or training=True");
  check(training ? eps > 0 : eps >= 0, Kind::Value, name, ": eps must not be negative, nor 0 in training, got ", eps);
  Array none = empty(Dims{0}, DType::f32), rm = none, rv = none;
  if (running_mean) {
    for (const MaybeArray* r : {&running_mean, &running_var}) {
      check((*r)->dims() == Dims{C} && is_floating((*r)->dtype), Kind::Runtime, name,
            ": running statistics must be vectors of ", C, " floating numbers, got ", text((*r)->dims()));
      if (training) check_writable(**r, name);
    }
    rm = contiguous(*running_mean), rv = contiguous(*running_var);
  }
  MaybeArray w = vector_of(weight, C, name, "weight"), b = vector_of(bias, C, name, "bias");
  Array y = output_like(x), mean = empty(Dims{C}, stat_type(x)), rstd = empty(Dims{C}, stat_type(x));
  if (x.numel() == 0) return {y, mean, rstd};
  auto view = planes(x);
  Array xv = view ? *view : *planes(in_layout(x, y)), yv = *planes(y);
  if (xv.dims() != yv.dims()) xv = *planes(in_layout(x, y));
  Cost cost{double(x.numel()) * 6, 0};
  if (auto query = kernels(x.device()).batch_norm_workspace) cost.workspace = query(xv.view());
  // Outside training the running statistics are only read: their versions must not move.
  if (training)
    launch<&Kernels::batch_norm>(name, cost, out(yv), out(mean), out(rstd), out(rm), out(rv), in(xv), in(w), in(b),
                                 training, momentum, eps);
  else
    launch<&Kernels::batch_norm>(name, cost, out(yv), out(mean), out(rstd), in(rm), in(rv), in(xv), in(w), in(b),
                                 training, momentum, eps);
  // Strided statistics were moved in a copy.
  if (training && running_mean && !is_contiguous(*running_mean)) copy_into(*running_mean, rm);
  if (training && running_var && !is_contiguous(*running_var)) copy_into(*running_var, rv);
  return {y, mean, rstd};
}

std::tuple<Array, Array, Array> batch_norm_backward(const Array& g, const Array& x, const Array& mean,
                                                    const Array& rstd, const MaybeArray& weight, bool training) {
  const char* name = "batch_norm_backward";
  check_channels(x, name);
  int64_t C = x.shape[1];
  check(g.dims() == x.dims() && is_floating(g.dtype), Kind::Value, name, ": the gradient must have the input's shape");
  for (const Array* s : {&mean, &rstd})
    check(s->dims() == Dims{C} && s->dtype == stat_type(x) && is_contiguous(*s), Kind::Value, name,
          ": the statistics do not belong to this input");
  MaybeArray w = vector_of(weight, C, name, "weight");
  Array dx = output_like(x), dw = gradient_for(weight, x, C), db = gradient_for(weight, x, C);
  if (x.numel() == 0) {
    fill(dw, Number{0, 0, true});
    fill(db, Number{0, 0, true});
    return {dx, dw, db};
  }
  Array dv = *planes(dx), xv = *planes(in_layout(x, dx)), gv = *planes(in_layout(g, dx));
  Cost cost{double(x.numel()) * 12, 0};
  if (auto query = kernels(x.device()).batch_norm_workspace) cost.workspace = query(xv.view());
  launch<&Kernels::batch_norm_backward>(name, cost, out(dv), out(dw), out(db), in(gv), in(xv), in(mean), in(rstd),
                                        in(w), training);
  return {dx, dw, db};
}

}  // namespace mielina::ops
