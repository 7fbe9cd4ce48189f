// norm: layer, group and rms normalisation; see table/norm.h. Batch normalisation stands in norm/batch.cpp.
#include "cpu/norm/moments.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// y = (x - mean) * scale, times weight, plus bias; each may be missing.
template <class T, bool Halves>
void affine_row(const Row<T, Halves>& y, const Row<T, Halves>& x, int64_t n, T mean, T rstd, const Row<T>* weight,
                const Row<T>* bias, bool nt) {
  alignas(64) T in[kBlock], o[kBlock], wb[kBlock], bb[kBlock];
  Vec<T> m = splat<Vec<T>>(mean), s = splat<Vec<T>>(rstd);
  for_blocks(x, n, in, [&](auto p, int64_t i, int64_t k) {
    const auto to = as<Halves>(y, x.dtype).out(i, o);
    const T *w = weight ? weight->get(i, k, wb) : nullptr, *b = bias ? bias->get(i, k, bb) : nullptr;
    auto z = [&](int64_t j, int64_t l) __attribute__((always_inline)) { return (load_part(p + j, l) - m) * s; };
    if (w && b)
      map_vectors(to, k, nt, [&](int64_t j, int64_t l) __attribute__((always_inline)) {
        return fma(z(j, l), load_part(w + j, l), load_part(b + j, l));
      });
    else if (w)
      map_vectors(to, k, nt,
                  [&](int64_t j, int64_t l) __attribute__((always_inline)) { return z(j, l) * load_part(w + j, l); });
    else if (b)
      map_vectors(to, k, nt,
                  [&](int64_t j, int64_t l) __attribute__((always_inline)) { return z(j, l) + load_part(b + j, l); });
    else map_vectors(to, k, nt, z);
    y.put(i, k, to);
  });
}

// Two rows of one block at once, which load weight and bias once: a row of 1024 takes 4 loads a vector else.
template <class T, bool Halves>
void affine_pair(const Row<T, Halves>* y, const Row<T, Halves>* x, int64_t n, const T* mean, const T* rstd, const T* w,
                 const T* b) {
  const DType d = x[0].dtype;
  const auto x0 = as<Halves>(x[0], d).get(0, n, nullptr), x1 = as<Halves>(x[1], d).get(0, n, nullptr);
  const auto y0 = as<Halves>(y[0], d).out(0, nullptr), y1 = as<Halves>(y[1], d).out(0, nullptr);
  const Vec<T> m0 = splat<Vec<T>>(mean[0]), m1 = splat<Vec<T>>(mean[1]);
  const Vec<T> s0 = splat<Vec<T>>(rstd[0]), s1 = splat<Vec<T>>(rstd[1]);
  for_vectors<T>(n, [&](int64_t j, int64_t l) __attribute__((always_inline)) {
    const Vec<T> wv = load_part(w + j, l), bv = load_part(b + j, l);
    const Vec<T> v0 = load_part(x0 + j, l), v1 = load_part(x1 + j, l);
    const Vec<T> z0 = fma((v0 - m0) * s0, wv, bv), z1 = fma((v1 - m1) * s1, wv, bv);
    store_part(y0 + j, z0, l);
    store_part(y1 + j, z1, l);
  });
}

template <class T>
bool streams(const View& y, bool halves) {
  return (halves || y.dtype == dtype_of<T>) && y.shape[1] % lanes<T> == 0 && y.stride[0] % lanes<T> == 0 &&
         (uintptr_t)y.data % VBYTES == 0 && y.shape[0] * y.shape[1] * kDTypeSize[int(y.dtype)] >= kStreamBytes;
}

// All rows have the same weights, one an element.
bool row_weights(const NormRows& a) { return a.groups == 1 && a.inner == 1; }

