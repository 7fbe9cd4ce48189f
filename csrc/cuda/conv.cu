// conv: one thread an output (or an input's gradient); one block a weight's gradient. The sums run over channels, then
// the filter's taps, in double for f64 and float for the rest; a weight's over images and outputs in double.
#include "cuda/scalar.cuh"

namespace mielina::cuda {
namespace {

enum { kN, kC, kD };

__device__ inline int64_t taps_of(const View& w) { return w.shape[kD] * w.shape[kD + 1] * w.shape[kD + 2]; }

// Splits i into (n, c, p0, p1, p2) of an image's shape.
struct Pixel {
  int64_t n, c, p[3];
  __device__ Pixel(const View& v, int64_t i) {
    for (int d = 2; d >= 0; d--) {
      p[d] = i % v.shape[kD + d];
      i /= v.shape[kD + d];
    }
    c = i % v.shape[kC];
    n = i / v.shape[kC];
  }
};

template <class T>
__global__ void conv_kernel(View y, View x, View w, View bias, ConvArgs args, int64_t n) {
  const int64_t channels = w.shape[kC], per_group = y.shape[kC] / args.groups, taps = taps_of(w);
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const Pixel at(y, i);
    const int64_t x0 = at.n * x.stride[kN] + at.c / per_group * channels * x.stride[kC], w0 = at.c * w.stride[kN];
    T sum = 0;
    for (int64_t c = 0; c < channels; c++)
      for (int64_t tap = 0; tap < taps; tap++) {
        int64_t xi = x0 + c * x.stride[kC], wi = w0 + c * w.stride[kC], left = tap;
        bool inside = true;
        for (int d = 2; d >= 0; d--) {
          int64_t t = left % w.shape[kD + d], from = at.p[d] * args.stride[d] - args.padding[d] + t * args.dilation[d];
          left /= w.shape[kD + d];
          inside = inside && from >= 0 && from < x.shape[kD + d];
          xi += from * x.stride[kD + d];
          wi += t * w.stride[kD + d];
        }
        if (inside) sum += get<T>(x, xi) * get<T>(w, wi);
      }
    if (bias.data) sum += get<T>(bias, at.c * bias.stride[0]);
    put(y, place(y, i), sum);
  }
}

void conv(const Ctx& ctx, const View& y, const View& x, const View& w, const View& bias, ConvArgs args) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_floating(x.dtype, [&](auto zero) {
    conv_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, x, w, bias, args, n);
  });
  note(cudaGetLastError());
}

// dx[n, c, i] = sum over out-channels k of c's group and taps t of g[n, k, o] w[k, c, t], o stride + t dilation = i +
// padding.
template <class T>
__global__ void input_kernel(View dx, View g, View w, ConvArgs args, int64_t n) {
  const int64_t channels = w.shape[kC], per_group = w.shape[kN] / args.groups, taps = taps_of(w);
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const Pixel at(dx, i);
    const int64_t group = at.c / channels, c = at.c % channels;
    T sum = 0;
    for (int64_t k = group * per_group; k < (group + 1) * per_group; k++)
      for (int64_t tap = 0; tap < taps; tap++) {
        int64_t gi = at.n * g.stride[kN] + k * g.stride[kC], wi = k * w.stride[kN] + c * w.stride[kC], left = tap;
        bool inside = true;
        for (int d = 2; d >= 0; d--) {
          int64_t t = left % w.shape[kD + d], o = at.p[d] + args.padding[d] - t * args.dilation[d];
          left /= w.shape[kD + d];
          inside = inside && o >= 0 && o % args.stride[d] == 0 && o / args.stride[d] < g.shape[kD + d];
          gi += o / args.stride[d] * g.stride[kD + d];
          wi += t * w.stride[kD + d];
        }
        if (inside) sum += get<T>(g, gi) * get<T>(w, wi);
      }
    put(dx, place(dx, i), sum);
  }
}
void conv_backward_input(const Ctx& ctx, const View& dx, const View& g, const View& w, ConvArgs args) noexcept {
  int64_t n = numel(dx);
  if (n == 0) return;
  with_floating(dx.dtype, [&](auto zero) {
    input_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(dx, g, w, args, n);
  });
  note(cudaGetLastError());
}

// dw[k, c, t] = sum over images n and outputs o of g[n, k, o] x[n, group(k) C + c, o stride - padding + t dilation].
template <class T>
__global__ void weight_kernel(View dw, View g, View x, ConvArgs args, int64_t weights) {
  const int64_t per_group = dw.shape[kN] / args.groups, outputs = g.shape[kD] * g.shape[kD + 1] * g.shape[kD + 2];
  for (int64_t i = blockIdx.x; i < weights; i += gridDim.x) {
    const Pixel at(dw, i);  // (k, c, taps)
    const int64_t channel = at.n / per_group * dw.shape[kC] + at.c;
    double sum = 0;
    for (int64_t j = threadIdx.x; j < g.shape[kN] * outputs; j += kThreads) {
      const int64_t image = j / outputs;
      int64_t left = j % outputs, gi = image * g.stride[kN] + at.n * g.stride[kC];
      int64_t xi = image * x.stride[kN] + channel * x.stride[kC];
      bool inside = true;
      for (int d = 2; d >= 0; d--) {
        int64_t o = left % g.shape[kD + d], from = o * args.stride[d] - args.padding[d] + at.p[d] * args.dilation[d];
        left /= g.shape[kD + d];
        inside = inside && from >= 0 && from < x.shape[kD + d];
        gi += o * g.stride[kD + d];
        xi += from * x.stride[kD + d];
      }
      if (inside) sum += double(get<T>(g, gi)) * double(get<T>(x, xi));
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) put(dw, place(dw, i), sum);
  }
}
void conv_backward_weight(const Ctx& ctx, const View& dw, const View& g, const View& x, ConvArgs args) noexcept {
  int64_t n = numel(dw);
  if (n == 0) return;
  with_floating(dw.dtype, [&](auto zero) {
    weight_kernel<decltype(zero)><<<blocks_of_rows(n), kThreads, 0, stream_of(ctx)>>>(dw, g, x, args, n);
  });
  note(cudaGetLastError());
}

int64_t no_workspace(const Ctx&, const View&, const View&, const View&, ConvArgs) noexcept { return 0; }

}  // namespace

void fill_conv(Kernels& k) {
  k.conv = conv;
  k.conv_workspace = no_workspace;
  k.conv_backward_input = conv_backward_input;
  k.conv_backward_input_workspace = no_workspace;
  k.conv_backward_weight = conv_backward_weight;
  k.conv_backward_weight_workspace = no_workspace;
}

}  // namespace mielina::cuda
