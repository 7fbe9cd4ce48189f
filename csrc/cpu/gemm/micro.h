// The micro-kernel: a tile of C in registers, one rank-1 update a step of k.
//
// Every element is one chain of multiply-adds over k, whatever the tile's size and whether its operands are packed, so
// edge tiles, small products and large ones give the same bits.
#pragma once
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

MIELINA_INLINE vu32 fma(vu32 a, vu32 b, vu32 c) { return a * b + c; }
MIELINA_INLINE vu64 fma(vu64 a, vu64 b, vu64 c) { return a * b + c; }

// What a product computes in: panels of In, sums of Out, a tile of at most MR rows and NV vectors, sums cut every KC
// steps. `Depth` is how many elements along K one In holds. Integers are unsigned here, so that they wrap.
//
// 512 bits: 28 of 32 registers hold the tile. 256 bits: 12 of 16. 128 bits: 8 of 16; without FMA each product needs
// one.
template <class T>
struct Plain {
  using In = T;
  using Out = T;
  static constexpr bool real = T(0.5) != T(0);
  static constexpr int MR = !real ? 4 : VBYTES == 64 ? 14 : VBYTES == 32 ? 6 : 4, NV = 2;
  static constexpr int64_t KC = 512, Depth = 1;
  MIELINA_INLINE Vec<Out> fma(Vec<In> a, Vec<In> b, Vec<Out> c) { return MIELINA_ISA::fma(a, b, c); }
#if MIELINA_REAL512
  // a is read from memory by the multiply-add itself. Every other row does so: fewer instructions, as many loads as the
  // CPU has time for. On a core of an Emerald Rapids whose other thread is busy, and takes half of what the front end
  // brings in, a tile of 13 x 32 runs at 132 GFLOP/s instead of 122 (all rows 128); alone at 170 either way.
  MIELINA_INLINE Vec<Out> fma_of(const In& a, Vec<In> b, Vec<Out> c)
    requires real
  {
    if constexpr (sizeof(T) == 4) asm("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(b), "m"(a));
    else asm("vfmadd231pd %2%{1to8%}, %1, %0" : "+v"(c) : "v"(b), "m"(a));
    return c;
  }
#endif
};

#if MIELINA_REAL512
// Two bf16 neighbours along K in one 32-bit lane, multiplied exactly and added to a float.
struct Bf16Pair {
  using In = uint32_t;
  using Out = float;
  static constexpr int MR = 14, NV = 2;
  static constexpr bool real = true;
  static constexpr int64_t KC = 512, Depth = 2;
  MIELINA_INLINE vf32 fma(vu32 a, vu32 b, vf32 c) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b));  // of AVX512-BF16, which the level does not ask for
    return c;
  }
};
#endif

// A panel: element (i, k) of the operand lies at data[i * si + k * sk]; si is 1 in panels of B and in packed ones of A.
template <class In>
struct Panel {
  const In* data;
  int64_t si, sk;
};

// d (MR, n) = or += a (MR, kc) b (kc, n), (NV - 1) * lanes < n <= NV * lanes; b is padded to whole vectors. The kc
// cache lines from `next` on are fetched meanwhile: B's next panel comes from the L3 cache, and without this the first
// tile of each panel waits for it (1024^3 in f64: 0.67 of the FMA peak, with it 0.79). far: d may lie outside the L1
// cache, its lines are fetched first. bias: n numbers that are added to each row, or nullptr.
//
// Panels are handed over number by number: as structs they were put together on the stack by stores that the kernel's
// wider loads had to wait for, with all of the last tile's stores before them; 100 cycles a tile, as long as K = 4.
template <class Op>
struct Micro {
  using In = typename Op::In;
  using Out = typename Op::Out;
  void (*run)(int64_t kc, const In* a, int64_t si, int64_t sk, const In* b, int64_t step, Out* d, int64_t ld, int64_t n,
              bool add, const void* next, bool far, const Out* bias);
  __attribute__((always_inline)) void operator()(int64_t kc, Panel<In> a, Panel<In> b, Out* d, int64_t ld, int64_t n,
                                                 bool add, const void* next, bool far = true,
                                                 const Out* bias = nullptr) const {
    run(kc, a.data, a.si, a.sk, b.data, b.sk, d, ld, n, add, next, far, bias);
  }
};

