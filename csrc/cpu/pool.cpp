// pool: see table/pool.h.
//
// Max pooling takes the larger of the window's rows first, position by position in full vectors, then of the pixels of
// the row that remains. Where two values are equal (or NaN) the index decides, so that the order of the steps does not
// show.
#include "cpu/image/windows.h"
#include "cpu/pool/columns.h"
#include "cpu/pool/planes.h"

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
  template <int Step>
  static void alike_pixels(T* y, I* place, const T* m, const I* where, const Taps<T>& t) {
    IndexVec<T> ramp;
    for (int i = 0; i < int(N); i++) ramp[i] = I(i * Step);
    auto get = []<class E>(const E* p) __attribute__((always_inline)) {
      if constexpr (Step == 1) return load(p);
      else return load_evens(p);
    };
    for (int64_t o = t.first; o < t.last; o += N) {
      o = max64(t.first, min64(o, t.last - N));  // the last vector overlaps the one before
      int64_t shift = (o - t.first) * Step;
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
  void row_pixels(T* y, I* place, const T* m, const I* where, const Taps<T>& t) const {
    bool alike = t.period == 1 && (t.step == 1 || t.step == 2) && t.last - t.first >= min64(N, 3);
    int64_t first = alike ? t.first : 0, last = alike ? t.last : 0;
    for (int64_t o = 0; o < first; o++) one_pixel(y + o, place + o, m, where, t, o);
    if (alike && t.step == 1) alike_pixels<1>(y, place, m, where, t);
    else if (alike) alike_pixels<2>(y, place, m, where, t);
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

// Planar windows (image/windows.h). place is null where the places are not asked for. Numbers: the sum of what a row
// took shows whether there was NaN, which would take a comparison each; infinities of both signs look like it.
template <class T, bool Where, bool Numbers>
struct MaxWindows {
  using V = Vec<T>;
  using I = IndexVec<T>;
  static constexpr int64_t N = lanes<T>;
  using Cell = Best<T, Where>;
  T* y;
  IndexOf<T>* place;

  // Of a place after all those before.
  static __attribute__((always_inline)) void take(Cell& a, V v, I at) {
    const Mask<V> later = Numbers ? v > a.m : replaces(v, a.m);
    if constexpr (Where) a.i = later ? at : a.i;
    if constexpr (Numbers && !Where) a.m = larger_number(v, a.m);
    else a.m = later ? v : a.m;
  }
  __attribute__((always_inline)) void rows(const FirstRows<T>& x, int64_t p, Cell& a, Cell& b, V& sum) const {
    const I at = splat<I>(x.all.place[0]);
    a = {load(x.first + p), at};
    b = {load(x.first + p + N), at};
    V s = a.m + b.m;
    x.others([&](const T* row, int r) __attribute__((always_inline)) {
      const I next = splat<I>(x.all.place[r]);
      const V v = load(row + p), w = load(row + p + N);
      take(a, v, next);
      take(b, w, next);
      s += v + w;
    });
    sum += s;
  }
  __attribute__((always_inline)) Cell pixel(const WindowRows<T>& x, int64_t p, V& sum) const {
    Cell a{splat<V>(x.at[0][p]), splat<I>(x.place[0])};
    sum = a.m;
    for (int r = 1; r < x.n; r++) {
      const V v = splat<V>(x.at[r][p]);
      take(a, v, splat<I>(x.place[r]));
      sum += v;
    }
    return a;
  }
  template <bool odd>
  __attribute__((always_inline)) Cell half(const Cell& a, const Cell& b) const {
    return {either_half<odd>(a.m, b.m), (I)either_half<odd>((V)a.i, (V)b.i)};
  }
  __attribute__((always_inline)) Cell later(const Cell& a, const Cell& b) const {
    return {later_lanes(a.m, b.m), (I)later_lanes((V)a.i, (V)b.i)};
  }
  __attribute__((always_inline)) Cell first(Cell v, I p) const {
    v.i += p;
    return v;
  }
  __attribute__((always_inline)) Cell next(Cell r, const Cell& v, I p) const {
    if constexpr (Where) {
      const I at = v.i + p;
      const Mask<V> take = (v.m > r.m) | ((v.m == r.m) & (at < r.i));
      r.m = take ? v.m : r.m;
      r.i = take ? at : r.i;
    } else {
      r.m = larger_number(v.m, r.m);
    }
    return r;
  }
  void advance(const Alike<T>& alike) {
    y += alike.y;
    if (Where) place += alike.places;
  }
  __attribute__((always_inline)) bool holds(V sum) const { return !any_lane(is_nan(sum)); }
  void again(const WindowRows<T>& x, const Taps<T>& t) const {
    wide_windows(MaxWindows<T, true, false>{y, place}, x, t);
  }
  // Lanes beyond n repeat the first pixel.
  __attribute__((always_inline)) Cell many(const WindowRows<T>& x, int64_t p, int64_t n) const {
    const I ramp = lane_numbers<T>(), inside = ramp < splat<I>(IndexOf<T>(n)), shift = inside & ramp;
    auto get = [&](const T* at) __attribute__((always_inline)) {
      return n >= N ? load(at) : inside ? load_n(at, n) : splat<V>(*at);
    };
    Cell best;
    for (int64_t i = 0; i < n; i += N) {
      const int64_t at = p + max64(0, min64(i, n - N));  // the last vector overlaps the one before
      const I from = shift + splat<I>(IndexOf<T>(at));
      Cell c{get(x.at[0] + at), from + splat<I>(x.place[0])};
      for (int r = 1; r < x.n; r++) take(c, get(x.at[r] + at), from + splat<I>(x.place[r]));
      if (i == 0) best = c;
      else best.offer(c.m, c.i);
    }
    return best;
  }
  __attribute__((always_inline)) Cell across(Cell (&v)[N]) const {
    V m[N];
    vu32 i[N];
    for (int j = 0; j < N; j++) {
      m[j] = v[j].m;
      i[j] = (vu32)v[j].i;
    }
    transpose(m);
    transpose(i);
    Cell best{m[0], (I)i[0]};
    for (int j = 1; j < N; j++) best.offer(m[j], (I)i[j]);
    return best;
  }
  __attribute__((always_inline)) void put(const Cell& r, int64_t o, int64_t n) const {
    store_part(y + o, r.m, n);
    if (Where && place) store_part(place + o, r.i, n);
  }
};

// Elements of a row of maxima: outputs of a row that are fewer than a vector are read as one.
template <class T>
int64_t row_room(int64_t W, int64_t L) {
  return W * L + 2 * lanes<T>;
}

// A worker's rows: kBatch converted ones, their maximum and its places, the output and its places.
template <class T>
int64_t max_worker_bytes(const View& y, const View& x, int64_t L) {
  constexpr int64_t size = sizeof(T);
  return kBatch * round_up(x.shape[4] * L * size) + 2 * round_up(row_room<T>(x.shape[4], L) * size) +
         2 * round_up(y.shape[4] * L * size);
}

// In a bundle: the image, its maxima and their places, and the maximum of rows.
template <class T>
int64_t max_bundle_bytes(const View& y, const View& x) {
  int64_t in = Planes<T>::bytes(x), out = Planes<T>::bytes(y), N = lanes<T>;
  return max64(in, out) + in + 2 * out + 2 * round_up(row_room<T>(x.shape[4], N) * int64_t(sizeof(T)));
}
template <class T, bool Where>
void max_pool_bundles(const Ctx& ctx, const View& y, const View& index, const View& x, const MaxPool<T, Where>& p,
                      const Scratch& scratch) {
  using I = IndexOf<T>;
  constexpr int64_t N = lanes<T>;
  const Planes<T> to(y), from(x);
  const Planes<I> places(Where ? index : y);
  run_bundles<N>(ctx, scratch, max_bundle_bytes<T>(y, x), y.shape[0] * y.shape[1], to.pixels + from.pixels,
                 [&](Scratch mine, int64_t q, int64_t n) {
                   T *buf = mine.take<T>(N * max64(to.pixels, from.pixels)), *in = mine.take<T>(N * from.pixels),
                     *out = mine.take<T>(N * to.pixels), *none[kBatch] = {};
                   I* place = mine.take<I>(N * to.pixels);
                   T* sum = mine.take<T>(row_room<T>(x.shape[4], N));
                   I* where = mine.take<I>(row_room<T>(x.shape[4], N));
                   from.get(q, n, in, buf);
                   MaxPool<T, Where> b = p;
                   b.from = Planes<T>::rows(x, in);
                   b.to = Planes<T>::rows(y, out);
                   b.places = Planes<I>::rows(y, place);
                   for (int64_t d = 0; d < y.shape[2]; d++)
                     for (int64_t h = 0; h < y.shape[3]; h++)
                       b.row(b.to.target(0, 0, d, h, nullptr), b.places.target(0, 0, d, h, nullptr), true, 0, 0, N, d,
                             h, sum, where, none);
                   to.put(q, n, out, buf);
                   if (Where) places.put(q, n, place, (I*)buf);
                 });
}

template <class T, bool Where>
void max_pool_as(const Ctx& ctx, const View& y, const View& index, const View& x, const ImageMap& map) {
  using I = IndexOf<T>;
  bool along_c = lanes_along_c(x) && lanes_along_c(y);
  RowSpace space(y, x, along_c);
  MaxPool<T, Where> p{
      RowsOf<T>(y, along_c), RowsOf<T>(x, along_c), RowsOf<I>(Where ? index : y, along_c), {}, x.shape[3],
      least<T>(x.dtype)};
  Scratch scratch{(char*)ctx.workspace};
  make_image_taps(p.t, map, false, scratch);
  int64_t bytes = max_worker_bytes<T>(y, x, space.L);
  if constexpr (kBundles<T>)
    if (bundled<T>(y, x) && (!Where || even_planes(index))) return max_pool_bundles(ctx, y, index, x, p, scratch);
  if constexpr (kWindows<T>)
    if (const PlaneWindows windows = windows_of(p.from, p.t); !along_c && windows != PlaneWindows::none)
      return where_ready(p.from.direct && p.to.direct, [&]<bool Ready>(Ask<Ready>) {
        space.runs(ctx, max64(x.shape[4], y.shape[4]),
                   [&](int worker, int64_t n, int64_t c, int64_t, int64_t d, int64_t h, int64_t left) {
                     WindowRows<T> rows;
                     Alike<T> alike;
                     Scratch mine{scratch.at + worker * bytes};
                     I* place = nullptr;
                     if (Where) place = p.places.target(n, c, d, h, mine.take<I>(p.to.W));
                     T* out = (T*)p.to.at(n, c, d, h);
                     if (Ready) rows.find(p.from, p.t, p.height, p.from.at(n, c, 0, 0), d, h, sizeof(T));
                     else out = rows.convert(p.to, p.from, p.t, p.height, n, c, d, h, mine);
                     if (windows == PlaneWindows::wide) {
                       wide_windows(MaxWindows<T, true, false>{out, place}, rows, p.t[2]);
                     } else {
                       if (Ready && (!Where || p.places.direct)) alike.find(p.to, p.from, p.t, h, left);
                       if (Where) alike.places = p.places.stride[3];
                       half_windows(MaxWindows<T, Where, true>{out, place}, rows, p.t[2], alike);
                     }
                     if (!Ready) put_row(p.to, n, c, d, h, out);
                     if (Where) p.places.put(n, c, d, h, 1, place);
                     return alike.rows;
                   });
      });
  space.run(ctx, max64(x.shape[4], y.shape[4]) * space.L,
            [&](int worker, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h) {
              Scratch mine{scratch.at + worker * bytes};
              T* buf[kBatch];
              for (T*& b : buf) b = mine.take<T>(p.from.W * space.L);
              T* sum = mine.take<T>(row_room<T>(p.from.W, space.L));
              I* where = mine.take<I>(row_room<T>(p.from.W, space.L));
              T* out = p.to.target(n, c, d, h, mine.take<T>(p.to.W * space.L));
              I* place = mine.take<I>(p.to.W * space.L);
              if (Where) place = p.places.target(n, c, d, h, place);
              p.row(out, place, along_c, n, c, L, d, h, sum, where, buf);
              p.to.put(n, c, d, h, L, out);
              if (Where) p.places.put(n, c, d, h, L, place);
            });
}

// f64 also stands in where an index does not fit 32 bits.
template <class F>
void with_max_type(DType d, const View& image, F f) {
  bool large = image.shape[2] * image.shape[3] * image.shape[4] > INT32_MAX;
  if (d == DType::f64 || (large && (d == DType::f32 || d == DType::f16 || d == DType::bf16))) f(double{});
  else if (d == DType::f32 || d == DType::f16 || d == DType::bf16) f(float{});
  else f(int64_t{});
}

int64_t max_pool_workspace(const Ctx& ctx, const View& y, const View& x, const ImageMap& map) noexcept {
  int64_t bytes = 0;
  with_max_type(x.dtype, x, [&]<class T>(T) {
    RowSpace space(y, x, lanes_along_c(x) && lanes_along_c(y));
    int64_t rows = max_worker_bytes<T>(y, x, space.L), planes = bundled<T>(y, x) ? max_bundle_bytes<T>(y, x) : 0;
    bytes = image_taps_bytes<T>(map) + ctx.threads * max64(rows, planes);
  });
  return bytes;
}
void max_pool(const Ctx& ctx, const View& y, const View& index, const View& x, const ImageMap& map) noexcept {
  with_max_type(x.dtype, x, [&]<class T>(T) {
    if (index.data) max_pool_as<T, true>(ctx, y, index, x, map);
    else max_pool_as<T, false>(ctx, y, index, x, map);
  });
}

// ---- backward -------------------------------------------------------------------------------------------------------
// Channels-last, and in bundles: each task owns rows of dx and looks in every window that covers a pixel whether the
// pixel was its largest: full vectors along C, each dx written once for a row of windows. Planes of windows of two or
// three pixels, two apart, do so along W. In other planes a task adds the gradients where they belong.

// Pixels 2 j + shift and the next one, low <= j < high, are in window j; of windows of three the second one is also in
// the window after it.
struct Pairs {
  int64_t low = 0, high = 0, shift = 0, windows = 0;
  bool three = false;

  template <class T>
  [[gnu::cold]] static Pairs of(const ImageMap& map) {
    Pairs p;
    for (const AxisMap& m : map.axis)
      if (m.kind != AxisKind::window || m.dilation != 1) return p;
    const AxisMap &d = map.axis[0], &h = map.axis[1], &w = map.axis[2];
    if (!kWindows<T> || d.kernel > d.stride || h.kernel > h.stride + 1 || w.stride != 2 ||
        (w.kernel != 2 && w.kernel != 3))
      return p;
    p.three = w.kernel == 3;
    p.windows = w.out;
    p.shift = w.kernel - 2 - w.padding;
    p.low = p.shift < 0;
    p.high = min64(w.out, (w.in - p.shift) / 2);
    return p;
  }
  bool fill(int64_t lanes) const { return high - low >= lanes; }
};

template <class T>
struct MaxBackward {
  using I = IndexOf<T>;
  using V = Vec<T>;
  static constexpr int64_t N = lanes<T>;
  RowsOf<T> to, from;
  RowsOf<I> places;
  Taps<T> t[3];
  int64_t height;
  Pairs pairs;

  static int64_t bundle_bytes(const View& dx, const View& g) {
    int64_t in = Planes<T>::bytes(g), out = Planes<T>::bytes(dx);
    return max64(in, out) + 2 * in + out;
  }
  static int64_t worker_bytes(const View& dx, const View& g, int64_t L) {
    return round_up(dx.shape[4] * L * int64_t(sizeof(T))) + 2 * round_up(g.shape[4] * L * int64_t(sizeof(T)));
  }
  // B vectors of channels of pixel i from a row of windows; B == 1: up to a vector, w channels.
  template <int B>
  __attribute__((always_inline)) void add_pixel(T* out, const T* g, const I* index, int64_t g_pixel,
                                                int64_t index_pixel, int64_t w, int64_t i, I here, bool add) const {
    auto get = [&](const auto* p, int b) __attribute__((always_inline)) {
      if constexpr (B == 1) return load_part(p, w);
      else return load(p + b * N);
    };
    V s[B];
#pragma GCC unroll 4
    for (int b = 0; b < B; b++) s[b] = add ? get(out, b) : V{};
    for (int64_t k = t[2].start[i]; k < t[2].start[i + 1]; k++) {
      const T* v = g + t[2].index[k] * g_pixel;
      const I* at = index + t[2].index[k] * index_pixel;
#pragma GCC unroll 4
      for (int b = 0; b < B; b++) s[b] += get(at, b) == splat<IndexVec<T>>(here) ? get(v, b) : V{};
    }
#pragma GCC unroll 4
    for (int b = 0; b < B; b++)
      if constexpr (B == 1) store_part(out, s[b], w);
      else store(out + b * N, s[b]);
  }
  void add_row(T* out, const T* g, const I* index, int64_t g_pixel, int64_t index_pixel, int64_t L, int64_t base,
               bool add) const {
    constexpr int B = kWindows<T> ? 4 : 1;
    for (int64_t i = 0; i < to.W; i++, out += to.pixel(L)) {
      int64_t c = 0;
      for (; B > 1 && c + B * N <= L; c += B * N)
        add_pixel<B>(out + c, g + c, index + c, g_pixel, index_pixel, L, i, I(base + i), add);
      for (; c < L; c += N) add_pixel<1>(out + c, g + c, index + c, g_pixel, index_pixel, L - c, i, I(base + i), add);
    }
  }
  // Row (d, h) of dx, channels [c, c + L).
  void row(T* out, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h, T* up, I* where) const {
    bool add = false;
    for (int64_t j = t[0].start[d]; j < t[0].start[d + 1]; j++)
      for (int64_t k = t[1].start[h]; k < t[1].start[h + 1]; k++, add = true) {
        int64_t od = t[0].index[j], oh = t[1].index[k];
        const T* g = from.get(n, c, od, oh, L, up);
        const I* at = places.get(n, c, od, oh, L, where);
        add_row(out, g, at, from.pixel(L), places.pixel(L), L, (d * height + h) * to.W, add);
      }
    for (int64_t i = 0; i < to.W && !add; i++) __builtin_memset(out + i * to.pixel(L), 0, size_t(L) * sizeof(T));
  }

  // One or two rows of windows and two rows of dx that they have, y1 perhaps a buffer; place: of y0's first pixel.
  struct RowPair {
    const T* g[2];
    const I* at[2];
    T *y0, *y1;
    I place;
    int n = 0;
  };
  template <bool three>
  static void pair_row(const RowPair x, const Pairs p, I W) {
    const IndexVec<T> start = lane_numbers<T>() * 2 + splat<IndexVec<T>>(x.place);
    for (int64_t j = p.low; j < p.high; j += N) {
      j = min64(j, p.high - N);  // the last vector overlaps the one before
      const int64_t o = 2 * j + p.shift;
      const IndexVec<T> here = start + splat<IndexVec<T>>(I(o)), below = here + splat<IndexVec<T>>(W);
      V a{}, b{}, c{}, d{};
      auto add = [&](const T* g, const I* at) __attribute__((always_inline)) {
        V v = load(g + j);
        IndexVec<T> i = load(at + j);
        a += i == here ? v : V{};
        b += i == here + 1 ? v : V{};
        c += i == below ? v : V{};
        d += i == below + 1 ? v : V{};
        if (!three) return;
        const bool more = j + N < p.windows;
        v = more ? load(g + j + 1) : later_lanes(v, V{});
        i = more ? load(at + j + 1) : (IndexVec<T>)later_lanes((V)i, (V)splat<IndexVec<T>>(-1));
        b += i == here + 1 ? v : V{};
        d += i == below + 1 ? v : V{};
      };
      add(x.g[0], x.at[0]);
      if (x.n == 2) add(x.g[1], x.at[1]);
      interleave(a, b, a, b);
      interleave(c, d, c, d);
      store(x.y0 + o, a);
      store(x.y0 + o + N, b);
      store(x.y1 + o, c);
      store(x.y1 + o + N, d);
    }
  }
  // Pixels beyond the pairs of a row of dx, one by one.
  [[gnu::noinline]] void edges(const RowPair& x, T* y, I place) const {
    const int64_t first = 2 * pairs.low + pairs.shift, last = 2 * pairs.high + pairs.shift;
    for (int64_t i = first > 0 ? 0 : last; i < to.W; i = i + 1 == first ? last : i + 1) {
      T s = 0;
      for (int r = 0; r < x.n; r++)
        for (int64_t k = t[2].start[i]; k < t[2].start[i + 1]; k++)
          if (x.at[r][t[2].index[k]] == place + I(i)) s += x.g[r][t[2].index[k]];
      y[i] = s;
    }
  }
  // Rows of dx of a plane from (d, h) on, at most `left`; gives how many: two at a time where rows repeat so. Looking
  // for a pixel in a row of windows that does not have it finds nothing.
  [[gnu::noinline]] int64_t pair_rows(int64_t n, int64_t c, int64_t d, int64_t h, int64_t left, T* buf) const {
    const Taps<T>& v = t[1];
    const int64_t count = v.period == 2 && v.step == 1 && h >= v.first ? min64(left, v.last - h) / 2 : 0,
                  rows = count > 0 ? 2 : 1, from_step = from.stride[3], place_step = places.stride[3],
                  to_step = 2 * to.stride[3];
    RowPair x;
    x.y0 = (T*)to.at(n, c, d, h);
    x.y1 = rows == 2 ? x.y0 + to.stride[3] : buf;
    x.place = I((d * height + h) * to.W);
    for (int64_t j = t[0].start[d]; j < t[0].start[d + 1]; j++)
      for (int64_t k = v.start[h], last = -1; k < v.start[h + rows]; k++)
        if (v.index[k] > last) {
          last = v.index[k];
          x.g[x.n] = (const T*)from.at(n, c, t[0].index[j], last);
          x.at[x.n++] = (const I*)places.at(n, c, t[0].index[j], last);
        }
    if (x.n == 0) {
      __builtin_memset(x.y0, 0, size_t(to.W) * sizeof(T));
      return 1;
    }
    const bool ends = 2 * pairs.low + pairs.shift > 0 || 2 * pairs.high + pairs.shift < to.W;
    x.g[1] = x.n == 2 ? x.g[1] : x.g[0];
    x.at[1] = x.n == 2 ? x.at[1] : x.at[0];
    for (int64_t i = 0;;) {
      if (pairs.three) pair_row<true>(x, pairs, I(to.W));
      else pair_row<false>(x, pairs, I(to.W));
      if (ends) {
        edges(x, x.y0, x.place);
        edges(x, x.y1, x.place + I(to.W));
      }
      if (++i >= count) return rows * i;
      x.g[0] += from_step;
      x.g[1] += from_step;
      x.at[0] += place_step;
      x.at[1] += place_step;
      x.y0 += to_step;
      x.y1 += to_step;
      x.place += I(2 * to.W);
    }
  }
};

template <class T>
void max_backward_bundles(const Ctx& ctx, const View& dx, const View& g, const View& index, const MaxBackward<T>& p,
                          const Scratch& scratch) {
  using I = IndexOf<T>;
  constexpr int64_t N = lanes<T>;
  const Planes<T> to(dx), from(g);
  const Planes<I> places(index);
  run_bundles<N>(ctx, scratch, p.bundle_bytes(dx, g), dx.shape[0] * dx.shape[1], to.pixels + from.pixels,
                 [&](Scratch mine, int64_t q, int64_t n) {
                   T *buf = mine.take<T>(N * max64(to.pixels, from.pixels)), *up = mine.take<T>(N * from.pixels),
                     *out = mine.take<T>(N * to.pixels);
                   I* at = mine.take<I>(N * from.pixels);
                   from.get(q, n, up, buf);
                   places.get(q, n, at, (I*)buf);
                   MaxBackward<T> b = p;
                   b.from = Planes<T>::rows(g, up);
                   b.to = Planes<T>::rows(dx, out);
                   b.places = Planes<I>::rows(g, at);
                   for (int64_t d = 0; d < dx.shape[2]; d++)
                     for (int64_t h = 0; h < dx.shape[3]; h++)
                       b.row(b.to.target(0, 0, d, h, nullptr), 0, 0, N, d, h, nullptr, nullptr);
                   to.put(q, n, out, buf);
                 });
}

// How dx is made: row by row, or else plane by plane. A map without outputs has no windows at all.
enum class MaxForm { planes, lanes, bundles, pairs };
template <class T>
[[gnu::cold]] MaxForm max_form(const View& dx, const View& g, const ImageMap& map) {
  if (map.axis[0].out == 0) return MaxForm::planes;
  if (lanes_along_c(dx) && lanes_along_c(g)) return MaxForm::lanes;
  if (bundled<T>(dx, g)) return MaxForm::bundles;
  return Pairs::of<T>(map).fill(lanes<T>) && RowsOf<T>(dx, false).direct && RowsOf<T>(g, false).direct
             ? MaxForm::pairs
             : MaxForm::planes;
}
template <class T>
void max_backward_rows(const Ctx& ctx, const View& dx, const View& g, const View& index, const ImageMap& map,
                       MaxForm form) {
  using I = IndexOf<T>;
  const bool along_c = form != MaxForm::pairs;
  RowSpace space(dx, g, along_c);
  MaxBackward<T> b{RowsOf<T>(dx, along_c), RowsOf<T>(g, along_c), RowsOf<I>(index, along_c), {}, dx.shape[3],
                   Pairs::of<T>(map)};
  Scratch scratch{(char*)ctx.workspace};
  make_image_taps(b.t, map, true, scratch);
  if constexpr (kBundles<T>)
    if (form == MaxForm::bundles) return max_backward_bundles(ctx, dx, g, index, b, scratch);
  int64_t bytes = b.worker_bytes(dx, g, space.L);
  if constexpr (kWindows<T>)
    if (form == MaxForm::pairs)
      return space.runs(ctx, b.to.W,
                        [&](int worker, int64_t n, int64_t c, int64_t, int64_t d, int64_t h, int64_t left) {
                          return b.pair_rows(n, c, d, h, left, (T*)(scratch.at + worker * bytes));
                        });
  space.run(ctx, dx.shape[4] * space.L, [&](int worker, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h) {
    Scratch mine{scratch.at + worker * bytes};
    T *out = b.to.target(n, c, d, h, mine.take<T>(b.to.W * space.L)), *up = mine.take<T>(b.from.W * space.L);
    I* where = mine.take<I>(b.from.W * space.L);
    b.row(out, n, c, L, d, h, up, where);
    b.to.put(n, c, d, h, L, out);
  });
}

int64_t max_pool_backward_workspace(const Ctx& ctx, const View& dx, const View& g, const ImageMap& map) noexcept {
  int64_t bytes = 0;
  with_plane_type(dx, [&]<class T>(T) {
    using B = MaxBackward<T>;
    const MaxForm form = max_form<T>(dx, g, map);
    bytes = ctx.threads * plane_bytes<T>(dx, g);
    if (form == MaxForm::planes) return;
    int64_t rows = B::worker_bytes(dx, g, RowSpace(dx, g, true).L), planes = B::bundle_bytes(dx, g);
    bytes = max64(bytes, image_taps_bytes<T>(map) + ctx.threads * (form == MaxForm::bundles ? planes : rows));
  });
  return bytes;
}
void max_pool_backward(const Ctx& ctx, const View& dx, const View& g, const View& index, const ImageMap& map) noexcept {
  with_plane_type(dx, [&]<class T>(T) {
    MaxForm form = max_form<T>(dx, g, map);
    if ((form == MaxForm::bundles && !even_planes(index)) ||
        (form == MaxForm::pairs && !RowsOf<IndexOf<T>>(index, false).direct))
      form = MaxForm::planes;
    if (form == MaxForm::planes) scatter_planes<T, true>(ctx, dx, g, index);
    else max_backward_rows<T>(ctx, dx, g, index, map, form);
  });
}

}  // namespace

void fill_pool(Kernels&);
void fill_pool(Kernels& k) {
  k.max_pool_workspace = max_pool_workspace;
  k.max_pool = max_pool;
  k.max_pool_backward_workspace = max_pool_backward_workspace;
  k.max_pool_backward = max_pool_backward;
  k.plane_workspace = plane_workspace;
  k.plane_gather = plane_gather;
  k.plane_scatter = plane_scatter;
  k.unfold = unfold;
  k.fold = fold;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
