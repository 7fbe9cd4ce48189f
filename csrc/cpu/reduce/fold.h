// What a reduction does with a block of numbers. A fold keeps a State for each output; the drivers in reduce.cpp know
// it by its size and by five functions, so that they are compiled once a compute type and not once an op.
#pragma once
#include "cpu/block.h"
#include "cpu/halves.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kPanel = 32;       // rows that `columns` takes at most in one call
constexpr int64_t kTile = 256;       // and columns,
constexpr int64_t kWide = 1024;      // or so many where a large array lies ready in the compute type
constexpr int64_t kStateBytes = 24;  // no State is larger

// Where results go: `stride` elements of `dtype` apart.
struct Place {
  char* data;
  int64_t stride;
  DType dtype;
};

template <class T>
struct Fold {
  int64_t state;
  void (*init)(void* s);
  // s += p[0, n), n <= kBlock contiguous elements, the first of which is number `at` of the reduction.
  void (*update)(void* s, const T* p, int64_t n, int64_t at, double param);
  // s[j] += rows of p: element (r, j) lies at p[r * stride + j], 0 <= j < width. Row 0 is number `at`.
  void (*columns)(void* s, const T* p, int64_t stride, int64_t rows, int64_t width, int64_t at, double param);
  void (*merge)(void* s, const void* next);  // s += next, which covers later elements
  void (*finish)(const void* s, int64_t count, int64_t n, double param, const Place& y, const Place& z);
  // The same of halves; null where a fold has none.
  void (*update_halves)(void* s, HalfSource p, int64_t n, int64_t at, double param) = nullptr;
  void (*columns_halves)(void* s, HalfSource p, int64_t stride, int64_t rows, int64_t width, int64_t at,
                         double param) = nullptr;
};

// Whether a fold's loops are compiled for halves, too: through blocks the sum of 4096 x 4096 float16 over its rows took
// 2.8 ms, of float32 1.6.
template <class F>
constexpr bool kReadsHalves = false;

// The Fold of a class F of static functions on F::State.
template <class F>
struct FoldOf {
  using T = typename F::T;
  using State = typename F::State;
  static_assert(sizeof(State) <= kStateBytes);
  static void init(void* s) { *(State*)s = F::identity(); }
  template <class P>
  static void update(void* s, P p, int64_t n, int64_t at, double param) {
    F::update(*(State*)s, p, n, at, param);
  }
  template <class P>
  static void columns(void* s, P p, int64_t stride, int64_t rows, int64_t width, int64_t at, double param) {
    F::columns((State*)s, p, stride, rows, width, at, param);
  }
  static void merge(void* s, const void* next) { F::merge(*(State*)s, *(const State*)next); }
  static void finish(const void* sv, int64_t count, int64_t n, double param, const Place& y, const Place& z) {
    using First = decltype(F::first(State{}, n, param));
    using Second = decltype(F::second(State{}));
    const State* s = (const State*)sv;
    First a[kTile];
    Second b[kTile];
    for (int64_t i = 0; i < count; i++) a[i] = F::first(s[i], n, param);
    row_to_fn<First>(y.dtype)(a, y.data, y.stride, count);
    if (!z.data) return;
    for (int64_t i = 0; i < count; i++) b[i] = F::second(s[i]);
    row_to_fn<Second>(z.dtype)(b, z.data, z.stride, count);
  }
  static constexpr Fold<T> value_of() {
    Fold<T> f = {sizeof(State), init, update<const T*>, columns<const T*>, merge, finish};
    if constexpr (kReadsHalves<F> && kHalfKernels<T>) {
      f.update_halves = update<HalfSource>;
      f.columns_halves = columns<HalfSource>;
    }
    return f;
  }
  static constexpr Fold<T> value = value_of();
};

// The first n elements, or a whole vector where n is more. Without this comparison, which tells gcc that a tail is
// shorter than a vector, the folds are 11 KB larger.
template <class P>
MIELINA_INLINE auto load_some(P p, int64_t n) {
  constexpr int64_t L = sizeof(load(p)) / sizeof(load(p)[0]);
  return n >= L ? load(p) : load_part(p, n);
}

// f(vector) over a block of contiguous elements; the tail is filled with `pad`.
template <class T, class P, class F>
MIELINA_INLINE void each_vector(P p, int64_t n, T pad, F f) {
  constexpr int64_t L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) f(load(p + i));
  if (i < n) {
    T rest[L];
    store(rest, load_some(p + i, n - i));
    for (int64_t j = n - i; j < L; j++) rest[j] = pad;
    f(load((const T*)rest));
  }
}

