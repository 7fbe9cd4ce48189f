#include "ops/loss.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_loss(PyObject* m) {
  def<&ops::loss>(m, "loss", "x, t, kind, p, reduction");
  def<&ops::loss_backward>(m, "loss_backward", "g, x, t, kind, p, reduction");
  def<&ops::common_type>(m, "common_type", "x, t");
}

}  // namespace mielina::bind
