// conv: convolutions and their gradients. Which algorithm serves is decided in conv/algorithms.h and, for the filters,
// conv/backward_weight.h.
#include "cpu/conv/backward_input.h"
#include "cpu/conv/backward_weight.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

Problem forward(Floats& floats, const View& y, const View& x, const View& w, const View& bias, const ConvArgs& args) {
  Problem q{y, x, w, bias, window_of(w, args), args.direct};
  if (args.groups == 1 && (WinogradLast::fits(q) || Sliding::fits(q))) return q;  // these read few channels as well
  q.x = floats(x);
  q.w = floats(w);
  return q;
}

void conv(const Ctx& ctx, const View& y, const View& x, const View& w, const View& bias, ConvArgs args) noexcept {
  if (numel(y) == 0) return;
  Floats floats{ctx, false};
  const Problem q = forward(floats, y, x, w, bias, args);
  dispatch(q.x.dtype, [&]<class T>(T) { convolve<T>(floats.rest(), q, args.groups); });
}

__attribute__((cold)) int64_t conv_workspace(const Ctx& ctx, const View& y, const View& x, const View& w,
                                             ConvArgs args) noexcept {
  if (numel(y) == 0) return 0;
  Floats floats{ctx, true};
  const Problem q = forward(floats, y, x, w, View{}, args);
  return floats.bytes + dispatch(q.x.dtype, [&]<class T>(T) { return convolve_workspace<T>(ctx, q, args.groups); });
}

}  // namespace

void fill_conv(Kernels& k) {
  k.conv = conv;
  k.conv_workspace = conv_workspace;
  k.conv_backward_input = conv_backward_input;
  k.conv_backward_input_workspace = conv_backward_input_workspace;
  k.conv_backward_weight = conv_backward_weight;
  k.conv_backward_weight_workspace = conv_backward_weight_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
