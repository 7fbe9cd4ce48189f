// softmax: see table/softmax.h. A contiguous row that fits the caches is read once from memory, and each exponential is
// computed once: exp(x - m) waits in y (or on the stack, when y bypasses the caches) until its sum is known.
#include "cpu/rows.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr float kInf = __builtin_inff();

// m = max x. A NaN may get lost here: it makes the sum of exponentials NaN, and with it the row.
template <class T, bool Halves>
T max_row(const Row<T, Halves>& x, int64_t C, T* buf) {
  constexpr int64_t L = lanes<T>;
  Vec<T> a = splat<Vec<T>>(T(-kInf)), b = a, c = a, d = a;
  for_blocks(x, C, buf, [&](auto p, int64_t, int64_t n) {
    int64_t i = 0;
    for (; i + 4 * L <= n; i += 4 * L) {
      a = bounded<false>(load(p + i), a);
      b = bounded<false>(load(p + i + L), b);
      c = bounded<false>(load(p + i + 2 * L), c);
      d = bounded<false>(load(p + i + 3 * L), d);
    }
    for (; i + L <= n; i += L) a = bounded<false>(load(p + i), a);
    if (i < n) b = bounded<false>(first<T>(load_part(p + i, n - i), n - i, T(-kInf)), b);
  });
  return fold_lanes(bounded<false>(bounded<false>(a, b), bounded<false>(c, d)),
                    [](Vec<T> p, Vec<T> q) __attribute__((always_inline)) { return bounded<false>(p, q); });
}

MIELINA_INLINE void fetch_ahead(const void* p) { __builtin_prefetch(p); }
MIELINA_INLINE void fetch_ahead(HalfSource s) { __builtin_prefetch(s.p); }

// sum exp(x - m); the exponentials go to `keep` if it can hold them.
template <class T, bool Halves>
double exp_row(const Row<T, Halves>& x, const Row<T>* keep, int64_t C, T m, T* buf) {
  Vec<T> top = splat<Vec<T>>(m);
  double total = 0;
  for_blocks(x, C, buf, [&](auto p, int64_t i, int64_t n) {
    const auto ahead = p + C;
    T* e = keep ? (T*)keep->data + i : nullptr;
    if (e)
      total += double(sum_vectors<T>(n, [&](int64_t j, int64_t w) __attribute__((always_inline)) {
        fetch_ahead(ahead + j);
        Vec<T> v = exp_below(load_part(p + j, w) - top);
        store_part(e + j, v, w);
        return v;
      }));
    else
      total += double(sum_vectors<T>(n, [&](int64_t j, int64_t w) __attribute__((always_inline)) {
        fetch_ahead(ahead + j);
        return exp_below(load_part(p + j, w) - top);
      }));
  });
  return total;
}

// y = f(x) over a row.
template <class T, bool A, bool B, class F>
MIELINA_INLINE void map_row(const Row<T, A>& y, const Row<T, B>& x, int64_t C, bool nt, T* in, T* o, F f) {
  for_blocks(x, C, in, [&](auto p, int64_t i, int64_t n) {
    const auto to = y.out(i, o);
    map_vectors(to, n, nt, [&](int64_t j, int64_t w) __attribute__((always_inline)) { return f(load_part(p + j, w)); });
    y.put(i, n, to);
  });
}

// p[i] = log p[i], of whole vectors.
template <class T>
[[gnu::noinline]] void logs(T* p, int64_t n) {
  for (int64_t i = 0; i < n; i += lanes<T>) store(p + i, log(load(p + i)));
}

