// softmax: see table/softmax.h. A row is read block by block; a contiguous f32 or f64 row that fits the caches is read
// once from memory and twice from L1.
#include "cpu/block.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// A row of C elements with a stride, as blocks of T.
template <class T> struct Row {
  char* data;
  int64_t stride, size;
  DType dtype;
  const T* get(int64_t i, int64_t n, T* buf) const {
    if (stride == 1 && dtype == dtype_of<T>) return (const T*)data + i;
    row_from_fn<T>(dtype)(data + i * stride * size, stride, buf, n);
    return buf;
  }
  T* out(int64_t i, T* buf) const { return stride == 1 && dtype == dtype_of<T> ? (T*)data + i : buf; }
  void put(int64_t i, int64_t n, const T* buf) const {
    if (stride == 1 && dtype == dtype_of<T>) return;
    row_to_fn<T>(dtype)(buf, data + i * stride * size, stride, n);
  }
};

// Rows of several (outer..., C) views side by side.
template <class T, int K> struct Rows {
  Space<K> at;
  int64_t stride[K], C;
  Row<T> row(int k, int64_t r) const {
    int64_t o = 0;
    for_rows(at, k, r, 1, [&](int64_t offset, int64_t, int64_t) { o = offset; });
    int64_t size = kDTypeSize[int(at.dtype[k])];
    return {at.data[k] + o * size, stride[k], size, at.dtype[k]};
  }
};
template <class T, int K> void make_rows(Rows<T, K>& r, const View* const (&v)[K]) {
  View outer[K];
  const View* p[K];
  int last = v[0]->ndim - 1;
  for (int k = 0; k < K; k++) {
    outer[k] = *v[k];
    outer[k].ndim = last;
    p[k] = &outer[k];
    r.stride[k] = v[k]->stride[last];
  }
  r.C = v[0]->shape[last];
  if constexpr (K == 2) make_space<2>(r.at, {p[0], p[1]});
  else make_space<3>(r.at, {p[0], p[1], p[2]});
}

// max over a block, NaN winning.
template <class T> Vec<T> max_block(const T* p, int64_t n, Vec<T> m) {
  constexpr int64_t L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) m = max(load(p + i), m);
  for (; i < n; i++) m = max(splat<Vec<T>>(p[i]), m);
  return m;
}

// f over the vectors of a block; tail lanes hold `pad`.
template <class T, class F> MIELINA_INLINE void vectors(const T* p, int64_t n, T pad, F f) {
  constexpr int64_t L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) f(i, load(p + i), L);
  if (i < n) {
    T buf[L];
    for (int64_t j = 0; j < L; j++) buf[j] = j < n - i ? p[i + j] : pad;
    f(i, load(buf), n - i);
  }
}

constexpr float kInf = __builtin_inff();

template <class T> struct MaxSum { T max; double sum; };

// m = max x, s = sum exp(x - m); an all -inf row has m = -inf and s = NaN, as PyTorch's.
template <class T> MaxSum<T> max_sum(const Row<T>& x, int64_t C, T* buf) {
  Vec<T> m = splat<Vec<T>>(T(-kInf));
  for (int64_t i = 0; i < C; i += kBlock) {
    int64_t n = min64(kBlock, C - i);
    m = max_block(x.get(i, n, buf), n, m);
  }
  T top = hmax(m);
  double total = 0;
  for (int64_t i = 0; i < C; i += kBlock) {
    int64_t n = min64(kBlock, C - i);
    Vec<T> s{};
    vectors(x.get(i, n, buf), n, T(-kInf), [&](int64_t, Vec<T> v, int64_t) __attribute__((always_inline)) { s += exp(v - splat<Vec<T>>(top)); });
    total += double(hsum(s));
  }
  return {top, total};
}

