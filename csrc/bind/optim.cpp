#include "ops/optim.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_optim(PyObject* m) {
  def<&ops::adam>(m, "adam", "p, m, v, vmax, g, hyper, decoupled, amsgrad, maximize");
}

}  // namespace mielina::bind
