// loss: see table/loss.h. One pass over x and t forward, one backward.
#include "cpu/rows.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// f(x, t, p) is the loss of an element, d(x, t, p) its derivative by x.
struct Mse {
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
struct L1 {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return abs(x - t);
  }
  template <class V>
  MIELINA_INLINE V d(V x, V t, V) {
    return sign(x - t);
  }
};
struct SmoothL1 {
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
struct Huber {
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
struct Bce {
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
struct BceLogits {
  // (1 - t) x + log(1 + exp(-x)), the second as max(-x, 0) + log1p(exp(-|x|)): not inf - inf at x = inf
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return (c<V>(1) - t) * x + (at_least(-x, 0) + log1p(exp(-abs(x))));
  }
  template <class V>
  MIELINA_INLINE V d(V x, V t, V) {
    return sigmoid(x) - t;
  }
};
struct Kl {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return select<V>(t == V{}, V{}, t * log(t)) - t * x;
  }
  template <class V>
  MIELINA_INLINE V d(V, V t, V) {
    return -t;
  }
};
struct KlLog {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    return exp(t) * (t - x);
  }
  template <class V>
  MIELINA_INLINE V d(V, V t, V) {
    return -exp(t);
  }
};
struct SoftMargin {
  template <class V>
  MIELINA_INLINE V f(V x, V t, V) {
    V z = -t * x;
    return at_least(z, 0) + log1p(exp(-abs(z)));
  }
  template <class V>
  MIELINA_INLINE V d(V x, V t, V) {
    return -t * sigmoid(-t * x);
  }
};

template <class F, class T>
void elements_of(const Ctx& ctx, const View& y, const View& x, const View& t, double p) {
  const Space<3> s({&y, &x, &t});
  blocks<T>(ctx, s, [=](T* to, const T* const* a, int64_t n, bool nt) {
    if (nt && n % lanes<T> != 0) nt = false;
    map_vectors(to, n, nt, [&](int64_t i, int64_t w) __attribute__((always_inline)) {
      return F::f(load_part(a[0] + i, w), load_part(a[1] + i, w), c<Vec<T>>(p));
    });
  });
}

template <class F, class T>
void total_of(const Ctx& ctx, const View& y, const View& x, const View& t, double p, double scale) {
  const Space<2> s({&x, &t});
  int64_t chunks = ceil_div(s.n, kGrain);
  double* part = (double*)ctx.workspace;
  parallel_for(ctx, chunks, [&](int64_t chunk, int) {
    alignas(64) T xb[kBlock], tb[kBlock];
    int64_t end = min64(s.n, (chunk + 1) * kGrain);
    double total = 0;
    for (int64_t i = chunk * kGrain; i < end; i += kBlock) {
      int64_t n = min64(kBlock, end - i);
      const T *a = fetch<T>(s, 0, i, n, xb), *b = fetch<T>(s, 1, i, n, tb);
      total += double(sum_vectors<T>(n, [&](int64_t j, int64_t w) __attribute__((always_inline)) {
        return F::f(load_part(a + j, w), load_part(b + j, w), c<Vec<T>>(p));
      }));
    }
    part[chunk] = total;
  });
  double total = 0;
  for (int64_t i = 0; i < chunks; i++) total += part[i];
  total *= scale;
  row_to_fn<double>(y.dtype)(&total, y.data, 1, 1);
}

template <class F, class T>
void backward_of(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& t, double p, double scale) {
  const Space<4> s({&dx, &g, &x, &t});
  blocks<T>(ctx, s, [=](T* to, const T* const* a, int64_t n, bool nt) {
    if (nt && n % lanes<T> != 0) nt = false;
    map_vectors(to, n, nt, [&](int64_t i, int64_t w) __attribute__((always_inline)) {
      return c<Vec<T>>(scale) * load_part(a[0] + i, w) *
             F::d(load_part(a[1] + i, w), load_part(a[2] + i, w), c<Vec<T>>(p));
    });
  });
}

template <class T, class F>
void choose(Loss kind, F f) {
  switch (kind) {
    case Loss::mse: return f(Mse{});
    case Loss::l1: return f(L1{});
    case Loss::smooth_l1: return f(SmoothL1{});
    case Loss::huber: return f(Huber{});
    case Loss::bce: return f(Bce{});
    case Loss::bce_logits: return f(BceLogits{});
    case Loss::kl: return f(Kl{});
    case Loss::kl_log: return f(KlLog{});
    default: return f(SoftMargin{});
  }
}

bool reduced(const View& y, const View& x) { return y.ndim == 0 || y.ndim != x.ndim; }
int64_t loss_workspace(const View& y, const View& x) noexcept {
  return reduced(y, x) ? ceil_div(max64(1, numel(x)), kGrain) * int64_t(sizeof(double)) : 0;
}

template <class T>
void loss_any(const Ctx& ctx, const View& y, const View& x, const View& t, Loss kind, double p, double scale) {
  choose<T>(kind, [&](auto f) {
    if (reduced(y, x)) total_of<decltype(f), T>(ctx, y, x, t, p, scale);
    else elements_of<decltype(f), T>(ctx, y, x, t, p);
  });
}
void loss(const Ctx& ctx, const View& y, const View& x, const View& t, Loss kind, double p, double scale) noexcept {
  if (x.dtype == DType::f64) loss_any<double>(ctx, y, x, t, kind, p, scale);
  else loss_any<float>(ctx, y, x, t, kind, p, scale);
}

void loss_backward(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& t, Loss kind, double p,
                   double scale) noexcept {
  if (x.dtype == DType::f64)
    choose<double>(kind, [&](auto f) { backward_of<decltype(f), double>(ctx, dx, g, x, t, p, scale); });
  else choose<float>(kind, [&](auto f) { backward_of<decltype(f), float>(ctx, dx, g, x, t, p, scale); });
}

}  // namespace

void fill_loss(Kernels& k) {
  k.loss = loss;
  k.loss_workspace = loss_workspace;
  k.loss_backward = loss_backward;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
