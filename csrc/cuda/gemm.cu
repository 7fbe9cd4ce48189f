// gemm: a block makes a 16 x 16 tile of C, a thread one element, along K in steps of 16 through shared memory.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

constexpr int kTile = 16;

template <class T>
__device__ T activate(T x, Activation activation) {
  return activation == Activation::relu && x <= T(0) ? T(0) : x;
}

template <class T>
__global__ void gemm_kernel(View c, View a, View b, View bias, View residual, GemmArgs args, int64_t batches) {
  __shared__ T sa[kTile][kTile + 1], sb[kTile][kTile + 1];
  const int rows = c.ndim - 2, cols = c.ndim - 1, tx = threadIdx.x, ty = threadIdx.y;
  const int64_t M = c.shape[rows], N = c.shape[cols], K = a.shape[cols];
  const int64_t n = int64_t(blockIdx.x) * kTile + tx;
  for (int64_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
    const int64_t a0 = place(a, batch, 0, rows), b0 = place(b, batch, 0, rows);
    for (int64_t tile = blockIdx.y; tile * kTile < M; tile += gridDim.y) {
      const int64_t m = tile * kTile + ty;
      T sum = 0;
      for (int64_t k = 0; k < K; k += kTile) {
        sa[ty][tx] = m < M && k + tx < K ? get<T>(a, a0 + m * a.stride[rows] + (k + tx) * a.stride[cols]) : T(0);
        sb[ty][tx] = k + ty < K && n < N ? get<T>(b, b0 + (k + ty) * b.stride[rows] + n * b.stride[cols]) : T(0);
        __syncthreads();
        for (int j = 0; j < kTile; j++) sum += sa[ty][j] * sb[j][tx];
        __syncthreads();
      }
      if (m >= M || n >= N) continue;
      auto at = [&](const View& v) { return place(v, batch, 0, rows) + m * v.stride[rows] + n * v.stride[cols]; };
      if (args.accumulate) sum += get<T>(c, at(c));
      if (bias.data) sum += get<T>(bias, at(bias));
      if (residual.data) sum += get<T>(residual, at(residual));
      put(c, at(c), activate(sum, args.activation));
    }
  }
}

void gemm(const Ctx& ctx, const View& c, const View& a, const View& b, const View& bias, const View& residual,
          GemmArgs args) noexcept {
  if (args.activation != Activation::none && args.activation != Activation::relu) return note(kUnsupported);
  if (numel(c) == 0) return;
  int64_t batches = 1, rows = c.ndim - 2;
  for (int d = 0; d < rows; d++) batches *= c.shape[d];
  auto tiles = [](int64_t n) { return (n + kTile - 1) / kTile; };
  auto most = [](int64_t n) { return unsigned(n < 65535 ? n : 65535); };  // the loops take what is beyond
  dim3 grid(unsigned(tiles(c.shape[rows + 1])), most(tiles(c.shape[rows])), most(batches));
  with_compute(a.dtype, [&](auto zero) {
    gemm_kernel<decltype(zero)>
        <<<grid, dim3(kTile, kTile), 0, stream_of(ctx)>>>(c, a, b, bias, residual, args, batches);
  });
  note(cudaGetLastError());
}
int64_t gemm_workspace(const Ctx&, const View&, const View&, const View&) noexcept { return 0; }

}  // namespace

void fill_gemm(Kernels& k) {
  k.gemm = gemm;
  k.gemm_workspace = gemm_workspace;
}

}  // namespace mielina::cuda
