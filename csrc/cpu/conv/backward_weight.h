// The gradient of the filters: which algorithm it goes by, and the product of all others.
#pragma once
#include "cpu/conv/algorithms.h"
#include "cpu/conv/deal.h"
#include "cpu/conv/floats.h"
#include "cpu/conv/weight.h"
#include "cpu/conv/weight_rows.h"
#include "cpu/conv/winograd_weight.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

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
  return {g, x, dw, View{}, window_of(dw, args), true};
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

// Of one group by none of the ways above.
template <class T>
__attribute__((noinline)) void product_gradient(const Ctx& ctx, const Part& p, const ConvArgs& args) {
  const Window window = window_of(p.w, args);
  if (WinogradWeight::fits(p.w, p.y, p.x, window, args.direct)) WinogradWeight(p.w, p.y, p.x, window).run(ctx);
  else if constexpr (WeightRows::fits && __is_same(T, float)) weight_rows(p.w, p.y, p.x, window).run(ctx);
  else weight_gradient<Plain<T>>(ctx, p.w, p.y, p.x, args);
}
template <class T>
__attribute__((cold, noinline)) int64_t product_gradient_bytes(const Part& part, const ConvArgs& args, int threads) {
  const Window window = window_of(part.w, args);
  if (WinogradWeight::fits(part.w, part.y, part.x, window, args.direct))
    return WinogradWeight(part.w, part.y, part.x, window).bytes(threads);
  if constexpr (WeightRows::fits && __is_same(T, float)) {
    return weight_rows(part.w, part.y, part.x, window).bytes(threads);
  } else {
    const WeightPlan p = weight_plan<Plain<T>>(part.w, part.y, 1);
    const int64_t bytes = gemm_layout<Plain<T>>(p.gemm, false, threads).bytes;
    return p.partials + (p.pieces > 1 ? threads * bytes : bytes);
  }
}

void conv_backward_weight(const Ctx& all, const View& dw, const View& gradient, const View& input,
                          ConvArgs args) noexcept {
  if (numel(dw) == 0) return;
  const Window window = window_of(dw, args);
  Floats floats{all, false};
  const bool turned = args.groups == 1 && WinogradWeight::turns(dw, gradient, input, window, args.direct);
  const bool whole = args.groups == 1 && !turned && WinogradWeight::fits(dw, gradient, input, window, args.direct);
  const View g = whole ? gradient : floats(gradient, turned);
  View x = whole ? input : floats(input, turned);
  if (with_few_channels(dw, g, x, args, [&](auto& few) { few.gradient(floats.rest(), dw); })) return;
  if (turns(dw, g, x, window, args)) x = floats(x, true);
  const Ctx ctx = floats.rest();
  dispatch(x.dtype, [&]<class T>(T) {
    if (by_groups(dw, g, args.groups)) return group_gradients<T>(ctx, dw, weight_problem(dw, g, x, args), args.groups);
    const Groups groups(g, x, dw, args.groups);
    const bool dealt = __is_same(T, float) && Groups::dealt(g, dw, args.groups);
    Part p;
    for (int64_t i = 0; i < args.groups; i++) {
      groups.part(i, p);
      if (dealt)
        return groups.deal(ctx, product_gradient_bytes<T>(p, args, 1),
                           [&](const Ctx& one, const Part& part, int64_t) { product_gradient<T>(one, part, args); });
      product_gradient<T>(ctx, p, args);
    }
  });
}

__attribute__((cold)) int64_t conv_backward_weight_workspace(const Ctx& ctx, const View& dw, const View& gradient,
                                                             const View& input, ConvArgs args) noexcept {
  if (numel(dw) == 0) return 0;
  Floats floats{ctx, true};
  const Window window = window_of(dw, args);
  const bool turned = args.groups == 1 && WinogradWeight::turns(dw, gradient, input, window, args.direct);
  const bool whole = args.groups == 1 && !turned && WinogradWeight::fits(dw, gradient, input, window, args.direct);
  const View g = whole ? gradient : floats(gradient, turned);
  View x = whole ? input : floats(input, turned);
  int64_t bytes = 0;
  if (with_few_channels(dw, g, x, args, [&](const auto& few) { bytes = few.gradient_bytes(ctx.threads); }))
    return floats.bytes + bytes;
  if (turns(dw, g, x, window, args)) x = floats(x, true);
  const int64_t inner = dispatch(x.dtype, [&]<class T>(T) -> int64_t {
    if (by_groups(dw, g, args.groups)) {
      const Planes<T> planes(group_of(weight_problem(dw, g, x, args), args.groups, 0));
      return ctx.threads * (planes.bytes + align64(numel(dw) / args.groups * VBYTES));
    }
    Part first;
    Groups(g, x, dw, args.groups).part(0, first);
    const int threads = Groups::dealt(g, dw, args.groups) ? ctx.threads : 1;
    return threads * product_gradient_bytes<T>(first, args, ctx.threads / threads);
  });
  return floats.bytes + inner;
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
