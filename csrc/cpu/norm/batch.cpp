// Batch normalisation: see table/norm.h. Two layouts, without a copy of either: planes (a channel is A runs of B
// pixels) and columns (channels lie side by side: channels-last images and matrices).
//
// Training: a channel of planes is one task, which reads it from memory once where it fits the L2 cache (16x64x56x56:
// 200 KB). Columns are cut into at most 64 chunks of rows with a slot of the workspace each. Inference knows the
// statistics: it makes each channel's numbers once and goes through the planes in the order of memory.
#include "cpu/norm/moments.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kSub = 128;  // rows that are added up in T before they go to double

struct Shape {
  int64_t A, C, B, sa, sc;
  bool columns;
  Shape(const View& x) {
    A = x.shape[0], C = x.shape[1], B = x.shape[2], sa = x.stride[0], sc = x.stride[1];
    columns = B == 1 && (sc == 1 || C == 1);
    rows = max64(kSub, ceil_div(A, 64));
    chunks = ceil_div(A, rows);
  }
  int64_t rows, chunks;
  int64_t channels() const { return max64(1, kGrain / 4 / max64(1, A * B)); }              // a task's
  int64_t grain() const { return max64(1, kGrain / (C > kBlock ? 1 : 4) / max64(1, C)); }  // rows a task
};

int64_t batch_norm_workspace(const View& x) noexcept {
  Shape s(x);
  return (s.columns ? 2 * s.chunks + 3 : 2) * s.C * int64_t(sizeof(double));
}

// What a batch's channel does to the running statistics.
void update_running(const Moments& m, int64_t c, double momentum, const View& running_mean, const View& running_var) {
  if (running_mean.shape[0] == 0) return;
  double old_mean = element_of<double>(running_mean, c, 0), old_var = element_of<double>(running_var, c, 0);
  set_element<double>(running_mean, c, (1 - momentum) * old_mean + momentum * m.mean);
  set_element<double>(running_var, c, (1 - momentum) * old_var + momentum * (m.m2 / (m.n - 1)));
}

// mean and rstd from the running statistics.
template <class T>
void take_running(const View& mean, const View& rstd, const View& running_mean, const View& running_var, int64_t C,
                  double eps) {
  alignas(64) double var[kBlock], inverse[kBlock];
  const vf64 one = splat<vf64>(1), add = splat<vf64>(eps);
  row_from_fn<T>(running_mean.dtype)(running_mean.data, 1, (T*)mean.data, C);
  for_blocks(row_at<double>(running_var, 0), C, var, [&](const double* v, int64_t i, int64_t n) {
    map_vectors(inverse, n, false, [&](int64_t j, int64_t w) __attribute__((always_inline)) {
      return one / sqrt(load_part(v + j, w) + add);
    });
    row_to_fn<double>(dtype_of<T>)(inverse, (T*)rstd.data + i, 1, n);
  });
}

// What a channel is multiplied with and what is added.
template <class T>
void coefficients(const T* rstd, const View& weight, const View& bias, int64_t C, T* scale, T* shift) {
  if (weight.data) row_from_fn<T>(weight.dtype)(weight.data, 1, scale, C);
  for (int64_t c = 0; c < C; c++) scale[c] = weight.data ? rstd[c] * scale[c] : rstd[c];
  if (bias.data) row_from_fn<T>(bias.dtype)(bias.data, 1, shift, C);
  else __builtin_memset(shift, 0, size_t(C) * sizeof(T));
}

template <class T>
MIELINA_INLINE Row<T> plane(const View& v, int64_t a, int64_t c) {
  return row_at<T>(v, a * v.stride[0] + c * v.stride[1]);
}

