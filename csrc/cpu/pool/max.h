// The largest of each window, row by row: of the window's rows first, position by position in full vectors, then of the
// pixels of the row that remains. Where two values are equal (or NaN) the index decides, so that the order of the steps
// does not show.
#pragma once
#include "cpu/image/windows.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <class T>
constexpr bool kFloating = T(0.5) != T(0);
// What a window without pixels gives: the least number of the image's dtype.
template <class T>
T least(DType d) {
  if constexpr (kFloating<T>) return T(-__builtin_inff());
  else return d == DType::u8 ? 0 : INT64_MIN >> (64 - 8 * kDTypeSize[int(d)]);
}

template <class T>
using IndexVec = Mask<Vec<T>>;

// Where v, at a later place than m, takes its place: larger, or NaN.
template <class V>
MIELINA_INLINE Mask<V> replaces(V v, V m) {
  if constexpr (kFloating<Elem<V>>) return (v > m) | is_nan(v);
  else return v > m;
}
// The same for places in any order, i and j: of equal values the first place stays, of NaN the last.
template <class V>
MIELINA_INLINE Mask<V> replaces(V v, V m, Mask<V> i, Mask<V> j) {
  Mask<V> r = (v > m) | ((v == m) & (i < j));
  if constexpr (kFloating<Elem<V>>) r |= is_nan(v) & (~is_nan(m) | (i > j));
  return r;
}

// The larger of two that are numbers.
MIELINA_INLINE vf32 larger_number(vf32 a, vf32 b) {
#if MIELINA_V512
  return (vf32)_mm512_maskz_max_ps(__mmask16(-1), (__m512)a, (__m512)b);
#elif MIELINA_V256
  return (vf32)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return a > b ? a : b;
#endif
}

// A vector of values and where each stood.
template <class T, bool Where>
struct Best {
  Vec<T> m;
  IndexVec<T> i;
  __attribute__((always_inline)) void offer(Vec<T> v, IndexVec<T> at) {
    Mask<Vec<T>> take;
    if constexpr (Where) {
      take = replaces(v, m, at, i);
      i = take ? at : i;
    } else {
      take = replaces(v, m);
    }
    m = take ? v : m;
  }
};

template <class T, bool Where>
struct MaxPool {
  using I = IndexOf<T>;
  using V = Vec<T>;
  static constexpr int64_t N = lanes<T>;
  RowsOf<T> to, from;
  RowsOf<I> places;
  Taps<T> t[3];
  int64_t height;
  T lowest;

  // m (and `where`) = or max= K rows with their places, n elements each. Both have room for whole vectors if `whole`.
  template <int K>
  static void larger(T* m, I* where, const T* const* x, const I* base, int64_t n, bool add, bool whole) {
    for (int64_t i = 0; i < n; i += N) {
      int64_t w = whole ? N : n - i;
      V best = add ? load_part(m + i, w) : load_part(x[0] + i, n - i);
      IndexVec<T> at = splat<IndexVec<T>>(base[0]);
      if (Where && add) at = load_part(where + i, w);
      for (int k = add ? 0 : 1; k < K; k++) {
        V v = load_part(x[k] + i, n - i);
        Mask<V> take = replaces(v, best);
        best = take ? v : best;
        if (Where) at = take ? splat<IndexVec<T>>(base[k]) : at;
      }
      store_part(m + i, best, w);
      if (Where) store_part(where + i, at, w);
    }
  }
  static void larger(int K, T* m, I* where, const T* const* x, const I* base, int64_t n, bool add, bool whole) {
    if (K == 1) larger<1>(m, where, x, base, n, add, whole);
    else if (K == 2) larger<2>(m, where, x, base, n, add, whole);
    else if (K == 3) larger<3>(m, where, x, base, n, add, whole);
    else larger<kBatch>(m, where, x, base, n, add, whole);
  }