template <class T>
void softmax_columns(const Ctx& ctx, const Rows<T, 2>& rows, bool log) {
  constexpr int64_t L = lanes<T>;
  for_each_column(ctx, rows, [&](const Column<T>(&column)[2]) {
    const Column<T>&y = column[0], &x = column[1];
    const int64_t vectors = x.vectors();
    alignas(64) T in[kTile<T>], o[kTile<T>];
    store(in + (vectors - 1) * L, Vec<T>{});  // the rest of a part of a vector
    Vec<T> top[kTile<T> / L], sum[kTile<T> / L];
    for (int64_t j = 0; j < vectors; j++) {
      top[j] = splat<Vec<T>>(T(-kInf));
      sum[j] = Vec<T>{};
    }
    for (int64_t i = 0; i < rows.C; i++) {
      const T* p = x.get(i, in);
      for (int64_t j = 0; j < vectors; j++) top[j] = bounded<false>(load(p + j * L), top[j]);
    }
    // f(vector, j) of every row of the tile `from` goes to y, or nowhere.
    auto pass = [&](const Column<T>& from, bool write, auto f) __attribute__((always_inline)) {
      for (int64_t i = 0; i < rows.C; i++) {
        const T* p = from.get(i, in);
        T* to = write ? y.out(i, o) : o;
        for (int64_t j = 0; j < vectors; j++) store(to + j * L, f(load(p + j * L), j));
        if (write) y.put(i, to);
      }
    };
    auto add = [&](Vec<T> v, int64_t j) __attribute__((always_inline)) {
      v = exp_below(v - top[j]);
      sum[j] += v;
      return v;
    };
    bool keep = !log && y.direct();
    pass(x, keep, add);
    if (log) logs((T*)sum, vectors * L);
    for (int64_t j = 0; !log && j < vectors; j++) sum[j] = c<Vec<T>>(1) / sum[j];
    if (log) pass(x, true, [&](Vec<T> v, int64_t j) __attribute__((always_inline)) { return (v - top[j]) - sum[j]; });
    else if (keep) pass(y, true, [&](Vec<T> v, int64_t j) __attribute__((always_inline)) { return v * sum[j]; });
    else
      pass(x, true, [&](Vec<T> v, int64_t j) __attribute__((always_inline)) { return exp_below(v - top[j]) * sum[j]; });
  });
}

// ---- short rows -----------------------------------------------------------------------------------------------------
// Rows of a few vectors spend more on their ends than on their elements. Many of them go through each pass together:
// the exponentials are one loop over all, and no row waits for another's maximum, sum or logarithm. Rows of 25 vectors
// of eight gain up to a quarter, of 32 no more, as the passes over what waits take time; not timed with AVX-512.
constexpr int64_t kShortRow = VBYTES == 64 ? 256 : 200, kTogether = 2048,
                  kMany = 64;  // elements of a row, of all; rows