// Statistics of columns go through memory by panels: some rows of kWide channels, whose partial sums stay in the L1
// cache. Tiles of 64 channels down all rows, 256 bytes of each page, took twice as long on 4096 x 4096.
constexpr int64_t kWide = 512;
constexpr int64_t kRows = 8;
template <class T>
struct Panel {
  const T* p;
  int64_t stride, rows;
  // f(vector, k) for the vector at column j of each row k, l lanes wide.
  template <class F>
  inline __attribute__((always_inline)) void each(int64_t j, int64_t l, F f) const {
    if (rows == kRows && l == lanes<T>)
      for (int64_t k = 0; k < kRows; k++) f(load(p + k * stride + j), k);
    else
      for (int64_t k = 0; k < rows; k++) f(load_part(p + k * stride + j, l), k);
  }
};
// Rows of other dtypes are converted, and those of the next panel fetched: 1 KB of each is too short for the prefetcher
// (float16 of 4096 x 4096, training: 9.2 to 7.1 ms).
template <class T>
Panel<T> panel_of(const View& v, int64_t r, int64_t rows, int64_t c, int64_t w, T* buf) {
  const int64_t size = kDTypeSize[int(v.dtype)];
  const char* at = (const char*)v.data + (r * v.stride[0] + c) * size;
  if (v.dtype == dtype_of<T>) return {(const T*)at, v.stride[0], rows};
  for (int64_t k = 0; k < rows; k++, at += v.stride[0] * size) {
    row_from_fn<T>(v.dtype)(at, 1, buf + k * kWide, w);
    for (int64_t i = 0; i < w * size; i += 64) __builtin_prefetch(at + kRows * v.stride[0] * size + i);
  }
  return {buf, kWide, rows};
}

// Means and squared deviations of a chunk of rows, into its slot (mean[C], m2[C]). Deviations are from the mean of the
// first rows of kPart: what that misses counts at most kPart / kRows times in their squares, and memory is read once.
template <class T>
void chunk_moments(const View& x, int64_t C, int64_t begin, int64_t end, double* slot) {
  constexpr int64_t kPart = 64;
  alignas(64) T buf[kRows * kWide], shift[kWide], sum[kWide], squares[kWide];
  for (int64_t c = 0; c < C; c += kWide) {
    const int64_t w = min64(kWide, C - c);
    for (int64_t b = begin; b < end; b += kPart) {
      const int64_t e = min64(end, b + kPart);
      for (int64_t r = b; r < e; r += kRows) {
        const Panel<T> panel = panel_of<T>(x, r, min64(kRows, e - r), c, w, buf);
        const Vec<T> inverse = splat<Vec<T>>(T(1) / T(panel.rows));
        for_vectors<T>(w, [&](int64_t j, int64_t l) __attribute__((always_inline)) {
          Vec<T> first{}, d{}, d2{};
          if (r == b) {
            panel.each(j, l, [&](Vec<T> v, int64_t) __attribute__((always_inline)) { first += v; });
            store(shift + j, first * inverse);
          } else d = load(sum + j), d2 = load(squares + j);
          const Vec<T> from = load(shift + j);
          panel.each(j, l, [&](Vec<T> v, int64_t) __attribute__((always_inline)) {
            v -= from;
            d += v;
            d2 = fma(v, v, d2);
          });
          store(sum + j, d);
          store(squares + j, d2);
        });
      }
      const double n = double(e - b), share = n / double(e - begin), cross = double(b - begin) * share;
      for (int64_t j = 0; j < w; j++) {
        double &mean = slot[c + j], &m2 = slot[C + c + j];
        if (b == begin) mean = m2 = 0;
        const double off = double(sum[j]), part = double(squares[j]) - off * off / n;
        const double delta = double(shift[j]) + off / n - mean;
        m2 += (part < 0 ? 0 : part) + delta * delta * cross;
        mean += delta * share;
      }
    }
  }
}

// The slots of all chunks in mean and rstd: Moments::merge by vectors of channels, whose divisions are the same for all
// (one by one they took half of the time of 4096 x 4096).
template <class T>
void join_chunks(const Ctx& ctx, const Shape& s, const double* slots, double momentum, double eps, const View& mean,
                 const View& rstd, const View& running_mean, const View& running_var) {
  constexpr int64_t W = 128;
  parallel_ranges(ctx, s.C, 2 * W, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c += W) {
      alignas(64) double mu[W] = {}, m2[W] = {}, inverse[W];
      const int64_t w = min64(W, end - c);
      double n = 0;
      for (int64_t i = 0; i < s.chunks; i++) {
        const double* slot = slots + 2 * i * s.C + c;
        const double count = double(min64(s.A, (i + 1) * s.rows) - i * s.rows), all = n + count;
        const vf64 share = splat<vf64>(count / all), cross = splat<vf64>(n * count / all);
        for_vectors<double>(w, [&](int64_t j, int64_t l) __attribute__((always_inline)) {
          const vf64 old = load(mu + j), delta = load_part(slot + j, l) - old;
          store(m2 + j, load(m2 + j) + (load_part(slot + s.C + j, l) + delta * delta * cross));
          store(mu + j, old + delta * share);
        });
        n = all;
      }
      const vf64 one = splat<vf64>(1), number = splat<vf64>(n), add = splat<vf64>(eps);
      for (int64_t j = 0; j < w; j += lanes<double>) store(inverse + j, one / sqrt(load(m2 + j) / number + add));
      row_to_fn<double>(dtype_of<T>)(mu, (T*)mean.data + c, 1, w);
      row_to_fn<double>(dtype_of<T>)(inverse, (T*)rstd.data + c, 1, w);
      for (int64_t j = 0; j < w; j++) {
        Moments m;
        m.merge(n, mu[j], m2[j]);
        update_running(m, c + j, momentum, running_mean, running_var);
      }
    }
  });
}

