// AVX-512's instructions, as far as the kernels use them, in those of AVX2: so that kernels of 16 lanes can be built,
// tested and fuzzed on a CPU that has none (-DMIELINA_EMULATE_AVX512=ON). Slow, and never part of a release.
//
// Intel's names are kept, as macros, since the compiler's own functions of these names want the real instructions.
// Masks are obeyed where lanes are left out of loads, stores and blends; elsewhere the kernels pass all ones.
#pragma once
#include <immintrin.h>
#include <stdint.h>

namespace mielina {
namespace MIELINA_ISA {

#define MIELINA_EMULATED static inline __attribute__((always_inline))

using Floats512 = float __attribute__((vector_size(64)));
using Doubles512 = double __attribute__((vector_size(64)));
using Ints512 = int32_t __attribute__((vector_size(64)));
using Longs512 = int64_t __attribute__((vector_size(64)));
using Words512 = uint64_t __attribute__((vector_size(64)));
using Shorts512 = int16_t __attribute__((vector_size(64)));
using Bytes512 = int8_t __attribute__((vector_size(64)));

// Lane by lane: f(i) of every lane of V.
template <class V, class F>
MIELINA_EMULATED V lanewise(F f) {
  V v{};
  for (unsigned i = 0; i < sizeof(V) / sizeof v[0]; i++) v[i] = f(i);
  return v;
}
// The lanes' answers as bits.
template <int N, class F>
MIELINA_EMULATED uint64_t bitwise(F f) {
  uint64_t m = 0;
  for (int i = 0; i < N; i++) m |= uint64_t(f(i) ? 1 : 0) << i;
  return m;
}
// Of memory only the lanes of the mask are touched.
template <class V, class T>
MIELINA_EMULATED V masked_load(uint64_t m, const T* p) {
  return lanewise<V>([&](int i) { return m >> i & 1 ? p[i] : T(0); });
}
template <class V, class T>
MIELINA_EMULATED void masked_store(T* p, uint64_t m, V v) {
  for (unsigned i = 0; i < sizeof(V) / sizeof(T); i++)
    if (m >> i & 1) p[i] = v[i];
}
// f of the lower and the upper halves of one to three vectors.
template <class F, class... A>
MIELINA_EMULATED __m512 by_halves(F f, __m512 a, A... more) {
  auto half = [](__m512 v, int h) {
    __m256 r;
    __builtin_memcpy(&r, (const char*)&v + 32 * h, 32);
    return r;
  };
  const __m256 y[2] = {f(half(a, 0), half(more, 0)...), f(half(a, 1), half(more, 1)...)};
  __m512 r;
  __builtin_memcpy(&r, y, 64);
  return r;
}
template <class F, class... A>
MIELINA_EMULATED __m512d by_halves(F f, __m512d a, A... more) {
  return (__m512d)by_halves([&](auto... x) { return (__m256)f((__m256d)x...); }, (__m512)a, (__m512)more...);
}

// ---- memory, constants ----------------------------------------------------------------------------------------------
// Not 0 + x, which would make 0 of -0.
#define _mm512_set1_ps(x) ((__m512)lanewise<Floats512>([&](int) { return float(x); }))
#define _mm512_set1_pd(x) ((__m512d)lanewise<Doubles512>([&](int) { return double(x); }))
#define _mm512_set1_epi64(x) ((__m512i)(Longs512{} + int64_t(x)))
#undef _mm512_setr_epi32
#undef _mm512_setr_epi64
#define _mm512_setr_epi32(...) ((__m512i)(Ints512{__VA_ARGS__}))
#define _mm512_setr_epi64(...) ((__m512i)(Longs512{__VA_ARGS__}))
MIELINA_EMULATED __m512i loadu_512(const void* p) {
  __m512i v;
  __builtin_memcpy(&v, p, 64);
  return v;
}
#define _mm512_loadu_si512(p) loadu_512(p)
#define _mm512_load_pd(p) ((__m512d)loadu_512(p))
#define _mm512_stream_si512(p, v) (void)(*(p) = (v))
#define _mm512_maskz_loadu_epi32(m, p) ((__m512i)masked_load<Ints512>(m, (const int32_t*)(p)))
#define _mm512_maskz_loadu_epi64(m, p) ((__m512i)masked_load<Longs512>(m, (const int64_t*)(p)))
#define _mm512_mask_storeu_epi32(p, m, v) masked_store((int32_t*)(p), m, (Ints512)(v))
#define _mm512_mask_storeu_epi64(p, m, v) masked_store((int64_t*)(p), m, (Longs512)(v))
using Shorts256 = int16_t __attribute__((vector_size(32)));
#define _mm256_maskz_loadu_epi16(m, p) ((__m256i)masked_load<Shorts256>(m, (const int16_t*)(p)))
#define _mm256_mask_storeu_epi16(p, m, v) masked_store((int16_t*)(p), m, (Shorts256)(v))

// ---- arithmetic -----------------------------------------------------------------------------------------------------
// The instruction of AVX2, twice.
#define MIELINA_TWICE(name, ...) by_halves([](auto... x) { return name(x...); }, __VA_ARGS__)
#define _mm512_fmadd_ps(a, b, c) MIELINA_TWICE(_mm256_fmadd_ps, a, b, c)
#define _mm512_fmadd_pd(a, b, c) MIELINA_TWICE(_mm256_fmadd_pd, a, b, c)
#define _mm512_maskz_sqrt_ps(m, a) MIELINA_TWICE(_mm256_sqrt_ps, a)
#define _mm512_maskz_sqrt_pd(m, a) MIELINA_TWICE(_mm256_sqrt_pd, a)
#define _mm512_maskz_min_ps(m, a, b) MIELINA_TWICE(_mm256_min_ps, a, b)
#define _mm512_maskz_min_pd(m, a, b) MIELINA_TWICE(_mm256_min_pd, a, b)
#define _mm512_maskz_max_ps(m, a, b) MIELINA_TWICE(_mm256_max_ps, a, b)
#define _mm512_maskz_max_pd(m, a, b) MIELINA_TWICE(_mm256_max_pd, a, b)
#define _mm512_maskz_roundscale_ps(m, a, mode) by_halves([](__m256 x) { return _mm256_round_ps(x, mode); }, a)
#define _mm512_maskz_roundscale_pd(m, a, mode) by_halves([](__m256d x) { return _mm256_round_pd(x, mode); }, a)
MIELINA_EMULATED __m512i min_epu64_512(__m512i a, __m512i b) {
  return (__m512i)((Words512)a < (Words512)b ? (Words512)a : (Words512)b);
}
MIELINA_EMULATED __m512i max_epu64_512(__m512i a, __m512i b) {
  return (__m512i)((Words512)a < (Words512)b ? (Words512)b : (Words512)a);
}
#define _mm512_maskz_min_epu64(m, a, b) min_epu64_512(a, b)
#define _mm512_maskz_max_epu64(m, a, b) max_epu64_512(a, b)
#define _mm512_mul_epu32(a, b) ((__m512i)(((Words512)(a) & 0xffffffffull) * ((Words512)(b) & 0xffffffffull)))

// a 2^floor(b), exponent and mantissa, in double: of floats that is exact, so that they are rounded once.
MIELINA_EMULATED double scalef_lane(double a, double b) {
  if (a != a || b != b) return a + b;
  return __builtin_ldexp(a, int(__builtin_floor(b > 5000 ? 5000 : b < -5000 ? -5000 : b)));
}
MIELINA_EMULATED double getexp_lane(double a) {
  if (a != a) return a;
  return a == 0 ? -__builtin_inf() : __builtin_isinf(a) ? __builtin_inf() : __builtin_ilogb(a);
}
MIELINA_EMULATED double getmant_lane(double a) {  // in [1, 2); NaN of a negative number
  if (a != a || a < 0) return __builtin_nan("");
  return a == 0 || __builtin_isinf(a) ? 1 : __builtin_ldexp(a, -__builtin_ilogb(a));
}
#define _mm512_maskz_scalef_ps(m, a, b) \
  ((__m512)lanewise<Floats512>([&](int i) { return scalef_lane((a)[i], (b)[i]); }))
#define _mm512_maskz_scalef_pd(m, a, b) \
  ((__m512d)lanewise<Doubles512>([&](int i) { return scalef_lane((a)[i], (b)[i]); }))
#define _mm512_maskz_getexp_ps(m, a) ((__m512)lanewise<Floats512>([&](int i) { return getexp_lane((a)[i]); }))
#define _mm512_maskz_getexp_pd(m, a) ((__m512d)lanewise<Doubles512>([&](int i) { return getexp_lane((a)[i]); }))
#define _mm512_maskz_getmant_ps(m, a, n, s) ((__m512)lanewise<Floats512>([&](int i) { return getmant_lane((a)[i]); }))
#define _mm512_maskz_getmant_pd(m, a, n, s) ((__m512d)lanewise<Doubles512>([&](int i) { return getmant_lane((a)[i]); }))

// ---- masks ----------------------------------------------------------------------------------------------------------
MIELINA_EMULATED uint64_t nonzero_512(Bytes512 v) {
  return bitwise<64>([&](int i) { return v[i]; });
}
#define _mm512_test_epi8_mask(a, b) nonzero_512((Bytes512)((Longs512)(a) & (Longs512)(b)))
MIELINA_EMULATED uint32_t nonzero_bytes(__m256i a) {
  return ~uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, _mm256_setzero_si256())));
}
#define _mm256_test_epi8_mask(a, b) nonzero_bytes(_mm256_and_si256(a, b))
MIELINA_EMULATED uint16_t nonzero_bytes(__m128i a) {
  return uint16_t(~_mm_movemask_epi8(_mm_cmpeq_epi8(a, _mm_setzero_si128())));
}
#define _mm_test_epi8_mask(a, b) nonzero_bytes(_mm_and_si128(a, b))
MIELINA_EMULATED uint64_t nonzero_512(Ints512 v) {
  return bitwise<16>([&](int i) { return v[i]; });
}
#define _mm512_test_epi32_mask(a, b) nonzero_512((Ints512)((Longs512)(a) & (Longs512)(b)))
// Two of the comparisons: whether one is not a number, and not a <= b.
template <class T>
MIELINA_EMULATED bool compare_lane(T a, T b, int how) {
  return how == _CMP_UNORD_Q ? a != a || b != b : !(a <= b);
}
#define _mm512_cmp_ps_mask(a, b, how) unsigned(bitwise<16>([&](int i) { return compare_lane((a)[i], (b)[i], how); }))
#define _mm512_cmp_pd_mask(a, b, how) unsigned(bitwise<8>([&](int i) { return compare_lane((a)[i], (b)[i], how); }))
template <class V>
MIELINA_EMULATED __m512i blend_512(uint64_t m, __m512i a, __m512i b) {
  const V x = (V)a, y = (V)b;
  return (__m512i)lanewise<V>([&](int i) { return m >> i & 1 ? y[i] : x[i]; });
}
#define _mm512_mask_blend_epi8 blend_512<Bytes512>
#define _mm512_mask_blend_epi16 blend_512<Shorts512>
#define _mm512_mask_blend_epi32 blend_512<Ints512>
#define _mm512_mask_blend_epi64 blend_512<Longs512>

