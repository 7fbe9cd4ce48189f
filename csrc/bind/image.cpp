#include "ops/image.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_image(PyObject* m) {
  def<&ops::resize>(m, "resize", "x, dims, size, scales, mode, align_corners, antialias");
  def<&ops::resize_backward>(m, "resize_backward", "g, shape, dims, scales, mode, align_corners, antialias");
  def<&ops::pad_constant>(m, "pad_constant", "x, pads, value");
  def<&ops::pad_image>(m, "pad_image", "x, pads, mode");
  def<&ops::pad_image_backward>(m, "pad_image_backward", "g, pads, mode");
  def<&ops::grid_sample>(m, "grid_sample", "x, grid, mode, border, align_corners");
  def<&ops::grid_sample_backward>(m, "grid_sample_backward", "g, x, grid, mode, border, align_corners");
  def<&ops::grid_sample_backward_grid>(m, "grid_sample_backward_grid", "g, x, grid, mode, border, align_corners");
  def<&ops::warp>(m, "warp", "x, matrices, size, mode, border");
}

}  // namespace mielina::bind
