// elementwise: see table/elementwise.h for the contracts and cpu/block.h for how operands reach the loops below.
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// y[i] = f(x0[i], ..) over n contiguous elements; tails run the same vector code, masked.
template <class T, class F> void apply1(T* y, const T* a, int64_t n, bool nt, F f) {
  constexpr int64_t L = lanes<T>;
  int64_t i = 0;
  if (nt)
    for (; i + L <= n; i += L) stream(y + i, f(load(a + i)));
  else
    for (; i + L <= n; i += L) store(y + i, f(load(a + i)));
  if (i < n) store_n(y + i, f(load_n(a + i, n - i)), n - i);
}
template <class T, class F> void apply2(T* y, const T* a, const T* b, int64_t n, bool nt, F f) {
  constexpr int64_t L = lanes<T>;
  int64_t i = 0;
  if (nt)
    for (; i + L <= n; i += L) stream(y + i, f(load(a + i), load(b + i)));
  else
    for (; i + L <= n; i += L) store(y + i, f(load(a + i), load(b + i)));
  if (i < n) store_n(y + i, f(load_n(a + i, n - i), load_n(b + i, n - i)), n - i);
}

// ---- functors: f(x), and its derivative d(x, y) given y = f(x) ---------------------------------------------------------
struct Relu {
  template <class V> MIELINA_INLINE V f(V x) { return select<V>(x < V{}, V{}, x); }  // keeps NaN
  template <class V> MIELINA_INLINE V d(V, V y) { return select<V>(y > V{}, splat<V>(1), V{}); }
};

template <class F, class T> void unary_of(const Ctx& ctx, const Space<2>& s) {
  blocks<T>(ctx, s, [](T* y, const T* const* x, int64_t n, bool nt) {
    apply1(y, x[0], n, nt, [](Vec<T> v) __attribute__((always_inline)) { return F::f(v); });
  });
}

void unary(const Ctx& ctx, const View& y, const View& x, Unary op, DType compute, double, double) noexcept {
  Space<2> s;
  make_space<2>(s, {&y, &x});
  switch (op) {
    case Unary::relu:
      if (compute == DType::f32) unary_of<Relu, float>(ctx, s);
      else if (compute == DType::f64) unary_of<Relu, double>(ctx, s);
      else unary_of<Relu, int64_t>(ctx, s);
      break;
    default: break;
  }
}

template <class F, class T> void unary_backward_of(const Ctx& ctx, const Space<4>& s) {
  blocks<T>(ctx, s, [](T* dx, const T* const* a, int64_t n, bool nt) {
    const T *g = a[0], *x = a[1], *y = a[2];
    constexpr int64_t L = lanes<T>;
    int64_t i = 0;
    for (; i + L <= n; i += L) {
      Vec<T> v = load(g + i) * F::d(load(x + i), load(y + i));
      if (nt) stream(dx + i, v);
      else store(dx + i, v);
    }
    if (i < n) store_n(dx + i, load_n(g + i, n - i) * F::d(load_n(x + i, n - i), load_n(y + i, n - i)), n - i);
  });
}

void unary_backward(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& y, Unary op, double,
                    double) noexcept {
  Space<4> s;
  make_space<4>(s, {&dx, &g, &x, &y});
  bool wide = dx.dtype == DType::f64;
  switch (op) {
    case Unary::relu: wide ? unary_backward_of<Relu, double>(ctx, s) : unary_backward_of<Relu, float>(ctx, s); break;
    default: break;
  }
}

struct Add { template <class V> MIELINA_INLINE V f(V a, V b) { return a + b; } };
struct Sub { template <class V> MIELINA_INLINE V f(V a, V b) { return a - b; } };
struct Mul { template <class V> MIELINA_INLINE V f(V a, V b) { return a * b; } };
struct Div { template <class V> MIELINA_INLINE V f(V a, V b) { return a / b; } };

template <class F, class T> void binary_of(const Ctx& ctx, const Space<3>& s) {
  blocks<T>(ctx, s, [](T* y, const T* const* x, int64_t n, bool nt) {
    apply2(y, x[0], x[1], n, nt, [](Vec<T> a, Vec<T> b) __attribute__((always_inline)) { return F::f(a, b); });
  });
}
template <class F> void binary_any(const Ctx& ctx, const Space<3>& s, DType compute) {
  if (compute == DType::f32) binary_of<F, float>(ctx, s);
  else if (compute == DType::f64) binary_of<F, double>(ctx, s);
  else binary_of<F, int64_t>(ctx, s);
}

void binary(const Ctx& ctx, const View& y, const View& a, const View& b, Binary op, DType compute) noexcept {
  Space<3> s;
  make_space<3>(s, {&y, &a, &b});
  switch (op) {
    case Binary::add: binary_any<Add>(ctx, s, compute); break;
    case Binary::sub: binary_any<Sub>(ctx, s, compute); break;
    case Binary::mul: binary_any<Mul>(ctx, s, compute); break;
    case Binary::div:
      if (compute == DType::f64) binary_of<Div, double>(ctx, s);
      else binary_of<Div, float>(ctx, s);
      break;
    default: break;
  }
}

// ---- copy and fill -----------------------------------------------------------------------------------------------------
void copy(const Ctx& ctx, const View& y, const View& x) noexcept {
  Space<2> s;
  make_space<2>(s, {&y, &x});
  copy_space(ctx, s);
}

void fill(const Ctx& ctx, const View& y, Number value) noexcept {
  alignas(64) char element[8];
  if (value.integer) row_to_fn<int64_t>(y.dtype)(&value.i, element, 1, 1);
  else row_to_fn<double>(y.dtype)(&value.d, element, 1, 1);
  View x = y;
  x.data = element;
  for (int d = 0; d < x.ndim; d++) x.stride[d] = 0;
  copy(ctx, y, x);
}

}  // namespace

void fill_elementwise(Kernels& k) {
  k.unary = unary;
  k.unary_backward = unary_backward;
  k.binary = binary;
  k.copy = copy;
  k.fill = fill;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
