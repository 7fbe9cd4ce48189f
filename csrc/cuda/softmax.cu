// softmax: one block a row. Sums over a row are in double, as on the CPU where the log of one is taken.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

// A row of a (outer..., C) view.
struct Row {
  const View& v;
  int64_t start, step;
  __device__ Row(const View& view, int64_t r)
      : v(view), start(place(view, r, 0, view.ndim - 1)), step(view.stride[view.ndim - 1]) {}
  template <class T>
  __device__ T get(int64_t i) const {
    return cuda::get<T>(v, start + i * step);
  }
  template <class T>
  __device__ void put(int64_t i, T x) const {
    cuda::put(v, start + i * step, x);
  }
};

// f(i) added over a row, in double.
template <class F>
__device__ double row_sum(int64_t C, F f) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < C; i += kThreads) sum += double(f(i));
  return block_sum(sum);
}
template <class T>
__device__ T row_max(const Row& x, int64_t C) {
  T m = -T(INFINITY);
  for (int64_t i = threadIdx.x; i < C; i += kThreads) {
    T v = x.get<T>(i);
    m = v > m || v != v ? v : m;
  }
  return block_max(m);
}

template <class T>
__global__ void softmax_kernel(View y, View x, int64_t rows, int64_t C, bool log_of) {
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    Row from(x, r), to(y, r);
    T m = row_max<T>(from, C);
    double sum = row_sum(C, [&](int64_t i) { return exp_of(from.get<T>(i) - m); });
    T shift = T(log(sum)), scale = T(1 / sum);
    for (int64_t i = threadIdx.x; i < C; i += kThreads) {
      T z = from.get<T>(i) - m;
      to.put(i, log_of ? z - shift : exp_of(z) * scale);
    }
  }
}

template <class T>
__global__ void softmax_backward_kernel(View dx, View g, View y, int64_t rows, int64_t C, bool log_of) {
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    Row to(dx, r), up(g, r), out(y, r);
    T sum = T(row_sum(C, [&](int64_t i) { return log_of ? up.get<T>(i) : up.get<T>(i) * out.get<T>(i); }));
    for (int64_t i = threadIdx.x; i < C; i += kThreads) {
      T gi = up.get<T>(i), yi = out.get<T>(i);
      to.put(i, log_of ? gi - exp_of(yi) * sum : yi * (gi - sum));
    }
  }
}

// f(rows, C, zero of the compute type, number of blocks) if there is anything to do.
template <class F>
void by_rows(const View& x, F f) {
  int64_t C = x.shape[x.ndim - 1], n = numel(x);
  if (n == 0) return;
  with_floating(x.dtype, [&](auto zero) { f(n / C, C, zero, blocks_of_rows(n / C)); });
  note(cudaGetLastError());
}

void softmax(const Ctx& ctx, const View& y, const View& x, bool log_of) noexcept {
  by_rows(x, [&](int64_t rows, int64_t C, auto zero, unsigned blocks) {
    softmax_kernel<decltype(zero)><<<blocks, kThreads, 0, stream_of(ctx)>>>(y, x, rows, C, log_of);
  });
}

void softmax_backward(const Ctx& ctx, const View& dx, const View& g, const View& y, bool log_of) noexcept {
  by_rows(y, [&](int64_t rows, int64_t C, auto zero, unsigned blocks) {
    softmax_backward_kernel<decltype(zero)><<<blocks, kThreads, 0, stream_of(ctx)>>>(dx, g, y, rows, C, log_of);
  });
}

// ---- cross-entropy --------------------------------------------------------------------------------------
template <class T>
__device__ T weight_of(const View& w, int64_t c) {
  return w.data ? get<T>(w, c * w.stride[0]) : T(1);
}

// What the rows cost, and their weights: two arrays of N in the workspace if they are to be added up.
template <class T>
__global__ void cross_entropy_kernel(View loss, View lse, View x, View target, View w, CrossEntropy a, double* costs) {
  const int64_t N = x.shape[0], C = x.shape[1];
  for (int64_t r = blockIdx.x; r < N; r += gridDim.x) {
    Row row(x, r);
    T m = row_max<T>(row, C);
    double z = double(m) + log(row_sum(C, [&](int64_t i) { return exp_of(row.get<T>(i) - m); }));
    double all = 0, mixed = 0;  // sum_c w_c and sum_c w_c x_c
    if (a.smoothing != 0) {
      all = row_sum(C, [&](int64_t i) { return weight_of<T>(w, i); });
      mixed = row_sum(C, [&](int64_t i) { return double(weight_of<T>(w, i)) * double(row.get<T>(i)); });
    }
    if (threadIdx.x != 0) continue;
    static_cast<T*>(lse.data)[r] = T(z);
    int64_t t = get<int64_t>(target, r * target.stride[0]);
    double cost = 0, weight = 0;
    if (t != a.ignore_index && (t < 0 || t >= C)) {
      cost = weight = NAN;
    } else if (t != a.ignore_index) {
      weight = double(weight_of<T>(w, t));
      cost = weight * (z - double(row.get<T>(t)));
      if (a.smoothing != 0) cost = (1 - a.smoothing) * cost + a.smoothing / double(C) * (all * z - mixed);
    }
    if (a.reduce) {
      costs[r] = cost;
      costs[N + r] = weight;
    } else {
      put(loss, r * loss.stride[0], cost);
    }
  }
}

template <class T>
__global__ void cross_entropy_total(View loss, View divisor, const double* costs, int64_t N, bool mean) {
  double total = row_sum(N, [&](int64_t i) { return costs[i]; });
  double d = mean ? row_sum(N, [&](int64_t i) { return costs[N + i]; }) : 1;
  if (threadIdx.x != 0) return;
  *static_cast<T*>(divisor.data) = T(d);
  put(loss, 0, total / d);
}

