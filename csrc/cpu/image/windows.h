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
  // size: of an element; the compiler knows it where rows are of T.
  inline __attribute__((always_inline)) void find(const RowsOf<T>& from, const Taps<T> (&t)[3], int64_t height,
                                                  const char* plane, int64_t d, int64_t h, int64_t size) {
    for (int64_t a = t[0].start[d]; a < t[0].start[d + 1]; a++)
      for (int64_t b = t[1].start[h]; b < t[1].start[h + 1]; b++) {
        const int64_t i = t[0].index[a], j = t[1].index[b];
        const char* row = plane + (i * from.stride[2] + j * from.stride[3]) * size;
        for (int64_t k = 0; k < from.W; k += 64 / size) __builtin_prefetch(row + kAhead + k * size);
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
  return __builtin_shufflevector(a, b, 1, 2, 3, 4, 5, 6, 7, 8);
#else
  return __builtin_shufflevector(a, b, 1, 2, 3, 4);
#endif
}

// A vector of outputs, whose windows begin at pixels p, p + 2, ... and have the taps from k on. op.rows(x, p, a, b):
// what the pixels from p and from p + N on of all rows make; op.pixel(x, p): what pixel p does, in all lanes;
// op.half<odd>(a, b): their even or odd lanes; op.next(r, v, k, p): with r, v as the window's tap k, of pixels p.
template <class T, class Op>
MIELINA_INLINE typename Op::Cell half_block(const Op& op, const WindowRows<T>& x, int64_t p, int64_t k, bool three) {
  using I = Mask<Vec<T>>;
  const I place = lane_numbers<T>() * 2 + splat<I>(IndexOf<T>(p));
  typename Op::Cell a, b;
  op.rows(x, p, a, b);
  const auto even = op.template half<false>(a, b);
  auto r = op.next(op.first(even, k, place), op.template half<true>(a, b), k + 1, place + 1);
  if (three) r = op.next(r, op.later(even, op.pixel(x, p + 2 * lanes<T>)), k + 2, place + 2);
  return r;
}
// fast(...) gives what op does, or says that it cannot.
template <class T, class Op, class Fast>
[[gnu::noinline]] void half_windows(const Op& op, const Fast& fast, const WindowRows<T>& x, const Taps<T>& t) {
  constexpr int64_t N = lanes<T>;
  using I = Mask<Vec<T>>;
  const int64_t first = t.first, last = t.last, n = t.n, k = t.start[first], from = t.index[k];
  const bool three = t.start[first + 1] - k == 3;
  for (int64_t o = first; o < last; o += N) {
    o = min64(o, last - N);  // the last vector overlaps the one before
    const int64_t p = from + 2 * (o - first);
    const auto r = half_block(fast, x, p, k, three);
    if (fast.holds(r)) [[likely]]
      fast.put(r, o, N);
    else op.put(half_block(op, x, p, k, three), o, N);
  }
  for (int64_t o = first > 0 ? 0 : last; o < n; o = o + 1 == first ? last : o + 1) {
    auto place = [&](int64_t j) { return splat<I>(t.index[j]); };
    int64_t j = t.start[o];
    auto r = op.first(op.pixel(x, t.index[j]), j, place(j));
    for (j++; j < t.start[o + 1]; j++) r = op.next(r, op.pixel(x, t.index[j]), j, place(j));
    op.put(r, o, 1);
  }
}

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

}  // namespace MIELINA_ISA
}  // namespace mielina