// f(i, w) over the vectors of [0, n): w lanes, all but where n is less. The last one may overlap the one before.
template <class T, class F>
MIELINA_INLINE void cover_vectors(int64_t n, F f) {
  constexpr int64_t L = lanes<T>;
  if (n < L) return f(0, n);
  for (int64_t i = 0; i + L <= n; i += L) f(i, L);
  if (n % L) f(n - L, L);
}
void softmax_short(const Ctx& ctx, const Rows<float, 2>& rows, bool log) {
  constexpr int64_t L = lanes<float>;
  const int64_t C = rows.C, together = min64(kMany, kTogether / C);
  const bool nt = bypass(rows, false);
  parallel_ranges(ctx, rows.count(), max64(1, kGrain / 4 / C), [&](int64_t begin, int64_t end) {
    alignas(64) float xs[kTogether], e[kTogether + L], o[kShortRow], top[kMany];
    alignas(64) double sum[kMany] = {};
    int64_t at[2][kMany];
    const float* x[kMany];
    for (int64_t r = begin; r < end; r += together) {
      const int64_t n = min64(together, end - r);
      for (int k = 0; k < 2; k++) offsets(rows.outer, k, r, n, at[k]);
      for (int64_t j = 0; j < n; j++) {
        const float* p = x[j] = rows.row(1, at[1][j]).get(0, C, xs + j * C);
        vf32 m = splat<vf32>(-kInf);
        cover_vectors<float>(C, [&](int64_t i, int64_t w) __attribute__((always_inline)) {
          m = bounded<false>(first<float>(load_part(p + i, w), w, -kInf), m);
        });
        top[j] = fold_lanes(m, [](vf32 a, vf32 b) __attribute__((always_inline)) { return bounded<false>(a, b); });
        cover_vectors<float>(C, [&, m = splat<vf32>(top[j])](int64_t i, int64_t w) __attribute__((always_inline)) {
          store(e + j * C + i, load_part(p + i, w) - m);  // what is too much the next row covers
        });
      }
      for (int64_t i = 0; i < n * C; i += L) store(e + i, exp_below(load(e + i)));
      for (int64_t j = 0; j < n; j++)
        sum[j] = double(sum_vectors<float>(
            C, [&](int64_t i, int64_t w) __attribute__((always_inline)) { return load_part(e + j * C + i, w); }));
      if (log) logs(sum, n);
      for (int64_t j = 0; j < n; j++) {
        const Row<float> y = rows.row(0, at[0][j]);
        const float* from = log ? x[j] : e + j * C;
        float* q = y.out(0, o);
        const vf32 m = splat<vf32>(top[j]), scale = splat<vf32>(log ? float(sum[j]) : float(1.0 / sum[j]));
        auto result = [&](int64_t i, int64_t w) __attribute__((always_inline)) {
          const vf32 v = load_part(from + i, w);
          return log ? (v - m) - scale : v * scale;
        };
        if (nt) map_vectors(q, C, true, result);
        else
          cover_vectors<float>(
              C, [&](int64_t i, int64_t w) __attribute__((always_inline)) { store_part(q + i, result(i, w), w); });
        y.put(0, C, q);
      }
    }
    if (nt) stream_fence();
  });
}

template <class T, bool Halves>
void softmax_rows(const Ctx& ctx, const Rows<T, 2>& rows, bool log) {
  int64_t C = rows.C;
  bool nt = bypass(rows, Halves);
  for_each_row(ctx, rows, nt, [&](const Row<T>(&r)[2]) {
    alignas(64) T in[kBlock], o[kBlock], xs[kRow], es[kRow];
    const DType d = r[0].dtype;
    const Row<T, Halves> to = as<Halves>(r[0], d), from = gathered(as<Halves>(r[1], d), C, xs);
    Row<T> e = r[0];
    if (C <= kRow && (nt || !e.direct())) e = held(es);
    bool keep = !log && e.direct();
    T m = max_row(from, C, in);
    double s = exp_row(from, keep ? &e : nullptr, C, m, in);
    Vec<T> top = splat<Vec<T>>(m), scale = splat<Vec<T>>(log ? T(__builtin_log(s)) : T(1.0 / s));
    if (log)
      map_row(to, from, C, nt, in, o, [=](Vec<T> v) __attribute__((always_inline)) { return (v - top) - scale; });
    else if (keep) map_row(to, e, C, nt, in, o, [=](Vec<T> v) __attribute__((always_inline)) { return v * scale; });
    else
      map_row(to, from, C, nt, in, o,
              [=](Vec<T> v) __attribute__((always_inline)) { return exp_below(v - top) * scale; });
  });
}
template <class T>
void softmax_of(const Ctx& ctx, const View& y, const View& x, bool log) {
  const Rows<T, 2> rows({&y, &x});
  if (rows.C == 0 || rows.count() == 0) return;
  if (rows.vertical()) return softmax_columns(ctx, rows, log);
  if constexpr (VBYTES > 16 && sizeof(T) == 4) {
    if (rows.C <= kShortRow) return softmax_short(ctx, rows, log);
  }
  if constexpr (kHalfKernels<T>) {
    if (in_halves(y, x)) return softmax_rows<T, true>(ctx, rows, log);
  }
  softmax_rows<T, false>(ctx, rows, log);
}
void softmax(const Ctx& ctx, const View& y, const View& x, bool log) noexcept {
  if (x.dtype == DType::f64) softmax_of<double>(ctx, y, x, log);
  else softmax_of<float>(ctx, y, x, log);
}

