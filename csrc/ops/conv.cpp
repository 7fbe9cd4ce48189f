#include "ops/conv.h"

#include <atomic>

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {

namespace {

std::atomic<bool> g_direct{false};

// (N, C, spatial...) with leading axes of size 1 inserted until three are spatial.
Array as_volume(Array x) {
  while (x.ndim < 5) x = unsqueeze(x, 2);
  return x;
}

// A call in the kernels' terms.
struct Convolution {
  std::string name;
  int n;          // spatial axes
  ConvArgs args;  // (depth, height, width): axis d of n stands at [3 - n + d]
  int64_t stride(int d) const { return args.stride[3 - n + d]; }
  int64_t padding(int d) const { return args.padding[3 - n + d]; }
  int64_t dilation(int d) const { return args.dilation[3 - n + d]; }
  int64_t reach(int d, int64_t taps) const { return dilation(d) * (taps - 1) + 1; }
};

// The n numbers of a parameter, given as n or as one, each in [least, 2^31).
void numbers(const Convolution& c, const char* what, const Dims& given, int64_t least, int64_t* to) {
  check(given.n == 1 || given.n == c.n, Kind::Runtime, c.name, ": ", what, " needs one number or ", c.n, ", got ",
        text(given));
  for (int d = 0; d < c.n; d++) {
    int64_t v = given[given.n == 1 ? 0 : d];
    check(v >= least && v < int64_t(1) << 31, Kind::Runtime, c.name, ": ", what, " must be ",
          least > 0 ? "positive" : "at least 0", " (and below 2^31), got ", text(given));
    to[3 - c.n + d] = v;
  }
}

// x and w: an image and the filters that go with it, checked against each other up to their channels.
Convolution convolution(const char* name, const Array& x, const Array& w, const MaybeArray& bias, const Dims& stride,
                        const Dims& padding, const Dims& dilation, int64_t groups) {
  int n = w.ndim - 2;
  check(n >= 1 && n <= 3 && x.ndim == w.ndim, Kind::Runtime, name,
        ": expected input (N, C, ...) and weight with the same 1 to 3 spatial axes, got ", text(x.dims()), " and ",
        text(w.dims()));
  Convolution c{name + std::to_string(n) + "d",
                n,
                {{1, 1, 1}, {0, 0, 0}, {1, 1, 1}, groups, g_direct.load(std::memory_order_relaxed)}};
  check(is_floating(x.dtype), Kind::NotImplemented, c.name, ": expected a floating dtype, got ", name_of(x.dtype));
  check(x.dtype == w.dtype && (!bias || bias->dtype == x.dtype), Kind::Runtime, c.name,
        ": input, weight and bias must have one dtype, got ", name_of(x.dtype), ", ", name_of(w.dtype), " and ",
        bias ? name_of(bias->dtype) : "none");
  check(groups > 0 && w.shape[0] % groups == 0, Kind::Runtime, c.name, ": groups=", groups,
        " must be positive and divide ", w.shape[0], ", the first axis of weight ", text(w.dims()));
  for (int d = 0; d < n; d++)
    check(w.shape[d + 2] > 0, Kind::Runtime, c.name, ": a filter must not be empty, got weight ", text(w.dims()));
  numbers(c, "stride", stride, 1, c.args.stride);
  numbers(c, "padding", padding, 0, c.args.padding);
  numbers(c, "dilation", dilation, 1, c.args.dilation);
  return c;
}

void check_bias(const Convolution& c, const MaybeArray& bias, int64_t channels) {
  check(!bias || (bias->ndim == 1 && bias->shape[0] == channels), Kind::Runtime, c.name, ": bias must have shape (",
        channels, ",), got ", text(bias ? bias->dims() : Dims{}));
}

bool is_channels_last(const Array& x) { return x.ndim > 3 && x.shape[1] > 1 && x.stride[1] == 1 && !is_contiguous(x); }

// n images of `channels`: as many axes as `order` has, and channels-last where it is.
Array empty_image(int64_t n, int64_t channels, const Dims& size, const Array& order) {
  Dims shape{n, channels}, last{n}, axes{0, size.n + 1};
  for (int d = 0; d < size.n; d++) {
    shape.push(size[d]);
    last.push(size[d]);
    axes.push(d + 1);
  }
  last.push(channels);
  return is_channels_last(order) ? permute(empty(last, order.dtype), axes) : empty(shape, order.dtype);
}

// Whether channels-last images are convolved as planes: groups of two to four channels fill no vector, and were
// gathered number by number (8 x 128 -> 128, 28 x 28, 32 groups on a Zen 3: 2.5 ms, 1.3 so; halves 0.7 of the speed).
bool go_as_planes(const Array& x, const Array& w, int64_t groups) {
  return groups > 1 && w.shape[1] > 1 && w.shape[1] <= 4 && w.shape[0] <= 4 * groups && is_channels_last(x) &&
         (x.dtype == DType::f32 || x.dtype == DType::f64) && x.numel() >= 4096 && x.device() == 0;
}
Array in_order_of(const Array& x, Array y) {
  Array to = empty_image(y.shape[0], y.shape[1], Dims(y.shape + 2, y.ndim - 2), x);
  copy_into(to, y);
  return to;
}

// Whether a planar image is laid channels-last: as its filters are. A network that was put in that order then takes
// planar images at its best speed, as PyTorch's do.
bool goes_last(const Array& x, const Array& w, int64_t groups) {
  return is_channels_last(w) && (groups == 1 || w.shape[1] >= 8) && x.stride[1] != 1;
}

// Where there is one output there is no step: a stride beyond the image would only make the kernels walk its
// remainders.
void drop_idle_strides(Convolution& c, const Array& y) {
  for (int d = 0; d < c.n; d++)
    if (y.shape[d + 2] <= 1) c.args.stride[3 - c.n + d] = 1;
}

// Multiply-adds count twice; the kernels' padded copies of an image must stay within what can be addressed.
Cost cost_of(const Convolution& c, const Array& y, const Array& x, const Array& w) {
  double padded = double(x.shape[1]), flops = 2.0 * double(y.numel()) * double(w.shape[1]);
  for (int d = 0; d < c.n; d++) {
    padded *= double(y.shape[d + 2]) * double(c.stride(d)) + double(c.reach(d, w.shape[d + 2]));
    flops *= double(w.shape[d + 2]);
  }
  check(padded < 1e15, Kind::Runtime, c.name, ": stride, padding and dilation make an image too large to address");
  Cost cost;
  cost.flops = flops;
  return cost;
}

Array gradient_of_input(Convolution c, const Array& g, const Array& w, const Dims& size) {
  check(g.shape[1] == w.shape[0], Kind::Runtime, c.name, ": weight of shape ", text(w.dims()), " expects ", w.shape[0],
        " input channels, got ", g.shape[1], " (input: ", text(g.dims()), ")");
  if (goes_last(g, w, c.args.groups)) return gradient_of_input(c, in_order_of(w, g), w, size);
  if (go_as_planes(g, w, c.args.groups)) return in_order_of(g, gradient_of_input(c, contiguous(g), w, size));
  bool single = true;  // pixels, which have no order: their filters' is taken
  for (int d = 2; d < g.ndim; d++) single &= g.shape[d] == 1;
  Array dx = empty_image(g.shape[0], w.shape[1] * c.args.groups, size, single ? w : g);
  drop_idle_strides(c, g);
  Cost cost = cost_of(c, g, dx, w);
  Array to = as_volume(dx), from = as_volume(apart(g)), filters = as_volume(w);
  Ctx ctx = make_ctx(g.device());
  if (auto query = kernels(g.device()).conv_backward_input_workspace)
    cost.workspace = query(ctx, to.view(), from.view(), filters.view(), c.args);
  launch<&Kernels::conv_backward_input>("conv_backward_input", cost, out(to), in(from), in(filters), c.args);
  return dx;
}

}  // namespace

void set_conv_algorithm(const std::string& name) {
  check(name == "auto" || name == "direct", Kind::Value, "set_conv_algorithm: expected auto or direct, got ", name);
  g_direct = name == "direct";
}
std::string conv_algorithm() { return g_direct ? "direct" : "auto"; }

Array conv(const Array& x, const Array& w, const MaybeArray& bias, const Dims& size, const Dims& stride,
           const Dims& padding, const Dims& dilation, int64_t groups) {
  Convolution c = convolution("conv", x, w, bias, stride, padding, dilation, groups);
  check(w.shape[1] * groups == x.shape[1], Kind::Runtime, c.name, ": weight of shape ", text(w.dims()),
        " with groups=", groups, " expects ", w.shape[1] * groups, " input channels, got ", x.shape[1],
        " (input: ", text(x.dims()), ")");
  check_bias(c, bias, w.shape[0]);
  check(size.n == 0 || size.n == c.n, Kind::Runtime, c.name, ": size needs ", c.n, " numbers, got ", text(size));
  Dims fits = size;
  for (int d = 0; d < c.n && size.n == 0; d++) {
    int64_t reach = c.reach(d, w.shape[d + 2]), padded = x.shape[d + 2] + 2 * c.padding(d);
    check(padded >= reach, Kind::Runtime, c.name, ": the padded input (", padded, ") is smaller than the filter (",
          reach, ") along axis ", d + 2, " (input: ", text(x.dims()), ", weight: ", text(w.dims()), ")");
    fits.push((padded - reach) / c.stride(d) + 1);
  }
  if (goes_last(x, w, groups)) return conv(in_order_of(w, x), w, bias, fits, stride, padding, dilation, groups);
  if (go_as_planes(x, w, groups))
    return in_order_of(x, conv(contiguous(x), w, bias, fits, stride, padding, dilation, groups));
  Array y = empty_image(x.shape[0], w.shape[0], fits, x);
  drop_idle_strides(c, y);
  Cost cost = cost_of(c, y, x, w);
  Array to = as_volume(y), from = as_volume(x), filters = as_volume(w);
  Ctx ctx = make_ctx(x.device());
  if (auto query = kernels(x.device()).conv_workspace)
    cost.workspace = query(ctx, to.view(), from.view(), filters.view(), c.args);
  launch<&Kernels::conv>("conv", cost, out(to), in(from), in(filters), in(bias), c.args);
  return y;
}

Array conv_backward_input(const Array& g, const Array& w, const Dims& size, const Dims& stride, const Dims& padding,
                          const Dims& dilation, int64_t groups) {
  Convolution c = convolution("conv", g, w, {}, stride, padding, dilation, groups);
  check(size.n == c.n, Kind::Runtime, c.name, ": size needs ", c.n, " numbers, got ", text(size));
  return gradient_of_input(c, g, w, size);
}

Array conv_transpose(const Array& x, const Array& w, const MaybeArray& bias, const Dims& output_padding,
                     const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups) {
  Convolution c = convolution("conv_transpose", x, w, bias, stride, padding, dilation, groups);
  int64_t extra[3];
  numbers(c, "output_padding", output_padding, 0, extra);
  check_bias(c, bias, w.shape[1] * groups);
  Dims size;
  for (int d = 0; d < c.n; d++) {
    int64_t more = extra[3 - c.n + d];
    check(more < c.stride(d) || more < c.dilation(d), Kind::Runtime, c.name, ": output_padding ", more,
          " must be smaller than the stride (", c.stride(d), ") or the dilation (", c.dilation(d), ")");
    size.push((x.shape[d + 2] - 1) * c.stride(d) - 2 * c.padding(d) + c.reach(d, w.shape[d + 2]) + more);
    check(size[d] > 0 && x.shape[d + 2] > 0, Kind::Runtime, c.name, ": an output of size ", size[d], " along axis ",
          d + 2, " (input: ", text(x.dims()), ", weight: ", text(w.dims()), ")");
  }
  Array y = gradient_of_input(c, x, w, size);
  if (bias) {
    Array column = *bias;
    for (int d = 0; d < c.n; d++) column = unsqueeze(column, -1);
    binary_into(Binary::add, y, Operand{&column});
  }
  return y;
}

Array conv_backward_weight(const Array& g, const Array& x, const Array& w, const Dims& stride, const Dims& padding,
                           const Dims& dilation, int64_t groups) {
  check(g.ndim == x.ndim && g.ndim > 2 && w.ndim == g.ndim && groups > 0 && w.shape[0] == g.shape[1] &&
            w.shape[1] * groups == x.shape[1],
        Kind::Runtime, "conv_backward_weight: expected images (N, C, ...) of one rank and filters that fit them, got ",
        text(g.dims()), ", ", text(x.dims()), " and ", text(w.dims()));
  check(g.shape[0] == x.shape[0], Kind::Runtime, "conv_backward_weight: batches differ: ", g.shape[0], " and ",
        x.shape[0]);
  if (goes_last(g, w, groups)) return conv_backward_weight(in_order_of(w, g), x, w, stride, padding, dilation, groups);
  if (goes_last(x, w, groups)) return conv_backward_weight(g, in_order_of(w, x), w, stride, padding, dilation, groups);
  if (go_as_planes(x, w, groups) || go_as_planes(g, w, groups))
    return conv_backward_weight(contiguous(g), contiguous(x), w, stride, padding, dilation, groups);
  Array dw = empty_image(w.shape[0], w.shape[1], Dims(w.shape + 2, w.ndim - 2), w);
  Convolution c = convolution("conv", g, dw, {}, stride, padding, dilation, groups);
  drop_idle_strides(c, g);
  Cost cost = cost_of(c, g, x, dw);
  Array up = g;
  if (overlaps_itself(g)) copy_into(up = empty_image(g.shape[0], g.shape[1], Dims(g.shape + 2, c.n), x), g);
  Array to = as_volume(dw), from = as_volume(up), image = as_volume(x);
  Ctx ctx = make_ctx(x.device());
  if (auto query = kernels(x.device()).conv_backward_weight_workspace)
    cost.workspace = query(ctx, to.view(), from.view(), image.view(), c.args);
  launch<&Kernels::conv_backward_weight>("conv_backward_weight", cost, out(to), in(from), in(image), c.args);
  return dw;
}

}  // namespace mielina::ops
