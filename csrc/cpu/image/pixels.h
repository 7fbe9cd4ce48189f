// The two steps of a resampling: weighted sums of rows, and of the pixels of one row, where neighbouring outputs are
// alike in full vectors.
#pragma once
#include "cpu/image/windows.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <class T>
MIELINA_INLINE Vec<T> madd(Vec<T> a, Vec<T> b, Vec<T> c) {
  if constexpr (T(0.5) != T(0)) return fma(a, b, c);
  else return a * b + c;
}

// r (+)= sum of K rows with their weights, n elements each. r has room for whole vectors if `whole`.
template <class T, int K>
void weigh(T* r, const T* const* x, const T* w, int64_t n, bool add, bool whole) {
  constexpr int64_t N = lanes<T>;
  Vec<T> weight[K];
#pragma GCC unroll 4
  for (int k = 0; k < K; k++) weight[k] = splat<Vec<T>>(w[k]);
  for (int64_t i = 0; i < n; i += N) {
    Vec<T> first = load_part(x[0] + i, n - i),
           s = add ? madd<T>(weight[0], first, load_part(r + i, whole ? N : n - i)) : weight[0] * first;
#pragma GCC unroll 4
    for (int k = 1; k < K; k++) s = madd<T>(weight[k], load_part(x[k] + i, n - i), s);
    store_part(r + i, s, whole ? N : n - i);
  }
}
template <class T>
void weigh(int K, T* r, const T* const* x, const T* w, int64_t n, bool add, bool whole) {
  if (K == 1) weigh<T, 1>(r, x, w, n, add, whole);
  else if (K == 2) weigh<T, 2>(r, x, w, n, add, whole);
  else if (K == 3) weigh<T, 3>(r, x, w, n, add, whole);
  else weigh<T, kBatch>(r, x, w, n, add, whole);
}

// ---- pixels of one row ----------------------------------------------------------------------------------------------
template <class T>
MIELINA_INLINE Vec<T> sum_run(const T* p, int64_t n) {
  constexpr int64_t N = lanes<T>;
  Vec<T> s[2] = {};
  int64_t i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    s[0] += load(p + i);
    s[1] += load(p + i + N);
  }
  if (i + N <= n) {
    s[0] += load(p + i);
    i += N;
  }
  if (i < n) s[1] += load_n(p + i, n - i);
  return s[0] + s[1];
}

template <class T>
MIELINA_INLINE T one_pixel(const T* p, const Taps<T>& t, int64_t o) {
  int64_t at = t.start[o], n = t.start[o + 1] - at;
  if (n == 0) return T(0);
  T w = t.weight[at];
  if (t.flat && n >= 4 * lanes<T>) return hsum(sum_run(p + t.index[at], n)) * w;
  T s = w * p[t.index[at]];
  for (int64_t k = 1; k < n; k++) s += t.weight[at + k] * p[t.index[at + k]];
  return s;
}
// Rows of K taps each.
template <class T, int K>
void short_pixels(T* y, const T* p, const Taps<T>& t, int64_t b, int64_t e) {
  for (int64_t o = b; o < e; o++) {
    T s = t.weight[o * K] * p[t.index[o * K]];
    for (int k = 1; k < K; k++) s += t.weight[o * K + k] * p[t.index[o * K + k]];
    y[o] = s;
  }
}

// Every period-th row from o, a vector of them.
template <class T, int Step>
MIELINA_INLINE Vec<T> alike_rows(const T* p, const Taps<T>& t, int64_t row, int64_t shift) {
  auto get = [](const T* r) __attribute__((always_inline)) {
    if constexpr (Step == 0) return splat<Vec<T>>(*r);
    else if constexpr (Step == 1) return load(r);
    else return load_evens(r);
  };
  int64_t at = t.start[row], end = t.start[row + 1];
  Vec<T> s = splat<Vec<T>>(t.weight[at]) * get(p + t.index[at] + shift);
  for (int64_t k = at + 1; k < end; k++) s = madd<T>(splat<Vec<T>>(t.weight[k]), get(p + t.index[k] + shift), s);
  return s;
}
// divisor 0: none.
template <class T, int Period, int Step>
void alike_pixels(T* y, const T* p, const Taps<T>& t, T divisor) {
  auto divided = [&](Vec<T> v, int64_t o) __attribute__((always_inline)) {
    return divisor == T(0) ? v : v / (splat<Vec<T>>(divisor) * load(t.divisor + o));
  };
  constexpr int64_t N = lanes<T> * Period;
  for (int64_t o = t.first; o < t.last; o += N) {
    o = min64(o, t.last - N);  // the last vector overlaps the one before
    int64_t shift = (o - t.first) / Period * Step;
    Vec<T> a = alike_rows<T, Step>(p, t, t.first, shift);
    if constexpr (Period == 1) store(y + o, divided(a, o));
    else store_interleaved(y + o, a, alike_rows<T, Step>(p, t, t.first + 1, shift));
  }
}

