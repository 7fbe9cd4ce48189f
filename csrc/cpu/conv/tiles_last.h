// Winograd's tiles of channels-last images: vectors run along the channels, so nothing is shuffled.
#pragma once
#include "cpu/conv/tiles.h"

namespace mielina {
namespace MIELINA_ISA {

// The N x N pixels of one tile; its first one lies at (top, left) from its outputs' place.
template <int N>
struct LastTile {
  static constexpr int64_t L = lanes<float>;
  const float* pixel[N][N];  // nullptr: outside the image

  LastTile(const Tiles& tiles, const View& x, int64_t tile, int64_t top, int64_t left) {
    const int64_t line = tile / tiles.columns, h0 = line % tiles.rows * 4 + top, w0 = tile % tiles.columns * 4 + left;
    const float* image = (const float*)x.data + line / tiles.rows * x.stride[kN];
    for (int r = 0; r < N; r++)
      for (int s = 0; s < N; s++) {
        const int64_t h = h0 + r, w = w0 + s;
        const bool inside = h >= 0 && h < x.shape[kH] && w >= 0 && w < x.shape[kW];
        pixel[r][s] = inside ? image + h * x.stride[kH] + w * x.stride[kW] : nullptr;
      }
  }

  // n channels to the 36 places, `pitch` apart, in whole vectors.
  void turn(int64_t n, float* to, int64_t pitch) const {
    int64_t c = 0;
    for (; c + L <= n; c += L) vectors<false>(c, L, to, pitch);
    if (c < n) vectors<true>(c, n - c, to, pitch);
  }
  template <bool some>
  __attribute__((noinline)) void vectors(int64_t c, int64_t n, float* to, int64_t pitch) const {
    vf32 half[6][N];
#pragma GCC unroll 6
    for (int r = 0; r < N; r++) {
      vf32 x[N], y[6];
#pragma GCC unroll 6
      for (int s = 0; s < N; s++) {
        const float* p = pixel[r][s];
        x[s] = !p ? vf32{} : some ? load_n(p + c, n) : load(p + c);
      }
      Tiles::into(x, y);
#pragma GCC unroll 6
      for (int j = 0; j < 6; j++) half[j][r] = y[j];
    }
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
      vf32 y[6];
      Tiles::into(half[j], y);
#pragma GCC unroll 6
      for (int i = 0; i < 6; i++) store(to + (6 * i + j) * pitch + c, y[i]);
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