// Whether y is worth writing past the caches, `aligned` being a distance in it that whole vectors must fill.
template <class T>
bool streams(const Shape& s, const View& y, int64_t aligned) {
  bool whole = aligned % lanes<T> == 0 && y.stride[0] % lanes<T> == 0 && (uintptr_t)y.data % VBYTES == 0;
  return whole && s.A * s.B * s.C * kDTypeSize[int(y.dtype)] >= kStreamBytes;
}
// n elements of a block go where they belong, unless they were written there.
template <class T>
MIELINA_INLINE void put(const Row<T>& to, int64_t i, int64_t n, const T* from, bool nt) {
  if constexpr (__is_same(T, float))
    if (nt && is_half(to.dtype)) return streamed_row_fn(to.dtype)(from, to.at(i), 1, n);
  to.put(i, n, from);
}

// f(channel, channels, row) for the rows of a task by blocks of channels, whose numbers stay in the L1 cache meanwhile.
template <class F>
MIELINA_INLINE void for_cells(int64_t C, int64_t begin, int64_t end, int64_t step, F f) {
  for (int64_t i = 0; i < C; i += kBlock)
    for (int64_t r = begin; r < end; r += step) f(i, min64(kBlock, C - i), r);
}

// y = (x - mean) * scale + shift for W channels of some rows: four whole vectors, or w <= lanes<T> channels.
template <class T, int W>
MIELINA_INLINE void affine_tile(T* y, int64_t ys, const T* x, int64_t xs, int64_t rows, int64_t w, const T* mean,
                                const T* scale, const T* shift, bool nt) {
  constexpr int64_t L = lanes<T>;
  auto get = [&](const T* p) __attribute__((always_inline)) {
    if constexpr (W > 1) return load(p);
    else return load_part(p, w);
  };
  Vec<T> m[W], k[W], add[W];
#pragma GCC unroll 4
  for (int j = 0; j < W; j++) m[j] = get(mean + j * L), k[j] = get(scale + j * L), add[j] = get(shift + j * L);
  for (int64_t r = 0; r < rows; r++, x += xs, y += ys)
#pragma GCC unroll 4
    for (int j = 0; j < W; j++) {
      Vec<T> z = fma(get(x + j * L) - m[j], k[j], add[j]);
      if (nt) stream(y + j * L, z);
      else if constexpr (W > 1) store(y + j * L, z);
      else store_part(y + j * L, z, w);
    }
}
// The same for a whole matrix: the three numbers of a channel are loaded once for the rows of 4 KB, and for four at
// least (2048x2048 in inference 1.12 to 0.63 ms); but what is written past the caches goes row by row (4096x4096 in
// fours 1.2 times as long). Whole vectors of halves are converted where they lie.
template <class T>
void affine_columns(const Ctx& ctx, const Shape& s, const View& y, const View& x, const T* mean, const T* scale,
                    const T* shift) {
  constexpr int64_t L = lanes<T>;
  const bool nt = streams<T>(s, y, s.C), direct = x.dtype == dtype_of<T> && y.dtype == dtype_of<T>;
  [[maybe_unused]] const bool halves = is_half(x.dtype) && y.dtype == x.dtype;
  const int64_t xs = s.sa, ys = y.stride[0], step = direct ? max64(nt ? 1 : 4, kBlock / s.C) : 1;
  parallel_ranges(ctx, s.A, s.grain(), [&](int64_t b, int64_t e) {
    alignas(64) T in[kBlock], o[kBlock];
    for_cells(s.C, b, e, step, [&](int64_t i, int64_t n, int64_t r) {
      const int64_t rows = min64(step, e - r);
      const Row<T> from = row_at<T>(x, r * xs), to = row_at<T>(y, r * ys);
      const T *mi = mean + i, *ki = scale + i, *si = shift + i;
      if constexpr (kHalfKernels<T>)
        if (halves && n % L == 0) {
          const HalfSource p = as<true>(from, x.dtype).get(i, n, nullptr);
          const HalfTarget q = as<true>(to, x.dtype).out(i, nullptr);
          for (int64_t j = 0; j < n; j += L)
            store_part(q + j, fma(load(p + j) - load(mi + j), load(ki + j), load(si + j)), L, nt);
          return;
        }
      const T* p = from.get(i, n, in);
      T* q = to.out(i, o);
      int64_t j = 0;
      const bool past = nt && direct;
      for (; j + 4 * L <= n; j += 4 * L) affine_tile<T, 4>(q + j, ys, p + j, xs, rows, L, mi + j, ki + j, si + j, past);
      for (; j < n; j += L)
        affine_tile<T, 1>(q + j, ys, p + j, xs, rows, min64(L, n - j), mi + j, ki + j, si + j, past);
      put(to, i, n, q, nt);
    });
    if (nt) stream_fence();
  });
}

