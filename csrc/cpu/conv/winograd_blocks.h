// What Winograd's convolutions have in common in either memory order: filters G w G', transformed once a call, in
// panels of output channels, and blocks of tiles, turned and multiplied.
#pragma once
#include "cpu/conv/tiles.h"
#include "cpu/gemm.h"

namespace mielina {
namespace MIELINA_ISA {

struct WinogradBlocks : Tiles {
  using Op = Plain<float>;
  Problem q;
  int64_t K, C;
  int64_t top, left;  // input coordinates of output (0, 0)'s first tap
  bool flipped;
  int64_t mr, panels;                                // output channels of a panel; how many panels
  int64_t blocks, held, block_bytes, scratch_bytes;  // blocks held at once; scratch: the sums of a panel
  bool alone;  // a task turns a block and multiplies it, while it is in its L2 cache
  static constexpr int64_t kAlone = 768 << 10, kHeld = 16 << 20;

  WinogradBlocks(const Problem& problem, int64_t most) : Tiles(problem.y), q(problem) {
    const Window& v = q.window;
    K = q.y.shape[kC];
    C = q.x.shape[kC];
    flipped = v.dilation[1] < 0;
    top = -v.padding[1] - (flipped ? 2 : 0);
    left = -v.padding[2] - (flipped ? 2 : 0);
    panels = ceil_div(K, most);
    mr = ceil_div(K, panels);
  }
  // Blocks of so many tiles, each a matrix of `pitch` floats a place.
  void cut(int64_t tiles, int64_t pitch) {
    blocks = ceil_div(count, tiles);
    block_bytes = align64(kPlaces * pitch * int64_t(sizeof(float)));
    scratch_bytes = align64(kPlaces * tiles * mr * int64_t(sizeof(float)));
    held = max64(1, min64(blocks, kHeld / block_bytes));
  }
  int64_t bytes(int threads) const {
    return filter_bytes() + (alone ? threads : held) * block_bytes + threads * scratch_bytes;
  }
  int64_t panel_size() const { return kPlaces * C * mr; }
  int64_t filter_bytes() const { return align64(panels * panel_size() * int64_t(sizeof(float))); }

  // The nine taps of channel c in filters k.., as lanes. Where they lie in a row, squares of filters and taps are
  // turned.
  MIELINA_INLINE void taps_of(const float* at, const Problem& q, int64_t n, vf32 (&tap)[12]) {
    const int64_t sk = q.w.stride[kN], sr = q.w.stride[kH], ss = q.w.stride[kW];
    if (ss == 1 && sr == 3) {
      for (int t = 0; t < 9; t += L) {
        vf32 v[L];
#pragma GCC unroll 16
        for (int i = 0; i < L; i++) v[i] = i < n ? load_n(at + i * sk + t, min64(L, 9 - t)) : vf32{};
        transpose(v);
        for (int i = 0; i < min64(L, 9 - t); i++) tap[t + i] = v[i];
      }
      return;
    }
    for (int t = 0; t < 9; t++) {
      vf32 v{};
      for (int64_t i = 0; i < n; i++) v[i] = at[i * sk + t / 3 * sr + t % 3 * ss];
      tap[t] = v;
    }
  }

  // One panel of filters: u (36, C, mr).
  void filters(int64_t panel, float* u) const {
    const float* w = (const float*)q.w.data + panel * mr * q.w.stride[kN];
    const int64_t valid = min64(mr, K - panel * mr);
    for (int64_t c = 0; c < C; c++)
      for (int64_t k = 0; k < mr; k += L) {
        vf32 tap[12], t[3][6];
        taps_of(w + c * q.w.stride[kC] + k * q.w.stride[kN], q, min64(L, valid - k), tap);
        for (int s = 0; s < 3; s++) {
          const vf32 column[3] = {tap[flipped ? 8 - s : s], tap[flipped ? 5 - s : 3 + s], tap[flipped ? 2 - s : 6 + s]};
          filter(column, t[s]);
        }
        for (int i = 0; i < 6; i++) {
          const vf32 row[3] = {t[0][i], t[1][i], t[2][i]};
          vf32 out[6];
          filter(row, out);
          for (int j = 0; j < 6; j++) store_n(u + ((i * 6 + j) * C + c) * mr + k, out[j], min64(L, mr - k));
        }
      }
  }

  // turn(block, part, v) fills a part of a block; multiply(block, panel, u, v, sums) goes on to the outputs.
  template <class Turn, class Multiply>
  void run(const Ctx& ctx, int64_t parts, Turn turn, Multiply multiply) const {
    float* u = (float*)ctx.workspace;
    char* images = (char*)ctx.workspace + filter_bytes();
    char* scratch = images + (alone ? ctx.threads : held) * block_bytes;
    parallel_for(ctx, panels, [&](int64_t p, int) { filters(p, u + p * panel_size()); });
    if (alone) {
      parallel_for(ctx, blocks, [&](int64_t block, int worker) {
        float *v = (float*)(images + worker * block_bytes), *sums = (float*)(scratch + worker * scratch_bytes);
        for (int64_t part = 0; part < parts; part++) turn(block, part, v);
        for (int64_t p = 0; p < panels; p++) multiply(block, p, u + p * panel_size(), v, sums);
      });
      return;
    }
    for (int64_t first = 0; first < blocks; first += held) {
      const int64_t now = min64(held, blocks - first);
      parallel_for(ctx, now * parts, [&](int64_t i, int) {
        turn(first + i / parts, i % parts, (float*)(images + i / parts * block_bytes));
      });
      parallel_for(ctx, now * panels, [&](int64_t i, int worker) {
        const int64_t block = i / panels, panel = i % panels;
        multiply(first + block, panel, u + panel * panel_size(), (const float*)(images + block * block_bytes),
                 (float*)(scratch + worker * scratch_bytes));
      });
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
