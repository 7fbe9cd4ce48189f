#include "ops/norm.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_norm(PyObject* m) {
  def<&ops::norm_rows>(m, "norm_rows", "x, weight, bias, row, groups, inner, eps, center");
  def<&ops::norm_rows_backward>(m, "norm_rows_backward", "g, x, mean, rstd, weight, row, groups, inner, center");
  def<&ops::batch_norm>(m, "batch_norm", "x, weight, bias, running_mean, running_var, training, momentum, eps");
  def<&ops::batch_norm_backward>(m, "batch_norm_backward", "g, x, mean, rstd, weight, training");
}

}  // namespace mielina::bind