// ---- backward -------------------------------------------------------------------------------------------------------
template <class T>
void softmax_backward_columns(const Ctx& ctx, const Rows<T, 3>& rows, bool log) {
  constexpr int64_t L = lanes<T>;
  for_each_column(ctx, rows, [&](const Column<T>(&column)[3]) {
    const Column<T>&dx = column[0], &g = column[1], &y = column[2];
    const int64_t vectors = dx.vectors();
    alignas(64) T gb[kTile<T>], yb[kTile<T>], o[kTile<T>];
    store(gb + (vectors - 1) * L, Vec<T>{});
    store(yb + (vectors - 1) * L, Vec<T>{});
    Vec<T> sum[kTile<T> / L];
    for (int64_t j = 0; j < vectors; j++) sum[j] = Vec<T>{};
    for (int64_t i = 0; i < rows.C; i++) {
      const T *gp = g.get(i, gb), *yp = y.get(i, yb);
      for (int64_t j = 0; j < vectors; j++) sum[j] += log ? load(gp + j * L) : load(gp + j * L) * load(yp + j * L);
    }
    for (int64_t i = 0; i < rows.C; i++) {
      const T *gp = g.get(i, gb), *yp = y.get(i, yb);
      T* to = dx.out(i, o);
      for (int64_t j = 0; j < vectors; j++) {
        Vec<T> v = load(gp + j * L), p = load(yp + j * L);
        store(to + j * L, log ? v - exp_below(p) * sum[j] : p * (v - sum[j]));
      }
      dx.put(i, to);
    }
  });
}

// As softmax_short.
void softmax_backward_short(const Ctx& ctx, const Rows<float, 3>& rows, bool log) {
  const int64_t C = rows.C, together = min64(kMany, kTogether / C);
  const bool nt = bypass(rows, false);
  parallel_ranges(ctx, rows.count(), max64(1, kGrain / 4 / C), [&](int64_t begin, int64_t end) {
    alignas(64) float gs[kTogether], ys[kTogether], o[kShortRow];
    float sum[kMany];
    const float *g[kMany], *y[kMany];
    int64_t at[3][kMany];
    for (int64_t r = begin; r < end; r += together) {
      const int64_t n = min64(together, end - r);
      for (int k = 0; k < 3; k++) offsets(rows.outer, k, r, n, at[k]);
      for (int64_t j = 0; j < n; j++) {
        const float *p = g[j] = rows.row(1, at[1][j]).get(0, C, gs + j * C),
                    *q = y[j] = rows.row(2, at[2][j]).get(0, C, ys + j * C);
        sum[j] = sum_vectors<float>(C, [&](int64_t i, int64_t w) __attribute__((always_inline)) {
          const vf32 v = load_part(p + i, w);
          return log ? v : v * load_part(q + i, w);
        });
      }
      for (int64_t j = 0; j < n; j++) {
        const Row<float> dx = rows.row(0, at[0][j]);
        const float *from = g[j], *prob = y[j];
        float* to = dx.out(0, o);
        const vf32 all = splat<vf32>(sum[j]);
        auto result = [&](int64_t i, int64_t w) __attribute__((always_inline)) {
          const vf32 v = load_part(from + i, w), p = load_part(prob + i, w);
          return log ? v - exp_below(p) * all : p * (v - all);
        };
        if (nt) map_vectors(to, C, true, result);
        else
          cover_vectors<float>(
              C, [&](int64_t i, int64_t w) __attribute__((always_inline)) { store_part(to + i, result(i, w), w); });
        dx.put(0, C, to);
      }
    }
    if (nt) stream_fence();
  });
}

