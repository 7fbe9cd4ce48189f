// Winograd's tiles of channels-last images: vectors run along the channels, so nothing is shuffled.
#pragma once
#include "cpu/conv/tiles.h"

namespace mielina {
namespace MIELINA_ISA {

// The N x N pixels of one tile: 6 x 6 of the image, or m x m of its output's gradient.
template <int N>
struct LastTile {
  static constexpr int64_t L = lanes<float>;
  static constexpr bool kMasks = VBYTES == 64;  // vectors are loaded in part as fast as whole
  const float* pixel[N][N];                     // nullptr: outside the image

  LastTile() = default;
  // From column and row (w0, h0) of the image on, `step` apart.
  LastTile(const View& x, int64_t image, int64_t h0, int64_t w0, int64_t step) {
    const int64_t W = x.shape[kW], H = x.shape[kH], down = step * x.stride[kH], right = step * x.stride[kW];
    const float* line = (const float*)x.data + image * x.stride[kN] + h0 * x.stride[kH] + w0 * x.stride[kW];
    const bool inside = w0 >= 0 && w0 + (N - 1) * step < W;
    for (int64_t r = 0; r < N; r++, line += down) {
      const int64_t h = h0 + r * step;
      const bool none = h < 0 || h >= H;
#pragma GCC unroll 6
      for (int64_t s = 0; s < N; s++) pixel[r][s] = none ? nullptr : line + s * right;
      for (int64_t s = 0; !inside && s < N; s++)
        if (w0 + s * step < 0 || w0 + s * step >= W) pixel[r][s] = nullptr;
    }
  }

  // n channels to the 36 places, `pitch` apart, in whole vectors.
  void turn(int64_t n, float* to, int64_t pitch) const {
    int64_t c = 0;
    for (; c + (kMasks ? 1 : L) <= n; c += L) vectors(c, min64(L, n - c), to, pitch);
    if (c >= n) return;
    alignas(64) float rest[N * N * L];
    LastTile whole;
    for (int i = 0; i < N * N; i++) {
      const float* from = pixel[i / N][i % N];
      if (from) store(rest + i * L, load_n(from + c, n - c));
      whole.pixel[i / N][i % N] = from ? rest + i * L : nullptr;
    }
    whole.vectors(0, L, to + c, pitch);
  }
  __attribute__((noinline)) void vectors(int64_t c, int64_t n, float* to, int64_t pitch) const {
    Tiles::spread<N>(
        [&](int r, vf32* x) __attribute__((always_inline)) {
#pragma GCC unroll 6
          for (int s = 0; s < N; s++) {
            const float* p = pixel[r][s];
            x[s] = !p ? vf32{} : kMasks ? load_n(p + c, n) : load(p + c);
          }
        },
        to + c, pitch);
  }
};

// How the phases of channels-last images become channels. Where two pixels of a row follow each other and begin a
// vector, both are taken at once.
struct LastTiles : Tiles {
  int64_t wide, groups;  // channels taken at once; how often

  LastTiles(const View& y, const View& x, const Window& v, int64_t out = 1) : Tiles(y, v, out) {
    const bool pairs = step == 2 && x.stride[kW] == x.shape[kC] && left % 2 == 0 && x.shape[kW] % 2 == 0;
    wide = x.shape[kC] * (pairs ? 2 : 1);
    groups = phases() * x.shape[kC] / wide;
  }
  // Floats of a tile, whose last channels may take a whole vector.
  int64_t row() const { return (groups - 1) * wide + round_up(wide, L); }

  void image(const View& x, int64_t tile, float* to, int64_t pitch) const {
    const int64_t at = tile / columns, h = at % rows * m * step + top, w = tile % columns * m * step + left;
    const int64_t row = groups / side;  // side, or 1 of pairs
    for (int64_t i = 0; i < groups; i++)
      LastTile<6>(x, at / rows, h + i / row * apart, w + i % row * apart, step).turn(wide, to + i * wide, pitch);
  }
  template <int M>
  void gradient(const View& g, int64_t tile, float* to, int64_t pitch) const {
    const int64_t at = tile / columns;
    LastTile<M>(g, at / rows, at % rows * M, tile % columns * M, 1).turn(g.shape[kC], to, pitch);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
