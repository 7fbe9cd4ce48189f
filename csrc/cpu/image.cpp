// image: see table/image.h.
//
// A resampling is separable: the source rows that an output row needs are first summed, with their weights, into one
// row (full vectors), then that row's pixels into output pixels. Where neighbouring outputs are alike the second step
// has full vectors too.
#include "cpu/image/bundle.h"
#include "cpu/image/bytes.h"
#include "cpu/image/rows.h"
#include "cpu/image/sample.h"
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

// ---- resampling -----------------------------------------------------------------------------------------------------
// A worker's rows: kBatch converted ones, their sum, the output.
template <class T>
int64_t worker_bytes(const View& y, const View& x, int64_t L) {
  return (kBatch + 1) * round_up(x.shape[4] * L * int64_t(sizeof(T))) + round_up(y.shape[4] * L * int64_t(sizeof(T)));
}

template <class T>
struct Resample {
  RowsOf<T> to, from;
  Taps<T> t[3];
  bool divides;
  T divisor;
  bool single = false;  // each output is one pixel, weighted, or none

  // Whether windows share few pixels, or have up to nine: taken one by one, they spare the row of sums its storing and
  // reading (channels last on a Zen 3, 16 x 64 x 56 x 56: means of 2 x 2 515 us by rows, 390 so; of all pixels 369 and
  // 241; 3 x 3 with stride 2 945 and 521).
  bool windows_pay(int64_t d, int64_t h) const {
    int64_t rows = (t[0].start[d + 1] - t[0].start[d]) * (t[1].start[h + 1] - t[1].start[h]);
    return rows * t[2].start[t[2].n] <= max64(from.W * (rows + 1), 9 * t[2].n);
  }
  // The weighted sum of the source rows of output row (d, h): where it lies, pixels `pixel` apart.
  const T* sum_rows(int64_t n, int64_t c, int64_t L, int64_t d, int64_t h, T* sum, T* const* buf,
                    int64_t& pixel) const {
    const T* rows[kBatch];
    T w[kBatch];
    int K = 0;
    bool add = false;
    int64_t d0 = t[0].start[d], d1 = t[0].start[d + 1], h0 = t[1].start[h], h1 = t[1].start[h + 1];
    bool single = (d1 - d0) * (h1 - h0) == 1;
    auto flush = [&] {
      if (pixel == L) weigh(K, sum, rows, w, from.W * L, add, true);
      else
        for (int64_t i = 0; i < from.W; i++) {
          const T* at[kBatch];
          for (int k = 0; k < K; k++) at[k] = rows[k] + i * pixel;
          weigh(K, sum + i * L, at, w, L, add, false);
        }
      add = true;
      K = 0;
    };
    pixel = from.pixel(L);
    for (int64_t a = d0; a < d1; a++)
      for (int64_t b = h0; b < h1; b++) {
        rows[K] = from.get(n, c, t[0].index[a], t[1].index[b], L, buf[K]);
        w[K] = t[0].weight[a] * t[1].weight[b];
        if (single && w[K] == T(1)) return rows[K];
        if (++K == kBatch) flush();
      }
    if (K) flush();
    else if (!add) __builtin_memset(sum, 0, size_t(from.W * L) * sizeof(T));
    pixel = L;
    return sum;
  }
  // A row of single pixels, channels last (means of 2 x 2 backward, 16 x 64 x 56 x 56 on a Zen 3: as windows 0.99 ms).
  void single_pixels(T* out, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h) const {
    constexpr int64_t N = lanes<T>;
    const int64_t i = t[0].start[d], j = t[1].start[h];
    const bool empty = i == t[0].start[d + 1] || j == t[1].start[h + 1];
    const T* x = empty ? nullptr : (const T*)from.at(n, c, t[0].index[i], t[1].index[j]);
    for (int64_t o = 0; o < t[2].n; o++, out += to.pixel(L)) {
      const int64_t k = t[2].start[o];
      const bool none = empty || k == t[2].start[o + 1];
      const T* p = none ? nullptr : x + t[2].index[k] * from.stride[4];
      const Vec<T> w = splat<Vec<T>>(none ? T(0) : t[0].weight[i] * t[1].weight[j] * t[2].weight[k]);
      for (int64_t b = 0; b < L; b += N) store_part(out + b, none ? w : w * load_part(p + b, L - b), L - b);
    }
  }
  // Output row (d, h) of channels [c, c + L).
  void row(T* out, bool along_c, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h, T* sum, T* const* buf) const {
    int64_t pixel;
    T by = divisor * t[0].divisor[d] * t[1].divisor[h];
    if constexpr (kBundles<T>) {
      constexpr int64_t wide = kWide<T> * lanes<T>;
      if (along_c && single && from.direct) return single_pixels(out, n, c, L, d, h);
      if (along_c && L >= wide && from.direct && windows_pay(d, h)) {
        const T* x = (const T*)from.at(n, c, 0, 0);
        for (int64_t o = 0; o < t[2].n; o++)
          for (int64_t b = 0; b < L; b += wide) {
            int64_t at = min64(b, L - wide);  // the last block overlaps the one before
            lane_window(out + o * to.pixel(L) + at, x + at, from, t, d, h, o, divides ? by * t[2].divisor[o] : T(0));
          }
        return;
      }
    }
    const T* p = sum_rows(n, c, L, d, h, sum, buf, pixel);
    if (along_c) lane_pixels(out, to.pixel(L), p, pixel, L, t[2], divides ? by : T(0));
    else row_pixels(out, p, t[2], by, divides);
  }
  // Each output is the mean of a row.
  bool takes_rows() const {
    for (const Taps<T>& axis : t)
      if (axis.n != 1) return false;
    return t[0].each == 1 && t[1].each == 1 && t[2].flat && t[2].each == from.W;
  }
};

