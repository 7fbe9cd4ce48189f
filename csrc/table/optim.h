// optim: one pass over all parameters of a group.
#pragma once
#include "core/view.h"

namespace mielina {

// Slots of a group's `hyper` array (f64), filled by the optimiser before each step and read by the kernels, so that a
// recorded step follows a changed learning rate.
enum class Hyper : int32_t {
  lr,
  beta1,
  beta2,
  eps,
  weight_decay,
  momentum,
  dampening,
  alpha,
  lr_decay,
  momentum_decay,
  count
};

enum class OptimRule : int32_t { sgd, adam, adamax, nadam, radam, rmsprop, adagrad, adadelta, count };

struct OptimArgs {
  OptimRule rule;
  bool decoupled;  // the decay acts on the weights, not on the gradient (AdamW)
  bool maximize;
  bool nesterov;
};

struct OptimTable {
  // For every tensor i: *clock[i] += 1 (f32), then one step of the rule on p[i] with the gradient g[i]. Each tensor has
  // a clock of its own, since its first gradient may come late. The lists a, b, c are the rule's state, empty where
  // unused:
  //   sgd       a: momentum buffer (then clock too; without momentum there is no clock)
  //   adam      a, b: first and second moments; c: the running maximum of the second (amsgrad)
  //   adamax    a, b: first moment, infinity norm
  //   nadam     a, b: moments; clock holds twice as many numbers, the second half being the running products of mu
  //   radam     a, b: moments
  //   rmsprop   a: mean square; b: mean gradient (centred); c: momentum buffer
  //   adagrad   a: sum of squares
  //   adadelta  a, b: mean squares of gradient and of step
  // The tensors of one i have one shape, dtype and layout, and are dense.
  void (*optim_step)(const Ctx&, Views p, Views a, Views b, Views c, Views clock, Views g, const View& hyper,
                     OptimArgs) noexcept;

  // norm (0-dim, f32 or f64) = (sum |g|^order over all dense tensors)^(1 / order), or their maximum for infinity.
  // Partial sums of fixed pieces are kept in the workspace and added in order.
  void (*global_norm)(const Ctx&, const View& norm, Views g, double order) noexcept;
  int64_t (*global_norm_workspace)(const Ctx&, Views g) noexcept;
  // g *= min(1, max_norm / (norm + 1e-6)), in place; a NaN norm makes NaNs.
  void (*clip_by_norm)(const Ctx&, Views g, const View& norm, double max_norm) noexcept;
};

}  // namespace mielina