template <class T, bool Halves>
void softmax_backward_rows(const Ctx& ctx, const Rows<T, 3>& rows, bool log) {
  int64_t C = rows.C;
  bool nt = bypass(rows, Halves);
  for_each_row(ctx, rows, nt, [&](const Row<T>(&r)[3]) {
    alignas(64) T in[kBlock], yb[kBlock], o[kBlock], gs[kRow], ys[kRow];
    const DType d = r[0].dtype;
    const Row<T, Halves> to = as<Halves>(r[0], d);
    const Row<T, Halves> gr = gathered(as<Halves>(r[1], d), C, gs), yr = gathered(as<Halves>(r[2], d), C, ys);
    double total = 0;
    for_blocks(gr, C, in, [&](auto p, int64_t i, int64_t n) {
      const auto q = yr.get(i, n, yb);
      total += double(sum_vectors<T>(n, [&](int64_t j, int64_t w) __attribute__((always_inline)) {
        Vec<T> v = load_part(p + j, w);
        return log ? v : v * load_part(q + j, w);
      }));
    });
    Vec<T> sum = splat<Vec<T>>(T(total));
    for_blocks(gr, C, in, [&](auto p, int64_t i, int64_t n) {
      const auto q = yr.get(i, n, yb);
      const auto dx = to.out(i, o);
      map_vectors(dx, n, nt, [&](int64_t j, int64_t w) __attribute__((always_inline)) {
        Vec<T> v = load_part(p + j, w), prob = load_part(q + j, w);
        return log ? v - exp_below(prob) * sum : prob * (v - sum);
      });
      to.put(i, n, dx);
    });
  });
}
template <class T>
void softmax_backward_of(const Ctx& ctx, const View& dx, const View& g, const View& y, bool log) {
  const Rows<T, 3> rows({&dx, &g, &y});
  if (rows.C == 0 || rows.count() == 0) return;
  if (rows.vertical()) return softmax_backward_columns(ctx, rows, log);
  if constexpr (VBYTES > 16 && sizeof(T) == 4) {
    if (rows.C <= kShortRow) return softmax_backward_short(ctx, rows, log);
  }
  if constexpr (kHalfKernels<T>) {
    if (in_halves(dx, g, y)) return softmax_backward_rows<T, true>(ctx, rows, log);
  }
  softmax_backward_rows<T, false>(ctx, rows, log);
}
void softmax_backward(const Ctx& ctx, const View& dx, const View& g, const View& y, bool log) noexcept {
  if (y.dtype == DType::f64) softmax_backward_of<double>(ctx, dx, g, y, log);
  else softmax_backward_of<float>(ctx, dx, g, y, log);
}

// ---- cross entropy --------------------------------------------------------------------------------------------------
template <class T>
MIELINA_INLINE T read(const View& v, int64_t i) {
  T x;
  row_from_fn<T>(v.dtype)((char*)v.data + i * v.stride[0] * kDTypeSize[int(v.dtype)], 1, &x, 1);
  return x;
}
template <class T>
MIELINA_INLINE void write(const View& v, int64_t i, T x) {
  row_to_fn<T>(v.dtype)(&x, (char*)v.data + i * kDTypeSize[int(v.dtype)], 1, 1);
}
template <class T>
MIELINA_INLINE Row<T> row_of(const View& v, int64_t r) {
  return {(char*)v.data + r * v.stride[0] * kDTypeSize[int(v.dtype)], v.shape[1] == 1 ? 1 : v.stride[1], v.dtype};
}
// The weights as a row: a null pointer stands for ones.
template <class T>
MIELINA_INLINE Row<T> row_of(const View& v) {
  return {(char*)v.data, v.data && v.shape[0] != 1 ? v.stride[0] : 1, v.data ? v.dtype : dtype_of<T>};
}
template <class T>
MIELINA_INLINE T weight_of(const Row<T>& w, int64_t c) {
  T x;
  return w.data ? *w.get(c, 1, &x) : T(1);
}

// sum w_c x_c, or sum w_c where x is null.
template <class T>
double weighted_sum(const Row<T>& w, const Row<T>* x, int64_t C, T* in, T* wb) {
  double total = 0;
  for (int64_t i = 0; i < C; i += kBlock) {
    int64_t n = min64(kBlock, C - i);
    const T *q = w.data ? w.get(i, n, wb) : nullptr, *p = x ? x->get(i, n, in) : nullptr;
    total += double(sum_vectors<T>(n, [&](int64_t j, int64_t k) __attribute__((always_inline)) {
      Vec<T> v = p ? load_part(p + j, k) : splat<Vec<T>>(1);
      return q ? v * load_part(q + j, k) : v;
    }));
  }
  return total;
}

