// norm: see table/norm.h. One block a row (or a channel): mean and variance in double, in two passes over memory, then
// the result. Sums over rows for the weights' gradients: one block a weight.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

// f(i) for i < n, added by a block in double.
template <class F>
__device__ double block_total(int64_t n, F f) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) sum += double(f(i));
  return block_sum(sum);
}

template <class T>
__device__ double weight_at(const View& w, int64_t i) {
  return w.data ? double(get<T>(w, i)) : 1.0;
}

// ---- rows -----------------------------------------------------------------------------------------------
template <class T>
__global__ void rows_kernel(View y, View mean, View rstd, View x, View w, View b, NormRows a) {
  const int64_t R = x.shape[0], n = x.shape[1], K = n / a.inner;
  for (int64_t r = blockIdx.x; r < R; r += gridDim.x) {
    auto in = [&](int64_t i) { return double(get<T>(x, r * x.stride[0] + i * x.stride[1])); };
    const double m = a.center ? block_total(n, in) / double(n) : 0.0;
    const double var = block_total(n, [&](int64_t i) { return (in(i) - m) * (in(i) - m); }) / double(n);
    const double scale = 1 / sqrt(var + a.eps);
    if (threadIdx.x == 0) {
      put(mean, r, m);
      put(rstd, r, scale);
    }
    for (int64_t i = threadIdx.x; i < n; i += kThreads) {
      const int64_t channel = r % a.groups * K + i / a.inner;
      double v = (in(i) - m) * scale * weight_at<T>(w, channel);
      if (b.data) v += double(get<T>(b, channel));
      put(y, r * y.stride[0] + i * y.stride[1], v);
    }
  }
}
void norm_rows(const Ctx& ctx, const View& y, const View& mean, const View& rstd, const View& x, const View& weight,
               const View& bias, NormRows args) noexcept {
  if (numel(x) == 0) return;
  with_floating(x.dtype, [&](auto zero) {
    rows_kernel<decltype(zero)>
        <<<blocks_of_rows(x.shape[0]), kThreads, 0, stream_of(ctx)>>>(y, mean, rstd, x, weight, bias, args);
  });
  note(cudaGetLastError());
}

template <class T>
__global__ void rows_dx_kernel(View dx, View g, View x, View mean, View rstd, View w, NormRows a) {
  const int64_t R = x.shape[0], n = x.shape[1], K = n / a.inner;
  for (int64_t r = blockIdx.x; r < R; r += gridDim.x) {
    const double m = a.center ? get<double>(mean, r) : 0.0, scale = get<double>(rstd, r);
    auto h = [&](int64_t i) {
      return double(get<T>(g, r * g.stride[0] + i * g.stride[1])) * weight_at<T>(w, r % a.groups * K + i / a.inner);
    };
    auto z = [&](int64_t i) { return (double(get<T>(x, r * x.stride[0] + i * x.stride[1])) - m) * scale; };
    const double mean_h = a.center ? block_total(n, h) / double(n) : 0.0;
    const double mean_hz = block_total(n, [&](int64_t i) { return h(i) * z(i); }) / double(n);
    for (int64_t i = threadIdx.x; i < n; i += kThreads)
      put(dx, r * dx.stride[0] + i * dx.stride[1], scale * (h(i) - mean_h - z(i) * mean_hz));
  }
}
// dw, db of channel c: over the rows of its group and its `inner` elements in each.
template <class T>
__global__ void rows_dw_kernel(View dw, View db, View g, View x, View mean, View rstd, NormRows a) {
  const int64_t R = x.shape[0], K = x.shape[1] / a.inner, channels = a.groups * K;
  for (int64_t c = blockIdx.x; c < channels; c += gridDim.x) {
    const int64_t group = c / K, first = c % K * a.inner, rows = (R - group + a.groups - 1) / a.groups;
    auto over = [&](auto f) {
      return block_total(rows * a.inner, [&](int64_t i) {
        const int64_t r = group + i / a.inner * a.groups, j = first + i % a.inner;
        return f(r, j, double(get<T>(g, r * g.stride[0] + j * g.stride[1])));
      });
    };
    const double sum = over([](int64_t, int64_t, double gi) { return gi; });
    const double product = over([&](int64_t r, int64_t j, double gi) {
      const double m = a.center ? get<double>(mean, r) : 0.0;
      return gi * (double(get<T>(x, r * x.stride[0] + j * x.stride[1])) - m) * get<double>(rstd, r);
    });
    if (threadIdx.x != 0) continue;
    put(dw, c, product);
    put(db, c, sum);
  }
}
void norm_rows_backward(const Ctx& ctx, const View& dx, const View& dw, const View& db, const View& g, const View& x,
                        const View& mean, const View& rstd, const View& weight, NormRows args) noexcept {
  if (numel(x) == 0) return;
  const int64_t channels = args.groups * (x.shape[1] / args.inner);
  with_floating(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    rows_dx_kernel<T><<<blocks_of_rows(x.shape[0]), kThreads, 0, stream_of(ctx)>>>(dx, g, x, mean, rstd, weight, args);
    if (numel(dw))
      rows_dw_kernel<T><<<blocks_of_rows(channels), kThreads, 0, stream_of(ctx)>>>(dw, db, g, x, mean, rstd, args);
  });
  note(cudaGetLastError());
}
int64_t norm_rows_workspace(const View&, const NormRows&) noexcept { return 0; }

