// What the elementary functions share: polynomials, powers of two, clamps, and products with their rounding errors.
//
// Every function here maps a lane to a lane: its bits do not depend on the neighbours. Rare hard arguments are mended
// by scalar code, chosen lane by lane and kept out of line (MIELINA_RARE). Errors quoted at the functions are the
// largest found with and without FMA, subnormals and hard places included: f32 on 10^7 bit patterns and 10^6 random
// numbers, f64 on 3 * 10^6 (erf and gamma families: some 10^4), pairs of arguments on 10^6, against 80-bit arithmetic
// or mpmath. 1 ULP is the spacing at the true value.
#pragma once
#include "cpu/simd.h"

namespace mielina {
namespace MIELINA_ISA {

#define MIELINA_RARE static __attribute__((noinline, cold, unused))

// The format's constants.
template <class T>
struct Fp;
template <>
struct Fp<float> {
  using Int = int32_t;
  using UInt = uint32_t;
  static constexpr int digits = 24, bias = 127;
  static constexpr float inf = __builtin_inff(), nan = __builtin_nanf(""), min_normal = 0x1p-126f;
};
template <>
struct Fp<double> {
  using Int = int64_t;
  using UInt = uint64_t;
  static constexpr int digits = 53, bias = 1023;
  static constexpr double inf = __builtin_inf(), nan = __builtin_nan(""), min_normal = 0x1p-1022;
};
template <class V>
using FpOf = Fp<Elem<V>>;
template <class V>
constexpr bool is_f32 = __is_same(V, vf32);

// A constant in the lane type: c<V>(0x1p-3).
template <class V>
MIELINA_INLINE V c(double x) {
  return splat<V>(Elem<V>(x));
}

// Horner's rule, highest coefficient first.
template <class V>
MIELINA_INLINE V horner(V, V sum) {
  return sum;
}
template <class V, class... C>
MIELINA_INLINE V horner(V x, V sum, double next, C... rest) {
  return horner(x, fma(sum, x, c<V>(next)), rest...);
}
template <class V, class... C>
MIELINA_INLINE V poly(V x, double first, C... rest) {
  return horner(x, c<V>(first), rest...);
}

// x bounded by a constant; NaN stays NaN (x86's min and max return their second operand then).
template <bool Upper, class V>
MIELINA_INLINE V bounded(V x, V b) {
#if MIELINA_V512
  constexpr __mmask16 all = -1;
  if constexpr (is_f32<V>) {
    __m512 v = (__m512)x, w = (__m512)b;
    return (V)(Upper ? _mm512_maskz_min_ps(all, w, v) : _mm512_maskz_max_ps(all, w, v));
  } else {
    __m512d v = (__m512d)x, w = (__m512d)b;
    return (V)(Upper ? _mm512_maskz_min_pd(__mmask8(all), w, v) : _mm512_maskz_max_pd(__mmask8(all), w, v));
  }
#elif MIELINA_V256
  if constexpr (is_f32<V>) {
    return (V)(Upper ? _mm256_min_ps((__m256)b, (__m256)x) : _mm256_max_ps((__m256)b, (__m256)x));
  } else {
    return (V)(Upper ? _mm256_min_pd((__m256d)b, (__m256d)x) : _mm256_max_pd((__m256d)b, (__m256d)x));
  }
#elif defined(__x86_64__)
  if constexpr (is_f32<V>) {
    return (V)(Upper ? _mm_min_ps((__m128)b, (__m128)x) : _mm_max_ps((__m128)b, (__m128)x));
  } else {
    return (V)(Upper ? _mm_min_pd((__m128d)b, (__m128d)x) : _mm_max_pd((__m128d)b, (__m128d)x));
  }
#else
  return select<V>(Upper ? x > b : x < b, b, x);
#endif
}
template <class V>
MIELINA_INLINE V at_most(V x, double bound) {
  return bounded<true>(x, c<V>(bound));
}
template <class V>
MIELINA_INLINE V at_least(V x, double bound) {
  return bounded<false>(x, c<V>(bound));
}

// 2^n for an integral n in the range of normal exponents. Adding 1.5 * 2^(digits - 1) leaves n in the low bits.
template <class V>
MIELINA_INLINE V pow2(V n) {
  using F = FpOf<V>;
  V shifted = n + c<V>(F::digits == 24 ? 0x1.8p23 : 0x1.8p52);
  return from_bits<V>((bits(shifted) + typename F::UInt(F::bias)) << (F::digits - 1));
}

// y * 2^n with one rounding, for 0.5 <= |y| < 4 and n that may leave the range on both sides.
//
// Lanes that are zero whatever y is are left out: an Intel core takes 150 cycles for an instruction whose result is too
// small. exp of 65,536 times -inf took 438 us, so 15.
template <class V>
MIELINA_INLINE V scale_pow2(V y, V n) {
  constexpr double none = is_f32<V> ? -152 : -1077;
#if MIELINA_V512
  if constexpr (is_f32<V>)
    return (V)_mm512_maskz_scalef_ps(_mm512_cmp_ps_mask((__m512)n, (__m512)c<V>(none), _CMP_NLE_UQ), (__m512)y,
                                     (__m512)n);
  else
    return (V)_mm512_maskz_scalef_pd(_mm512_cmp_pd_mask((__m512d)n, (__m512d)c<V>(none), _CMP_NLE_UQ), (__m512d)y,
                                     (__m512d)n);
#else
  using F = FpOf<V>;
  constexpr int shift = F::digits - 1;
  // n and both biases in the low bits; their halves are the exponents of two factors. By roundings of n / 2 in floating
  // point these were 11 instructions instead of 7.
  Bits<V> sum = bits(n + c<V>((F::digits == 24 ? 0x1.8p23 : 0x1.8p52) + 2 * F::bias)), half = sum >> 1;
  y = from_bits<V>(bits(y) & ~(Bits<V>)(n <= c<V>(none)));
  return y * from_bits<V>(half << shift) * from_bits<V>((sum - half) << shift);
#endif
}

// a + b = s + low exactly (Knuth).
template <class V>
MIELINA_INLINE V two_sum(V a, V b, V& low) {
  V s = a + b, t = s - a;
  low = (a - (s - t)) + (b - t);
  return s;
}
// The same where |a| >= |b| or a == 0 (Dekker).
template <class V>
MIELINA_INLINE V fast_two_sum(V a, V b, V& low) {
  V s = a + b;
  low = b - (s - a);
  return s;
}
// a * b = p + low exactly: by FMA, or by Dekker's split of both factors (|a|, |b| < 2^115 then, 2^990 in f64).
template <class V>
MIELINA_INLINE V two_prod(V a, V b, V& low) {
  V p = a * b;
#if defined(__FMA__) || defined(__aarch64__)
  low = fma(a, b, -p);
#else
  V k = c<V>(is_f32<V> ? 0x1p12 + 1 : 0x1p27 + 1);
  V ka = k * a, kb = k * b;
  V ah = ka - (ka - a), bh = kb - (kb - b), al = a - ah, bl = b - bh;
  low = ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
  return p;
}

// f32 lanes as two f64 vectors and back, for the few places where double arithmetic is cheaper than compensated f32.
struct Wide {
  vf64 low, high;
};
MIELINA_INLINE Wide widen(vf32 x) {
#if MIELINA_V512
  constexpr __mmask8 all = -1;
  return {(vf64)_mm512_maskz_cvtps_pd(all, _mm512_maskz_extractf32x8_ps(all, (__m512)x, 0)),
          (vf64)_mm512_maskz_cvtps_pd(all, _mm512_maskz_extractf32x8_ps(all, (__m512)x, 1))};
#elif MIELINA_V256
  return {(vf64)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x)),
          (vf64)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1))};
#elif defined(__aarch64__)
  return {(vf64)vcvt_f64_f32(vget_low_f32((float32x4_t)x)), (vf64)vcvt_high_f64_f32((float32x4_t)x)};
#else
  return {(vf64)_mm_cvtps_pd((__m128)x), (vf64)_mm_cvtps_pd(_mm_movehl_ps((__m128)x, (__m128)x))};
#endif
}
MIELINA_INLINE vf32 narrow(vf64 low, vf64 high) {
#if MIELINA_V512
  __m256 l = _mm512_maskz_cvtpd_ps((__mmask8)-1, (__m512d)low), h = _mm512_maskz_cvtpd_ps((__mmask8)-1, (__m512d)high);
  return (vf32)_mm512_maskz_insertf32x8((__mmask16)-1, _mm512_castps256_ps512(l), h, 1);
#elif MIELINA_V256
  return (vf32)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)high), _mm256_cvtpd_ps((__m256d)low));
#elif defined(__aarch64__)
  return (vf32)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)low), (float64x2_t)high);
#else
  return (vf32)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)low), _mm_cvtpd_ps((__m128d)high));
#endif
}

}  // namespace MIELINA_ISA
}  // namespace mielina
