#include "ops/conv.h"

#include "ops/layout.h"

namespace mielina::ops {

// (N, C, spatial...) with leading axes of size 1 inserted until three are spatial.
static Array as_volume(Array x) {
  while (x.ndim < 5) x = unsqueeze(x, 2);
  return x;
}

Array conv(const Array& x, const Array& w, const MaybeArray& bias, const Dims& stride, const Dims& padding, const Dims& dilation,
           int64_t groups) {
  int n = stride.n;
  check(n >= 1 && n <= 3 && padding.n == n && dilation.n == n, Kind::Value, "conv: stride, padding and dilation need one number a dimension");
  std::string name = "conv" + std::to_string(n) + "d";
  check(x.ndim == n + 2 && w.ndim == n + 2, Kind::Runtime, name, ": expected ", n + 2, "-dim input (N, C, ...) and weight, got ",
        text(x.dims()), " and ", text(w.dims()));
  check(x.dtype == w.dtype && (!bias || bias->dtype == x.dtype), Kind::Runtime, name, ": input, weight and bias must have one dtype, got ",
        name_of(x.dtype), " and ", name_of(w.dtype));
  check(is_floating(x.dtype), Kind::NotImplemented, name, ": expected a floating dtype, got ", name_of(x.dtype));
  check(groups > 0 && x.shape[1] % groups == 0 && w.shape[0] % groups == 0, Kind::Runtime, name, ": groups=", groups,
        " must divide in-channels ", x.shape[1], " and out-channels ", w.shape[0]);
  check(w.shape[1] * groups == x.shape[1], Kind::Runtime, name, ": weight of shape ", text(w.dims()), " with groups=", groups,
        " expects ", w.shape[1] * groups, " input channels, got ", x.shape[1], " (input: ", text(x.dims()), ")");
  check(!bias || (bias->ndim == 1 && bias->shape[0] == w.shape[0]), Kind::Runtime, name, ": bias must have shape (", w.shape[0], ",)");
  ConvArgs args{{1, 1, 1}, {0, 0, 0}, {1, 1, 1}, groups, Activation::none};
  Dims shape{x.shape[0], w.shape[0]};
  double flops = 2.0 * double(w.shape[1]);
  for (int d = 0; d < n; d++) {
    check(stride[d] > 0 && dilation[d] > 0 && padding[d] >= 0, Kind::Runtime, name,
          ": stride and dilation must be positive and padding not negative");
    int64_t reach = dilation[d] * (w.shape[d + 2] - 1) + 1, size = x.shape[d + 2] + 2 * padding[d];
    check(w.shape[d + 2] > 0 && size >= reach, Kind::Runtime, name, ": the padded input (", size, ") is smaller than the filter (", reach,
          ") along dimension ", d + 2);
    shape.push((size - reach) / stride[d] + 1);
    args.stride[3 - n + d] = stride[d];
    args.padding[3 - n + d] = padding[d];
    args.dilation[3 - n + d] = dilation[d];
    flops *= double(w.shape[d + 2]);
  }
  Array y = empty(shape, x.dtype);
  if (x.ndim == 4 && x.shape[1] > 1 && x.stride[1] == 1 && !is_contiguous(x)) {  // channels-last in, channels-last out
    Array last = empty(Dims{shape[0], shape[2], shape[3], shape[1]}, x.dtype);
    y = permute(last, Dims{0, 3, 1, 2});
  }
  Array yv = as_volume(y), xv = as_volume(x), wv = as_volume(w);
  Cost cost;
  cost.flops = flops * double(y.numel());
  Ctx ctx = make_ctx(x.device());
  if (auto query = kernels(x.device()).conv_workspace) cost.workspace = query(ctx, yv.view(), xv.view(), wv.view(), args);
  launch<&Kernels::conv>("conv", cost, out(yv), in(xv), in(wv), in(bias), args);
  return y;
}

}  // namespace mielina::ops
