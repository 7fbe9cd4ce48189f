// AMX: eight registers of 16 rows of 64 bytes, and one instruction that multiplies two of them.
//
// tile_dot<c, a, b> adds to c (16, 16) of float32 the product of a (16, 32) and b (32, 16) of bf16: each 32-bit lane of
// a's row i and of b's row j holds two neighbours along k. Products are exact in float32; numbers below the smallest
// normal one count as zero. It does 16,384 operations in 16 cycles, where two multiply-adds of AVX-512 a cycle do
// 1,024.
//
// The instructions are spelled out: the compiler's own functions of them take no template arguments.
#pragma once
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int64_t kTileBytes = 1024, kTileRows = 16, kTileDepth = 32;

#if MIELINA_EMULATE_AVX512
struct Tiles {
  float at[8][256];
};
static inline Tiles& tiles() {
  static thread_local Tiles t;
  return t;
}
MIELINA_INLINE void tiles_begin() {}
MIELINA_INLINE void tiles_end() {}
template <int T>
MIELINA_INLINE void tile_zero() {
  __builtin_memset(tiles().at[T], 0, kTileBytes);
}
template <int T>
MIELINA_INLINE void tile_load(const void* p, int64_t stride) {
  for (int i = 0; i < 16; i++) __builtin_memcpy(tiles().at[T] + 16 * i, (const char*)p + i * stride, 64);
}
template <int T>
MIELINA_INLINE void tile_store(void* p, int64_t stride) {
  for (int i = 0; i < 16; i++) __builtin_memcpy((char*)p + i * stride, tiles().at[T] + 16 * i, 64);
}
template <int C, int A, int B>
static __attribute__((noinline)) void tile_dot() {
  auto& t = tiles().at;
  auto half = [](float pair, bool upper) {  // subnormal numbers count as zero
    uint32_t u;
    __builtin_memcpy(&u, &pair, 4);
    u = upper ? u & 0xffff0000u : u << 16;
    if ((u & 0x7f800000u) == 0) u = 0;
    float x;
    __builtin_memcpy(&x, &u, 4);
    return x;
  };
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++) {
      float even = 0, odd = 0;
      for (int k = 0; k < 16; k++) {
        even = __builtin_fmaf(half(t[A][16 * i + k], false), half(t[B][16 * k + j], false), even);
        odd = __builtin_fmaf(half(t[A][16 * i + k], true), half(t[B][16 * k + j], true), odd);
      }
      t[C][16 * i + j] += even + odd;
    }
}
#else
// Every tile is whole: 16 rows of 64 bytes. What a tile holds is lost at the end, so that a thread that is not
// multiplying has no 8 KB of them to be saved.
MIELINA_INLINE void tiles_begin() {
  alignas(64) static constexpr struct {
    uint8_t palette = 1, start = 0, none[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  asm volatile("ldtilecfg %0" ::"m"(config));
}
MIELINA_INLINE void tiles_end() { asm volatile("tilerelease" ::: "memory"); }
template <int T>
MIELINA_INLINE void tile_zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(T));
}
template <int T>
MIELINA_INLINE void tile_load(const void* p, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(T));
}
template <int T>
MIELINA_INLINE void tile_store(void* p, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(stride), "i"(T) : "memory");
}
template <int C, int A, int B>
MIELINA_INLINE void tile_dot() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}
#endif

template <int I, int J>
struct Pair {};

// How many bf16 numbers a number of type S is the sum of. float32 has 24 bits: three times eight, none is lost.
template <class S>
constexpr int kParts = 3;
template <>
inline constexpr int kParts<half_t> = 2;
template <>
inline constexpr int kParts<bfloat_t> = 1;

// Where a's tiles lie: that of step s, part q and row of tiles i is 16 rows, `row` bytes from one to the next, from
// data + step[s] + q part + i apart on.
struct TileWalk {
  const char* data;
  const int64_t* step;
  int64_t row, part, apart;
};

// The sums that a product adds to, and those of the next tile of a and of b, if there is one. Out of line: inlined, the
// addresses took registers from the product's loop (bf16 512^3 1.04 times as long).
[[gnu::noinline, gnu::cold]] inline void load_sums(const float* d, int64_t row, int64_t next_a, int64_t next_b) {
  tile_load<0>(d, row);
  if (next_a) tile_load<1>(d + next_a, row);
  if (next_b) tile_load<2>(d + next_b, row);
  if (next_a && next_b) tile_load<3>(d + next_a + next_b, row);
}

