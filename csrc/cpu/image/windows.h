// Windows of planes, straight from the rows they lie in to the result. As a row of sums or maxima that is stored in
// between they are read across two vectors, which waits until both are there; here those stay in registers.
#pragma once
#include "cpu/image/bundle.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int kMostRows = 16;
// Bytes beyond a row that are fetched with it: rows read side by side are no pattern to the hardware (8 x 64 x 112 x
// 112 on a Zen 3: maxima of 2 x 2 1.39 to 1.04 ms, of 3 x 3 with stride 2 1.54 to 1.42, adaptive to 7 x 7 2.29 to 1.77;
// nothing gained or lost where the image is in the last cache).
constexpr int64_t kAhead = 4096;

// halves: of two or three neighbouring pixels, two further from one output to the next, but for some at the ends, so
// that a vector of outputs takes the even and odd lanes of two. wide: of many neighbours, which share few.
enum class PlaneWindows { none, halves, wide };

// Not at the baseline level, which is compiled for size.
template <class T>
constexpr bool kWindows = kBundles<T> && VBYTES > 16;

// Once a call, for size: inlined and unrolled it took 1.8 KB.
template <class T>
[[gnu::cold]] PlaneWindows windows_of(const RowsOf<T>& from, const Taps<T> (&t)[3]) {
  auto most = [](const Taps<T>& axis) {
    int64_t least = INT64_MAX, rows = 0;
    for (int64_t o = 0; o < axis.n; o++) {
      rows = max64(rows, axis.start[o + 1] - axis.start[o]);
      least = min64(least, axis.start[o + 1] - axis.start[o]);
    }
    return least > 0 ? rows : kMostRows + 1;
  };
  const Taps<T>& w = t[2];
  if (!kWindows<T> || !w.flat || most(t[0]) * most(t[1]) > (from.direct ? kMostRows : kBatch))
    return PlaneWindows::none;
  const int64_t taps = w.start[w.n], of_middle = w.start[w.first + 1] - w.start[w.first];
  if (w.period == 1 && w.step == 2 && w.last - w.first >= lanes<T> && (of_middle == 2 || of_middle == 3))
    return PlaneWindows::halves;
  for (int64_t k = 1; k < taps; k++)
    if (w.weight[k] != w.weight[0]) return PlaneWindows::none;
  return most(w) <= from.W && taps >= 5 * w.n && taps <= 2 * from.W ? PlaneWindows::wide : PlaneWindows::none;
}

