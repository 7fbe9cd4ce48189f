// Comparisons and selection: one thread an element, any strides and dtypes.
#include "cuda/scalar.cuh"

namespace mielina::cuda {
namespace {

template <class T>
__device__ bool holds(Compare op, T a, T b) {
  constexpr bool whole = __is_same(T, int64_t);
  switch (op) {
    case Compare::eq: return a == b;
    case Compare::ne: return a != b;
    case Compare::lt: return a < b;
    case Compare::le: return a <= b;
    case Compare::gt: return a > b;
    case Compare::ge: return a >= b;
    case Compare::logical_and: return a != T(0) && b != T(0);
    case Compare::logical_or: return a != T(0) || b != T(0);
    case Compare::logical_xor: return (a != T(0)) != (b != T(0));
    case Compare::isnan: return a != a;
    // x - x is 0 for finite x and NaN for others.
    case Compare::isinf: return !whole && a == a && a - a != T(0);
    case Compare::isfinite: return whole || a - a == T(0);
    case Compare::signbit:
      if constexpr (whole) return a < 0;
      else return ::signbit(a);
    default: return false;
  }
}
template <class T>
__global__ void compare_kernel(View y, Input a, Input b, int64_t n, Compare op) {
  for (int64_t i = first_index(); i < n; i += index_step()) {
    bool is = holds(op, get<T>(a, place(a.view, i)), get<T>(b, place(b.view, i)));
    static_cast<uint8_t*>(y.data)[place(y, i)] = is;
  }
}
void compare(const Ctx& ctx, const View& y, const View& a, const View& b, Compare op, DType compute) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_compute(compute, [&](auto zero) {
    compare_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, input_of(a), input_of(b), n, op);
  });
  note(cudaGetLastError());
}

template <class T>
__global__ void where_kernel(View y, Input condition, Input a, Input b, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step()) {
    bool first = get<int64_t>(condition, place(condition.view, i)) != 0;
    put(y, place(y, i), first ? get<T>(a, place(a.view, i)) : get<T>(b, place(b.view, i)));
  }
}
void where(const Ctx& ctx, const View& y, const View& condition, const View& a, const View& b, DType compute) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_compute(compute, [&](auto zero) {
    where_kernel<decltype(zero)>
        <<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, input_of(condition), input_of(a), input_of(b), n);
  });
  note(cudaGetLastError());
}

// All that write, write the same.
template <class T>
__global__ void any_zero_kernel(uint8_t* y, View x, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step())
    if (get<T>(x, place(x, i)) == T(0)) *y = 1;
}
void any_zero(const Ctx& ctx, const View& y, const View& x) noexcept {
  int64_t n = numel(x);
  note(cudaMemsetAsync(y.data, 0, 1, stream_of(ctx)));
  if (n == 0) return;
  with_compute(x.dtype, [&](auto zero) {
    any_zero_kernel<decltype(zero)>
        <<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(static_cast<uint8_t*>(y.data), x, n);
  });
  note(cudaGetLastError());
}

}  // namespace

void fill_logic(Kernels& k) {
  k.compare = compare;
  k.where = where;
  k.any_zero = any_zero;
}

}  // namespace mielina::cuda
