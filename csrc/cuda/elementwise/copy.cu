// Copies, conversions and fills.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

// Elements of one size, moved bit by bit.
template <class Word>
__global__ void move_kernel(View y, View x, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step())
    static_cast<Word*>(y.data)[place(y, i)] = static_cast<const Word*>(x.data)[place(x, i)];
}
template <class T>
__global__ void convert_kernel(View y, View x, int64_t n, bool flat) {
  for (int64_t i = first_index(); i < n; i += index_step()) put(y, place(y, i, flat), get<T>(x, place(x, i, flat)));
}

void copy(const Ctx& ctx, const View& y, const View& x) noexcept {
  int64_t n = numel(y), size = kDTypeSize[int(y.dtype)];
  if (n == 0) return;
  cudaStream_t stream = stream_of(ctx);
  unsigned blocks = blocks_for(n);
  if (y.dtype != x.dtype)
    with_compute(x.dtype, [&](auto zero) {
      convert_kernel<decltype(zero)><<<blocks, kThreads, 0, stream>>>(y, x, n, flat(y, x));
    });
  else if (flat(y, x)) note(cudaMemcpyAsync(y.data, x.data, size_t(n * size), cudaMemcpyDeviceToDevice, stream));
  else if (size == 8) move_kernel<uint64_t><<<blocks, kThreads, 0, stream>>>(y, x, n);
  else if (size == 4) move_kernel<uint32_t><<<blocks, kThreads, 0, stream>>>(y, x, n);
  else if (size == 2) move_kernel<uint16_t><<<blocks, kThreads, 0, stream>>>(y, x, n);
  else move_kernel<uint8_t><<<blocks, kThreads, 0, stream>>>(y, x, n);
  note(cudaGetLastError());
}

template <class T>
__global__ void fill_kernel(View y, int64_t n, bool flat, T value) {
  for (int64_t i = first_index(); i < n; i += index_step()) put(y, place(y, i, flat), value);
}
void fill(const Ctx& ctx, const View& y, Number value) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  unsigned blocks = blocks_for(n);
  if (value.integer) fill_kernel<<<blocks, kThreads, 0, stream_of(ctx)>>>(y, n, flat(y), value.i);
  else fill_kernel<<<blocks, kThreads, 0, stream_of(ctx)>>>(y, n, flat(y), value.d);
  note(cudaGetLastError());
}

}  // namespace

void fill_copy(Kernels& k) {
  k.copy = copy;
  k.fill = fill;
}

}  // namespace mielina::cuda