// Whether rows can be taken in pairs: short, and read and written where they lie.
template <class T, bool Halves>
bool in_pairs(const View& v, const NormRows& a) {
  const bool direct = Halves || (v.dtype == dtype_of<T> && v.stride[1] == 1);
  return kHalfKernels<T> && row_weights(a) && v.shape[1] <= kBlock && direct;
}

// mean and rstd of a row.
template <class T, bool Halves>
[[gnu::noinline]] void statistics(const Row<T, Halves>& x, int64_t n, const NormRows& a, T* mean, T* rstd) {
  alignas(64) T in[kBlock];
  Moments m;
  add_moments(m, x, n, a.center, in);
  *mean = T(m.mean);
  *rstd = T(1 / __builtin_sqrt(m.m2 / double(n) + a.eps));
}

template <class T, bool Halves>
void norm_rows_of(const Ctx& ctx, const View& y, const View& mean, const View& rstd, const View& x, const View& weight,
                  const View& bias, const NormRows& a) {
  int64_t R = x.shape[0], n = x.shape[1], K = n / a.inner;
  bool nt = (a.inner == 1 || a.inner % lanes<T> == 0) && streams<T>(y, Halves);
  const bool plain = Halves || (weight.dtype == dtype_of<T> && bias.dtype == dtype_of<T>);
  const bool pairs = !nt && weight.data && bias.data && plain && in_pairs<T, Halves>(x, a) && in_pairs<T, Halves>(y, a);
  T *mu = (T*)mean.data, *rs = (T*)rstd.data;
  parallel_ranges(ctx, R, max64(1, kGrain / 4 / max64(1, n)), [&](int64_t begin, int64_t end) {
    alignas(64) T xs[kRow], ws[Halves ? kRow : 1], bs[Halves ? kRow : 1];
    // Rows of halves meet the weights in float, converted once a task.
    Row<T> weights = row_at<T>(weight, 0), biases = row_at<T>(bias, 0);
    if (Halves && weight.data) weights = gathered(weights, n, ws);
    if (Halves && bias.data) biases = gathered(biases, n, bs);
    auto row_of = [](const View& v, int64_t r) { return as<Halves>(row_at<T>(v, r * v.stride[0]), v.dtype); };
    int64_t r = begin;
    if constexpr (kHalfKernels<T>) {
      for (; pairs && r + 2 <= end; r += 2) {
        const Row<T, Halves> from[2] = {row_of(x, r), row_of(x, r + 1)}, to[2] = {row_of(y, r), row_of(y, r + 1)};
        for (int i = 0; i < 2; i++) statistics(from[i], n, a, mu + r + i, rs + r + i);
        affine_pair(to, from, n, mu + r, rs + r, (const T*)weights.data, (const T*)biases.data);
      }
    }
    for (; r < end; r++) {
      const Row<T, Halves> from = gathered(row_of(x, r), n, xs), to = row_of(y, r);
      statistics(from, n, a, mu + r, rs + r);
      const T m = mu[r], s = rs[r];
      int64_t c = r % a.groups * K;
      if (Halves || a.inner == 1) {
        Row<T> w = Halves ? weights : row_at<T>(weight, c), b = Halves ? biases : row_at<T>(bias, c);
        affine_row(to, from, n, m, s, weight.data ? &w : nullptr, bias.data ? &b : nullptr, nt);
        continue;
      }
      for (int64_t k = 0; !Halves && k < K; k++) {
        Row<T> part = {from.at(k * a.inner), 1, from.dtype}, out = {to.at(k * a.inner), 1, to.dtype};
        affine_segment(out, part, a.inner, m, s * element_of<T>(weight, c + k, 1), element_of<T>(bias, c + k, 0), nt);
      }
    }
    if (nt) stream_fence();
  });
}
void norm_rows(const Ctx& ctx, const View& y, const View& mean, const View& rstd, const View& x, const View& weight,
               const View& bias, NormRows a) noexcept {
  if (x.dtype == DType::f64) return norm_rows_of<double, false>(ctx, y, mean, rstd, x, weight, bias, a);
  if constexpr (kHalfKernels<float>) {
    if (row_weights(a) && in_halves(x, y)) return norm_rows_of<float, true>(ctx, y, mean, rstd, x, weight, bias, a);
  }
  norm_rows_of<float, false>(ctx, y, mean, rstd, x, weight, bias, a);
}

