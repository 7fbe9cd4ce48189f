// conv: y = activation(conv(x, w) + bias) as a product of filters and image columns (implicit gemm).
#include "cpu/conv/pixels.h"

namespace mielina {
namespace MIELINA_ISA {

namespace {

// Rows are output channels and columns pixels (planar y), or the other way round (channels-last y).
struct PixelPlace {
  const PixelSpace& pixels;
  int64_t channels, stride;  // of a panel of channels; of a channel in y
  bool turned;
  Spot operator()(int64_t pi, int64_t pj) const {
    const int64_t pc = turned ? pj : pi, pp = turned ? pi : pj, c = pc * channels;
    return turned ? Spot{0, c, c * stride + pixels.offset(pp)} : Spot{c, 0, c * stride + pixels.offset(pp)};
  }
};

template <class Op> struct ConvPlan {
  GemmPlan gemm;
  PixelSpace pixels;
  bool turned;
};

template <class Op> ConvPlan<Op> conv_plan(const View& y, const View& x, const View& w, const ConvArgs& args) {
  ConvPlan<Op> p;
  const int64_t K = y.shape[kC] / args.groups, taps = w.shape[kD] * w.shape[kH] * w.shape[kW], C = w.shape[kC];
  int64_t pixels = y.shape[kN] * y.shape[kD] * y.shape[kH] * y.shape[kW];
  p.turned = y.stride[kC] == 1 && K > 1 && y.stride[kW] != 1;
  GemmPlan& g = p.gemm;
  g = p.turned ? gemm_plan<Op>(pixels, K, C * taps) : gemm_plan<Op>(K, pixels, C * taps);
  p.pixels = pixel_space(y, p.turned ? g.mr : g.nr);
  (p.turned ? g.m_panels : g.n_panels) = p.pixels.panels();
  // Filters are packed first, pixels by the task that needs them.
  int64_t &pixel_tiles = p.turned ? g.m_tiles : g.n_tiles, &channel_tiles = p.turned ? g.n_tiles : g.m_tiles;
  const int64_t pixel_panels = p.pixels.panels(), channel_panels = p.turned ? g.n_panels : g.m_panels;
  if (g.m_tiles * g.n_tiles > 1) {
    pixel_tiles = min64(pixel_panels, 4 * ceil_div(pixel_panels, p.turned ? 32 : 16));
    channel_tiles = pixel_tiles >= 4 ? 1 : min64(channel_panels, 8);
  }
  g.share_a = !p.turned;
  g.share_b = p.turned;
  g.n_chunk = g.n_panels;
  g.in_place_a = g.in_place_b = false;
  (void)x;
  return p;
}

template <class Op, class S>
void conv_group(const Ctx& ctx, const View& y, const View& x, const View& w, const View& bias, const ConvArgs& args,
                int64_t group) {
  using Out = typename Op::Out;
  const ConvPlan<Op> p = conv_plan<Op>(y, x, w, args);
  const int64_t K = y.shape[kC] / args.groups, C = w.shape[kC];
  Pixels<Op, S> pixels;
  pixels.space = p.pixels;
  pixels.x = (const S*)x.data + group * C * x.stride[kC];
  pixels.sn = x.stride[kN];
  pixels.sc = x.stride[kC];
  pixels.channels = C;
  pixels.channels_inner = x.stride[kC] == 1 && C > 1 && x.stride[kW] != 1;
  pixels.pointwise = true;
  Filters<Op, S> filters;
  filters.channels = C;
  filters.sc = w.stride[kC];
  filters.channels_inner = pixels.channels_inner;
  for (int d = 0; d < 3; d++) {
    filters.taps[d] = pixels.window.taps[d] = w.shape[kD + d];
    filters.stride[d] = w.stride[kD + d];
    pixels.window.stride[d] = args.stride[d];
    pixels.window.padding[d] = args.padding[d];
    pixels.window.dilation[d] = args.dilation[d];
    pixels.shape[d] = x.shape[kD + d];
    pixels.stride[d] = x.stride[kD + d];
    pixels.pointwise &= w.shape[kD + d] == 1 && args.padding[d] == 0;
  }
  const int64_t taps = pixels.taps(), across = w.stride[kW], down = w.stride[kH], S3 = w.shape[kW];
  const bool taps_flat = (w.shape[kH] == 1 || down == across * S3) &&
                         (w.shape[kD] == 1 || w.stride[kD] == across * S3 * w.shape[kH]);
  filters.flat = {(const S*)w.data + group * K * w.stride[kN], K, C * taps, w.stride[kN], taps == 1 ? w.stride[kC] : across,
                  p.turned ? p.gemm.nr : p.gemm.mr};
  filters.is_flat = filters.channels_inner ? taps == 1 || (taps_flat && w.stride[kC] * C == across)
                                           : taps == 1 || (taps_flat && (C == 1 || w.stride[kC] == across * taps));
  if (filters.channels_inner) filters.flat.sk = w.stride[kC];

  const Matrix c{(char*)y.data + group * K * y.stride[kC] * kDTypeSize[int(y.dtype)], y.dtype,
                 p.turned ? p.pixels.step : y.stride[kC], p.turned ? y.stride[kC] : p.pixels.step};
  Matrix b{};
  if (bias.data)
    b = {(char*)bias.data + group * K * bias.stride[0] * kDTypeSize[int(bias.dtype)], bias.dtype,
         p.turned ? 0 : bias.stride[0], p.turned ? bias.stride[0] : 0};
  const PixelPlace place{p.pixels, p.turned ? p.gemm.nr : p.gemm.mr, y.stride[kC], p.turned};
  Finish<Out, PixelPlace> finish{c, b, {}, args.activation, false, place, false, false};
  finish.prepare();
  if (p.turned) gemm_run<Op>(ctx, p.gemm, pixels, filters, finish);
  else gemm_run<Op>(ctx, p.gemm, filters, pixels, finish);
}

template <class F> auto dispatch(DType d, F f) {
  switch (d) {
    case DType::f64: return f(Plain<double>{}, double{});
    case DType::f16: return f(Plain<float>{}, half_t{});
    case DType::bf16: return f(Plain<float>{}, bfloat_t{});
    default: return f(Plain<float>{}, float{});
  }
}

void conv(const Ctx& ctx, const View& y, const View& x, const View& w, const View& bias, ConvArgs args) noexcept {
  if (numel(y) == 0) return;
  dispatch(x.dtype, [&]<class Op, class S>(Op, S) {
    for (int64_t g = 0; g < args.groups; g++) conv_group<Op, S>(ctx, y, x, w, bias, args, g);
  });
}

int64_t conv_workspace(const Ctx& ctx, const View& y, const View& x, const View& w, ConvArgs args) noexcept {
  if (numel(y) == 0) return 0;
  return dispatch(x.dtype, [&]<class Op, class S>(Op, S) {
    return gemm_layout<Op>(conv_plan<Op>(y, x, w, args).gemm, true, ctx.threads).bytes;
  });
}

}  // namespace

void fill_conv(Kernels& k) {
  k.conv = conv;
  k.conv_workspace = conv_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
