// reduce: from many elements to one, along axes.
#pragma once
#include "core/view.h"

namespace mielina {

enum class Reduce : int32_t { sum, count };

struct ReduceTable {
  // x: (outer..., reduced...), y: (outer...); `reduced` trailing dims of x are folded. Any strides. Sums of halves and of
  // f32 accumulate in f32 (blocked, so the error grows with log n), of f64 in f64, of integers in i64, then convert to
  // y's dtype. An empty reduction gives the op's identity.
  void (*reduce)(const Ctx&, const View& y, const View& x, Reduce op, int32_t reduced) noexcept;
  int64_t (*reduce_workspace)(const Ctx&, const View& y, const View& x, Reduce op, int32_t reduced) noexcept;
};

}  // namespace mielina