template <class T>
constexpr bool is_real = T(0.5) != T(0);
template <class T>
constexpr T kHighest = T(__builtin_inff());
template <>
inline constexpr int64_t kHighest<int64_t> = INT64_MAX;
template <class T>
constexpr T kLowest = T(-__builtin_inff());
template <>
inline constexpr int64_t kLowest<int64_t> = INT64_MIN;

// The type in which blocks of T are added up.
template <class T>
struct TotalOf {
  using type = double;
};
template <>
struct TotalOf<int64_t> {
  using type = int64_t;
};
template <class T>
using Total = typename TotalOf<T>::type;

// The largest or smallest of n elements, or NaN if one is. NaN is looked for apart, two vectors at a time: a maximum
// that keeps it takes four instructions, this one two and a half (a row of 1024: 60 and 30 ns).
template <class T, bool Largest, class P>
[[gnu::noinline]] static T extreme(P p, int64_t n) {
  using V = Vec<T>;
  constexpr int64_t L = lanes<T>;
  constexpr T pad = Largest ? kLowest<T> : kHighest<T>;
  V a = splat<V>(pad), b = a, c = a, d = a;
  auto nan = unordered(a, a);
  auto beat = [](V x, V y)
                  __attribute__((always_inline)) { return Largest ? select<V>(x > y, x, y) : select<V>(x < y, x, y); };
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    V s = load(p + i), t = load(p + i + L), u = load(p + i + 2 * L), v = load(p + i + 3 * L);
    a = beat(a, s), b = beat(b, t), c = beat(c, u), d = beat(d, v);
    nan |= unordered(s, t) | unordered(u, v);
  }
  each_vector(p + i, n - i, pad, [&](V v) __attribute__((always_inline)) { a = beat(a, v), nan |= unordered(v, v); });
  if (any_nan(nan)) return T(__builtin_nanf(""));
  a = beat(beat(a, b), beat(c, d));
  return Largest ? hmax(a) : hmin(a);
}

// ---- one number a state: sums, products, extremes, norms, counts ----------------------------------------------------
// M: start, the identity; pad, an element that changes nothing; step(acc, x, p) on vectors; join(a, b) on vectors and
// on numbers; last(w, n, p), the result. W: the type across blocks.
struct MaxOf;
struct MinOf;
struct SumOf;
// The loops of M: of M::Loop, where it differs from that in the last step alone.
template <class M>
struct LoopOf {
  using type = M;
};
template <class M>
  requires requires { typename M::Loop; }
struct LoopOf<M> {
  using type = typename M::Loop;
};