int64_t cross_entropy_workspace(const View& x, const CrossEntropy& a) noexcept {
  return a.reduce ? 2 * x.shape[0] * int64_t(sizeof(double)) : 0;
}

template <class T>
void cross_entropy_rows(const Ctx& ctx, const View& loss, const View& lse, const View& divisor, const View& x,
                        const View& target, const View& weight, const CrossEntropy& a) {
  int64_t N = x.shape[0], C = x.shape[1];
  Row<T> w = row_of<T>(weight);
  T* losses = (T*)ctx.workspace;  // what is added up when the losses of the rows are not asked for
  T* weights = losses + N;
  alignas(64) T wbuf[kBlock];
  double all = a.smoothing != 0 ? weighted_sum<T>(w, nullptr, C, nullptr, wbuf) : 0;
  parallel_ranges(ctx, N, max64(1, kGrain / 4 / max64(1, C)), [&](int64_t b, int64_t e) {
    alignas(64) T in[kBlock], wb[kBlock], xs[kRow];
    for (int64_t r = b; r < e; r++) {
      Row<T> row = gathered(row_of<T>(x, r), C, xs);
      T m = max_row(row, C, in);
      double z = double(m) + __builtin_log(exp_row<T>(row, nullptr, C, m, in));
      ((T*)lse.data)[r] = T(z);
      int64_t t = read<int64_t>(target, r);
      bool valid = t >= 0 && t < C;
      T value = 0, wt = 0;
      if (t != a.ignore_index && !valid) value = wt = T(__builtin_nan(""));
      else if (t != a.ignore_index) {
        wt = weight_of(w, t);
        value = wt * T(z - double(*row.get(t, 1, in)));
        if (a.smoothing != 0)
          value = T((1 - a.smoothing) * double(value) +
                    a.smoothing / double(C) * (all * z - weighted_sum(w, &row, C, in, wb)));
      }
      if (a.reduce) losses[r] = value, weights[r] = wt;
      else write<T>(loss, r, value);
    }
  });
  if (!a.reduce) return;
  auto total = [&](const T* p) {
    double s = 0;
    for (int64_t i = 0; i < N; i += kBlock)
      s += double(sum_vectors<T>(min64(kBlock, N - i), [&](int64_t j, int64_t k) __attribute__((always_inline)) {
        return load_part(p + i + j, k);
      }));
    return s;
  };
  double d = a.mean ? total(weights) : 1;
  *(T*)divisor.data = T(d);
  write<T>(loss, 0, T(total(losses) / d));
}
void cross_entropy(const Ctx& ctx, const View& loss, const View& lse, const View& divisor, const View& x,
                   const View& target, const View& weight, CrossEntropy a) noexcept {
  if (x.dtype == DType::f64) cross_entropy_rows<double>(ctx, loss, lse, divisor, x, target, weight, a);
  else cross_entropy_rows<float>(ctx, loss, lse, divisor, x, target, weight, a);
}