// The same for planes, in the order of memory; a large plane is cut.
template <class T>
void affine_planes(const Ctx& ctx, const Shape& s, const View& y, const View& x, const T* mean, const T* scale,
                   const T* shift) {
  constexpr int64_t kPiece = kGrain / 2;
  const int64_t pieces = ceil_div(s.B, kPiece);
  const bool direct = x.dtype == dtype_of<T> && y.dtype == dtype_of<T>;
  const bool nt = direct && streams<T>(s, y, s.B) && y.stride[1] % lanes<T> == 0;
  parallel_ranges(ctx, s.A * s.C * pieces, max64(1, kPiece / s.B), [&](int64_t begin, int64_t end) {
    int64_t a = begin / pieces / s.C, c = begin / pieces % s.C, piece = begin % pieces;
    for (int64_t i = begin; i < end; i++) {
      const int64_t at = piece * kPiece, n = min64(kPiece, s.B - at);
      Row<T> to = row_at<T>(y, a * y.stride[0] + c * y.stride[1] + at), from = row_at<T>(x, a * s.sa + c * s.sc + at);
      if (direct) affine_pixels((T*)to.data, (const T*)from.data, n, mean[c], scale[c], shift[c], nt);
      else affine_segment(to, from, n, mean[c], scale[c], shift[c], false);
      if (++piece == pieces) piece = 0, c++;  // three divisions a piece would cost as much as a plane of 7x7
      if (c == s.C) c = 0, a++;
    }
    if (nt) stream_fence();
  });
}

template <class T>
void batch_norm_of(const Ctx& ctx, const View& y, const View& mean, const View& rstd, const View& rm, const View& rv,
                   const View& x, const View& weight, const View& bias, bool training, double momentum, double eps) {
  Shape s(x);
  const T *mu = (T*)mean.data, *rs = (T*)rstd.data;
  double* slots = (double*)ctx.workspace;
  T *scale = (T*)(slots + (s.columns ? 2 * s.chunks * s.C : 0)), *shift = scale + s.C;
  if (!training) {
    take_running<T>(mean, rstd, rm, rv, s.C, eps);
    coefficients(rs, weight, bias, s.C, scale, shift);
    return (s.columns ? affine_columns<T> : affine_planes<T>)(ctx, s, y, x, mu, scale, shift);
  }
  if (s.columns) {
    parallel_for(ctx, s.chunks, [&](int64_t i, int) {
      chunk_moments<T>(x, s.C, i * s.rows, min64(s.A, (i + 1) * s.rows), slots + 2 * i * s.C);
    });
    join_chunks<T>(ctx, s, slots, momentum, eps, mean, rstd, rm, rv);
    coefficients(rs, weight, bias, s.C, scale, shift);
    return affine_columns(ctx, s, y, x, mu, scale, shift);
  }
  parallel_ranges(ctx, s.C, s.channels(), [&](int64_t begin, int64_t end) {
    alignas(64) T in[kBlock];
    for (int64_t c = begin; c < end; c++) {
      Moments m;
      for (int64_t a = 0; a < s.A; a++) add_moments(m, plane<T>(x, a, c), s.B, true, in);
      update_running(m, c, momentum, rm, rv);
      ((T*)mean.data)[c] = T(m.mean);
      ((T*)rstd.data)[c] = T(1 / __builtin_sqrt(m.m2 / m.n + eps));
      T k = rs[c] * element_of<T>(weight, c, 1), add = element_of<T>(bias, c, 0);
      for (int64_t a = 0; a < s.A; a++) affine_segment(plane<T>(y, a, c), plane<T>(x, a, c), s.B, mu[c], k, add, false);
    }
  });
}
void batch_norm(const Ctx& ctx, const View& y, const View& mean, const View& rstd, const View& rm, const View& rv,
                const View& x, const View& weight, const View& bias, bool training, double momentum,
                double eps) noexcept {
  if (x.dtype == DType::f64)
    batch_norm_of<double>(ctx, y, mean, rstd, rm, rv, x, weight, bias, training, momentum, eps);
  else batch_norm_of<float>(ctx, y, mean, rstd, rm, rv, x, weight, bias, training, momentum, eps);
}