// The elements of a block in one number.
template <class T, class M, class P>
[[gnu::noinline]] T fold_block(P p, int64_t n, double param) {
  if constexpr (__is_same(M, MaxOf) || __is_same(M, MinOf)) {
    return extreme<T, __is_same(M, MaxOf)>(p, n);
  } else {
    using V = Vec<T>;
    constexpr int64_t L = lanes<T>;
    V q = splat<V>(T(param)), a = splat<V>(M::template start<T>()), b = a, c = a, d = a;
    int64_t i = 0;
    for (; i + 4 * L <= n; i += 4 * L) {
      a = M::step(a, load(p + i), q);
      b = M::step(b, load(p + i + L), q);
      c = M::step(c, load(p + i + 2 * L), q);
      d = M::step(d, load(p + i + 3 * L), q);
    }
    each_vector(p + i, n - i, M::template pad<T>(), [&](V v) __attribute__((always_inline)) { a = M::step(a, v, q); });
    a = M::join(M::join(a, b), M::join(c, d));
    return fold_lanes(a, [](V x, V y) __attribute__((always_inline)) { return M::join(x, y); });
  }
}
// part[j] = the rows of column j in one number.
template <class T, class M, class P>
[[gnu::noinline]] void fold_columns(T* part, P p, int64_t stride, int64_t rows, int64_t width, double param) {
  using V = Vec<T>;
  constexpr int64_t L = lanes<T>;
  V q = splat<V>(T(param)), start = splat<V>(M::template start<T>());
  if (stride == width && width < L && L % width == 0) {  // a few columns: one vector holds several rows
    V acc = start;
    each_vector(p, rows * width, M::template pad<T>(),
                [&](V v) __attribute__((always_inline)) { acc = M::step(acc, v, q); });
    store(part, acc);
    for (int64_t j = width; j < L; j++) part[j % width] = M::join(part[j % width], part[j]);
    return;
  }
  for (int64_t r = 0; r < rows; r += 8) {  // eight rows at a time: as many streams as prefetchers follow well
    int64_t count = min64(8, rows - r);
    for (int64_t j = 0; j < width; j += L) {
      V acc = r ? load(part + j) : start;
      const P x = p + (r * stride + j);
      if (count < 8 || width - j < L) {
        for (int64_t k = 0; k < count; k++) acc = M::step(acc, load_some(x + k * stride, width - j), q);
      } else if constexpr (__is_same(M, SumOf) && __is_same(P, const T*)) {
        // Rolled, the counting takes as long as the sums; all of the folds unrolled would be 32 KB.
#pragma GCC unroll 8
        for (int64_t k = 0; k < 8; k++) acc = M::step(acc, load(x + k * stride), q);
      } else {
        for (int64_t k = 0; k < 8; k++) acc = M::step(acc, load(x + k * stride), q);
      }
      store(part + j, acc);
    }
  }
}
template <class Type, class W, class M>
struct Monoid {
  using T = Type;
  using Loop = typename LoopOf<M>::type;
  struct State {
    W value;
  };
  static State identity() { return {M::template start<W>()}; }
  template <class P>
  static void update(State& s, P p, int64_t n, int64_t, double param) {
    s.value = M::join(s.value, W(fold_block<T, Loop>(p, n, param)));
  }
  template <class P>
  static void columns(State* s, P p, int64_t stride, int64_t rows, int64_t width, int64_t, double param) {
    alignas(64) T part[kWide];
    fold_columns<T, Loop>(part, p, stride, rows, width, param);
    for (int64_t j = 0; j < width; j++) s[j].value = M::join(s[j].value, W(part[j]));
  }
  static void merge(State& s, const State& next) { s.value = M::join(s.value, next.value); }
  static auto first(const State& s, int64_t n, double param) { return M::last(s.value, n, param); }
  static W second(const State& s) { return s.value; }
};
template <class T, class W, class M>
constexpr bool kReadsHalves<Monoid<T, W, M>> = __is_same(T, float) && requires { LoopOf<M>::type::halves; };

template <class X>
MIELINA_INLINE X plus(X a, X b) {
  return X(Wrap<X>(a) + Wrap<X>(b));
}
template <class X>
MIELINA_INLINE X times(X a, X b) {
  return X(Wrap<X>(a) * Wrap<X>(b));
}
struct Additive {
  template <class X>
  static X start() {
    return X(0);
  }
  template <class X>
  static X pad() {
    return X(0);
  }
  template <class X>
  MIELINA_INLINE X join(X a, X b) {
    return plus(a, b);
  }
  template <class W>
  static W last(W w, int64_t, double) {
    return w;
  }
};
struct SumOf : Additive {
  using Loop = SumOf;  // of what is derived from it, too
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return plus(acc, x);
  }
};
struct MeanOf : SumOf {
  static double last(double w, int64_t n, double) { return w / double(n); }
};
struct NanSumOf : Additive {
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return acc + select<V>(is_nan(x), V{}, x);
  }
};
struct ProdOf : Additive {
  template <class X>
  static X start() {
    return X(1);
  }
  template <class X>
  static X pad() {
    return X(1);
  }
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return times(acc, x);
  }
  template <class X>
  MIELINA_INLINE X join(X a, X b) {
    return times(a, b);
  }
};
struct NonzeroOf : Additive {
  using Loop = NonzeroOf;  // of what is derived from it, too
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return acc + select<V>(x != V{}, splat<V>(1), V{});
  }
};
struct AnyOf : NonzeroOf {
  static int64_t last(int64_t w, int64_t, double) { return w != 0; }
};
struct AllOf : NonzeroOf {
  static int64_t last(int64_t w, int64_t n, double) { return w == n; }
};
struct ValidOf : Additive {
  template <class X>
  static X pad() {
    return X(__builtin_nanf(""));
  }
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return acc + select<V>(is_nan(x), V{}, splat<V>(1));
  }
};
struct Norm1Of : Additive {
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return acc + abs(x);
  }
};
struct Norm2Of : Additive {
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return fma(x, x, acc);
  }
  static double last(double w, int64_t, double) { return __builtin_sqrt(w); }
};
// In one place a type: inlined into every loop of the folds, pow takes 36 KB a level.
template <class V>
[[gnu::noinline]] static V power_of(V x, V p) {
  return pow(abs(x), p);
}
struct NormPOf : Additive {
  template <class X>
  static X pad() {
    return X(0);
  }
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V p) {
    return acc + power_of(x, p);
  }
  static double last(double w, int64_t, double p) { return __builtin_pow(w, 1 / p); }
};
// A negative order has no padding element but infinity, where |x|^p is 0.
struct NormNegativeOf : NormPOf {
  template <class X>
  static X pad() {
    return kHighest<X>;
  }
};
template <class X>
MIELINA_INLINE X larger(X a, X b) {
  if constexpr (sizeof(X) > 8) return max(a, b);
  else return a > b || a != a ? a : b;
}
template <class X>
MIELINA_INLINE X smaller(X a, X b) {
  if constexpr (sizeof(X) > 8) return min(a, b);
  else return a < b || a != a ? a : b;
}
struct MaxOf : Additive {
  static constexpr bool halves = true;
  template <class X>
  static X start() {
    return kLowest<X>;
  }
  template <class X>
  static X pad() {
    return kLowest<X>;
  }
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return max(acc, x);
  }
  template <class X>
  MIELINA_INLINE X join(X a, X b) {
    return larger(a, b);
  }
};
struct MinOf : Additive {
  static constexpr bool halves = true;
  template <class X>
  static X start() {
    return kHighest<X>;
  }
  template <class X>
  static X pad() {
    return kHighest<X>;
  }
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return min(acc, x);
  }
  template <class X>
  MIELINA_INLINE X join(X a, X b) {
    return smaller(a, b);
  }
};
struct NormInfOf : MaxOf {
  template <class X>
  static X start() {
    return X(0);
  }
  template <class X>
  static X pad() {
    return X(0);
  }
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return max(acc, abs(x));
  }
};
struct NormMinusInfOf : MinOf {
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return min(acc, abs(x));
  }
};

