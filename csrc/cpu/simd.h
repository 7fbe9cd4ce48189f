// Vectors of VBYTES bytes over the GNU vector extensions: + - * / & | ^ ~ << >> and comparisons are the language's own
// (a comparison gives an integer vector of 0 and -1). Here stands what they lack. Kernels are written once against this
// header and compiled for every ISA level, inside a namespace that carries the level's name: an inline function that
// two levels shared would be kept once by the linker, with whichever level's instructions came first.
#pragma once
#include <stddef.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "core/view.h"

#ifndef MIELINA_ISA
#error "compile kernels with -DMIELINA_ISA=<name of the level>"
#endif

#if MIELINA_EMULATE_AVX512
#include "cpu/emulate512.h"
#endif

namespace mielina {
namespace MIELINA_ISA {

#if MIELINA_EMULATE_AVX512 || \
    (defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__))
#define MIELINA_V512 1
#define MIELINA_REAL512 (!MIELINA_EMULATE_AVX512)  // instructions may be spelled out
constexpr int VBYTES = 64;
#elif defined(__AVX2__) && defined(__FMA__)
#define MIELINA_V256 1
constexpr int VBYTES = 32;
#else
constexpr int VBYTES = 16;
#endif

template <class T, int Bytes = VBYTES>
struct VecOf {
  typedef T type __attribute__((vector_size(Bytes)));
};
template <class T>
using Vec = typename VecOf<T>::type;

using vf32 = Vec<float>;
using vf64 = Vec<double>;
using vi32 = Vec<int32_t>;
using vi64 = Vec<int64_t>;
using vu32 = Vec<uint32_t>;
using vu64 = Vec<uint64_t>;
using vu16h = VecOf<uint16_t, VBYTES / 2>::type;  // as many 16-bit lanes as a vf32 has

template <class V>
struct ElemOf;
template <>
struct ElemOf<vf32> {
  using type = float;
};
template <>
struct ElemOf<vf64> {
  using type = double;
};
template <>
struct ElemOf<vi32> {
  using type = int32_t;
};
template <>
struct ElemOf<vi64> {
  using type = int64_t;
};
template <>
struct ElemOf<vu32> {
  using type = uint32_t;
};
template <>
struct ElemOf<vu64> {
  using type = uint64_t;
};
template <class V>
using Elem = typename ElemOf<V>::type;

// What numbers or vectors are added and multiplied as: integers wrap, and signed overflow is undefined.
template <class V>
struct WrapOf {
  using type = V;
};
template <>
struct WrapOf<int64_t> {
  using type = uint64_t;
};
template <>
struct WrapOf<vi64> {
  using type = vu64;
};
template <class V>
using Wrap = typename WrapOf<V>::type;

template <class T>
constexpr int lanes = VBYTES / int(sizeof(T));

// The numbers 0 to N - 1 as a type: IndicesTo<N>::type.
template <int... I>
struct Indices {};
template <int N, int... I>
struct IndicesTo : IndicesTo<N - 1, N - 1, I...> {};
template <int... I>
struct IndicesTo<0, I...> {
  using type = Indices<I...>;
};

// The integer vector that a comparison of V gives, and the unsigned one of the same lanes.
template <class V>
struct MaskOf;
template <>
struct MaskOf<vf32> {
  using type = vi32;
  using bits = vu32;
};
template <>
struct MaskOf<vf64> {
  using type = vi64;
  using bits = vu64;
};
template <>
struct MaskOf<vi32> {
  using type = vi32;
  using bits = vu32;
};
template <>
struct MaskOf<vi64> {
  using type = vi64;
  using bits = vu64;
};
template <>
struct MaskOf<vu32> : MaskOf<vi32> {};
template <>
struct MaskOf<vu64> : MaskOf<vi64> {};
template <class V>
using Mask = typename MaskOf<V>::type;
template <class V>
using Bits = typename MaskOf<V>::bits;

#define MIELINA_INLINE static inline __attribute__((always_inline))

// ---- memory ---------------------------------------------------------------------------------------------------------
template <class T>
MIELINA_INLINE Vec<T> load(const T* p) {
  Vec<T> v;
  __builtin_memcpy(&v, p, VBYTES);
  return v;
}
template <class T>
MIELINA_INLINE void store(T* p, Vec<T> v) {
  __builtin_memcpy(p, &v, VBYTES);
}

// Broadcasts one number to all lanes.
template <class V>
MIELINA_INLINE V splat(Elem<V> x) {
  return x - V{};
}
template <>
inline __attribute__((always_inline)) vf32 splat<vf32>(float x) {
#if MIELINA_V512
  return (vf32)_mm512_set1_ps(x);
#elif MIELINA_V256
  return (vf32)_mm256_set1_ps(x);
#else
  return vf32{x, x, x, x};
#endif
}
template <>
inline __attribute__((always_inline)) vf64 splat<vf64>(double x) {
#if MIELINA_V512
  return (vf64)_mm512_set1_pd(x);
#elif MIELINA_V256
  return (vf64)_mm256_set1_pd(x);
#else
  return vf64{x, x};
#endif
}

#if MIELINA_V256
// Memory functions for parts of vectors would be calls, around which every register of the caller is spilled.
MIELINA_INLINE __m256i first_lanes(int64_t n) {
  alignas(64) static constexpr int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256((const __m256i*)(ones + 8 - n));
}
// In parts: masked stores made Winograd's convolutions take 1.5 times as long on a Zen 3.
MIELINA_INLINE void store_bytes(char* p, __m256i v, int n) {
  if (n == 32) return _mm256_storeu_si256((__m256i*)p, v);
  __m128i x = _mm256_castsi256_si128(v);
  if (n & 16) {
    _mm_storeu_si128((__m128i*)p, x);
    x = _mm256_extracti128_si256(v, 1);
    p += 16;
  }
  if (n & 8) {
    _mm_storel_epi64((__m128i*)p, x);
    x = _mm_unpackhi_epi64(x, x);
    p += 8;
  }
  if (n & 4) _mm_storeu_si32(p, x);
}
#endif

// The first n lanes (0 < n <= lanes) from memory, the others zero; nothing beyond p[n-1] is touched.
template <class T>
MIELINA_INLINE Vec<T> load_n(const T* p, int64_t n) {
#if MIELINA_V512
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_loadu_epi32((__mmask16)((1u << n) - 1), p);
  if constexpr (sizeof(T) == 8) return (Vec<T>)_mm512_maskz_loadu_epi64((__mmask8)((1u << n) - 1), p);
#elif MIELINA_V256
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm256_maskload_epi32((const int*)p, first_lanes(n));
  if constexpr (sizeof(T) == 8) return (Vec<T>)_mm256_maskload_epi64((const long long*)p, first_lanes(2 * n));
#endif
  Vec<T> v{};
  __builtin_memcpy(&v, p, size_t(n) * sizeof(T));
  return v;
}
template <class T>
MIELINA_INLINE void store_n(T* p, Vec<T> v, int64_t n) {
#if MIELINA_V512
  if constexpr (sizeof(T) == 4) return _mm512_mask_storeu_epi32(p, (__mmask16)((1u << n) - 1), (__m512i)v);
  if constexpr (sizeof(T) == 8) return _mm512_mask_storeu_epi64(p, (__mmask8)((1u << n) - 1), (__m512i)v);
#elif MIELINA_V256
  if constexpr (sizeof(T) == 4 || sizeof(T) == 8) return store_bytes((char*)p, (__m256i)v, int(n * sizeof(T)));
#endif
  __builtin_memcpy(p, &v, size_t(n) * sizeof(T));
}

// Up to a vector. A masked store is not forwarded to a later load (10 times slower max pooling, measured), so full
// vectors are stored whole.
template <class T>
MIELINA_INLINE Vec<T> load_part(const T* p, int64_t n) {
  return n >= lanes<T> ? load(p) : load_n(p, n);
}
template <class T>
MIELINA_INLINE void store_part(T* p, Vec<T> v, int64_t n) {
  if (n >= lanes<T>) store(p, v);
  else store_n(p, v, n);
}
// A vector of T from as many numbers of type S.
template <class T, class S>
MIELINA_INLINE Vec<T> load_as(const S* p) {
#if MIELINA_V256
  if constexpr (__is_same(S, float) && __is_same(T, double))
    return (Vec<T>)_mm256_cvtps_pd(_mm_loadu_ps(p));  // gcc 12: two halves
#endif
  typename VecOf<S, lanes<T>* int(sizeof(S))>::type v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, Vec<T>);
}

