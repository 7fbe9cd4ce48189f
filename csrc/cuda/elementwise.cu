// elementwise: one thread an element, any strides and dtypes.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

// put(y, f(a, b)) over y's elements; the inputs have y's shape.
template <class T, class F>
__global__ void map_kernel(View y, Input a, Input b, int64_t n, F f) {
  for (int64_t i = first_index(); i < n; i += index_step())
    put(y, place(y, i), f(get<T>(a, place(a.view, i)), get<T>(b, place(b.view, i))));
}
template <class T, class F>
void map(const Ctx& ctx, const View& y, const View& a, const View& b, F f) {
  int64_t n = numel(y);
  if (n == 0) return;
  map_kernel<T><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, input_of(a), input_of(b), n, f);
  note(cudaGetLastError());
}

struct Relu {  // NaN stays NaN
  template <class T>
  __device__ T operator()(T x, T) const {
    return x < T(0) ? T(0) : x;
  }
};
struct ReluBackward {
  template <class T>
  __device__ T operator()(T g, T y) const {
    return y <= T(0) ? T(0) : g;
  }
};
struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Sub {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a - b;
  }
};
struct Mul {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a * b;
  }
};
struct Div {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a / b;
  }
  __device__ int64_t operator()(int64_t a, int64_t b) const { return b == 0 ? 0 : b == -1 ? -a : a / b; }
};
struct First {
  template <class T>
  __device__ T operator()(T a, T) const {
    return a;
  }
};

void unary(const Ctx& ctx, const View& y, const View& x, Unary op, DType compute, double, double) noexcept {
  if (op != Unary::relu) return note(kUnsupported);
  with_compute(compute, [&](auto zero) { map<decltype(zero)>(ctx, y, x, x, Relu{}); });
}

void unary_backward(const Ctx& ctx, const View& dx, const View& g, const View&, const View& y, Unary op, double,
                    double) noexcept {
  if (op != Unary::relu) return note(kUnsupported);
  with_compute(dx.dtype, [&](auto zero) { map<decltype(zero)>(ctx, dx, g, y, ReluBackward{}); });
}

void binary(const Ctx& ctx, const View& y, const View& a, const View& b, Binary op, DType compute) noexcept {
  with_compute(compute, [&](auto zero) {
    using T = decltype(zero);
    switch (op) {
      case Binary::add: return map<T>(ctx, y, a, b, Add{});
      case Binary::sub: return map<T>(ctx, y, a, b, Sub{});
      case Binary::mul: return map<T>(ctx, y, a, b, Mul{});
      case Binary::div: return map<T>(ctx, y, a, b, Div{});
      default: return note(kUnsupported);
    }
  });
}

void copy(const Ctx& ctx, const View& y, const View& x) noexcept {
  with_compute(x.dtype, [&](auto zero) { map<decltype(zero)>(ctx, y, x, x, First{}); });
}

template <class T>
__global__ void fill_kernel(View y, int64_t n, T value) {
  for (int64_t i = first_index(); i < n; i += index_step()) put(y, place(y, i), value);
}
void fill(const Ctx& ctx, const View& y, Number value) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  if (value.integer) fill_kernel<<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, n, value.i);
  else fill_kernel<<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, n, value.d);
  note(cudaGetLastError());
}

}  // namespace

void fill_elementwise(Kernels& k) {
  k.unary = unary;
  k.unary_backward = unary_backward;
  k.binary = binary;
  k.copy = copy;
  k.fill = fill;
}

}  // namespace mielina::cuda