// ---- backward -------------------------------------------------------------------------------------------------------
// Each chunk of rows adds up its dw and db in a slot of the workspace; the slots are added in order at the end. Rows
// with weights of their own (group norm) are chunks of one.
struct Chunks {
  int64_t rows, count, K;
  Chunks(const View& x, const NormRows& a) {
    int64_t R = x.shape[0], n = max64(1, x.shape[1]);
    rows = row_weights(a) ? max64(max64(1, kGrain / 4 / n), ceil_div(R, 128)) : 1;
    count = ceil_div(R, rows);
    K = x.shape[1] / a.inner;
  }
};
int64_t norm_rows_workspace(const View& x, const NormRows& a) noexcept {
  Chunks c(x, a);
  return c.count * c.K * 2 * (x.dtype == DType::f64 ? 8 : 4);
}

// Sums of one row: h = sum g w, hz = sum g w (x - mean) rstd. Adds g z to dw and g to db.
struct RowSums {
  double h = 0, hz = 0;
};
template <class T, bool Halves>
RowSums sums_of_row(const Row<T, Halves>& g, const Row<T, Halves>& x, int64_t n, T mean, T rstd, const Row<T>* weight,
                    T* dw, T* db) {
  alignas(64) T gb[kBlock], xb[kBlock], wb[kBlock];
  Vec<T> m = splat<Vec<T>>(mean), s = splat<Vec<T>>(rstd);
  RowSums sums;
  for_blocks(g, n, gb, [&](auto gp, int64_t i, int64_t k) {
    const auto xp = as<Halves>(x, g.dtype).get(i, k, xb);
    const T* w = weight ? weight->get(i, k, wb) : nullptr;
    Vec<T> h[2] = {}, hz[2] = {};
    auto one = [&](int64_t j, int64_t l, int a) __attribute__((always_inline)) {
      Vec<T> v = load_part(gp + j, l), gz = v * ((load_part(xp + j, l) - m) * s);
      if (l < lanes<T>) gz = first<T>(gz, l);
      store_part(dw + i + j, load_part(dw + i + j, l) + gz, l);
      store_part(db + i + j, load_part(db + i + j, l) + v, l);
      if (w) {
        Vec<T> wv = load_part(w + j, l);
        h[a] += v * wv;
        hz[a] += gz * wv;
      } else {
        h[a] += v;
        hz[a] += gz;
      }
    };
    constexpr int64_t L = lanes<T>;
    int64_t j = 0;
    for (; j + 2 * L <= k; j += 2 * L) one(j, L, 0), one(j + L, L, 1);
    for_vectors<T>(k - j, [&](int64_t o, int64_t l) __attribute__((always_inline)) { one(j + o, l, 0); });
    sums.h += double(hsum(h[0] + h[1]));
    sums.hz += double(hsum(hz[0] + hz[1]));
  });
  return sums;
}

