// loss: what a prediction x costs beside its target t, element by element.
#pragma once
#include "core/view.h"

namespace mielina {

// mse (x - t)^2; l1 |x - t|; smooth_l1 d^2 / 2p where d = |x - t| < p, else d - p / 2; huber d^2 / 2 where d <= p, else
// p (d - p / 2); bce -(t log x + (1 - t) log(1 - x)), logarithms at least -100; bce_logits (1 - t) x + log(1 +
// exp(-x)); kl t (log t - x), 0 where t = 0; kl_log exp(t) (t - x); soft_margin log(1 + exp(-t x)).
enum class Loss : int32_t { mse, l1, smooth_l1, huber, bce, bce_logits, kl, kl_log, soft_margin, count };

struct LossTable {
  // loss: x's shape, or 0-dim: then scale * (sum of the elements), blocks of 1024 added in vectors, blocks in double.
  void (*loss)(const Ctx&, const View& loss, const View& x, const View& t, Loss kind, double p, double scale) noexcept;
  int64_t (*loss_workspace)(const View& loss, const View& x) noexcept;
  // dx = scale * g * (d loss / d x); g has x's shape (strides may be 0).
  void (*loss_backward)(const Ctx&, const View& dx, const View& g, const View& x, const View& t, Loss kind, double p,
                        double scale) noexcept;
};

}  // namespace mielina