// Stores past the caches; p must be VBYTES-aligned. Call stream_fence() once after the last one.
template <class T>
MIELINA_INLINE void stream(T* p, Vec<T> v) {
#if MIELINA_V512
  _mm512_stream_si512((__m512i*)p, (__m512i)v);
#elif MIELINA_V256
  _mm256_stream_si256((__m256i*)p, (__m256i)v);
#elif defined(__x86_64__)
  _mm_stream_si128((__m128i*)p, (__m128i)v);
#else
  store(p, v);
#endif
}
MIELINA_INLINE void stream_fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// ---- choice, bits ---------------------------------------------------------------------------------------------------
template <class V>
MIELINA_INLINE V select(Mask<V> m, V a, V b) {
  return m ? a : b;
}
template <class V>
MIELINA_INLINE Bits<V> bits(V v) {
  return (Bits<V>)v;
}
template <class V>
MIELINA_INLINE V from_bits(Bits<V> b) {
  return (V)b;
}
template <class V>
MIELINA_INLINE V sign_mask() {
  return (V)(bits(V{}) | (Bits<V>)(splat<V>(Elem<V>(-0.0))));
}
template <class V>
MIELINA_INLINE V abs(V v) {
  return (V)(bits(v) & ~bits(sign_mask<V>()));
}
template <class V>
MIELINA_INLINE V copysign(V v, V s) {
  auto m = bits(sign_mask<V>());
  return (V)((bits(v) & ~m) | (bits(s) & m));
}
template <class V>
MIELINA_INLINE Mask<V> is_nan(V v) {
  return v != v;
}
// True when any lane of a comparison's result is set.
template <class M>
MIELINA_INLINE bool any_lane(M m) {
#if MIELINA_V512
  return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0;
#elif MIELINA_V256
  return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#elif defined(__SSE4_1__)
  return !_mm_testz_si128((__m128i)m, (__m128i)m);
#else
  bool r = false;
  for (unsigned i = 0; i < sizeof(M) / sizeof(m[0]); i++) r |= m[i] != 0;
  return r;
#endif
}

