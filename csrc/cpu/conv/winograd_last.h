// Winograd's minimal filtering, as conv/winograd.h, on channels-last images. The rows of the 36 products are tiles,
// their columns output channels, so that both what is read and what is stored lies along the channels.
#pragma once
#include "cpu/conv/winograd_blocks.h"
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {

struct WinogradLast : WinogradBlocks {
  static constexpr int64_t kColumns = Op::NV * L, kMost = 4;
  static constexpr int64_t kTurned = 384 << 10, kTasks = 8;  // bytes of images that a task turns, at most

  int64_t tiles, pace, pitch;  // of a block; floats from tile to tile; from place to place

  View y, x;           // the caller's
  bool turned;         // planar ones, made channels-last first
  int64_t images = 0;  // that a task turns for itself, or 0

  static bool in_order(const Problem& q) { return lanes_along_c(q.y) && lanes_along_c(q.x); }
  __attribute__((noinline)) static bool fits(const Problem& q) {
    const bool last = in_order(q), planes = planar(q.y) && planar(q.x), any = last || q.zoom == 2 || turns(q);
    return !q.direct && (last || planes) && pays(q.y, q.x, q.window, {Op::MR, kPixels, any ? 2 : 5, 5, q.zoom});
  }
  // Whether planes are better turned than turned into tiles by shuffles: those that become tiles four times (8 x 64 ->
  // 64, 28 x 28, 7 x 7 with AVX-512 9.4 to 8.2 ms), and with AVX2 small ones, which tasks turn in their caches (32 x 32
  // -> 32, 16 x 16 0.49 to 0.42 ms, 64 x 32 -> 64, 28 x 28 5.6 to 5.0; with AVX-512 as before, of 16 channels 0.7).
  static bool turns(const Problem& q) {
    const int64_t pixels = q.x.shape[kC] * q.x.shape[kH] * q.x.shape[kW] + numel(q.y) / max64(1, q.y.shape[kN]);
    const bool small = q.y.shape[kN] >= kTasks && pixels * int64_t(sizeof(float)) <= kTurned;
    return VBYTES >= 32 && q.window.stride[1] == 1 && q.x.shape[kC] >= 16 &&
           ((VBYTES == 32 && small) || q.window.taps[1] > 5);
  }

  static View last_of(View v) {
    const int order[4] = {kW, kH, kD, kN};
    int64_t step = v.shape[kC];
    v.stride[kC] = 1;
    for (int axis : order) {
      v.stride[axis] = step;
      step *= v.shape[axis];
    }
    return v;
  }
  __attribute__((cold)) static Problem last_of(Problem p) {
    if (in_order(p)) return p;
    p.x = last_of(p.x);
    p.y = last_of(p.y);
    return p;
  }

  __attribute__((cold)) explicit WinogradLast(const Problem& problem, bool part = false)
      : WinogradBlocks(last_of(problem), kColumns), y(problem.y), x(problem.x), turned(!in_order(problem)) {
    mr = kColumns;
    const int64_t vectors = ceil_div(row(), L), N = y.shape[kN];
    pace = (vectors > 2 ? vectors | 1 : vectors) * L;
    const int64_t row_bytes = kPlaces * Op::MR * pace * int64_t(sizeof(float)), fit = kAlone / row_bytes;
    alone = fit >= 2 && count >= 16 * Op::MR;
    tiles = Op::MR * (alone ? min64(kMost, fit) : kMost);
    pitch = tiles * pace + L;
    cut(tiles, pitch);
    if (part || !turned || N < kTasks) return;
    const int64_t some = min64(kTurned * N / turned_bytes(), ceil_div(N, kTasks));
    if (some * rows * columns >= kMost * Op::MR / 2) images = some;
  }
  // Of a task; the last images are fewer, and may be cut in another way.
  int64_t bytes_of_some() const {
    const int64_t last = (y.shape[kN] - 1) / images * images;
    return max64(WinogradLast(some_images(0), true).bytes(1), WinogradLast(some_images(last), true).bytes(1)) -
           filter_bytes();
  }
  // Images from `first` on as a problem of their own.
  __attribute__((cold)) Problem some_images(int64_t first) const {
    Problem p = q;
    p.y = y;
    p.x = x;
    p.y.shape[kN] = p.x.shape[kN] = min64(images, y.shape[kN] - first);
    p.y.data = (float*)y.data + first * y.stride[kN];
    p.x.data = (float*)x.data + first * x.stride[kN];
    return p;
  }

  static int64_t floats(const View& v) { return align64(numel(v) * int64_t(sizeof(float))); }
  int64_t turned_bytes() const { return turned ? floats(x) + floats(y) : 0; }
  int64_t bytes(int threads) const {
    if (images > 0) return filter_bytes() + threads * bytes_of_some();
    return turned_bytes() + WinogradBlocks::bytes(threads);
  }

  // Planes to channels-last pixels, or back.
  __attribute__((noinline)) static void turn_image(const Ctx& ctx, const View& from, const View& to, bool back) {
    const View &plane = back ? to : from, &pixels = back ? from : to;
    const int64_t C = plane.shape[kC], H = plane.shape[kH], W = plane.shape[kW], parts = ceil_div(C, L);
    parallel_ranges(ctx, plane.shape[kN] * parts, 1 + 16 * 1024 / (H * W * L + 1), [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; i++)
        for (int64_t h = 0; h < H; h++) {
          const int64_t n = i / parts, c = i % parts * L, some = min64(L, C - c), step = plane.stride[kC];
          uint32_t* a = (uint32_t*)plane.data + n * plane.stride[kN] + c * step + h * plane.stride[kH];
          uint32_t* b = (uint32_t*)pixels.data + n * pixels.stride[kN] + c + h * pixels.stride[kH];
          if (back) turn_planes(a, step, b, C, some, W);
          else turn_planes(b, C, a, step, W, some);
        }
    });
  }

  // f(rest of the workspace) between the turning of the image and that of the output.
  template <class F>
  void turning(const Ctx& ctx, F f) {
    Ctx rest = ctx;
    if (turned) {
      q.x.data = ctx.workspace;
      q.y.data = (char*)ctx.workspace + floats(x);
      rest.workspace = (char*)ctx.workspace + turned_bytes();
      turn_image(ctx, x, q.x, false);
    }
    f(rest);
    if (turned) turn_image(ctx, q.y, y, true);
  }

  // A block's tile: v (36, tiles, pace) at it.
  void image(int64_t block, int64_t tile, float* v) const {
    LastTiles::image(q.x, block * tiles + tile, v + tile * pace, pitch);
  }
  int64_t tiles_of(int64_t block) const { return min64(tiles, count - block * tiles); }

  // A panel of output channels of a block, from the sums (36, tiles, kColumns).
  void products(int64_t block, int64_t panel, const float* u, const float* v, float* sums) const {
    const int64_t n = tiles_of(block);
    for (int64_t place = 0; place < kPlaces; place++)
      for (int64_t t = 0; t < n; t += Op::MR) {
        const Micro<Op> micro = MicroKernels<Op, false>::table.at[Op::NV - 1][min64(Op::MR, n - t) - 1];
        for (int64_t c = 0; c < C; c += Op::KC) {
          const float *filters = u + (place * C + c) * kColumns, *image = v + place * pitch + t * pace + c;
          micro(min64(Op::KC, C - c), {image, pace, 1}, {filters, 1, kColumns}, sums + (place * tiles + t) * kColumns,
                kColumns, kColumns, c > 0, filters + min64(Op::KC, C - c) * kColumns);
        }
      }
    outputs(sums, block * tiles, n, panel);
  }

  // n tiles of a panel of output channels, from `first` on, from sums tiles * kColumns apart to their pixels. Where a
  // tile lies is counted: divided for every vector of it, it was a tenth of a first layer.
  void outputs(const float* sums, int64_t first, int64_t n, int64_t panel) const {
    const int64_t k = channel_of(panel), many = min64(kColumns, K - k), phase = phase_of(panel);
    alignas(64) float bias[kColumns] = {};
    for (int64_t i = 0; q.bias.data && i < many; i++) bias[i] = ((const float*)q.bias.data)[(k + i) * q.bias.stride[0]];
    const int64_t up = (zoom == 2 ? phase / 2 : 0) - skip[0], over = (zoom == 2 ? phase % 2 : 0) - skip[1];
    int64_t column = first % columns, row = first / columns % rows, image = first / columns / rows;
    for (int64_t t = 0; t < n; t++, column++) {
      if (column == columns) {
        column = 0;
        if (++row == rows) {
          row = 0;
          image++;
        }
      }
      const int64_t h = row * m * zoom + up, w = column * m * zoom + over;
      const Part part{h < 0, min64(m, (height - h + zoom - 1) >> (zoom - 1)), w < 0,
                      min64(m, (width - w + zoom - 1) >> (zoom - 1))};
      float* to = (float*)q.y.data + image * q.y.stride[kN] + h * q.y.stride[kH] + w * q.y.stride[kW] + k;
      for (int64_t i = 0; i < many; i += L)
        vector(sums + t * kColumns + i, load((const float*)bias + i), min64(L, many - i), part, to + i);
    }
  }
  struct Part {
    int64_t h0, h1, w0, w1;  // of a tile's outputs, those in the image
  };
  // n channels of one tile.
  void vector(const float* sums, vf32 bias, int64_t n, const Part& part, float* y) const {
    const int64_t down = zoom * q.y.stride[kH], right = zoom * q.y.stride[kW];
    const bool whole = n == L && part.h0 + part.w0 == 0 && part.h1 + part.w1 == 2 * m;
    if (whole) return sized<5>([&]<int M>(Size<M>) { pixels<M>(sums, bias, y, down, right); });
    alignas(64) float z[5 * 5 * L];
    sized<5>([&]<int M>(Size<M>) { pixels<M>(sums, bias, z, L, M * L); });
    for (int64_t s = part.w0; s < part.w1; s++)
      for (int64_t r = part.h0; r < part.h1; r++) {
        const vf32 v = load((const float*)z + (s * m + r) * L);
        if (n == L) store(y + r * down + s * right, v);
        else store_n(y + r * down + s * right, v, n);
      }
  }
  template <int M>
  __attribute__((noinline)) void pixels(const float* sums, vf32 bias, float* to, int64_t down, int64_t right) const {
    vf32 y[M][M];
    back(sums, tiles * kColumns, y);
#pragma GCC unroll 5
    for (int s = 0; s < M; s++)
#pragma GCC unroll 5
      for (int r = 0; r < M; r++) store(to + r * down + s * right, y[s][r] + bias);
  }

  __attribute__((noinline)) void run(const Ctx& ctx) {
    if (images > 0) {
      float* u = (float*)ctx.workspace;
      all_filters(ctx, u);
      const int64_t each = bytes_of_some();
      return parallel_for(ctx, ceil_div(y.shape[kN], images), [&](int64_t task, int worker) {
        WinogradLast some(some_images(task * images), true);
        some.ready = u;
        some.run(MIELINA_ISA::alone(ctx, filter_bytes() + worker * each));
      });
    }
    turning(ctx, [&](const Ctx& rest) {
      WinogradBlocks::run(
          rest, tiles,
          [&](int64_t block, int64_t tile, float* v) {
            if (tile < tiles_of(block)) image(block, tile, v);
          },
          [&](int64_t block, int64_t panel, const float* u, const float* v, float* sums) {
            products(block, panel, u, v, sums);
          });
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