template <class T>
int64_t bundle_bytes(const View& y, const View& x) {
  int64_t in = Planes<T>::bytes(x), out = Planes<T>::bytes(y);
  return max64(in, out) + in + out + round_up(x.shape[4] * VBYTES);
}
template <class T>
void resample_bundles(const Ctx& ctx, const View& y, const View& x, const Resample<T>& r, const Scratch& scratch) {
  constexpr int64_t N = lanes<T>;
  const Planes<T> to(y), from(x);
  run_bundles<N>(ctx, scratch, bundle_bytes<T>(y, x), y.shape[0] * y.shape[1], to.pixels + from.pixels,
                 [&](Scratch mine, int64_t p, int64_t n) {
                   T *buf = mine.take<T>(N * max64(to.pixels, from.pixels)), *in = mine.take<T>(N * from.pixels),
                     *out = mine.take<T>(N * to.pixels), *sum = mine.take<T>(N * x.shape[4]), *none[kBatch] = {};
                   from.get(p, n, in, buf);
                   Resample<T> b = r;
                   b.from = Planes<T>::rows(x, in);
                   b.to = Planes<T>::rows(y, out);
                   for (int64_t d = 0; d < y.shape[2]; d++)
                     for (int64_t h = 0; h < y.shape[3]; h++)
                       b.row(b.to.target(0, 0, d, h, nullptr), true, 0, 0, N, d, h, sum, none);
                   to.put(p, n, out, buf);
                 });
}
// The means of short rows, a vector of them: their vectors are added up together (the plane of one after the other,
// 32768 of 7 x 7: 841 us).
constexpr int64_t kShortRow = 4096;
template <class T>
void mean_rows(const Ctx& ctx, const View& y, const Resample<T>& r, const Scratch& scratch, int64_t bytes) {
  constexpr int64_t N = lanes<T>;
  const Planes<T> to(y);
  const T weight = r.t[0].weight[0] * r.t[1].weight[0] * r.t[2].weight[0];
  const T by = r.divisor * r.t[0].divisor[0] * r.t[1].divisor[0] * r.t[2].divisor[0];
  run_bundles<N>(ctx, scratch, bytes, y.shape[0] * to.C, r.from.W, [&](Scratch mine, int64_t p, int64_t n) {
    T *buf = mine.take<T>(r.from.W), means[N];
    Vec<T> s[N];
#pragma GCC unroll 16
    for (auto& v : s) v = Vec<T>{};
    int64_t i = p / to.C, c = p % to.C;
    const int64_t d = r.t[0].index[0], h = r.t[1].index[0];
    const bool even = r.from.direct && c + n <= to.C;
    const T* first = (const T*)r.from.at(i, c, d, h);
    for (int64_t j = 0; even && j < n; j++) s[j] = sum_run(first + j * r.from.stride[1], r.from.W);
    for (int64_t j = 0; !even && j < n; j++) {
      s[j] = sum_run(r.from.get(i, c, d, h, 1, buf), r.from.W);
      if (++c < to.C) continue;
      c = 0;
      i++;
    }
    const Vec<T> sum = hsums(s) * splat<Vec<T>>(weight);
    store(means, r.divides ? sum / splat<Vec<T>>(by) : sum);
    if (to.together()) return row_to_fn<T>(to.dtype)(means, to.at(p), to.stride[1], n);
    for (int64_t j = 0; j < n; j++) row_to_fn<T>(to.dtype)(means + j, to.at(p + j), 1, 1);
  });
}

