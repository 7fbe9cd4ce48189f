// softmax: rows of probabilities and the losses made of them. Rows are (outer..., C) views: C is the last dim.
#pragma once
#include "core/view.h"

namespace mielina {

struct SoftmaxTable {
  // y_c = exp(x_c - m) / sum_j exp(x_j - m), m = max_j x_j; log: y_c = x_c - m - log sum_j exp(x_j - m).
  void (*softmax)(const Ctx&, const View& y, const View& x, bool log) noexcept;
  // softmax: dx = y (g - sum_j g_j y_j); log-softmax: dx = g - exp(y) sum_j g_j.
  void (*softmax_backward)(const Ctx&, const View& dx, const View& g, const View& y, bool log) noexcept;
  // loss: (N), x: (N, C), target: (N) i64 in [0, C) (anything else gives NaN), weight: (C) or data == nullptr:
  //   loss_n = w_t (logsumexp_j x_nj - x_nt), and 0 where target_n == ignore_index. lse: (N) f32 or f64, saved.
  void (*cross_entropy)(const Ctx&, const View& loss, const View& lse, const View& x, const View& target,
                        const View& weight, int64_t ignore_index) noexcept;
  // dx_nj = g_n w_t (exp(x_nj - lse_n) - [j == t]); rows with target == ignore_index give 0. g: (N), any strides.
  void (*cross_entropy_backward)(const Ctx&, const View& dx, const View& g, const View& x, const View& lse,
                                 const View& target, const View& weight, int64_t ignore_index) noexcept;
};

}  // namespace mielina
