#include "ops/pool.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_pool(PyObject* m) {
  def<&ops::max_pool>(m, "max_pool", "x, dims, kernel, stride, padding, dilation, ceil_mode");
  def<&ops::max_pool_index>(m, "max_pool_index", "x, dims, kernel, stride, padding, dilation, ceil_mode, small");
  def<&ops::max_pool_backward>(m, "max_pool_backward",
                               "g, index, shape, dims, kernel, stride, padding, dilation, ceil_mode");
  def<&ops::adaptive_max_pool>(m, "adaptive_max_pool", "x, dims, size, small");
  def<&ops::adaptive_max_pool_backward>(m, "adaptive_max_pool_backward", "g, index, shape, dims");
  def<&ops::plane_gather>(m, "plane_gather", "x, index, dims");
  def<&ops::plane_scatter>(m, "plane_scatter", "x, index, shape, dims, add");
  def<&ops::avg_pool>(m, "avg_pool", "x, dims, kernel, stride, padding, ceil_mode, count_include_pad, divisor");
  def<&ops::avg_pool_backward>(m, "avg_pool_backward",
                               "g, shape, dims, kernel, stride, padding, ceil_mode, count_include_pad, divisor");
  def<&ops::adaptive_avg_pool>(m, "adaptive_avg_pool", "x, dims, size");
  def<&ops::adaptive_avg_pool_backward>(m, "adaptive_avg_pool_backward", "g, shape, dims");
  def<&ops::unfold>(m, "unfold", "x, kernel, dilation, padding, stride");
  def<&ops::fold>(m, "fold", "x, size, kernel, dilation, padding, stride");
}

}  // namespace mielina::bind