// A byte of 1 or 0 for every lane of a comparison's result. gcc 12 takes a plain conversion to bytes lane by lane below
// AVX-512.
template <class M>
MIELINA_INLINE void put_flags(uint8_t* to, M m) {
  constexpr int L = int(sizeof(M) / sizeof(m[0]));
  typedef uint8_t Flags __attribute__((vector_size(L)));
  Flags flags;
  if constexpr (L == VBYTES) {
    flags = (Flags)m & 1;
  } else {
#if MIELINA_V512
    flags = __builtin_convertvector(m, Flags) & 1;
#elif defined(__x86_64__)
    __m128i low, high;  // packing saturates, and 0 and -1 stay what they are
    __builtin_memcpy(&low, &m, 16);
    __builtin_memcpy(&high, (const char*)&m + VBYTES - 16, 16);
    __m128i p = VBYTES == 16 ? _mm_packs_epi32(low, low) : _mm_packs_epi32(low, high);
    for (int bytes = int(sizeof(m[0])) / 2; bytes > 1; bytes /= 2) p = _mm_packs_epi16(p, p);
    p = _mm_and_si128(p, _mm_set1_epi8(1));
    __builtin_memcpy(&flags, &p, L);
#else
    flags = __builtin_convertvector(m, Flags) & 1;
#endif
  }
  __builtin_memcpy(to, &flags, L);
}

