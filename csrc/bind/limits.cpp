#include "bind/families.h"
#include "bind/fast.h"
#include "core/launch.h"
#include "core/pool.h"

namespace mielina::bind {
namespace {

// Floating-point operations a second of all threads together, over about 50 ms.
double fma_peak() {
  Array y = empty(Dims{num_threads()}, DType::f32);
  double flops = 0, best = 0;
  for (int i = 0; i < 5; i++) {
    auto start = std::chrono::steady_clock::now();
    launch<&Kernels::fma_burst>("fma_burst", out(y), int64_t(1) << 20, &flops);
    best = std::max(best, flops / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace

void add_limits(PyObject* m) { def<&fma_peak>(m, "fma_peak", ""); }

}  // namespace mielina::bind
