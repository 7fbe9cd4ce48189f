// image: see table/image.h.
//
// A resampling is separable: the source rows that an output row needs are first summed, with their weights, into one
// row (full vectors), then that row's pixels into output pixels. Where neighbouring outputs are alike the second step
// has full vectors too.
#include "cpu/image/borders.h"
#include "cpu/image/bundle.h"
#include "cpu/image/bytes.h"
#include "cpu/image/pixels.h"
#include "cpu/image/sample.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

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

// Pixels of one tap or none, straight from x; rows h and on that are alike are copied. Gives how many those are. The
// backward of means of 3 x 3, 16 x 64 x 56 x 56: 15.3 ms, 4.9 so with the forward (one core of a Zen 3). One tap is
// compared here: through alike_rows images three times as large took 1.0 ms, not 0.6.
template <class T>
int64_t single_rows(const Resample<T>& r, int64_t n, int64_t c, int64_t d, int64_t h, int64_t left) {
  const Taps<T>&depth = r.t[0], &down = r.t[1], &t = r.t[2];
  const int64_t i = depth.start[d], j = down.start[h];
  T* y = (T*)r.to.at(n, c, d, h);
  if (i == depth.start[d + 1] || j == down.start[h + 1]) {
    __builtin_memset(y, 0, size_t(t.n) * sizeof(T));
    return 1;
  }
  const T* x = (const T*)r.from.at(n, c, depth.index[i], down.index[j]);
  const T w = depth.weight[i] * down.weight[j];
  if (t.each == 1)
    for (int64_t o = 0; o < t.n; o++) y[o] = t.weight[o] * (w * x[t.index[o]]);
  else
    for (int64_t o = 0; o < t.n; o++) {
      const int64_t k = t.start[o];
      y[o] = k == t.start[o + 1] ? T(0) : t.weight[k] * (w * x[t.index[k]]);
    }
  int64_t rows = 1;
  for (; rows < left; rows++) {
    const int64_t k = down.start[h + rows];
    if (k == down.start[h + rows + 1] || down.index[k] != down.index[j] || down.weight[k] != down.weight[j]) break;
    copy_bytes((char*)(y + rows * r.to.stride[3]), (const char*)y, t.n * int64_t(sizeof(T)));
  }
  return rows;
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
// How many of the next `left` rows, h the first, have its taps.
template <class T>
int64_t alike_rows(const Taps<T>& t, int64_t h, int64_t left) {
  const int64_t a = t.start[h], taps = t.start[h + 1] - a;
  int64_t rows = 1;
  for (bool alike = true; rows < left; rows++) {
    const int64_t b = t.start[h + rows];
    alike = t.start[h + rows + 1] - b == taps && t.divisor[h + rows] == t.divisor[h];
    for (int64_t k = 0; alike && k < taps; k++)
      alike = t.index[a + k] == t.index[b + k] && t.weight[a + k] == t.weight[b + k];
    if (!alike) break;
  }
  return rows;
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
    const bool regular = r.t[2].period == 1 && 2 * (r.t[2].last - r.t[2].first) > r.t[2].n;  // row_pixels has vectors
    if (!along_c && r.single && !regular && r.to.direct && r.from.direct)
      return space.runs(ctx, y.shape[4], [&](int, int64_t n, int64_t c, int64_t, int64_t d, int64_t h, int64_t left) {
        return single_rows(r, n, c, d, h, left);
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
  int64_t same = 0;  // rows that the next one repeats: most of them, or nothing is asked for each
  for (int64_t h = 0; !along_c && r.to.direct && h + 1 < r.t[1].n; h++) same += alike_rows(r.t[1], h, 2) - 1;
  const bool repeats = 2 * same > r.t[1].n;
  space.runs(ctx, max64(x.shape[4], y.shape[4]) * space.L,
             [&](int worker, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h, int64_t left) {
               Scratch mine{scratch.at + worker * bytes};
               T *buf[kBatch], *sum = mine.take<T>(r.from.W * space.L), *out = nullptr;
               for (T*& b : buf) b = mine.take<T>(r.from.W * space.L);
               out = r.to.target(n, c, d, h, mine.take<T>(r.to.W * space.L));
               r.row(out, along_c, n, c, L, d, h, sum, buf);
               const int64_t rows = repeats ? alike_rows(r.t[1], h, left) : 1;
               for (int64_t k = 1; k < rows; k++)
                 copy_bytes((char*)(out + k * r.to.stride[3]), (const char*)out, r.to.W * int64_t(sizeof(T)));
               r.to.put(n, c, d, h, L, out);
               return rows;
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
