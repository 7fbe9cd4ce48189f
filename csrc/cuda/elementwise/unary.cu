// y = f(x) and its derivative: one thread an element, any strides and dtypes. The functors are the CPU's.
#include "cpu/elementwise/activation.h"

namespace mielina::cuda {
namespace {

template <class F, class T>
__global__ void unary_kernel(View y, View x, int64_t n, bool flat, T p, T q) {
  for (int64_t i = first_index(); i < n; i += index_step())
    put(y, place(y, i, flat), F::f(get<T>(x, place(x, i, flat)), p, q));
}
template <class F, class T>
__global__ void backward_kernel(View dx, View g, View x, View y, int64_t n, bool flat, T p, T q) {
  for (int64_t i = first_index(); i < n; i += index_step())
    put(dx, place(dx, i, flat),
        F::d(get<T>(g, place(g, i, flat)), get<T>(x, place(x, i, flat)), get<T>(y, place(y, i, flat)), p, q));
}

template <class T>
struct Forward {
  using Launch = void (*)(const Ctx&, const View&, const View&, double, double);
  template <int op>
  static constexpr Launch of() {
    using F = Fn<Unary(op)>;
    if constexpr (!requires { sizeof(F); }) return nullptr;
    else if constexpr (__is_same(T, int64_t) && !requires { F::integers; }) return nullptr;
    else
      return [](const Ctx& ctx, const View& y, const View& x, double p, double q) {
        int64_t n = numel(y);
        unary_kernel<F, T><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, x, n, flat(y, x), T(p), T(q));
      };
  }
};
template <class T>
struct Backward {
  using Launch = void (*)(const Ctx&, const View&, const View&, const View&, const View&, double, double);
  template <int op>
  static constexpr Launch of() {
    using F = Fn<Unary(op)>;
    if constexpr (!requires(T v) { F::d(v, v, v, v, v); }) return nullptr;
    else
      return [](const Ctx& ctx, const View& dx, const View& g, const View& x, const View& y, double p, double q) {
        int64_t n = numel(dx);
        backward_kernel<F, T>
            <<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(dx, g, x, y, n, flat(dx, g, x, y), T(p), T(q));
      };
  }
};
// The launch of an op, from a table of all of them.
template <class Pick, int... I>
typename Pick::Launch pick(int op, std::integer_sequence<int, I...>) {
  static constexpr typename Pick::Launch table[] = {Pick::template of<I>()...};
  return table[op];
}
template <class Pick>
typename Pick::Launch pick(Unary op) {
  return pick<Pick>(int(op), std::make_integer_sequence<int, int(Unary::count)>());
}

void unary(const Ctx& ctx, const View& y, const View& x, Unary op, DType compute, double p, double q) noexcept {
  if (numel(y) == 0) return;
  with_compute(compute, [&](auto zero) {
    auto launch = pick<Forward<decltype(zero)>>(op);
    if (!launch) return note(kUnsupported);
    launch(ctx, y, x, p, q);
    note(cudaGetLastError());
  });
}

void unary_backward(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& y, Unary op, double p,
                    double q) noexcept {
  if (numel(dx) == 0) return;
  with_floating(dx.dtype, [&](auto zero) {
    auto launch = pick<Backward<decltype(zero)>>(op);
    if (!launch) return note(kUnsupported);
    launch(ctx, dx, g, x, y, p, q);
    note(cudaGetLastError());
  });
}

}  // namespace

void fill_unary(Kernels& k) {
  k.unary = unary;
  k.unary_backward = unary_backward;
}

}  // namespace mielina::cuda