// ---- min and max together -------------------------------------------------------------------------------------------
template <class Type>
struct MinMax {
  using T = Type;
  using Lo = Monoid<T, T, MinOf>;
  using Hi = Monoid<T, T, MaxOf>;
  struct State {
    typename Lo::State lo;
    typename Hi::State hi;
  };
  static State identity() { return {Lo::identity(), Hi::identity()}; }
  static void update(State& s, const T* p, int64_t n, int64_t at, double param) {
    Lo::update(s.lo, p, n, at, param);
    Hi::update(s.hi, p, n, at, param);
  }
  static void columns(State* s, const T* p, int64_t stride, int64_t rows, int64_t width, int64_t at, double param) {
    typename Lo::State lo[kWide];
    typename Hi::State hi[kWide];
    for (int64_t j = 0; j < width; j++) lo[j] = s[j].lo, hi[j] = s[j].hi;
    Lo::columns(lo, p, stride, rows, width, at, param);
    Hi::columns(hi, p, stride, rows, width, at, param);
    for (int64_t j = 0; j < width; j++) s[j] = {lo[j], hi[j]};
  }
  static void merge(State& s, const State& next) {
    Lo::merge(s.lo, next.lo);
    Hi::merge(s.hi, next.hi);
  }
  static T first(const State& s, int64_t, double) { return s.lo.value; }
  static T second(const State& s) { return s.hi.value; }
};

