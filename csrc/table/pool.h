// pool: max pooling, unfold and fold. Average pooling is a resampling (table/image.h). Images are (N, C, D, H, W) views
// of any strides; 1-D and 2-D ones have sizes of 1 in front.
#pragma once
#include "core/view.h"
#include "table/image.h"

namespace mielina {

struct WindowArgs {
  int64_t kernel[3], stride[3], padding[3], dilation[3];
};

struct PoolTable {
  int64_t (*max_pool_workspace)(const Ctx&, const View& y, const View& x, const ImageMap& map) noexcept;
  // y = the largest x of each window (window or adaptive axes), NaN if there is one. index (i32 or i64, like y; or
  // data == nullptr): where it stood, (d H + h) W + w; the first of equal ones, the last NaN.
  void (*max_pool)(const Ctx&, const View& y, const View& index, const View& x, const ImageMap& map) noexcept;
  int64_t (*max_pool_backward_workspace)(const Ctx&, const View& dx, const View& g, const ImageMap& map) noexcept;
  // dx[i] = sum of the g whose index is i. Assigns. Planes of dx are evenly strided.
  void (*max_pool_backward)(const Ctx&, const View& dx, const View& g, const View& index, const ImageMap& map) noexcept;
  // Below, planes of x (gather) and y (scatter) are evenly strided: h steps W w-steps, d steps H h-steps.
  int64_t (*plane_workspace)(const Ctx&, const View& image, const View& other) noexcept;
  // y[n, c, o] = x[n, c, index[n, c, o]], and 0 where the index is outside the image.
  void (*plane_gather)(const Ctx&, const View& y, const View& x, const View& index) noexcept;
  // y = 0, but y[n, c, index[n, c, o]] = x[n, c, o]; the last of equal indices wins, those outside are skipped.
  void (*plane_scatter)(const Ctx&, const View& y, const View& x, const View& index) noexcept;

  // columns (N, C, KD KH KW, OD OH, OW) <-> x: unfold assigns x[o stride - padding + k dilation] or 0 to column k, o;
  // fold assigns to each x the sum of the columns' elements that unfold takes from there.
  void (*unfold)(const Ctx&, const View& columns, const View& x, const WindowArgs& args) noexcept;
  void (*fold)(const Ctx&, const View& x, const View& columns, const WindowArgs& args) noexcept;
};

}  // namespace mielina