// The source rows of output row (d, h), where in their plane they begin, and their weights.
template <class T>
struct WindowRows {
  int n = 0;
  const T* at[kMostRows];
  T weight[kMostRows];
  IndexOf<T> place[kMostRows];
  static __attribute__((always_inline)) void fetch(const char* row, int64_t bytes) {
    for (int64_t k = 0; k < bytes; k += 64) __builtin_prefetch(row + kAhead + k);
  }
  // size: of an element; the compiler knows it where rows are of T.
  inline __attribute__((always_inline)) void find(const RowsOf<T>& from, const Taps<T> (&t)[3], int64_t height,
                                                  const char* plane, int64_t d, int64_t h, int64_t size) {
    for (int64_t a = t[0].start[d]; a < t[0].start[d + 1]; a++)
      for (int64_t b = t[1].start[h]; b < t[1].start[h + 1]; b++) {
        const int64_t i = t[0].index[a], j = t[1].index[b];
        const char* row = plane + (i * from.stride[2] + j * from.stride[3]) * size;
        fetch(row, from.W * size);
        at[n] = (const T*)row;
        weight[n] = t[0].weight[a] * t[1].weight[b];
        place[n++] = IndexOf<T>((i * height + j) * from.W);
      }
  }
  // Where x or y is of another type: up to kBatch rows, converted into buf behind the room for a row of y, which it
  // gives.
  [[gnu::cold, gnu::noinline]] T* convert(const RowsOf<T>& to, const RowsOf<T>& from, const Taps<T> (&t)[3],
                                          int64_t height, int64_t image, int64_t c, int64_t d, int64_t h, Scratch buf) {
    find(from, t, height, from.at(image, c, 0, 0), d, h, from.size);
    T *y = buf.take<T>(to.W), *x = (T*)buf.at;
    for (int r = 0; r < n && !from.direct; r++, x += from.W) {
      row_from_fn<T>(from.dtype)(at[r], from.stride[4], x, from.W);
      at[r] = x;
    }
    return to.target(image, c, d, h, y);
  }
};
// Output rows that follow each other in a plane and differ in nothing but their position, so that finding the first is
// finding all: how far apart they, their places and the rows they are made of lie. kept: rows of one that the next has,
// too.
template <class T>
struct Alike {
  int64_t rows = 1, y = 0, places = 0, x = 0, bytes = 0;
  IndexOf<T> place = 0;
  int kept = 0;
  [[gnu::noinline]] void find(const RowsOf<T>& to, const RowsOf<T>& from, const Taps<T> (&t)[3], int64_t h,
                              int64_t left) {
    const Taps<T>& v = t[1];
    if (v.period != 1 || h < v.first || h >= v.last) return;
    for (left = min64(left, v.last - h); rows < left && v.divisor[h + rows] == v.divisor[h];) rows++;
    y = to.stride[3];
    x = v.step * from.stride[3];
    bytes = from.W * int64_t(sizeof(T));
    place = IndexOf<T>(v.step * from.W);
    if (t[0].each == 1) kept = int(max64(0, v.start[h + 1] - v.start[h] - v.step));
  }
  inline __attribute__((always_inline)) void advance(WindowRows<T>& w) const {
    for (int r = 0; r < w.n; r++) {
      w.at[r] += x;
      w.place[r] += place;
      if (r >= kept) w.fetch((const char*)w.at[r], bytes);
    }
  }
};
// f(Ask<true>) where rows of float32 are read and written where they lie, f(Ask<false>) where they are converted: asked
// for each row, planes of float32 took 2 to 8 % longer.
template <bool Ready>
struct Ask {};
template <class F>
MIELINA_INLINE void where_ready(bool ready, F f) {
  if (ready) f(Ask<true>{});
  else f(Ask<false>{});
}
template <class T>
[[gnu::noinline]] void put_row(const RowsOf<T>& to, int64_t n, int64_t c, int64_t d, int64_t h, const T* row) {
  to.put(n, c, d, h, 1, row);
}

template <class T>
MIELINA_INLINE Mask<Vec<T>> lane_numbers() {
  Mask<Vec<T>> v;
  for (int i = 0; i < lanes<T>; i++) v[i] = i;
  return v;
}