// d (16 R, 16 C) = or += a b over `steps` of 32 along k; b is packed in panels (gemm/split.h), `apart` bytes from one
// to the next.
//
// Of the nine products of two numbers in three parts the three smallest, below 2^-24 of the whole, are left out
// (Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
// Computations", 2019). The six go along a path that changes one operand at a time, whose tiles are loaded between the
// products that still use the other's: a load waits for the last product of its register.
//
// Turned: a's tiles are of columns and b's of rows, the sums those of b a.
template <int P, int R, int C, bool Turned = false>
static void tile_product(int64_t steps, const TileWalk& walk, const char* b, int64_t apart, float* d, int64_t ld,
                         bool add) {
  constexpr int64_t kStep = P * kTileBytes;
  asm volatile("" ::: "memory");  // what was packed is in memory
  const int64_t next_a = Turned ? 16 : 16 * ld, next_b = Turned ? 16 * ld : 16;
  tile_zero<0>();
  if (R > 1) tile_zero<1>();
  if (C > 1) tile_zero<2>();
  if (R > 1 && C > 1) tile_zero<3>();
  if (add) load_sums(d, 4 * ld, R > 1 ? next_a : 0, C > 1 ? next_b : 0);
  const TileWalk w = walk;
  const char* a = w.data + w.step[0];
  const char* far = b + 2 * kStep;  // what is fetched: b comes from the L2 cache
  auto dot = [&]<int J, int I>(Pair<J, I>) __attribute__((always_inline)) {
    if constexpr (I < R && J < C && Turned) tile_dot<2 * J + I, 4 + J, 6 + I>();
    else if constexpr (I < R && J < C) tile_dot<2 * J + I, 6 + I, 4 + J>();
  };
  auto load_b = [&]<int J>(Pair<J, 0>, int64_t part) __attribute__((always_inline)) {
    if constexpr (J < C) tile_load<4 + J>(b + J * apart + part * kTileBytes, 64);
  };
  auto load_a = [&]<int I>(Pair<I, 0>, int64_t part) __attribute__((always_inline)) {
    if constexpr (I < R) tile_load<6 + I>(a + I * w.apart + part * w.part, w.row);
  };
  auto fetch = [&]() __attribute__((always_inline)) {
    if (R == 1 || C == 1) return;
#pragma GCC unroll 16
    for (int l = 0; l < 16; l++) {
      __builtin_prefetch(far + 64 * l);
      __builtin_prefetch(far + apart + 64 * l);
    }
    far += kTileBytes;
  };
  constexpr Pair<0, 0> first;
  constexpr Pair<1, 0> second;
  auto then_b = [&](int64_t part) __attribute__((always_inline)) {
    dot(first);
    dot(Pair<0, 1>{});
    load_b(first, part);
    dot(second);
    dot(Pair<1, 1>{});
    load_b(second, part);
  };
  auto then_a = [&](int64_t part) __attribute__((always_inline)) {
    dot(first);
    dot(second);
    load_a(first, part);
    dot(Pair<0, 1>{});
    dot(Pair<1, 1>{});
    load_a(second, part);
  };
  load_a(first, 0);
  load_b(first, P - 1);
  load_a(second, 0);
  load_b(second, P - 1);
  for (int64_t s = 0; s < steps; s++) {
    if constexpr (P == 3) {
      then_b(1);
      fetch();
    }
    if constexpr (P > 1) {
      then_a(1);
      then_b(0);
      fetch();
      if constexpr (P == 3) then_a(2);
      then_a(0);
    }
    fetch();
    if (s + 1 == steps) break;
    b += kStep;
    a = w.data + w.step[s + 1];
    dot(first);
    dot(Pair<0, 1>{});
    load_b(first, P - 1);
    dot(second);
    load_a(first, 0);
    dot(Pair<1, 1>{});
    load_a(second, 0);
    load_b(second, P - 1);
  }
  dot(first);
  dot(Pair<0, 1>{});
  dot(second);
  dot(Pair<1, 1>{});
  tile_store<0>(d, 4 * ld);
  if (R > 1) tile_store<1>(d + next_a, 4 * ld);
  if (C > 1) tile_store<2>(d + next_b, 4 * ld);
  if (R > 1 && C > 1) tile_store<3>(d + next_a + next_b, 4 * ld);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
