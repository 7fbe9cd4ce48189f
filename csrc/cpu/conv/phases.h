// The gradient of the image as convolutions, one for each remainder of a position modulo the stride.
#pragma once
#include "cpu/conv/direct.h"

namespace mielina {
namespace MIELINA_ISA {

// dx[i] = sum of g[o] w[t] over i = o * stride - padding + t * dilation. Positions of one remainder modulo the stride
// see every step-th tap, and among themselves form a convolution of stride 1 with a window that runs backwards:
// i = remainder + stride * j, t = t0 + step * s: o = j + (remainder + padding - t0 * dilation) / stride - s * back.
struct Phase {
  int64_t t0, taps, step, shift, back;
};
inline Phase phase(int64_t remainder, int64_t taps, int64_t stride, int64_t padding, int64_t dilation) {
  Phase p{0, 0, stride / gcd(stride, dilation), 0, 0};
  while (p.t0 < taps && p.t0 < p.step && (remainder + padding - p.t0 * dilation) % stride != 0) p.t0++;
  if (p.t0 >= taps || p.t0 >= p.step) return p;
  p.taps = ceil_div(taps - p.t0, p.step);
  p.shift = (remainder + padding - p.t0 * dilation) / stride;
  p.back = p.step * dilation / stride;
  return p;
}

// f(problem) for each remainder: g takes the image's place, dx the output's, and the filters' two channel axes swap.
// Compiled for size, as are the plans below: once a call, 4 KB a level less.
__attribute__((cold)) inline void each_phase_as(const View& dx, const View& g, const View& w, const ConvArgs& args,
                                                void (*f)(void*, const Problem&, int64_t), void* arg) {
  const bool depthwise = w.shape[kC] == 1 && w.shape[kN] == args.groups;  // its filters are square: all groups at once
  if (args.groups > 1 && !depthwise) {
    const int64_t K = w.shape[kN] / args.groups, C = w.shape[kC];
    ConvArgs one = args;
    one.groups = 1;
    for (int64_t i = 0; i < args.groups; i++)
      each_phase_as(slice(dx, kC, i * C, C), slice(g, kC, i * K, K), slice(w, kN, i * K, K), one, f, arg);
    return;
  }
  const Problem whole{dx, g, depthwise ? w : exchanged(w), View{}, {}, args.direct};
  for (int64_t r = 0; r < args.stride[0] * args.stride[1] * args.stride[2]; r++) {
    Problem q = whole;
    const int64_t remainder[3] = {r / (args.stride[1] * args.stride[2]), r / args.stride[2] % args.stride[1],
                                  r % args.stride[2]};
    for (int d = 0; d < 3; d++) {
      const Phase p = phase(remainder[d], w.shape[kD + d], args.stride[d], args.padding[d], args.dilation[d]);
      const int64_t n = ceil_div(max64(0, dx.shape[kD + d] - remainder[d]), args.stride[d]);
      q.y = slice(q.y, kD + d, remainder[d], n);
      q.y.stride[kD + d] *= args.stride[d];
      q.w = slice(q.w, kD + d, p.t0, p.taps);
      q.w.stride[kD + d] *= p.step;
      q.window.taps[d] = p.taps;
      q.window.stride[d] = 1;
      q.window.padding[d] = -p.shift;
      q.window.dilation[d] = -p.back;
    }
    if (numel(q.y) > 0) f(arg, q, args.groups);
  }
}
template <class F>
void each_phase(const View& dx, const View& g, const View& w, const ConvArgs& args, F f) {
  each_phase_as(dx, g, w, args, [](void* arg, const Problem& q, int64_t groups) { (*(F*)arg)(q, groups); }, &f);
}

// Whether some positions see no tap at all: their gradient is zero.
inline bool has_gaps(const View& w, const ConvArgs& args) {
  for (int d = 0; d < 3; d++)
    for (int64_t r = 0; r < args.stride[d]; r++)
      if (phase(r, w.shape[kD + d], args.stride[d], args.padding[d], args.dilation[d]).taps == 0) return true;
  return false;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
