// Winograd's minimal filtering F(4x4, 3x3): 36 multiplications where a 3 x 3 convolution needs 144 for a tile of 4 x 4
// outputs (Winograd 1980; Lavin and Gray 2016). Y = A' [(G w G') * (B' x B)] A, the star a product over channels for
// each of the 36 places.
//
// Filters are transformed once a call. Then a block of as many tiles as a panel of the product has columns: its image
// part becomes 36 panels, and each panel of output channels takes 36 tiles of the micro-kernel, which are turned back
// while they are in the cache. What is summed for an output depends on its place in the image alone.
#pragma once
#include "cpu/conv/tiles.h"
#include "cpu/gemm.h"

namespace mielina {
namespace MIELINA_ISA {

struct Winograd : Tiles {
  using Op = Plain<float>;
  static constexpr int kTiles = Op::NV * L;  // of a block

  Problem q;
  int64_t K, C;
  int64_t top, left;  // input coordinates of output (0, 0)'s first tap
  bool flipped;
  int64_t mr, panels, blocks, held;  // of output channels; of tiles; how many blocks are held at once
  int64_t filter_bytes, block_bytes, scratch_bytes;

  static bool fits(const Problem& q) { return !q.direct && Tiles::fits(q.y, q.x, q.window, kTiles); }

  explicit Winograd(const Problem& problem) : Tiles(problem.y), q(problem) {
    const Window& v = q.window;
    K = q.y.shape[kC];
    C = q.x.shape[kC];
    flipped = v.dilation[1] < 0;
    top = -v.padding[1] - (flipped ? 2 : 0);
    left = -v.padding[2] - (flipped ? 2 : 0);
    panels = ceil_div(K, Op::MR);
    mr = ceil_div(K, panels);
    blocks = ceil_div(count, kTiles);
    filter_bytes = align64(kPlaces * panels * mr * C * int64_t(sizeof(float)));
    block_bytes = kPlaces * pitch() * int64_t(sizeof(float));
    held = max64(1, min64(blocks, (16 << 20) / block_bytes));
    // Of a worker: a row of the image, or the sums of a panel.
    scratch_bytes = align64(max64(line_floats(), kPlaces * Op::MR * kTiles) * int64_t(sizeof(float)));
  }
  int64_t pitch() const { return (C | 1) * kTiles; }  // from place to place: not a multiple of 4 KB, which share a set
  int64_t bytes(int threads) const { return filter_bytes + held * block_bytes + threads * scratch_bytes; }

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

  // Channel c of a block: v (36, C, kTiles) at c.
  void image(int64_t block, int64_t c, float* v, float* line) const {
    alignas(64) float pixels[6][6][kTiles + L];
    gather<6, kTiles>(q.x, c, top, left, block * kTiles, min64(count, (block + 1) * kTiles), line, pixels);
    for (int64_t t = 0; t < kTiles; t += L) turn<6, kTiles>(pixels, t, v + c * kTiles + t, pitch());
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
    for (int64_t k = 0; k < n; k++) {
      alignas(64) float lines[4][4 * kTiles];
      const int64_t channel = panel * mr + k;
      const float bias = q.bias.data ? ((const float*)q.bias.data)[channel * q.bias.stride[0]] : 0.0f;
      for (int64_t t = 0; t < kTiles; t += L) {
        vf32 half[4][6], y[4][4];
        for (int s = 0; s < 6; s++) {
          vf32 m[6], z[4];
          for (int r = 0; r < 6; r++) m[r] = load(sums + ((r * 6 + s) * mr + k) * kTiles + t);
          back(m, z);
          for (int r = 0; r < 4; r++) half[r][s] = z[r];
        }
        for (int r = 0; r < 4; r++) {
          back(half[r], y[r]);
          for (int s = 0; s < 4; s++) y[r][s] = activate(y[r][s] + bias, q.activation);
          vf32 even[2], odd[2];
          interleave(y[r][0], y[r][2], even[0], even[1]);
          interleave(y[r][1], y[r][3], odd[0], odd[1]);
          for (int i = 0; i < 2; i++) {
            vf32 lo, hi;
            interleave(even[i], odd[i], lo, hi);
            store(lines[r] + 4 * t + 2 * i * L, lo);
            store(lines[r] + 4 * t + (2 * i + 1) * L, hi);
          }
        }
      }
      runs(block * kTiles, min64(count, (block + 1) * kTiles), [&](const Run& run) {
        float* y = (float*)q.y.data + run.image * q.y.stride[kN] + channel * q.y.stride[kC] + run.column * 4;
        const int64_t wide = min64(4 * run.n, width - run.column * 4);
        for (int64_t r = 0; r < min64(4, height - run.row * 4); r++) {
          copy_row((const float*)lines[r] + 4 * run.at, y + (run.row * 4 + r) * q.y.stride[kH], wide);
        }
      });
    }
  }

  void run(const Ctx& ctx) const {
    float* u = (float*)ctx.workspace;
    char* images = (char*)ctx.workspace + filter_bytes;
    char* scratch = images + held * block_bytes;
    const int64_t panel_size = kPlaces * C * mr;
    parallel_for(ctx, panels, [&](int64_t p, int) { filters(p, u + p * panel_size); });
    constexpr int64_t kChannels = 8;  // of an image, a task
    for (int64_t first = 0; first < blocks; first += held) {
      const int64_t now = min64(held, blocks - first), parts = ceil_div(C, kChannels);
      parallel_for(ctx, now * parts, [&](int64_t i, int worker) {
        float* v = (float*)(images + i / parts * block_bytes);
        for (int64_t c = i % parts * kChannels; c < min64(C, (i % parts + 1) * kChannels); c++)
          image(first + i / parts, c, v, (float*)(scratch + worker * scratch_bytes));
      });
      parallel_for(ctx, now * panels, [&](int64_t i, int worker) {
        const int64_t block = i / panels, panel = i % panels;
        products(first + block, panel, u + panel * panel_size, (const float*)(images + block * block_bytes),
                 (float*)(scratch + worker * scratch_bytes));
      });
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
