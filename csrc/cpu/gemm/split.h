// Packers for tiles: an operand's panels of 16 rows of A (columns of B), every 32 steps of k a tile a part.
//
// A number x is the sum of its parts: the nearest bf16 of x, of what is left, and what is left then, which is a bf16. A
// lane of a tile holds the parts of the elements k and k + 16, in one tile of A its row's, in one of B its column's.
#pragma once
#include "cpu/gemm/pack.h"
#include "cpu/gemm/tiles.h"

namespace mielina {
namespace MIELINA_ISA {

template <class S>
struct Split {
  static constexpr int P = kParts<S>;
  static constexpr int64_t L = kTileRows;
  const S* data;
  int64_t size, depth;
  int64_t si, sk;

  int64_t panels() const { return ceil_div(size, L); }
  int64_t steps() const { return ceil_div(depth, kTileDepth); }
  int64_t panel_bytes() const { return steps() * P * kTileBytes; }

  // The upper 16 bits of x rounded to bf16.
  MIELINA_INLINE vu32 rounded(vf32 x) {
    const vu32 u = bits(x);
    return (u + 0x7fffu + ((u >> 16) & 1u)) & 0xffff0000u;
  }
  // Numbers whose parts are not what they should be: infinite or not numbers, so large that the product of two may
  // overflow when rounded (2^63), or so small that the last part is subnormal (2^-102).
  MIELINA_INLINE vi32 wild(vf32 x) {
    constexpr uint32_t low = (127 - 102) << 24, high = (127u + 63) << 24;
    const vu32 u = bits(x) << 1;
    return (u - low >= high - low) & (u != 0u);
  }
  // The lanes of (lo, hi), a part a vector.
  MIELINA_INLINE void split(vf32 lo, vf32 hi, vu32 (&part)[P], vi32& bad) {
    if constexpr (P > 1) bad |= wild(lo) | wild(hi);
#pragma GCC unroll 3
    for (int q = 0; q < P; q++) {
      if (q == P - 1) part[q] = (bits(lo) >> 16) | bits(hi);
      else {
        const vu32 l = rounded(lo), h = rounded(hi);
        part[q] = (l >> 16) | h;
        lo -= (vf32)l;
        hi -= (vf32)h;
      }
    }
  }
  // The first n lanes; none if n <= 0.
  MIELINA_INLINE vf32 part_of(const S* p, int64_t n) {
    return n >= L ? load_as<float>(p, L) : n > 0 ? load_as<float>(p, n) : vf32{};
  }

  // One step of a panel: `outer` of 16 rows of 32 numbers along k (along_k), or of 32 rows of 16, `stride` from one to
  // the next; `inner` of each row's numbers are there.
  template <bool along_k, bool turn, bool whole>
  MIELINA_INLINE void rows(char* to, const S* from, int64_t stride, int64_t outer, int64_t inner, vi32& bad) {
    constexpr int64_t apart = along_k ? L : 0;  // from the numbers of a lane's lower half to those of its upper one
    vu32 all[turn ? P : 1][L];
    for (int64_t i = 0; i < L; i++) {
      const S* lower = from + i * stride;
      const S* upper = along_k ? lower + apart : lower + L * stride;
      vf32 lo, hi;
      if (whole) {
        __builtin_prefetch(along_k ? lower + 4 * L : lower + 2 * L * stride);  // of the next step
        __builtin_prefetch(along_k ? upper + 4 * L : upper + 2 * L * stride);
        lo = load_as<float>(lower, L);
        hi = load_as<float>(upper, L);
      } else {
        lo = part_of(lower, i < outer ? inner : 0);
        hi = part_of(upper, along_k ? (i < outer ? inner - L : 0) : i + L < outer ? inner : 0);
      }
      vu32 part[P];
      split(lo, hi, part, bad);
#pragma GCC unroll 3
      for (int q = 0; q < P; q++) {
        if constexpr (turn) all[q][i] = part[q];
        else store((uint32_t*)(to + q * kTileBytes + i * 64), part[q]);
      }
    }
    if constexpr (turn)
      for (int q = 0; q < P; q++) {
        transpose(all[q]);
        for (int64_t i = 0; i < L; i++) store((uint32_t*)(to + q * kTileBytes + i * 64), all[q][i]);
      }
  }
  template <bool along_k, bool turn>
  static __attribute__((noinline)) void step(char* to, const S* from, int64_t stride, int64_t outer, int64_t inner,
                                             vi32& bad) {
    const bool whole = outer >= (along_k ? L : 2 * L) && inner >= (along_k ? 2 * L : L);
    if (whole) rows<along_k, turn, true>(to, from, stride, outer, inner, bad);
    else rows<along_k, turn, false>(to, from, stride, outer, inner, bad);
  }

  // Step s of panel p, to `to` as rows of A or columns of B.
  template <bool A>
  MIELINA_INLINE void one(const Split& x, char* to, int64_t p, int64_t s, vi32& bad) {
    const S* from = x.data + p * L * x.si + s * kTileDepth * x.sk;
    const int64_t n = min64(L, x.size - p * L), k = min64(kTileDepth, x.depth - s * kTileDepth);
    if (x.si == 1) return step<false, A>(to, from, x.sk, k, n, bad);
    if (x.sk == 1) return step<true, !A>(to, from, x.si, n, k, bad);
    S apart[L * kTileDepth];
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < k; j++) apart[i * kTileDepth + j] = from[i * x.si + j * x.sk];
    step<true, !A>(to, apart, kTileDepth, n, k, bad);
  }

  // `count` panels from `first` on to `to`, as rows of A or columns of B. False where a number is wild. Rows that run
  // across the panels are read for all of them, step by step; others panel by panel, so that few are read at once.
  template <bool A>
  bool pack(char* to, int64_t first, int64_t count) const {
    vi32 bad{};
    const int64_t apart = panel_bytes();
    if (si == 1)
      for (int64_t s = 0; s < steps(); s++)
        for (int64_t p = 0; p < count; p++) one<A>(*this, to + p * apart + s * P * kTileBytes, first + p, s, bad);
    else
      for (int64_t p = 0; p < count; p++)
        for (int64_t s = 0; s < steps(); s++) one<A>(*this, to + p * apart + s * P * kTileBytes, first + p, s, bad);
    return !any_lane(bad);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