// dx = g w rstd + (x - mean) B + D over a row, or with one weight over a segment.
template <class T, bool Halves>
void gradient_row(const Row<T, Halves>& dx, const Row<T, Halves>& g, const Row<T, Halves>& x, int64_t n, T mean,
                  T scale, T B, T D, const Row<T>* weight, bool nt) {
  alignas(64) T gb[kBlock], xb[kBlock], wb[kBlock], o[kBlock];
  Vec<T> m = splat<Vec<T>>(mean), s = splat<Vec<T>>(scale), bv = splat<Vec<T>>(B), dv = splat<Vec<T>>(D);
  for_blocks(g, n, gb, [&](auto gp, int64_t i, int64_t k) {
    const auto xp = as<Halves>(x, g.dtype).get(i, k, xb);
    const T* w = weight ? weight->get(i, k, wb) : nullptr;
    const auto to = as<Halves>(dx, g.dtype).out(i, o);
    auto rest = [&](int64_t j, int64_t l)
                    __attribute__((always_inline)) { return fma(load_part(xp + j, l) - m, bv, dv); };
    if (w)
      map_vectors(to, k, nt, [&](int64_t j, int64_t l) __attribute__((always_inline)) {
        return fma(load_part(gp + j, l) * load_part(w + j, l), s, rest(j, l));
      });
    else
      map_vectors(to, k, nt, [&](int64_t j, int64_t l) __attribute__((always_inline)) {
        return fma(load_part(gp + j, l), s, rest(j, l));
      });
    dx.put(i, k, to);
  });
}

// The channels of one row of group norm: sums by segment.
template <class T>
RowSums sums_of_segments(const Row<T>& g, const Row<T>& x, int64_t K, int64_t inner, T mean, T rstd, const View& weight,
                         int64_t c, T* dw, T* db) {
  alignas(64) T gb[kBlock], xb[kBlock];
  Vec<T> m = splat<Vec<T>>(mean);
  RowSums sums;
  for (int64_t k = 0; k < K; k++) {
    Row<T> gk = {g.at(k * inner), 1, g.dtype}, xk = {x.at(k * inner), 1, x.dtype};
    double h = 0, hz = 0;
    for_blocks(gk, inner, gb, [&](const T* gp, int64_t i, int64_t n) {
      const T* xp = xk.get(i, n, xb);
      h += double(
          sum_vectors<T>(n, [&](int64_t j, int64_t l) __attribute__((always_inline)) { return load_part(gp + j, l); }));
      hz += double(sum_vectors<T>(n, [&](int64_t j, int64_t l) __attribute__((always_inline)) {
        return load_part(gp + j, l) * (load_part(xp + j, l) - m);
      }));
    });
    hz *= double(rstd);
    dw[k] = T(hz);
    db[k] = T(h);
    double w = double(element_of<T>(weight, c + k, 1));
    sums.h += w * h;
    sums.hz += w * hz;
  }
  return sums;
}

// v[group * K + k] = the sum of the slots of that group.
template <class T>
void add_slots(const View& v, const T* slots, const Chunks& chunks, int64_t groups) {
  for (int64_t c = 0; c < groups * chunks.K; c++) {
    double total = 0;
    for (int64_t i = c / chunks.K; i < chunks.count; i += groups)
      total += double(slots[i * 2 * chunks.K + c % chunks.K]);
    set_element<double>(v, c, total);
  }
}
template <class T>
void add_slots_in_columns(const Ctx& ctx, const View& v, const T* slots, const Chunks& chunks) {
  constexpr int64_t W = 256;
  parallel_ranges(ctx, chunks.K, 4 * W, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c += W) {
      double total[W] = {};
      int64_t w = min64(W, end - c);
      for (int64_t i = 0; i < chunks.count; i++)
        for (int64_t j = 0; j < w; j++) total[j] += double(slots[i * 2 * chunks.K + c + j]);
      row_to_fn<double>(v.dtype)(total, (char*)v.data + c * kDTypeSize[int(v.dtype)], 1, w);
    }
  });
}

