#include "ops/conv.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_conv(PyObject* m) {
  def<&ops::conv>(m, "conv", "x, w, bias, size, stride, padding, dilation, groups");
  def<&ops::conv_backward_input>(m, "conv_backward_input", "g, w, size, stride, padding, dilation, groups");
  def<&ops::conv_backward_weight>(m, "conv_backward_weight", "g, x, w, stride, padding, dilation, groups");
  def<&ops::conv_transpose>(m, "conv_transpose", "x, w, bias, output_padding, stride, padding, dilation, groups");
  def<&ops::set_conv_algorithm>(m, "set_conv_algorithm", "name");
  def<&ops::conv_algorithm>(m, "conv_algorithm", "");
}

}  // namespace mielina::bind
