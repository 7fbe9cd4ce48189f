// The loops of the elementwise kernels. A functor becomes one function per compute type that runs over contiguous
// elements; tables of those, indexed by the op, keep everything around them (gathering, threads) out of the templates:
// it is instantiated once a shape of call instead of once an op.
#pragma once
#include "cpu/block.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// y[i] = f(x[0][i], ..., p[0], p[1])
template <class T>
using RowFn = void (*)(T* y, const T* const* x, int64_t n, const T* p);

// The body stands once: a copy for the tail would double the library, and the branch costs less than 3 % of an add.
template <class F, int N, class T>
void row(T* y, const T* const* x, int64_t n, const T* p) {
  using V = Vec<T>;
  constexpr int64_t L = lanes<T>;
  const V a = splat<V>(p[0]), b = splat<V>(p[1]);
  for (int64_t i = 0; i < n; i += L) {
    const bool full = n - i >= L;
    V v[N];
    for (int k = 0; k < N; k++) v[k] = full ? load(x[k] + i) : load_n(x[k] + i, n - i);
    V r = F::call(v, a, b);
    if (full) store(y + i, r);
    else store_n(y + i, r, n - i);
  }
}

// A row over a whole space. Large outputs are computed in the cache and streamed past it.
template <class T, int K>
void run(const Ctx& ctx, const Space<K>& s, RowFn<T> f, Number p, Number q) {
  if (!f) return;
  const T parameters[2] = {p.integer ? T(p.i) : T(p.d), q.integer ? T(q.i) : T(q.d)};
  blocks<T>(ctx, s, [f, &parameters](T* y, const T* const* x, int64_t n, bool nt) {
    if (!nt) return f(y, x, n, parameters);
    alignas(64) T buf[kBlock];
    const T* at[K];
    for (int64_t i = 0; i < n; i += kBlock) {
      int64_t m = min64(kBlock, n - i), j = 0;
      for (int k = 0; k + 1 < K; k++) at[k] = x[k] + i;
      f(buf, at, m, parameters);
      for (; j + lanes<T> <= m; j += lanes<T>) stream(y + i + j, load(buf + j));
      if (j < m) store_n(y + i + j, load_n(buf + j, m - j), m - j);
    }
  });
}

// Pick<op>::of<T>() for every op below N, as a table; nullptr where an op has no such row.
template <int... I>
struct Indices {};
template <int N, int... I>
struct IndicesTo : IndicesTo<N - 1, N - 1, I...> {};
template <int... I>
struct IndicesTo<0, I...> {
  using type = Indices<I...>;
};
template <class T, template <int> class Pick, int... I>
RowFn<T> pick(int op, Indices<I...>) {
  static constexpr RowFn<T> table[] = {Pick<I>::template of<T>()...};
  return table[op];
}
template <template <int> class Pick, int N, int K>
void run_picked(const Ctx& ctx, const Space<K>& s, int op, DType compute, Number p, Number q) {
  using All = typename IndicesTo<N>::type;
  if (compute == DType::f32) run(ctx, s, pick<float, Pick>(op, All{}), p, q);
  else if (compute == DType::f64) run(ctx, s, pick<double, Pick>(op, All{}), p, q);
  else run(ctx, s, pick<int64_t, Pick>(op, All{}), p, q);
}

// A functor that says `integers` has rows for i64, too.
template <class T>
constexpr bool is_integer = __is_same(T, int64_t);
template <class F, class T>
constexpr bool has_row = !is_integer<T> || requires { F::integers; };

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
