// ctc: see table/rnn.h. States s = 0 ... 2 S are blank, label, blank, ..., label, blank; a path stays, goes on by one,
// or from a label to a different next one. All states of a step are computed at once, in logarithms.
#include "cpu/block.h"
#include "cpu/rnn/lanes.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kPad = 2;  // numbers of -inf before the first state, and after the last one of beta

template <class T>
constexpr T kNever = -Fp<T>::inf;

// log(exp(a) + exp(b) + exp(c)), -inf if all are.
template <class V>
MIELINA_INLINE V log_sum(V a, V b, V c) {
  const V m = bounded<false>(a, bounded<false>(b, c)), off = splat<V>(kNever<Elem<V>>);
  const V base = select<V>(m == off, V{}, m);
  return base + log(exp(a - base) + exp(b - base) + exp(c - base));
}
template <class T>
T log_sum(T a, T b) {
  return log_sum(splat<Vec<T>>(a), splat<Vec<T>>(b), splat<Vec<T>>(kNever<T>))[0];
}

// A worker's scratch: the classes of the states, 0 or -inf for the jump into a state, the step's emissions, two rows of
// beta, and the classes' sums.
template <class T>
struct Scratch {
  int64_t* label;
  T *jump, *emit, *beta, *next, *classes;
  static int64_t layout(int64_t width, int64_t C, char* base, Scratch* s) {
    int64_t at = 0;
    auto take = [&](auto*& p, int64_t n) {
      p = (decltype(p + 0))(base + at);
      at += (n * int64_t(sizeof(*p)) + 63) / 64 * 64;
    };
    take(s->label, width);
    take(s->jump, width);
    take(s->emit, width);
    take(s->beta, width + kPad);
    take(s->next, width + kPad);
    take(s->classes, C);
    return at;
  }
};

int64_t number(const View& v, int64_t i) { return ((const int64_t*)v.data)[i * v.stride[0]]; }

// One sample: its states and where its log probabilities lie. A replayed step may bring numbers out of range: the
// sample is then not valid, and its loss and gradient are NaN.
template <class T>
struct Sample {
  int64_t T_n, states, C, step, sc, size;
  bool valid;
  const char* x;
  RowFrom<T> row;
  Scratch<T> w;

  Sample(const View& v, const View& target, const View& start, const View& length, const View& steps, int64_t n,
         int64_t blank, int64_t width, const Scratch<T>& scratch)
      : w(scratch) {
    size = kDTypeSize[int(v.dtype)];
    step = v.stride[0] * size;
    sc = v.stride[2];
    C = v.shape[2];
    x = (const char*)v.data + n * v.stride[1] * size;
    row = row_from_fn<T>(v.dtype);
    T_n = number(steps, n);
    const int64_t S = number(length, n), first = number(start, n);
    valid = T_n >= 0 && T_n <= v.shape[0] && S >= 0 && S <= (width - kPad - 1) / 2 && first + S <= target.shape[0];
    for (int64_t s = 0; valid && s < S; s++) {
      const int64_t label = number(target, first + s);
      valid = label >= 0 && label < C;
    }
    if (!valid) T_n = 0;
    states = valid ? 2 * S + 1 : 1;
    for (int64_t s = 0; s < states; s++) {
      w.label[s] = s % 2 ? number(target, first + s / 2) : blank;
      w.jump[s] = s % 2 && s > 1 && w.label[s] != w.label[s - 2] ? T(0) : kNever<T>;
    }
  }
  void emissions(int64_t t) const {
    for (int64_t s = 0; s < states; s++) row(x + t * step + w.label[s] * sc * size, 1, w.emit + s, 1);
  }
};

template <class T>
void fill(T* p, int64_t n, T x) {
  for (int64_t i = 0; i < n; i++) p[i] = x;
}

