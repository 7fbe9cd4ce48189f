// limits: how fast this machine could be, for the benchmarks' shares of it.
#pragma once
#include "core/view.h"

namespace mielina {

struct LimitsTable {
  // Independent chains of vector FMAs on every thread, `rounds` times each; the sum goes to y (one f32 a thread) so
  // that nothing is optimised away. *flops: how many were done.
  void (*fma_burst)(const Ctx&, const View& y, int64_t rounds, double* flops) noexcept;
};

}  // namespace mielina
