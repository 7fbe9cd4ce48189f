// optim: see table/optim.h. All tensors of a group are cut into pieces of 16 K elements, so that many small ones cost
// one pass and large ones are shared between threads.
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kPiece = 16 * 1024;

int64_t count_pieces(Views tensors) {
  int64_t n = 0;
  for (int64_t t = 0; t < tensors.count; t++) n += ceil_div(numel(tensors.items[t]), kPiece);
  return n;
}

// f(tensor, begin, end, piece) over the pieces of all tensors.
template <class F>
void for_pieces(const Ctx& ctx, Views tensors, F f) {
  int64_t total = 0;
  for (int64_t t = 0; t < tensors.count; t++) total += numel(tensors.items[t]);
  if (total <= 2 * kPiece) {  // a few microseconds in all: not worth waking anybody
    int64_t piece = 0;
    for (int64_t t = 0; t < tensors.count; t++) {
      int64_t n = numel(tensors.items[t]);
      for (int64_t o = 0; o < n; o += kPiece) f(t, o, min64(n, o + kPiece), piece++);
    }
    return;
  }
  parallel_for(ctx, count_pieces(tensors), [&](int64_t piece, int) {
    int64_t t = 0, i = piece;
    for (;; t++) {
      int64_t here = ceil_div(numel(tensors.items[t]), kPiece);
      if (i < here) break;
      i -= here;
    }
    f(t, i * kPiece, min64(numel(tensors.items[t]), (i + 1) * kPiece), piece);
  });
}

// A dense tensor's elements as blocks of T; nothing at all for a list that is empty.
template <class T>
struct Blocks {
  char* data;
  DType dtype;
  bool direct;
  Blocks(Views list, int64_t i) : data(nullptr), dtype(dtype_of<T>), direct(true) {
    if (list.count == 0) return;
    data = (char*)list.items[i].data;
    dtype = list.items[i].dtype;
    direct = dtype == dtype_of<T>;
  }
  T* get(int64_t i, int64_t n, T* buf) const {
    if (!data) return nullptr;
    if (direct) return (T*)data + i;
    row_from_fn<T>(dtype)(data + i * kDTypeSize[int(dtype)], 1, buf, n);
    return buf;
  }
  void put(int64_t i, int64_t n, const T* buf) const {
    if (!direct) row_to_fn<T>(dtype)(buf, data + i * kDTypeSize[int(dtype)], 1, n);
  }
};

// ---- the rules ------------------------------------------------------------------------------------------------------
// What a rule's constructor gets: the group's numbers, the tensor's step count t (from 1), and its running product.
struct Setting {
  const double* hyper;
  OptimArgs args;
  double t;
  float* product;
  double operator()(Hyper h) const { return hyper[int(h)]; }
};

// The state of one vector of elements; `c` of a rule with an optional list is null without it.
template <class T>
struct Lanes {
  Vec<T> p, g, a, b, c;
  bool has_a, has_b, has_c;
};

template <class T>
MIELINA_INLINE Vec<T> all(double x) {
  return splat<Vec<T>>(T(x));
}

// Sutskever et al. 2013: the buffer starts as the first gradient, whatever the dampening.
template <class T>
struct Sgd {
  Vec<T> lr, keep, add, ahead;
  bool nesterov;
  Sgd(const Setting& s)
      : lr(all<T>(s(Hyper::lr))),
        keep(all<T>(s.t == 1 ? 0 : s(Hyper::momentum))),
        add(all<T>(s.t == 1 ? 1 : 1 - s(Hyper::dampening))),
        ahead(all<T>(s(Hyper::momentum))),
        nesterov(s.args.nesterov) {}
  [[gnu::always_inline]] void operator()(Lanes<T>& x) const {
    Vec<T> d = x.g;
    if (x.has_a) {
      x.a = fma(keep, x.a, add * x.g);
      d = nesterov ? fma(ahead, x.a, x.g) : x.a;
    }
    x.p = x.p - lr * d;
  }
};

// The two moments that Adam and its kin keep.
template <class T>
struct Moments {
  Vec<T> b1, one_b1, b2, one_b2, eps;
  double c1, c2;  // what frees them of their bias
  Moments(const Setting& s) {
    double beta1 = s(Hyper::beta1), beta2 = s(Hyper::beta2);
    b1 = all<T>(beta1), one_b1 = all<T>(1 - beta1), b2 = all<T>(beta2), one_b2 = all<T>(1 - beta2);
    eps = all<T>(s(Hyper::eps));
    c1 = 1 - __builtin_pow(beta1, s.t), c2 = 1 - __builtin_pow(beta2, s.t);
  }
  [[gnu::always_inline]] void first(Lanes<T>& x) const { x.a = fma(b1, x.a, one_b1 * x.g); }
  [[gnu::always_inline]] void second(Lanes<T>& x) const { x.b = fma(b2, x.b, one_b2 * x.g * x.g); }
};

