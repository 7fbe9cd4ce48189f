// Maxima of planar windows that go straight from their rows to the result.
#pragma once
#include "cpu/pool/max.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

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

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
