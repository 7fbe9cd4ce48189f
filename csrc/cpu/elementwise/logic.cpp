// Comparisons and selection.
#include "cpu/elementwise/rows.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// ---- tests ----------------------------------------------------------------------------------------------------------
// The vectors that tests see: bool as bytes of 0 and 1.
template <class T>
struct TestedOf {
  using type = Vec<T>;
};
template <>
struct TestedOf<bool> {
  using type = Vec<int8_t>;
};
template <class T>
using Tested = typename TestedOf<T>::type;
template <class V>
constexpr bool is_floating = __is_same(V, vf32) || __is_same(V, vf64);

template <Compare op>
struct Is;
template <>
struct Is<Compare::eq> {
  template <class V>
  MIELINA_INLINE auto f(V a, V b) {
    return a == b;
  }
};
template <>
struct Is<Compare::ne> {
  template <class V>
  MIELINA_INLINE auto f(V a, V b) {
    return a != b;
  }
};
template <>
struct Is<Compare::lt> {
  template <class V>
  MIELINA_INLINE auto f(V a, V b) {
    return a < b;
  }
};
template <>
struct Is<Compare::le> {
  template <class V>
  MIELINA_INLINE auto f(V a, V b) {
    return a <= b;
  }
};
template <>
struct Is<Compare::logical_and> {
  template <class V>
  MIELINA_INLINE auto f(V a, V b) {
    return (a != V{}) & (b != V{});
  }
};
template <>
struct Is<Compare::logical_or> {
  template <class V>
  MIELINA_INLINE auto f(V a, V b) {
    return (a != V{}) | (b != V{});
  }
};
template <>
struct Is<Compare::logical_xor> {
  template <class V>
  MIELINA_INLINE auto f(V a, V b) {
    return (a != V{}) ^ (b != V{});
  }
};
template <>
struct Is<Compare::isnan> {
  template <class V>
  MIELINA_INLINE auto f(V a, V) {
    return a != a;
  }
};
// x - x is 0 for finite x and NaN for others.
template <>
struct Is<Compare::isfinite> {
  template <class V>
  MIELINA_INLINE auto f(V a, V) {
    if constexpr (is_floating<V>) return a - a == V{};
    else return a == a;
  }
};
template <>
struct Is<Compare::isinf> {
  template <class V>
  MIELINA_INLINE auto f(V a, V) {
    if constexpr (is_floating<V>) return abs(a) == splat<V>(Elem<V>(__builtin_inff()));
    else return a != a;
  }
};
template <>
struct Is<Compare::signbit> {
  template <class V>
  MIELINA_INLINE auto f(V a, V) {
    if constexpr (is_floating<V>) return (Mask<V>)a < Mask<V>{};
    else return a < V{};
  }
};
// a > b is b < a: the operands change places.
constexpr bool turned(Compare op) { return op == Compare::gt || op == Compare::ge; }
constexpr Compare turn(Compare op) { return op == Compare::gt ? Compare::lt : op == Compare::ge ? Compare::le : op; }

// A vector of T from where it lies. The branch on the dtype costs a float nothing that shows.
template <class T>
MIELINA_INLINE Tested<T> get(const char* p, [[maybe_unused]] DType d) {
  if constexpr (__is_same(T, bool)) {
    Tested<T> v;
    __builtin_memcpy(&v, p, VBYTES);
    return (v != 0) & 1;  // whatever of 1 to 255 a true one holds
  } else {
    if constexpr (kHalfKernels<T>) {
      if (d == DType::bf16) return from_bf16(load_half(p));
      if (d == DType::f16) return from_f16(load_half(p));
    }
    return load((const T*)p);
  }
}

template <class F, class T>
void test(void* to, const Operand* x, int64_t n, const void*) {
  constexpr int64_t L = lanes<T>;
  const DType d[2] = {x[0].dtype, x[1].dtype};
  const int64_t size[2] = {x[0].step * kDTypeSize[int(d[0])], x[1].step * kDTypeSize[int(d[1])]};
  const char* at[2] = {(const char*)x[0].at, (const char*)x[1].at};
  auto* y = (uint8_t*)to;
  auto next = [&](uint8_t* result) __attribute__((always_inline)) {
    put_flags(result, F::f(get<T>(at[0], d[0]), get<T>(at[1], d[1])));
    at[0] += size[0] * L;
    at[1] += size[1] * L;
  };
  for (; n >= L; n -= L, y += L) next(y);
  if (n == 0) return;
  alignas(64) char apart[2][VBYTES];
  uint8_t last[L];
  for (int k = 0; k < 2; k++) at[k] = (const char*)set_apart(at[k], n * size[k], apart[k]);
  next(last);
  __builtin_memcpy(y, last, size_t(n));
}

template <class T, int... I>
RowFn test_of(Compare op, Indices<I...>) {
  static constexpr RowFn table[] = {test<Is<turn(Compare(I))>, T>...};
  return table[int(op)];
}
template <class T>
void compare_in(const Ctx& ctx, const Space<3>& s, Compare op) {
  const RowFn f = test_of<T>(op, IndicesTo<int(Compare::count)>::type{});
  run_rows(ctx, {s, DType::b8, dtype_of<T>, dtype_of<T>, kHalfKernels<T>}, f, nullptr);
}