// Minus the logarithm of the sum over all paths.
template <class T>
T negative_log(const Sample<T>& a, const T* alpha, int64_t ld) {
  if (a.T_n == 0) return a.states == 1 ? T(0) : Fp<T>::inf;
  const T* last = alpha + (a.T_n - 1) * ld + kPad + a.states;
  return -log_sum(last[-1], last[-2]);
}

// alpha: rows of kPad + states numbers, the first kPad of them -inf.
template <class T>
void forward(const Sample<T>& a, T* alpha, int64_t ld) {
  if (a.T_n == 0) return;
  fill(alpha, kPad + a.states, kNever<T>);
  a.emissions(0);
  for (int64_t s = 0; s < min64(2, a.states); s++) alpha[kPad + s] = a.w.emit[s];
  for (int64_t t = 1; t < a.T_n; t++) {
    const T* before = alpha + (t - 1) * ld + kPad;
    T* now = alpha + t * ld + kPad;
    fill(now - kPad, kPad, kNever<T>);
    a.emissions(t);
    for (int64_t s = 0; s < a.states; s += lanes<T>) {
      const int64_t n = min64(lanes<T>, a.states - s);
      const auto sum =
          log_sum(get(before + s, n), get(before + s - 1, n), get(before + s - 2, n) + get(a.w.jump + s, n));
      put_lanes(now + s, sum + get(a.w.emit + s, n), n);
    }
  }
}

// out_c (C) at each step = minus the expected number of passages, times g; step t's row is written by put(t, row).
template <class T, class Put>
void backward(const Sample<T>& a, const T* alpha, int64_t ld, T nll, T g, Put put) {
  T *beta = a.w.beta, *next = a.w.next;
  fill(next, a.states + kPad, kNever<T>);
  for (int64_t t = a.T_n - 1; t >= 0; t--) {
    a.emissions(t);
    fill(beta, a.states + kPad, kNever<T>);
    if (t == a.T_n - 1) {
      for (int64_t s = max64(0, a.states - 2); s < a.states; s++) beta[s] = a.w.emit[s];
    } else {
      for (int64_t s = 0; s < a.states; s += lanes<T>) {
        const int64_t n = min64(lanes<T>, a.states - s), m = min64(n, a.states - s - 2);
        auto jump = splat<Vec<T>>(kNever<T>);  // out of a state: the jump into the one after the next
        for (int64_t i = 0; i < m; i++) jump[i] = a.w.jump[s + i + 2] + next[s + i + 2];
        put_lanes(beta + s, log_sum(get(next + s, n), get(next + s + 1, n), jump) + get(a.w.emit + s, n), n);
      }
    }
    fill(a.w.classes, a.C, T(0));
    const T* now = alpha + t * ld + kPad;
    for (int64_t s = 0; s < a.states; s += lanes<T>) {
      const int64_t n = min64(lanes<T>, a.states - s);
      const auto e = get(a.w.emit + s, n);
      // A state of probability zero has alpha = beta = -inf; its emission may be -inf, too.
      auto p = exp(get(now + s, n) + get(beta + s, n) - e + splat<Vec<T>>(nll));
      p = select<Vec<T>>(e == splat<Vec<T>>(kNever<T>), Vec<T>{}, p);
      for (int64_t i = 0; i < n; i++) a.w.classes[a.w.label[s + i]] -= p[i] * g;
    }
    put(t, a.w.classes);
    T* swap = beta;
    beta = next;
    next = swap;
  }
}

