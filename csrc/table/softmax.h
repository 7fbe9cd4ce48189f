// softmax: rows of probabilities, and the losses of classes. Rows are (outer..., C) views: C is the last dim.
#pragma once
#include "core/view.h"

namespace mielina {

// reduce: one number instead of one a row; mean: divided by the sum of w_t over the rows that are not ignored.
struct CrossEntropy {
  int64_t ignore_index;
  double smoothing;
  bool reduce, mean;
};

struct SoftmaxTable {
  // y_c = exp(x_c - m) / sum_j exp(x_j - m), m = max_j x_j; log: y_c = x_c - m - log sum_j exp(x_j - m).
  void (*softmax)(const Ctx&, const View& y, const View& x, bool log) noexcept;
  // softmax: dx = y (g - sum_j g_j y_j); log-softmax: dx = g - exp(y) sum_j g_j.
  void (*softmax_backward)(const Ctx&, const View& dx, const View& g, const View& y, bool log) noexcept;
  // x: (N, C), target: (N) i64 in [0, C) (anything else gives NaN), weight: (C) or data == nullptr (ones). With
  // q = (1 - s) onehot(t) + s / C:  loss_n = sum_c w_c q_c (logsumexp_j x_nj - x_nc), 0 where t_n == ignore_index.
  // loss: (N), or 0-dim when reduced. Saved for the gradient: lse (N) and divisor (0-dim), f32 or f64, contiguous.
  void (*cross_entropy)(const Ctx&, const View& loss, const View& lse, const View& divisor, const View& x,
                        const View& target, const View& weight, CrossEntropy args) noexcept;
  int64_t (*cross_entropy_workspace)(const View& x, const CrossEntropy& args) noexcept;
  // dx (N, C), assigned; g: (N), any stride; divisor: 1 where there was none.
  void (*cross_entropy_backward)(const Ctx&, const View& dx, const View& g, const View& x, const View& lse,
                                 const View& divisor, const View& target, const View& weight,
                                 CrossEntropy args) noexcept;
  // y = -w_t x_t; x: (outer..., C), y and target: (outer...). Ignored rows give 0, classes that do not exist NaN.
  void (*pick)(const Ctx&, const View& y, const View& x, const View& target, const View& weight,
               int64_t ignore_index) noexcept;
  // The adjoint: dx_t = -w_t g. Touches nothing else of dx.
  void (*unpick)(const Ctx&, const View& dx, const View& g, const View& target, const View& weight,
                 int64_t ignore_index) noexcept;
};

}  // namespace mielina