// Kingma & Ba 2015; amsgrad: Reddi, Kale & Kumar 2018.
template <class T>
struct Adam : Moments<T> {
  Vec<T> rate, root;
  Adam(const Setting& s) : Moments<T>(s) {
    rate = all<T>(s(Hyper::lr) / this->c1);
    root = all<T>(1 / __builtin_sqrt(this->c2));
  }
  [[gnu::always_inline]] void operator()(Lanes<T>& x) const {
    this->first(x);
    this->second(x);
    Vec<T> v = x.b;
    if (x.has_c) v = x.c = max(x.c, v);
    x.p = x.p - rate * x.a / (sqrt(v) * root + this->eps);
  }
};

// Kingma & Ba 2015, section 7.1.
template <class T>
struct Adamax : Moments<T> {
  Vec<T> rate;
  Adamax(const Setting& s) : Moments<T>(s) { rate = all<T>(s(Hyper::lr) / this->c1); }
  [[gnu::always_inline]] void operator()(Lanes<T>& x) const {
    this->first(x);
    x.b = max(this->b2 * x.b, abs(x.g) + this->eps);
    x.p = x.p - rate * x.a / x.b;
  }
};

// Dozat 2016: Nesterov's momentum with a schedule mu_t = b1 (1 - 0.96^(t momentum_decay) / 2).
template <class T>
struct Nadam : Moments<T> {
  Vec<T> rate_g, rate_m, root;
  Nadam(const Setting& s) : Moments<T>(s) {
    auto mu = [&](double t) { return s(Hyper::beta1) * (1 - 0.5 * __builtin_pow(0.96, t * s(Hyper::momentum_decay))); };
    double now = mu(s.t), next = mu(s.t + 1), product = *s.product;
    rate_g = all<T>(s(Hyper::lr) * (1 - now) / (1 - product));
    rate_m = all<T>(s(Hyper::lr) * next / (1 - product * next));
    root = all<T>(1 / __builtin_sqrt(this->c2));
  }
  [[gnu::always_inline]] void operator()(Lanes<T>& x) const {
    this->first(x);
    this->second(x);
    x.p = x.p - (rate_g * x.g + rate_m * x.a) / (sqrt(x.b) * root + this->eps);
  }
};

// Liu et al. 2020: plain momentum until the second moment's variance can be estimated (rho > 5).
template <class T>
struct Radam : Moments<T> {
  Vec<T> rate;
  bool adaptive;
  Radam(const Setting& s) : Moments<T>(s) {
    double beta2 = s(Hyper::beta2), top = 2 / (1 - beta2) - 1;
    double rho = top - 2 * s.t * (1 - this->c2) / this->c2;
    adaptive = rho > 5;
    double scale = s(Hyper::lr) / this->c1;
    if (adaptive) scale *= __builtin_sqrt(this->c2 * (rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho));
    rate = all<T>(scale);
  }
  [[gnu::always_inline]] void operator()(Lanes<T>& x) const {
    this->first(x);
    this->second(x);
    x.p = x.p - (adaptive ? rate * x.a / (sqrt(x.b) + this->eps) : rate * x.a);
  }
};

// Hinton 2012 (lecture 6e); centred: Graves 2013.
template <class T>
struct Rmsprop {
  Vec<T> lr, alpha, one_alpha, eps, momentum;
  Rmsprop(const Setting& s)
      : lr(all<T>(s(Hyper::lr))),
        alpha(all<T>(s(Hyper::alpha))),
        one_alpha(all<T>(1 - s(Hyper::alpha))),
        eps(all<T>(s(Hyper::eps))),
        momentum(all<T>(s(Hyper::momentum))) {}
  [[gnu::always_inline]] void operator()(Lanes<T>& x) const {
    x.a = fma(alpha, x.a, one_alpha * x.g * x.g);
    Vec<T> v = x.a;
    if (x.has_b) {
      x.b = fma(alpha, x.b, one_alpha * x.g);
      v = v - x.b * x.b;
    }
    Vec<T> d = x.g / (sqrt(v) + eps);
    if (x.has_c) d = x.c = fma(momentum, x.c, d);
    x.p = x.p - lr * d;
  }
};

// Duchi, Hazan & Singer 2011.
template <class T>
struct Adagrad {
  Vec<T> lr, eps;
  Adagrad(const Setting& s)
      : lr(all<T>(s(Hyper::lr) / (1 + (s.t - 1) * s(Hyper::lr_decay)))), eps(all<T>(s(Hyper::eps))) {}
  [[gnu::always_inline]] void operator()(Lanes<T>& x) const {
    x.a = fma(x.g, x.g, x.a);
    x.p = x.p - lr * x.g / (sqrt(x.a) + eps);
  }
};

