// Squares of vectors, transposed in registers.
#pragma once
#include "cpu/simd.h"

namespace mielina {
namespace MIELINA_ISA {

// lo, hi = a0 b0 a1 b1 ..., over the whole vectors.
MIELINA_INLINE void interleave(vf32 a, vf32 b, vf32& lo, vf32& hi) {
#if MIELINA_V512
  const __m512i l = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i h = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  lo = (vf32)_mm512_permutex2var_ps((__m512)a, l, (__m512)b);
  hi = (vf32)_mm512_permutex2var_ps((__m512)a, h, (__m512)b);
#elif MIELINA_V256
  __m256 l = _mm256_unpacklo_ps((__m256)a, (__m256)b), h = _mm256_unpackhi_ps((__m256)a, (__m256)b);
  lo = (vf32)_mm256_permute2f128_ps(l, h, 0x20);
  hi = (vf32)_mm256_permute2f128_ps(l, h, 0x31);
#elif defined(__aarch64__)
  lo = (vf32)vzip1q_f32((float32x4_t)a, (float32x4_t)b);
  hi = (vf32)vzip2q_f32((float32x4_t)a, (float32x4_t)b);
#else
  lo = (vf32)_mm_unpacklo_ps((__m128)a, (__m128)b);
  hi = (vf32)_mm_unpackhi_ps((__m128)a, (__m128)b);
#endif
}
MIELINA_INLINE void interleave(vf64 a, vf64 b, vf64& lo, vf64& hi) {
#if MIELINA_V512
  const __m512i l = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), h = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  lo = (vf64)_mm512_permutex2var_pd((__m512d)a, l, (__m512d)b);
  hi = (vf64)_mm512_permutex2var_pd((__m512d)a, h, (__m512d)b);
#elif MIELINA_V256
  __m256d l = _mm256_unpacklo_pd((__m256d)a, (__m256d)b), h = _mm256_unpackhi_pd((__m256d)a, (__m256d)b);
  lo = (vf64)_mm256_permute2f128_pd(l, h, 0x20);
  hi = (vf64)_mm256_permute2f128_pd(l, h, 0x31);
#elif defined(__aarch64__)
  lo = (vf64)vzip1q_f64((float64x2_t)a, (float64x2_t)b);
  hi = (vf64)vzip2q_f64((float64x2_t)a, (float64x2_t)b);
#else
  lo = (vf64)_mm_unpacklo_pd((__m128d)a, (__m128d)b);
  hi = (vf64)_mm_unpackhi_pd((__m128d)a, (__m128d)b);
#endif
}
MIELINA_INLINE void interleave(vu32 a, vu32 b, vu32& lo, vu32& hi) {
  vf32 l, h;
  interleave((vf32)a, (vf32)b, l, h);
  lo = (vu32)l;
  hi = (vu32)h;
}
MIELINA_INLINE void interleave(vu64 a, vu64 b, vu64& lo, vu64& hi) {
  vf64 l, h;
  interleave((vf64)a, (vf64)b, l, h);
  lo = (vu64)l;
  hi = (vu64)h;
}

#if MIELINA_V256
// Two elements of each half of a, then of b: gcc makes three instructions of it, two of them slow.
template <int Which>
MIELINA_INLINE __m256d evens_of_halves(__m256 a, __m256 b) {
  return _mm256_permute4x64_pd((__m256d)_mm256_shuffle_ps(a, b, Which), 0xd8);
}
#endif

// Elements 0, 2, 4, ... of p, as many as a vector has; reads nothing beyond the last of them.
template <class T>
MIELINA_INLINE Vec<T> load_evens(const T* p) {
  constexpr int L = lanes<T>;
  Vec<T> a = load(p), b = load(p + L - 1);
#if MIELINA_V256
  if constexpr (sizeof(T) == 4) return (Vec<T>)evens_of_halves<0xd8>((__m256)a, (__m256)b);
#endif
#if defined(__clang__)
  Vec<T> v;
  for (int i = 0; i < L; i++) v[i] = 2 * i < L ? a[2 * i] : b[2 * i - L + 1];
  return v;
#else
  Bits<Vec<T> > pick{};
  for (int i = 0; i < L; i++) pick[i] = 2 * i < L ? 2 * i : 2 * i + 1;
  return __builtin_shuffle(a, b, pick);
#endif
}

// Every second element of two vectors, from the first or the second on.
template <bool odd>
MIELINA_INLINE vf32 half_of(vf32 a, vf32 b) {
  constexpr int o = odd;
#if MIELINA_V512
  return __builtin_shufflevector(a, b, o, o + 2, o + 4, o + 6, o + 8, o + 10, o + 12, o + 14, o + 16, o + 18, o + 20,
                                 o + 22, o + 24, o + 26, o + 28, o + 30);
#elif MIELINA_V256
  return (vf32)evens_of_halves<odd ? 0xdd : 0x88>((__m256)a, (__m256)b);
#else
  return __builtin_shufflevector(a, b, o, o + 2, o + 4, o + 6);
#endif
}

// Transposes a square of vectors: log2(L) perfect shuffles of its halves.
template <class V, int L>
MIELINA_INLINE void transpose(V (&r)[L]) {
#pragma GCC unroll 4
  for (int stage = 1; stage < L; stage *= 2) {
    V t[L];
#pragma GCC unroll 16
    for (int i = 0; i < L / 2; i++) interleave(r[i], r[i + L / 2], t[2 * i], t[2 * i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) r[i] = t[i];
  }
}

#if MIELINA_V512
// Four rows at a time within their quarters, then the quarters: every step in place, since with the shuffles above gcc
// spills half of the square (from the L1 cache and back in 41 cycles instead of 54).
template <class V>
  requires(sizeof(V) == VBYTES)
MIELINA_INLINE void transpose(V (&r)[16]) {
  constexpr __mmask16 all = -1;
  __m512 x[16];
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const __m512 a = (__m512)r[i], b = (__m512)r[i + 1], c = (__m512)r[i + 2], d = (__m512)r[i + 3];
    const __m512d low = (__m512d)_mm512_maskz_unpacklo_ps(all, a, b),
                  high = (__m512d)_mm512_maskz_unpackhi_ps(all, a, b);
    const __m512d low2 = (__m512d)_mm512_maskz_unpacklo_ps(all, c, d),
                  high2 = (__m512d)_mm512_maskz_unpackhi_ps(all, c, d);
    x[i] = (__m512)_mm512_maskz_unpacklo_pd(__mmask8(all), low, low2);
    x[i + 1] = (__m512)_mm512_maskz_unpackhi_pd(__mmask8(all), low, low2);
    x[i + 2] = (__m512)_mm512_maskz_unpacklo_pd(__mmask8(all), high, high2);
    x[i + 3] = (__m512)_mm512_maskz_unpackhi_pd(__mmask8(all), high, high2);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    const __m512 low = _mm512_maskz_shuffle_f32x4(all, x[j], x[4 + j], 0x44);
    const __m512 high = _mm512_maskz_shuffle_f32x4(all, x[j], x[4 + j], 0xee);
    const __m512 low2 = _mm512_maskz_shuffle_f32x4(all, x[8 + j], x[12 + j], 0x44);
    const __m512 high2 = _mm512_maskz_shuffle_f32x4(all, x[8 + j], x[12 + j], 0xee);
    r[j] = (V)_mm512_maskz_shuffle_f32x4(all, low, low2, 0x88);
    r[4 + j] = (V)_mm512_maskz_shuffle_f32x4(all, low, low2, 0xdd);
    r[8 + j] = (V)_mm512_maskz_shuffle_f32x4(all, high, high2, 0x88);
    r[12 + j] = (V)_mm512_maskz_shuffle_f32x4(all, high, high2, 0xdd);
  }
}
#elif MIELINA_V256
// Within the halves of four rows first, then the halves: 24 shuffles where the interleavings above take 48.
template <class V>
  requires(sizeof(V) == VBYTES)
MIELINA_INLINE void transpose(V (&r)[8]) {
  __m256 x[8];
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    const __m256 a = (__m256)r[i], b = (__m256)r[i + 1], c = (__m256)r[i + 2], d = (__m256)r[i + 3];
    const __m256d low = (__m256d)_mm256_unpacklo_ps(a, b), high = (__m256d)_mm256_unpackhi_ps(a, b);
    const __m256d low2 = (__m256d)_mm256_unpacklo_ps(c, d), high2 = (__m256d)_mm256_unpackhi_ps(c, d);
    x[i] = (__m256)_mm256_unpacklo_pd(low, low2);
    x[i + 1] = (__m256)_mm256_unpackhi_pd(low, low2);
    x[i + 2] = (__m256)_mm256_unpacklo_pd(high, high2);
    x[i + 3] = (__m256)_mm256_unpackhi_pd(high, high2);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    r[j] = (V)_mm256_permute2f128_ps(x[j], x[4 + j], 0x20);
    r[4 + j] = (V)_mm256_permute2f128_ps(x[j], x[4 + j], 0x31);
  }
}
#endif

// The same, as one copy for cold code.
template <class V, int L>
inline __attribute__((noinline)) void transpose_apart(V (&r)[L]) {
  transpose(r);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