template <class T, bool Halves>
void norm_rows_backward_of(const Ctx& ctx, const View& dx, const View& dw, const View& db, const View& g, const View& x,
                           const View& mean, const View& rstd, const View& weight, const NormRows& a) {
  int64_t R = x.shape[0], n = x.shape[1];
  Chunks chunks(x, a);
  int64_t K = chunks.K;
  T* slots = (T*)ctx.workspace;
  bool nt = a.inner == 1 && streams<T>(dx, Halves);
  parallel_ranges(ctx, chunks.count, max64(1, kGrain / 4 / max64(1, n * chunks.rows)), [&](int64_t begin, int64_t end) {
    alignas(64) T gs[kRow], xs[kRow], ws[Halves ? kRow : 1];
    Row<T> weights = row_at<T>(weight, 0);
    if (Halves && weight.data) weights = gathered(weights, n, ws);
    for (int64_t chunk = begin; chunk < end; chunk++) {
      T *slot_w = slots + chunk * 2 * K, *slot_b = slot_w + K;
      __builtin_memset(slot_w, 0, size_t(2 * K) * sizeof(T));
      for (int64_t r = chunk * chunks.rows; r < min64(R, (chunk + 1) * chunks.rows); r++) {
        const Row<T, Halves> gr = gathered(as<Halves>(row_at<T>(g, r * g.stride[0]), g.dtype), n, gs);
        const Row<T, Halves> xr = gathered(as<Halves>(row_at<T>(x, r * x.stride[0]), x.dtype), n, xs);
        const Row<T, Halves> to = as<Halves>(row_at<T>(dx, r * dx.stride[0]), dx.dtype);
        T mu = ((T*)mean.data)[r], s = ((T*)rstd.data)[r];
        int64_t c = r % a.groups * K;
        Row<T> w = Halves ? weights : row_at<T>(weight, c);
        const Row<T>* wp = weight.data && a.inner == 1 ? &w : nullptr;
        RowSums sums;
        if constexpr (Halves) sums = sums_of_row(gr, xr, n, mu, s, wp, slot_w, slot_b);
        else
          sums = a.inner == 1 ? sums_of_row(gr, xr, n, mu, s, wp, slot_w, slot_b)
                              : sums_of_segments(gr, xr, K, a.inner, mu, s, weight, c, slot_w, slot_b);
        T B = T(-double(s) * double(s) * sums.hz / double(n)), D = a.center ? T(-double(s) * sums.h / double(n)) : T(0);
        if (Halves || a.inner == 1) {
          gradient_row(to, gr, xr, n, mu, s, B, D, wp, nt);
          continue;
        }
        for (int64_t k = 0; !Halves && k < K; k++) {
          Row<T> part = {to.at(k * a.inner), 1, to.dtype}, gk = {gr.at(k * a.inner), 1, gr.dtype};
          Row<T> xk = {xr.at(k * a.inner), 1, xr.dtype};
          gradient_row<T, false>(part, gk, xk, a.inner, mu, s * element_of<T>(weight, c + k, 1), B, D, nullptr, false);
        }
      }
    }
    if (nt) stream_fence();
  });
  for (int which = 0; which < 2; which++) {
    const View& v = which ? db : dw;
    if (a.groups == 1) add_slots_in_columns(ctx, v, slots + which * K, chunks);
    else add_slots(v, slots + which * K, chunks, a.groups);
  }
}
void norm_rows_backward(const Ctx& ctx, const View& dx, const View& dw, const View& db, const View& g, const View& x,
                        const View& mean, const View& rstd, const View& weight, NormRows a) noexcept {
  if (x.dtype == DType::f64) return norm_rows_backward_of<double, false>(ctx, dx, dw, db, g, x, mean, rstd, weight, a);
  if constexpr (kHalfKernels<float>) {
    if (row_weights(a) && in_halves(dx, g, x))
      return norm_rows_backward_of<float, true>(ctx, dx, dw, db, g, x, mean, rstd, weight, a);
  }
  norm_rows_backward_of<float, false>(ctx, dx, dw, db, g, x, mean, rstd, weight, a);
}

}  // namespace

void fill_batch_norm(Kernels&);
void fill_norm(Kernels& k) {
  k.norm_rows = norm_rows;
  k.norm_rows_backward = norm_rows_backward;
  k.norm_rows_workspace = norm_rows_workspace;
  fill_batch_norm(k);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
