// What all CUDA kernels share: elements of any dtype, positions in strided views, a grid over n elements, and sums of a
// block in a fixed order. Views are passed to __global__ functions by value.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "core/kernels.h"
#include "cuda/export.h"

namespace mielina::cuda {

constexpr int kThreads = 256;

// ---- host side ------------------------------------------------------------------------------------------
inline int64_t numel(const View& v) {
  int64_t n = 1;
  for (int d = 0; d < v.ndim; d++) n *= v.shape[d];
  return n;
}
inline cudaStream_t stream_of(const Ctx& ctx) { return static_cast<cudaStream_t>(ctx.stream); }
inline unsigned blocks_for(int64_t n) {
  int64_t blocks = (n + kThreads - 1) / kThreads;
  return unsigned(blocks < (1 << 20) ? blocks : 1 << 20);
}
inline unsigned blocks_of_rows(int64_t rows) { return unsigned(rows < (1 << 20) ? rows : 1 << 20); }

// f(zero of the compute type): double for f64, int64_t for integers and bool, else float.
template <class F>
void with_compute(DType d, F f) {
  if (d == DType::f64) f(double());
  else if (d == DType::f32 || d == DType::f16 || d == DType::bf16) f(float());
  else f(int64_t());
}
template <class F>
void with_floating(DType d, F f) {
  if (d == DType::f64) f(double());
  else f(float());
}

// An input that may be a number of the host (strides all 0): its bytes travel in the kernel's arguments.
struct Input {
  View view;
  int64_t bits;
  bool number;
};
inline Input input_of(const View& v) {
  Input in{v, 0, v.number};
  if (in.number) __builtin_memcpy(&in.bits, v.data, kDTypeSize[int(v.dtype)]);
  return in;
}

// Whether element i of all views in C order stands i elements after some start: dense memory in one order of axes.
template <class... V>
bool flat(const View& y, const V&... others) {
  int64_t reach = 0;
  bool same = true;
  for (int d = 0; d < y.ndim; d++) {
    if (y.shape[d] == 1) continue;
    same = same && y.stride[d] > 0 && ((others.stride[d] == y.stride[d]) && ...);
    reach += (y.shape[d] - 1) * y.stride[d];
  }
  return same && reach + 1 == numel(y);
}
inline bool flat(const View& y) {
  int64_t reach = 0;
  for (int d = 0; d < y.ndim; d++) {
    if (y.shape[d] != 1 && y.stride[d] <= 0) return false;
    reach += (y.shape[d] - 1) * y.stride[d];
  }
  return reach + 1 == numel(y);
}

// ---- elements -------------------------------------------------------------------------------------------
// A cast that follows the copy contract: to an integer through int64, where NaN and what does not fit give its minimum.
template <class To, class From>
__device__ inline To as(From x) {
  return To(x);
}
template <>
__device__ inline int64_t as(float x) {
  return x >= -0x1p63f && x < 0x1p63f ? int64_t(x) : INT64_MIN;
}
template <>
__device__ inline int64_t as(double x) {
  return x >= -0x1p63 && x < 0x1p63 ? int64_t(x) : INT64_MIN;
}

__device__ inline __half half_of(float x) { return __float2half_rn(x); }
__device__ inline __half half_of(double x) { return __double2half(x); }
__device__ inline __half half_of(int64_t x) { return __float2half_rn(float(x)); }
__device__ inline __nv_bfloat16 bfloat_of(float x) { return __float2bfloat16_rn(x); }
__device__ inline __nv_bfloat16 bfloat_of(double x) { return __double2bfloat16(x); }
__device__ inline __nv_bfloat16 bfloat_of(int64_t x) { return __float2bfloat16_rn(float(x)); }

template <class T>
__device__ T get(const void* data, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::f32: return as<T>(static_cast<const float*>(data)[i]);
    case DType::f64: return as<T>(static_cast<const double*>(data)[i]);
    case DType::f16: return as<T>(__half2float(static_cast<const __half*>(data)[i]));
    case DType::bf16: return as<T>(__bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]));
    case DType::i64: return T(static_cast<const int64_t*>(data)[i]);
    case DType::i32: return T(static_cast<const int32_t*>(data)[i]);
    case DType::i16: return T(static_cast<const int16_t*>(data)[i]);
    case DType::i8: return T(static_cast<const int8_t*>(data)[i]);
    default: return T(static_cast<const uint8_t*>(data)[i]);
  }
}
template <class T>
__device__ void put(void* data, DType dtype, int64_t i, T x) {
  switch (dtype) {
    case DType::f32: static_cast<float*>(data)[i] = float(x); return;
    case DType::f64: static_cast<double*>(data)[i] = double(x); return;
    case DType::f16: static_cast<__half*>(data)[i] = half_of(x); return;
    case DType::bf16: static_cast<__nv_bfloat16*>(data)[i] = bfloat_of(x); return;
    case DType::i64: static_cast<int64_t*>(data)[i] = as<int64_t>(x); return;
    case DType::i32: static_cast<int32_t*>(data)[i] = int32_t(as<int64_t>(x)); return;
    case DType::i16: static_cast<int16_t*>(data)[i] = int16_t(as<int64_t>(x)); return;
    case DType::i8: static_cast<int8_t*>(data)[i] = int8_t(as<int64_t>(x)); return;
    case DType::u8: static_cast<uint8_t*>(data)[i] = uint8_t(as<int64_t>(x)); return;
    case DType::b8: static_cast<uint8_t*>(data)[i] = x != T(0); return;
  }
}
template <class T>
__device__ T get(const View& v, int64_t i) {
  return get<T>(v.data, v.dtype, i);
}
template <class T>
__device__ void put(const View& v, int64_t i, T x) {
  put(v.data, v.dtype, i, x);
}
template <class T>
__device__ T get(const Input& in, int64_t i) {
  return in.number ? get<T>(&in.bits, in.view.dtype, 0) : get<T>(in.view, i);
}

// Where element i, in C order over dims [begin, end), stands.
__device__ inline int64_t place(const View& v, int64_t i, int begin, int end) {
  int64_t offset = 0;
  for (int d = end - 1; d >= begin; d--) {
    offset += i % v.shape[d] * v.stride[d];
    i /= v.shape[d];
  }
  return offset;
}
__device__ inline int64_t place(const View& v, int64_t i) { return place(v, i, 0, v.ndim); }

__device__ inline int64_t first_index() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t index_step() { return int64_t(gridDim.x) * blockDim.x; }

// The same, for views of which it is known that they are flat.
__device__ inline int64_t place(const View& v, int64_t i, bool flat) { return flat ? i : place(v, i); }

// f over the values of a block's threads, in the order of a fixed tree; every thread gets the result.
template <class T, class F>
__device__ T block_fold(T x, F f) {
  __shared__ T shared[kThreads];
  __syncthreads();
  shared[threadIdx.x] = x;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] = f(shared[threadIdx.x], shared[threadIdx.x + half]);
    __syncthreads();
  }
  return shared[0];
}
template <class T>
__device__ T block_sum(T x) {
  return block_fold(x, [](T a, T b) { return a + b; });
}
template <class T>
__device__ T block_max(T x) {
  return block_fold(x, [](T a, T b) { return b > a || b != b ? b : a; });
}

__device__ inline float exp_of(float x) { return expf(x); }
__device__ inline double exp_of(double x) { return exp(x); }

}  // namespace mielina::cuda