  // The window's rows of output row (d, h) as one row of maxima and the places of the rows they came from.
  const T* max_rows(int64_t n, int64_t c, int64_t L, int64_t d, int64_t h, T* m, I* where, T* const* buf,
                    int64_t& pixel) const {
    const T* rows[kBatch];
    I base[kBatch];
    int K = 0;
    bool add = false;
    int64_t d0 = t[0].start[d], d1 = t[0].start[d + 1], h0 = t[1].start[h], h1 = t[1].start[h + 1];
    pixel = from.pixel(L);
    auto flush = [&] {
      if (pixel == L) larger(K, m, where, rows, base, from.W * L, add, true);
      else
        for (int64_t i = 0; i < from.W; i++) {
          const T* at[kBatch];
          for (int k = 0; k < K; k++) at[k] = rows[k] + i * pixel;
          larger(K, m + i * L, where + i * L, at, base, L, add, false);
        }
      add = true;
      K = 0;
    };
    for (int64_t a = d0; a < d1; a++)
      for (int64_t b = h0; b < h1; b++) {
        rows[K] = from.get(n, c, t[0].index[a], t[1].index[b], L, buf[K]);
        base[K] = I((t[0].index[a] * height + t[1].index[b]) * from.W);
        if (++K == kBatch) flush();
      }
    if (K) flush();
    if (!add)
      for (int64_t i = 0; i < from.W * L; i++) {
        m[i] = lowest;
        where[i] = 0;
      }
    pixel = L;
    return m;
  }

