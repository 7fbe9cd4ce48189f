// The loops of the elementwise kernels. A functor becomes one function per compute type that runs over contiguous
// elements; tables of those, indexed by the op, keep everything around them (gathering, threads) out of the templates:
// it is instantiated once a shape of call instead of once an op.
#pragma once
#include "cpu/block.h"
#include "cpu/halves.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {

// An operand of a row: elements one after the other (step 1), or one vector that stands for all of them (step 0). A
// number repeated through a block of the L1 cache took twice as long: 64 MB times 2 on one core 5.5 ms, so 2.8.
// Elements are of Arrays::read, or halves of `dtype` where Arrays::halves says that f converts those itself.
struct Operand {
  const void* at;
  int64_t step;
  DType dtype = DType::f32;
};

// y[i] = f(x[0][i], ..., p[0], p[1]); p of the compute type.
using RowFn = void (*)(void* y, const Operand* x, int64_t n, const void* p);

// The K arrays of a space, the output first; one engine (elementwise/engine.cpp) serves every K and every type.
constexpr int kMost = 4;
struct Arrays {
  DType made, read[kMost - 1];  // what f writes and what it reads: f32, f64, i64 or bool
  bool halves;                  // where f32 is read, f takes halves where they lie, too
  int K, ndim;
  int64_t n;
  const int64_t* shape;
  const int64_t (*stride)[kMaxDims];
  char* const* data;
  const DType* dtype;
  const bool* linear;

  template <int Count>
  Arrays(const Space<Count>& s, DType made, DType first, DType others, bool halves)
      : made(made),
        read{first, others, others},
        halves(halves),
        K(Count),
        ndim(s.ndim),
        n(s.n),
        shape(s.shape),
        stride(s.stride),
        data(s.data),
        dtype(s.dtype),
        linear(s.linear) {}
};
// Whether f works on the arrays where they lie. Then `made` and `read` may be any dtypes.
bool in_runs(const Arrays& s);
void run_rows(const Ctx& ctx, const Arrays& s, RowFn f, const void* parameters);

namespace {

// The body stands once: a copy for the tail would double the library, and the branch costs less than 3 % of an add.
template <class F, int N, class T>
void row(void* to, const Operand* x, int64_t n, const void* parameters) {
  using V = Vec<T>;
  constexpr int64_t L = lanes<T>;
  T* y = (T*)to;
  const T* p = (const T*)parameters;
  const V a = splat<V>(p[0]), b = splat<V>(p[1]);
  const T* at[N];
  int64_t step[N];
  for (int k = 0; k < N; k++) {
    at[k] = (const T*)x[k].at;
    step[k] = x[k].step * L;
  }
  for (; n > 0; n -= L, y += L) {
    const bool full = __builtin_expect(n >= L, 1);
    V v[N];
#pragma GCC unroll 3  // else the vectors pass through the stack, those that F does not read, too
    for (int k = 0; k < N; k++) {
      v[k] = full ? load(at[k]) : load_n(at[k], n);
      at[k] += step[k];
    }
    V r = F::call(v, a, b);
    if (full) store(y, r);
    else store_n(y, r, n);
  }
}

// A row over a whole space.
template <class T, int K>
void run(const Ctx& ctx, const Space<K>& s, RowFn f, Number p, Number q) {
  if (!f || s.n == 0) return;
  const T parameters[2] = {p.integer ? T(p.i) : T(p.d), q.integer ? T(q.i) : T(q.d)};
  run_rows(ctx, {s, dtype_of<T>, dtype_of<T>, dtype_of<T>, false}, f, parameters);
}

// Pick<op>::of<T>() for every op below N, as a table; nullptr where an op has no such row.
template <class T, template <int> class Pick, int... I>
RowFn pick(int op, Indices<I...>) {
  static constexpr RowFn table[] = {Pick<I>::template of<T>()...};
  return table[op];
}
template <template <int> class Pick, int N, int K>
void run_picked(const Ctx& ctx, const Space<K>& s, int op, DType compute, Number p, Number q) {
  using All = typename IndicesTo<N>::type;
  if (compute == DType::f32) run<float>(ctx, s, pick<float, Pick>(op, All{}), p, q);
  else if (compute == DType::f64) run<double>(ctx, s, pick<double, Pick>(op, All{}), p, q);
  else run<int64_t>(ctx, s, pick<int64_t, Pick>(op, All{}), p, q);
}

// A functor that says `integers` has rows for i64, too.
template <class T>
constexpr bool is_integer = __is_same(T, int64_t);
template <class F, class T>
constexpr bool has_row = !is_integer<T> || requires { F::integers; };

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
