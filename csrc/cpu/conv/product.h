// Convolutions of any dtype and number of axes as a product of filters and image columns (implicit gemm): what is left
// to no other algorithm.
#pragma once
#include "cpu/conv/pixels.h"
#include "cpu/conv/sliding.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// Rows are output channels and columns pixels (planar y), or the other way round (channels-last y).
struct PixelPlace {
  const PixelSpace& pixels;
  int64_t channels, stride;  // in a panel of channels; of a channel in y
  bool turned;
  Spot operator()(int64_t pi, int64_t pj) const {
    const int64_t c = (turned ? pj : pi) * channels,
                  offset = c * stride + pixels.offset(pixels.first(turned ? pi : pj));
    return turned ? Spot{0, c, offset} : Spot{c, 0, offset};
  }
};

// Finish, image by image where a panel of pixels runs over several.
template <class Out>
struct PixelFinish {
  Finish<Out, PixelPlace> base;
  bool accumulate = false, direct = false;
  Out* target(int64_t i, int64_t j, int64_t& ld) const {
    return base.place.pixels.straddles(j) ? nullptr : base.target(i, j, ld);
  }
  void finish(int64_t i, int64_t j, Out* d, int64_t ld, int64_t rows, int64_t cols) const {
    const PixelPlace& place = base.place;
    if (!place.pixels.straddles(j)) return base.finish(i, j, d, ld, rows, cols);
    const int64_t g = place.pixels.first(j), c = i * place.channels;
    for (int64_t at = 0; at < cols;) {
      const int64_t n = min64(place.pixels.size - (g + at) % place.pixels.size, cols - at);
      base.finish_at({c, 0, c * place.stride + place.pixels.offset(g + at)}, d + at, ld, rows, n, false);
      at += n;
    }
  }
};

struct ConvPlan {
  GemmPlan gemm;
  PixelSpace pixels;
  bool inner, turned;  // whether channels run within taps along K; pixels are the product's rows
};

constexpr int64_t kFewPixels = Sliding::kFewPixels;

int64_t pixels_of_all(const View& y) { return y.shape[kN] * y.shape[kD] * y.shape[kH] * y.shape[kW]; }

template <class Op>
bool few_pixels(const View& y) {
  return pixels_of_all(y) <= kFewPixels && y.shape[kC] >= 2 * Op::NV * lanes<typename Op::Out>;
}
// Whether channels run within taps along K, as in the image. A few pixels are gathered in the order in which the many
// filters lie: put in the pixels' order number by number, 512 x 512 x 3 x 3 filters were half of the time of 7 x 7
// pixels.
template <class Op>
bool channels_inner(const Problem& q) {
  return lanes_along_c(q.x) && (!few_pixels<Op>(q.y) || filters_of<Op>(q, 1, true).flat);
}
// Whether filters are the rows of a few pixels' product and read where they lie. Channels-last sums are then stored
// number by number, which takes longer than packing short filters does (1 x 1, 256 -> 512, 7 x 7: 0.85 of the speed).
// With AVX-512 panels are three vectors wide, of which pixels must fill four fifths (5 x 5 pixels lost to a tenth).
template <class Op>
bool filters_in_place(const Problem& q) {
  constexpr int64_t L = lanes<float>, kThree = ThreeVectors::NV * L;
  const int64_t pixels = pixels_of_all(q.y), vectors = pixels == kThree + 1 ? kThree / L : ceil_div(pixels, L);
  const bool fits =
      VBYTES < 64 || (pixels <= kThree + L && 5 * pixels >= 4 * L * vectors && q.y.shape[kC] % ThreeVectors::MR == 0);
  return few_pixels<Op>(q.y) && (pixels == 1 || (fits && (!lanes_along_c(q.y) || depth_of(q) >= 2048))) &&
         filters_of<Op>(q, 1, channels_inner<Op>(q)).readable();
}

