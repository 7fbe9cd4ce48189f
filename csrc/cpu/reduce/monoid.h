// Reductions to one number an output that is joined from parts in any order: sums, products, extremes, norms, counts.
// The loops over elements are compiled once an op; what joins their results, across lanes, blocks and chunks, once a
// type.
#pragma once
#include "cpu/block.h"
#include "cpu/halves.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kPanel = 32;   // rows of a tile that are folded at most in the compute type
constexpr int64_t kTile = 256;   // and columns,
constexpr int64_t kWide = 1024;  // or so many where they lie ready in the compute type

// Where results go: `stride` elements of `dtype` apart.
struct Place {
  char* data;
  int64_t stride;
  DType dtype;
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
  using V = Vec<T>;
  constexpr int64_t L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) f(load(p + i));
  if (i < n) {
    Mask<V> lane;
    for (int j = 0; j < L; j++) lane[j] = j;
    f(select<V>(lane < Elem<Mask<V>>(n - i), load_some(p + i, n - i), splat<V>(pad)));
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

template <class V>
MIELINA_INLINE V keep_nan(V best, V x) {
  if constexpr (!is_real<Elem<V>>) return best;
  else if constexpr (VBYTES == 64) return select<V>(is_nan(x), x, best);
  else return (V)(bits(best) | (Bits<V>)is_nan(x));  // all bits are NaN; a second choice gcc would mix with the first
}
// The largest or smallest of n elements, or NaN if one is. NaN is looked for apart, two vectors at a time: a maximum
// that keeps it takes four instructions, this one two and a half (a row of 1024: 60 and 30 ns). As a vector, whose
// lanes have still to meet.
template <class T, bool Largest, class P>
[[gnu::noinline]] static Vec<T> extremes(P p, int64_t n) {
  using V = Vec<T>;
  constexpr int64_t L = lanes<T>;
  constexpr T pad = Largest ? kLowest<T> : kHighest<T>;
  V a = splat<V>(pad), b = a, c = a, d = a;
  auto beat = [](V x, V y)
                  __attribute__((always_inline)) { return Largest ? select<V>(x > y, x, y) : select<V>(x < y, x, y); };
  if (n < 4 * L) {
    each_vector(p, n, pad, [&](V v) __attribute__((always_inline)) { a = keep_nan(beat(v, a), v); });
    return a;
  }
  auto nan = unordered(a, a);
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    V s = load(p + i), t = load(p + i + L), u = load(p + i + 2 * L), v = load(p + i + 3 * L);
    a = beat(a, s), b = beat(b, t), c = beat(c, u), d = beat(d, v);
    nan |= unordered(s, t) | unordered(u, v);
  }
  each_vector(p + i, n - i, pad, [&](V v) __attribute__((always_inline)) { a = beat(a, v), nan |= unordered(v, v); });
  if (any_nan(nan)) return splat<V>(T(__builtin_nanf("")));
  return beat(beat(a, b), beat(c, d));
}
template <class T, bool Largest>
[[gnu::noinline]] static T extreme(const T* p, int64_t n) {
  const Vec<T> v = extremes<T, Largest>(p, n);
  return Largest ? hmax(v) : hmin(v);
}

// ---- loops over elements --------------------------------------------------------------------------------------------
// M: start, the identity; pad, an element that changes nothing; step(acc, x, p) on vectors; join(a, b) on vectors and
// on numbers, one of `Join`; last, what becomes of the whole.
enum class Join : int8_t { plus, times, larger, smaller };
enum class Last : int8_t { as_is, mean, root, power, any, all };
struct MaxOf;
struct MinOf;
struct SumOf;
struct ProdOf;
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

// The elements of a block in one vector, whose lanes have still to be joined.
template <class T, class M, class P>
[[gnu::noinline]] Vec<T> fold_vectors(P p, int64_t n, [[maybe_unused]] double param) {
  if constexpr (__is_same(M, MaxOf) || __is_same(M, MinOf)) {
    return extremes<T, __is_same(M, MaxOf)>(p, n);
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
    return M::join(M::join(a, b), M::join(c, d));
  }
}
template <class T, class M>
constexpr bool kUnrolled =
    VBYTES > 16 &&
    (__is_same(M, SumOf) || (is_real<T> && (__is_same(M, ProdOf) || __is_same(M, MaxOf) || __is_same(M, MinOf))));
