// Winograd's F(4x4, 3x3), as conv/winograd.h, on channels-last images. The rows of the 36 products are tiles, their
// columns output channels, so that both what is read and what is stored lies along the channels.
#pragma once
#include "cpu/conv/tiles_last.h"
#include "cpu/conv/winograd_filters.h"

namespace mielina {
namespace MIELINA_ISA {

struct WinogradLast : WinogradFilters {
  static constexpr int64_t kColumns = Op::NV * L, kMost = 4, kAlone = 768 << 10, kHeld = 16 << 20;

  int64_t tiles, step, pitch;  // of a block; floats from tile to tile; from place to place
  int64_t blocks, held, block_bytes, scratch_bytes;
  bool alone;  // a task turns a block and multiplies it, while it is in its L2 cache

  static bool fits(const Problem& q) { return !q.direct && pays(q.y, q.x, q.window, Op::MR) && last(q.y) && last(q.x); }

  explicit WinogradLast(const Problem& problem) : WinogradFilters(problem, kColumns) {
    mr = kColumns;
    step = (round_up(C, L) / L | 1) * L;
    const int64_t row_bytes = kPlaces * Op::MR * step * int64_t(sizeof(float)), fit = kAlone / row_bytes;
    alone = fit >= 2 && count >= 16 * Op::MR;
    tiles = Op::MR * (alone ? min64(kMost, fit) : kMost);
    pitch = tiles * step + L;
    blocks = ceil_div(count, tiles);
    block_bytes = align64(kPlaces * pitch * int64_t(sizeof(float)));
    held = max64(1, min64(blocks, kHeld / block_bytes));
    scratch_bytes = align64(kPlaces * tiles * kColumns * int64_t(sizeof(float)));  // of a worker: the sums of a panel
  }
  int64_t bytes(int threads) const {
    return filter_bytes() + (alone ? threads : held) * block_bytes + threads * scratch_bytes;
  }

  // A block's tile: v (36, tiles, step) at it.
  void image(int64_t block, int64_t tile, float* v) const {
    LastTile<6>(*this, q.x, block * tiles + tile, top, left).turn(C, v + tile * step, pitch);
  }
  int64_t tiles_of(int64_t block) const { return min64(tiles, count - block * tiles); }

  // A panel of output channels of a block, from the sums (36, tiles, kColumns).
  void products(int64_t block, int64_t panel, const float* u, const float* v, float* sums) const {
    const int64_t n = tiles_of(block), k = panel * kColumns;
    for (int64_t place = 0; place < kPlaces; place++)
      for (int64_t t = 0; t < n; t += Op::MR) {
        const Micro<Op> micro = MicroKernels<Op, false>::table.at[Op::NV - 1][min64(Op::MR, n - t) - 1];
        for (int64_t c = 0; c < C; c += Op::KC) {
          const float *filters = u + (place * C + c) * kColumns, *image = v + place * pitch + t * step + c;
          micro(min64(Op::KC, C - c), {image, step, 1}, {filters, 1, kColumns}, sums + (place * tiles + t) * kColumns,
                kColumns, kColumns, c > 0, filters + min64(Op::KC, C - c) * kColumns);
        }
      }
    for (int64_t t = 0; t < n; t++)
      for (int64_t i = 0; i < min64(kColumns, K - k); i += L)
        outputs(sums + t * kColumns + i, block * tiles + t, k + i, min64(L, K - k - i));
  }

  // n channels from k of one tile: from sums tiles * kColumns apart to its pixels.
  __attribute__((noinline)) void outputs(const float* sums, int64_t tile, int64_t k, int64_t n) const {
    alignas(64) float channels[L] = {};
    for (int64_t i = 0; q.bias.data && i < n; i++)
      channels[i] = ((const float*)q.bias.data)[(k + i) * q.bias.stride[0]];
    const vf32 bias = load((const float*)channels);
    const int64_t line = tile / columns, h = line % rows * 4, w = tile % columns * 4;
    float* y = (float*)q.y.data + line / rows * q.y.stride[kN] + h * q.y.stride[kH] + w * q.y.stride[kW] + k;
    vf32 z[4][4];
    back(sums, tiles * kColumns, z);
    for (int64_t s = 0; s < min64(4, width - w); s++)
      for (int64_t r = 0; r < min64(4, height - h); r++) {
        float* to = y + r * q.y.stride[kH] + s * q.y.stride[kW];
        const vf32 v = activate(z[s][r] + bias, q.activation);
        if (n == L) store(to, v);
        else store_n(to, v, n);
      }
  }

  void run(const Ctx& ctx) const {
    float* u = (float*)ctx.workspace;
    char* images = (char*)ctx.workspace + filter_bytes();
    char* scratch = images + (alone ? ctx.threads : held) * block_bytes;
    all_filters(ctx, u);
    if (alone) {
      parallel_for(ctx, blocks, [&](int64_t block, int worker) {
        float *v = (float*)(images + worker * block_bytes), *room = (float*)(scratch + worker * scratch_bytes);
        for (int64_t t = 0; t < tiles_of(block); t++) image(block, t, v);
        for (int64_t p = 0; p < panels; p++) products(block, p, u + p * panel_size(), v, room);
      });
      return;
    }
    for (int64_t first = 0; first < blocks; first += held) {
      const int64_t now = min64(held, blocks - first);
      parallel_for(ctx, now * tiles, [&](int64_t i, int) {
        if (i % tiles < tiles_of(first + i / tiles))
          image(first + i / tiles, i % tiles, (float*)(images + i / tiles * block_bytes));
      });
      parallel_for(ctx, now * panels, [&](int64_t i, int worker) {
        const int64_t block = i / panels, panel = i % panels;
        products(first + block, panel, u + panel * panel_size(), (const float*)(images + block * block_bytes),
                 (float*)(scratch + worker * scratch_bytes));
      });
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