template <class T>
[[gnu::cold]] bool has_single_taps(const Resample<T>& r) {
  for (const Taps<T>& axis : r.t)
    for (int64_t o = 0; o < axis.n; o++)
      if (axis.start[o + 1] - axis.start[o] > 1) return false;
  return !r.divides;
}
// Pairs of pixels that have one pixel of x, the second one perhaps the next one, too, of one or two rows: the backward
// of means of two or three pixels, two apart, and images made twice as wide by repetition. Straight from x: a row of
// sums would be read across its stores (16 x 64 x 56 x 56 on a Zen 3: 2 x 2 1.35 ms, 0.42 so, 3 x 3 1.68 and 0.75).
// Gives the first pair's first pixel, -1 where there are none.
template <class T>
[[gnu::cold]] int64_t first_pair(const Resample<T>& r) {
  const Taps<T>& w = r.t[2];
  auto taps = [](const Taps<T>& axis, int64_t o) { return axis.start[o + 1] - axis.start[o]; };
  int64_t rows = 1;
  for (int a = 0; a < 2; a++) {
    int64_t most = 0;
    for (int64_t o = 0; o < r.t[a].n; o++) most = max64(most, taps(r.t[a], o));
    rows *= most;
  }
  if (!r.to.direct || !r.from.direct || r.divides || rows > 2 || w.period != 2 || w.step != 1) return -1;
  for (int64_t o = w.first; o < w.first + 2 && w.last - o >= 2 * lanes<T>; o++) {
    const int32_t* i = w.index + w.start[o];
    const int64_t second = taps(w, o + 1);
    if (taps(w, o) == 1 && i[0] == i[1] && (second == 1 || (second == 2 && i[2] == i[0] + 1))) return o;
  }
  return -1;
}
// Output rows [h, h + rows) of plane d. The order of the sums is that by way of a row.
template <class T>
void pair_rows(const Resample<T>& r, int64_t first, int64_t n, int64_t c, int64_t d, int64_t h, int64_t rows) {
  constexpr int64_t N = lanes<T>;
  using V = Vec<T>;
  const Taps<T>& t = r.t[2];
  const int64_t k = t.start[first], pairs = (t.last - first) / 2, last = first + 2 * pairs, from = t.index[k];
  const bool more = t.start[first + 2] - k == 3;
  const V a = splat<V>(t.weight[k]), b = splat<V>(t.weight[k + 1]), next = splat<V>(t.weight[k + 1 + more]);
  T* y = (T*)r.to.at(n, c, d, h);
  for (; rows > 0; rows--, h++, y += r.to.stride[3]) {
    const T* x[2];
    T w[2];
    int taps = 0;
    for (int64_t i = r.t[0].start[d]; i < r.t[0].start[d + 1]; i++)
      for (int64_t j = r.t[1].start[h]; j < r.t[1].start[h + 1]; j++) {
        x[taps] = (const T*)r.from.at(n, c, r.t[0].index[i], r.t[1].index[j]);
        w[taps++] = r.t[0].weight[i] * r.t[1].weight[j];
      }
    if (taps == 0) {
      __builtin_memset(y, 0, size_t(t.n) * sizeof(T));
      continue;
    }
    const bool two = taps == 2;
    const T *x0 = x[0], *x1 = x[two];
    const V w0 = splat<V>(w[0]), w1 = splat<V>(w[two]);
    auto sum = [&](V v0, V v1) __attribute__((always_inline)) { return two ? madd<T>(w1, v1, w0 * v0) : w0 * v0; };
    for (int64_t i = 0; i < pairs; i += N) {
      i = min64(i, pairs - N);  // the last vector overlaps the one before
      const int64_t p = from + i;
      const V s = sum(load(x0 + p), load(x1 + p)), one = b * s;
      store_interleaved(y + first + 2 * i, a * s,
                        more ? madd<T>(next, sum(load(x0 + p + 1), load(x1 + p + 1)), one) : one);
    }
    for (int64_t o = first > 0 ? 0 : last; o < t.n; o = o + 1 == first ? last : o + 1) {
      auto tap = [&](int64_t j) {
        const int64_t p = t.index[j];
        return t.weight[j] * sum(splat<V>(x0[p]), splat<V>(x1[p]))[0];
      };
      T s = t.start[o] < t.start[o + 1] ? tap(t.start[o]) : T(0);
      for (int64_t j = t.start[o] + 1; j < t.start[o + 1]; j++) s += tap(j);
      y[o] = s;
    }
  }
}

