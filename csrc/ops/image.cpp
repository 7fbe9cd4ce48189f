#include "ops/image.h"

#include <cmath>

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {

// ---- volumes --------------------------------------------------------------------------------------------------------
Array as_volume(const Array& x, int64_t dims, const char* name) {
  check(x.ndim == dims + 1 || x.ndim == dims + 2, Kind::Runtime, name, ": expected ", dims + 1, "-D (C, ...) or ",
        dims + 2, "-D (N, C, ...) input, got ", text(x.dims()));
  for (int64_t d = x.ndim - dims - 1; d < x.ndim; d++)
    check(x.shape[d] > 0, Kind::Runtime, name, ": expected input with non-zero sizes beside the batch's, got ",
          text(x.dims()));
  Array v = x.ndim == dims + 1 ? unsqueeze(x, 0) : x;
  while (v.ndim < 5) v = unsqueeze(v, 2);
  return v;
}

Array from_volume(const Array& y, int64_t dims, bool batched) {
  Dims shape, stride;
  for (int d = batched ? 0 : 1; d < 5; d++)
    if (d < 2 || d >= 5 - dims) {
      shape.push(y.shape[d]);
      stride.push(y.stride[d]);
    }
  return as_strided(y, shape, stride, y.offset);
}

Array empty_image(const Dims& shape, DType dtype, const Array& like) {
  if (like.ndim < 3 || like.shape[1] <= 1 || like.stride[1] != 1 || is_contiguous(like)) return empty(shape, dtype);
  Dims last, order{0, shape.n - 1};
  for (int d = 0; d < shape.n; d++)
    if (d != 1) last.push(shape[d]);
  last.push(shape[1]);
  for (int d = 1; d < shape.n - 1; d++) order.push(d);
  return permute(empty(last, dtype), order);
}

Dims spread(const Dims& d, int64_t dims, const char* name, const char* what) {
  check(d.n == 1 || d.n == dims, Kind::Runtime, name, ": ", what, " must be one int or a tuple of ", dims, ", got ",
        text(d));
  Dims all = d;
  while (all.n < dims) all.push(d[0]);
  return all;
}

Dims volume_shape(const Dims& shape, int64_t dims, const char* name) {
  check(dims >= 1 && dims <= 3, Kind::Value, name, ": expected 1 to 3 dimensions, got ", dims);
  check(shape.n == dims + 1 || shape.n == dims + 2, Kind::Runtime, name, ": expected ", dims + 1, " or ", dims + 2,
        " sizes, got ", text(shape));
  checked_numel(shape);
  int64_t lead = shape.n - dims - 1;
  Dims v{lead ? shape[0] : 1, shape[int(lead)]};
  for (int64_t d = dims; d < 3; d++) v.push(1);
  for (int64_t d = 0; d < dims; d++) v.push(shape[int(lead + 1 + d)]);
  for (int d = 1; d < 5; d++)
    check(v[d] > 0, Kind::Runtime, name, ": expected non-zero sizes beside the batch's, got ", text(shape));
  return v;
}

static AxisMap unit_axis() { return {AxisKind::window, Divide::none, false, false, 1, 1, 1, 1, 0, 1, 1.0}; }
ImageMap unit_map() { return {{unit_axis(), unit_axis(), unit_axis()}, false, 0}; }

// The mean of a whole image whose pixels are evenly spaced is that of one long row.
static bool takes_all(const AxisMap& m) {
  return m.out == 1 && (m.kind == AxisKind::adaptive ||
                        (m.kind == AxisKind::window && m.padding == 0 && m.kernel == m.in && m.dilation == 1));
}
static void as_one_row(Array& image, ImageMap& map) {
  int64_t *n = image.shape + 2, *s = image.stride + 2, pixels = n[0] * n[1] * n[2];
  bool even = (n[1] == 1 || s[1] == n[2] * s[2]) && (n[0] == 1 || s[0] == n[1] * n[2] * s[2]) && n[2] > 1;
  if (!even || n[1] * n[0] == 1 || pixels > INT32_MAX || !takes_all(map.axis[0]) || !takes_all(map.axis[1]) ||
      !takes_all(map.axis[2]))
    return;
  Divide divide = map.axis[2].divide;
  image = as_strided(image, Dims{image.shape[0], image.shape[1], 1, 1, pixels},
                     Dims{image.stride[0], image.stride[1], s[0], s[1], s[2]}, image.offset);
  map.axis[0] = map.axis[1] = unit_axis();
  map.axis[2] = {
      AxisKind::adaptive, divide == Divide::none ? divide : Divide::taps, false, false, pixels, 1, 1, 1, 0, 1, 1.0};
}

Array resample(const char* name, const Array& x, int64_t dims, const ImageMap& asked) {
  ImageMap map = asked;
  Array xv = as_volume(map.transposed ? apart(x) : x, dims, name);
  Dims shape{xv.shape[0], xv.shape[1]};
  for (int d = 0; d < 3; d++) {
    const AxisMap& m = map.axis[d];
    check(xv.shape[2 + d] == (map.transposed ? m.out : m.in), Kind::Runtime, name, ": the gradient has shape ",
          text(x.dims()), ", which is not the result's");
    check(m.in <= INT32_MAX && m.out <= INT32_MAX, Kind::Value, name, ": sizes must fit 32 bits");
    shape.push(map.transposed ? m.in : m.out);
  }
  Array y = empty_image(shape, x.dtype, xv), yv = y;
  as_one_row(map.transposed ? yv : xv, map);
  Cost cost;
  if (auto query = kernels(x.device()).resample_workspace)
    cost.workspace = query(make_ctx(x.device()), yv.view(), xv.view(), map);
  launch<&Kernels::resample>(name, cost, out(yv), in(xv), map);
  return from_volume(y, dims, x.ndim == dims + 2);
}

// ---- resizing -------------------------------------------------------------------------------------------------------
template <class T>
static T one_of(const std::string& name, std::initializer_list<std::pair<const char*, T>> known,
                const char* complaint) {
  for (const auto& [word, value] : known)
    if (name == word) return value;
  fail(Kind::Value, complaint, name);
}

static AxisKind resize_kind(const std::string& mode) {
  return one_of<AxisKind>(mode,
                          {{"nearest", AxisKind::nearest},
                           {"nearest-exact", AxisKind::nearest_exact},
                           {"linear", AxisKind::linear},
                           {"cubic", AxisKind::cubic}},
                          "interpolate: unknown mode ");
}

// PyTorch's input steps an output step of the nearest modes. Images of float64 take them in double, but not small ones
// of two axes, whose sizes it also lets decide in "nearest" where the result is once or twice as large, whatever scale
// is given.
static double nearest_scale(const AxisMap& m, double scale, DType dtype, bool small) {
  if (small && m.kind == AxisKind::nearest && (m.out == m.in || m.out == 2 * m.in)) scale = 0;
  if (dtype == DType::f64 && !small) return scale > 0 ? 1.0 / scale : double(m.in) / double(m.out);
  return scale > 0 ? float(1.0 / scale) : float(m.in) / float(m.out);
}

static ImageMap resize_map(const Array& x, const Dims& image, const Dims& size, int64_t dims,
                           const std::vector<double>& scales, AxisKind kind, bool align_corners, bool antialias) {
  bool nearest = kind == AxisKind::nearest || kind == AxisKind::nearest_exact;
  check(dims >= 1 && dims <= 3 && size.n == dims && int64_t(scales.size()) == dims, Kind::Value, "interpolate: ", dims,
        " sizes and scales expected");
  check(is_floating(x.dtype) || ((nearest || dims == 2) && x.dtype == DType::u8), Kind::NotImplemented,
        "interpolate: not implemented for ", name_of(x.dtype));
  ImageMap map = unit_map();
  for (int64_t d = 0; d < dims; d++) {
    AxisMap& m = map.axis[3 - dims + d];
    m.kind = kind;
    m.in = image[int(5 - dims + d)];
    m.out = size[int(d)];
    check(m.out > 0, Kind::Runtime, "interpolate: input and output sizes should be greater than 0, got ", text(size));
    double scale = scales[size_t(d)];
    check(scale >= 0 && std::isfinite(scale), Kind::Runtime, "interpolate: scale factors must be positive, got ",
          scale);
    m.align_corners = align_corners;
    m.antialias = antialias;
    // An axis that keeps its size is copied, whatever scale is given: a neighbour that weighs 0 may be NaN.
    if (m.in == m.out && (kind == AxisKind::linear || antialias)) {
      m.kind = AxisKind::window;
      continue;
    }
    if (nearest) m.scale = nearest_scale(m, scale, x.dtype, dims == 2 && size[0] + size[1] <= 128);
    else if (align_corners) m.scale = m.out > 1 ? double(m.in - 1) / double(m.out - 1) : 0.0;
    else m.scale = scale > 0 ? 1.0 / scale : double(m.in) / double(m.out);
  }
  return map;
}

// One axis of (A, in, B).
static Array resize_bytes(const Array& x, const AxisMap& map) {
  Array y = empty(Dims{x.shape[0], map.out, x.shape[2]}, x.dtype);
  Cost cost;
  if (auto query = kernels(x.device()).resize_bytes_workspace) cost.workspace = query(map);
  if (y.numel() > 0) launch<&Kernels::resize_bytes>("interpolate", cost, out(y), in(x), map);
  return y;
}
// Columns, then rows, of (N, C, H, W) bytes.
static Array resize_bytes(const Array& x, const ImageMap& map) {
  bool last = x.shape[1] > 1 && x.stride[1] == 1 && !is_contiguous(x);
  int64_t N = x.shape[0], C = x.shape[1], H = x.shape[2], P = map.axis[1].out, Q = map.axis[2].out;
  Array y = contiguous(last ? permute(x, Dims{0, 2, 3, 1}) : x);
  if (Q != x.shape[3])
    y = resize_bytes(reshape(y, Dims{last ? N * H : N * C * H, x.shape[3], last ? C : 1}), map.axis[2]);
  if (P != H) y = resize_bytes(reshape(y, Dims{last ? N : N * C, H, last ? Q * C : Q}), map.axis[1]);
  y = last ? permute(reshape(y, Dims{N, P, Q, C}), Dims{0, 3, 1, 2}) : reshape(y, Dims{N, C, P, Q});
  return P == H && Q == x.shape[3] ? clone(y) : y;
}

Array resize(const Array& x, int64_t dims, const Dims& size, const std::vector<double>& scales, const std::string& mode,
             bool align_corners, bool antialias) {
  Dims image = volume_shape(x.dims(), dims, "interpolate");
  AxisKind kind = resize_kind(mode);
  ImageMap map = resize_map(x, image, size, dims, scales, kind, align_corners, antialias);
  if (x.dtype == DType::u8 && (kind == AxisKind::linear || kind == AxisKind::cubic)) return resize_bytes(x, map);
  return resample("interpolate", x, dims, map);
}

Array resize_backward(const Array& g, const Dims& shape, int64_t dims, const std::vector<double>& scales,
                      const std::string& mode, bool align_corners, bool antialias) {
  Dims out = volume_shape(g.dims(), dims, "interpolate_backward"), size(out.v + 5 - dims, int(dims));
  ImageMap map = resize_map(g, volume_shape(shape, dims, "interpolate_backward"), size, dims, scales, resize_kind(mode),
                            align_corners, antialias);
  map.transposed = true;
  return resample("interpolate_backward", g, dims, map);
}

// ---- borders --------------------------------------------------------------------------------------------------------
Array pad_constant(const Array& x, const std::vector<int64_t>& pads, Number value) {
  check(pads.size() % 2 == 0, Kind::Runtime, "pad: the number of widths must be even, got ", pads.size());
  int axes = int(pads.size() / 2);
  check(axes <= x.ndim, Kind::Runtime, "pad: ", pads.size(), " widths for a tensor of ", x.ndim, " dimensions");
  Dims shape = x.dims();
  Array from = x;
  auto before = [&](int d) { return x.ndim - 1 - d < axes ? pads[size_t(2 * (x.ndim - 1 - d))] : 0; };
  auto after = [&](int d) { return x.ndim - 1 - d < axes ? pads[size_t(2 * (x.ndim - 1 - d) + 1)] : 0; };
  for (int d = 0; d < x.ndim; d++) {
    int64_t n = x.shape[d], b = before(d), a = after(d);
    check(!__builtin_add_overflow(n, b, &n) && !__builtin_add_overflow(n, a, &n) && n >= 0, Kind::Runtime,
          "pad: widths ", b, " and ", a, " leave a negative size of dimension ", d, " of ", text(x.dims()));
    shape[d] = n;
    int64_t low = std::min(std::max<int64_t>(0, -b), x.shape[d]),
            high = std::max(low, x.shape[d] - std::max<int64_t>(0, -a));
    from = slice(from, d, low, high, 1);
  }
  Array y = empty_image(shape, x.dtype, x), inside = y;
  if (kernels(x.device()).pad && x.itemsize() == 4 && x.ndim > 0 && y.numel() > 0) {
    Shift shift{};
    bool borders = x.numel() == 0;
    for (int d = 0; d < x.ndim; d++) {
      shift.before[d] = before(d);
      borders |= before(d) > 0 || after(d) > 0;
    }
    if (borders) check_fits("pad", value, x.dtype);
    launch<&Kernels::pad>("pad", out(y), in(x), shift, borders ? value : Number{});
    return y;
  }
  for (int d = 0; d < x.ndim; d++) {  // the borders of one axis after the other, what lies between is left for the next
    int64_t b = std::max<int64_t>(0, before(d)), e = std::max(b, shape[d] - std::max<int64_t>(0, after(d)));
    for (const Array& border : {slice(inside, d, 0, b, 1), slice(inside, d, e, shape[d], 1)})
      if (border.numel() > 0) fill(border, value);
    inside = slice(inside, d, b, e, 1);
  }
  if (inside.numel() > 0) copy_into(inside, from);
  return y;
}

static ImageMap pad_map(const Dims& image, const std::vector<int64_t>& pads, const std::string& mode) {
  int64_t dims = int64_t(pads.size()) / 2;
  ImageMap map = unit_map();
  AxisKind kind = one_of<AxisKind>(
      mode, {{"reflect", AxisKind::reflect}, {"replicate", AxisKind::replicate}, {"circular", AxisKind::circular}},
      "pad: unknown mode ");
  for (int64_t d = 0; d < dims; d++) {
    AxisMap& m = map.axis[3 - dims + d];
    int64_t before = pads[size_t(2 * (dims - 1 - d))], after = pads[size_t(2 * (dims - 1 - d) + 1)];
    m.kind = kind;
    m.in = image[int(5 - dims + d)];
    check(std::max(before, after) < INT32_MAX && std::min(before, after) > -INT32_MAX && before + after > -m.in,
          Kind::Runtime, "pad: widths ", before, " and ", after, " leave nothing of a size of ", m.in);
    int64_t most = mode == "reflect" ? m.in - 1 : mode == "circular" ? m.in : INT32_MAX;
    check(before <= most && after <= most, Kind::Runtime, "pad: mode ", mode, " takes widths up to ", most,
          " for a size of ", m.in, ", got ", before, " and ", after);
    m.padding = before;
    m.out = m.in + before + after;
  }
  return map;
}
static int64_t pad_dims(const std::vector<int64_t>& pads) {
  check(pads.size() % 2 == 0 && pads.size() >= 2 && pads.size() <= 6, Kind::NotImplemented, "pad: ", pads.size(),
        " widths; 2, 4 or 6 expected");
  return int64_t(pads.size()) / 2;
}

Array pad_image(const Array& x, const std::vector<int64_t>& pads, const std::string& mode) {
  int64_t dims = pad_dims(pads);
  return resample("pad", x, dims, pad_map(volume_shape(x.dims(), dims, "pad"), pads, mode));
}

Array pad_image_backward(const Array& g, const std::vector<int64_t>& pads, const std::string& mode) {
  int64_t dims = pad_dims(pads);
  Dims image = volume_shape(g.dims(), dims, "pad_backward");
  for (int64_t d = 0; d < dims; d++) image[int(4 - d)] -= pads[size_t(2 * d)] + pads[size_t(2 * d + 1)];
  for (int d = 2; d < 5; d++)
    check(image[d] > 0, Kind::Runtime, "pad_backward: the gradient is smaller than its borders");
  ImageMap map = pad_map(image, pads, mode);
  map.transposed = true;
  return resample("pad_backward", g, dims, map);
}

// ---- sampling -------------------------------------------------------------------------------------------------------
static SampleArgs sample_args(const Array& x, const Array& grid, const std::string& mode, const std::string& border,
                              bool align_corners) {
  check(x.ndim == 4 || x.ndim == 5, Kind::Runtime, "grid_sample: expected 4-D or 5-D input, got ", text(x.dims()));
  check(grid.ndim == x.ndim, Kind::Runtime, "grid_sample: input ", text(x.dims()), " and grid ", text(grid.dims()),
        " must have as many dimensions");
  check(grid.shape[0] == x.shape[0], Kind::Runtime, "grid_sample: input ", text(x.dims()), " and grid ",
        text(grid.dims()), " must have the same batch size");
  check(grid.shape[grid.ndim - 1] == x.ndim - 2, Kind::Runtime, "grid_sample: expected a grid with ", x.ndim - 2,
        " numbers in the last dimension, got ", text(grid.dims()));
  for (int d = 2; d < x.ndim; d++)
    check(x.shape[d] > 0, Kind::Runtime, "grid_sample: expected an input with non-empty spatial dimensions, got ",
          text(x.dims()));
  check(x.dtype == grid.dtype, Kind::Runtime, "grid_sample: input and grid must have one dtype, got ", name_of(x.dtype),
        " and ", name_of(grid.dtype));
  check(is_floating(x.dtype), Kind::NotImplemented, "grid_sample: not implemented for ", name_of(x.dtype));
  Sample sample =
      one_of<Sample>(mode, {{"bilinear", Sample::bilinear}, {"nearest", Sample::nearest}, {"bicubic", Sample::bicubic}},
                     "grid_sample: unknown mode ");
  check(sample != Sample::bicubic || x.ndim == 4, Kind::Runtime,
        "grid_sample: bicubic interpolation takes 4-D input only");
  return {
      sample,
      one_of<Border>(border, {{"zeros", Border::zeros}, {"border", Border::border}, {"reflection", Border::reflection}},
                     "grid_sample: unknown padding mode "),
      align_corners};
}
Array warp(const Array& x, const Array& matrices, const Dims& size, const std::string& mode,
           const std::string& border) {
  check(x.ndim == 4, Kind::Runtime, "warp: expected images (N, C, H, W), got ", text(x.dims()));
  check(x.dtype == DType::f32 || x.dtype == DType::u8, Kind::NotImplemented, "warp: expected float32 or uint8, got ",
        name_of(x.dtype));
  check(matrices.dims() == Dims{x.shape[0], 2, 3}, Kind::Runtime, "warp: expected matrices ",
        text(Dims{x.shape[0], 2, 3}), ", got ", text(matrices.dims()));
  check(is_floating(matrices.dtype), Kind::Type, "warp: expected floating matrices, got ", name_of(matrices.dtype));
  check(size.n == 2 && size[0] >= 0 && size[1] >= 0, Kind::Runtime, "warp: expected a size of two numbers, got ",
        text(size));
  check(x.shape[2] > 0 && x.shape[3] > 0, Kind::Runtime, "warp: expected images with pixels, got ", text(x.dims()));
  // Places are float32: beyond, a rounding error could be wider than the margin by which a block counts as inside.
  constexpr int64_t side = 1 << 20;
  check(x.shape[2] <= side && x.shape[3] <= side && size[0] <= side && size[1] <= side, Kind::NotImplemented,
        "warp: images of more than 2^20 pixels a side, got ", text(x.dims()), " to ", text(size));
  int64_t reach = 0;
  for (int d = 2; d < 4; d++) reach += (x.shape[d] - 1) * (x.stride[d] < 0 ? -x.stride[d] : x.stride[d]);
  check(reach < INT32_MAX, Kind::NotImplemented, "warp: images of 2^31 elements and more");
  SampleArgs args{
      one_of<Sample>(mode, {{"bilinear", Sample::bilinear}, {"nearest", Sample::nearest}}, "warp: unknown mode "),
      one_of<Border>(border, {{"zeros", Border::zeros}, {"border", Border::border}, {"reflection", Border::reflection}},
                     "warp: unknown padding mode "),
      false};
  Array y = empty_image(Dims{x.shape[0], x.shape[1], size[0], size[1]}, x.dtype, x);
  const Array m = matrices.dtype == DType::f64 ? matrices : convert(matrices, DType::f64);
  launch<&Kernels::warp>("warp", out(y), in(x), in(m), args);
  return y;
}

static Array in_full(const Array& x) { return is_half(x.dtype) ? convert(x, DType::f32) : x; }
static Array as_before(const Array& y, DType dtype) { return y.dtype == dtype ? y : convert(y, dtype); }
static Array points(const Array& grid) { return grid.ndim == 4 ? unsqueeze(grid, 1) : grid; }

Array grid_sample(const Array& x, const Array& grid, const std::string& mode, const std::string& border,
                  bool align_corners) {
  SampleArgs args = sample_args(x, grid, mode, border, align_corners);
  Array from = in_full(x), at = in_full(grid), xv = from.ndim == 4 ? unsqueeze(from, 2) : from, gv = points(at);
  Array y = empty_image(Dims{xv.shape[0], xv.shape[1], gv.shape[1], gv.shape[2], gv.shape[3]}, from.dtype, xv);
  launch<&Kernels::grid_sample>("grid_sample", out(y), in(xv), in(gv), args);
  return as_before(from_volume(y, x.ndim - 2, true), x.dtype);
}

static Array sample_gradient(const Array& g, const Array& x, const Array& grid, const SampleArgs& args, bool of_grid) {
  auto volume = [](const Array& a) { return a.ndim == 4 ? unsqueeze(a, 2) : a; };
  Array gv = points(in_full(grid)), uv = volume(in_full(g));
  check(g.ndim == x.ndim && g.dtype == x.dtype &&
            uv.dims() == Dims{x.shape[0], x.shape[1], gv.shape[1], gv.shape[2], gv.shape[3]},
        Kind::Runtime, "grid_sample_backward: the gradient has shape ", text(g.dims()), ", which is not the result's");
  Array d = empty_like(of_grid ? grid : x, uv.dtype);
  if (of_grid)
    launch<&Kernels::grid_sample_backward_grid>("grid_sample_backward", out(points(d)), in(uv), in(volume(in_full(x))),
                                                in(gv), args);
  else launch<&Kernels::grid_sample_backward>("grid_sample_backward", out(volume(d)), in(uv), in(gv), args);
  return as_before(d, x.dtype);
}

Array grid_sample_backward(const Array& g, const Array& x, const Array& grid, const std::string& mode,
                           const std::string& border, bool align_corners) {
  return sample_gradient(g, x, grid, sample_args(x, grid, mode, border, align_corners), false);
}
Array grid_sample_backward_grid(const Array& g, const Array& x, const Array& grid, const std::string& mode,
                                const std::string& border, bool align_corners) {
  return sample_gradient(g, x, grid, sample_args(x, grid, mode, border, align_corners), true);
}

}  // namespace mielina::ops
