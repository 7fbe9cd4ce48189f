// optim: see table/optim.h. One launch a tensor; the clocks and the group's numbers are read on the card, so that a
// replay follows them. The rules are those of cpu/optim.cpp, where their sources are named.
#include "cuda/scalar.cuh"

namespace mielina::cuda {
namespace {

struct Lists {
  View p, a, b, c, g;  // data == nullptr: the rule does not keep it
  const float* clock;
  const float* product;  // nadam's
};

__device__ inline double nadam_mu(const double* hyper, double t) {
  return hyper[int(Hyper::beta1)] * (1 - 0.5 * pow(0.96, t * hyper[int(Hyper::momentum_decay)]));
}
__global__ void tick_kernel(float* clock, float* product, const double* hyper) {
  *clock += 1;
  if (product) *product *= float(nadam_mu(hyper, double(*clock)));
}

// The numbers of a step, the same for all elements.
template <class T>
struct Setting {
  T lr, b1, one_b1, b2, one_b2, eps, momentum, add, rate, root, rate_g, rate_m, decay, sign;
  bool adaptive;
  __device__ Setting(const double* h, const Lists& l, const OptimArgs& args) {
    auto at = [&](Hyper slot) { return h[int(slot)]; };
    const double t = l.clock ? double(*l.clock) : 0, beta1 = at(Hyper::beta1), beta2 = at(Hyper::beta2);
    const double rho_lr = at(Hyper::lr), alpha = at(Hyper::alpha);
    lr = T(rho_lr);
    eps = T(at(Hyper::eps));
    momentum = T(at(Hyper::momentum));
    decay = T(at(Hyper::weight_decay) * (args.decoupled ? rho_lr : 1));
    sign = T(args.maximize ? -1 : 1);
    adaptive = false;
    b1 = T(beta1), one_b1 = T(1 - beta1), b2 = T(beta2), one_b2 = T(1 - beta2);
    const double c1 = 1 - pow(beta1, t), c2 = 1 - pow(beta2, t);
    rate = T(rho_lr / c1), root = T(1 / sqrt(c2));
    switch (args.rule) {
      case OptimRule::sgd:
        b1 = T(t == 1 ? 0 : at(Hyper::momentum));
        add = T(t == 1 ? 1 : 1 - at(Hyper::dampening));
        break;
      case OptimRule::nadam: {
        const double now = nadam_mu(h, t), next = nadam_mu(h, t + 1), product = double(*l.product);
        rate_g = T(rho_lr * (1 - now) / (1 - product));
        rate_m = T(rho_lr * next / (1 - product * next));
        break;
      }
      case OptimRule::radam: {
        const double top = 2 / (1 - beta2) - 1, rho = top - 2 * t * (1 - c2) / c2;
        adaptive = rho > 5;
        if (adaptive) rate = T(rho_lr / c1 * sqrt(c2 * (rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho)));
        break;
      }
      case OptimRule::rmsprop:
      case OptimRule::adadelta: b2 = T(alpha), one_b2 = T(1 - alpha); break;
      case OptimRule::adagrad: lr = T(rho_lr / (1 + (t - 1) * at(Hyper::lr_decay))); break;
      default: break;
    }
  }
};

template <class T>
struct Element {
  T p, g, a, b, c;
};

template <OptimRule rule, class T>
__device__ void advance(Element<T>& x, const Setting<T>& s, const Lists& l, bool nesterov) {
  if constexpr (rule == OptimRule::sgd) {
    T d = x.g;
    if (l.a.data) {
      x.a = fma(s.b1, x.a, s.add * x.g);
      d = nesterov ? fma(s.momentum, x.a, x.g) : x.a;
    }
    x.p -= s.lr * d;
  } else if constexpr (rule == OptimRule::rmsprop) {
    x.a = fma(s.b2, x.a, s.one_b2 * x.g * x.g);
    T v = x.a;
    if (l.b.data) {
      x.b = fma(s.b2, x.b, s.one_b2 * x.g);
      v -= x.b * x.b;
    }
    T d = x.g / (sqrt(v) + s.eps);
    if (l.c.data) d = x.c = fma(s.momentum, x.c, d);
    x.p -= s.lr * d;
  } else if constexpr (rule == OptimRule::adagrad) {
    x.a = fma(x.g, x.g, x.a);
    x.p -= s.lr * x.g / (sqrt(x.a) + s.eps);
  } else if constexpr (rule == OptimRule::adadelta) {
    x.a = fma(s.b2, x.a, s.one_b2 * x.g * x.g);
    const T d = sqrt(x.b + s.eps) / sqrt(x.a + s.eps) * x.g;
    x.b = fma(s.b2, x.b, s.one_b2 * d * d);
    x.p -= s.lr * d;
  } else {
    x.a = fma(s.b1, x.a, s.one_b1 * x.g);
    if constexpr (rule == OptimRule::adamax) {
      x.b = max<T>(s.b2 * x.b, abs(x.g) + s.eps);
      x.p -= s.rate * x.a / x.b;
      return;
    }
    x.b = fma(s.b2, x.b, s.one_b2 * x.g * x.g);
    if constexpr (rule == OptimRule::nadam) {
      x.p -= (s.rate_g * x.g + s.rate_m * x.a) / (sqrt(x.b) * s.root + s.eps);
    } else if constexpr (rule == OptimRule::radam) {
      x.p -= s.adaptive ? s.rate * x.a / (sqrt(x.b) + s.eps) : s.rate * x.a;
    } else {
      T v = x.b;
      if (l.c.data) v = x.c = max<T>(x.c, v);
      x.p -= s.rate * x.a / (sqrt(v) * s.root + s.eps);
    }
  }
}

// All tensors are dense in one order: element i of each stands at i.
template <OptimRule rule, class T>
__global__ void step_kernel(Lists l, const double* hyper, int64_t n, OptimArgs args) {
  const Setting<T> s(hyper, l, args);
  for (int64_t i = first_index(); i < n; i += index_step()) {
    Element<T> x{get<T>(l.p, i), get<T>(l.g, i) * s.sign, T(0), T(0), T(0)};
    if (l.a.data) x.a = get<T>(l.a, i);
    if (l.b.data) x.b = get<T>(l.b, i);
    if (l.c.data) x.c = get<T>(l.c, i);
    if (args.decoupled) x.p -= x.p * s.decay;
    else x.g = fma(x.p, s.decay, x.g);
    advance<rule>(x, s, l, args.nesterov);
    put(l.p, i, x.p);
    if (l.a.data) put(l.a, i, x.a);
    if (l.b.data) put(l.b, i, x.b);
    if (l.c.data) put(l.c, i, x.c);
  }
}

template <OptimRule rule>
void step(const Ctx& ctx, const Lists& l, const double* hyper, OptimArgs args) {
  int64_t n = numel(l.p);
  if (n == 0) return;
  with_floating(l.p.dtype, [&](auto zero) {
    step_kernel<rule, decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(l, hyper, n, args);
  });
}

void optim_step(const Ctx& ctx, Views p, Views a, Views b, Views c, Views clock, Views g, const View& hyper,
                OptimArgs args) noexcept {
  const double* h = static_cast<const double*>(hyper.data);
  auto item = [](Views list, int64_t i) { return list.count ? list.items[i] : View{}; };
  for (int64_t i = 0; i < p.count; i++) {
    float* t = clock.count ? static_cast<float*>(clock.items[i].data) : nullptr;
    float* product = clock.count > p.count ? static_cast<float*>(clock.items[p.count + i].data) : nullptr;
    if (t) tick_kernel<<<1, 1, 0, stream_of(ctx)>>>(t, product, h);
    const Lists l{p.items[i], item(a, i), item(b, i), item(c, i), g.items[i], t, product};
    switch (args.rule) {
      case OptimRule::sgd: step<OptimRule::sgd>(ctx, l, h, args); break;
      case OptimRule::adam: step<OptimRule::adam>(ctx, l, h, args); break;
      case OptimRule::adamax: step<OptimRule::adamax>(ctx, l, h, args); break;
      case OptimRule::nadam: step<OptimRule::nadam>(ctx, l, h, args); break;
      case OptimRule::radam: step<OptimRule::radam>(ctx, l, h, args); break;
      case OptimRule::rmsprop: step<OptimRule::rmsprop>(ctx, l, h, args); break;
      case OptimRule::adagrad: step<OptimRule::adagrad>(ctx, l, h, args); break;
      default: step<OptimRule::adadelta>(ctx, l, h, args);
    }
  }
  note(cudaGetLastError());
}

// ---- clipping -------------------------------------------------------------------------------------------
constexpr int64_t kPiece = 64 * 1024;
int64_t pieces_of(const View& v) { return (numel(v) + kPiece - 1) / kPiece; }

enum class Norm { two, one, infinity, any };
Norm norm_of(double order) {
  return order == 2 ? Norm::two : order == 1 ? Norm::one : order == INFINITY ? Norm::infinity : Norm::any;
}
__device__ inline double joined(Norm n, double a, double b) { return n == Norm::infinity ? max<double>(a, b) : a + b; }

template <class T>
__global__ void norm_kernel(View g, int64_t n, Norm norm, double order, double* slots) {
  const int64_t begin = int64_t(blockIdx.x) * kPiece, end = begin + kPiece < n ? begin + kPiece : n;
  double mine = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const double v = abs(double(get<T>(g, i)));
    mine = joined(norm, mine, norm == Norm::two ? v * v : norm == Norm::any ? pow(v, order) : v);
  }
  mine = block_fold(mine, [norm](double a, double b) { return joined(norm, a, b); });
  if (threadIdx.x == 0) slots[blockIdx.x] = mine;
}
__global__ void join_kernel(View out, const double* slots, int64_t pieces, Norm norm, double order) {
  double mine = 0;
  for (int64_t i = threadIdx.x; i < pieces; i += kThreads) mine = joined(norm, mine, slots[i]);
  mine = block_fold(mine, [norm](double a, double b) { return joined(norm, a, b); });
  if (threadIdx.x == 0) put(out, 0, norm == Norm::two ? sqrt(mine) : norm == Norm::any ? pow(mine, 1 / order) : mine);
}
void global_norm(const Ctx& ctx, const View& out, Views g, double order) noexcept {
  double* slots = static_cast<double*>(ctx.workspace);
  const Norm norm = norm_of(order);
  int64_t done = 0;
  for (int64_t i = 0; i < g.count; i++) {
    const View& v = g.items[i];
    const int64_t pieces = pieces_of(v);
    if (pieces == 0) continue;
    with_floating(v.dtype, [&](auto zero) {
      norm_kernel<decltype(zero)>
          <<<unsigned(pieces), kThreads, 0, stream_of(ctx)>>>(v, numel(v), norm, order, slots + done);
    });
    done += pieces;
  }
  join_kernel<<<1, kThreads, 0, stream_of(ctx)>>>(out, slots, done, norm, order);
  note(cudaGetLastError());
}
int64_t global_norm_workspace(const Ctx&, Views g) noexcept {
  int64_t pieces = 0;
  for (int64_t i = 0; i < g.count; i++) pieces += pieces_of(g.items[i]);
  return pieces * int64_t(sizeof(double));
}

template <class T>
__global__ void clip_kernel(View g, int64_t n, View norm, double max_norm) {
  const double factor = max_norm / (get<double>(norm, 0) + 1e-6);
  if (factor >= 1) return;
  for (int64_t i = first_index(); i < n; i += index_step()) put(g, i, get<T>(g, i) * T(factor));
}
void clip_by_norm(const Ctx& ctx, Views g, const View& norm, double max_norm) noexcept {
  for (int64_t i = 0; i < g.count; i++) {
    const View& v = g.items[i];
    int64_t n = numel(v);
    if (n == 0) continue;
    with_floating(v.dtype, [&](auto zero) {
      clip_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(v, n, norm, max_norm);
    });
  }
  note(cudaGetLastError());
}

}  // namespace

void fill_optim(Kernels& k) {
  k.optim_step = optim_step;
  k.global_norm = global_norm;
  k.global_norm_workspace = global_norm_workspace;
  k.clip_by_norm = clip_by_norm;
}

}  // namespace mielina::cuda