template <class T>
[[gnu::cold]] MeanEnd mean_end(const Resample<T>& r, T& factor) {
  factor = 1;
  T by = r.divisor;
  bool uniform = true;
  for (const Taps<T>& axis : r.t) {
    for (int64_t k = 1; k < axis.start[axis.n]; k++)
      if (axis.weight[k] != axis.weight[0]) return MeanEnd::none;
    for (int64_t o = 1; o < axis.n; o++) uniform &= axis.divisor[o] == axis.divisor[0];
    factor *= axis.weight[0];
    by *= axis.divisor[0];
  }
  if (!r.divides) return MeanEnd::product;
  if (factor != T(1)) return MeanEnd::none;
  uint32_t bits;
  __builtin_memcpy(&bits, &by, sizeof bits);
  if (!uniform || (bits & 0x7fffff) != 0 || !(by > T(0x1p-60) && by < T(0x1p60))) return MeanEnd::quotient;
  factor = 1 / by;
  return MeanEnd::product;
}
template <class T>
void resample_as(const Ctx& ctx, const View& y, const View& x, const ImageMap& map) {
  bool along_c = lanes_along_c(x) && lanes_along_c(y);
  RowSpace space(y, x, along_c);
  Resample<T> r{
      RowsOf<T>(y, along_c), RowsOf<T>(x, along_c), {}, map.divisor != 0, map.divisor ? T(map.divisor) : T(1)};
  Scratch scratch{(char*)ctx.workspace};
  make_image_taps(r.t, map, map.transposed, scratch);
  for (const AxisMap& m : map.axis) r.divides |= m.divide != Divide::none && !map.transposed;
  int64_t bytes = worker_bytes<T>(y, x, space.L);
  if constexpr (kBundles<T>) {
    r.single = has_single_taps(r);
    if (!along_c && r.from.W <= kShortRow && r.takes_rows()) return mean_rows(ctx, y, r, scratch, bytes);
    if (bundled<T>(y, x)) return resample_bundles(ctx, y, x, r, scratch);
  }
  if constexpr (kWindows<T>) {
    const int64_t pair = along_c ? -1 : first_pair(r);
    if (pair >= 0)
      return space.runs(ctx, y.shape[4], [&](int, int64_t n, int64_t c, int64_t, int64_t d, int64_t h, int64_t left) {
        pair_rows(r, pair, n, c, d, h, left);
        return left;
      });
    T factor = 1;
    const PlaneWindows windows = along_c ? PlaneWindows::none : windows_of(r.from, r.t);
    const MeanEnd end = windows == PlaneWindows::halves ? mean_end(r, factor) : MeanEnd::none;
    if (windows == PlaneWindows::wide || end != MeanEnd::none)
      return where_ready(r.from.direct && r.to.direct, [&]<bool Ready>(Ask<Ready>) {
        space.runs(ctx, max64(x.shape[4], y.shape[4]),
                   [&](int worker, int64_t n, int64_t c, int64_t, int64_t d, int64_t h, int64_t left) {
                     WindowRows<T> rows;
                     const T by = r.divides ? r.divisor * r.t[0].divisor[d] * r.t[1].divisor[h] : T(0);
                     T* out = (T*)r.to.at(n, c, d, h);
                     if (Ready) rows.find(r.from, r.t, x.shape[3], r.from.at(n, c, 0, 0), d, h, sizeof(T));
                     else out = rows.convert(r.to, r.from, r.t, x.shape[3], n, c, d, h, {scratch.at + worker * bytes});
                     Alike<T> alike;
                     if (windows == PlaneWindows::wide) {
                       wide_windows(MeanWindows<T>{out, r.t[2], by}, rows, r.t[2]);
                     } else {
                       if (Ready) alike.find(r.to, r.from, r.t, h, left);
                       half_windows(EvenMeans<T>{out, r.t[2], by, factor, end}, rows, r.t[2], alike);
                     }
                     if (!Ready) put_row(r.to, n, c, d, h, out);
                     return alike.rows;
                   });
      });
  }
  space.run(ctx, max64(x.shape[4], y.shape[4]) * space.L,
            [&](int worker, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h) {
              Scratch mine{scratch.at + worker * bytes};
              T *buf[kBatch], *sum = mine.take<T>(r.from.W * space.L), *out = nullptr;
              for (T*& b : buf) b = mine.take<T>(r.from.W * space.L);
              out = r.to.target(n, c, d, h, mine.take<T>(r.to.W * space.L));
              r.row(out, along_c, n, c, L, d, h, sum, buf);
              r.to.put(n, c, d, h, L, out);
            });
}