// Narrow rows in one piece: in strips of four vectors down kPanel rows, which reads memory as it lies. Channels last of
// 8 x 32 x 56 x 56 summed over the pixels by eight rows at a time took 61 us of one core.
template <class T, class M>
constexpr bool kStrips =
    VBYTES > 16 && is_real<T> && (__is_same(M, SumOf) || __is_same(M, MaxOf) || __is_same(M, MinOf));
template <class T>
constexpr int64_t kStrip = 4 * lanes<T>;
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
  if constexpr (kStrips<T, M>) {
    if (stride == width && width <= kTile && width % kStrip<T> == 0) {
      for (int64_t r = 0; r < rows; r += kPanel)
        for (int64_t j = 0; j < width; j += kStrip<T>) {
          V a = start, b = start, c = start, d = start;
          P x = p + (r * stride + j);
          for (int64_t k = min64(kPanel, rows - r); k > 0; k--, x = x + stride) {
            a = M::step(a, load(x), q);
            b = M::step(b, load(x + L), q);
            c = M::step(c, load(x + 2 * L), q);
            d = M::step(d, load(x + 3 * L), q);
          }
          auto put = [&](int64_t i, V v) __attribute__((always_inline)) {
            store(part + i, r ? M::join(load((const T*)part + i), v) : v);
          };
          put(j, a), put(j + L, b), put(j + 2 * L, c), put(j + 3 * L, d);
        }
      return;
    }
  }
  for (int64_t r = 0; r < rows; r += 8) {  // eight rows at a time: as many streams as prefetchers follow well
    int64_t count = min64(8, rows - r);
    for (int64_t j = 0; j < width; j += L) {
      V acc = r ? load(part + j) : start;
      const P x = p + (r * stride + j);
      constexpr bool unrolled = kUnrolled<T, M> && __is_same(P, const T*);
      if (width - j < L || (count < 8 && !unrolled)) {
        for (int64_t k = 0; k < count; k++) acc = M::step(acc, load_some(x + k * stride, width - j), q);
      } else if (count < 8) {
        for (int64_t k = 0; k < count; k++) acc = M::step(acc, load(x + k * stride), q);
      } else if constexpr (unrolled) {
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
template <class X>
MIELINA_INLINE X plus(X a, X b) {
  return X(Wrap<X>(a) + Wrap<X>(b));
}
template <class X>
MIELINA_INLINE X times(X a, X b) {
  return X(Wrap<X>(a) * Wrap<X>(b));
}
struct Additive {
  static constexpr Join joins = Join::plus;
  static constexpr Last last = Last::as_is;
  template <class X>
  static constexpr X start() {
    return X(0);
  }
  template <class X>
  static constexpr X pad() {
    return X(0);
  }
  template <class X>
  MIELINA_INLINE X join(X a, X b) {
    return plus(a, b);
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
  static constexpr Last last = Last::mean;
};
struct NanSumOf : Additive {
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return acc + select<V>(is_nan(x), V{}, x);
  }
};
struct ProdOf : Additive {
  static constexpr Join joins = Join::times;
  template <class X>
  static constexpr X start() {
    return X(1);
  }
  template <class X>
  static constexpr X pad() {
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
  static constexpr Last last = Last::any;
};
struct AllOf : NonzeroOf {
  static constexpr Last last = Last::all;
};
struct ValidOf : Additive {
  template <class X>
  static constexpr X pad() {
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
  static constexpr Last last = Last::root;
};
// In one place a type: inlined into every loop of the folds, pow takes 36 KB a level.
template <class V>
[[gnu::noinline]] static V power_of(V x, V p) {
  return pow(abs(x), p);
}
struct NormPOf : Additive {
  template <class X>
  static constexpr X pad() {
    return X(0);
  }
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V p) {
    return acc + power_of(x, p);
  }
  static constexpr Last last = Last::power;
};
// A negative order has no padding element but infinity, where |x|^p is 0.
struct NormNegativeOf : NormPOf {
  template <class X>
  static constexpr X pad() {
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
template <bool Largest>
struct ExtremeOf : Additive {
  static constexpr bool halves = true;
  static constexpr Join joins = Largest ? Join::larger : Join::smaller;
  template <class X>
  static constexpr X start() {
    return Largest ? kLowest<X> : kHighest<X>;
  }
  template <class X>
  static constexpr X pad() {
    return start<X>();
  }
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    // One instruction and NaN of x, where max() and min() look for that of acc, too.
    return keep_nan(Largest ? select<V>(x > acc, x, acc) : select<V>(x < acc, x, acc), x);
  }
  template <class X>
  MIELINA_INLINE X join(X a, X b) {
    return Largest ? larger(a, b) : smaller(a, b);
  }
};
struct MaxOf : ExtremeOf<true> {};
struct MinOf : ExtremeOf<false> {};
struct NormInfOf : MaxOf {
  static constexpr bool halves = false;  // its loops would be 4 KB
  template <class X>
  static constexpr X start() {
    return X(0);
  }
  template <class X>
  static constexpr X pad() {
    return X(0);
  }
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return MaxOf::step(acc, abs(x), x);
  }
};
struct NormMinusInfOf : MinOf {
  static constexpr bool halves = false;  // its loops would be 4 KB
  template <class V>
  MIELINA_INLINE V step(V acc, V x, V) {
    return MinOf::step(acc, abs(x), x);
  }
};

// ---- what joins the results of the loops ----------------------------------------------------------------------------
template <class T>
struct Monoid {
  Vec<T> (*vector)(const T* p, int64_t n, double param);
  void (*part)(T* part, const T* p, int64_t stride, int64_t rows, int64_t width, double param);
  Total<T> start;
  Join join;
  Last last;
  bool strips;
  // The same of halves; null where a monoid has none.
  Vec<T> (*vector_halves)(HalfSource p, int64_t n, double param) = nullptr;
  void (*part_halves)(T* part, HalfSource p, int64_t stride, int64_t rows, int64_t width, double param) = nullptr;
};
template <class T, class M>
constexpr Monoid<T> monoid_of() {
  using Loop = typename LoopOf<M>::type;
  Monoid<T> m = {fold_vectors<T, Loop, const T*>,
                 fold_columns<T, Loop, const T*>,
                 M::template start<Total<T>>(),
                 M::joins,
                 M::last,
                 kStrips<T, Loop>};
  if constexpr (kHalfKernels<T> && requires { requires Loop::halves; }) {
    m.vector_halves = fold_vectors<T, Loop, HalfSource>;
    m.part_halves = fold_columns<T, Loop, HalfSource>;
  }
  return m;
}
template <class T, class M>
constexpr Monoid<T> monoid_value = monoid_of<T, M>();

template <class T>
MIELINA_INLINE Vec<T> vector_of(const Monoid<T>& m, const T* p, int64_t n, double param) {
  return m.vector(p, n, param);
}
template <class T>
MIELINA_INLINE Vec<T> vector_of(const Monoid<T>& m, HalfSource p, int64_t n, double param) {
  return m.vector_halves(p, n, param);
}
// part[j] = column j.
template <class T>
MIELINA_INLINE void part_of(const Monoid<T>& m, T* part, const T* p, int64_t stride, int64_t rows, int64_t width,
                            double param) {
  m.part(part, p, stride, rows, width, param);
}
template <class T>
MIELINA_INLINE void part_of(const Monoid<T>& m, T* part, HalfSource p, int64_t stride, int64_t rows, int64_t width,
                            double param) {
  m.part_halves(part, p, stride, rows, width, param);
}

// f(M), where M has the join.
template <class F>
MIELINA_INLINE void by_join(Join join, F f) {
  switch (join) {
    case Join::plus: return f(SumOf{});
    case Join::times: return f(ProdOf{});
    case Join::larger: return f(MaxOf{});
    case Join::smaller: return f(MinOf{});
  }
}

// total = total joined with all lanes of v.
template <class T>
[[gnu::noinline]] void join_vector(Join join, Total<T>& total, Vec<T> v) {
  using V = Vec<T>;
  by_join(join, [&]<class M>(M) {
    total =
        M::join(total, Total<T>(fold_lanes(v, [](V x, V y) __attribute__((always_inline)) { return M::join(x, y); })));
  });
}
// total[j] = total[j] joined with part[j].
template <class W, class T>
[[gnu::noinline]] void join_parts(Join join, W* total, const T* part, int64_t n) {
  by_join(join, [&]<class M>(M) {
    int64_t j = 0;
    for (; j + lanes<W> <= n; j += lanes<W>) store(total + j, M::join(load((const W*)total + j), load_as<W>(part + j)));
    for (; j < n; j++) total[j] = M::join(total[j], W(part[j]));
  });
}

// Rows that are folded in T: at most kPanel below each other, where joining rounds, and where rows lie in one piece and
// are narrow `abreast` of them side by side as one row.
struct Panel {
  int64_t rows, abreast;
};
template <class T>
Panel panel_of(const Monoid<T>& m, int64_t rows, int64_t stride, int64_t width) {
  const bool exact = !is_real<T> || m.join == Join::larger || m.join == Join::smaller;
  int64_t k = 1, most = kPanel;
  if (stride == width) {
    while (m.strips && k * width % kStrip<T> != 0) k *= 2;
    if (m.strips && k * width <= kTile && rows >= 8 * k) most = 8 * kPanel;  // in eight parts in fold_columns
    else
      for (k = 1; rows >= 16 * k && 2 * k * width <= kTile / 2;) k *= 2;
  }
  return {(exact ? rows / k : min64(rows / k, most)) * k, k};
}
// part[j] = column j of a panel's rows; there is room for kWide in part.
template <class T, class P>
[[gnu::noinline]] void fold_panel(const Monoid<T>& m, T* part, P p, int64_t stride, int64_t width, Panel b,
                                  double param) {
  part_of(m, part, p, stride * b.abreast, b.rows / b.abreast, width * b.abreast, param);
  for (int64_t w = width * b.abreast / 2; w >= width; w /= 2) join_parts(m.join, part, (const T*)part + w, w);
}
// The elements of `runs` runs, `apart` from each other, of n elements each; at most kPanel runs of kTile or one block.
template <class T, class P>
[[gnu::noinline]] Vec<T> vector_of_runs(const Monoid<T>& m, P p, int64_t apart, int64_t runs, int64_t n, double param) {
  alignas(64) T part[kTile];
  part_of(m, part, p, apart, runs, n, param);
  Vec<T> v;
  by_join(m.join, [&]<class M>(M) { v = fold_vectors<T, M>((const T*)part, n, 0); });
  return v;
}

// Lanes of blocks of 2 H: the first H of a's halves of the block, the others of b's.
template <int H, class M, class V, int... I>
MIELINA_INLINE V join_pair(V a, V b, Indices<I...>) {
  constexpr int N = sizeof...(I);
  return M::join(__builtin_shufflevector(a, b, (I % (2 * H) < H ? I : N + I - H)...),
                 __builtin_shufflevector(a, b, (I % (2 * H) < H ? I + H : N + I)...));
}
// y[r] = the elements of row r, runs of n, in one number. Lanes of as many rows as a vector has are joined together, in
// the order of fold_lanes: two shuffles and a join a row.
template <class T>
[[gnu::noinline]] void join_rows(const Monoid<T>& m, T* y, const T* p, int64_t stride, int64_t rows, int64_t apart,
                                 int64_t runs, int64_t n, double param) {
  using V = Vec<T>;
  constexpr int N = lanes<T>;
  typename IndicesTo<N>::type all{};
  for (int64_t r = 0; r < rows; r += N) {
    const int64_t count = min64(N, rows - r);
    V v[N];
    for (int64_t i = 0; i < count; i++) {
      const T* row = p + (r + i) * stride;
      v[i] = runs == 1 ? m.vector(row, n, param) : vector_of_runs(m, row, apart, runs, n, param);
    }
    for (int64_t i = count; i < N; i++) v[i] = v[0];
    by_join(m.join, [&]<class M>(M) {
#pragma GCC unroll 8
      for (int i = 0; i < N / 2; i++) v[i] = join_pair<N / 2, M>(v[i], v[i + N / 2], all);
      if constexpr (N >= 16) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) v[i] = join_pair<4, M>(v[i], v[i + 4], all);
      }
      if constexpr (N >= 8) {
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) v[i] = join_pair<2, M>(v[i], v[i + 2], all);
      }
      if constexpr (N >= 4) v[0] = join_pair<1, M>(v[0], v[1], all);
    });
    store_part(y + r, v[0], count);
  }
}

// What becomes of totals of n elements. Where x is the element's type, its value is what a part had: quotients and
// roots of float are those of double, rounded.
template <class X>
[[gnu::noinline]] void close(Last last, X* x, int64_t count, int64_t n, [[maybe_unused]] double param) {
  switch (last) {
    case Last::any:
      for (int64_t i = 0; i < count; i++) x[i] = x[i] != 0;
      return;
    case Last::all:
      for (int64_t i = 0; i < count; i++) x[i] = x[i] == X(n);
      return;
    default: break;
  }
  if constexpr (is_real<X>) {
    switch (last) {
      case Last::mean:
        for (int64_t i = 0; i < count; i++) x[i] /= X(n);
        return;
      case Last::root:
        for (int64_t i = 0; i < count; i++) x[i] = sizeof(X) == 4 ? X(__builtin_sqrtf(x[i])) : X(__builtin_sqrt(x[i]));
        return;
      case Last::power:
        for (int64_t i = 0; i < count; i++) x[i] = X(__builtin_pow(double(x[i]), 1 / param));
        return;
      default: break;
    }
  }
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