template <class T>
void cross_entropy_backward_rows(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& lse,
                                 const View& divisor, const View& target, const View& weight, const CrossEntropy& a) {
  int64_t N = x.shape[0], C = x.shape[1];
  Row<T> w = row_of<T>(weight);
  alignas(64) T wbuf[kBlock];
  double smooth = a.smoothing / double(C), all = smooth != 0 ? weighted_sum<T>(w, nullptr, C, nullptr, wbuf) : 0;
  parallel_ranges(ctx, N, max64(1, kGrain / 4 / max64(1, C)), [&](int64_t b, int64_t e) {
    alignas(64) T in[kBlock], wb[kBlock], ob[kBlock];
    for (int64_t r = b; r < e; r++) {
      Row<T> from = row_of<T>(x, r), to = row_of<T>(dx, r);
      int64_t t = read<int64_t>(target, r);
      bool ignored = t == a.ignore_index, valid = t >= 0 && t < C;
      double gr = ignored ? 0 : valid ? double(read<T>(g, r)) / double(*(T*)divisor.data) : __builtin_nan("");
      // d loss / d x_j = g ((A) p_j - (1 - s) w_t [j = t] - s / C w_j), A = (1 - s) w_t + s / C sum_c w_c.
      double hot = ignored || !valid ? gr : gr * (1 - a.smoothing) * double(weight_of(w, t));
      Vec<T> z = splat<Vec<T>>(((T*)lse.data)[r]), scale = splat<Vec<T>>(T(hot + gr * smooth * all));
      Vec<T> spread = splat<Vec<T>>(T(gr * smooth));
      for (int64_t i = 0; i < C; i += kBlock) {
        int64_t n = min64(kBlock, C - i);
        T* o = to.out(i, ob);
        if (ignored) __builtin_memset(o, 0, size_t(n) * sizeof(T));
        else {
          const T *p = from.get(i, n, in), *q = smooth != 0 && w.data ? w.get(i, n, wb) : nullptr;
          map_vectors(o, n, false, [&](int64_t j, int64_t k) __attribute__((always_inline)) {
            Vec<T> v = exp_below(load_part(p + j, k) - z) * scale;
            return smooth == 0 ? v : v - (q ? spread * load_part(q + j, k) : spread);
          });
          if (t >= i && t < i + n) o[t - i] -= T(hot);
        }
        to.put(i, n, o);
      }
    }
  });
}
void cross_entropy_backward(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& lse,
                            const View& divisor, const View& target, const View& weight, CrossEntropy a) noexcept {
  if (x.dtype == DType::f64) cross_entropy_backward_rows<double>(ctx, dx, g, x, lse, divisor, target, weight, a);
  else cross_entropy_backward_rows<float>(ctx, dx, g, x, lse, divisor, target, weight, a);
}

// ---- picking --------------------------------------------------------------------------------------------------------
// Runs of rows that are picked from: where the first of `one` and of the rows lies, how far apart the next are, and
// their classes; -2 where the target does not count, -1 where it is no class.
struct Picked {
  int64_t one, rows, one_step, rows_step, n;
  const int64_t* classes;
};
void for_picked(const Ctx& ctx, const View& one, const View& rows, const View& target, int64_t ignore, const void* self,
                void (*f)(const void* self, const Picked&)) {
  View outer = rows;
  outer.ndim--;
  const int64_t C = rows.shape[outer.ndim];
  const Space<3> s({&one, &outer, &target});
  const int64_t last = s.ndim - 1, step[3] = {s.stride[0][last], s.stride[1][last], s.stride[2][last]};
  parallel_ranges(ctx, s.n, kGrain / 4, [&](int64_t b, int64_t e) {
    int64_t classes[kBlock];
    for_runs(s, b, e - b, [&](const int64_t (&at)[3], int64_t run) {
      for (int64_t i = 0; i < run; i += kBlock) {
        const int64_t n = min64(kBlock, run - i), *t = (const int64_t*)s.data[2] + at[2] + i * step[2];
        for (int64_t j = 0; j < n; j++) {
          const int64_t c = t[j * step[2]];
          classes[j] = c == ignore ? -2 : uint64_t(c) < uint64_t(C) ? c : -1;
        }
        f(self, {at[0] + i * step[0], at[1] + i * step[1], step[0], step[1], n, classes});
      }
    });
  });
}
// f(Picked), of which all types share the walk.
template <class F>
void for_picked(const Ctx& ctx, const View& one, const View& rows, const View& target, int64_t ignore, const F& f) {
  for_picked(ctx, one, rows, target, ignore, &f, [](const void* self, const Picked& p) { (*(const F*)self)(p); });
}