void cross_entropy(const Ctx& ctx, const View& loss, const View& lse, const View& divisor, const View& x,
                   const View& target, const View& weight, CrossEntropy a) noexcept {
  auto* costs = static_cast<double*>(ctx.workspace);
  by_rows(x, [&](int64_t, int64_t, auto zero, unsigned blocks) {
    cross_entropy_kernel<decltype(zero)>
        <<<blocks, kThreads, 0, stream_of(ctx)>>>(loss, lse, x, target, weight, a, costs);
  });
  if (!a.reduce) return;
  with_floating(x.dtype, [&](auto zero) {
    cross_entropy_total<decltype(zero)><<<1, kThreads, 0, stream_of(ctx)>>>(loss, divisor, costs, x.shape[0], a.mean);
  });
  note(cudaGetLastError());
}
int64_t cross_entropy_workspace(const View& x, const CrossEntropy& a) noexcept {
  return a.reduce ? 2 * x.shape[0] * int64_t(sizeof(double)) : 0;
}

// d loss / d x_j = g (A p_j - (1 - s) w_t [j = t] - s / C w_j), A = (1 - s) w_t + s / C sum_c w_c.
template <class T>
__global__ void cross_entropy_backward_kernel(View dx, View g, View x, View lse, View divisor, View target, View w,
                                              CrossEntropy a) {
  const int64_t N = x.shape[0], C = x.shape[1];
  const double smooth = a.smoothing / double(C);
  const double all = smooth != 0 ? row_sum(C, [&](int64_t i) { return weight_of<T>(w, i); }) : 0;
  for (int64_t r = blockIdx.x; r < N; r += gridDim.x) {
    Row from(x, r), to(dx, r);
    int64_t t = get<int64_t>(target, r * target.stride[0]);
    bool ignored = t == a.ignore_index, valid = t >= 0 && t < C;
    double up = ignored ? 0 : valid ? double(get<T>(g, r * g.stride[0])) / double(*static_cast<T*>(divisor.data)) : NAN;
    double hot = ignored || !valid ? up : up * (1 - a.smoothing) * double(weight_of<T>(w, t));
    T z = static_cast<T*>(lse.data)[r], scale = T(hot + up * smooth * all), spread = T(up * smooth);
    for (int64_t i = threadIdx.x; i < C; i += kThreads) {
      T v = ignored ? T(0) : exp_of(from.get<T>(i) - z) * scale - spread * weight_of<T>(w, i);
      to.put(i, i == t ? v - T(hot) : v);
    }
  }
}

void cross_entropy_backward(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& lse,
                            const View& divisor, const View& target, const View& weight, CrossEntropy a) noexcept {
  by_rows(x, [&](int64_t, int64_t, auto zero, unsigned blocks) {
    cross_entropy_backward_kernel<decltype(zero)>
        <<<blocks, kThreads, 0, stream_of(ctx)>>>(dx, g, x, lse, divisor, target, weight, a);
  });
}

// ---- the losses' parts ----------------------------------------------------------------------------------
// One thread a row: the class that the target names, -2 for an ignored one, -1 for one that does not exist.
__device__ int64_t class_of(const View& target, int64_t r, int64_t C, int64_t ignore) {
  const int64_t t = get<int64_t>(target, place(target, r));
  return t == ignore ? -2 : t >= 0 && t < C ? t : -1;
}
template <class T>
__global__ void pick_kernel(View y, View x, View target, View w, int64_t ignore, int64_t rows) {
  const int last = x.ndim - 1;
  for (int64_t r = first_index(); r < rows; r += index_step()) {
    const int64_t c = class_of(target, r, x.shape[last], ignore);
    T v = c == -2 ? T(0) : T(NAN);
    if (c >= 0) v = -weight_of<T>(w, c) * get<T>(x, place(x, r, 0, last) + c * x.stride[last]);
    put(y, place(y, r), v);
  }
}
void pick(const Ctx& ctx, const View& y, const View& x, const View& target, const View& weight,
          int64_t ignore) noexcept {
  int64_t rows = numel(y);
  if (rows == 0) return;
  with_floating(x.dtype, [&](auto zero) {
    pick_kernel<decltype(zero)><<<blocks_for(rows), kThreads, 0, stream_of(ctx)>>>(y, x, target, weight, ignore, rows);
  });
  note(cudaGetLastError());
}
template <class T>
__global__ void unpick_kernel(View dx, View g, View target, View w, int64_t ignore, int64_t rows) {
  const int last = dx.ndim - 1;
  for (int64_t r = first_index(); r < rows; r += index_step()) {
    const int64_t c = class_of(target, r, dx.shape[last], ignore);
    if (c < 0) continue;
    put(dx, place(dx, r, 0, last) + c * dx.stride[last], -weight_of<T>(w, c) * get<T>(g, place(g, r)));
  }
}
void unpick(const Ctx& ctx, const View& dx, const View& g, const View& target, const View& weight,
            int64_t ignore) noexcept {
  int64_t rows = numel(g);
  if (rows == 0) return;
  with_floating(dx.dtype, [&](auto zero) {
    unpick_kernel<decltype(zero)>
        <<<blocks_for(rows), kThreads, 0, stream_of(ctx)>>>(dx, g, target, weight, ignore, rows);
  });
  note(cudaGetLastError());
}

}  // namespace

void fill_softmax(Kernels& k) {
  k.softmax = softmax;
  k.softmax_backward = softmax_backward;
  k.cross_entropy = cross_entropy;
  k.cross_entropy_workspace = cross_entropy_workspace;
  k.cross_entropy_backward = cross_entropy_backward;
  k.pick = pick;
  k.unpick = unpick;
}

}  // namespace mielina::cuda