// ---- backward -------------------------------------------------------------------------------------------------------
// dx = g scale + (x - mean) B + D with scale = w rstd, B = -scale rstd^2 sum(g (x - mean)) / n, D = -scale sum(g) / n.
template <class T>
struct Gradient {
  T scale, B, D;
};
template <class T>
Gradient<T> gradient_of(double sum_g, double sum_gx, double n, int64_t c, T rstd, bool training, const View& dw,
                        const View& db, const View& weight) {
  double r = double(rstd), scale = r * double(element_of<T>(weight, c, 1));
  set_element<double>(dw, c, sum_gx * r);
  set_element<double>(db, c, sum_g);
  if (!training) return {T(scale), 0, 0};
  return {T(scale), T(-scale * r * r * sum_gx / n), T(-scale * sum_g / n)};
}

// Sums of g and g (x - mean) over a chunk of rows, into its slot.
template <class T>
void chunk_sums(const View& g, const View& x, int64_t C, int64_t begin, int64_t end, const T* mean, double* slot) {
  alignas(64) T xb[kRows * kWide], gb[kRows * kWide], mu[kWide] = {}, sum[kWide], dot[kWide];
  for (int64_t c = 0; c < C; c += kWide) {
    const int64_t w = min64(kWide, C - c);
    __builtin_memcpy(mu, mean + c, size_t(w) * sizeof(T));
    for (int64_t b = begin; b < end; b += kSub) {
      const int64_t e = min64(end, b + kSub);
      for (int64_t r = b; r < e; r += kRows) {
        const int64_t rows = min64(kRows, e - r);
        const Panel<T> p = panel_of<T>(x, r, rows, c, w, xb), q = panel_of<T>(g, r, rows, c, w, gb);
        for_vectors<T>(w, [&](int64_t j, int64_t l) __attribute__((always_inline)) {
          Vec<T> a{}, d{};
          if (r > b) a = load(sum + j), d = load(dot + j);
          const Vec<T> from = load(mu + j);
          q.each(j, l, [&](Vec<T> v, int64_t k) __attribute__((always_inline)) {
            a += v;
            d += v * (load_part(p.p + k * p.stride + j, l) - from);
          });
          store(sum + j, a);
          store(dot + j, d);
        });
      }
      for (int64_t j = 0; j < w; j++) {
        slot[c + j] = (b == begin ? 0 : slot[c + j]) + double(sum[j]);
        slot[C + c + j] = (b == begin ? 0 : slot[C + c + j]) + double(dot[j]);
      }
    }
  }
}

