#include "ops/random.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_random(PyObject* m) {
  def<&ops::take_key>(m, "take_key", "state, numbers, dtype");
  def<&ops::uniform>(m, "uniform", "shape, dtype, key, low, high");
  def<&ops::normal>(m, "normal", "shape, dtype, key, mean, std");
  def<&ops::integers>(m, "integers", "shape, dtype, key, low, high");
  def<&ops::dropout>(m, "dropout", "x, key, p");
}

}  // namespace mielina::bind
