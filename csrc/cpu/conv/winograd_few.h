// Winograd's minimal filtering for a few tiles under many filters: the last stages of a network at small batches. There
// the filters' 36 matrices are larger than all else, so that they are never written to memory: a task turns a panel's
// filters of some channels and multiplies all tiles by them while they lie in its L2 cache.
#pragma once
#include "cpu/conv/winograd_last.h"

namespace mielina {
namespace MIELINA_ISA {

struct WinogradFew : WinogradLast {
  static constexpr int64_t kChunk = 64, kMostTiles = 64, kLeastFilters = 64 * 128;
  // With AVX2 four whole tiles are enough: 256 x 256 channels on 8 x 8 pixels 1.35 ms, 0.92 so, 512 x 512 on 10 x
  // 10 7.9 and 5.4 (one core of a Zen 3); of 7 x 7 pixels, which waste a quarter of theirs, 3.6 and 4.0.
  static constexpr int64_t kLeastPixels = VBYTES == 32 ? 64 : 128;
  static constexpr int64_t kPitch = kChunk + 1;  // distances of a multiple of 4 KB share a set of the L1 cache

  __attribute__((noinline)) static bool fits(const Problem& q) {
    const bool planes = planar(q.y) && planar(q.x);
    return !q.direct && (in_order(q) || planes) && q.window.stride[1] == 1 && q.window.taps[1] <= 5 &&
           pays(q.y, q.x, q.window, {1, kLeastPixels}) && Tiles(q.y, q.window).count <= kMostTiles &&
           q.y.shape[kC] * q.x.shape[kC] >= kLeastFilters;
  }

  __attribute__((cold)) explicit WinogradFew(const Problem& problem) : WinogradLast(problem) {
    tiles = count;
    pitch = tiles * pace + L;
    cut(tiles, pitch);
  }
  static constexpr int64_t kChunkBytes = kPlaces * kPitch * kColumns * int64_t(sizeof(float));
  int64_t bytes(int threads) const { return turned_bytes() + block_bytes + threads * (kChunkBytes + scratch_bytes); }

  // A 36th of the taps that the next chunk turns, while this one's are multiplied.
  void fetch(int64_t panel, int64_t c, int64_t place) const {
    const int64_t many = min64(kChunk, C - c) * q.w.stride[kC], n = min64(kColumns, K - panel * kColumns);
    const float* w = (const float*)q.w.data + panel * kColumns * q.w.stride[kN] + c * q.w.stride[kC];
    for (int64_t i = 16 * place; i < many; i += 16 * kPlaces)
      for (int64_t k = 0; k < n; k++) __builtin_prefetch(w + k * q.w.stride[kN] + i, 0, 2);
  }

  // A panel of output channels of all tiles.
  void panel_of(int64_t panel, const float* v, float* u, float* sums) const {
    const int64_t rows = ceil_div(tiles, ceil_div(tiles, Op::MR));  // of 16 tiles 8 and 8, not 14 and 2
    for (int64_t c = 0; c < C; c += kChunk) {
      const int64_t depth = min64(kChunk, C - c);
      filters(panel, c, c + depth, kPitch, u);
      for (int64_t place = 0; place < kPlaces; place++) {
        if (c + kChunk < C) fetch(panel, c + kChunk, place);
        for (int64_t t = 0; t < tiles; t += rows) {
          const float* block = u + place * kPitch * kColumns;
          MicroKernels<Op, false>::table.at[Op::NV - 1][min64(rows, tiles - t) - 1](
              depth, {v + place * pitch + t * pace + c, pace, 1}, {block, 1, kColumns},
              sums + (place * tiles + t) * kColumns, kColumns, kColumns, c > 0, block + kPitch * kColumns);
        }
      }
    }
    outputs(sums, 0, tiles, panel);
  }

  __attribute__((noinline)) void run(const Ctx& ctx) {
    turning(ctx, [&](const Ctx& rest) {
      float* v = (float*)rest.workspace;
      char* at = (char*)rest.workspace + block_bytes;
      parallel_ranges(ctx, tiles, 1 + 2048 / C, [&](int64_t t0, int64_t t1) {
        for (int64_t t = t0; t < t1; t++) image(0, t, v);
      });
      parallel_for(ctx, panels, [&](int64_t panel, int worker) {
        float* u = (float*)(at + worker * (kChunkBytes + scratch_bytes));
        panel_of(panel, v, u, (float*)((char*)u + kChunkBytes));
      });
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
