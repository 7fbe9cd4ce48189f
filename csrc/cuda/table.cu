// The library's face: the kernel table, and the few calls of the CUDA runtime that the host needs.
#include <atomic>

#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

std::atomic<int> g_noted{0};

// The call's own error, or the first one that a kernel left behind.
int settle(cudaError_t e) { return e != cudaSuccess ? int(e) : g_noted.exchange(0); }

int count(int32_t* cards) noexcept {
  int n = 0;
  cudaError_t e = cudaGetDeviceCount(&n);
  *cards = e == cudaSuccess ? n : 0;
  return e;
}
int allocate(int32_t card, size_t bytes, void** data) noexcept {
  if (cudaError_t e = cudaSetDevice(card)) return e;
  return cudaMalloc(data, bytes);
}
int release(int32_t card, void* data) noexcept {
  if (cudaError_t e = cudaSetDevice(card)) return e;
  return cudaFree(data);
}
int copy(int32_t card, void* to, const void* from, size_t bytes) noexcept {
  if (cudaError_t e = cudaSetDevice(card)) return e;
  return settle(cudaMemcpy(to, from, bytes, cudaMemcpyDefault));
}
int synchronize(int32_t card) noexcept {
  if (cudaError_t e = cudaSetDevice(card)) return e;
  return settle(cudaDeviceSynchronize());
}
const char* error(int code) noexcept {
  return code == kUnsupported ? "an operation that has no CUDA kernel" : cudaGetErrorString(cudaError_t(code));
}

const Kernels* kernels() {
  static const Kernels table = [] {
    Kernels k{};
    fill_conv(k);
    fill_elementwise(k);
    fill_gemm(k);
    fill_optim(k);
    fill_random(k);
    fill_reduce(k);
    fill_softmax(k);
    return k;
  }();
  return &table;
}

}  // namespace

void note(int code) noexcept {
  int none = 0;
  if (code) g_noted.compare_exchange_strong(none, code);
}

}  // namespace mielina::cuda

extern "C" __attribute__((visibility("default"))) const mielina::cuda::Library* mielina_cuda_library() {
  using namespace mielina::cuda;
  static const Device device{count, allocate, release, copy, synchronize, error};
  static const Library library{kAbi, int64_t(sizeof(mielina::Kernels)), kernels(), &device};
  return &library;
}