// Zeiler 2012.
template <class T>
struct Adadelta {
  Vec<T> lr, rho, one_rho, eps;
  Adadelta(const Setting& s)
      : lr(all<T>(s(Hyper::lr))),
        rho(all<T>(s(Hyper::alpha))),
        one_rho(all<T>(1 - s(Hyper::alpha))),
        eps(all<T>(s(Hyper::eps))) {}
  [[gnu::always_inline]] void operator()(Lanes<T>& x) const {
    x.a = fma(rho, x.a, one_rho * x.g * x.g);
    Vec<T> d = sqrt(x.b + eps) / sqrt(x.a + eps) * x.g;
    x.b = fma(rho, x.b, one_rho * d * d);
    x.p = x.p - lr * d;
  }
};

// ---- one step -------------------------------------------------------------------------------------------------------
struct Lists {
  Views p, a, b, c, g;
};

template <template <class> class Rule, class T>
void update(const Lists& lists, int64_t i, int64_t begin, int64_t end, const Setting& s) {
  constexpr int64_t L = lanes<T>;
  const Rule<T> rule(s);
  bool decoupled = s.args.decoupled, decays = s(Hyper::weight_decay) != 0;  // 0 times an infinite p would be NaN
  Vec<T> decay = all<T>(decoupled ? 1 - s(Hyper::weight_decay) * s(Hyper::lr) : s(Hyper::weight_decay)),
         sign = all<T>(s.args.maximize ? -1 : 1);
  Blocks<T> P(lists.p, i), A(lists.a, i), B(lists.b, i), C(lists.c, i), G(lists.g, i);
  alignas(64) T buf[5][kBlock];
  for (int64_t o = begin; o < end; o += kBlock) {
    int64_t n = min64(kBlock, end - o);
    T *p = P.get(o, n, buf[0]), *g = G.get(o, n, buf[1]), *a = A.get(o, n, buf[2]), *b = B.get(o, n, buf[3]),
      *c = C.get(o, n, buf[4]);
    auto lane = [&](auto read, auto write, int64_t j) __attribute__((always_inline)) {
      Lanes<T> x{read(p + j), read(g + j) * sign, {}, {}, {}, a != nullptr, b != nullptr, c != nullptr};
      if (a) x.a = read(a + j);
      if (b) x.b = read(b + j);
      if (c) x.c = read(c + j);
      if (decays && decoupled) x.p = x.p * decay;
      else if (decays) x.g = fma(x.p, decay, x.g);
      rule(x);
      write(p + j, x.p);
      if (a) write(a + j, x.a);
      if (b) write(b + j, x.b);
      if (c) write(c + j, x.c);
    };
    int64_t j = 0;
    for (; j + L <= n; j += L) lane([](const T* q) { return load(q); }, [](T* q, Vec<T> v) { store(q, v); }, j);
    if (j < n) lane([&](const T* q) { return load_n(q, n - j); }, [&](T* q, Vec<T> v) { store_n(q, v, n - j); }, j);
    P.put(o, n, buf[0]);
    A.put(o, n, buf[2]);
    B.put(o, n, buf[3]);
    C.put(o, n, buf[4]);
  }
}

template <template <class> class Rule>
void step(const Ctx& ctx, const Lists& lists, Views clock, const double* hyper, OptimArgs args) {
  int64_t n = lists.p.count;
  for_pieces(ctx, lists.p, [&](int64_t i, int64_t begin, int64_t end, int64_t) {
    Setting s{hyper, args, clock.count ? double(*(const float*)clock.items[i].data) : 0,
              clock.count > n ? (float*)clock.items[n + i].data : nullptr};
    if (lists.p.items[i].dtype == DType::f64) update<Rule, double>(lists, i, begin, end, s);
    else update<Rule, float>(lists, i, begin, end, s);
  });
}

void optim_step(const Ctx& ctx, Views p, Views a, Views b, Views c, Views clock, Views g, const View& hyper,
                OptimArgs args) noexcept {
  const double* h = (const double*)hyper.data;
  for (int64_t i = 0; i < p.count && clock.count; i++) {
    float* t = (float*)clock.items[i].data;
    *t += 1;
    if (clock.count > p.count) {
      double mu = h[int(Hyper::beta1)] * (1 - 0.5 * __builtin_pow(0.96, *t * h[int(Hyper::momentum_decay)]));
      *(float*)clock.items[p.count + i].data *= float(mu);
    }
  }
  Lists lists{p, a, b, c, g};
  switch (args.rule) {
    case OptimRule::sgd: return step<Sgd>(ctx, lists, clock, h, args);
    case OptimRule::adam: return step<Adam>(ctx, lists, clock, h, args);
    case OptimRule::adamax: return step<Adamax>(ctx, lists, clock, h, args);
    case OptimRule::nadam: return step<Nadam>(ctx, lists, clock, h, args);
    case OptimRule::radam: return step<Radam>(ctx, lists, clock, h, args);
    case OptimRule::rmsprop: return step<Rmsprop>(ctx, lists, clock, h, args);
    case OptimRule::adagrad: return step<Adagrad>(ctx, lists, clock, h, args);
    default: return step<Adadelta>(ctx, lists, clock, h, args);
  }
}

