#include "ops/conv.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_conv(PyObject* m) {
  def<&ops::conv>(m, "conv", "x, w, bias, stride, padding, dilation, groups");
}

}  // namespace mielina::bind