// ---- arithmetic -----------------------------------------------------------------------------------------------------
// a * b + c, one rounding where the level has FMA (all but x86-64-v2).
MIELINA_INLINE vf32 fma(vf32 a, vf32 b, vf32 c) {
#if MIELINA_V512
  return (vf32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif MIELINA_V256
  return (vf32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (vf32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}
MIELINA_INLINE vf64 fma(vf64 a, vf64 b, vf64 c) {
#if MIELINA_V512
  return (vf64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif MIELINA_V256
  return (vf64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
  return (vf64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

MIELINA_INLINE vf32 sqrt(vf32 a) {
#if MIELINA_V512
  return (vf32)_mm512_maskz_sqrt_ps((__mmask16)-1, (__m512)a);
#elif MIELINA_V256
  return (vf32)_mm256_sqrt_ps((__m256)a);
#elif defined(__aarch64__)
  return (vf32)vsqrtq_f32((float32x4_t)a);
#else
  return (vf32)_mm_sqrt_ps((__m128)a);
#endif
}
MIELINA_INLINE vf64 sqrt(vf64 a) {
#if MIELINA_V512
  return (vf64)_mm512_maskz_sqrt_pd((__mmask8)-1, (__m512d)a);
#elif MIELINA_V256
  return (vf64)_mm256_sqrt_pd((__m256d)a);
#elif defined(__aarch64__)
  return (vf64)vsqrtq_f64((float64x2_t)a);
#else
  return (vf64)_mm_sqrt_pd((__m128d)a);
#endif
}

// Larger and smaller of two, PyTorch's rule: NaN if either is NaN. max(-0, +0) is whichever the comparison leaves.
template <class V>
MIELINA_INLINE V max(V a, V b) {
  if constexpr (Elem<V>(0.5) != Elem<V>(0)) return select<V>((a > b) | is_nan(a), a, b);
  else return select<V>(a > b, a, b);
}
template <class V>
MIELINA_INLINE V min(V a, V b) {
  if constexpr (Elem<V>(0.5) != Elem<V>(0)) return select<V>((a < b) | is_nan(a), a, b);
  else return select<V>(a < b, a, b);
}

// Whether a lane of a or b is NaN, in the form the level compares in: answers are joined with |, and asked by any_nan.
#if MIELINA_V512
MIELINA_INLINE unsigned unordered(vf32 a, vf32 b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q); }
MIELINA_INLINE unsigned unordered(vf64 a, vf64 b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_UNORD_Q); }
#else
MIELINA_INLINE vi32 unordered(vf32 a, vf32 b) { return is_nan(a) | is_nan(b); }
MIELINA_INLINE vi64 unordered(vf64 a, vf64 b) { return is_nan(a) | is_nan(b); }
#endif
MIELINA_INLINE unsigned unordered(vi64, vi64) { return 0; }
template <class M>
MIELINA_INLINE bool any_nan(M m) {
  if constexpr (sizeof(M) <= sizeof(unsigned)) return m != 0;
  else return any_lane(m);
}

// Rounding to integers in floating point; `round_even` takes halves to even.
#if MIELINA_V512
#define MIELINA_ROUND(name, mode)                                                                                 \
  MIELINA_INLINE vf32 name(vf32 a) { return (vf32)_mm512_maskz_roundscale_ps((__mmask16) - 1, (__m512)a, mode); } \
  MIELINA_INLINE vf64 name(vf64 a) { return (vf64)_mm512_maskz_roundscale_pd((__mmask8) - 1, (__m512d)a, mode); }
#elif MIELINA_V256
#define MIELINA_ROUND(name, mode)                                                     \
  MIELINA_INLINE vf32 name(vf32 a) { return (vf32)_mm256_round_ps((__m256)a, mode); } \
  MIELINA_INLINE vf64 name(vf64 a) { return (vf64)_mm256_round_pd((__m256d)a, mode); }
#elif defined(__x86_64__)
#define MIELINA_ROUND(name, mode)                                                  \
  MIELINA_INLINE vf32 name(vf32 a) { return (vf32)_mm_round_ps((__m128)a, mode); } \
  MIELINA_INLINE vf64 name(vf64 a) { return (vf64)_mm_round_pd((__m128d)a, mode); }
#endif
#if defined(__x86_64__)
MIELINA_ROUND(round_even, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
MIELINA_ROUND(floor, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
MIELINA_ROUND(ceil, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)
MIELINA_ROUND(trunc, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#undef MIELINA_ROUND
#else
MIELINA_INLINE vf32 round_even(vf32 a) { return (vf32)vrndnq_f32((float32x4_t)a); }
MIELINA_INLINE vf64 round_even(vf64 a) { return (vf64)vrndnq_f64((float64x2_t)a); }
MIELINA_INLINE vf32 floor(vf32 a) { return (vf32)vrndmq_f32((float32x4_t)a); }
MIELINA_INLINE vf64 floor(vf64 a) { return (vf64)vrndmq_f64((float64x2_t)a); }
MIELINA_INLINE vf32 ceil(vf32 a) { return (vf32)vrndpq_f32((float32x4_t)a); }
MIELINA_INLINE vf64 ceil(vf64 a) { return (vf64)vrndpq_f64((float64x2_t)a); }
MIELINA_INLINE vf32 trunc(vf32 a) { return (vf32)vrndq_f32((float32x4_t)a); }
MIELINA_INLINE vf64 trunc(vf64 a) { return (vf64)vrndq_f64((float64x2_t)a); }
#endif

// float <-> integer of the same width; to_int truncates and is defined only for numbers in range.
MIELINA_INLINE vf32 to_float(vi32 a) { return __builtin_convertvector(a, vf32); }
MIELINA_INLINE vf64 to_float(vi64 a) { return __builtin_convertvector(a, vf64); }
MIELINA_INLINE vi32 to_int(vf32 a) { return __builtin_convertvector(a, vi32); }
MIELINA_INLINE vi64 to_int(vf64 a) { return __builtin_convertvector(a, vi64); }

// ---- across lanes: a fixed tree, so the bits depend on nothing but the level ----------------------------------------
template <class V, class F>
MIELINA_INLINE Elem<V> reduce_lanes(V v, F f) {
  constexpr int N = int(sizeof(V) / sizeof(Elem<V>));
  Elem<V> a[N];
  __builtin_memcpy(a, &v, sizeof(V));
  for (int w = N / 2; w > 0; w /= 2)
    for (int i = 0; i < w; i++) a[i] = f(a[i], a[i + w]);
  return a[0];
}
// The same tree for an f of whole vectors, by shuffles: lane i meets lane i + N/2, then i + N/4 and so on. The loop
// above becomes 40 instructions with branches in gcc 12, this one 8 (a row of 1024 has three such sums).
template <class V, class F>
MIELINA_INLINE Elem<V> fold_lanes(V v, F f) {
  constexpr int N = int(sizeof(V) / sizeof(Elem<V>));
  if constexpr (N == 16) {
    v = f(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    v = f(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
    v = f(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    v = f(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
  } else if constexpr (N == 8) {
    v = f(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3));
    v = f(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5));
    v = f(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6));
  } else if constexpr (N == 4) {
    v = f(v, __builtin_shufflevector(v, v, 2, 3, 0, 1));
    v = f(v, __builtin_shufflevector(v, v, 1, 0, 3, 2));
  } else {
    v = f(v, __builtin_shufflevector(v, v, 1, 0));
  }
  return v[0];
}
template <class V>
MIELINA_INLINE Elem<V> hsum(V v) {
  return fold_lanes(v, [](V a, V b) __attribute__((always_inline)) { return a + b; });
}
// Lanes of blocks of 2 H: the first H the sums of a's halves of the block, the others those of b's.
template <int H, class V, int... I>
MIELINA_INLINE V fold_pair(V a, V b, Indices<I...>) {
  constexpr int N = sizeof...(I);
  return __builtin_shufflevector(a, b, (I % (2 * H) < H ? I : N + I - H)...) +
         __builtin_shufflevector(a, b, (I % (2 * H) < H ? I + H : N + I)...);
}
// hsum of N vectors of N lanes, with its bits: lane i is the sum of v[i]. 3 N instructions instead of 2 N log N.
template <class V, int N>
MIELINA_INLINE V hsums(V (&v)[N]) {
  static_assert(N == sizeof(V) / sizeof(Elem<V>));
  typename IndicesTo<N>::type all{};
#pragma GCC unroll 8
  for (int i = 0; i < N / 2; i++) v[i] = fold_pair<N / 2>(v[i], v[i + N / 2], all);
  if constexpr (N >= 16) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) v[i] = fold_pair<4>(v[i], v[i + 4], all);
  }
  if constexpr (N >= 8) {
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) v[i] = fold_pair<2>(v[i], v[i + 2], all);
  }
  if constexpr (N >= 4) v[0] = fold_pair<1>(v[0], v[1], all);
  return v[0];
}
template <class V>
MIELINA_INLINE Elem<V> hmax(V v) {
  return fold_lanes(v, [](V a, V b) __attribute__((always_inline)) { return max(a, b); });
}
template <class V>
MIELINA_INLINE Elem<V> hmin(V v) {
  return fold_lanes(v, [](V a, V b) __attribute__((always_inline)) { return min(a, b); });
}

// ---- half formats ---------------------------------------------------------------------------------------------------
// gcc 12 turns a plain conversion of 16 halfs into 16 scalar instructions, hence the intrinsics.
MIELINA_INLINE vu16h load_half(const void* p) {
  vu16h v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
MIELINA_INLINE vu16h load_half_n(const void* p, int64_t n) {
#if MIELINA_V512
  return (vu16h)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p);
#else
  vu16h v{};
  __builtin_memcpy(&v, p, size_t(n) * 2);
  return v;
#endif
}
MIELINA_INLINE void store_half(void* p, vu16h v) { __builtin_memcpy(p, &v, sizeof v); }
MIELINA_INLINE void stream_half(void* p, vu16h v) {  // past the caches; p aligned to the vector's size
#if MIELINA_V512
  _mm256_stream_si256((__m256i*)p, (__m256i)v);
#elif MIELINA_V256
  _mm_stream_si128((__m128i*)p, (__m128i)v);
#else
  store_half(p, v);
#endif
}
MIELINA_INLINE void store_half_n(void* p, vu16h v, int64_t n) {
#if MIELINA_V512
  _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), (__m256i)v);
#else
  __builtin_memcpy(p, &v, size_t(n) * 2);
#endif
}

// 16-bit lanes <-> the low halves of 32-bit lanes.
MIELINA_INLINE vu32 widen(vu16h v) {
#if MIELINA_V512
  return (vu32)_mm512_cvtepu16_epi32((__m256i)v);
#elif MIELINA_V256
  return (vu32)_mm256_cvtepu16_epi32((__m128i)v);
#else
  return __builtin_convertvector(v, vu32);
#endif
}
MIELINA_INLINE vu16h narrow(vu32 v) {
#if MIELINA_V512
  return (vu16h)_mm512_cvtepi32_epi16((__m512i)v);
#elif MIELINA_V256
  return (vu16h)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
#else
  return __builtin_convertvector(v, vu16h);
#endif
}

MIELINA_INLINE vf32 from_bf16(vu16h h) { return (vf32)(widen(h) << 16); }
// Rounded to nearest even, in the upper 16 bits; not of NaN.
MIELINA_INLINE vu32 rounded_to_bf16(vf32 x) {
  const vu32 u = bits(x);
  return (u + 0x7fffu + ((u >> 16) & 1u)) & 0xffff0000u;
}
// Round to nearest even; NaN becomes the quiet NaN of its sign and upper payload bits.
MIELINA_INLINE vu16h to_bf16(vf32 x) {
  const vu32 rounded = rounded_to_bf16(x) >> 16, nan = (bits(x) >> 16) | 0x40u;
  return narrow((vu32)(is_nan(x) ? (vi32)nan : (vi32)rounded));
}

MIELINA_INLINE vf32 from_f16(vu16h h) {
#if MIELINA_V512
  return (vf32)_mm512_cvtph_ps((__m256i)h);
#elif MIELINA_V256
  return (vf32)_mm256_cvtph_ps((__m128i)h);
#else
  // The 15 magnitude bits at a float's place, scaled by 2^112 to mend the exponent's bias; infinities and NaN aside.
  vu32 w = widen(h), sign = (w & 0x8000u) << 16, mag = w & 0x7fffu;
  vf32 x = (vf32)(mag << 13) * 0x1p112f;
  vi32 special = mag > 0x7bffu;
  vu32 s = (mag << 13) | 0x7f800000u;
  vu32 quiet = (vu32)((mag > 0x7c00u) & (vi32)(vu32{} + 0x00400000u));
  return (vf32)((vu32)(special ? (vi32)(s | quiet) : (vi32)bits(x)) | sign);
#endif
}
MIELINA_INLINE vu16h to_f16(vf32 x) {
#if MIELINA_V512
  return (vu16h)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif MIELINA_V256
  return (vu16h)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  // Normals: rebias and round to nearest even in integers. Subnormals: adding 0.5 aligns the bits and rounds in
  // hardware.
  vu32 u = bits(x), sign = (u >> 16) & 0x8000u, mag = u & 0x7fffffffu;
  vu32 normal = (mag + 0xfffu + ((mag >> 13) & 1u) - 0x38000000u) >> 13;
  vu32 tiny = bits((vf32)mag + 0.5f) - 0x3f000000u;
  vu32 r = (vu32)(((vi32)mag < 0x38800000) ? (vi32)tiny : (vi32)normal);
  r = (vu32)(((vi32)mag >= 0x477ff000) ? (vi32)(vu32{} + 0x7c00u) : (vi32)r);  // 65520 and above round to infinity
  r = (vu32)(((vi32)mag > 0x7f800000) ? (vi32)(((mag >> 13) & 0x3ffu) | 0x7e00u) : (vi32)r);
  return narrow(r | sign);
#endif
}

}  // namespace MIELINA_ISA
}  // namespace mielina