// ---- clipping -------------------------------------------------------------------------------------------------------
enum class Norm { two, one, infinity, any };

template <class T, Norm N>
double piece_norm(const T* x, int64_t n, double order) {
  if constexpr (N == Norm::any) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += __builtin_pow(__builtin_fabs(double(x[i])), order);
    return sum;
  }
  constexpr int64_t L = lanes<T>;
  Vec<T> acc[4] = {};
  auto put = [&](Vec<T>& to, Vec<T> v) __attribute__((always_inline)) {
    if constexpr (N == Norm::two) to = fma(v, v, to);
    else if constexpr (N == Norm::one) to = to + abs(v);
    else to = max(to, abs(v));
  };
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L)
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) put(acc[k], load(x + i + k * L));
  for (; i < n; i += L) put(acc[0], load_n(x + i, min64(L, n - i)));
  if constexpr (N == Norm::infinity) return hmax(max(max(acc[0], acc[1]), max(acc[2], acc[3])));
  else return hsum((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

MIELINA_INLINE double join(Norm n, double a, double b) { return n != Norm::infinity ? a + b : b > a || b != b ? b : a; }

template <Norm N>
void norm_of(const Ctx& ctx, const View& norm, Views g, double order) {
  double* slots = (double*)ctx.workspace;
  for_pieces(ctx, g, [&](int64_t i, int64_t begin, int64_t end, int64_t piece) {
    auto run = [&](auto zero) {
      using T = decltype(zero);
      Blocks<T> G(g, i);
      alignas(64) T buf[kBlock];
      double total = 0;
      for (int64_t o = begin; o < end; o += kBlock) {
        int64_t n = min64(kBlock, end - o);
        total = join(N, total, piece_norm<T, N>(G.get(o, n, buf), n, order));
      }
      slots[piece] = total;
    };
    if (g.items[i].dtype == DType::f64) run(0.0);
    else run(0.0f);
  });
  double total = 0;
  for (int64_t i = 0, n = count_pieces(g); i < n; i++) total = join(N, total, slots[i]);
  if constexpr (N == Norm::two) total = __builtin_sqrt(total);
  if constexpr (N == Norm::any) total = __builtin_pow(total, 1 / order);
  if (norm.dtype == DType::f64) *(double*)norm.data = total;
  else *(float*)norm.data = float(total);
}

void global_norm(const Ctx& ctx, const View& norm, Views g, double order) noexcept {
  if (order == 2) norm_of<Norm::two>(ctx, norm, g, order);
  else if (order == 1) norm_of<Norm::one>(ctx, norm, g, order);
  else if (order == __builtin_inf()) norm_of<Norm::infinity>(ctx, norm, g, order);
  else norm_of<Norm::any>(ctx, norm, g, order);
}
int64_t global_norm_workspace(const Ctx&, Views g) noexcept { return count_pieces(g) * 8; }

void clip_by_norm(const Ctx& ctx, Views g, const View& norm, double max_norm) noexcept {
  double total = norm.dtype == DType::f64 ? *(const double*)norm.data : double(*(const float*)norm.data);
  double factor = max_norm / (total + 1e-6);
  if (factor >= 1) return;
  for_pieces(ctx, g, [&](int64_t i, int64_t begin, int64_t end, int64_t) {
    auto run = [&](auto zero) {
      using T = decltype(zero);
      constexpr int64_t L = lanes<T>;
      Blocks<T> G(g, i);
      alignas(64) T buf[kBlock];
      Vec<T> f = all<T>(factor);
      for (int64_t o = begin; o < end; o += kBlock) {
        int64_t n = min64(kBlock, end - o), j = 0;
        T* x = G.get(o, n, buf);
        for (; j + L <= n; j += L) store(x + j, load(x + j) * f);
        if (j < n) store_n(x + j, load_n(x + j, n - j) * f, n - j);
        G.put(o, n, buf);
      }
    };
    if (g.items[i].dtype == DType::f64) run(0.0);
    else run(0.0f);
  });
}

}  // namespace

void fill_optim(Kernels& k) {
  k.optim_step = optim_step;
  k.global_norm = global_norm;
  k.global_norm_workspace = global_norm_workspace;
  k.clip_by_norm = clip_by_norm;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
