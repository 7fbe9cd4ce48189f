// conv: convolution (cross-correlation, as in every deep-learning library). N batch, C in-channels, K out-channels,
// D H W image, T R S filter.
#pragma once
#include "core/view.h"

namespace mielina {

struct ConvArgs {
  int64_t stride[3], padding[3], dilation[3];  // (depth, height, width); padding is zeros on both sides
  int64_t groups;
  bool direct;  // no other algorithm than the definition: see cpu/conv/winograd.h
};

struct ConvTable {
  // y: (N, K, P, Q), x: (N, C, H, W), w: (K, C / groups, R, S), all 5-D with a leading depth of 1 for 2-D images
  // (N, C, D, H, W); any strides (NCHW and channels-last without a copy). bias: (K) or data == nullptr.
  // y = conv(x, w) + bias. f32, f64; f16 and bf16 accumulate in f32.
  void (*conv)(const Ctx&, const View& y, const View& x, const View& w, const View& bias, ConvArgs) noexcept;
  int64_t (*conv_workspace)(const Ctx&, const View& y, const View& x, const View& w, ConvArgs) noexcept;

  // dx: like x, of any size that the window can reach (what it cannot gets zeros); g: like y. Assigns. Also the forward
  // of a transposed convolution: dx is then its output and g its input.
  void (*conv_backward_input)(const Ctx&, const View& dx, const View& g, const View& w, ConvArgs) noexcept;
  int64_t (*conv_backward_input_workspace)(const Ctx&, const View& dx, const View& g, const View& w, ConvArgs) noexcept;

  // dw: like w; g: like y. Assigns. The sum over (n, p, q) is cut into pieces by the shape alone, added in a fixed
  // tree.
  void (*conv_backward_weight)(const Ctx&, const View& dw, const View& g, const View& x, ConvArgs) noexcept;
  int64_t (*conv_backward_weight_workspace)(const Ctx&, const View& dw, const View& g, const View& x,
                                            ConvArgs) noexcept;
};

}  // namespace mielina
