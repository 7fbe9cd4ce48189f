// image: see table/image.h.
//
// A resampling is separable: the source rows that an output row needs are first summed, with their weights, into one
// row (full vectors), then that row's pixels into output pixels. Where neighbouring outputs are alike the second step
// has full vectors too.
#include "cpu/image/bytes.h"
#include "cpu/image/rows.h"
#include "cpu/image/sample.h"

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
  for (int k = 0; k < K; k++) weight[k] = splat<Vec<T>>(w[k]);
  for (int64_t i = 0; i < n; i += N) {
    Vec<T> first = load_part(x[0] + i, n - i),
           s = add ? madd<T>(weight[0], first, load_part(r + i, whole ? N : n - i)) : weight[0] * first;
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

// ---- pixels of one row
// -----------------------------------------------------------------------------------------------
template <class T>
MIELINA_INLINE T sum_run(const T* p, int64_t n) {
  Vec<T> s[2] = {};
  int64_t i = 0;
  for (; i + 2 * lanes<T> <= n; i += 2 * lanes<T>) {
    s[0] += load(p + i);
    s[1] += load(p + i + lanes<T>);
  }
  T total = hsum(s[0] + s[1]);
  for (; i < n; i++) total += p[i];
  return total;
}

template <class T>
MIELINA_INLINE T one_pixel(const T* p, const Taps<T>& t, int64_t o) {
  int64_t at = t.start[o], n = t.start[o + 1] - at;
  if (n == 0) return T(0);
  T w = t.weight[at];
  if (t.flat && n >= 4 * lanes<T>) return sum_run(p + t.index[at], n) * w;
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
template <class T, int Period, int Step>
void alike_pixels(T* y, const T* p, const Taps<T>& t) {
  constexpr int64_t N = lanes<T> * Period;
  for (int64_t o = t.first; o < t.last; o += N) {
    o = min64(o, t.last - N);  // the last vector overlaps the one before
    int64_t shift = (o - t.first) / Period * Step;
    Vec<T> a = alike_rows<T, Step>(p, t, t.first, shift);
    if constexpr (Period == 1) store(y + o, a);
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
template <class T>
void row_pixels(T* y, const T* p, const Taps<T>& t, T divisor, bool divides) {
  void (*alike)(T*, const T*, const Taps<T>&) = nullptr;
  if (t.last - t.first < lanes<T> * t.period) alike = nullptr;
  else if (t.period == 2) alike = t.step == 1 ? alike_pixels<T, 2, 1> : nullptr;
  else if (t.step == 0) alike = alike_pixels<T, 1, 0>;
  else if (t.step == 1) alike = alike_pixels<T, 1, 1>;
  else if (t.step == 2) alike = alike_pixels<T, 1, 2>;
  if (alike) {
    some_pixels(y, p, t, 0, t.first);
    alike(y, p, t);
    some_pixels(y, p, t, t.last, t.n);
  } else {
    some_pixels(y, p, t, 0, t.n);
  }
  if (divides)
    for (int64_t o = 0; o < t.n; o++) y[o] /= divisor * t.divisor[o];
}

template <class T>
void lane_pixels(T* y, int64_t y_pixel, const T* p, int64_t pixel, int64_t L, const Taps<T>& t, T divisor,
                 bool divides) {
  for (int64_t o = 0; o < t.n; o++) {
    int64_t at = t.start[o], end = t.start[o + 1];
    Vec<T> div = splat<Vec<T>>(divisor * t.divisor[o]);
    for (int64_t c = 0; c < L; c += lanes<T>) {
      int64_t m = L - c;
      Vec<T> s{};
      if (at < end) s = splat<Vec<T>>(t.weight[at]) * load_part(p + t.index[at] * pixel + c, m);
      for (int64_t k = at + 1; k < end; k++)
        s = madd<T>(splat<Vec<T>>(t.weight[k]), load_part(p + t.index[k] * pixel + c, m), s);
      store_part(y + o * y_pixel + c, divides ? s / div : s, m);
    }
  }
}

// ---- resampling
// ------------------------------------------------------------------------------------------------------ A worker's
// rows: kBatch converted ones, their sum, the output.
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
};

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
  space.run(ctx, max64(x.shape[4], y.shape[4]) * space.L,
            [&](int worker, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h) {
              Scratch mine{scratch.at + worker * bytes};
              T *buf[kBatch], *sum = mine.take<T>(r.from.W * space.L), *out = nullptr;
              for (T*& b : buf) b = mine.take<T>(r.from.W * space.L);
              out = r.to.target(n, c, d, h, mine.take<T>(r.to.W * space.L));
              int64_t pixel;
              const T* p = r.sum_rows(n, c, L, d, h, sum, buf, pixel);
              T divisor = r.divisor * r.t[0].divisor[d] * r.t[1].divisor[h];
              if (!along_c) row_pixels(out, p, r.t[2], divisor, r.divides);
              else lane_pixels(out, r.to.pixel(L), p, pixel, L, r.t[2], divisor, r.divides);
              r.to.put(n, c, d, h, L, out);
            });
}

// ---- borders: every output is one input
// ------------------------------------------------------------------------------------------------------
bool only_moves(const ImageMap& map) {
  bool moves = !map.transposed && map.divisor == 0;
  for (const AxisMap& m : map.axis)
    moves &= m.kind == AxisKind::reflect || m.kind == AxisKind::replicate || m.kind == AxisKind::circular ||
             (m.kind == AxisKind::window && m.in == 1 && m.out == 1 && m.divide == Divide::none);
  return moves;
}
MIELINA_INLINE void copy_bytes(char* to, const char* from, int64_t n) {
  if (n < VBYTES) return (void)__builtin_memcpy(to, from, size_t(n));
  for (int64_t i = 0; i < n; i += VBYTES) {
    i = min64(i, n - VBYTES);  // the last vector overlaps the one before
    store(to + i, load(from + i));
  }
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
    bytes = image_taps_bytes<T>(map) + ctx.threads * worker_bytes<T>(y, x, space.L);
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
  k.resize_bytes_workspace = resize_bytes_workspace;
  k.resize_bytes = resize_bytes;
  k.grid_sample = grid_sample;
  k.grid_sample_backward = grid_sample_backward;
  k.grid_sample_backward_grid = grid_sample_backward_grid;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