template <class T>
void some_pixels(T* y, const T* p, const Taps<T>& t, int64_t b, int64_t e) {
  if (t.each == 1) short_pixels<T, 1>(y, p, t, b, e);
  else if (t.each == 2) short_pixels<T, 2>(y, p, t, b, e);
  else if (t.each == 4) short_pixels<T, 4>(y, p, t, b, e);
  else
    for (int64_t o = b; o < e; o++) y[o] = one_pixel(p, t, o);
}
// Vectors are divided before they are stored: another pass waits for stores that overlap (16 x 64 x 56 x 56, means of
// 2 x 2: 1.14 ms, 0.93 so).
template <class T>
void row_pixels(T* y, const T* p, const Taps<T>& t, T divisor, bool divides) {
  void (*alike)(T*, const T*, const Taps<T>&, T) = nullptr;
  if (t.last - t.first < lanes<T> * t.period) alike = nullptr;
  else if (t.period == 2) alike = t.step == 1 ? alike_pixels<T, 2, 1> : nullptr;
  else if (t.step == 0) alike = alike_pixels<T, 1, 0>;
  else if (t.step == 1) alike = alike_pixels<T, 1, 1>;
  else if (t.step == 2) alike = alike_pixels<T, 1, 2>;
  const int64_t first = alike ? t.first : t.n, last = alike ? t.last : t.n;
  some_pixels(y, p, t, 0, first);
  if (alike) alike(y, p, t, divides ? divisor : T(0));
  some_pixels(y, p, t, last, t.n);
  if (!divides) return;
  for (int64_t o = 0; o < (t.period == 1 ? first : last); o++) y[o] /= divisor * t.divisor[o];
  for (int64_t o = last; o < t.n; o++) y[o] /= divisor * t.divisor[o];
}

// Planar windows of many pixels (image/windows.h). divisor 0: none.
template <class T>
struct MeanWindows {
  using Cell = Vec<T>;
  T* y;
  const Taps<T>& t;
  T divisor;

  __attribute__((always_inline)) Cell many(const WindowRows<T>& x, int64_t p, int64_t n) const {
    Cell s{};
    for (int64_t i = 0; i < n; i += lanes<T>)
      for (int r = 0; r < x.n; r++) s = madd<T>(splat<Cell>(x.weight[r]), load_part(x.at[r] + p + i, n - i), s);
    return s;
  }
  __attribute__((always_inline)) Cell across(Cell (&v)[lanes<T>]) const { return splat<Cell>(t.weight[0]) * hsums(v); }
  __attribute__((always_inline)) void put(Cell r, int64_t o, int64_t n) const {
    if (divisor != T(0)) r = r / (splat<Cell>(divisor) * load_part(t.divisor + o, n));
    store_part(y + o, r, n);
  }
};
// How rows end whose pixels all weigh the same, asked once a call: `product` by a factor where all outputs are divided
// by one power of two, or by nothing.
enum class MeanEnd { none, product, quotient };
// Planar windows of two or three pixels; the order of the sums is that by way of a row of sums.
template <class T>
struct EvenMeans {
  using Cell = Vec<T>;
  T* y;
  const Taps<T>& t;
  T divisor, factor;
  MeanEnd end;

