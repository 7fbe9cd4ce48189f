// Packers for tiles: an operand's panels of 16 rows of A (columns of B), every 32 steps of k a tile a part.
//
// A number x is the sum of its parts: the nearest bf16 of x, of what is left, and what is left then, which is a bf16. A
// lane of a tile holds the parts of the elements k and k + 16, in one tile of A its row's, in one of B its column's.
#pragma once
#include "cpu/gemm/pack.h"
#include "cpu/gemm/tiles.h"

namespace mielina {
namespace MIELINA_ISA {

// An operand: `size` rows of A (columns of B) of `depth` numbers, si and sk elements from one to the next.
struct Operand {
  const void* data;
  int64_t size, depth, si, sk;
};

constexpr int64_t kTileSteps = 32;  // of 32 numbers along k: sums are cut there

// What differs between types: the number of parts, products of blocks by their rows and columns of tiles, the packer.
struct Parts {
  int count;
  using Product = void (*)(int64_t steps, const TileWalk& a, const char* b, int64_t b_apart, float* d, int64_t ld,
                           bool add);
  Product product[2][2], turned;
  bool (*pack)(const Operand& x, bool of_a, char* to, int64_t first, int64_t count);
  const int64_t* packed;  // where the steps of a packed panel begin

  // d (rows, cols), of at most 32 x 32 and whole tiles, = or += the product of packed panels; steps: at most
  // kTileSteps.
  void multiply(int64_t steps, const char* a, int64_t a_apart, const char* b, int64_t b_apart, float* d, int64_t ld,
                int64_t rows, int64_t cols, bool add = false) const {
    product[rows > kTileRows][cols > kTileRows](steps, {a, packed, 64, kTileBytes, a_apart}, b, b_apart, d, ld, add);
  }
  // The same of any rows and columns and over any number of steps (gemm/amx.cpp).
  void block(int64_t steps, const char* a, int64_t a_apart, const char* b, int64_t b_apart, float* d, int64_t ld,
             int64_t rows, int64_t cols) const;
};
// For float32, float16 and bfloat16 (gemm/amx.cpp: one copy of them).
const Parts& parts_of(DType d);

// Numbers whose parts are not what they should be: infinite or not numbers, so large that the product of two may
// overflow when rounded (2^63), or so small that the last part is subnormal (2^-102).
MIELINA_INLINE vi32 wild(vf32 x) {
  constexpr uint32_t low = (127u - 102) << 24, high = (127u + 63) << 24;
  const vu32 u = bits(x) << 1;
  return (u - low >= high - low) & (u != 0u);
}

// A tile's lanes the other way round.
static inline __attribute__((noinline)) void turn_tile(char* tile) {
  vu32 r[kTileRows];
  for (int64_t i = 0; i < kTileRows; i++) r[i] = load((const uint32_t*)(tile + 64 * i));
  transpose(r);
  for (int64_t i = 0; i < kTileRows; i++) store((uint32_t*)(tile + 64 * i), r[i]);
}

template <class S>
struct Split {
  static constexpr int P = kParts<S>;
  static constexpr int64_t L = kTileRows;

  // The lanes of (lo, hi), a part a vector.
  MIELINA_INLINE void split(vf32 lo, vf32 hi, vu32 (&part)[P], vi32& bad) {
    if constexpr (P > 1) bad |= wild(lo) | wild(hi);
#pragma GCC unroll 3
    for (int q = 0; q < P; q++) {
      if (q == P - 1) part[q] = (bits(lo) >> 16) | (bits(hi) & 0xffff0000u);  // of a subnormal number more is left
      else {
        const vu32 l = rounded_to_bf16(lo), h = rounded_to_bf16(hi);
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
  template <bool along_k, bool whole>
  MIELINA_INLINE void rows(char* to, const S* from, int64_t stride, int64_t outer, int64_t inner, vi32& bad) {
    const int64_t apart = along_k ? L : L * stride;  // from a lane's lower half to its upper one
    for (int64_t i = 0; i < L; i++, from += stride, to += 64) {
      vf32 lo, hi;
      if (whole) {
        __builtin_prefetch(from + 2 * (along_k ? 2 * L : L * stride));  // of the next step
        __builtin_prefetch(from + 2 * (along_k ? 2 * L : L * stride) + apart);
        lo = load_as<float>(from, L);
        hi = load_as<float>(from + apart, L);
      } else {
        lo = part_of(from, i < outer ? inner : 0);
        hi = part_of(from + apart, along_k ? (i < outer ? inner - L : 0) : i + L < outer ? inner : 0);
      }
      vu32 part[P];
      split(lo, hi, part, bad);
#pragma GCC unroll 3
      for (int q = 0; q < P; q++) store((uint32_t*)(to + q * kTileBytes), part[q]);
    }
  }
  template <bool along_k>
  static __attribute__((noinline)) void step(char* to, const S* from, int64_t stride, int64_t outer, int64_t inner,
                                             bool turn, vi32& bad) {
    const bool whole = outer >= (along_k ? L : 2 * L) && inner >= (along_k ? 2 * L : L);
    if (whole) rows<along_k, true>(to, from, stride, outer, inner, bad);
    else rows<along_k, false>(to, from, stride, outer, inner, bad);
    for (int q = 0; turn && q < P; q++) turn_tile(to + q * kTileBytes);
  }

  // Step s of panel p, to `to` as rows of A or columns of B.
  static void one(const Operand& x, bool of_a, char* to, int64_t p, int64_t s, vi32& bad) {
    const S* from = (const S*)x.data + p * L * x.si + s * kTileDepth * x.sk;
    const int64_t n = min64(L, x.size - p * L), k = min64(kTileDepth, x.depth - s * kTileDepth);
    if (x.si == 1) return step<false>(to, from, x.sk, k, n, of_a, bad);
    if (x.sk == 1) return step<true>(to, from, x.si, n, k, !of_a, bad);
    S apart[L * kTileDepth];
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < k; j++) apart[i * kTileDepth + j] = from[i * x.si + j * x.sk];
    step<true>(to, apart, kTileDepth, n, k, !of_a, bad);
  }

  // `count` panels from `first` on to `to`, as rows of A or columns of B. False where a number is wild. Rows that run
  // across the panels are read for all of them, step by step; others panel by panel, so that few are read at once.
  static bool pack(const Operand& x, bool of_a, char* to, int64_t first, int64_t count) {
    vi32 bad{};
    const int64_t steps = ceil_div(x.depth, kTileDepth), apart = steps * P * kTileBytes;
    const bool across = x.si == 1;
    for (int64_t outer = 0; outer < (across ? steps : count); outer++)
      for (int64_t inner = 0; inner < (across ? count : steps); inner++) {
        const int64_t s = across ? outer : inner, p = across ? inner : outer;
        one(x, of_a, to + p * apart + s * P * kTileBytes, first + p, s, bad);
      }
    return !any_lane(bad);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