template <class T> void softmax_rows(const Ctx& ctx, const View& y, const View& x, bool log) {
  Rows<T, 2> rows;
  make_rows<T, 2>(rows, {&y, &x});
  int64_t C = rows.C, count = rows.at.n;
  if (C == 0) return;
  parallel_ranges(ctx, count, max64(1, kGrain / 4 / C), [&](int64_t b, int64_t e) {
    alignas(64) T in[kBlock], o[kBlock];
    for (int64_t r = b; r < e; r++) {
      Row<T> xr = rows.row(1, r), yr = rows.row(0, r);
      auto [m, s] = max_sum(xr, C, in);
      Vec<T> top = splat<Vec<T>>(m), shift = splat<Vec<T>>(T(__builtin_log(s))), scale = splat<Vec<T>>(T(1.0 / s));
      for (int64_t i = 0; i < C; i += kBlock) {
        int64_t n = min64(kBlock, C - i);
        T* to = yr.out(i, o);
        vectors(xr.get(i, n, in), n, T(0), [&](int64_t j, Vec<T> v, int64_t w) __attribute__((always_inline)) {
          Vec<T> out = log ? (v - top) - shift : exp(v - top) * scale;
          if (w == lanes<T>) store(to + j, out);
          else store_n(to + j, out, w);
        });
        yr.put(i, n, o);
      }
    }
  });
}
void softmax(const Ctx& ctx, const View& y, const View& x, bool log) noexcept {
  if (x.dtype == DType::f64) softmax_rows<double>(ctx, y, x, log);
  else softmax_rows<float>(ctx, y, x, log);
}

template <class T> void softmax_backward_rows(const Ctx& ctx, const View& dx, const View& g, const View& y, bool log) {
  Rows<T, 3> rows;
  make_rows<T, 3>(rows, {&dx, &g, &y});
  int64_t C = rows.C, count = rows.at.n;
  if (C == 0) return;
  parallel_ranges(ctx, count, max64(1, kGrain / 4 / C), [&](int64_t b, int64_t e) {
    alignas(64) T gb[kBlock], yb[kBlock], ob[kBlock];
    for (int64_t r = b; r < e; r++) {
      Row<T> to = rows.row(0, r), gr = rows.row(1, r), yr = rows.row(2, r);
      double total = 0;
      for (int64_t i = 0; i < C; i += kBlock) {
        int64_t n = min64(kBlock, C - i);
        const T* yp = yr.get(i, n, yb);
        Vec<T> s{};
        vectors(gr.get(i, n, gb), n, T(0), [&](int64_t j, Vec<T> v, int64_t w) __attribute__((always_inline)) {
          s += log ? v : v * load_n(yp + j, w);
        });
        total += double(hsum(s));
      }
      Vec<T> sum = splat<Vec<T>>(T(total));
      for (int64_t i = 0; i < C; i += kBlock) {
        int64_t n = min64(kBlock, C - i);
        const T* yp = yr.get(i, n, yb);
        T* o = to.out(i, ob);
        vectors(gr.get(i, n, gb), n, T(0), [&](int64_t j, Vec<T> v, int64_t w) __attribute__((always_inline)) {
          Vec<T> p = load_n(yp + j, w);
          store_n(o + j, log ? v - exp(p) * sum : p * (v - sum), w);
        });
        to.put(i, n, ob);
      }
    }
  });
}
void softmax_backward(const Ctx& ctx, const View& dx, const View& g, const View& y, bool log) noexcept {
  if (y.dtype == DType::f64) softmax_backward_rows<double>(ctx, dx, g, y, log);
  else softmax_backward_rows<float>(ctx, dx, g, y, log);
}

// ---- cross entropy -----------------------------------------------------------------------------------------------------
template <class T> MIELINA_INLINE T read(const View& v, int64_t i) {
  T x;
  row_from_fn<T>(v.dtype)((char*)v.data + i * v.stride[0] * kDTypeSize[int(v.dtype)], 1, &x, 1);
  return x;
}
template <class T> MIELINA_INLINE void write(const View& v, int64_t i, T x) {
  row_to_fn<T>(v.dtype)(&x, (char*)v.data + i * v.stride[0] * kDTypeSize[int(v.dtype)], 1, 1);
}
template <class T> MIELINA_INLINE Row<T> row_of(const View& v, int64_t r) {
  int64_t size = kDTypeSize[int(v.dtype)];
  return {(char*)v.data + r * v.stride[0] * size, v.stride[1], size, v.dtype};
}

