// The gradient of the image, as convolutions.
#pragma once
#include "cpu/conv/algorithms.h"
#include "cpu/conv/floats.h"
#include "cpu/conv/phases.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

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

// Whether every pixel of dx is one tap of the only pixel of g, as in a generator's first layer, and dx and the filters
// lie in one order: then dx is a product, of as many channels as an image has numbers. (As a convolution, all places
// but one multiplied zeros: 64 x 100 -> 256, 1 x 1, 4 x 4 6.5 ms on two threads, 0.6 so.)
bool spreads(const View& dx, const View& g, const View& w, const ConvArgs& args, Problem& q) {
  if (args.groups != 1) return false;
  for (int d = 0; d < 3; d++)
    if (g.shape[kD + d] != 1 || args.padding[d] != 0 || args.dilation[d] != 1 || dx.shape[kD + d] != w.shape[kD + d])
      return false;
  const int orders[2][4] = {{kW, kH, kD, kC}, {kC, kW, kH, kD}};
  bool found = false;
  int64_t numbers = 1;
  for (int o = 0; o < 2 && !found; o++) {
    found = true;
    numbers = 1;
    for (int d : orders[o]) {
      found &= dx.shape[d] == 1 || (dx.stride[d] == numbers && w.stride[d] == numbers);
      numbers *= dx.shape[d];
    }
  }
  if (!found) return false;
  const Window pixel{{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  q = {dx, g, exchanged(w), View{}, pixel, args.direct};
  q.y.shape[kC] = q.w.shape[kN] = numbers;
  q.y.stride[kC] = q.w.stride[kN] = 1;
  for (int d = kD; d <= kW; d++) q.y.shape[d] = q.y.stride[d] = q.w.shape[d] = q.w.stride[d] = 1;
  View* const images[] = {&q.y, &q.x};
  for (View* v : images) {  // the images are pixels of one
    v->stride[kW] = v->stride[kN];
    v->shape[kW] = v->shape[kN];
    v->shape[kN] = 1;
  }
  return true;
}

// A transposed window of stride 2 by Winograd's tiles, all four phases of dx at once.
bool by_tiles(const View& dx, const View& g, const View& w, const ConvArgs& args, Problem& q) {
  Window window = window_of(w, args);
  if (args.groups != 1 || window.stride[0] != 1 || window.stride[1] != 2 || window.stride[2] != 2) return false;
  window.stride[1] = window.stride[2] = 1;
  q = {dx, g, exchanged(w), View{}, window, args.direct, 2};
  return WinogradLast::fits(q);
}

// Planes as channels-last images, whether that was done: of each remainder's columns every second one would be stored
// alone, and the image turned once a remainder (8 x 128 -> 64, 28 x 28 transposed, 3 x 3 of stride 2 7.5 ms, 6.1 so).
// Not rows of seven, which fill no tiles (0.8); not timed with AVX-512.
bool made_last(Floats& floats, View& dx, View& g, const View& w, const ConvArgs& args) {
  const bool planes = dx.stride[kW] == 1 && g.stride[kW] == 1 && !lanes_along_c(dx) && !lanes_along_c(g);
  if (VBYTES != 32 || args.groups > 1 || dx.dtype != DType::f32 || args.stride[2] == 1 || !planes || dx.shape[kD] > 1 ||
      g.shape[kW] < 8 || dx.shape[kC] < 16 || g.shape[kC] < 16 || has_gaps(w, args))
    return false;
  int order[5];
  g = floats(g, true);
  dx = floats.room(dx, true, order);
  return true;
}

void conv_backward_input(const Ctx& ctx, const View& out, const View& g, const View& w, ConvArgs args) noexcept {
  if (numel(out) == 0) return;
  Floats floats{ctx, false};
  View gs = floats(g), dx = floats.result(out, w);
  const View ws = floats(w);
  if (dx.dtype != out.dtype) {
    conv_backward_input(floats.rest(), dx, gs, ws, args);
    return Floats::finish(ctx, dx, out);
  }
  if (bundled(floats.rest(), dx, gs, ws, args, false) >= 0) return;
  Problem one;
  if (spreads(dx, gs, ws, args, one))
    return dispatch(gs.dtype, [&]<class T>(T) { convolve<T>(floats.rest(), one, 1); });
  if (Columns::fits(dx, gs, ws, args)) return Columns(dx, gs, ws, args).run(floats.rest());
  if (by_tiles(dx, gs, ws, args, one)) return WinogradLast(one).run(floats.rest());
  const bool turned = made_last(floats, dx, gs, ws, args);
  // Zeroed at once: phase by phase took three quarters of the gradient of a 1 x 1 window of stride 2.
  const bool cleared = has_gaps(w, args) && is_dense(dx);
  if (cleared)
    parallel_ranges(ctx, numel(dx), 64 * 1024, [&](int64_t i0, int64_t i1) {
      const int64_t size = kDTypeSize[int(dx.dtype)];
      __builtin_memset((char*)dx.data + i0 * size, 0, size_t((i1 - i0) * size));
    });
  Problem kept[4];
  // Rows of both remainders at once, where both fit.
  const int all = args.stride[1] == 2 && dx.shape[kH] >= 8 && w.shape[kH] <= DepthwiseRows::kTapRows ? 4 : 2;
  int n = 0;
  each_phase(dx, gs, ws, args, [&](const Problem& q, int64_t groups) {
    if (two_columns(q, dx, w, args)) {  // even and odd ones of a row
      kept[n++] = q;
      if (n < all) return;
      DepthwisePlanes rows(kept[0], kept[1], 2), between(kept[n - 2], kept[n - 1], 2);
      rows.run(floats.rest(), n == 4 ? &between : nullptr);
      n = 0;
    } else if (!cleared || depth_of(q) > 0) {
      dispatch(gs.dtype, [&]<class T>(T) { convolve<T>(floats.rest(), q, groups); });
    }
  });
  if (turned) WinogradLast::turn_image(ctx, dx, out, true);
}

__attribute__((cold)) int64_t conv_backward_input_workspace(const Ctx& ctx, const View& out, const View& g,
                                                            const View& w, ConvArgs args) noexcept {
  if (numel(out) == 0) return 0;
  int64_t most = 0;
  Floats floats{ctx, true};
  View gs = floats(g), dx = floats.result(out, w);
  const View ws = floats(w);
  if (dx.dtype != out.dtype) return floats.bytes + conv_backward_input_workspace(ctx, dx, gs, ws, args);
  const int64_t once = bundled(ctx, dx, gs, ws, args, true);
  if (once >= 0) return floats.bytes + once;
  Problem one;
  if (spreads(dx, gs, ws, args, one))
    return floats.bytes + dispatch(gs.dtype, [&]<class T>(T) { return convolve_workspace<T>(ctx, one, 1); });
  if (Columns::fits(dx, gs, ws, args)) return floats.bytes + Columns(dx, gs, ws, args).bytes(ctx.threads);
  if (by_tiles(dx, gs, ws, args, one)) return floats.bytes + WinogradLast(one).bytes(ctx.threads);
  made_last(floats, dx, gs, ws, args);
  each_phase(dx, gs, ws, args, [&](const Problem& q, int64_t groups) {
    const int64_t bytes = two_columns(q, dx, w, args)
                              ? 4 * DepthwisePlanes(q).bytes()
                              : dispatch(gs.dtype, [&]<class T>(T) { return convolve_workspace<T>(ctx, q, groups); });
    most = max64(most, bytes);
  });
  return floats.bytes + most;
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