  void one_pixel(T* y, I* place, const T* m, const I* where, const Taps<T>& t, int64_t o) const {
    T best = lowest;
    I at = 0;
    for (int64_t k = t.start[o]; k < t.start[o + 1]; k++) {
      T v = m[t.index[k]];
      I i = where[t.index[k]] + I(t.index[k]);
      bool take = k == t.start[o] || v > best || (v == best && i < at) || (v != v && (best == best || i > at));
      best = take ? v : best;
      at = take ? i : at;
    }
    *y = best;
    if (Where) *place = at;
  }
  // Windows `step` apart, a vector of them.
  static void alike_pixels(T* y, I* place, const T* m, const I* where, const Taps<T>& t) {
    const int64_t step = t.step;
    IndexVec<T> ramp;
    for (int i = 0; i < int(N); i++) ramp[i] = I(i * step);
    auto get = [&]<class E>(const E* p) __attribute__((always_inline)) {
      if (step == 1) return load(p);
      if (step == 2) return load_evens(p);
      Vec<E> v;
#pragma GCC unroll 16
      for (int i = 0; i < int(N); i++) v[i] = p[i * step];
      return v;
    };
    for (int64_t o = t.first; o < t.last; o += N) {
      o = max64(t.first, min64(o, t.last - N));  // the last vector overlaps the one before
      int64_t shift = (o - t.first) * step;
      auto place_of = [&](int64_t p) __attribute__((always_inline)) {
        return Where ? get(where + p) + ramp + splat<IndexVec<T>>(I(p)) : ramp;
      };
      Best<T, Where> best{get(m + t.index[t.start[t.first]] + shift), place_of(t.index[t.start[t.first]] + shift)};
      for (int64_t k = t.start[t.first] + 1; k < t.start[t.first + 1]; k++)
        best.offer(get(m + t.index[k] + shift), place_of(t.index[k] + shift));
      store_part(y + o, best.m, t.last - o);
      if (Where) store_part(place + o, best.i, t.last - o);
    }
  }
  // Whether rows have a vector of windows that are alike: their pixels, picked one by one, then beat a window at a time
  // (512 x 1024, windows of 5 to 16 apart: 1.1 to 0.4 ms, 0.3 so; of 64 0.26 and 0.26).
  bool in_vectors() const { return t[2].period == 1 && t[2].step > 0 && t[2].last - t[2].first >= N; }
  // One by one, a window of 4 takes 100 cycles, most of them for wrong guesses (512 x 1024, 4 apart: 3.6 ms, 0.3 so).
  void row_pixels(T* y, I* place, const T* m, const I* where, const Taps<T>& t) const {
    const bool alike = t.period == 1 && t.step > 0 && t.last - t.first >= (t.step > 2 ? N : min64(N, 3));
    int64_t first = alike ? t.first : 0, last = alike ? t.last : 0;
    for (int64_t o = 0; o < first; o++) one_pixel(y + o, place + o, m, where, t, o);
    if (alike) alike_pixels(y, place, m, where, t);
    for (int64_t o = last; o < t.n; o++) one_pixel(y + o, place + o, m, where, t, o);
  }
  void lane_pixels(T* y, int64_t y_pixel, I* place, int64_t place_pixel, const T* m, const I* where, int64_t L,
                   const Taps<T>& t) const {
    for (int64_t o = 0; o < t.n; o++)
      for (int64_t c = 0; c < L; c += N) {
        int64_t w = L - c;
        Best<T, Where> best{splat<V>(lowest), IndexVec<T>{}};
        for (int64_t k = t.start[o]; k < t.start[o + 1]; k++) {
          int64_t p = t.index[k];
          IndexVec<T> at{};
          if (Where) at = load_part(where + p * L + c, w) + splat<IndexVec<T>>(I(p));
          if (k == t.start[o]) best = {load_part(m + p * L + c, w), at};
          else best.offer(load_part(m + p * L + c, w), at);
        }
        store_part(y + o * y_pixel + c, best.m, w);
        if (Where) store_part(place + o * place_pixel + c, best.i, w);
      }
  }
  // Windows of up to nine pixels need no maxima of rows in between: taken in order, they need no comparison of places,
  // either (16 x 64 x 56 x 56 with places on a Zen 3: 2 x 2 583 us by rows, 289 so, 3 x 3 with stride 2 709 and 494).
  // The loops over registers are unrolled by name: with -O2 alone gcc keeps m and i in memory.
  static constexpr int64_t kWide = 4 * N;
  bool small_windows(bool along_c, int64_t L, int64_t d, int64_t h) const {
    int64_t rows = (t[0].start[d + 1] - t[0].start[d]) * (t[1].start[h + 1] - t[1].start[h]);
    return along_c && L >= kWide && from.direct && rows * t[2].start[t[2].n] <= 9 * t[2].n;
  }
  void lane_windows(T* y, I* place, const T* x, int64_t d, int64_t h, int64_t o) const {  // 4 N channels
    V m[4];
    IndexVec<T> i[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      m[j] = splat<V>(lowest);
      i[j] = IndexVec<T>{};
    }
    bool first = true;
    for (int64_t a = t[0].start[d]; a < t[0].start[d + 1]; a++)
      for (int64_t b = t[1].start[h]; b < t[1].start[h + 1]; b++)
        for (int64_t k = t[2].start[o]; k < t[2].start[o + 1]; k++) {
          int64_t id = t[0].index[a], ih = t[1].index[b], iw = t[2].index[k];
          const T* p = x + id * from.stride[2] + ih * from.stride[3] + iw * from.stride[4];
          IndexVec<T> at = splat<IndexVec<T>>(I((id * height + ih) * from.W + iw));
#pragma GCC unroll 4
          for (int j = 0; j < 4; j++) {
            V v = load(p + j * N);
            Mask<V> take = replaces(v, m[j]);
            if (first) take = ~Mask<V>{};
            m[j] = take ? v : m[j];
            if (Where) i[j] = take ? at : i[j];
          }
          first = false;
        }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      store(y + j * N, m[j]);
      if (Where) store(place + j * N, i[j]);
    }
  }
  // Output row (d, h) of channels [c, c + L).
  void row(T* out, I* place, bool along_c, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h, T* sum, I* where,
           T* const* buf) const {
    if constexpr (kBundles<T>) {
      if (small_windows(along_c, L, d, h)) {
        const T* x = (const T*)from.at(n, c, 0, 0);
        int64_t y_pixel = to.pixel(L), place_pixel = places.pixel(L);
        for (int64_t o = 0; o < t[2].n; o++)
          for (int64_t b = 0; b < L; b += kWide) {
            int64_t at = min64(b, L - kWide);  // the last block overlaps the one before
            lane_windows(out + o * y_pixel + at, place + o * place_pixel + at, x + at, d, h, o);
          }
        return;
      }
    }
    int64_t pixel;
    const T* m = max_rows(n, c, L, d, h, sum, where, buf, pixel);
    if (along_c) lane_pixels(out, to.pixel(L), place, places.pixel(L), m, where, L, t[2]);
    else row_pixels(out, place, m, where, t[2]);
  }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