template <class T>
void cross_entropy_rows(const Ctx& ctx, const View& loss, const View& lse, const View& x, const View& target,
                        const View& weight, int64_t ignore) {
  int64_t N = x.shape[0], C = x.shape[1];
  parallel_ranges(ctx, N, max64(1, kGrain / 4 / max64(1, C)), [&](int64_t b, int64_t e) {
    alignas(64) T buf[kBlock];
    for (int64_t r = b; r < e; r++) {
      Row<T> row = row_of<T>(x, r);
      auto [m, s] = max_sum(row, C, buf);
      T z = T(double(m) + __builtin_log(s));
      write<T>(lse, r, z);
      int64_t t = read<int64_t>(target, r);
      T value = 0;
      if (t != ignore && (t < 0 || t >= C)) value = T(__builtin_nan(""));
      else if (t != ignore) {
        T picked = *row.get(t, 1, buf);
        value = z - picked;
        if (weight.data) value *= read<T>(weight, t);
      }
      write<T>(loss, r, value);
    }
  });
}
void cross_entropy(const Ctx& ctx, const View& loss, const View& lse, const View& x, const View& target, const View& weight,
                   int64_t ignore) noexcept {
  if (x.dtype == DType::f64) cross_entropy_rows<double>(ctx, loss, lse, x, target, weight, ignore);
  else cross_entropy_rows<float>(ctx, loss, lse, x, target, weight, ignore);
}

template <class T>
void cross_entropy_backward_rows(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& lse,
                                 const View& target, const View& weight, int64_t ignore) {
  int64_t N = x.shape[0], C = x.shape[1];
  parallel_ranges(ctx, N, max64(1, kGrain / 4 / max64(1, C)), [&](int64_t b, int64_t e) {
    alignas(64) T in[kBlock], ob[kBlock];
    for (int64_t r = b; r < e; r++) {
      Row<T> xr = row_of<T>(x, r), to = row_of<T>(dx, r);
      int64_t t = read<int64_t>(target, r);
      bool valid = t >= 0 && t < C;
      T scale = t == ignore ? T(0) : !valid ? T(__builtin_nan("")) : read<T>(g, r) * (weight.data ? read<T>(weight, t) : T(1));
      Vec<T> z = splat<Vec<T>>(read<T>(lse, r)), factor = splat<Vec<T>>(scale);
      for (int64_t i = 0; i < C; i += kBlock) {
        int64_t n = min64(kBlock, C - i);
        T* o = to.out(i, ob);
        if (t == ignore) __builtin_memset(o, 0, size_t(n) * sizeof(T));
        else
          vectors(xr.get(i, n, in), n, T(0), [&](int64_t j, Vec<T> v, int64_t w) __attribute__((always_inline)) {
            store_n(o + j, exp(v - z) * factor, w);
          });
        if (t != ignore && t >= i && t < i + n) o[t - i] -= scale;
        to.put(i, n, ob);
      }
    }
  });
}
void cross_entropy_backward(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& lse, const View& target,
                            const View& weight, int64_t ignore) noexcept {
  if (x.dtype == DType::f64) cross_entropy_backward_rows<double>(ctx, dx, g, x, lse, target, weight, ignore);
  else cross_entropy_backward_rows<float>(ctx, dx, g, x, lse, target, weight, ignore);
}

}  // namespace

void fill_softmax(Kernels& k) {
  k.softmax = softmax;
  k.softmax_backward = softmax_backward;
  k.cross_entropy = cross_entropy;
  k.cross_entropy_backward = cross_entropy_backward;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