void compare(const Ctx& ctx, const View& y, const View& a, const View& b, Compare op, DType compute) noexcept {
  const Space<3> s({&y, turned(op) ? &b : &a, turned(op) ? &a : &b});
  if (a.dtype == DType::b8 && b.dtype == DType::b8) compare_in<bool>(ctx, s, op);
  else if (compute == DType::f32) compare_in<float>(ctx, s, op);
  else if (compute == DType::f64) compare_in<double>(ctx, s, op);
  else compare_in<int64_t>(ctx, s, op);
}

// ---- selection ------------------------------------------------------------------------------------------------------
// a where a flag is set, else b. By intrinsics: gcc 12 widens bytes one by one.
template <class U>
MIELINA_INLINE Vec<U> chosen(const uint8_t* flags, Vec<U> a, Vec<U> b) {
  constexpr int L = lanes<U>;
#if MIELINA_V512
  if constexpr (L == 64) {
    const __m512i f = _mm512_loadu_si512(flags);
    return (Vec<U>)_mm512_mask_blend_epi8(_mm512_test_epi8_mask(f, f), (__m512i)b, (__m512i)a);
  } else if constexpr (L == 32) {
    const __m256i f = _mm256_loadu_si256((const __m256i*)flags);
    return (Vec<U>)_mm512_mask_blend_epi16(_mm256_test_epi8_mask(f, f), (__m512i)b, (__m512i)a);
  } else {
    __m128i f{};
    __builtin_memcpy(&f, flags, L);
    const __mmask16 m = _mm_test_epi8_mask(f, f);
    if constexpr (L == 16) return (Vec<U>)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a);
    else return (Vec<U>)_mm512_mask_blend_epi64(__mmask8(m), (__m512i)b, (__m512i)a);
  }
#else
  Vec<U> m;
#if MIELINA_V256
  __m128i f{};
  __builtin_memcpy(&f, flags, L < 16 ? L : 16);
  if constexpr (L == 32) m = load((const U*)flags);
  else if constexpr (L == 16) m = (Vec<U>)_mm256_cvtepu8_epi16(f);
  else if constexpr (L == 8) m = (Vec<U>)_mm256_cvtepu8_epi32(f);
  else m = (Vec<U>)_mm256_cvtepu8_epi64(f);
#else
  for (int j = 0; j < L; j++) m[j] = flags[j];
#endif
  return m != Vec<U>{} ? a : b;
#endif
}

// y = x[0] ? x[1] : x[2], numbers of U's size being moved as bits.
template <class U>
void choose(void* to, const Operand* x, int64_t n, const void*) {
  constexpr int64_t L = lanes<U>;
  const int64_t step[3] = {x[0].step, x[1].step, x[2].step};
  const auto* flags = (const uint8_t*)x[0].at;
  const U *a = (const U*)x[1].at, *b = (const U*)x[2].at;
  U* y = (U*)to;
  int64_t i = 0;
  for (; i + L <= n; i += L) store(y + i, chosen<U>(flags + i * step[0], load(a + i * step[1]), load(b + i * step[2])));
  for (; i < n; i++) {
    const U p = a[i * step[1]], q = b[i * step[2]];
    y[i] = flags[i * step[0]] ? p : q;
  }
}

void where(const Ctx& ctx, const View& y, const View& condition, const View& a, const View& b, DType compute) noexcept {
  if (numel(y) == 0) return;
  // Numbers take y's dtype first: where both branches have it and run through memory, nothing is converted.
  alignas(8) char bits[2][8];
  View x[2] = {a, b};
  for (int k = 0; k < 2; k++) {
    if (x[k].dtype == y.dtype || !repeats(x[k].ndim, x[k].shape, x[k].stride)) continue;
    char number[8];
    const bool integer = compute == DType::i64;
    (integer ? row_from_fn<int64_t> : row_from_fn<double>)(x[k].dtype)(x[k].data, 1, number, 1);
    (integer ? row_to_fn<int64_t> : row_to_fn<double>)(y.dtype)(number, bits[k], 1, 1);
    x[k].data = bits[k];
    x[k].dtype = y.dtype;
  }
  static constexpr RowFn fn[] = {choose<uint8_t>, choose<uint16_t>, choose<uint32_t>, choose<uint64_t>};
  const Space<4> s({&y, &condition, &x[0], &x[1]});
  Arrays arrays(s, y.dtype, DType::b8, y.dtype, false);
  if (!in_runs(arrays)) arrays = Arrays(s, compute, DType::b8, compute, false);
  run_rows(ctx, arrays, fn[__builtin_ctz(kDTypeSize[int(arrays.made)])], nullptr);
}

void any_zero(const Ctx& ctx, const View& y, const View& x) noexcept {
  const Space<1> s({&x});
  uint8_t found = 0;
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) bool flags[kBlock];
    bool mine = false;
    for (int64_t i = begin; i < end; i += kBlock) {
      int64_t n = min64(kBlock, end - i);
      const bool* nonzero = fetch<bool>(s, 0, i, n, flags);
      for (int64_t j = 0; j < n; j++) mine |= !nonzero[j];
    }
    if (mine) __atomic_store_n(&found, 1, __ATOMIC_RELAXED);
  });
  *(uint8_t*)y.data = found;
}

}  // namespace

void fill_elementwise_logic(Kernels&);
void fill_elementwise_logic(Kernels& k) {
  k.compare = compare;
  k.where = where;
  k.any_zero = any_zero;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
