#include "ops/reduce.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_reduce(PyObject* m) {
  def<&ops::sum>(m, "sum", "x, axes, keepdim, dtype");
  def<&ops::sum_to>(m, "sum_to", "x, shape");
}

}  // namespace mielina::bind