// ---- borders: every output is one input -----------------------------------------------------------------------------
bool only_moves(const ImageMap& map) {
  bool moves = !map.transposed && map.divisor == 0;
  for (const AxisMap& m : map.axis)
    moves &= m.kind == AxisKind::reflect || m.kind == AxisKind::replicate || m.kind == AxisKind::circular ||
             (m.kind == AxisKind::window && m.in == 1 && m.out == 1 && m.divide == Divide::none);
  return moves;
}
// Pixels as they are, whatever they mean: the inside of a row in one piece, its border pixel by pixel. False where the
// pixels of a row do not lie together.
bool move_rows(const Ctx& ctx, const View& y, const View& x, const ImageMap& map) {
  bool along_c = lanes_along_c(x) && lanes_along_c(y);
  RowSpace space(y, x, along_c);
  int64_t size = kDTypeSize[int(x.dtype)], pixel = along_c ? space.C * size : size;
  if (space.L != (along_c ? space.C : 1) || x.stride[4] * size != pixel || y.stride[4] * size != pixel) return false;
  int32_t* place[3];
  Scratch scratch{(char*)ctx.workspace};
  for (int a = 0; a < 3; a++) {
    place[a] = scratch.take<int32_t>(map.axis[a].out);
    for (int64_t o = 0; o < map.axis[a].out; o++)
      each_tap(map.axis[a], o, [&](int64_t i, double) { place[a][o] = int32_t(i); });
  }
  const AxisMap& w = map.axis[2];
  auto at = [&](const View& v, int64_t n, int64_t c, int64_t d, int64_t h) {
    return (char*)v.data + (n * v.stride[0] + c * v.stride[1] + d * v.stride[2] + h * v.stride[3]) * size;
  };
  // Pixels [first, first + after - before) of a row lie inside: negative widths cut.
  int64_t shift = w.kind == AxisKind::window ? 0 : w.padding, before = min64(max64(shift, 0), w.out),
          after = max64(before, min64(shift + w.in, w.out)), first = before - shift;
  space.run(ctx, w.out * space.L, [&](int, int64_t n, int64_t c, int64_t, int64_t d, int64_t h) {
    char *to = at(y, n, c, d, h), *from = at(x, n, c, place[0][d], place[1][h]);
    auto border = [&](int64_t begin, int64_t end) {
      if (pixel == 4)
        for (int64_t o = begin; o < end; o++) ((uint32_t*)to)[o] = ((uint32_t*)from)[place[2][o]];
      else
        for (int64_t o = begin; o < end; o++)
          __builtin_memcpy(to + o * pixel, from + place[2][o] * pixel, size_t(pixel));
    };
    border(0, before);
    if (after > before) copy_bytes(to + before * pixel, from + first * pixel, (after - before) * pixel);
    border(after, w.out);
  });
  return true;
}

// ---- constant borders -----------------------------------------------------------------------------------------------
// The axes in y's stride order; an axis that keeps its size is one with the axis before it where memory allows.
struct PadSpace {
  int ndim = 0;
  int64_t to[kMaxDims], from[kMaxDims], before[kMaxDims], ys[kMaxDims], xs[kMaxDims];
  PadSpace(const View& y, const View& x, const Shift& shift) {
    int order[kMaxDims];
    for (int d = 0; d < y.ndim; d++) {
      int at = d;
      for (; at > 0 && y.stride[order[at - 1]] < y.stride[d]; at--) order[at] = order[at - 1];
      order[at] = d;
    }
    for (int k = 0; k < y.ndim; k++) {
      int d = order[k];
      bool whole = ndim > 0 && y.shape[d] == x.shape[d] && shift.before[d] == 0 &&
                   ys[ndim - 1] == y.stride[d] * y.shape[d] && xs[ndim - 1] == x.stride[d] * x.shape[d];
      int64_t times = whole ? y.shape[d] : 1;
      int a = whole ? ndim - 1 : ndim++;
      to[a] = whole ? to[a] * times : y.shape[d];
      from[a] = whole ? from[a] * times : x.shape[d];
      before[a] = whole ? before[a] * times : shift.before[d];
      ys[a] = y.stride[d];
      xs[a] = x.stride[d];
    }
  }
};

