// Winograd's minimal filtering F(4x4, 3x3): 36 multiplications where a 3 x 3 convolution needs 144 for a tile of 4 x 4
// outputs (Winograd 1980; Lavin and Gray 2016). Y = A' [(G w G') * (B' x B)] A, the star a product over channels for
// each of the 36 places.
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
    return !q.direct && pays(q.y, q.x, q.window, kTiles) && planar(q.y) && planar(q.x);
  }

  explicit Winograd(const Problem& problem) : WinogradBlocks(problem, Op::MR) {
    cut(kTiles, pitch());
    alone = blocks >= 8 && block_bytes <= kAlone;
  }
  int64_t pitch() const { return (C | 1) * kTiles; }  // from place to place: not a multiple of 4 KB, which share a set

  // Channel c of a block: v (36, C, kTiles) at c.
  void image(int64_t block, int64_t c, float* v) const {
    alignas(64) Lines<6, kTiles> lines;
    gather<6, kTiles>(q.x, c, top, left, block * kTiles, min64(count, (block + 1) * kTiles), lines);
    for (int64_t t = 0; t < kTiles; t += L) turn<6, kTiles>(lines, t, v + c * kTiles + t, pitch());
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
    alignas(64) float lines[kTogether][4][4 * kTiles];
    for (int64_t k0 = 0; k0 < n; k0 += kTogether) {
      const int64_t k1 = min64(n, k0 + kTogether);
      for (int64_t k = k0; k < k1; k++)
        for (int64_t t = 0; t < kTiles; t += L) outputs(sums + k * kTiles + t, panel * mr + k, lines[k - k0], t);
      runs(block * kTiles, min64(count, (block + 1) * kTiles), [&](const Run& run) {
        const int64_t wide = min64(4 * run.n, width - run.column * 4), high = min64(4, height - run.row * 4);
        for (int64_t k = k0; k < k1; k++) {
          float* y = (float*)q.y.data + run.image * q.y.stride[kN] + (panel * mr + k) * q.y.stride[kC] +
                     run.row * 4 * q.y.stride[kH] + run.column * 4;
          for (int64_t r = 0; r < high; r++)
            copy_row((const float*)lines[k - k0][r] + 4 * run.at, y + r * q.y.stride[kH], wide);
        }
      });
    }
  }

  // A vector of tiles of one channel, t of its block: from sums mr * kTiles apart to four lines of pixels.
  __attribute__((noinline)) void outputs(const float* sums, int64_t channel, float (&lines)[4][4 * kTiles],
                                         int64_t t) const {
    const vf32 bias = splat<vf32>(q.bias.data ? ((const float*)q.bias.data)[channel * q.bias.stride[0]] : 0.0f);
    vf32 y[4][4];
    back(sums, mr * kTiles, y);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      vf32 even[2], odd[2];
      interleave(y[0][r] + bias, y[2][r] + bias, even[0], even[1]);
      interleave(y[1][r] + bias, y[3][r] + bias, odd[0], odd[1]);
      float* to = lines[r] + 4 * t;
#pragma GCC unroll 2
      for (int i = 0; i < 2; i++) {
        vf32 lo, hi;
        interleave(even[i], odd[i], lo, hi);
        store(to + 2 * i * L, lo);
        store(to + (2 * i + 1) * L, hi);
      }
    }
    if (q.activation != Activation::none)
      for (int r = 0; r < 4; r++)
        for (int64_t i = 4 * t; i < 4 * (t + L); i += L)
          store(lines[r] + i, activate(load(lines[r] + i), q.activation));
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
