// loss: see table/loss.h. One pass over x and t forward, one backward.
#include "cpu/elementwise/rows.h"
#include "cpu/rows.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// f(x, t, p) is the loss of an element, d(x, t, p) its derivative by x.
template <Loss kind>
struct Fn;
template <>
struct Fn<Loss::mse> {
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return (x - t) * (x - t);
  }
  template <class V>
  MIELINA_INLINE V d(V x, V t, V) {
    return c<V>(2) * (x - t);
  }
};
template <class V>
MIELINA_INLINE V sign(V x) {
  return select<V>(x > V{}, c<V>(1), select<V>(x < V{}, c<V>(-1), V{}));
}
template <>
struct Fn<Loss::l1> {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return abs(x - t);
  }
  template <class V>
  MIELINA_INLINE V d(V x, V t, V) {
    return sign(x - t);
  }
};
template <>
struct Fn<Loss::smooth_l1> {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V p) {
    V a = abs(x - t);
    return select<V>(a < p, c<V>(0.5) * a * a / p, a - c<V>(0.5) * p);
  }
  template <class V>
  MIELINA_INLINE V d(V x, V t, V p) {
    V e = x - t;  // NaN stays NaN
    return select<V>(e >= p, c<V>(1), select<V>(e <= -p, c<V>(-1), e / p));
  }
};
template <>
struct Fn<Loss::huber> {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V p) {
    V a = abs(x - t);
    return select<V>(a <= p, c<V>(0.5) * a * a, p * (a - c<V>(0.5) * p));
  }
  template <class V>
  MIELINA_INLINE V d(V x, V t, V p) {
    V e = x - t;  // NaN stays NaN
    return select<V>(e >= p, p, select<V>(e <= -p, -p, e));
  }
};
template <>
struct Fn<Loss::bce> {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return (t - c<V>(1)) * at_least(log1p(-x), -100) - t * at_least(log(x), -100);
  }
  // The denominator is kept from 0 as PyTorch keeps it.
  template <class V>
  MIELINA_INLINE V d(V x, V t, V) {
    return (x - t) / at_least((c<V>(1) - x) * x, 1e-12);
  }
};
template <>
struct Fn<Loss::bce_logits> {
  static constexpr bool halves = true;
  // (1 - t) x + log(1 + exp(-x)), the second as max(-x, 0) + log(1 + exp(-|x|)): not inf - inf at x = inf
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return (c<V>(1) - t) * x + softplus(-x);
  }
  template <class V>
  MIELINA_INLINE V d(V x, V t, V) {
    return sigmoid(x) - t;
  }
};
template <>
struct Fn<Loss::kl> {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return select<V>(t == V{}, V{}, t * log(t)) - t * x;
  }
  template <class V>
  MIELINA_INLINE V d(V, V t, V) {
    return -t;
  }
};
template <>
struct Fn<Loss::kl_log> {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return exp(t) * (t - x);
  }
  template <class V>
  MIELINA_INLINE V d(V, V t, V) {
    return -exp(t);
  }
};
template <>
struct Fn<Loss::soft_margin> {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return softplus(-t * x);
  }
  template <class V>
  MIELINA_INLINE V d(V x, V t, V) {
    return -t * sigmoid(-t * x);
  }
};

template <class F>
struct Value {
  template <class V>
  MIELINA_INLINE V call(const V* x, V p, V) {
    return F::f(x[0], x[1], p);
  }
};
template <class F>
struct Slope {
  template <class V>
  MIELINA_INLINE V call(const V* x, V p, V scale) {
    return scale * x[0] * F::d(x[1], x[2], p);
  }
};
template <int kind>
struct PickValue {
  template <class T>
  static constexpr RowFn of() {
    if constexpr (is_integer<T>) return nullptr;
    else return row<Value<Fn<Loss(kind)>>, 2, T>;
  }
};
template <int kind>
struct PickSlope {
  using F = Fn<Loss(kind)>;
  using Call = Slope<F>;
  static constexpr int operands = 3;
  template <class T>
  static constexpr RowFn of() {
    if constexpr (is_integer<T>) return nullptr;
    else return row<Call, operands, T>;
  }
};

bool reduced(const View& y, const View& x) { return y.ndim == 0 || y.ndim != x.ndim; }
int64_t loss_workspace(const View& y, const View& x) noexcept {
  return reduced(y, x) ? ceil_div(max64(1, numel(x)), kGrain) * int64_t(sizeof(double)) : 0;
}

// The losses of a block stay in the L1 cache until they are summed, so that no loss needs a loop of its own for sums.
template <class T>
void total(const Ctx& ctx, const View& y, const View& x, const View& t, RowFn f, double p, double scale) {
  const Space<2> s({&x, &t});
  const int64_t chunks = ceil_div(s.n, kGrain);
  const T parameters[2] = {T(p), T(0)};
  double* part = (double*)ctx.workspace;
  parallel_for(ctx, chunks, [&](int64_t chunk, int) {
    alignas(64) T xb[kBlock], tb[kBlock], losses[kBlock];
    const int64_t end = min64(s.n, (chunk + 1) * kGrain);
    double sum = 0;
    for (int64_t i = chunk * kGrain; i < end; i += kBlock) {
      const int64_t n = min64(kBlock, end - i);
      const Operand at[2] = {{fetch<T>(s, 0, i, n, xb), 1}, {fetch<T>(s, 1, i, n, tb), 1}};
      f(losses, at, n, parameters);
      sum += double(sum_vectors<T>(
          n, [&](int64_t j, int64_t w) __attribute__((always_inline)) { return load_part(losses + j, w); }));
    }
    part[chunk] = sum;
  });
  double sum = 0;
  for (int64_t i = 0; i < chunks; i++) sum += part[i];
  sum *= scale;
  row_to_fn<double>(y.dtype)(&sum, y.data, 1, 1);
}

template <class T>
void loss_of(const Ctx& ctx, const View& y, const View& x, const View& t, Loss kind, double p, double scale) {
  const RowFn f = pick<T, PickValue>(int(kind), IndicesTo<int(Loss::count)>::type{});
  if (reduced(y, x)) total<T>(ctx, y, x, t, f, p, scale);
  else run<T>(ctx, Space<3>({&y, &x, &t}), f, Number{p, 0, false}, Number{});
}
void loss(const Ctx& ctx, const View& y, const View& x, const View& t, Loss kind, double p, double scale) noexcept {
  if (x.dtype == DType::f64) loss_of<double>(ctx, y, x, t, kind, p, scale);
  else loss_of<float>(ctx, y, x, t, kind, p, scale);
}

void loss_backward(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& t, Loss kind, double p,
                   double scale) noexcept {
  run_picked<PickSlope, int(Loss::count)>(ctx, Space<4>({&dx, &g, &x, &t}), int(kind),
                                          x.dtype == DType::f64 ? DType::f64 : DType::f32, Number{p, 0, false},
                                          Number{scale, 0, false});
}

}  // namespace

void fill_loss(Kernels& k) {
  k.loss = loss;
  k.loss_workspace = loss_workspace;
  k.loss_backward = loss_backward;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
