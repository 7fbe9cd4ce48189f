// Winograd's filters: G w G', transformed once a call, in panels of output channels.
#pragma once
#include "cpu/conv/tiles.h"
#include "cpu/gemm.h"

namespace mielina {
namespace MIELINA_ISA {

struct WinogradFilters : Tiles {
  using Op = Plain<float>;
  Problem q;
  int64_t K, C;
  int64_t top, left;  // input coordinates of output (0, 0)'s first tap
  bool flipped;
  int64_t mr, panels;  // output channels of a panel; how many panels

  WinogradFilters(const Problem& problem, int64_t most) : Tiles(problem.y), q(problem) {
    const Window& v = q.window;
    K = q.y.shape[kC];
    C = q.x.shape[kC];
    flipped = v.dilation[1] < 0;
    top = -v.padding[1] - (flipped ? 2 : 0);
    left = -v.padding[2] - (flipped ? 2 : 0);
    panels = ceil_div(K, most);
    mr = ceil_div(K, panels);
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
  void all_filters(const Ctx& ctx, float* u) const {
    parallel_for(ctx, panels, [&](int64_t p, int) { filters(p, u + p * panel_size()); });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
