#include "ops/gemm.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_gemm(PyObject* m) {
  def<&ops::matmul>(m, "matmul", "a, b");
  def<&ops::addmm>(m, "addmm", "input, a, b");
  def<&ops::linear>(m, "linear", "x, w, bias");
}

}  // namespace mielina::bind
