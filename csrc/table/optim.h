// optim: one pass over all parameters of a group.
#pragma once
#include "core/view.h"

namespace mielina {

// Slots of a group's `hyper` array (f64), filled by the optimiser before each step and read by the kernels, so that a
// recorded step follows a changed learning rate.
enum class Hyper : int32_t { lr, step, beta1, beta2, eps, weight_decay, momentum, dampening, alpha, lr_decay, count };

struct AdamArgs {
  bool decoupled;  // AdamW: the decay acts on the weights, not on the gradient
  bool amsgrad;
  bool maximize;
};

struct OptimTable {
  // hyper[step] += 1, then for every tensor i: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
  // p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps). vmax: the running maximum of v (amsgrad), else empty.
  // All tensors of one i have one shape; p, m, v are dense in one order. Kingma & Ba 2015; Loshchilov & Hutter 2019.
  void (*adam)(const Ctx&, Views p, Views m, Views v, Views vmax, Views g, const View& hyper, AdamArgs) noexcept;
};

}  // namespace mielina
