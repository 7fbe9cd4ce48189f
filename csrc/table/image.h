// image: resampling and borders. Images are (N, C, D, H, W) views of any strides; 1-D and 2-D ones have sizes of 1 in
// front.
#pragma once
#include "core/view.h"

namespace mielina {

// How output o of an axis is made of inputs i: a few taps (i, weight).
enum class AxisKind : uint8_t {
  window,         // i = o stride - padding + t dilation, t < kernel, inside the input; weight 1
  adaptive,       // floor(o in / out) <= i < ceil((o + 1) in / out); weight 1
  nearest,        // i = floor(o scale)
  nearest_exact,  // i = floor((o + 1/2) scale)
  linear,         // the two neighbours of the centre (o + 1/2) scale - 1/2, clipped; o scale with align_corners
  cubic,          // the four neighbours, Keys 1981 with a = -3/4
  reflect,        // i = o - padding, mirrored at the edge pixels
  replicate,      // clipped
  circular,       // wrapped around once
};
// What each output is divided by (pooling): nothing, the window's size with the padding that it covers, or the taps.
enum class Divide : uint8_t { none, padded, taps };

struct AxisMap {
  AxisKind kind;
  Divide divide;
  bool align_corners, antialias;  // antialias: the kernel of linear and cubic (a = -1/2) is stretched by scale > 1
  int64_t in, out, kernel, stride, padding, dilation;
  double scale;  // input steps an output step
};
struct ImageMap {
  AxisMap axis[3];  // D, H, W
  bool transposed;  // y and x change places: the map's transpose, which is its gradient
  int64_t divisor;  // 0: none. Each output (before transposing) is divided by it
};

enum class Sample : uint8_t { bilinear, nearest, bicubic };
enum class Border : uint8_t { zeros, border, reflection };
struct SampleArgs {
  Sample mode;
  Border border;
  bool align_corners;
};

// How many elements of an array lie before where another begins, axis by axis.
struct Shift {
  int64_t before[kMaxDims];
};

struct ImageTable {
  int64_t (*resample_workspace)(const Ctx&, const View& y, const View& x, const ImageMap& map) noexcept;
  // y[n, c, o] = sum over taps (d, h, w) of weight_d weight_h weight_w x[n, c, i_d, i_h, i_w]. Assigns.
  // Floating, or integers where all weights are 1.
  void (*resample)(const Ctx&, const View& y, const View& x, const ImageMap& map) noexcept;
  // y[i] = x[i - before] where that lies in x, else value. One dtype of four bytes, any number of
  // dimensions; y is dense.
  void (*pad)(const Ctx&, const View& y, const View& x, const Shift& shift, Number value) noexcept;
  int64_t (*resize_bytes_workspace)(const AxisMap& map) noexcept;
  // x: (A, in, B), y: (A, out, B), u8 and contiguous; map: linear or cubic. As resample along the middle axis, with
  // weights as whole multiples of 2^-p, the largest below 2^15, and the sum rounded (halves up) and clipped.
  void (*resize_bytes)(const Ctx&, const View& y, const View& x, const AxisMap& map) noexcept;
  // x: (N, C, D, H, W), grid: (N, P, Q, R, dims) with dims 2 (D == P == 1) or 3, y: (N, C, P, Q, R); f32 or f64.
  void (*grid_sample)(const Ctx&, const View& y, const View& x, const View& grid, const SampleArgs& args) noexcept;
  // g like y, dx like x, dgrid like grid. Assign.
  void (*grid_sample_backward)(const Ctx&, const View& dx, const View& g, const View& grid,
                               const SampleArgs& args) noexcept;
  void (*grid_sample_backward_grid)(const Ctx&, const View& dgrid, const View& g, const View& x, const View& grid,
                                    const SampleArgs& args) noexcept;
  // x: (N, C, H, W), y: (N, C, P, Q), both f32 or u8, planes of x below 2^31 elements; matrices: (N, 2, 3) f64.
  // y[n, c, p, q] = x[n, c] at column m00 q + m01 p + m02 and row m10 q + m11 p + m12, in pixels. Not bicubic;
  // reflection at the outer edges of the border pixels; nearest: floor(u + 1/2 + 2^-12).
  void (*warp)(const Ctx&, const View& y, const View& x, const View& matrices, const SampleArgs& args) noexcept;
};

}  // namespace mielina
