// The filters' gradient by Winograd's tiles: dw = G' [sum over tiles of (A g A') * (B' x B)] G, the adjoint of
// conv/winograd.h. For each of the 36 places a product of (K, tiles) and (tiles, C) whose depth is all tiles of all
// images. A chunk of tiles is turned first, sixteen channels at a time, so that channels come to lie in a row.
#pragma once
#include "cpu/conv/tiles.h"
#include "cpu/gemm.h"

namespace mielina {
namespace MIELINA_ISA {

struct WinogradWeight : Tiles {
  using Op = Plain<float>;
  static constexpr int64_t kChunkBytes = 16 << 20;

  View dw, g, x;
  int64_t top, left, K, C, k_step, c_step;  // steps: from tile to tile, whole vectors
  int64_t held;                             // tiles of a chunk
  int64_t g_pitch, x_pitch;                 // from place to place
  int64_t mr, panels, scratch;              // floats of a worker

  static bool fits(const View& g, const View& x, const Window& v, bool direct) {
    return !direct && Tiles::fits(g, x, v, 1) && v.dilation[1] == 1;
  }

  WinogradWeight(const View& filters, const View& gradient, const View& image, const Window& v)
      : Tiles(gradient), dw(filters), g(gradient), x(image), top(-v.padding[1]), left(-v.padding[2]) {
    K = g.shape[kC];
    C = x.shape[kC];
    k_step = round_up(K, L);
    c_step = round_up(C, L);
    const int64_t fit = kChunkBytes / (kPlaces * (k_step + c_step) * int64_t(sizeof(float)));
    held = min64(round_up(count, L), max64(64, fit / L * L));
    g_pitch = held * k_step + L;  // a panel's last rows may be read beyond K
    x_pitch = held * c_step + L;
    panels = ceil_div(K, Op::MR);
    mr = ceil_div(K, panels);
    scratch = round_up(line_floats(), 16) + kPlaces * L * L;
  }
  int64_t sums() const { return kPlaces * K * c_step; }
  int64_t bytes(int threads) const {
    return align64((kPlaces * (g_pitch + x_pitch) + sums() + threads * scratch) * int64_t(sizeof(float)));
  }

  // L tiles from t, L channels from c of an image: to (36, held, step) at tile t - first and channel c.
  template <int N>
  void squares(const View& image, int64_t above, int64_t before, int64_t t, int64_t first, int64_t c, int64_t step,
               int64_t pitch, float* to, float* room) const {
    float *line = room, *turned = room + round_up(line_floats(), 16);
    const int64_t channels = min64(L, image.shape[kC] - c);
    alignas(64) float pixels[N][N][2 * L] = {};
    for (int64_t i = 0; i < channels; i++) {
      gather<N, L>(image, c + i, above, before, t, min64(count, t + L), line, pixels);
      if (count - t < L)  // the last store went beyond the last tile
        for (int r = 0; r < N; r++)
          for (int s = 0; s < N; s++)
            for (int64_t j = count - t; j < L; j++) pixels[r][s][j] = 0;
      turn<N, L>(pixels, 0, turned + i * L, L * L);
    }
    for (int64_t place = 0; place < kPlaces; place++) {
      vf32 v[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; i++) v[i] = i < channels ? load(turned + (place * L + i) * L) : vf32{};
      transpose(v);
      float* row = to + place * pitch + (t - first) * step + c;
#pragma GCC unroll 16
      for (int i = 0; i < L; i++) store(row + i * step, v[i]);
    }
  }

  // A panel of filters at one place: u (K, c_step) of it = or += the chunk's products.
  void product(int64_t panel, int64_t depth, const float* gs, const float* xs, float* u, bool add) const {
    const int64_t k = panel * mr, n = min64(mr, K - k);
    for (int64_t c = 0; c < C; c += Op::NV * L) {
      const int64_t wide = min64(Op::NV * L, C - c);
      const Micro<Op> micro = MicroKernels<Op, true>::table.at[ceil_div(wide, L) - 1][n - 1];
      for (int64_t t = 0; t < depth; t += Op::KC) {
        const float *rows = gs + t * k_step + k, *columns = xs + t * c_step + c;
        micro(min64(Op::KC, depth - t), {rows, 1, k_step}, {columns, 1, c_step}, u + k * c_step + c, c_step, wide,
              add || t > 0, columns);
      }
    }
  }

  // G' from both sides: the nine taps of filter k.
  void taps(int64_t k, const float* u) const {
    float* to = (float*)dw.data + k * dw.stride[kN];
    for (int64_t c = 0; c < C; c += L) {
      vf32 half[3][6];
      for (int s = 0; s < 6; s++) {
        vf32 column[6], w[3];
        for (int r = 0; r < 6; r++) column[r] = load(u + ((r * 6 + s) * K + k) * c_step + c);
        collect(column, w);
        for (int r = 0; r < 3; r++) half[r][s] = w[r];
      }
      for (int r = 0; r < 3; r++) {
        vf32 w[3];
        collect(half[r], w);
        for (int s = 0; s < 3; s++)
          for (int64_t i = 0; i < min64(L, C - c); i++)
            to[(c + i) * dw.stride[kC] + r * dw.stride[kH] + s * dw.stride[kW]] = w[s][i];
      }
    }
  }

  void run(const Ctx& ctx) const {
    float *gs = (float*)ctx.workspace, *xs = gs + kPlaces * g_pitch, *u = xs + kPlaces * x_pitch, *rooms = u + sums();
    for (int64_t first = 0; first < count; first += held) {
      const int64_t depth = min64(held, count - first), groups = ceil_div(depth, L);
      const int64_t k_parts = k_step / L, parts = k_parts + c_step / L;
      parallel_for(ctx, groups * parts, [&](int64_t i, int worker) {
        const int64_t t = first + i / parts * L, part = i % parts;
        float* room = rooms + worker * scratch;
        if (part < k_parts) squares<4>(g, 0, 0, t, first, part * L, k_step, g_pitch, gs, room);
        else squares<6>(x, top, left, t, first, (part - k_parts) * L, c_step, x_pitch, xs, room);
      });
      parallel_for(ctx, kPlaces * panels, [&](int64_t i, int) {
        const int64_t place = i / panels;
        product(i % panels, depth, gs + place * g_pitch, xs + place * x_pitch, u + place * K * c_step, first > 0);
      });
    }
    parallel_ranges(ctx, K, max64(1, 4096 / C), [&](int64_t k0, int64_t k1) {
      for (int64_t k = k0; k < k1; k++) taps(k, u);
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
