// limits: see table/limits.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// 14 chains hide the latency of the FMA units (4 cycles, two a cycle) with room to spare, and fit the registers.
void fma_burst(const Ctx& ctx, const View& y, int64_t rounds, double* flops) noexcept {
  constexpr int kChains = 14;
  int64_t n = numel(y);
  parallel_for(ctx, n, [&](int64_t i, int) {
    vf32 acc[kChains];
#pragma GCC unroll 16
    for (int c = 0; c < kChains; c++) acc[c] = splat<vf32>(float(c));
    vf32 a = splat<vf32>(0.999f), b = splat<vf32>(0.001f);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 16
      for (int c = 0; c < kChains; c++) acc[c] = fma(acc[c], a, b);
    }
    vf32 total{};
#pragma GCC unroll 16
    for (int c = 0; c < kChains; c++) total += acc[c];
    ((float*)y.data)[i] = hsum(total);
  });
  *flops = double(n) * double(rounds) * kChains * lanes<float> * 2;
}

}  // namespace

void fill_limits(Kernels&);
void fill_limits(Kernels& k) { k.fma_burst = fma_burst; }

}  // namespace MIELINA_ISA
}  // namespace mielina
