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
// The last elements of an operand, or the vector that stands for them (0 bytes), in a place of their own. By value:
// pointers whose address a function has seen are read from the stack again after every store.
const void* set_apart(const void* at, int64_t bytes, void* apart);

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

// The same on halves of one dtype, converted where they lie: through blocks of 512 each conversion is a pass of its own
// over the L1 cache. What is repeated beside another operand is a vector of float32.
template <class F, int N, bool brain>
void row_of_halves(void* to, const Operand* x, int64_t n, const void* parameters) {
  constexpr int64_t L = lanes<float>;
  const float* p = (const float*)parameters;
  const vf32 a = splat<vf32>(p[0]), b = splat<vf32>(p[1]);
  const uint16_t* at[N];
  int64_t step[N];
  for (int k = 0; k < N; k++) {
    at[k] = (const uint16_t*)x[k].at;
    step[k] = x[k].step * L;
  }
  alignas(64) char apart[N][VBYTES];
  uint16_t last[L], *y = (uint16_t*)to;
  for (; n > 0; n -= L, y += L) {
    vf32 v[N];
#pragma GCC unroll 3
    for (int k = 0; k < N; k++) {
      if (__builtin_expect(n < L, 0)) at[k] = (const uint16_t*)set_apart(at[k], n * x[k].step * 2, apart[k]);
      if (N > 1 && step[k] == 0) v[k] = load((const float*)at[k]);
      else v[k] = brain ? from_bf16(load_half(at[k])) : from_f16(load_half(at[k]));
      at[k] += step[k];
    }
    const vf32 r = F::call(v, a, b);
    store_half(n < L ? last : y, brain ? to_bf16(r) : to_f16(r));
  }
  if (n < 0) __builtin_memcpy(y - L, last, size_t(n + L) * 2);
}

// A row over a whole space.
template <class T, int K>
void run(const Ctx& ctx, const Space<K>& s, RowFn f, Number p, Number q, RowFn halves = nullptr) {
  if (!f || s.n == 0) return;
  const T parameters[2] = {p.integer ? T(p.i) : T(p.d), q.integer ? T(q.i) : T(q.d)};
  if (halves) {
    const DType d = s.dtype[0];
    const Arrays arrays(s, d, DType::f32, DType::f32, true);
    bool fits = in_runs(arrays) && (K > 2 || (s.shape[s.ndim - 1] > 1 && s.stride[1][s.ndim - 1] == 1));
    for (int k = 1; k < K; k++) fits &= s.dtype[k] == d || repeats(s.ndim, s.shape, s.stride[k]);
    if (fits) return run_rows(ctx, arrays, halves, parameters);
  }
  run_rows(ctx, {s, dtype_of<T>, dtype_of<T>, dtype_of<T>, false}, f, parameters);
}

// Pick<op>::of<T>() for every op below N, as a table; nullptr where an op has no such row.
template <class T, template <int> class Pick, int... I>
RowFn pick(int op, Indices<I...>) {
  static constexpr RowFn table[] = {Pick<I>::template of<T>()...};
  return table[op];
}
// The row of halves of a functor that says `halves`, where the result is of those.
template <template <int> class Pick, int... I>
RowFn pick_halves(int op, DType d, Indices<I...>) {
  RowFn f = nullptr;
  [[maybe_unused]] auto offer = [&]<int i>(Indices<i>) __attribute__((always_inline)) {
    if constexpr (requires { Pick<i>::F::halves; }) {
      using Call = typename Pick<i>::Call;
      constexpr int N = Pick<i>::operands;
      if (op == i) f = d == DType::f16 ? row_of_halves<Call, N, false> : row_of_halves<Call, N, true>;
    }
  };
  if constexpr (kHalfKernels<float>)
    if (is_half(d)) (offer(Indices<I>{}), ...);
  return f;
}
template <template <int> class Pick, int N, int K>
void run_picked(const Ctx& ctx, const Space<K>& s, int op, DType compute, Number p, Number q) {
  using All = typename IndicesTo<N>::type;
  if (compute == DType::f32)
    run<float>(ctx, s, pick<float, Pick>(op, All{}), p, q, pick_halves<Pick>(op, s.dtype[0], All{}));
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