template <class T>
void ctc_rows(const Ctx& ctx, const View& nll, const View& alpha, const View& x, const View& target, const View& start,
              const View& length, const View& steps, int64_t blank, bool zero_infinity) {
  Scratch<T> none;
  const int64_t bytes = Scratch<T>::layout(alpha.shape[2], x.shape[2], nullptr, &none);
  parallel_for(ctx, x.shape[1], [&](int64_t n, int worker) {
    Scratch<T> w;
    Scratch<T>::layout(alpha.shape[2], x.shape[2], (char*)ctx.workspace + worker * bytes, &w);
    const Sample<T> a(x, target, start, length, steps, n, blank, alpha.shape[2], w);
    T* rows = (T*)alpha.data + n * alpha.stride[0];
    forward(a, rows, alpha.stride[1]);
    const T loss = a.valid ? negative_log(a, rows, alpha.stride[1]) : Fp<T>::inf - Fp<T>::inf;
    ((T*)nll.data)[n] = zero_infinity && loss == Fp<T>::inf ? T(0) : loss;
  });
}

void ctc(const Ctx& ctx, const View& nll, const View& alpha, const View& x, const View& target, const View& start,
         const View& length, const View& steps, int64_t blank, bool zero_infinity) noexcept {
  if (alpha.dtype == DType::f64)
    ctc_rows<double>(ctx, nll, alpha, x, target, start, length, steps, blank, zero_infinity);
  else ctc_rows<float>(ctx, nll, alpha, x, target, start, length, steps, blank, zero_infinity);
}

template <class T>
void ctc_backward_rows(const Ctx& ctx, const View& dx, const View& g, const View& alpha, const View& x,
                       const View& target, const View& start, const View& length, const View& steps, int64_t blank,
                       bool zero_infinity) {
  Scratch<T> none;
  const int64_t C = x.shape[2], bytes = Scratch<T>::layout(alpha.shape[2], C, nullptr, &none);
  const RowTo<T> write = row_to_fn<T>(dx.dtype);
  parallel_for(ctx, x.shape[1], [&](int64_t n, int worker) {
    Scratch<T> w;
    Scratch<T>::layout(alpha.shape[2], C, (char*)ctx.workspace + worker * bytes, &w);
    const Sample<T> a(x, target, start, length, steps, n, blank, alpha.shape[2], w);
    char* to = (char*)dx.data + n * dx.stride[1] * a.size;
    auto put = [&](int64_t t, const T* row) { write(row, to + t * dx.stride[0] * a.size, dx.stride[2], C); };
    const T* rows = (const T*)alpha.data + n * alpha.stride[0];
    const T loss = negative_log(a, rows, alpha.stride[1]);
    T scale;
    row_from_fn<T>(g.dtype)((const char*)g.data + n * g.stride[0] * kDTypeSize[int(g.dtype)], 1, &scale, 1);
    const bool skip = zero_infinity && loss == Fp<T>::inf;
    if (!skip) backward(a, rows, alpha.stride[1], loss, scale, put);
    fill(w.classes, C, a.valid ? T(0) : Fp<T>::inf - Fp<T>::inf);
    for (int64_t t = skip ? 0 : a.T_n; t < x.shape[0]; t++) put(t, w.classes);
  });
}

void ctc_backward(const Ctx& ctx, const View& dx, const View& g, const View& alpha, const View& x, const View& target,
                  const View& start, const View& length, const View& steps, int64_t blank,
                  bool zero_infinity) noexcept {
  if (alpha.dtype == DType::f64)
    ctc_backward_rows<double>(ctx, dx, g, alpha, x, target, start, length, steps, blank, zero_infinity);
  else ctc_backward_rows<float>(ctx, dx, g, alpha, x, target, start, length, steps, blank, zero_infinity);
}

int64_t ctc_workspace(const Ctx& ctx, const View& alpha, const View& x) noexcept {
  Scratch<double> d;
  Scratch<float> f;
  const int64_t width = alpha.shape[2], C = x.shape[2];
  return ctx.threads * (alpha.dtype == DType::f64 ? Scratch<double>::layout(width, C, nullptr, &d)
                                                  : Scratch<float>::layout(width, C, nullptr, &f));
}

}  // namespace

void fill_ctc(Kernels&);
void fill_ctc(Kernels& k) {
  k.ctc = ctc;
  k.ctc_backward = ctc_backward;
  k.ctc_workspace = ctc_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
