// sort: sort, selection, search, runs, histograms. Rows are the last dim. NaN counts as greater than every number and
// equal to NaN, -0 as equal to 0; among equals the one that stands first comes first, whatever the direction.
#pragma once
#include "core/view.h"

namespace mielina {

enum class Kth : int32_t {
  kth,
  median,
  nanmedian
};  // median: the first NaN if there is one; nanmedian passes over NaN

struct SortTable {
  // Stable. values: x's shape and dtype; indices: x's shape, i64. Rows have less than 2^32 elements.
  void (*sort)(const Ctx&, const View& values, const View& indices, const View& x, bool descending) noexcept;
  // The first k of the sorted row.
  void (*topk)(const Ctx&, const View& values, const View& indices, const View& x, bool largest) noexcept;
  // As topk, but equals come in the order in which PyTorch's CPU kernel leaves them. top, places: the first
  // min(k + 1, n) by topk, whose first k are copied where no two of them are equal; sorted = false ignores both.
  // Scratch: 16 n bytes for each thread.
  void (*topk_ties)(const Ctx&, const View& values, const View& indices, const View& x, const View& top,
                    const View& places, bool largest, bool sorted) noexcept;
  // values, indices: (outer...). kth: the k-th smallest, k from 0. The median of an even number is the lower one.
  void (*kth)(const Ctx&, const View& values, const View& indices, const View& x, Kth which, int64_t k) noexcept;
  // The most frequent element, the smallest of equally frequent ones, and the last place where it stands.
  void (*mode)(const Ctx&, const View& values, const View& indices, const View& x) noexcept;
  // values, indices: mode's results, in which the place becomes that of PyTorch's CPU kernel. Scratch as topk_ties.
  void (*mode_ties)(const Ctx&, const View& values, const View& indices, const View& x) noexcept;
  int64_t (*sort_workspace)(const Ctx&, const View& x) noexcept;

  // s: (B, n) sorted rows, v: (B, m), both f32, f64 or i64 with rows contiguous (row stride 0 repeats one row); sorter:
  // (B, n) i64 or data == nullptr. y: (B, m) i64: how many elements of s stand before v (right: or equal it).
  void (*searchsorted)(const Ctx&, const View& y, const View& s, const View& v, const View& sorter,
                       bool right) noexcept;
  // y: (m) bool: whether v occurs in the sorted s: (n). NaN never does.
  void (*contains)(const Ctx&, const View& y, const View& s, const View& v) noexcept;

  // Rows of x: (n, m) contiguous f32, f64 or i64. order: (n) i64, their stable lexicographic order.
  void (*sort_rows)(const Ctx&, const View& order, const View& x) noexcept;
  // group: (n) i64, how many times neighbours of the order (data == nullptr: as they stand) differ up to each place.
  void (*runs)(const Ctx&, const View& group, const View& x, const View& order) noexcept;
  // values: (G, m) the first row of each run; inverse: (n) each row's run; counts: (G). Both i64.
  void (*collect_runs)(const Ctx&, const View& values, const View& inverse, const View& counts, const View& x,
                       const View& group, const View& order) noexcept;

  // y: (bins) i64 = how many x fall into each of the equal parts of [lo, hi]; the last part is closed.
  void (*histogram)(const Ctx&, const View& y, const View& x, double lo, double hi) noexcept;
  // y: (bins) i64, or f64 with weights; x: (n) i64 in [0, bins); weights: (n) f64 or data == nullptr. Added in order.
  void (*bincount)(const Ctx&, const View& y, const View& x, const View& weights) noexcept;
};

}  // namespace mielina
