#include "ops/pool.h"

#include "ops/elementwise.h"
#include "ops/image.h"
#include "ops/layout.h"

namespace mielina::ops {
namespace {

// The windows of a pooling over an image of (N, C, D, H, W).
struct Windows {
  ImageMap map;
  Dims out;
};

Windows windows(const char* name, const Dims& image, int64_t dims, const Dims& kernel,
                const std::optional<Dims>& stride, const Dims& padding, const Dims& dilation, bool ceil_mode) {
  Dims k = spread(kernel, dims, name, "kernel_size"),
       s = stride && stride->n ? spread(*stride, dims, name, "stride") : k;
  Dims p = spread(padding, dims, name, "padding"), d = spread(dilation, dims, name, "dilation");
  Windows w{unit_map(), image};
  for (int i = 0; i < dims; i++) {
    check(k[i] > 0 && k[i] <= INT32_MAX, Kind::Runtime, name, ": kernel size should be greater than zero, got ",
          text(k));
    check(s[i] > 0 && s[i] <= INT32_MAX, Kind::Runtime, name, ": stride should be greater than zero, got ", text(s));
    check(d[i] > 0 && d[i] <= INT32_MAX, Kind::Runtime, name, ": dilation should be greater than zero, got ", text(d));
    int64_t reach = d[i] * (k[i] - 1) + 1;
    check(p[i] >= 0, Kind::Runtime, name, ": padding must be non-negative, got ", text(p));
    check(p[i] <= reach / 2, Kind::Runtime, name,
          ": padding should be at most half of the effective kernel size, got padding ", p[i], ", kernel size ", k[i],
          " and dilation ", d[i]);
    int axis = int(5 - dims) + i;
    int64_t in = image[axis], room = in + 2 * p[i] - reach;
    int64_t n = room < 0 && !(ceil_mode && room + s[i] - 1 >= 0) ? 0 : (room + (ceil_mode ? s[i] - 1 : 0)) / s[i] + 1;
    if (ceil_mode && (n - 1) * s[i] >= in + p[i]) n--;  // a last window must start inside the image or its left padding
    check(n > 0, Kind::Runtime, name, ": an input of ", in, " with padding ", p[i], " is too small for windows of ",
          reach);
    w.map.axis[axis - 2] = {AxisKind::window, Divide::none, false, false, in, n, k[i], s[i], p[i], d[i], 1.0};
    w.out[axis] = n;
  }
  return w;
}

Windows adaptive(const char* name, const Dims& image, int64_t dims, const Dims& size) {
  Dims target = spread(size, dims, name, "output_size");
  Windows w{unit_map(), image};
  for (int i = 0; i < dims; i++) {
    int axis = int(5 - dims) + i;
    check(target[i] >= 0 && target[i] <= INT32_MAX, Kind::Runtime, name, ": output sizes must be non-negative, got ",
          text(target));
    w.map.axis[axis - 2] = {AxisKind::adaptive, Divide::none, false, false, image[axis], target[i], 1, 1, 0, 1, 1.0};
    w.out[axis] = target[i];
  }
  return w;
}

void check_dims(int64_t dims, const char* name) {
  check(dims >= 1 && dims <= 3, Kind::Value, name, ": 1, 2 or 3 spatial dimensions, got ", dims);
}

// Integers have no average and no adaptive pooling, but for int64 in avg_pool; bool none at all.
void check_dtype(const Array& x, bool integers, const char* name) {
  check(is_floating(x.dtype) || (integers && x.dtype != DType::b8), Kind::NotImplemented, name,
        ": not implemented for ", name_of(x.dtype));
}

int64_t plane(const Dims& image) { return image[2] * image[3] * image[4]; }

std::pair<Array, Array> max_pooled(const char* name, const Array& x, int64_t dims, const Windows& w,
                                   std::optional<DType> index_dtype) {
  Array xv = as_volume(x, dims, name), y = empty_image(w.out, x.dtype, xv), index;
  bool batched = x.ndim == dims + 2;
  if (index_dtype) index = empty_image(w.out, *index_dtype, xv);
  if (y.numel() > 0) {
    Cost cost;
    if (auto query = kernels(x.device()).max_pool_workspace)
      cost.workspace = query(make_ctx(x.device()), y.view(), xv.view(), w.map);
    if (index_dtype) launch<&Kernels::max_pool>(name, cost, out(y), out(index), in(xv), w.map);
    else launch<&Kernels::max_pool>(name, cost, out(y), in(MaybeArray()), in(xv), w.map);
  }
  return {from_volume(y, dims, batched), index_dtype ? from_volume(index, dims, batched) : index};
}

DType index_dtype(const Dims& image, bool small) {
  return small && plane(image) <= INT32_MAX ? DType::i32 : DType::i64;
}

Array max_pooled_backward(const char* name, const Array& g, const Array& index, const Dims& shape, int64_t dims,
                          const Windows& w) {
  check(index.dims() == g.dims() && (index.dtype == DType::i32 || index.dtype == DType::i64), Kind::Runtime, name,
        ": the indices have shape ", text(index.dims()), ", the gradient ", text(g.dims()));
  check(is_floating(g.dtype), Kind::NotImplemented, name, ": not implemented for ", name_of(g.dtype));
  Dims image = volume_shape(shape, dims, name);
  Array gv = as_volume(g, dims, name), iv = as_volume(index, dims, name);
  check(gv.dims() == w.out, Kind::Runtime, name, ": the gradient has shape ", text(g.dims()),
        ", which is not the result's");
  Array dx = empty_image(image, g.dtype, gv);
  Cost cost;
  if (auto query = kernels(g.device()).max_pool_backward_workspace)
    cost.workspace = query(make_ctx(g.device()), dx.view(), gv.view(), w.map);
  launch<&Kernels::max_pool_backward>(name, cost, out(dx), in(gv), in(iv), w.map);
  return from_volume(dx, dims, shape.n == dims + 2);
}

}  // namespace

Array max_pool(const Array& x, int64_t dims, const Dims& kernel, const std::optional<Dims>& stride, const Dims& padding,
               const Dims& dilation, bool ceil_mode) {
  check_dims(dims, "max_pool");
  check_dtype(x, true, "max_pool");
  Dims image = volume_shape(x.dims(), dims, "max_pool");
  return max_pooled("max_pool", x, dims, windows("max_pool", image, dims, kernel, stride, padding, dilation, ceil_mode),
                    std::nullopt)
      .first;
}

std::pair<Array, Array> max_pool_index(const Array& x, int64_t dims, const Dims& kernel,
                                       const std::optional<Dims>& stride, const Dims& padding, const Dims& dilation,
                                       bool ceil_mode, bool small) {
  check_dims(dims, "max_pool");
  check_dtype(x, true, "max_pool");
  Dims image = volume_shape(x.dims(), dims, "max_pool");
  Windows w = windows("max_pool", image, dims, kernel, stride, padding, dilation, ceil_mode);
  return max_pooled("max_pool", x, dims, w, index_dtype(image, small));
}

Array max_pool_backward(const Array& g, const Array& index, const Dims& shape, int64_t dims, const Dims& kernel,
                        const std::optional<Dims>& stride, const Dims& padding, const Dims& dilation, bool ceil_mode) {
  const char* name = "max_pool_backward";
  check_dims(dims, name);
  return max_pooled_backward(
      name, g, index, shape, dims,
      windows(name, volume_shape(shape, dims, name), dims, kernel, stride, padding, dilation, ceil_mode));
}

std::pair<Array, Array> adaptive_max_pool(const Array& x, int64_t dims, const Dims& size, bool small) {
  const char* name = "adaptive_max_pool";
  check_dims(dims, name);
  check_dtype(x, false, name);
  Dims image = volume_shape(x.dims(), dims, name);
  return max_pooled(name, x, dims, adaptive(name, image, dims, size), index_dtype(image, small));
}

Array adaptive_max_pool_backward(const Array& g, const Array& index, const Dims& shape, int64_t dims) {
  const char* name = "adaptive_max_pool_backward";
  check_dims(dims, name);
  Dims out = volume_shape(g.dims(), dims, name);
  return max_pooled_backward(name, g, index, shape, dims,
                             adaptive(name, volume_shape(shape, dims, name), dims, Dims(out.v + 5 - dims, int(dims))));
}

// ---- planes ---------------------------------------------------------------------------------------------------------
static Array even_planes(const Array& v) {
  bool even = (v.shape[3] == 1 || v.stride[3] == v.shape[4] * v.stride[4]) &&
              (v.shape[2] == 1 || v.stride[2] == v.shape[3] * v.shape[4] * v.stride[4]);
  return even && (v.shape[4] > 1 || v.stride[4] == 1) ? v : clone(contiguous(v));
}

Array plane_gather(const Array& x, const Array& index, int64_t dims) {
  const char* name = "plane_gather";
  check_dims(dims, name);
  check_dtype(x, false, name);
  Array xv = even_planes(as_volume(x, dims, name)), iv = as_volume(index, dims, name);
  check(index.dtype == DType::i64 || index.dtype == DType::i32, Kind::Runtime, name, ": indices must be int64, got ",
        name_of(index.dtype));
  check(iv.shape[0] == xv.shape[0] && iv.shape[1] == xv.shape[1], Kind::Runtime, name, ": input ", text(x.dims()),
        " and indices ", text(index.dims()), " must have the same N and C");
  Array y = empty_image(iv.dims(), x.dtype, iv);
  Cost cost;
  if (auto query = kernels(x.device()).plane_workspace)
    cost.workspace = query(make_ctx(x.device()), xv.view(), y.view());
  launch<&Kernels::plane_gather>(name, cost, out(y), in(xv), in(iv));
  return from_volume(y, dims, index.ndim == dims + 2);
}

Array plane_scatter(const Array& x, const Array& index, const Dims& shape, int64_t dims, bool add) {
  const char* name = add ? "plane_scatter" : "max_unpool";
  check_dims(dims, name);
  check_dtype(x, false, name);
  check(index.dtype == DType::i64 || (add && index.dtype == DType::i32), Kind::Runtime, name,
        ": elements in indices should be type int64 but got: ", name_of(index.dtype));
  check(index.dims() == x.dims(), Kind::Runtime, name, ": expected shape of indices to be the input's ", text(x.dims()),
        ", got ", text(index.dims()));
  Dims image = volume_shape(shape, dims, name);
  Array xv = as_volume(x, dims, name), iv = as_volume(index, dims, name);
  check(image[0] == xv.shape[0] && image[1] == xv.shape[1], Kind::Runtime, name, ": an input of ", text(x.dims()),
        " cannot fill ", text(shape));
  if (!add) {
    Array flat = on_host(iv);
    const int64_t* p = reinterpret_cast<const int64_t*>(flat.data());
    for (int64_t i = 0; i < flat.numel(); i++)
      check(p[i] >= 0 && p[i] < plane(image), Kind::Runtime, name, ": found an invalid max index: ", p[i],
            " (output volumes are of size ", plane(image), ")");
  }
  Array y = empty_image(image, x.dtype, xv);
  ImageMap none = unit_map();
  none.axis[0].out = 0;  // no windows: planes are always scattered to
  Cost cost;
  if (auto query = kernels(x.device()).plane_workspace)
    cost.workspace = query(make_ctx(x.device()), y.view(), xv.view());
  if (add) launch<&Kernels::max_pool_backward>(name, cost, out(y), in(xv), in(iv), none);
  else launch<&Kernels::plane_scatter>(name, cost, out(y), in(xv), in(iv));
  return from_volume(y, dims, shape.n == dims + 2);
}

// ---- averages -------------------------------------------------------------------------------------------------------
static ImageMap average(const char* name, const Dims& image, int64_t dims, const Dims& kernel,
                        const std::optional<Dims>& stride, const Dims& padding, bool ceil_mode, bool count_include_pad,
                        const std::optional<int64_t>& divisor) {
  check_dims(dims, name);
  check(!divisor || *divisor != 0, Kind::Runtime, name, ": divisor_override must not be zero");
  ImageMap map = windows(name, image, dims, kernel, stride, padding, Dims{1}, ceil_mode).map;
  for (AxisMap& m : map.axis) m.divide = divisor ? Divide::none : count_include_pad ? Divide::padded : Divide::taps;
  map.divisor = divisor.value_or(0);
  return map;
}

Array avg_pool(const Array& x, int64_t dims, const Dims& kernel, const std::optional<Dims>& stride, const Dims& padding,
               bool ceil_mode, bool count_include_pad, const std::optional<int64_t>& divisor) {
  check_dtype(x, x.dtype == DType::i64, "avg_pool");
  Dims image = volume_shape(x.dims(), dims, "avg_pool");
  return resample("avg_pool", x, dims,
                  average("avg_pool", image, dims, kernel, stride, padding, ceil_mode, count_include_pad, divisor));
}

Array avg_pool_backward(const Array& g, const Dims& shape, int64_t dims, const Dims& kernel,
                        const std::optional<Dims>& stride, const Dims& padding, bool ceil_mode, bool count_include_pad,
                        const std::optional<int64_t>& divisor) {
  const char* name = "avg_pool_backward";
  check_dtype(g, false, name);
  ImageMap map = average(name, volume_shape(shape, dims, name), dims, kernel, stride, padding, ceil_mode,
                         count_include_pad, divisor);
  map.transposed = true;
  return resample(name, g, dims, map);
}

static ImageMap adaptive_average(const char* name, const Dims& shape, int64_t dims, const Dims& size) {
  check_dims(dims, name);
  ImageMap map = adaptive(name, volume_shape(shape, dims, name), dims, size).map;
  for (AxisMap& m : map.axis) m.divide = Divide::taps;
  return map;
}

Array adaptive_avg_pool(const Array& x, int64_t dims, const Dims& size) {
  check_dtype(x, false, "adaptive_avg_pool");
  return resample("adaptive_avg_pool", x, dims, adaptive_average("adaptive_avg_pool", x.dims(), dims, size));
}

Array adaptive_avg_pool_backward(const Array& g, const Dims& shape, int64_t dims) {
  const char* name = "adaptive_avg_pool_backward";
  check_dtype(g, false, name);
  Dims out = volume_shape(g.dims(), dims, name);
  ImageMap map = adaptive_average(name, shape, dims, Dims(out.v + 5 - dims, int(dims)));
  map.transposed = true;
  return resample(name, g, dims, map);
}

// ---- columns --------------------------------------------------------------------------------------------------------
namespace {

struct ColumnShape {
  WindowArgs args{{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  int64_t taps = 1, rows = 1, width = 1;
};
// Of a 2-D image of h x w.
ColumnShape column_shape(const char* name, int64_t h, int64_t w, const Dims& kernel, const Dims& dilation,
                         const Dims& padding, const Dims& stride) {
  Dims k = spread(kernel, 2, name, "kernel_size"), d = spread(dilation, 2, name, "dilation");
  Dims p = spread(padding, 2, name, "padding"), s = spread(stride, 2, name, "stride");
  ColumnShape c;
  for (int i = 0; i < 2; i++) {
    auto fits = [&](const Dims& v, int64_t least) { return v[i] >= least && v[i] <= INT32_MAX; };
    check(fits(k, 1) && fits(d, 1) && fits(s, 1) && fits(p, 0), Kind::Runtime, name,
          ": kernel, dilation and stride should be greater than zero and padding non-negative, got ", text(k), ", ",
          text(d), ", ", text(s), ", ", text(p));
    int64_t n = i == 0 ? h : w, reach = d[i] * (k[i] - 1) + 1, room = n + 2 * p[i] - reach;
    check(room >= 0, Kind::Runtime, name, ": a spatial size of ", n, " with padding ", p[i],
          " is too small for blocks of ", reach);
    c.args.kernel[i + 1] = k[i];
    c.args.stride[i + 1] = s[i];
    c.args.padding[i + 1] = p[i];
    c.args.dilation[i + 1] = d[i];
    c.taps *= k[i];
    (i == 0 ? c.rows : c.width) = room / s[i] + 1;
  }
  checked_numel(Dims{c.rows, c.width});
  return c;
}

// (N, C taps, rows width) seen as (N, C, taps, rows, width).
Array column_view(const Array& y, const ColumnShape& c) {
  int64_t sc = y.stride[1], sl = y.stride[2];
  return as_strided(y, Dims{y.shape[0], y.shape[1] / c.taps, c.taps, c.rows, c.width},
                    Dims{y.stride[0], sc * c.taps, sc, sl * c.width, sl}, y.offset);
}

void check_column_dtype(const Array& x, const char* name) {
  check(is_floating(x.dtype) || x.dtype == DType::b8, Kind::NotImplemented, name, ": not implemented for ",
        name_of(x.dtype));
}

}  // namespace

Array unfold(const Array& x, const Dims& kernel, const Dims& dilation, const Dims& padding, const Dims& stride) {
  check_column_dtype(x, "unfold");
  Array xv = as_volume(x, 2, "unfold");
  ColumnShape c = column_shape("unfold", xv.shape[3], xv.shape[4], kernel, dilation, padding, stride);
  checked_numel(Dims{xv.shape[0], xv.shape[1], c.taps, c.rows, c.width});
  Array y = empty(Dims{xv.shape[0], xv.shape[1] * c.taps, c.rows * c.width}, x.dtype);
  launch<&Kernels::unfold>("unfold", out(column_view(y, c)), in(xv), c.args);
  return x.ndim == 4 ? y : squeeze(y, Dims{0}, false);
}

Array fold(const Array& x, const Dims& size, const Dims& kernel, const Dims& dilation, const Dims& padding,
           const Dims& stride) {
  check_column_dtype(x, "fold");
  check(x.ndim == 2 || x.ndim == 3, Kind::Runtime, "fold: expected input of (C, L) or (N, C, L), got ", text(x.dims()));
  Dims image = spread(size, 2, "fold", "output_size");
  checked_numel(image);
  Array columns = x.ndim == 2 ? unsqueeze(x, 0) : x;
  ColumnShape c = column_shape("fold", image[0], image[1], kernel, dilation, padding, stride);
  check(columns.shape[1] > 0 && columns.shape[1] % c.taps == 0, Kind::Runtime,
        "fold: expected size of input's dimension 1 to be divisible by the product of kernel_size, got ",
        columns.shape[1], " and ", c.taps);
  check(columns.shape[2] == c.rows * c.width, Kind::Runtime, "fold: expected ", c.rows * c.width,
        " blocks for output_size ", text(image), ", got ", columns.shape[2]);
  Array y = empty(Dims{columns.shape[0], columns.shape[1] / c.taps, 1, image[0], image[1]}, x.dtype);
  launch<&Kernels::fold>("fold", out(y), in(column_view(columns, c)), c.args);
  return from_volume(y, 2, x.ndim == 3);
}

}  // namespace mielina::ops