template <class Op, int MR, int NV, bool Packed>
static void micro(int64_t kc, const typename Op::In* pa, int64_t a_si, int64_t a_sk, const typename Op::In* pb,
                  int64_t step, typename Op::Out* d, int64_t ld, int64_t n, bool add, const void* next, bool far,
                  const typename Op::Out* bias) {
  using In = typename Op::In;
  using Out = typename Op::Out;
  constexpr int L = lanes<Out>;
  Vec<Out> acc[MR][NV] = {};
  // Rows in place: three to a pointer, at 0, 1 and 2 strides, as the addressing modes have it.
  const char* rows[(MR + 2) / 3];
  const int64_t si = a_si * int64_t(sizeof(In)), sk = a_sk * int64_t(sizeof(In));
#pragma GCC unroll 16
  for (int r = 0; r < (MR + 2) / 3; r++) rows[r] = (const char*)pa + 3 * r * si;
  for (int i = 0; far && i < MR; i++)
    for (int v = 0; v < NV; v++) __builtin_prefetch(d + i * ld + v * L, 1);
  const char* ahead = nullptr;
  // Step `o` of those from `rows` on.
  auto multiply = [&](int o) __attribute__((always_inline)) {
    Vec<In> bv[NV];
#pragma GCC unroll 16
    for (int v = 0; v < NV; v++) bv[v] = load(pb + v * L);
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
      if constexpr (requires { Op::fma_of(pa[i], bv[0], acc[i][0]); }) {
        if (Packed ? i % 2 == 0 : i % 3 == 0) {
          const In& a = Packed ? pa[i] : ((const In*)rows[i / 3])[o];
#pragma GCC unroll 16
          for (int v = 0; v < NV; v++) acc[i][v] = Op::fma_of(a, bv[v], acc[i][v]);
          continue;
        }
      }
      Vec<In> av = splat<Vec<In>>(Packed ? pa[i] : ((const In*)(rows[i / 3] + i % 3 * si))[o]);
#pragma GCC unroll 16
      for (int v = 0; v < NV; v++) acc[i][v] = Op::fma(av, bv[v], acc[i][v]);
    }
    __builtin_prefetch(next, 0, 2);
    next = (const char*)next + 64;
    pb += step;
  };
  auto advance = [&](int n) __attribute__((always_inline)) {
    if constexpr (Packed) pa += a_sk;
    else {
#pragma GCC unroll 16
      for (int r = 0; r < (MR + 2) / 3; r++) rows[r] += n * sk;
    }
  };
  // Two steps at once: 20 instructions a step of 256 bits are close to what a Zen 3 takes in (four need a register that
  // is not there), 55 of 512 bits more than what an Emerald Rapids does while the core's other thread is busy: a tile
  // of 14 x 32 at 102 GFLOP/s there, with two steps 109 (four 106), where a row of three is read as above, too, 115.
  constexpr int kAtOnce = !Packed && __is_same(In, float) && VBYTES > 16 && 2 * MR > Op::MR ? 2 : 1;
  int64_t k = 0;
  if (kAtOnce > 1 && sk == int64_t(sizeof(In)))
    for (; k + kAtOnce <= kc; k += kAtOnce) {
      // Eight rows that are read once, from the L3 cache: a line of each every sixteen steps, four lines early.
      if constexpr (NV == 3 && VBYTES == 64) {
        if (k % 16 == 0) ahead = rows[0] + 4 * 64;
        __builtin_prefetch(ahead);
        ahead += si;
      }
#pragma GCC unroll 2
      for (int o = 0; o < kAtOnce; o++) multiply(o);
      advance(kAtOnce);
    }
  for (; k < kc; k++) {
    multiply(0);
    // The lines of A's columns in six steps: 4 KB apart they fall into one set of the L1 cache and come from further
    // away each time; 1024 x 128 x 1024 of A^T B ran at 0.81 of the FMA peak, with this at 0.88.
    if constexpr (!Packed && Op::real && 2 * MR > Op::MR) {
      __builtin_prefetch(rows[0] + 6 * sk);
      __builtin_prefetch(rows[0] + 6 * sk + (MR - 1) * int64_t(sizeof(In)));
    }
    advance(1);
  }
  const int64_t tail = n - (NV - 1) * L;
  if (Op::real && bias) {
#pragma GCC unroll 16
    for (int v = 0; v < NV; v++) {
      const Vec<Out> b = v < NV - 1 ? load(bias + v * L) : load_n(bias + v * L, tail);
#pragma GCC unroll 16
      for (int i = 0; i < MR; i++) acc[i][v] += b;
    }
  }
  Out* to = d;
  auto each = [&](auto put) {  // the empty asm: or gcc computes all addresses first, in registers that it has not
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
#pragma GCC unroll 16
      for (int v = 0; v < NV; v++) put(to + v * L, acc[i][v], v == NV - 1);
      to += ld;
      asm("" : "+r"(to));
    }
  };
  if (tail == L && !add) return each([](Out* p, Vec<Out> x, bool) { store(p, x); });
  if (tail == L) return each([](Out* p, Vec<Out> x, bool) { store(p, load(p) + x); });
  each([&](Out* p, Vec<Out> x, bool last) {
    if (add) x += last ? load_n(p, tail) : load(p);
    last ? store_n(p, x, tail) : store(p, x);
  });
}

