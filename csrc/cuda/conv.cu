// conv: one thread an output; the sum runs over channels, then the filter's taps.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

enum { kN, kC, kD };

template <class T>
__global__ void conv_kernel(View y, View x, View w, View bias, ConvArgs args, int64_t n) {
  const int64_t channels = w.shape[kC], per_group = y.shape[kC] / args.groups;
  for (int64_t i = first_index(); i < n; i += index_step()) {
    int64_t p[3], rest = i;
    for (int d = 2; d >= 0; d--) {
      p[d] = rest % y.shape[kD + d];
      rest /= y.shape[kD + d];
    }
    const int64_t k = rest % y.shape[kC], image = rest / y.shape[kC];
    const int64_t x0 = image * x.stride[kN] + k / per_group * channels * x.stride[kC], w0 = k * w.stride[kN];
    T sum = 0;
    for (int64_t c = 0; c < channels; c++)
      for (int64_t tap = 0; tap < w.shape[kD] * w.shape[kD + 1] * w.shape[kD + 2]; tap++) {
        int64_t xi = x0 + c * x.stride[kC], wi = w0 + c * w.stride[kC], left = tap;
        bool inside = true;
        for (int d = 2; d >= 0; d--) {
          int64_t t = left % w.shape[kD + d], at = p[d] * args.stride[d] - args.padding[d] + t * args.dilation[d];
          left /= w.shape[kD + d];
          inside = inside && at >= 0 && at < x.shape[kD + d];
          xi += at * x.stride[kD + d];
          wi += t * w.stride[kD + d];
        }
        if (inside) sum += get<T>(x, xi) * get<T>(w, wi);
      }
    if (bias.data) sum += get<T>(bias, k * bias.stride[0]);
    if (args.activation == Activation::relu && sum <= T(0)) sum = 0;
    put(y, place(y, i), sum);
  }
}

void conv(const Ctx& ctx, const View& y, const View& x, const View& w, const View& bias, ConvArgs args) noexcept {
  if (args.activation != Activation::none && args.activation != Activation::relu) return note(kUnsupported);
  int64_t n = numel(y);
  if (n == 0) return;
  with_floating(x.dtype, [&](auto zero) {
    conv_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, x, w, bias, args, n);
  });
  note(cudaGetLastError());
}
int64_t conv_workspace(const Ctx&, const View&, const View&, const View&, ConvArgs) noexcept { return 0; }

}  // namespace

void fill_conv(Kernels& k) {
  k.conv = conv;
  k.conv_workspace = conv_workspace;
}

}  // namespace mielina::cuda