  __attribute__((always_inline)) void rows(const FirstRows<T>& x, int64_t p, Cell& a, Cell& b, Cell&) const {
    a = load(x.first + p);
    b = load(x.first + p + lanes<T>);
    x.others([&](const T* row, int) __attribute__((always_inline)) {
      a += load(row + p);
      b += load(row + p + lanes<T>);
    });
  }
  __attribute__((always_inline)) Cell pixel(const WindowRows<T>& x, int64_t p, Cell&) const {
    Cell s = splat<Cell>(x.at[0][p]);
    for (int r = 1; r < x.n; r++) s += splat<Cell>(x.at[r][p]);
    return s;
  }
  template <bool odd>
  __attribute__((always_inline)) Cell half(Cell a, Cell b) const {
    return either_half<odd>(a, b);
  }
  __attribute__((always_inline)) Cell later(Cell a, Cell b) const { return later_lanes(a, b); }
  __attribute__((always_inline)) Cell first(Cell v, Mask<Cell>) const { return v; }
  __attribute__((always_inline)) Cell next(Cell r, Cell v, Mask<Cell>) const { return r + v; }
  __attribute__((always_inline)) void put(Cell r, int64_t o, int64_t n) const {
    if (end == MeanEnd::product) r = r * splat<Cell>(factor);
    else r = r / (splat<Cell>(divisor) * load_part(t.divisor + o, n));
    store_part(y + o, r, n);
  }
  void advance(const Alike<T>& alike) { y += alike.y; }
  bool holds(Cell) const { return true; }
  void again(const WindowRows<T>&, const Taps<T>&) const {}
};

// B vectors of channels of output o; B == 1: up to a vector, m channels.
template <class T, int B>
MIELINA_INLINE void lane_pixel(T* y, const T* p, int64_t pixel, int64_t m, const Taps<T>& t, int64_t o, T divisor) {
  int64_t at = t.start[o], end = t.start[o + 1];
  auto get = [&](int64_t k, int b) __attribute__((always_inline)) {
    const T* from = p + t.index[k] * pixel + b * lanes<T>;
    if constexpr (B == 1) return load_part(from, m);
    else return load(from);
  };
  Vec<T> s[B] = {};
  if (at < end)
#pragma GCC unroll 8
    for (int b = 0; b < B; b++) s[b] = splat<Vec<T>>(t.weight[at]) * get(at, b);
  for (int64_t k = at + 1; k < end; k++)
#pragma GCC unroll 8
    for (int b = 0; b < B; b++) s[b] = madd<T>(splat<Vec<T>>(t.weight[k]), get(k, b), s[b]);
#pragma GCC unroll 8
  for (int b = 0; b < B; b++) {
    if (divisor != T(0)) s[b] = s[b] / splat<Vec<T>>(divisor);
    if constexpr (B == 1) store_part(y, s[b], m);
    else store(y + b * lanes<T>, s[b]);
  }
}
// divisor 0: none.
template <class T>
void lane_pixels(T* y, int64_t y_pixel, const T* p, int64_t pixel, int64_t L, const Taps<T>& t, T divisor) {
  constexpr int64_t N = lanes<T>;
  for (int64_t o = 0; o < t.n; o++, y += y_pixel) {
    T d = divisor * t.divisor[o];
    int64_t c = 0;
    if constexpr (kBundles<T>) {
      for (; c + 4 * N <= L; c += 4 * N) lane_pixel<T, 4>(y + c, p + c, pixel, 4 * N, t, o, d);
      for (; c + 2 * N <= L; c += 2 * N) lane_pixel<T, 2>(y + c, p + c, pixel, 2 * N, t, o, d);
    }
    for (; c < L; c += N) lane_pixel<T, 1>(y + c, p + c, pixel, L - c, t, o, d);
  }
}

// Output o from the pixels of all its rows, kWide vectors of channels: 64 channels, whole cache lines, in half of the
// registers. divisor 0: none.
template <class T>
constexpr int kWide = lanes<T> == 8 ? 8 : 4;
template <class T>
void lane_window(T* y, const T* p, const RowsOf<T>& from, const Taps<T> (&t)[3], int64_t d, int64_t h, int64_t o,
                 T divisor) {
  constexpr int64_t N = lanes<T>, B = kWide<T>;
  Vec<T> s[B] = {};
  for (int64_t a = t[0].start[d]; a < t[0].start[d + 1]; a++)
    for (int64_t b = t[1].start[h]; b < t[1].start[h + 1]; b++) {
      const T weight = t[0].weight[a] * t[1].weight[b];
      const T* row = p + t[0].index[a] * from.stride[2] + t[1].index[b] * from.stride[3];
      for (int64_t k = t[2].start[o]; k < t[2].start[o + 1]; k++) {
        const T* x = row + t[2].index[k] * from.stride[4];
        Vec<T> w = splat<Vec<T>>(weight * t[2].weight[k]);
#pragma GCC unroll 8
        for (int i = 0; i < B; i++) s[i] = madd<T>(w, load(x + i * N), s[i]);
      }
    }
#pragma GCC unroll 8
  for (int i = 0; i < B; i++) store(y + i * N, divisor != T(0) ? s[i] / splat<Vec<T>>(divisor) : s[i]);
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
