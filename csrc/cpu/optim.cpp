// optim: see table/optim.h. All tensors of a group are cut into pieces of 16 K elements, so that many small ones cost one
// pass and large ones are shared between threads.
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kPiece = 16 * 1024;

// f(tensor, begin, end) over the pieces of all tensors.
template <class F> void for_pieces(const Ctx& ctx, Views tensors, F f) {
  int64_t pieces = 0, total = 0;
  for (int64_t t = 0; t < tensors.count; t++) {
    int64_t n = numel(tensors.items[t]);
    pieces += ceil_div(n, kPiece);
    total += n;
  }
  auto run = [&](int64_t i, int) {
    int64_t t = 0;
    for (;; t++) {
      int64_t here = ceil_div(numel(tensors.items[t]), kPiece);
      if (i < here) break;
      i -= here;
    }
    f(t, i * kPiece, min64(numel(tensors.items[t]), (i + 1) * kPiece));
  };
  if (total <= 2 * kPiece)  // a few microseconds in all: not worth waking anybody
    for (int64_t i = 0; i < pieces; i++) run(i, 0);
  else parallel_for(ctx, pieces, run);
}

// A dense tensor's elements as blocks of T.
template <class T> struct Blocks {
  char* data;
  DType dtype;
  bool direct;
  Blocks(const View& v) : data((char*)v.data), dtype(v.dtype), direct(v.dtype == dtype_of<T>) {}
  T* get(int64_t i, int64_t n, T* buf) const {
    if (direct) return (T*)data + i;
    row_from_fn<T>(dtype)(data + i * kDTypeSize[int(dtype)], 1, buf, n);
    return buf;
  }
  void put(int64_t i, int64_t n, const T* buf) const {
    if (!direct) row_to_fn<T>(dtype)(buf, data + i * kDTypeSize[int(dtype)], 1, n);
  }
};

template <class T> struct AdamScalars { Vec<T> b1, one_b1, b2, one_b2, rate, root, eps, decay, sign; bool decoupled; };

template <class T> MIELINA_INLINE void adam_vector(const AdamScalars<T>& s, Vec<T>& p, Vec<T>& m, Vec<T>& v, Vec<T>* top, Vec<T> g) {
  g = g * s.sign;
  if (s.decoupled) p = p - p * s.decay;
  else g = fma(p, s.decay, g);
  m = fma(s.b1, m, s.one_b1 * g);
  v = fma(s.b2, v, s.one_b2 * g * g);
  Vec<T> second = v;
  if (top) second = *top = max(*top, v);
  p = p - s.rate * m / (sqrt(second) * s.root + s.eps);
}

template <class T> void adam_of(const Ctx& ctx, Views p, Views m, Views v, Views vmax, Views g, const double* h, AdamArgs a) {
  auto at = [&](Hyper x) { return h[int(x)]; };
  double t = at(Hyper::step), b1 = at(Hyper::beta1), b2 = at(Hyper::beta2), lr = at(Hyper::lr);
  double c1 = 1 - __builtin_pow(b1, t), c2 = 1 - __builtin_pow(b2, t);
  auto all = [](double x) { return splat<Vec<T>>(T(x)); };
  AdamScalars<T> s{all(b1), all(1 - b1), all(b2), all(1 - b2), all(lr / c1), all(1 / __builtin_sqrt(c2)),
                   all(at(Hyper::eps)), all(at(Hyper::weight_decay) * (a.decoupled ? lr : 1)), all(a.maximize ? -1 : 1),
                   a.decoupled};
  for_pieces(ctx, p, [&](int64_t i, int64_t begin, int64_t end) {
    if (p.items[i].dtype != DType::f64 && __is_same(T, double)) return;
    if (p.items[i].dtype == DType::f64 && __is_same(T, float)) return;
    Blocks<T> P(p.items[i]), M(m.items[i]), V(v.items[i]), G(g.items[i]), X(a.amsgrad ? vmax.items[i] : p.items[i]);
    alignas(64) T pb[kBlock], mb[kBlock], vb[kBlock], gb[kBlock], xb[kBlock];
    constexpr int64_t L = lanes<T>;
    for (int64_t o = begin; o < end; o += kBlock) {
      int64_t n = min64(kBlock, end - o);
      T *pp = P.get(o, n, pb), *mp = M.get(o, n, mb), *vp = V.get(o, n, vb), *gp = G.get(o, n, gb);
      T* xp = a.amsgrad ? X.get(o, n, xb) : nullptr;
      for (int64_t j = 0; j < n; j += L) {
        int64_t w = min64(L, n - j);
        Vec<T> pv = load_n(pp + j, w), mv = load_n(mp + j, w), vv = load_n(vp + j, w), xv{};
        if (xp) xv = load_n(xp + j, w);
        adam_vector<T>(s, pv, mv, vv, xp ? &xv : nullptr, load_n(gp + j, w));
        store_n(pp + j, pv, w);
        store_n(mp + j, mv, w);
        store_n(vp + j, vv, w);
        if (xp) store_n(xp + j, xv, w);
      }
      P.put(o, n, pb);
      M.put(o, n, mb);
      V.put(o, n, vb);
      if (xp) X.put(o, n, xb);
    }
  });
}

void adam(const Ctx& ctx, Views p, Views m, Views v, Views vmax, Views g, const View& hyper, AdamArgs a) noexcept {
  double* h = (double*)hyper.data;
  h[int(Hyper::step)] += 1;
  bool wide = false, narrow = false;
  for (int64_t i = 0; i < p.count; i++) (p.items[i].dtype == DType::f64 ? wide : narrow) = true;
  if (narrow) adam_of<float>(ctx, p, m, v, vmax, g, h, a);
  if (wide) adam_of<double>(ctx, p, m, v, vmax, g, h, a);
}

}  // namespace

void fill_optim(Kernels& k) { k.adam = adam; }

}  // namespace MIELINA_ISA
}  // namespace mielina
