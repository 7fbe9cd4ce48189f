// reduce: one block a result; its threads take every 256th element and add in double (int64 for integers).
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

template <class T>
__global__ void sum_kernel(View y, View x, int outer, int64_t results, int64_t n) {
  for (int64_t r = blockIdx.x; r < results; r += gridDim.x) {
    int64_t start = place(x, r, 0, outer);
    T sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += kThreads) sum += get<T>(x, start + place(x, i, outer, x.ndim));
    sum = block_sum(sum);
    if (threadIdx.x == 0) put(y, place(y, r), sum);
  }
}

void reduce(const Ctx& ctx, const View& y, const View& x, Reduce op, int32_t reduced, double) noexcept {
  if (op != Reduce::sum) return note(kUnsupported);
  int64_t results = numel(y), n = 1;
  if (results == 0) return;
  int outer = x.ndim - reduced;
  for (int d = outer; d < x.ndim; d++) n *= x.shape[d];
  with_compute(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    auto launch = [&](auto wide) {
      sum_kernel<decltype(wide)><<<blocks_of_rows(results), kThreads, 0, stream_of(ctx)>>>(y, x, outer, results, n);
    };
    if constexpr (sizeof(T) == 4) launch(double());
    else launch(T());
  });
  note(cudaGetLastError());
}
int64_t reduce_workspace(const Ctx&, const View&, int32_t) noexcept { return 0; }

}  // namespace

void fill_reduce(Kernels& k) {
  k.reduce = reduce;
  k.reduce_workspace = reduce_workspace;
}

}  // namespace mielina::cuda
