#include "ops/optim.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_optim(PyObject* m) {
  def<&ops::optim_step>(m, "optim_step", "rule, p, a, b, c, clock, g, hyper, decoupled, maximize, nesterov");
  def<&ops::global_norm>(m, "global_norm", "g, order");
  def<&ops::clip_by_norm>(m, "clip_by_norm", "g, norm, max_norm");
}

}  // namespace mielina::bind
