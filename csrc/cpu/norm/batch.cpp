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
  int64_t channels() const { return max64(1, kGrain / 4 / max64(1, A * B)); }  // a task's
  int64_t grain() const { return max64(1, kGrain / 4 / max64(1, C)); }         // rows a task
};

int64_t batch_norm_workspace(const View& x) noexcept {
  Shape s(x);
  return (s.columns ? 2 * s.chunks + 3 : 2) * s.C * int64_t(sizeof(double));
}

// The statistics of a batch's channel, and what they do to the running ones.
template <class T>
void finish(const Moments& m, int64_t c, double momentum, double eps, const View& mean, const View& rstd,
            const View& running_mean, const View& running_var) {
  if (running_mean.shape[0] != 0) {
    double old_mean = element_of<double>(running_mean, c, 0), old_var = element_of<double>(running_var, c, 0);
    set_element<double>(running_mean, c, (1 - momentum) * old_mean + momentum * m.mean);
    set_element<double>(running_var, c, (1 - momentum) * old_var + momentum * (m.m2 / (m.n - 1)));
  }
  ((T*)mean.data)[c] = T(m.mean);
  ((T*)rstd.data)[c] = T(1 / __builtin_sqrt(m.m2 / m.n + eps));
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

// f(tile of kTile channels, first channel) for each tile; the tile's "elements" are the rows of the matrix.
template <class T, class F>
MIELINA_INLINE void for_tiles(const View& x, int64_t C, F f) {
  for (int64_t c = 0; c < C; c += kTile<T>)
    f(Column<T>{(char*)x.data + c * kDTypeSize[int(x.dtype)], x.stride[0], min64(kTile<T>, C - c), x.dtype}, c);
}

// Sums of rows [begin, end) of a tile: `add(row, acc)` adds one row to four vectors.
template <class T, class F>
MIELINA_INLINE void sum_rows(int64_t begin, int64_t end, T* to, F add) {
  Vec<T> acc[4] = {};
  for (int64_t r = begin; r < end; r++) add(r, acc);
  for (int j = 0; j < 4; j++) store(to + j * lanes<T>, acc[j]);
}

// Means and squared deviations of a chunk of rows, into its slot (mean[C], m2[C]).
template <class T>
void chunk_moments(const View& x, int64_t C, int64_t begin, int64_t end, double* slot) {
  constexpr int64_t L = lanes<T>;
  for_tiles<T>(x, C, [&](const Column<T>& tile, int64_t c0) {
    alignas(64) T in[kTile<T>] = {}, mean[kTile<T>], m2[kTile<T>];
    Moments m[kTile<T>];
    for (int64_t b = begin; b < end; b += kSub) {
      int64_t e = min64(end, b + kSub);
      sum_rows(b, e, mean, [&](int64_t r, Vec<T>* acc) __attribute__((always_inline)) {
        const T* p = tile.get(r, in);
        for (int j = 0; j < 4; j++) acc[j] += load(p + j * L);
      });
      for (int64_t j = 0; j < kTile<T>; j++) mean[j] /= T(e - b);
      sum_rows(b, e, m2, [&](int64_t r, Vec<T>* acc) __attribute__((always_inline)) {
        const T* p = tile.get(r, in);
        for (int j = 0; j < 4; j++) {
          Vec<T> d = load(p + j * L) - load(mean + j * L);
          acc[j] += d * d;
        }
      });
      for (int64_t j = 0; j < tile.width; j++) m[j].merge(double(e - b), double(mean[j]), double(m2[j]));
    }
    for (int64_t j = 0; j < tile.width; j++) slot[c0 + j] = m[j].mean, slot[C + c0 + j] = m[j].m2;
  });
}

// Whether y is worth writing past the caches, `aligned` being a distance in it that whole vectors must fill.
template <class T>
bool streams(const Shape& s, const View& y, int64_t aligned) {
  bool whole = aligned % lanes<T> == 0 && y.stride[0] % lanes<T> == 0 && (uintptr_t)y.data % VBYTES == 0;
  return whole && y.dtype == dtype_of<T> && s.A * s.B * s.C * int64_t(sizeof(T)) >= kStreamBytes;
}

// y = (x - mean) * scale + shift for W channels of some rows: four whole vectors, or w <= lanes<T> channels.
template <class T, int W>
MIELINA_INLINE void affine_tile(T* y, int64_t ys, const T* x, int64_t xs, int64_t rows, int64_t w, const T* mean,
                                const T* scale, const T* shift, bool nt) {
  constexpr int64_t L = lanes<T>;
  Vec<T> m[W], k[W], add[W];
  for (int j = 0; j < W; j++) {
    m[j] = load_part(mean + j * L, w), k[j] = load_part(scale + j * L, w), add[j] = load_part(shift + j * L, w);
  }
  for (int64_t r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int j = 0; j < W; j++) {
      Vec<T> z = fma(load_part(x + r * xs + j * L, w) - m[j], k[j], add[j]);
      if (nt) stream(y + r * ys + j * L, z);
      else store_part(y + r * ys + j * L, z, w);
    }
}
// The same for a whole matrix, by blocks of 4 KB: the three numbers of a channel are loaded once for all rows of one.
template <class T>
void affine_columns(const Ctx& ctx, const Shape& s, const View& y, const View& x, const T* mean, const T* scale,
                    const T* shift) {
  constexpr int64_t L = lanes<T>;
  const bool nt = streams<T>(s, y, s.C), direct = x.dtype == dtype_of<T> && y.dtype == dtype_of<T>;
  const int64_t xs = s.sa, ys = y.stride[0], step = direct ? max64(1, kBlock / s.C) : 1;
  parallel_ranges(ctx, s.A, s.grain(), [&](int64_t b, int64_t e) {
    alignas(64) T in[kBlock], o[kBlock];
    for (int64_t r = b; r < e; r += step) {
      const int64_t rows = min64(step, e - r);
      Row<T> from = row_at<T>(x, r * xs), to = row_at<T>(y, r * ys);
      for_blocks(from, s.C, in, [&](const T* p, int64_t i, int64_t n) {
        T* q = to.out(i, o);
        int64_t j = 0;
        const T *mi = mean + i, *ki = scale + i, *si = shift + i;
        for (; j + 4 * L <= n; j += 4 * L) affine_tile<T, 4>(q + j, ys, p + j, xs, rows, L, mi + j, ki + j, si + j, nt);
        for (; j < n; j += L)
          affine_tile<T, 1>(q + j, ys, p + j, xs, rows, min64(L, n - j), mi + j, ki + j, si + j, nt);
        to.put(i, n, q);
      });
    }
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
    for (int64_t c = 0; c < s.C; c++) {
      Moments m;
      for (int64_t i = 0; i < s.chunks; i++)
        m.merge(double(min64(s.A, (i + 1) * s.rows) - i * s.rows), slots[2 * i * s.C + c],
                slots[(2 * i + 1) * s.C + c]);
      finish<T>(m, c, momentum, eps, mean, rstd, rm, rv);
    }
    coefficients(rs, weight, bias, s.C, scale, shift);
    return affine_columns(ctx, s, y, x, mu, scale, shift);
  }
  parallel_ranges(ctx, s.C, s.channels(), [&](int64_t begin, int64_t end) {
    alignas(64) T in[kBlock];
    for (int64_t c = begin; c < end; c++) {
      Moments m;
      for (int64_t a = 0; a < s.A; a++) add_moments(m, plane<T>(x, a, c), s.B, true, in);
      finish<T>(m, c, momentum, eps, mean, rstd, rm, rv);
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

// ---- backward
// -------------------------------------------------------------------------------------------------------- dx = g scale
// + (x - mean) B + D with scale = w rstd, B = -scale rstd^2 sum(g (x - mean)) / n, D = -scale sum(g) / n.
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
  constexpr int64_t L = lanes<T>;
  for_tiles<T>(x, C, [&](const Column<T>& tile, int64_t c0) {
    Column<T> gt = {(char*)g.data + c0 * kDTypeSize[int(g.dtype)], g.stride[0], tile.width, g.dtype};
    alignas(64) T in[kTile<T>] = {}, gb[kTile<T>] = {}, mu[kTile<T>] = {}, sum[kTile<T>], dot[kTile<T>];
    double sums[2][kTile<T>] = {};
    __builtin_memcpy(mu, mean + c0, size_t(tile.width) * sizeof(T));
    for (int64_t b = begin; b < end; b += kSub) {
      int64_t e = min64(end, b + kSub);
      sum_rows(b, e, sum, [&](int64_t r, Vec<T>* acc) __attribute__((always_inline)) {
        const T* q = gt.get(r, gb);
        for (int j = 0; j < 4; j++) acc[j] += load(q + j * L);
      });
      sum_rows(b, e, dot, [&](int64_t r, Vec<T>* acc) __attribute__((always_inline)) {
        const T *p = tile.get(r, in), *q = gt.get(r, gb);
        for (int j = 0; j < 4; j++) acc[j] += load(q + j * L) * (load(p + j * L) - load(mu + j * L));
      });
      for (int64_t j = 0; j < tile.width; j++) sums[0][j] += double(sum[j]), sums[1][j] += double(dot[j]);
    }
    for (int64_t j = 0; j < tile.width; j++) slot[c0 + j] = sums[0][j], slot[C + c0 + j] = sums[1][j];
  });
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
  for (int64_t c = 0; c < s.C; c++) {
    double sum = 0, dot = 0;
    for (int64_t i = 0; i < s.chunks; i++) sum += slots[2 * i * s.C + c], dot += slots[(2 * i + 1) * s.C + c];
    Gradient<T> k = gradient_of(sum, dot, double(s.A), c, rs[c], training, dw, db, weight);
    scale[c] = k.scale, B[c] = k.B, D[c] = k.D;
  }
  parallel_ranges(ctx, s.A, s.grain(), [&](int64_t begin, int64_t end) {
    alignas(64) T in[kBlock], gb[kBlock], o[kBlock];
    for (int64_t r = begin; r < end; r++) {
      Row<T> xr = row_at<T>(x, r * s.sa), to = row_at<T>(dx, r * dx.stride[0]);
      for_blocks(row_at<T>(g, r * g.stride[0]), s.C, gb, [&](const T* q, int64_t i, int64_t n) {
        const T* p = xr.get(i, n, in);
        T* d = to.out(i, o);
        for_vectors<T>(n, [&](int64_t j, int64_t w) __attribute__((always_inline)) {
          // Outside training x has no part in its gradient: 0 times a NaN of x would be NaN.
          Vec<T> rest = training ? fma(load_part(p + j, w) - load_part(mu + i + j, w), load_part(B + i + j, w),
                                       load_part(D + i + j, w))
                                 : Vec<T>{};
          store_part(d + j, fma(load_part(q + j, w), load_part(scale + i + j, w), rest), w);
        });
        to.put(i, n, d);
      });
    }
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
