// Winograd's minimal filtering, as conv/winograd.h, on channels-last images. The rows of the 36 products are tiles,
// their columns output channels, so that both what is read and what is stored lies along the channels.
#pragma once
#include "cpu/conv/winograd_blocks.h"

namespace mielina {
namespace MIELINA_ISA {

struct WinogradLast : WinogradBlocks {
  static constexpr int64_t kColumns = Op::NV * L, kMost = 4;

  int64_t tiles, pace, pitch;  // of a block; floats from tile to tile; from place to place

  static bool fits(const Problem& q) {
    return !q.direct && pays(q.y, q.x, q.window, Op::MR) && lanes_along_c(q.y) && lanes_along_c(q.x);
  }

  __attribute__((noinline)) explicit WinogradLast(const Problem& problem) : WinogradBlocks(problem, kColumns) {
    mr = kColumns;
    const int64_t vectors = ceil_div(row(), L);
    pace = (vectors > 2 ? vectors | 1 : vectors) * L;
    const int64_t row_bytes = kPlaces * Op::MR * pace * int64_t(sizeof(float)), fit = kAlone / row_bytes;
    alone = fit >= 2 && count >= 16 * Op::MR;
    tiles = Op::MR * (alone ? min64(kMost, fit) : kMost);
    pitch = tiles * pace + L;
    cut(tiles, pitch);
  }

  // A block's tile: v (36, tiles, pace) at it.
  void image(int64_t block, int64_t tile, float* v) const {
    LastTiles::image(q.x, block * tiles + tile, v + tile * pace, pitch);
  }
  int64_t tiles_of(int64_t block) const { return min64(tiles, count - block * tiles); }

  // A panel of output channels of a block, from the sums (36, tiles, kColumns).
  void products(int64_t block, int64_t panel, const float* u, const float* v, float* sums) const {
    const int64_t n = tiles_of(block), k = panel * kColumns;
    for (int64_t place = 0; place < kPlaces; place++)
      for (int64_t t = 0; t < n; t += Op::MR) {
        const Micro<Op> micro = MicroKernels<Op, false>::table.at[Op::NV - 1][min64(Op::MR, n - t) - 1];
        for (int64_t c = 0; c < C; c += Op::KC) {
          const float *filters = u + (place * C + c) * kColumns, *image = v + place * pitch + t * pace + c;
          micro(min64(Op::KC, C - c), {image, pace, 1}, {filters, 1, kColumns}, sums + (place * tiles + t) * kColumns,
                kColumns, kColumns, c > 0, filters + min64(Op::KC, C - c) * kColumns);
        }
      }
    for (int64_t t = 0; t < n; t++)
      for (int64_t i = 0; i < min64(kColumns, K - k); i += L)
        outputs(sums + t * kColumns + i, block * tiles + t, k + i, min64(L, K - k - i));
  }

  // n channels from k of one tile: from sums tiles * kColumns apart to its pixels.
  void outputs(const float* sums, int64_t tile, int64_t k, int64_t n) const {
    alignas(64) float channels[L] = {};
    for (int64_t i = 0; q.bias.data && i < n; i++)
      channels[i] = ((const float*)q.bias.data)[(k + i) * q.bias.stride[0]];
    const vf32 bias = load((const float*)channels);
    const int64_t at = tile / columns, h = at % rows * m, w = tile % columns * m;
    float* y = (float*)q.y.data + at / rows * q.y.stride[kN] + h * q.y.stride[kH] + w * q.y.stride[kW] + k;
    alignas(64) float z[4 * 4 * L];
    sized([&]<int M>(Size<M>) { pixels<M>(sums, z); });
    for (int64_t s = 0; s < min64(m, width - w); s++)
      for (int64_t r = 0; r < min64(m, height - h); r++) {
        float* to = y + r * q.y.stride[kH] + s * q.y.stride[kW];
        const vf32 v = activate(load((const float*)z + (s * m + r) * L) + bias, q.activation);
        if (n == L) store(to, v);
        else store_n(to, v, n);
      }
  }
  template <int M>
  __attribute__((noinline)) void pixels(const float* sums, float* to) const {
    vf32 y[M][M];
    back(sums, tiles * kColumns, y);
#pragma GCC unroll 4
    for (int s = 0; s < M; s++)
#pragma GCC unroll 4
      for (int r = 0; r < M; r++) store(to + (s * M + r) * L, y[s][r]);
  }

  void run(const Ctx& ctx) const {
    WinogradBlocks::run(
        ctx, tiles,
        [&](int64_t block, int64_t tile, float* v) {
          if (tile < tiles_of(block)) image(block, tile, v);
        },
        [&](int64_t block, int64_t panel, const float* u, const float* v, float* sums) {
          products(block, panel, u, v, sums);
        });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
