// conv: convolutions and their gradients as products of filters and image columns (implicit gemm).
#include "cpu/conv/bands.h"
#include "cpu/conv/depthwise.h"
#include "cpu/conv/depthwise_bundles.h"
#include "cpu/conv/depthwise_planes.h"
#include "cpu/conv/pixels.h"
#include "cpu/conv/sliding.h"
#include "cpu/conv/weight.h"
#include "cpu/conv/weight_rows.h"
#include "cpu/conv/winograd.h"
#include "cpu/conv/winograd_few.h"
#include "cpu/conv/winograd_last.h"
#include "cpu/conv/winograd_weight.h"

namespace mielina {
namespace MIELINA_ISA {

namespace {

char* at(const View& v, int axis, int64_t i) { return (char*)v.data + i * v.stride[axis] * kDTypeSize[int(v.dtype)]; }
View slice(View v, int axis, int64_t begin, int64_t n) {
  if (v.data) v.data = at(v, axis, begin);
  v.shape[axis] = n;
  return v;
}

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
  bool few, turned;
};

constexpr int64_t kFewPixels = Sliding::kFewPixels;

template <class Op>
ConvPlan conv_plan(const View& y, int64_t depth) {
  ConvPlan p;
  const int64_t K = y.shape[kC], pixels = y.shape[kN] * y.shape[kD] * y.shape[kH] * y.shape[kW];
  // A few pixels are rows of the product: their panels stay in the cache while each filter is packed once, right before
  // its use (512 filters of 512 channels over 7 x 7 pixels: 2.2 -> 1.4 ms), and 49 are 4 panels of 13, not 2 of 32.
  p.few = pixels <= kFewPixels && K >= 2 * Op::NV * lanes<typename Op::Out>;
  p.turned = p.few || lanes_along_c(y);
  GemmPlan& g = p.gemm;
  g = p.turned ? gemm_plan<Op>(pixels, K, depth) : gemm_plan<Op>(K, pixels, depth);
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
  if (p.few) {
    g.m_tiles = 1;
    g.n_tiles = min64(g.n_panels, 16);
    g.share_a = true;
    g.share_b = false;
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

int64_t depth_of(const Problem& q) { return q.w.shape[kC] * q.window.taps[0] * q.window.taps[1] * q.window.taps[2]; }

template <class Op>
void product(const Ctx& ctx, const Problem& q) {
  using Out = typename Op::Out;
  const ConvPlan p = conv_plan<Op>(q.y, depth_of(q));
  Pixels<Op> pixels = pixels_of<Op>(p.pixels, q.x, q.window);
  const int64_t width = p.turned ? p.gemm.nr : p.gemm.mr, K = q.y.shape[kC], sc = q.y.stride[kC];
  Filters<Op> filters{
      (const typename Op::In*)q.w.data, K, width, q.w.stride[kN], q.w.stride[kC], q.w.shape[kC], pixels.channels_inner};
  for (int d = 0; d < 3; d++) {
    filters.taps[d] = q.window.taps[d];
    filters.stride[d] = q.w.stride[kD + d];
  }
  filters.flatten();
  // A few pixels are gathered in the order in which the many filters lie: put in the pixels' order number by number,
  // 512 x 512 x 3 x 3 filters were half of the time of 7 x 7 pixels.
  if (p.few && pixels.channels_inner && !filters.flat) {
    pixels.channels_inner = filters.channels_inner = false;
    filters.flatten();
  }
  const int64_t step = p.pixels.step;
  const Matrix c{(char*)q.y.data, q.y.dtype, p.turned ? step : sc, p.turned ? sc : step};
  Matrix bias{};
  if (q.bias.data) {
    const int64_t sb = q.bias.stride[0];
    bias = {(char*)q.bias.data, q.bias.dtype, p.turned ? 0 : sb, p.turned ? sb : 0};
  }
  Finish<Out, PixelPlace> finish{c, bias, {}, q.activation, false, {p.pixels, width, sc, p.turned}, false, false};
  finish.prepare();
  const PixelFinish<Out> each{finish};
  if (p.turned) gemm_run<Op>(ctx, p.gemm, pixels, filters, finish);
  else gemm_run<Op>(ctx, p.gemm, filters, pixels, each);
}

template <class Op>
int64_t product_workspace(const Ctx& ctx, const Problem& q) {
  return gemm_layout<Op>(conv_plan<Op>(q.y, depth_of(q)).gemm, true, ctx.threads).bytes;
}

// ---- all groups -----------------------------------------------------------------------------------------------------
Problem group_of(const Problem& q, int64_t groups, int64_t group) {
  const int64_t K = q.y.shape[kC] / groups, C = q.x.shape[kC] / groups;
  return {slice(q.y, kC, group * K, K),
          slice(q.x, kC, group * C, C),
          slice(q.w, kN, group * K, K),
          slice(q.bias, 0, group * K, K),
          q.window,
          q.activation,
          q.direct};
}

// The first group's problem at another group: its pointers alone move (a copy of all views took a fifth of the time of
// depthwise images of 7 x 7).
void move_to(Problem& one, const Problem& q, int64_t groups, int64_t group) {
  const int64_t K = q.y.shape[kC] / groups, C = q.x.shape[kC] / groups;
  one.y.data = at(q.y, kC, group * K);
  one.x.data = at(q.x, kC, group * C);
  one.w.data = at(q.w, kN, group * K);
  if (q.bias.data) one.bias.data = at(q.bias, 0, group * K);
}

bool is_direct(const Problem& q, int64_t groups) {
  return q.y.shape[kC] / groups <= direct_channels(q.x, lanes_along_c(q.y)) && depth_of(q) > 0 &&
         q.window.taps[0] * q.window.taps[1] * q.window.taps[2] > 1;
}

// Depthwise, or the one channel of a grey image whose rows fill their vectors.
bool depthwise(const Problem& q, int64_t groups) {
  const bool filled = 4 * q.y.shape[kW] >= 3 * ceil_div(q.y.shape[kW], lanes<float>) * lanes<float>;
  return groups == q.x.shape[kC] && (groups > 1 || (filled && q.window.taps[1] * q.window.taps[2] > 1));
}

// Whether a planar image's row of taps, channels-last, is so long a run of numbers that it needs no table of places.
bool long_runs(const Problem& q) {
  return VBYTES == 32 && !lanes_along_c(q.y) && q.window.taps[2] > 1 && q.x.shape[kC] * q.window.taps[2] >= 80 &&
         q.y.shape[kC] > 16 && Bands::fits(q);
}

// f.operator()<A>(parts) for the algorithm A for float32 alone, if one fits, which takes all groups or each alone.
template <class F>
bool with_floats(const Problem& q, int64_t groups, F f) {
  const Problem first = group_of(q, groups, 0);
  if (depthwise(q, groups) && DepthwiseBundles::fits(q)) f.template operator()<DepthwiseBundles>(1);
  else if (depthwise(q, groups) && DepthwiseLast::fits(q)) f.template operator()<DepthwiseLast>(1);
  else if (depthwise(q, groups) && DepthwisePlanes::fits(q)) f.template operator()<DepthwisePlanes>(1);
  else if (is_direct(q, groups)) return false;
  else if (WinogradFew::fits(first)) f.template operator()<WinogradFew>(groups);
  else if (Winograd::fits(first)) f.template operator()<Winograd>(groups);
  else if (WinogradLast::fits(first)) f.template operator()<WinogradLast>(groups);
  else if (Sliding::fits(first) && !long_runs(first)) f.template operator()<Sliding>(groups);
  else if (Bands::fits(first)) f.template operator()<Bands>(groups);
  else return false;
  return true;
}

template <class T>
void convolve(const Ctx& ctx, const Problem& q, int64_t groups) {
  const int64_t N = q.y.shape[kN], depth = depth_of(q);
  char* workspace = (char*)ctx.workspace;
  const int64_t steps = numel(q.y) / lanes<T> * depth;  // vector multiply-adds
  if constexpr (__is_same(T, float)) {
    auto run = [&]<class A>(int64_t parts) {
      for (int64_t i = 0; i < parts; i++) A(group_of(q, parts, i)).run(ctx);
    };
    if (with_floats(q, groups, run)) return;
  }
  if (is_direct(q, groups)) {
    const Problem first = group_of(q, groups, 0);
    const Planes<T> planes(first);
    const int64_t tasks = N * groups;
    const int64_t grain = 1 + min64(tasks, tasks * 64 * 1024 / (steps + 1));
    parallel_for(ctx, ceil_div(tasks, grain), [&](int64_t t, int worker) {
      T* padded = (T*)(workspace + worker * planes.bytes);
      Problem one = first;
      for (int64_t i = t * grain; i < min64(tasks, (t + 1) * grain); i++) {
        move_to(one, q, groups, i % groups);
        planes.pad(one, i / groups, padded);
        for (int64_t k = 0; k < one.y.shape[kC]; k++) planes.channel(one, i / groups, k, padded);
      }
    });
  } else {
    for (int64_t group = 0; group < groups; group++) product<Plain<T>>(ctx, group_of(q, groups, group));
  }
}

template <class T>
int64_t convolve_workspace(const Ctx& ctx, const Problem& q, int64_t groups) {
  const Problem first = group_of(q, groups, 0);
  if constexpr (__is_same(T, float)) {
    int64_t bytes = 0;
    auto size = [&]<class A>(int64_t parts) { bytes = A(group_of(q, parts, 0)).bytes(ctx.threads); };
    if (with_floats(q, groups, size)) return bytes;
  }
  if (is_direct(q, groups)) return ctx.threads * Planes<T>(first).bytes;
  return product_workspace<Plain<T>>(ctx, first);
}

template <class F>
auto dispatch(DType d, F f) {
  return d == DType::f64 ? f(double{}) : f(float{});
}

// Operands as the kernels want them, where they are not so already, in the front of the workspace. Half precision
// becomes floats: instances of everything for two more dtypes were 0.12 MB a level and converted each number once a
// tap. Channels-last images of a few channels become planar: vectors along three channels are mostly empty.
struct Floats {
  const Ctx& ctx;
  bool plan;  // nothing but the size
  int64_t bytes = 0;

  View operator()(const View& v, bool turned = false) {
    const bool along_c = lanes_along_c(v), few = v.shape[kC] < 8;
    if (v.dtype == DType::f64 || (v.dtype == DType::f32 && !(along_c && few) && !turned) || numel(v) == 0) return v;
    View to = v;
    to.dtype = DType::f32;
    to.data = (char*)ctx.workspace + bytes;
    bytes += align64(numel(v) * int64_t(sizeof(float)));
    const bool last = turned || (along_c && !few);
    const int order[5] = {kN, last ? kD : kC, last ? kH : kD, last ? kW : kH, last ? kC : kW};
    int64_t step = 1;
    for (int i = 4; i >= 0; i--) {
      to.stride[order[i]] = step;
      step *= v.shape[order[i]];
    }
    if (!plan) convert(v, to, order);
    return to;
  }
  void convert(const View& v, const View& to, const int (&order)[5]) const {
    const RowFrom<float> row_from = row_from_fn<float>(v.dtype);
    const int64_t wide = v.shape[order[4]], step = v.stride[order[4]], W = v.shape[kW];
    if (v.dtype == DType::f32 && order[4] == kC && v.stride[kW] == 1)  // number by number 12 % of the filters' gradient
      return parallel_ranges(ctx, numel(v) / (wide * W), 1 + 32 * 1024 / (wide * W), [&](int64_t i0, int64_t i1) {
        for (int64_t i = i0; i < i1; i++) {
          const int64_t H = v.shape[kH], D = v.shape[kD],
                        from = i % H * v.stride[kH] + i / H % D * v.stride[kD] + i / (H * D) * v.stride[kN];
          turn_planes((uint32_t*)to.data + i * W * wide, wide, (const uint32_t*)v.data + from, step, W, wide);
        }
      });
    parallel_ranges(ctx, numel(v) / wide, 1 + 32 * 1024 / wide, [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; i++) {
        int64_t rest = i, from = 0;
        for (int d = 3; d >= 0; d--) {
          from += rest % v.shape[order[d]] * v.stride[order[d]];
          rest /= v.shape[order[d]];
        }
        row_from((const char*)v.data + from * kDTypeSize[int(v.dtype)], step, (float*)to.data + i * wide, wide);
      }
    });
  }
  // What is left of the workspace.
  Ctx rest() const {
    Ctx c = ctx;
    c.workspace = (char*)ctx.workspace + bytes;
    return c;
  }
};

// ---- forward --------------------------------------------------------------------------------------------------------
Window window_of(const View& w, const ConvArgs& args) {
  Window o;
  for (int d = 0; d < 3; d++) {
    o.taps[d] = w.shape[kD + d];
    o.stride[d] = args.stride[d];
    o.padding[d] = args.padding[d];
    o.dilation[d] = args.dilation[d];
  }
  return o;
}

Problem forward(Floats& floats, const View& y, const View& x, const View& w, const View& bias, const ConvArgs& args) {
  Problem q{y, x, w, bias, window_of(w, args), args.activation, args.direct};
  if (args.groups == 1 && (WinogradLast::fits(q) || Sliding::fits(q))) return q;  // these read few channels as well
  q.x = floats(x);
  q.w = floats(w);
  return q;
}

void conv(const Ctx& ctx, const View& y, const View& x, const View& w, const View& bias, ConvArgs args) noexcept {
  if (numel(y) == 0) return;
  Floats floats{ctx, false};
  const Problem q = forward(floats, y, x, w, bias, args);
  dispatch(q.x.dtype, [&]<class T>(T) { convolve<T>(floats.rest(), q, args.groups); });
}

__attribute__((cold)) int64_t conv_workspace(const Ctx& ctx, const View& y, const View& x, const View& w,
                                             ConvArgs args) noexcept {
  if (numel(y) == 0) return 0;
  Floats floats{ctx, true};
  const Problem q = forward(floats, y, x, w, View{}, args);
  return floats.bytes + dispatch(q.x.dtype, [&]<class T>(T) { return convolve_workspace<T>(ctx, q, args.groups); });
}

// ---- gradient of the input ------------------------------------------------------------------------------------------
// dx[i] = sum of g[o] w[t] over i = o * stride - padding + t * dilation. Positions of one remainder modulo the stride
// see every step-th tap, and among themselves form a convolution of stride 1 with a window that runs backwards:
// i = remainder + stride * j, t = t0 + step * s: o = j + (remainder + padding - t0 * dilation) / stride - s * back.
struct Phase {
  int64_t t0, taps, step, shift, back;
};
Phase phase(int64_t remainder, int64_t taps, int64_t stride, int64_t padding, int64_t dilation) {
  Phase p{0, 0, stride, 0, 0};
  for (int64_t a = dilation % stride, b = stride;;) {  // stride / gcd(stride, dilation)
    if (a == 0) {
      p.step = stride / b;
      break;
    }
    const int64_t r = b % a;
    b = a;
    a = r;
  }
  while (p.t0 < taps && p.t0 < p.step && (remainder + padding - p.t0 * dilation) % stride != 0) p.t0++;
  if (p.t0 >= taps || p.t0 >= p.step) return p;
  p.taps = ceil_div(taps - p.t0, p.step);
  p.shift = (remainder + padding - p.t0 * dilation) / stride;
  p.back = p.step * dilation / stride;
  return p;
}

// f(problem) for each remainder: g takes the image's place, dx the output's, and the filters' two channel axes swap.
// Compiled for size, as are the plans below: once a call, 4 KB a level less.
__attribute__((cold)) void each_phase_as(const View& dx, const View& g, const View& w, const ConvArgs& args,
                                         void (*f)(void*, const Problem&, int64_t), void* arg) {
  const bool depthwise = w.shape[kC] == 1 && w.shape[kN] == args.groups;  // its filters are square: all groups at once
  if (args.groups > 1 && !depthwise) {
    const int64_t K = w.shape[kN] / args.groups, C = w.shape[kC];
    ConvArgs one = args;
    one.groups = 1;
    for (int64_t i = 0; i < args.groups; i++)
      each_phase_as(slice(dx, kC, i * C, C), slice(g, kC, i * K, K), slice(w, kN, i * K, K), one, f, arg);
    return;
  }
  View turned = w;
  if (!depthwise) {
    turned.shape[kN] = w.shape[kC];
    turned.stride[kN] = w.stride[kC];
    turned.shape[kC] = w.shape[kN];
    turned.stride[kC] = w.stride[kN];
  }
  const Problem whole{dx, g, turned, View{}, {}, Activation::none, args.direct};
  for (int64_t r = 0; r < args.stride[0] * args.stride[1] * args.stride[2]; r++) {
    Problem q = whole;
    const int64_t remainder[3] = {r / (args.stride[1] * args.stride[2]), r / args.stride[2] % args.stride[1],
                                  r % args.stride[2]};
    for (int d = 0; d < 3; d++) {
      const Phase p = phase(remainder[d], w.shape[kD + d], args.stride[d], args.padding[d], args.dilation[d]);
      const int64_t n = ceil_div(max64(0, dx.shape[kD + d] - remainder[d]), args.stride[d]);
      q.y = slice(q.y, kD + d, remainder[d], n);
      q.y.stride[kD + d] *= args.stride[d];
      q.w = slice(q.w, kD + d, p.t0, p.taps);
      q.w.stride[kD + d] *= p.step;
      q.window.taps[d] = p.taps;
      q.window.stride[d] = 1;
      q.window.padding[d] = -p.shift;
      q.window.dilation[d] = -p.back;
    }
    if (numel(q.y) > 0) f(arg, q, args.groups);
  }
}
template <class F>
void each_phase(const View& dx, const View& g, const View& w, const ConvArgs& args, F f) {
  each_phase_as(dx, g, w, args, [](void* arg, const Problem& q, int64_t groups) { (*(F*)arg)(q, groups); }, &f);
}

// Whether some positions see no tap at all: their gradient is zero.
bool has_gaps(const View& w, const ConvArgs& args) {
  for (int d = 0; d < 3; d++)
    for (int64_t r = 0; r < args.stride[d]; r++)
      if (phase(r, w.shape[kD + d], args.stride[d], args.padding[d], args.dilation[d]).taps == 0) return true;
  return false;
}
bool is_dense(const View& v) {
  int64_t last = 0;
  for (int d = 0; d < 5; d++) last += (v.shape[d] - 1) * v.stride[d];
  return last + 1 == numel(v);
}

// Whether the gradient's even and odd columns are made together: apart, each would be written with a stride.
bool two_columns(const Problem& q, const View& dx, const View& w, const ConvArgs& args) {
  return args.groups > 1 && args.stride[2] == 2 && dx.shape[kW] > 1 &&
         w.shape[kH] * w.shape[kW] <= DepthwisePlanes::kTaps && DepthwisePlanes::fits(q);
}

// Bytes of workspace where the gradient of a small depthwise image under a stride of 2 is made at once, or -1; runs it.
__attribute__((cold)) int64_t bundled(const Ctx& ctx, const View& dx, const View& g, const View& w,
                                      const ConvArgs& args, bool plan) {
  if constexpr (VBYTES > 16) {
    Problem phase[4];
    int n = 0;
    if (args.groups == 1 || w.shape[kN] != args.groups || w.shape[kC] != 1 || args.stride[0] != 1 ||
        args.stride[1] != 2 || args.stride[2] != 2)
      return -1;
    each_phase(dx, g, w, args, [&](const Problem& q, int64_t) { phase[n++] = q; });
    if (n < 4 || !BundledPhases::fits(dx, phase[0])) return -1;
    const BundledPhases all(dx, phase);
    if (!plan) all.run(ctx);
    return all.bytes(ctx.threads);
  }
  return -1;
}

void conv_backward_input(const Ctx& ctx, const View& dx, const View& g, const View& w, ConvArgs args) noexcept {
  Floats floats{ctx, false};
  const View gs = floats(g), ws = floats(w);
  if (bundled(floats.rest(), dx, gs, ws, args, false) >= 0) return;
  // Zeroed at once: phase by phase took three quarters of the gradient of a 1 x 1 window of stride 2.
  const bool cleared = has_gaps(w, args) && is_dense(dx);
  if (cleared)
    parallel_ranges(ctx, numel(dx), 64 * 1024, [&](int64_t i0, int64_t i1) {
      const int64_t size = kDTypeSize[int(dx.dtype)];
      __builtin_memset((char*)dx.data + i0 * size, 0, size_t((i1 - i0) * size));
    });
  Problem even;
  bool have_even = false;
  each_phase(dx, gs, ws, args, [&](const Problem& q, int64_t groups) {
    if (two_columns(q, dx, w, args)) {  // even and odd ones of a row
      if (have_even) DepthwisePlanes(even, q, 2).run(floats.rest());
      even = q;
      have_even = !have_even;
    } else if (!cleared || depth_of(q) > 0) {
      dispatch(gs.dtype, [&]<class T>(T) { convolve<T>(floats.rest(), q, groups); });
    }
  });
}

__attribute__((cold)) int64_t conv_backward_input_workspace(const Ctx& ctx, const View& dx, const View& g,
                                                            const View& w, ConvArgs args) noexcept {
  int64_t most = 0;
  Floats floats{ctx, true};
  const View gs = floats(g), ws = floats(w);
  const int64_t once = bundled(ctx, dx, gs, ws, args, true);
  if (once >= 0) return floats.bytes + once;
  each_phase(dx, gs, ws, args, [&](const Problem& q, int64_t groups) {
    const int64_t bytes = two_columns(q, dx, w, args)
                              ? 2 * DepthwisePlanes(q).bytes()
                              : dispatch(gs.dtype, [&]<class T>(T) { return convolve_workspace<T>(ctx, q, groups); });
    most = max64(most, bytes);
  });
  return floats.bytes + most;
}

// ---- gradient of the filters ----------------------------------------------------------------------------------------
struct WeightPlan {
  GemmPlan gemm;   // of one piece
  int64_t pixels;  // in all
  int64_t pieces;
  int64_t columns;   // row of a partial, padded
  int64_t partials;  // bytes of all of them
  int64_t begin(int64_t piece) const { return pixels * piece / pieces; }
};

template <class Op>
WeightPlan weight_plan(const View& dw, const View& g, int64_t groups) {
  WeightPlan p;
  const int64_t M = dw.shape[kN] / groups, N = dw.shape[kC] * dw.shape[kD] * dw.shape[kH] * dw.shape[kW];
  constexpr int64_t size = sizeof(typename Op::Out), kPieces = 8, kPartialBytes = 16 << 20;
  p.pixels = g.shape[kN] * g.shape[kD] * g.shape[kH] * g.shape[kW];
  GemmPlan& q = p.gemm;
  q = gemm_plan<Op>(M, N, p.pixels);
  const bool large = q.m_tiles * q.n_tiles > 1;
  p.columns = q.n_panels * q.nr;
  const int64_t bytes = align64(M * p.columns * size);
  p.pieces = large && p.pixels >= kPieces * 256 && kPieces * bytes <= kPartialBytes ? kPieces : 1;
  p.partials = p.pieces * bytes;
  q.K = ceil_div(p.pixels, p.pieces);
  q.m_tiles = 1;
  q.n_tiles = large && p.pieces == 1 ? min64(q.n_panels, 4 * ceil_div(q.n_panels, 32)) : 1;
  q.share_a = q.n_tiles > 1 && M * q.K * size <= kShareBytes;
  q.share_b = false;
  q.n_chunk = q.n_panels;
  return p;
}

// dw from the sum of the partials: element (k, c, tap) is column c * taps + tap, or tap * C + c.
template <class Op>
void add_partials(const Ctx& ctx, const WeightPlan& p, const View& dw, int64_t K, bool channels_inner) {
  using Out = typename Op::Out;
  const int64_t C = dw.shape[kC], R = dw.shape[kH], S = dw.shape[kW], taps = dw.shape[kD] * R * S, N = C * taps;
  const int64_t size = kDTypeSize[int(dw.dtype)], piece = p.partials / p.pieces / int64_t(sizeof(Out));
  constexpr int64_t L = lanes<Out>;
  const RowTo<Out> row_to = row_to_fn<Out>(dw.dtype);
  parallel_ranges(ctx, K, max64(1, 64 * 1024 / max64(1, N)), [&](int64_t k0, int64_t k1) {
    for (int64_t k = k0; k < k1; k++) {
      Out* sum = (Out*)ctx.workspace + k * p.columns;
      for (int64_t half = p.pieces / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++)
          for (int64_t j = 0; j < p.columns; j += L) {
            Out* to = sum + i * piece + j;
            store(to, load(to) + load(to + half * piece));
          }
      char* row = at(dw, kN, k);
      for (int64_t tap = 0; tap < taps; tap++) {
        char* to = row + (tap / (R * S) * dw.stride[kD] + tap / S % R * dw.stride[kH] + tap % S * dw.stride[kW]) * size;
        if (channels_inner) row_to(sum + tap * C, to, dw.stride[kC], C);
        else
          for (int64_t c = 0; c < C; c++) row_to(sum + c * taps + tap, to + c * dw.stride[kC] * size, 1, 1);
      }
    }
  });
}

WeightRows weight_rows(const View& dw, const View& g, const View& x, const Window& v) {
  return {dw, g, pixels_of<Plain<float>>(pixel_space(g, 1, false), x, v)};
}

template <class Op>
void weight_gradient(const Ctx& ctx, const View& dw, const View& g, const View& x, const ConvArgs& args) {
  using Out = typename Op::Out;
  const int64_t K = dw.shape[kN], N = dw.shape[kC] * dw.shape[kD] * dw.shape[kH] * dw.shape[kW];
  const WeightPlan p = weight_plan<Op>(dw, g, 1);
  const PixelSpace space = pixel_space(g, 1, false);
  const Pixels<Op> pixels = pixels_of<Op>(space, x, window_of(dw, args));
  const GemmLayout w = gemm_layout<Op>(p.gemm, false, ctx.threads);
  char* scratch = (char*)ctx.workspace + p.partials;
  auto piece = [&](int64_t i, const Ctx& inner) {
    GemmPlan plan = p.gemm;
    plan.K = p.begin(i + 1) - p.begin(i);
    const PixelRows<Op> a{space, (const typename Op::In*)g.data, K, plan.mr, g.stride[kC], p.begin(i)};
    const PixelColumns<Op> b{pixels, N, plan.nr, p.begin(i)};
    const Partial<Out> sums{
        (Out*)((char*)ctx.workspace + p.partials / p.pieces * i), plan.mr, plan.nr, p.columns, true, false};
    gemm_run<Op>(inner, plan, a, b, sums);
  };
  parallel_for(ctx, p.pieces, [&](int64_t i, int worker) {
    Ctx inner = ctx;
    inner.workspace = scratch + (p.pieces > 1 ? worker * w.bytes : 0);
    if (p.pieces > 1) inner.threads = 1;
    piece(i, inner);
  });
  add_partials<Op>(ctx, p, dw, K, pixels.channels_inner);
}

// Few channels a group: a task is a group, which walks the images in order.
template <class T>
void group_gradients(const Ctx& ctx, const View& dw, const Problem& q, int64_t groups) {
  constexpr int64_t L = lanes<T>;
  const Problem first = group_of(q, groups, 0);
  const Planes<T> planes(first);
  const int64_t C = dw.shape[kC], R = dw.shape[kH], Q = dw.shape[kW], taps = dw.shape[kD] * R * Q,
                K = dw.shape[kN] / groups;
  const int64_t bytes = planes.bytes + align64(K * C * taps * L * int64_t(sizeof(T))), size = kDTypeSize[int(dw.dtype)];
  const RowTo<T> row_to = row_to_fn<T>(dw.dtype);
  parallel_for(ctx, groups, [&](int64_t group, int worker) {
    T* padded = (T*)((char*)ctx.workspace + worker * bytes);
    T* sums = (T*)((char*)padded + planes.bytes);
    const Problem one = group_of(q, groups, group);
    for (int64_t i = 0; i < K * C * taps * L; i++) sums[i] = T(0);
    for (int64_t n = 0; n < q.x.shape[kN]; n++) {
      planes.pad(one, n, padded);
      for (int64_t k = 0; k < K; k++) planes.gradient(one, n, k, padded, sums + k * C * taps * L);
    }
    for (int64_t i = 0; i < K * C * taps; i++) {
      const int64_t k = group * K + i / (C * taps), c = i / taps % C, tap = i % taps;
      const T sum = hsum(load(sums + i * L));
      row_to(&sum,
             at(dw, kN, k) + (c * dw.stride[kC] + tap / (R * Q) * dw.stride[kD] + tap / Q % R * dw.stride[kH] +
                              tap % Q * dw.stride[kW]) *
                                 size,
             1, 1);
    }
  });
}

// dw takes no part in the window's walk, so the problem carries it only for its channels.
Problem weight_problem(const View& dw, const View& g, const View& x, const ConvArgs& args) {
  return {g, x, dw, View{}, window_of(dw, args), Activation::none, true};
}
bool by_groups(const View& dw, const View& g, int64_t groups) {
  return groups > 1 && dw.shape[kN] / groups <= direct_channels(g, true) && numel(g) > 0;
}

// Whether the product of all others first turns a planar image: in (channel, tap) each pixel is gathered once a tap,
// and the columns turned (8 x 64 -> 64, 28 x 28, 7 x 7 on one core 113 ms, turned 41).
bool turns(const View& dw, const View& g, const View& x, const Window& v, const ConvArgs& args) {
  const View w = slice(dw, kN, 0, dw.shape[kN] / args.groups), y = slice(g, kC, 0, w.shape[kN]),
             image = slice(x, kC, 0, dw.shape[kC]);
  return !lanes_along_c(x) && dw.shape[kC] >= (WeightRows::fits ? WeightRows::kFew : 8) &&
         v.taps[0] * v.taps[1] * v.taps[2] > 1 && !by_groups(dw, g, args.groups) &&
         !WinogradWeight::fits(w, y, image, v, args.direct);
}

// f(algorithm) for the gradient of filters of one or a few channels in float32, if one fits.
template <class F>
bool with_few_channels(const View& dw, const View& g, const View& x, const ConvArgs& args, F f) {
  Problem q = weight_problem(dw, g, x, args);
  q.w.dtype = DType::f32;
  if (numel(g) == 0) return false;
  if (args.groups == 1) {
    if (WinogradWeight::fits(dw, g, x, q.window, args.direct) || !FewChannels::fits(dw, q)) return false;
    FewChannels few(q);
    f(few);
  } else if (DepthwiseLast::gradient_fits(q)) {
    DepthwiseLast last(q);
    f(last);
  } else if (DepthwiseBundles::gradient_fits(q)) {
    DepthwiseBundles bundles(q);
    f(bundles);
  } else if (DepthwisePlanes::gradient_fits(q)) {
    DepthwisePlanes planes(q);
    f(planes);
  } else {
    return false;
  }
  return true;
}

void conv_backward_weight(const Ctx& all, const View& dw, const View& gradient, const View& input,
                          ConvArgs args) noexcept {
  if (numel(dw) == 0) return;
  const int64_t K = dw.shape[kN] / args.groups, C = dw.shape[kC];
  const Window window = window_of(dw, args);
  Floats floats{all, false};
  const bool whole = args.groups == 1 && WinogradWeight::fits(dw, gradient, input, window, args.direct);
  const View g = whole ? gradient : floats(gradient);
  View x = whole ? input : floats(input);
  if (with_few_channels(dw, g, x, args, [&](auto& few) { few.gradient(floats.rest(), dw); })) return;
  if (turns(dw, g, x, window, args)) x = floats(x, true);
  const Ctx ctx = floats.rest();
  dispatch(x.dtype, [&]<class T>(T) {
    if (by_groups(dw, g, args.groups)) return group_gradients<T>(ctx, dw, weight_problem(dw, g, x, args), args.groups);
    for (int64_t i = 0; i < args.groups; i++) {
      const View w = slice(dw, kN, i * K, K), y = slice(g, kC, i * K, K), image = slice(x, kC, i * C, C);
      if (WinogradWeight::fits(w, y, image, window, args.direct)) WinogradWeight(w, y, image, window).run(ctx);
      else if constexpr (WeightRows::fits && __is_same(T, float)) weight_rows(w, y, image, window).run(ctx);
      else weight_gradient<Plain<T>>(ctx, w, y, image, args);
    }
  });
}

__attribute__((cold)) int64_t conv_backward_weight_workspace(const Ctx& ctx, const View& dw, const View& gradient,
                                                             const View& input, ConvArgs args) noexcept {
  if (numel(dw) == 0) return 0;
  Floats floats{ctx, true};
  const Window window = window_of(dw, args);
  const bool whole = args.groups == 1 && WinogradWeight::fits(dw, gradient, input, window, args.direct);
  const View g = whole ? gradient : floats(gradient);
  View x = whole ? input : floats(input);
  int64_t bytes = 0;
  if (with_few_channels(dw, g, x, args, [&](const auto& few) { bytes = few.gradient_bytes(ctx.threads); }))
    return floats.bytes + bytes;
  if (turns(dw, g, x, window, args)) x = floats(x, true);
  const int64_t inner = dispatch(x.dtype, [&]<class T>(T) {
    using Op = Plain<T>;
    if (by_groups(dw, g, args.groups)) {
      const Planes<T> planes(group_of(weight_problem(dw, g, x, args), args.groups, 0));
      return ctx.threads * (planes.bytes + align64(numel(dw) / args.groups * VBYTES));
    }
    const View y = slice(g, kC, 0, dw.shape[kN] / args.groups), image = slice(x, kC, 0, dw.shape[kC]);
    if (WinogradWeight::fits(dw, y, image, window, args.direct))
      return WinogradWeight(dw, y, image, window).bytes(ctx.threads);
    if constexpr (WeightRows::fits && __is_same(T, float)) {
      return weight_rows(slice(dw, kN, 0, y.shape[kC]), y, image, window).bytes(ctx.threads);
    }
    const WeightPlan p = weight_plan<Op>(dw, g, args.groups);
    const int64_t bytes = gemm_layout<Op>(p.gemm, false, ctx.threads).bytes;
    return p.partials + (p.pieces > 1 ? ctx.threads * bytes : bytes);
  });
  return floats.bytes + inner;
}

}  // namespace

void fill_conv(Kernels& k) {
  k.conv = conv;
  k.conv_workspace = conv_workspace;
  k.conv_backward_input = conv_backward_input;
  k.conv_backward_input_workspace = conv_backward_input_workspace;
  k.conv_backward_weight = conv_backward_weight;
  k.conv_backward_weight_workspace = conv_backward_weight_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
