#include "ops/softmax.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_softmax(PyObject* m) {
  def<&ops::softmax>(m, "softmax", "x, axis, log");
  def<&ops::softmax_backward>(m, "softmax_backward", "g, y, axis, log");
  def<&ops::cross_entropy>(m, "cross_entropy", "x, target, weight, ignore_index, reduction, smoothing");
  def<&ops::cross_entropy_backward>(m, "cross_entropy_backward",
                                    "g, x, lse, divisor, target, weight, ignore_index, smoothing");
  def<&ops::pick>(m, "pick", "x, target, weight, axis, ignore_index");
  def<&ops::unpick>(m, "unpick", "g, target, weight, shape, axis, ignore_index");
}

}  // namespace mielina::bind