template <class Op>
ConvPlan conv_plan(const Problem& q) {
  ConvPlan p;
  const View& y = q.y;
  const int64_t K = y.shape[kC], pixels = pixels_of_all(y), depth = depth_of(q);
  // The panels of a few pixels stay in the cache while filters are read once: as rows that are read where they lie (512
  // filters of 512 channels over 7 x 7 pixels: with AVX2 1.67 -> 1.40 ms, with AVX-512 1.08 -> 0.90), or else packed
  // right before their use, and pixels are the rows: 49 are 4 panels of 13, not 2 of 32 (2.2 -> 1.4 ms with AVX-512).
  const bool few = few_pixels<Op>(y), in_place = filters_in_place<Op>(q);
  p.inner = channels_inner<Op>(q);
  p.turned = in_place ? false : few || lanes_along_c(y);
  GemmPlan& g = p.gemm;
  g = p.turned ? gemm_plan<Op>(pixels, K, depth) : gemm_plan<Op>(K, pixels, depth);
  if (in_place && VBYTES == 64) {
    g.mr = ThreeVectors::MR;
    g.nr = ThreeVectors::NV * lanes<float>;
    g.m_panels = ceil_div(K, g.mr);
  }
  p.pixels = pixel_space(y, p.turned ? g.mr : g.nr, !p.turned);
  int64_t& pixel_tiles = p.turned ? g.m_tiles : g.n_tiles;
  int64_t& channel_tiles = p.turned ? g.n_tiles : g.m_tiles;
  (p.turned ? g.m_panels : g.n_panels) = p.pixels.panels();
  const int64_t channel_panels = p.turned ? g.n_panels : g.m_panels;
  if (g.m_tiles * g.n_tiles > 1) {
    pixel_tiles = min64(p.pixels.panels(), 4 * ceil_div(p.pixels.panels(), p.turned ? 32 : 16));
    channel_tiles = pixel_tiles >= 4 ? 1 : min64(channel_panels, 8);
  }
  // Filters are packed first, pixels by the task that needs them.
  g.share_a = !p.turned || channel_tiles > 1;
  g.share_b = p.turned || channel_tiles > 1;
  if (few) {
    g.m_tiles = p.turned ? 1 : min64(g.m_panels, 16);
    g.n_tiles = p.turned ? min64(g.n_panels, 16) : 1;
    g.share_a = p.turned;
    g.share_b = in_place;
    g.in_place_a = in_place;
  }
  g.n_chunk = g.n_panels;
  return p;
}

template <class Op>
Pixels<Op> pixels_of(const PixelSpace& space, const View& x, const Window& window) {
  Pixels<Op> p;
  p.space = space;
  p.window = window;
  p.x = (const typename Op::In*)x.data;
  p.sn = x.stride[kN];
  p.sc = x.stride[kC];
  p.channels = x.shape[kC];
  p.lanes_of_channels = p.channels_inner = lanes_along_c(x);
  for (int d = 0; d < 3; d++) {
    p.shape[d] = x.shape[kD + d];
    p.stride[d] = x.stride[kD + d];
  }
  return p;
}

template <class Op>
void product(const Ctx& ctx, const Problem& q) {
  using Out = typename Op::Out;
  const ConvPlan p = conv_plan<Op>(q);
  Pixels<Op> pixels = pixels_of<Op>(p.pixels, q.x, q.window);
  pixels.channels_inner = p.inner;
  const int64_t width = p.turned ? p.gemm.nr : p.gemm.mr, sc = q.y.stride[kC];
  const Filters<Op> filters = filters_of<Op>(q, width, p.inner);
  const int64_t step = p.pixels.step;
  const Matrix c{(char*)q.y.data, q.y.dtype, p.turned ? step : sc, p.turned ? sc : step};
  Matrix bias{};
  if (q.bias.data) {
    const int64_t sb = q.bias.stride[0];
    bias = {(char*)q.bias.data, q.bias.dtype, p.turned ? 0 : sb, p.turned ? sb : 0};
  }
  Finish<Out, PixelPlace> finish{c, bias, false, {p.pixels, width, sc, p.turned}, false, false};
  finish.prepare();
  const PixelFinish<Out> each{finish};
  if (p.turned) gemm_run<Op>(ctx, p.gemm, pixels, filters, finish);
  else gemm_run<Op>(ctx, p.gemm, filters, pixels, each);
}

template <class Op>
int64_t product_workspace(const Ctx& ctx, const Problem& q) {
  return gemm_layout<Op>(conv_plan<Op>(q).gemm, true, ctx.threads).bytes;
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