// ---- moments --------------------------------------------------------------------------------------------------------
// Deviations d from a block's rounded mean: M2 = sum d^2 - (sum d)^2 / n is free of cancellation.
template <class Type>
struct MomentLoops {
  using T = Type;
  struct State {
    double mean, m2;
    int64_t n;
  };
  static State identity() { return {0, 0, 0}; }
  static State of(double shift, double d, double d2, int64_t n) {
    return {shift + d / double(n), d2 - d * d / double(n), n};
  }
  template <class P>
  [[gnu::noinline]] static void update(State& s, P p, int64_t n, int64_t, double) {
    using V = Vec<T>;
    constexpr int64_t L = lanes<T>;
    V a{}, b{}, c{}, e{};
    int64_t i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
      a += load(p + i);
      b += load(p + i + L);
    }
    each_vector(p + i, n - i, T(0), [&](V v) __attribute__((always_inline)) { a += v; });
    T shift = T(double(hsum(a + b)) / double(n));
    V m = splat<V>(shift);
    a = b = V{};
    for (i = 0; i + 2 * L <= n; i += 2 * L) {
      V u = load(p + i) - m, v = load(p + i + L) - m;
      a += u;
      b += v;
      c = fma(u, u, c);
      e = fma(v, v, e);
    }
    each_vector(p + i, n - i, shift, [&](V x) __attribute__((always_inline)) {
      V v = x - m;
      a += v;
      c = fma(v, v, c);
    });
    merge(s, of(double(shift), double(hsum(a + b)), double(hsum(c + e)), n));
  }
  template <class P>
  [[gnu::noinline]] static void columns(State* s, P p, int64_t stride, int64_t rows, int64_t width, int64_t, double) {
    using V = Vec<T>;
    constexpr int64_t L = lanes<T>;
    // The deviations from the mean of up to eight rows, which stay in registers: the square of what it misses counts at
    // most rows / 8 times in d2. Two passes read rows a multiple of 4 KB apart twice from the L2 cache.
    constexpr int64_t kFirst = 8;
    const int64_t count = min64(kFirst, rows);
    const V inverse = splat<V>(T(1) / T(count));
    // `merge`, whose divisions are the same for all columns, since they have seen as many rows.
    const double inverse_n = 1 / double(rows), share = double(rows) / double(s[0].n + rows),
                 cross = double(s[0].n) * share;
    for (int64_t j = 0; j < width; j += L) {
      V first[kFirst], sum{}, d{}, d2{};
      for (int64_t r = 0; r < count; r++) {
        first[r] = load_some(p + (r * stride + j), width - j);
        sum += first[r];
      }
      const V m = sum * inverse;
      auto add = [&](V x) __attribute__((always_inline)) {
        const V v = x - m;
        d += v;
        d2 = fma(v, v, d2);
      };
      for (int64_t r = 0; r < count; r++) add(first[r]);
      for (int64_t r = count; r < rows; r++) add(load_some(p + (r * stride + j), width - j));
      T ms[L], ds[L], d2s[L];
      store(ms, m);
      store(ds, d);
      store(d2s, d2);
      for (int64_t k = 0; k < min64(L, width - j); k++) {
        State& to = s[j + k];
        const double delta = double(ms[k]) + double(ds[k]) * inverse_n - to.mean;
        const double m2 = double(d2s[k]) - double(ds[k]) * double(ds[k]) * inverse_n;
        to.m2 += (m2 < 0 ? 0 : m2) + delta * delta * cross;
        to.mean += delta * share;
        to.n += rows;
      }
    }
  }
  static void merge(State& s, const State& next) {
    if (next.n == 0) return;
    if (s.n == 0) {
      s = next;
      return;
    }
    double n = double(s.n + next.n), delta = next.mean - s.mean;
    s.m2 += next.m2 + delta * delta * (double(s.n) * double(next.n) / n);
    s.mean += delta * (double(next.n) / n);
    s.n += next.n;
  }
};
template <class Type, bool Root>
struct Moments : MomentLoops<Type> {
  using State = typename MomentLoops<Type>::State;
  static double first(const State& s, int64_t n, double correction) {
    double left = double(n) - correction, v = s.m2 / (left > 0 ? left : 0);
    return n == 0 ? __builtin_nan("") : Root ? __builtin_sqrt(v) : v;
  }
  static double second(const State& s) { return s.n == 0 ? __builtin_nan("") : s.mean; }
};
template <bool Root>
constexpr bool kReadsHalves<Moments<float, Root>> = true;