// a's lanes from the second on, then b's first.
MIELINA_INLINE vf32 later_lanes(vf32 a, vf32 b) {
#if MIELINA_V512
  return __builtin_shufflevector(a, b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
#elif MIELINA_V256
  const __m256i middle = _mm256_permute2x128_si256((__m256i)a, (__m256i)b, 0x21);
  return (vf32)_mm256_alignr_epi8(middle, (__m256i)a, 4);
#else
  return __builtin_shufflevector(a, b, 1, 2, 3, 4);
#endif
}

// half_of, of which both halves are wanted: two instructions put the halves of a and b in order, one each takes a half.
template <bool odd>
MIELINA_INLINE vf32 either_half(vf32 a, vf32 b) {
#if MIELINA_V256
  const __m256 low = _mm256_permute2f128_ps((__m256)a, (__m256)b, 0x20),
               high = _mm256_permute2f128_ps((__m256)a, (__m256)b, 0x31);
  return (vf32)_mm256_shuffle_ps(low, high, odd ? 0xdd : 0x88);
#else
  return half_of<odd>(a, b);
#endif
}

// The first rows of a window, in registers: what lies in memory is read again after each store.
template <class T>
struct FirstRows {
  const WindowRows<T>& all;
  const int n = all.n;
  const T *first = all.at[0], *second = all.at[n > 1], *third = all.at[n > 2 ? 2 : 0];
  // f(row, r) for all rows r but the first.
  template <class F>
  inline __attribute__((always_inline)) void others(F f) const {
    if (n > 1) f(second, 1);
    if (n > 2) f(third, 2);
    for (int r = 3; r < n; r++) f(all.at[r], r);
  }
};

// op.many(x, p, n): a vector of n pixels from p on of all rows; op.across(v): lane j is what the lanes of v[j] make.
template <class T, class Op>
[[gnu::noinline]] void wide_windows(const Op& op, const WindowRows<T>& x, const Taps<T>& t) {
  constexpr int64_t N = lanes<T>;
  for (int64_t o = 0; o < t.n; o += N) {
    const int64_t m = min64(N, t.n - o);
    typename Op::Cell v[N] = {};
    for (int64_t j = 0; j < m; j++) {
      const int64_t k = t.start[o + j];
      v[j] = op.many(x, t.index[k], t.start[o + j + 1] - k);
    }
    op.put(op.across(v), o, m);
  }
}

// Outputs [first, last) of a row in vectors, the others one by one. op.rows(x, p, a, b, seen): what the pixels from p
// and from p + N on of all rows make; op.pixel(x, p, seen): what pixel p does, in all lanes; op.half<odd>(a, b): their
// even or odd lanes; op.next(r, v, p): r with v, of pixels p. op.holds(seen): false where the row must be done again.
// An op is a few numbers and nothing wider: written in pieces and read as one vector it would wait for the cache.
template <class T, class Op>
MIELINA_INLINE bool half_row(const Op op, const WindowRows<T>& rows, const Taps<T>& t) {
  constexpr int64_t N = lanes<T>;
  using I = Mask<Vec<T>>;
  Vec<T> seen{}, end{};
  const FirstRows<T> x{rows};
  const int64_t first = t.first, last = t.last, n = t.n, k = t.start[first], from = t.index[k];
  const bool three = t.start[first + 1] - k == 3;
  for (int64_t o = first; o < last; o += N) {
    o = min64(o, last - N);  // the last vector overlaps the one before
    const int64_t p = from + 2 * (o - first);
    const I place = lane_numbers<T>() * 2 + splat<I>(IndexOf<T>(p));
    typename Op::Cell a, b;
    op.rows(x, p, a, b, seen);
    const auto even = op.template half<false>(a, b);
    auto r = op.next(op.first(even, place), op.template half<true>(a, b), place + 1);
    if (three) r = op.next(r, op.later(even, op.pixel(rows, p + 2 * N, end)), place + 2);
    op.put(r, o, N);
  }
  seen += end;  // other vectors' ends are pixels of the next
  for (int64_t o = first > 0 ? 0 : last; o < n; o = o + 1 == first ? last : o + 1) {
    int64_t j = t.start[o];
    auto pixel = [&] { return op.pixel(rows, t.index[j], end); };
    auto place = [&] { return splat<I>(t.index[j]); };
    auto r = op.first(pixel(), place());
    seen += end;
    for (j++; j < t.start[o + 1]; j++, seen += end) r = op.next(r, pixel(), place());
    op.put(r, o, 1);
  }
  return op.holds(seen);
}
template <class T, class Op>
[[gnu::noinline]] void half_windows(Op op, WindowRows<T>& x, const Taps<T>& t, const Alike<T>& alike) {
  for (int64_t row = 0;;) {
    if (!half_row(op, x, t)) [[unlikely]]
      op.again(x, t);
    if (++row == alike.rows) return;
    alike.advance(x);
    op.advance(alike);
  }
}

}  // namespace MIELINA_ISA
}  // namespace mielina