// Numbers of T without weights are read and written where they lie: through the functions a pixel of 4 x 2 x 128 x 128
// took 16 ns, with what the loop needs behind references 4.
template <class T>
void pick_of(const Ctx& ctx, const View& y, const View& x, const View& target, const View& weight, int64_t ignore) {
  const Row<T> w = row_of<T>(weight);
  const auto get = row_from_fn<T>(x.dtype);
  const auto put = row_to_fn<T>(y.dtype);
  const int64_t xs = kDTypeSize[int(x.dtype)], ys = kDTypeSize[int(y.dtype)], step = x.stride[x.ndim - 1];
  const bool plain = x.dtype == dtype_of<T> && y.dtype == dtype_of<T> && !w.data;
  const T none = T(__builtin_nan(""));
  for_picked(ctx, y, x, target, ignore, [&](const Picked& p) {
    if (plain) {
      const T* from = (const T*)x.data + p.rows;
      T* to = (T*)y.data + p.one;
      for (int64_t j = 0; j < p.n; j++, from += p.rows_step, to += p.one_step) {
        const int64_t c = p.classes[j];
        *to = c >= 0 ? -from[c * step] : c == -2 ? T(0) : none;
      }
      return;
    }
    for (int64_t j = 0; j < p.n; j++) {
      const int64_t c = p.classes[j];
      T v = c == -2 ? T(0) : none;
      if (c >= 0) {
        get((char*)x.data + (p.rows + j * p.rows_step + c * step) * xs, 1, &v, 1);
        v = -weight_of(w, c) * v;
      }
      put(&v, (char*)y.data + (p.one + j * p.one_step) * ys, 1, 1);
    }
  });
}
void pick(const Ctx& ctx, const View& y, const View& x, const View& target, const View& weight,
          int64_t ignore) noexcept {
  if (x.dtype == DType::f64) pick_of<double>(ctx, y, x, target, weight, ignore);
  else pick_of<float>(ctx, y, x, target, weight, ignore);
}

template <class T>
void unpick_of(const Ctx& ctx, const View& dx, const View& g, const View& target, const View& weight, int64_t ignore) {
  const Row<T> w = row_of<T>(weight);
  const auto get = row_from_fn<T>(g.dtype);
  const auto put = row_to_fn<T>(dx.dtype);
  const int64_t gs = kDTypeSize[int(g.dtype)], xs = kDTypeSize[int(dx.dtype)], step = dx.stride[dx.ndim - 1];
  const bool plain = g.dtype == dtype_of<T> && dx.dtype == dtype_of<T> && !w.data;
  for_picked(ctx, g, dx, target, ignore, [&](const Picked& p) {
    if (plain) {
      const T* from = (const T*)g.data + p.one;
      T* to = (T*)dx.data + p.rows;
      for (int64_t j = 0; j < p.n; j++, from += p.one_step, to += p.rows_step) {
        const int64_t c = p.classes[j];
        if (c >= 0) to[c * step] = -*from;
      }
      return;
    }
    for (int64_t j = 0; j < p.n; j++) {
      const int64_t c = p.classes[j];
      if (c < 0) continue;
      T v;
      get((char*)g.data + (p.one + j * p.one_step) * gs, 1, &v, 1);
      v = -weight_of(w, c) * v;
      put(&v, (char*)dx.data + (p.rows + j * p.rows_step + c * step) * xs, 1, 1);
    }
  });
}
void unpick(const Ctx& ctx, const View& dx, const View& g, const View& target, const View& weight,
            int64_t ignore) noexcept {
  if (dx.dtype == DType::f64) unpick_of<double>(ctx, dx, g, target, weight, ignore);
  else unpick_of<float>(ctx, dx, g, target, weight, ignore);
}

}  // namespace

void fill_softmax(Kernels& k) {
  k.softmax = softmax;
  k.softmax_backward = softmax_backward;
  k.cross_entropy = cross_entropy;
  k.cross_entropy_workspace = cross_entropy_workspace;
  k.cross_entropy_backward = cross_entropy_backward;
  k.pick = pick;
  k.unpick = unpick;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
