// layout: arrays put together from others, and sequences of numbers.
#pragma once
#include "core/view.h"

namespace mielina {

struct LayoutTable {
  // y = the inputs side by side along `axis`, each converted to y's dtype. Their other sizes are y's.
  void (*cat)(const Ctx&, const View& y, const Views& xs, int32_t axis) noexcept;
  // y = x where column - row <= diagonal (`upper`: >= diagonal) in the last two dims, else 0. One shape and dtype; y
  // may be x.
  void (*tri)(const Ctx&, const View& y, const View& x, int64_t diagonal, bool upper) noexcept;
  // y[i] = start + i * step for i < forward, and counted from the other end beyond: last - (n - 1 - i) * step. Computed
  // in double, or exactly in i64 for integer y with integer start and step. y is one-dimensional and contiguous.
  void (*sequence)(const Ctx&, const View& y, Number start, Number step, Number last, int64_t forward) noexcept;
};

}  // namespace mielina
