// Copies of bytes and of squares; copies between two arrays of one shape, array 0 of a space being the target.
#pragma once
#include "cpu/block.h"
#include "cpu/transpose.h"

namespace mielina {
namespace MIELINA_ISA {

// Fewer bytes than a vector has, in pieces that overlap.
template <int N>
MIELINA_INLINE void copy_two(char* to, const char* from, int64_t n) {
  typename VecOf<uint8_t, N>::type a, b;
  __builtin_memcpy(&a, from, N);
  __builtin_memcpy(&b, from + n - N, N);
  __builtin_memcpy(to, &a, N);
  __builtin_memcpy(to + n - N, &b, N);
}
[[gnu::noinline]] inline void copy_few(char* to, const char* from, int64_t n) {
  if (n >= 32) copy_two<32>(to, from, n);
  else if (n >= 16) copy_two<16>(to, from, n);
  else if (n >= 8) copy_two<8>(to, from, n);
  else if (n >= 4) copy_two<4>(to, from, n);
  else
    for (int64_t i = 0; i < n; i++) to[i] = from[i];
}

// Some bytes, without a call: of rows of 8 KB that lie 12 bytes further in their pages than the target's, memcpy moved
// 5 GB/s (roll of 2048 x 2048 by 3: 3.2 ms).
MIELINA_INLINE void copy_bytes(char* to, const char* from, int64_t n) {
  if (n < VBYTES) return copy_few(to, from, n);
  if (n > 32 * 1024) return (void)__builtin_memcpy(to, from, size_t(n));
  for (int64_t i = 0; i < n; i += VBYTES) {
    i = min64(i, n - VBYTES);  // the last vector overlaps the one before
    store(to + i, load(from + i));
  }
}

// Elements [begin, end) in the target's order, converted; elements 0, 2, 4, ... of `from`, which has 32 bits an element
// (elementwise/copy.cpp: one copy a level).
void copy_range(const Space<2>& s, int64_t begin, int64_t end);
void copy_evens(const void* from, int64_t stride, void* to, int64_t n);

// ---- transposes -----------------------------------------------------------------------------------------------------
// Vectors of the element that a square is made of: 16-bit elements travel in the low halves of 32-bit lanes.
template <class T>
struct SquareOf {
  using V = Vec<T>;
  MIELINA_INLINE V get(const T* p) { return load(p); }
  MIELINA_INLINE V get(const T* p, int64_t n) { return load_n(p, n); }
  MIELINA_INLINE void put(T* p, V v) { store(p, v); }
  MIELINA_INLINE void put(T* p, V v, int64_t n) { store_n(p, v, n); }
};
template <>
struct SquareOf<uint16_t> {
  using V = vu32;
  MIELINA_INLINE V get(const uint16_t* p) { return widen(load_half(p)); }
  MIELINA_INLINE V get(const uint16_t* p, int64_t n) { return widen(load_half_n(p, n)); }
  MIELINA_INLINE void put(uint16_t* p, V v) { store_half(p, narrow(v)); }
  MIELINA_INLINE void put(uint16_t* p, V v, int64_t n) { store_half_n(p, narrow(v), n); }
};

// y[i * ys + j] = x[i + j * xs] for i < rows, j < columns. The last squares overlap those before.
template <class T>
[[gnu::noinline]] inline void transpose_tile(T* y, int64_t ys, const T* x, int64_t xs, int64_t rows, int64_t columns) {
  using S = SquareOf<T>;
  constexpr int L = int(sizeof(typename S::V) / sizeof(Elem<typename S::V>));
  for (int64_t j = 0; j < columns; j += L) {
    if (columns >= L) j = min64(j, columns - L);
    int64_t nj = min64(L, columns - j);
    for (int64_t i = 0; i < rows; i += L) {
      if (rows >= L) i = min64(i, rows - L);
      int64_t ni = min64(L, rows - i);
      const T* from = x + i + j * xs;
      T* to = y + i * ys + j;
      typename S::V r[L];
      if (ni == L && nj == L) {
#pragma GCC unroll 16
        for (int k = 0; k < L; k++) r[k] = S::get(from + k * xs);
        transpose(r);
#pragma GCC unroll 16
        for (int k = 0; k < L; k++) S::put(to + k * ys, r[k]);
      } else {
        for (int k = 0; k < L; k++) r[k] = k < nj ? S::get(from + k * xs, ni) : typename S::V{};
        transpose(r);
        for (int k = 0; k < ni; k++) S::put(to + k * ys, r[k], nj);
      }
    }
  }
}
// One copy, for planes that become the channels of pixels and back.
[[gnu::noinline]] inline void turn_planes(uint32_t* y, int64_t ys, const uint32_t* x, int64_t xs, int64_t rows,
                                          int64_t columns) {
  transpose_tile(y, ys, x, xs, rows, columns);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
