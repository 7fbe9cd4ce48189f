// Reductions that keep more than a number for each output: moments, log sum exp, extremes with their index. A fold
// keeps a State an output; the drivers in reduce.cpp know it by its size and by five functions, so that they are
// compiled once a compute type and not once an op. Reductions to one number: cpu/reduce/monoid.h.
#pragma once
#include "cpu/reduce/monoid.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kStateBytes = 24;  // no State is larger

template <class T>
struct Fold {
  int64_t state;
  void (*init)(void* s, int64_t count);
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
  static void init(void* s, int64_t count) {
    for (int64_t i = 0; i < count; i++) ((State*)s)[i] = F::identity();
  }
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

// ---- min and max together -------------------------------------------------------------------------------------------
template <class Type>
struct MinMax {
  using T = Type;
  struct State {
    T lo, hi;
  };
  static State identity() { return {kHighest<T>, kLowest<T>}; }
  static void update(State& s, const T* p, int64_t n, int64_t, double) {
    merge(s, {extreme<T, false>(p, n), extreme<T, true>(p, n)});
  }
  static void columns(State* s, const T* p, int64_t stride, int64_t rows, int64_t width, int64_t, double) {
    alignas(64) T lo[kWide], hi[kWide];
    fold_columns<T, MinOf>(lo, p, stride, rows, width, 0);
    fold_columns<T, MaxOf>(hi, p, stride, rows, width, 0);
    for (int64_t j = 0; j < width; j++) merge(s[j], {lo[j], hi[j]});
  }
  static void merge(State& s, const State& next) { s = {smaller(s.lo, next.lo), larger(s.hi, next.hi)}; }
  static T first(const State& s, int64_t, double) { return s.lo; }
  static T second(const State& s) { return s.hi; }
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

// ---- what the drivers see -------------------------------------------------------------------------------------------
// A fold of either kind, with its parameter. A monoid's State is a Total<T>.
template <class T>
struct Folding {
  static constexpr int64_t kMany = 64;  // blocks
  const Monoid<T>* monoid;              // one of the two
  const Fold<T>* fold;
  double param;
  explicit operator bool() const { return monoid || fold; }
  bool halves() const {
    return !kHalfKernels<T> ? false : monoid ? monoid->vector_halves != nullptr : fold->update_halves != nullptr;
  }
  int64_t state() const { return monoid ? int64_t(sizeof(Total<T>)) : fold->state; }
  void init(void* s, int64_t count) const {
    if (!monoid) return fold->init(s, count);
    for (int64_t i = 0; i < count; i++) ((Total<T>*)s)[i] = monoid->start;
  }
  // The functions of Fold; `columns` takes any number of rows.
  template <class P>
  void update(void* s, P p, int64_t n, int64_t at) const {
    if (monoid) return join_vector<T>(monoid->join, *(Total<T>*)s, vector_of(*monoid, p, n, param));
    if constexpr (__is_same(P, HalfSource)) fold->update_halves(s, p, n, at, param);
    else fold->update(s, p, n, at, param);
  }
  template <class P>
  [[gnu::noinline]] void columns(void* s, P p, int64_t stride, int64_t rows, int64_t width, int64_t at) const {
    int64_t n;
    for (int64_t r = 0; r < rows; r += n, p = p + n * stride) {
      n = min64(kPanel, rows - r);
      if (monoid) {
        alignas(64) T part[kWide];
        const Panel panel = panel_of(*monoid, rows - r, stride, width);
        n = panel.rows;
        fold_panel(*monoid, part, p, stride, width, panel, param);
        join_parts(monoid->join, (Total<T>*)s, (const T*)part, width);
      } else if constexpr (__is_same(P, HalfSource)) {
        fold->columns_halves(s, p, stride, n, width, at + r, param);
      } else {
        fold->columns(s, p, stride, n, width, at + r, param);
      }
    }
  }
  // f(i, count, size): n elements as blocks, neighbours of one size together; a monoid's all but the last.
  template <class F>
  void each_blocks(int64_t n, F f) const {
    for (int64_t i = 0, count, size; i < n; i += count * size) {
      const int64_t rest = n - i, many = monoid ? min64(kMany, ceil_div(rest, kBlock)) : 1;
      size = min64(min64(rest, kBlock), ceil_div(rest, many * lanes<T>) * lanes<T>);
      count = min64(many, rest / size);
      f(i, count, size);
    }
  }
  // A monoid's s += `count` blocks of p, whose lanes are joined together.
  [[gnu::noinline]] void blocks(void* s, const T* p, int64_t count, int64_t size) const {
    T part[kMany];
    join_rows(*monoid, part, p, size, count, 0, 1, size, param);
    by_join(monoid->join, [&]<class M>(M) {
      Total<T>& total = *(Total<T>*)s;
      for (int64_t j = 0; j < count; j++) total = M::join(total, Total<T>(part[j]));
    });
  }
  // A monoid's s += rows of at most kTile elements each.
  template <class P>
  void runs(void* s, P p, int64_t stride, int64_t rows, int64_t width) const {
    for (int64_t r = 0; r < rows; r += kPanel)
      join_vector<T>(monoid->join, *(Total<T>*)s,
                     vector_of_runs(*monoid, p + r * stride, stride, min64(kPanel, rows - r), width, param));
  }
  void merge(void* s, const void* next, int64_t count) const {
    if (monoid) return join_parts(monoid->join, (Total<T>*)s, (const Total<T>*)next, count);
    for (int64_t i = 0; i < count; i++) fold->merge((char*)s + i * fold->state, (const char*)next + i * fold->state);
  }
  // At most kTile outputs of n elements each.
  [[gnu::noinline]] void finish(const void* s, int64_t count, int64_t n, const Place& y, const Place& z) const {
    if (!monoid) return fold->finish(s, count, n, param, y, z);
    Total<T> results[kTile];
    for (int64_t i = 0; i < count; i++) results[i] = ((const Total<T>*)s)[i];
    close(monoid->last, results, count, n, param);
    row_to_fn<Total<T>>(y.dtype)(results, y.data, y.stride, count);
  }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
