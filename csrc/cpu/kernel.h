// What every CPU kernel file starts from: vectors, and loops over the thread pool.
#pragma once
#include "core/kernels.h"
#include "cpu/simd.h"

namespace mielina {
namespace MIELINA_ISA {

MIELINA_INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
MIELINA_INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
MIELINA_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
MIELINA_INLINE int64_t align64(int64_t bytes) { return (bytes + 63) & ~int64_t(63); }

MIELINA_INLINE int64_t numel(const View& v) {
  int64_t n = 1;
  for (int i = 0; i < v.ndim; i++) n *= v.shape[i];
  return n;
}

MIELINA_INLINE bool is_half(DType d) { return d == DType::f16 || d == DType::bf16; }

template <class T>
struct Bare {
  using type = T;
};
template <class T>
struct Bare<T&> {
  using type = T;
};

// f(i, worker) for i in [0, n). The cut into n pieces is the caller's and must not depend on the number of threads.
// brief: see core/pool.h.
template <class F>
static inline void parallel_for(const Ctx& ctx, int64_t n, F&& f, bool brief = false) {
  if (n == 1 || ctx.threads == 1) {
    for (int64_t i = 0; i < n; i++) f(i, 0);
    return;
  }
  ctx.run(
      ctx.pool, n, [](void* arg, int64_t i, int worker) { (*static_cast<typename Bare<F>::type*>(arg))(i, worker); },
      (void*)&f, brief);
}

// f(begin, end) over [0, n) in fixed pieces of `grain`.
template <class F>
static inline void parallel_ranges(const Ctx& ctx, int64_t n, int64_t grain, F&& f) {
  parallel_for(ctx, ceil_div(n, grain), [&](int64_t i, int) { f(i * grain, min64(n, (i + 1) * grain)); });
}

}  // namespace MIELINA_ISA
}  // namespace mielina
