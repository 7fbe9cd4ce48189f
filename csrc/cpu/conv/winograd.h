// Winograd's minimal filtering F(m x m, r x r), m + r = 7, of planar images: 36 multiplications for a tile of m x m
// outputs, where the definition needs 144 (3 x 3 and 4 x 4 filters) or 100 (5 x 5) (Winograd 1980; Lavin and Gray
// 2016). Y = A' [(G w G') * (B' x B)] A, the star a product over channels for each of the 36 places.
//
// Filters are transformed once a call. Then a block of as many tiles as a panel of the product has columns: its image
// part becomes 36 panels, and each panel of output channels takes 36 tiles of the micro-kernel, which are turned back
// while they are in the cache. What is summed for an output depends on its place in the image alone.
#pragma once
#include "cpu/conv/winograd_blocks.h"

namespace mielina {
namespace MIELINA_ISA {

struct Winograd : WinogradBlocks {
  static constexpr int kTiles = Op::NV * L;  // of a block

  static bool fits(const Problem& q) {
    return !q.direct && pays(q.y, q.x, q.window, {kTiles}) && planar(q.y) && planar(q.x);
  }

  __attribute__((noinline)) explicit Winograd(const Problem& problem) : WinogradBlocks(problem, Op::MR) {
    cut(kTiles, pitch());
    alone = blocks >= 8 && block_bytes <= kAlone;
  }
  int64_t pitch() const { return (C | 1) * kTiles; }  // from place to place: not a multiple of 4 KB, which share a set

  // Channel c of a block: v (36, C, kTiles) at c.
  void image(int64_t block, int64_t c, float* v) const {
    alignas(64) float rows[lines(kTiles)];
    gather(true, q.x, c, block * kTiles, min64(count, (block + 1) * kTiles), kTiles, rows);
    for (int64_t t = 0; t < kTiles; t += L) turn(true, rows + m * t, line(kTiles), v + c * kTiles + t, pitch());
  }

  // A panel of output channels of a block, from the sums (36, mr, kTiles).
  void products(int64_t block, int64_t panel, const float* u, const float* v, float* sums) const {
    const int64_t n = min64(mr, K - panel * mr);
    const Micro<Op> micro = MicroKernels<Op, true>::table.at[Op::NV - 1][mr - 1];
    for (int64_t place = 0; place < kPlaces; place++)
      for (int64_t c = 0; c < C; c += Op::KC) {
        const int64_t depth = min64(Op::KC, C - c);
        const float *filters = u + (place * C + c) * mr, *image = v + place * pitch() + c * kTiles;
        micro(depth, {filters, 1, mr}, {image, 1, kTiles}, sums + place * mr * kTiles, kTiles, kTiles, c > 0,
              filters + depth * mr);
      }
    constexpr int64_t kTogether = 4;  // channels: a line just stored by vectors is not yet there to be read across them
    alignas(64) float lines[kTogether][4 * 4 * kTiles];
    for (int64_t k0 = 0; k0 < n; k0 += kTogether) {
      const int64_t k1 = min64(n, k0 + kTogether);
      for (int64_t k = k0; k < k1; k++) {
        const int64_t channel = panel * mr + k;
        const float bias = q.bias.data ? ((const float*)q.bias.data)[channel * q.bias.stride[0]] : 0.0f;
        for (int64_t t = 0; t < kTiles; t += L)
          sized([&]<int M>(Size<M>) { outputs<M>(sums + k * kTiles + t, bias, lines[k - k0] + M * t); });
      }
      runs(block * kTiles, min64(count, (block + 1) * kTiles), [&](const Run& run) {
        const int64_t w = run.column * m, h = run.row * m, wide = min64(m * run.n, width - w),
                      high = min64(m, height - h);
        for (int64_t k = k0; k < k1; k++) {
          float* y = (float*)q.y.data + run.image * q.y.stride[kN] + (panel * mr + k) * q.y.stride[kC] +
                     h * q.y.stride[kH] + w * q.y.stride[kW];
          for (int64_t r = 0; r < high; r++)
            copy_row((const float*)lines[k - k0] + r * m * kTiles + m * run.at, y + r * q.y.stride[kH], wide);
        }
      });
    }
  }

  // A vector of tiles of one channel: from sums mr * kTiles apart to M lines of pixels.
  template <int M>
  __attribute__((noinline)) void outputs(const float* sums, float bias, float* lines) const {
    vf32 y[M][M];
    back(sums, mr * kTiles, y);
#pragma GCC unroll 4
    for (int r = 0; r < M; r++) {
      vf32 row[M];
#pragma GCC unroll 4
      for (int s = 0; s < M; s++) row[s] = y[s][r] + splat<vf32>(bias);
      interleave_to(lines + r * M * kTiles, row);
    }
  }

  void run(const Ctx& ctx) const {
    constexpr int64_t kChannels = 8;  // of an image, a task
    WinogradBlocks::run(
        ctx, ceil_div(C, kChannels),
        [&](int64_t block, int64_t part, float* v) {
          for (int64_t c = part * kChannels; c < min64(C, (part + 1) * kChannels); c++) image(block, c, v);
        },
        [&](int64_t block, int64_t panel, const float* u, const float* v, float* sums) {
          products(block, panel, u, v, sums);
        });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