// ---- moving lanes ---------------------------------------------------------------------------------------------------
#define _mm512_castps256_ps512(a) \
  __builtin_shufflevector(a, __m256{}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
MIELINA_EMULATED __m512 insert_half(__m512 a, __m256 b, int half) {
  __builtin_memcpy((char*)&a + 32 * half, &b, 32);
  return a;
}
#define _mm512_maskz_insertf32x8(m, a, b, half) insert_half(a, b, half)
MIELINA_EMULATED __m256 extract_half(__m512 a, int half) {
  __m256 r;
  __builtin_memcpy(&r, (char*)&a + 32 * half, 32);
  return r;
}
#define _mm512_maskz_extractf32x8_ps(m, a, half) extract_half(a, half)
MIELINA_EMULATED __m512 permutex2var_512(__m512 a, __m512i from, __m512 b) {
  const Ints512 f = (Ints512)from;
  return (__m512)lanewise<Floats512>([&](int i) { return f[i] & 16 ? b[f[i] & 15] : a[f[i] & 15]; });
}
MIELINA_EMULATED __m512d permutex2var_512(__m512d a, __m512i from, __m512d b) {
  const Longs512 f = (Longs512)from;
  return (__m512d)lanewise<Doubles512>([&](int i) { return f[i] & 8 ? b[f[i] & 7] : a[f[i] & 7]; });
}
#define _mm512_permutex2var_ps permutex2var_512
#define _mm512_permutex2var_pd permutex2var_512
#define _mm512_maskz_unpacklo_ps(m, a, b) MIELINA_TWICE(_mm256_unpacklo_ps, a, b)
#define _mm512_maskz_unpackhi_ps(m, a, b) MIELINA_TWICE(_mm256_unpackhi_ps, a, b)
#define _mm512_maskz_unpacklo_pd(m, a, b) MIELINA_TWICE(_mm256_unpacklo_pd, a, b)
#define _mm512_maskz_unpackhi_pd(m, a, b) MIELINA_TWICE(_mm256_unpackhi_pd, a, b)
// Quarters of a, then of b, by two bits each.
MIELINA_EMULATED __m512 shuffle_quarters(__m512 a, __m512 b, int by) {
  return (__m512)lanewise<Floats512>([&](int i) {
    const int q = i / 4, from = 4 * (by >> 2 * q & 3) + i % 4;
    return q < 2 ? a[from] : b[from];
  });
}
#define _mm512_maskz_shuffle_f32x4(m, a, b, by) shuffle_quarters(a, b, by)

// ---- conversions ----------------------------------------------------------------------------------------------------
#define _mm512_maskz_cvtps_pd(m, a) ((__m512d)lanewise<Doubles512>([&](int i) { return double((a)[i]); }))
MIELINA_EMULATED __m256 to_floats(__m512d a) {
  __m256d x[2];
  __builtin_memcpy(x, &a, 64);
  return _mm256_set_m128(_mm256_cvtpd_ps(x[1]), _mm256_cvtpd_ps(x[0]));
}
#define _mm512_maskz_cvtpd_ps(m, a) to_floats(a)
MIELINA_EMULATED __m512 from_halves(__m256i h) {
  const __m256 low = _mm256_cvtph_ps(_mm256_castsi256_si128(h)), high = _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1));
  return insert_half(insert_half(__m512{}, low, 0), high, 1);
}
#define _mm512_cvtph_ps(h) from_halves(h)
template <int Mode>
MIELINA_EMULATED __m256i to_halves(__m512 a) {
  return _mm256_set_m128i(_mm256_cvtps_ph(extract_half(a, 1), Mode), _mm256_cvtps_ph(extract_half(a, 0), Mode));
}
#define _mm512_cvtps_ph(a, mode) to_halves<mode>(a)
#define _mm512_cvtepu16_epi32(h)                                                     \
  ((__m512i) __builtin_convertvector((uint16_t __attribute__((vector_size(32))))(h), \
                                     uint32_t __attribute__((vector_size(64)))))
#define _mm512_cvtepi32_epi16(v) ((__m256i) __builtin_convertvector((Ints512)(v), Shorts256))

}  // namespace MIELINA_ISA
}  // namespace mielina