template <class T>
void backward_columns(const Ctx& ctx, const Shape& s, const View& dx, const View& dw, const View& db, const View& g,
                      const View& x, const View& mean, const View& rstd, const View& weight, bool training) {
  const T *mu = (T*)mean.data, *rs = (T*)rstd.data;
  double* slots = (double*)ctx.workspace;
  T *scale = (T*)(slots + 2 * s.chunks * s.C), *B = scale + s.C, *D = B + s.C;
  parallel_for(ctx, s.chunks, [&](int64_t i, int) {
    chunk_sums<T>(g, x, s.C, i * s.rows, min64(s.A, (i + 1) * s.rows), mu, slots + 2 * i * s.C);
  });
  parallel_ranges(ctx, s.C, 256, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
      double sum = 0, dot = 0;
      for (int64_t i = 0; i < s.chunks; i++) sum += slots[2 * i * s.C + c], dot += slots[(2 * i + 1) * s.C + c];
      Gradient<T> k = gradient_of(sum, dot, double(s.A), c, rs[c], training, dw, db, weight);
      scale[c] = k.scale, B[c] = k.B, D[c] = k.D;
    }
  });
  const bool nt = streams<T>(s, dx, s.C);
  parallel_ranges(ctx, s.A, s.grain(), [&](int64_t begin, int64_t end) {
    alignas(64) T in[kBlock], gb[kBlock], o[kBlock];
    for_cells(s.C, begin, end, 1, [&](int64_t i, int64_t n, int64_t r) {
      const Row<T> xr = row_at<T>(x, r * s.sa), gr = row_at<T>(g, r * g.stride[0]),
                   to = row_at<T>(dx, r * dx.stride[0]);
      const T *p = xr.get(i, n, in), *q = gr.get(i, n, gb);
      T* d = to.out(i, o);
      map_vectors(d, n, nt && to.direct(), [&](int64_t j, int64_t w) __attribute__((always_inline)) {
        // Outside training x has no part in its gradient: 0 times a NaN of x would be NaN.
        Vec<T> rest = training ? fma(load_part(p + j, w) - load_part(mu + i + j, w), load_part(B + i + j, w),
                                     load_part(D + i + j, w))
                               : Vec<T>{};
        return fma(load_part(q + j, w), load_part(scale + i + j, w), rest);
      });
      put(to, i, n, d, nt);
    });
    if (nt) stream_fence();
  });
}

template <class T>
void batch_norm_backward_of(const Ctx& ctx, const View& dx, const View& dw, const View& db, const View& g,
                            const View& x, const View& mean, const View& rstd, const View& weight, bool training) {
  Shape s(x);
  if (s.columns) return backward_columns<T>(ctx, s, dx, dw, db, g, x, mean, rstd, weight, training);
  parallel_ranges(ctx, s.C, s.channels(), [&](int64_t begin, int64_t end) {
    alignas(64) T in[kBlock], gb[kBlock], o[kBlock];
    for (int64_t c = begin; c < end; c++) {
      Vec<T> mu = splat<Vec<T>>(((T*)mean.data)[c]);
      double sum = 0, dot = 0;
      for (int64_t a = 0; a < s.A; a++) {
        Row<T> xr = plane<T>(x, a, c);
        for_blocks(plane<T>(g, a, c), s.B, gb, [&](const T* q, int64_t i, int64_t n) {
          const T* p = xr.get(i, n, in);
          sum += double(sum_vectors<T>(
              n, [&](int64_t j, int64_t w) __attribute__((always_inline)) { return load_part(q + j, w); }));
          dot += double(sum_vectors<T>(n, [&](int64_t j, int64_t w) __attribute__((always_inline)) {
            return load_part(q + j, w) * (load_part(p + j, w) - mu);
          }));
        });
      }
      Gradient<T> k = gradient_of(sum, dot, double(s.A * s.B), c, ((T*)rstd.data)[c], training, dw, db, weight);
      Vec<T> scale = splat<Vec<T>>(k.scale), B = splat<Vec<T>>(k.B), D = splat<Vec<T>>(k.D);
      for (int64_t a = 0; a < s.A; a++) {
        Row<T> xr = plane<T>(x, a, c), to = plane<T>(dx, a, c);
        for_blocks(plane<T>(g, a, c), s.B, gb, [&](const T* q, int64_t i, int64_t n) {
          const T* p = xr.get(i, n, in);
          T* d = to.out(i, o);
          for_vectors<T>(n, [&](int64_t j, int64_t w) __attribute__((always_inline)) {
            Vec<T> rest = training ? fma(load_part(p + j, w) - mu, B, D) : Vec<T>{};
            store_part(d + j, fma(load_part(q + j, w), scale, rest), w);
          });
          to.put(i, n, d);
        });
      }
    }
  });
}
void batch_norm_backward(const Ctx& ctx, const View& dx, const View& dw, const View& db, const View& g, const View& x,
                         const View& mean, const View& rstd, const View& weight, bool training) noexcept {
  if (x.dtype == DType::f64) batch_norm_backward_of<double>(ctx, dx, dw, db, g, x, mean, rstd, weight, training);
  else batch_norm_backward_of<float>(ctx, dx, dw, db, g, x, mean, rstd, weight, training);
}

}  // namespace

void fill_batch_norm(Kernels&);
void fill_batch_norm(Kernels& k) {
  k.batch_norm = batch_norm;
  k.batch_norm_backward = batch_norm_backward;
  k.batch_norm_workspace = batch_norm_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