// The kernels by rows and vectors.
template <class Op, bool Packed>
struct MicroTable {
  Micro<Op> at[Op::NV][Op::MR];
  template <int I>
  constexpr void fill() {
    if constexpr (I < Op::MR * Op::NV) {
      at[I / Op::MR][I % Op::MR] = {micro<Op, I % Op::MR + 1, I / Op::MR + 1, Packed>};
      fill<I + 1>();
    }
  }
  constexpr MicroTable() : at{} { fill<0>(); }
};

// Three vectors of fewer rows, which are read where they lie; with AVX-512 of eight rows alone.
struct ThreeVectors : Plain<float> {
  static constexpr int MR = VBYTES == 64 ? 8 : 4, NV = 3;
};
struct ThreeKernels {
  static constexpr int kFewest = VBYTES == 64 ? ThreeVectors::MR : 1;
  static const ThreeKernels table;
  Micro<Plain<float>> at[ThreeVectors::MR - kFewest + 1];
};

// One copy for all families: compiled in gemm/micro.cpp, since four copies were 305 KB a level.
template <class Op, bool Packed>
struct MicroKernels {
  static const MicroTable<Op, Packed> table;
};
// The kernel of `vectors` whose rows of A are read where they lie.
template <class Op>
MIELINA_INLINE Micro<Op> kernel_in_place(int64_t vectors, int64_t rows) {
  if constexpr (__is_same(Op, Plain<float>) && VBYTES > 16)
    if (vectors == 3) return ThreeKernels::table.at[rows - ThreeKernels::kFewest];
  return MicroKernels<Op, false>::table.at[vectors - 1][rows - 1];
}

extern template struct MicroKernels<Plain<float>, true>;
extern template struct MicroKernels<Plain<float>, false>;
extern template struct MicroKernels<Plain<double>, true>;
extern template struct MicroKernels<Plain<double>, false>;
extern template struct MicroKernels<Plain<uint32_t>, true>;
extern template struct MicroKernels<Plain<uint32_t>, false>;
extern template struct MicroKernels<Plain<uint64_t>, true>;
extern template struct MicroKernels<Plain<uint64_t>, false>;
#if MIELINA_REAL512
extern template struct MicroKernels<Bf16Pair, true>;
#endif

}  // namespace MIELINA_ISA
}  // namespace mielina