// ---- batch ----------------------------------------------------------------------------------------------
// Element j of channel c of an (A, C, B) view.
__device__ inline int64_t in_channel(const View& v, int64_t c, int64_t j) {
  const int64_t B = v.shape[2];
  return j / B * v.stride[0] + c * v.stride[1] + j % B * v.stride[2];
}

template <class T>
__global__ void batch_kernel(View y, View mean, View rstd, View running_mean, View running_var, View x, View w, View b,
                             bool training, double momentum, double eps) {
  const int64_t C = x.shape[1], n = x.shape[0] * x.shape[2];
  for (int64_t c = blockIdx.x; c < C; c += gridDim.x) {
    auto in = [&](int64_t j) { return double(get<T>(x, in_channel(x, c, j))); };
    double m, var;
    if (training) {
      m = block_total(n, in) / double(n);
      const double squares = block_total(n, [&](int64_t j) { return (in(j) - m) * (in(j) - m); });
      var = squares / double(n);
      if (threadIdx.x == 0 && running_mean.shape[0] != 0) {
        const double rm = get<double>(running_mean, c), rv = get<double>(running_var, c);
        put(running_mean, c, rm + momentum * (m - rm));
        put(running_var, c, rv + momentum * (squares / double(n > 1 ? n - 1 : 1) - rv));
      }
    } else {
      m = get<double>(running_mean, c);
      var = get<double>(running_var, c);
    }
    const double scale = 1 / sqrt(var + eps);
    if (threadIdx.x == 0) {
      put(mean, c, m);
      put(rstd, c, scale);
    }
    const double gain = scale * weight_at<T>(w, c), shift = b.data ? double(get<T>(b, c)) : 0.0;
    for (int64_t j = threadIdx.x; j < n; j += kThreads) put(y, in_channel(y, c, j), (in(j) - m) * gain + shift);
  }
}
void batch_norm(const Ctx& ctx, const View& y, const View& mean, const View& rstd, const View& running_mean,
                const View& running_var, const View& x, const View& weight, const View& bias, bool training,
                double momentum, double eps) noexcept {
  if (numel(x) == 0) return;
  with_floating(x.dtype, [&](auto zero) {
    batch_kernel<decltype(zero)><<<blocks_of_rows(x.shape[1]), kThreads, 0, stream_of(ctx)>>>(
        y, mean, rstd, running_mean, running_var, x, weight, bias, training, momentum, eps);
  });
  note(cudaGetLastError());
}

template <class T>
__global__ void batch_backward_kernel(View dx, View dw, View db, View g, View x, View mean, View rstd, View w,
                                      bool training) {
  const int64_t C = x.shape[1], n = x.shape[0] * x.shape[2];
  for (int64_t c = blockIdx.x; c < C; c += gridDim.x) {
    const double m = get<double>(mean, c), scale = get<double>(rstd, c), gain = scale * weight_at<T>(w, c);
    auto up = [&](int64_t j) { return double(get<T>(g, in_channel(g, c, j))); };
    auto z = [&](int64_t j) { return (double(get<T>(x, in_channel(x, c, j))) - m) * scale; };
    const double sum = block_total(n, up), product = block_total(n, [&](int64_t j) { return up(j) * z(j); });
    if (threadIdx.x == 0 && dw.shape[0] != 0) {
      put(dw, c, product);
      put(db, c, sum);
    }
    // Outside training the statistics are constants.
    const double a = training ? sum / double(n) : 0.0, b = training ? product / double(n) : 0.0;
    for (int64_t j = threadIdx.x; j < n; j += kThreads) put(dx, in_channel(dx, c, j), gain * (up(j) - a - z(j) * b));
  }
}
void batch_norm_backward(const Ctx& ctx, const View& dx, const View& dw, const View& db, const View& g, const View& x,
                         const View& mean, const View& rstd, const View& weight, bool training) noexcept {
  if (numel(x) == 0) return;
  with_floating(x.dtype, [&](auto zero) {
    batch_backward_kernel<decltype(zero)>
        <<<blocks_of_rows(x.shape[1]), kThreads, 0, stream_of(ctx)>>>(dx, dw, db, g, x, mean, rstd, weight, training);
  });
  note(cudaGetLastError());
}
int64_t batch_norm_workspace(const View&) noexcept { return 0; }

}  // namespace

void fill_norm(Kernels& k) {
  k.norm_rows = norm_rows;
  k.norm_rows_backward = norm_rows_backward;
  k.norm_rows_workspace = norm_rows_workspace;
  k.batch_norm = batch_norm;
  k.batch_norm_backward = batch_norm_backward;
  k.batch_norm_workspace = batch_norm_workspace;
}

}  // namespace mielina::cuda
