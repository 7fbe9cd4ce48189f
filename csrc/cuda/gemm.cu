// gemm: a block of 16 x 16 threads makes a 64 x 64 tile of C, a thread 4 x 4 elements, along K in steps of 16 through
// shared memory. Any strides and dtypes; f32 and halves accumulate in f32, f64 in f64, integers in int64.
#include "cuda/scalar.cuh"

namespace mielina::cuda {
namespace {

constexpr int kSide = 16, kEach = 4, kTile = kSide * kEach, kStep = 16;

template <class T>
__global__ void gemm_kernel(View c, View a, View b, View bias, GemmArgs args, int64_t batches) {
  using W = Wrap<T>;
  __shared__ T sa[kStep][kTile + 1], sb[kStep][kTile + 1];
  const int rows = c.ndim - 2, cols = c.ndim - 1, tx = threadIdx.x, ty = threadIdx.y, t = ty * kSide + tx;
  const int64_t M = c.shape[rows], N = c.shape[cols], K = a.shape[cols], n0 = int64_t(blockIdx.x) * kTile;
  for (int64_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
    const int64_t a0 = place(a, batch, 0, rows), b0 = place(b, batch, 0, rows);
    for (int64_t m0 = int64_t(blockIdx.y) * kTile; m0 < M; m0 += int64_t(gridDim.y) * kTile) {
      W sum[kEach][kEach] = {};
      for (int64_t k0 = 0; k0 < K; k0 += kStep) {
        // Neighbouring threads read neighbouring k of A and n of B: both are contiguous in row-major operands.
        for (int i = t; i < kTile * kStep; i += kSide * kSide) {
          int64_t m = m0 + i / kStep, k = k0 + i % kStep;
          sa[i % kStep][i / kStep] = m < M && k < K ? get<T>(a, a0 + m * a.stride[rows] + k * a.stride[cols]) : T(0);
        }
        for (int i = t; i < kTile * kStep; i += kSide * kSide) {
          int64_t k = k0 + i / kTile, n = n0 + i % kTile;
          sb[i / kTile][i % kTile] = k < K && n < N ? get<T>(b, b0 + k * b.stride[rows] + n * b.stride[cols]) : T(0);
        }
        __syncthreads();
        for (int k = 0; k < kStep; k++)
          for (int i = 0; i < kEach; i++)
            for (int j = 0; j < kEach; j++) sum[i][j] += W(sa[k][ty + i * kSide]) * W(sb[k][tx + j * kSide]);
        __syncthreads();
      }
      for (int i = 0; i < kEach; i++)
        for (int j = 0; j < kEach; j++) {
          const int64_t m = m0 + ty + i * kSide, n = n0 + tx + j * kSide;
          if (m >= M || n >= N) continue;
          auto at = [&](const View& v) { return place(v, batch, 0, rows) + m * v.stride[rows] + n * v.stride[cols]; };
          W v = sum[i][j];
          if (args.accumulate) v += W(get<T>(c, at(c)));
          if (bias.data) v += W(get<T>(bias, at(bias)));
          put(c, at(c), T(v));
        }
    }
  }
}

void gemm(const Ctx& ctx, const View& c, const View& a, const View& b, const View& bias, GemmArgs args) noexcept {
  if (numel(c) == 0) return;
  int64_t batches = 1, rows = c.ndim - 2;
  for (int d = 0; d < rows; d++) batches *= c.shape[d];
  auto tiles = [](int64_t n) { return (n + kTile - 1) / kTile; };
  auto most = [](int64_t n) { return unsigned(n < 65535 ? n : 65535); };  // the loops take what is beyond
  dim3 grid(unsigned(tiles(c.shape[rows + 1])), most(tiles(c.shape[rows])), most(batches));
  with_compute(a.dtype, [&](auto zero) {
    gemm_kernel<decltype(zero)><<<grid, dim3(kSide, kSide), 0, stream_of(ctx)>>>(c, a, b, bias, args, batches);
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
