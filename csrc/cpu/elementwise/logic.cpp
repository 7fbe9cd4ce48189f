// Comparisons and selection. The loops are plain: without a tail to keep bit-exact, the compiler packs masks into bytes
// and bytes into masks by itself.
#include "cpu/elementwise/rows.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <Compare op>
struct Is;
template <>
struct Is<Compare::eq> {
  template <class T>
  MIELINA_INLINE bool f(T a, T b) {
    return a == b;
  }
};
template <>
struct Is<Compare::ne> {
  template <class T>
  MIELINA_INLINE bool f(T a, T b) {
    return a != b;
  }
};
template <>
struct Is<Compare::lt> {
  template <class T>
  MIELINA_INLINE bool f(T a, T b) {
    return a < b;
  }
};
template <>
struct Is<Compare::le> {
  template <class T>
  MIELINA_INLINE bool f(T a, T b) {
    return a <= b;
  }
};
template <>
struct Is<Compare::gt> {
  template <class T>
  MIELINA_INLINE bool f(T a, T b) {
    return a > b;
  }
};
template <>
struct Is<Compare::ge> {
  template <class T>
  MIELINA_INLINE bool f(T a, T b) {
    return a >= b;
  }
};
template <>
struct Is<Compare::logical_and> {
  template <class T>
  MIELINA_INLINE bool f(T a, T b) {
    return (a != T(0)) & (b != T(0));
  }
};
template <>
struct Is<Compare::logical_or> {
  template <class T>
  MIELINA_INLINE bool f(T a, T b) {
    return (a != T(0)) | (b != T(0));
  }
};
template <>
struct Is<Compare::logical_xor> {
  template <class T>
  MIELINA_INLINE bool f(T a, T b) {
    return (a != T(0)) != (b != T(0));
  }
};
template <>
struct Is<Compare::isnan> {
  template <class T>
  MIELINA_INLINE bool f(T a, T) {
    return a != a;
  }
};
// x - x is 0 for finite x and NaN for others.
template <>
struct Is<Compare::isfinite> {
  template <class T>
  MIELINA_INLINE bool f(T a, T) {
    return is_integer<T> || a - a == T(0);
  }
};
template <>
struct Is<Compare::isinf> {
  template <class T>
  MIELINA_INLINE bool f(T a, T) {
    return !is_integer<T> && a == a && a - a != T(0);
  }
};
template <>
struct Is<Compare::signbit> {
  template <class T>
  MIELINA_INLINE bool f(T a, T) {
    return a < T(0);  // integers
  }
  MIELINA_INLINE bool f(float a, float) {
    int32_t i;
    __builtin_memcpy(&i, &a, sizeof i);
    return i < 0;
  }
  MIELINA_INLINE bool f(double a, double) {
    int64_t i;
    __builtin_memcpy(&i, &a, sizeof i);
    return i < 0;
  }
};

template <class T>
using Test = void (*)(bool* y, const T* a, const T* b, int64_t n);
template <class F, class T>
void test(bool* __restrict y, const T* __restrict a, const T* __restrict b, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = F::f(a[i], b[i]);
}
// Two arrays of bool: byte by byte, whatever of 1 to 255 a true one holds.
template <class F>
void test_bytes(bool* __restrict y, const bool* a, const bool* b, int64_t n) {
  const uint8_t* __restrict p = (const uint8_t*)a, * __restrict q = (const uint8_t*)b;
  for (int64_t i = 0; i < n; i++) y[i] = F::f(int8_t(p[i] != 0), int8_t(q[i] != 0));
}
template <int... I>
Test<bool> bytes_of(Compare op, Indices<I...>) {
  static constexpr Test<bool> table[] = {test_bytes<Is<Compare(I)>>...};
  return table[int(op)];
}
template <class T, int... I>
Test<T> test_of(Compare op, Indices<I...>) {
  static constexpr Test<T> table[] = {test<Is<Compare(I)>, T>...};
  return table[int(op)];
}
// In one call where nothing has to be gathered. y is dense.
template <class T>
void compare_in(const Ctx& ctx, const Space<3>& s, Test<T> f) {
  bool direct = true;
  for (int k = 1; k < 3; k++) direct &= s.dense(k) && s.dtype[k] == dtype_of<T>;
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) T buf[2][kBlock];
    const int64_t step = direct ? end - begin : kBlock;
    const T* x[2];
    bool filled[2] = {};
    for (int64_t i = begin; i < end; i += step) {
      const int64_t n = min64(step, end - i);
      for (int k = 0; k < 2; k++) {
        if (filled[k]) continue;
        x[k] = fetch<T>(s, k + 1, i, n, buf[k]);
        filled[k] = s.constant(k + 1) && n == kBlock;  // a broadcast number stays in its block
      }
      f((bool*)s.data[0] + i, x[0], x[1], n);
    }
  });
}

void compare(const Ctx& ctx, const View& y, const View& a, const View& b, Compare op, DType compute) noexcept {
  using All = IndicesTo<int(Compare::count)>::type;
  const Space<3> s({&y, &a, &b});
  if (a.dtype == DType::b8 && b.dtype == DType::b8) compare_in<bool>(ctx, s, bytes_of(op, All{}));
  else if (compute == DType::f32) compare_in<float>(ctx, s, test_of<float>(op, All{}));
  else if (compute == DType::f64) compare_in<double>(ctx, s, test_of<double>(op, All{}));
  else compare_in<int64_t>(ctx, s, test_of<int64_t>(op, All{}));
}

template <class T>
void where_in(const Ctx& ctx, const Space<4>& s) {
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) bool flags[kBlock];
    alignas(64) T buf[3][kBlock];
    for (int64_t i = begin; i < end; i += kBlock) {
      int64_t n = min64(kBlock, end - i);
      const uint8_t* condition = (const uint8_t*)fetch<bool>(s, 1, i, n, flags);
      const T *a = fetch<T>(s, 2, i, n, buf[1]), *b = fetch<T>(s, 3, i, n, buf[2]);
      T* y = target<T>(s, 0, i, buf[0]);
      for (int64_t j = 0; j < n; j++) {
        T p = a[j], q = b[j];  // loaded whatever the condition says, or the loop would branch
        y[j] = condition[j] ? p : q;
      }
      flush<T>(s, 0, i, n, y);
    }
  });
}

void where(const Ctx& ctx, const View& y, const View& condition, const View& a, const View& b, DType compute) noexcept {
  const Space<4> s({&y, &condition, &a, &b});
  if (compute == DType::f32) where_in<float>(ctx, s);
  else if (compute == DType::f64) where_in<double>(ctx, s);
  else where_in<int64_t>(ctx, s);
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