// ---- log sum exp ----------------------------------------------------------------------------------------------------
// sum exp(x) = sum exp(shift). A block without a finite maximum has shift -+1e300 with sum 0 or infinity.
template <class Type>
struct LogSumExp {
  using T = Type;
  struct State {
    double shift, sum;
  };
  static State identity() { return {-1e300, 0}; }
  static bool finite(T x) { return x - x == T(0); }
  static State of(double m, double sum) {
    if (m - m == 0 || m != m) return {m != m ? 0 : m, sum};
    return m > 0 ? State{1e300, double(__builtin_inff())} : identity();
  }
  // exp_below is of use where no x is above the shift; where one is, there is +inf or NaN, and the sum does not count.
  // The next block is fetched meanwhile (4096 x 4096 on a Zen 3: 6.1 to 4.9 ms).
  static void update(State& s, const T* p, int64_t n, int64_t, double) {
    using V = Vec<T>;
    const T top = extreme<T, true>(p, n);
    const V shift = splat<V>(finite(top) ? top : T(0));
    V sum{};
    const T* ahead = p + n;
    each_vector(p, n, kLowest<T>, [&](V v) __attribute__((always_inline)) {
      __builtin_prefetch(ahead += lanes<T>);
      sum += exp_below(v - shift);
    });
    merge(s, of(double(top), double(hsum(sum))));
  }
  // Shifted by the largest of the columns so far, so that a vector of states takes one exponential and not two a state
  // (4096 x 4096 on a Zen 3: 14 ms).
  static void columns(State* s, const T* p, int64_t stride, int64_t rows, int64_t width, int64_t, double) {
    using V = Vec<T>;
    constexpr int64_t L = lanes<T>;
    alignas(64) T top[kWide];
    fold_columns<T, MaxOf>(top, p, stride, rows, width, 0);
    for (int64_t j = 0; j < width; j += L) {
      const int64_t count = min64(L, width - j);
      T old[L] = {}, shifts[L], sums[L], scales[L];
      for (int64_t k = 0; k < count; k++) old[k] = T(s[j + k].shift);
      const V t = load(top + j), o = load((const T*)old), m = max(t, o);
      const V shift = select<V>(m - m == V{}, m, select<V>(t - t == V{}, t, V{}));
      V sum{};
      for (int64_t r = 0; r < rows; r++) sum += exp_below(load_some(p + r * stride + j, width - j) - shift);
      store(shifts, shift);
      store(sums, sum);
      store(scales, exp_below(o - shift));
      for (int64_t k = 0; k < count; k++) {
        State& to = s[j + k];
        if (finite(top[j + k]) && old[k] != kHighest<T>) [[likely]]
          to = {double(shifts[k]), to.sum * double(scales[k]) + double(sums[k])};
        else merge(to, of(double(top[j + k]), double(sums[k])));
      }
    }
  }
  [[gnu::noinline]] static void merge(State& s, const State& next) {
    if (s.sum == 0) {
      s = next;
      return;
    }
    double top = s.shift > next.shift ? s.shift : next.shift;
    double a = s.shift == top ? 1 : __builtin_exp(s.shift - top),
           b = next.shift == top ? 1 : __builtin_exp(next.shift - top);
    s = {top, s.sum * a + next.sum * b};
  }
  static double first(const State& s, int64_t, double) { return s.shift + __builtin_log(s.sum); }
  static double second(const State& s) { return s.shift; }
};

// ---- extremes with their index --------------------------------------------------------------------------------------
template <class Type, bool Largest, bool Index>
struct Arg {
  using T = Type;
  using V = Vec<T>;
  struct State {
    T value;
    int64_t index;  // -1: nothing yet
  };
  static State identity() { return {T(0), -1}; }
  static bool beats(T a, T b) { return (Largest ? a > b : a < b) || (a != a && b == b); }
  // The block's extreme first, at the speed of a maximum; only a block that wins is searched for the place.
  static void update(State& s, const T* p, int64_t n, int64_t at, double) {
    constexpr int64_t L = lanes<T>;
    T best = extreme<T, Largest>(p, n);
    if (s.index >= 0 && !beats(best, s.value)) return;
    V wanted = splat<V>(best);
    bool nan = best != best;
    int64_t i = 0;
    for (; i + L <= n; i += L) {
      V v = load(p + i);
      if (any_lane(nan ? is_nan(v) : v == wanted)) break;
    }
    while (nan ? p[i] == p[i] : p[i] != best) i++;
    s = {p[i], at + i};
  }
  static void columns(State* s, const T* p, int64_t stride, int64_t rows, int64_t width, int64_t at, double) {
    constexpr int64_t L = lanes<T>;
    using I = Mask<V>;
    for (int64_t j = 0; j < width; j += L) {
      V best = load_some(p + j, width - j);
      I where{};
      for (int64_t r = 1; r < rows; r++) {
        V v = load_some(p + r * stride + j, width - j);
        I wins = (Largest ? v > best : v < best) | (is_nan(v) & ~is_nan(best));
        best = select<V>(wins, v, best);
        where = select<I>(wins, I{} + Elem<I>(r), where);
      }
      T values[L];
      Elem<I> places[L];
      store(values, best);
      __builtin_memcpy(places, &where, sizeof where);
      for (int64_t k = 0; k < min64(L, width - j); k++) merge(s[j + k], {values[k], at + int64_t(places[k])});
    }
  }
  static void merge(State& s, const State& next) {
    if (next.index >= 0 && (s.index < 0 || beats(next.value, s.value))) s = next;
  }
  static auto first(const State& s, int64_t, double) {
    if constexpr (Index) return s.index;
    else return s.value;
  }
  static int64_t second(const State& s) { return s.index; }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