void pad(const Ctx& ctx, const View& y, const View& x, const Shift& shift, Number value) noexcept {
  if (numel(y) == 0) return;
  constexpr int64_t L = lanes<uint32_t>;
  alignas(8) char element[8];
  if (value.integer) row_to_fn<int64_t>(y.dtype)(&value.i, element, 1, 1);
  else row_to_fn<double>(y.dtype)(&value.d, element, 1, 1);
  uint32_t border;
  __builtin_memcpy(&border, element, 4);
  const PadSpace s(y, x, shift);
  const int last = s.ndim - 1, next = last - 1;
  const int64_t width = s.to[last], rows = next < 0 ? 1 : s.to[next], xs = s.xs[last],
                low = min64(max64(s.before[last], 0), width),
                high = max64(low, min64(s.before[last] + s.from[last], width));
  auto fill = [border](uint32_t* to, int64_t n) __attribute__((always_inline)) {
    int64_t j = 0;
    for (; j + L <= n; j += L) store(to + j, vu32{} + border);
    for (; j < n; j++) to[j] = border;
  };
  // Planes of the last two axes.
  parallel_ranges(ctx, numel(y) / (width * rows), max64(1, kGrain / (width * rows)), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; plane++) {
      uint32_t* to = (uint32_t*)y.data;
      const uint32_t* image = (const uint32_t*)x.data;
      bool inside = true;
      int64_t rest = plane;
      for (int d = next - 1; d >= 0; d--) {
        int64_t o = rest % s.to[d], i = o - s.before[d];
        rest /= s.to[d];
        to += o * s.ys[d];
        image += i * s.xs[d];
        inside &= i >= 0 && i < s.from[d];
      }
      for (int64_t r = 0; r < rows; r++, to += next < 0 ? 0 : s.ys[next]) {
        int64_t i = next < 0 ? 0 : r - s.before[next], j = low;
        if (!inside || (next >= 0 && (i < 0 || i >= s.from[next]))) {
          fill(to, width);
          continue;
        }
        const uint32_t* from = image + (next < 0 ? 0 : i * s.xs[next]) - s.before[last] * xs;
        fill(to, low);
        if (xs == 1) {
          for (; j + L <= high; j += L) store(to + j, load(from + j));
          if (j < high) store_n(to + j, load_n(from + j, high - j), high - j);
        } else {
          for (; j < high; j++) to[j] = from[j * xs];
        }
        fill(to + high, width - high);
      }
    }
  });
}

template <class F>
void with_compute_type(DType d, F f) {
  if (d == DType::f64) f(double{});
  else if (d == DType::f32 || d == DType::f16 || d == DType::bf16) f(float{});
  else f(int64_t{});
}

void resample(const Ctx& ctx, const View& y, const View& x, const ImageMap& map) noexcept {
  if (only_moves(map) && move_rows(ctx, y, x, map)) return;
  with_compute_type(x.dtype, [&]<class T>(T) { resample_as<T>(ctx, y, x, map); });
}
int64_t resample_workspace(const Ctx& ctx, const View& y, const View& x, const ImageMap& map) noexcept {
  int64_t bytes = 0;
  with_compute_type(x.dtype, [&]<class T>(T) {
    RowSpace space(y, x, lanes_along_c(x) && lanes_along_c(y));
    int64_t rows = worker_bytes<T>(y, x, space.L), planes = bundled<T>(y, x) ? bundle_bytes<T>(y, x) : 0;
    bytes = image_taps_bytes<T>(map) + ctx.threads * max64(rows, planes);
  });
  return bytes;
}

}  // namespace

void fill_image_warp(Kernels&);
void fill_image(Kernels&);
void fill_image(Kernels& k) {
  fill_image_warp(k);
  k.resample_workspace = resample_workspace;
  k.resample = resample;
  k.pad = pad;
  k.resize_bytes_workspace = resize_bytes_workspace;
  k.resize_bytes = resize_bytes;
  k.grid_sample = grid_sample;
  k.grid_sample_backward = grid_sample_backward;
  k.grid_sample_backward_grid = grid_sample_backward_grid;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
