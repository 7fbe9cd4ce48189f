// pool: max pooling; one thread an output, or an input's gradient. See table/pool.h.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

enum { kN, kC, kD };

// The inputs [first, first + count step) that output o of an axis looks at; those outside [0, in) do not count.
struct Window {
  int64_t first, count, step;
  __device__ Window(const AxisMap& m, int64_t o) {
    if (m.kind == AxisKind::adaptive) {
      first = o * m.in / m.out;
      count = ((o + 1) * m.in + m.out - 1) / m.out - first;
      step = 1;
    } else {
      first = o * m.stride - m.padding;
      count = m.kernel;
      step = m.dilation;
    }
  }
};

// Splits i into the places along (N, C, D, H, W).
struct Place {
  int64_t at[5];
  __device__ Place(const View& v, int64_t i) {
    for (int d = 4; d >= 0; d--) {
      at[d] = i % v.shape[d];
      i /= v.shape[d];
    }
  }
};

template <class T>
__global__ void max_kernel(View y, View index, View x, ImageMap map, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const Place p(y, i);
    const int64_t x0 = p.at[kN] * x.stride[kN] + p.at[kC] * x.stride[kC];
    const Window d(map.axis[0], p.at[2]), h(map.axis[1], p.at[3]), w(map.axis[2], p.at[4]);
    T best = T(0);
    int64_t where = -1;
    for (int64_t a = 0; a < d.count; a++)
      for (int64_t b = 0; b < h.count; b++)
        for (int64_t c = 0; c < w.count; c++) {
          const int64_t z = d.first + a * d.step, r = h.first + b * h.step, q = w.first + c * w.step;
          if (z < 0 || z >= x.shape[2] || r < 0 || r >= x.shape[3] || q < 0 || q >= x.shape[4]) continue;
          const T v = get<T>(x, x0 + z * x.stride[2] + r * x.stride[3] + q * x.stride[4]);
          if (where >= 0 && !(v > best || v != v)) continue;  // the first of equal ones, the last NaN
          best = v;
          where = (z * x.shape[3] + r) * x.shape[4] + q;
        }
    put(y, place(y, i), best);
    if (index.data) put(index, place(index, i), where);
  }
}
void max_pool(const Ctx& ctx, const View& y, const View& index, const View& x, const ImageMap& map) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_compute(x.dtype, [&](auto zero) {
    max_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, index, x, map, n);
  });
  note(cudaGetLastError());
}

// The outputs of an axis whose windows may hold input i; all of them where there are no windows (map.axis[0].out == 0).
struct Reach {
  int64_t first, last;
  __device__ Reach(const AxisMap& m, int64_t i, int64_t outputs, bool all) {
    if (all) {
      first = 0;
      last = outputs - 1;
    } else if (m.kind == AxisKind::adaptive) {
      first = i * m.out / m.in;
      last = ((i + 1) * m.out + m.in - 1) / m.in - 1;
      first = first > 0 ? first - 1 : 0;
      last = last + 1 < outputs ? last + 1 : outputs - 1;
    } else {
      const int64_t reach = m.dilation * (m.kernel - 1), low = i + m.padding - reach;
      first = low <= 0 ? 0 : (low + m.stride - 1) / m.stride;
      last = (i + m.padding) / m.stride;
      last = last < outputs ? last : outputs - 1;
    }
  }
};

// One thread an element of dx adds the g that name it, in order.
template <class T>
__global__ void max_backward_kernel(View dx, View g, View index, ImageMap map, int64_t n) {
  const bool all = map.axis[0].out == 0;
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const Place p(dx, i);
    const int64_t own = (p.at[2] * dx.shape[3] + p.at[3]) * dx.shape[4] + p.at[4];
    const Reach d(map.axis[0], p.at[2], g.shape[2], all), h(map.axis[1], p.at[3], g.shape[3], all),
        w(map.axis[2], p.at[4], g.shape[4], all);
    T sum = 0;
    for (int64_t a = d.first; a <= d.last; a++)
      for (int64_t b = h.first; b <= h.last; b++)
        for (int64_t c = w.first; c <= w.last; c++) {
          auto at = [&](const View& v) {
            return p.at[kN] * v.stride[kN] + p.at[kC] * v.stride[kC] + a * v.stride[2] + b * v.stride[3] +
                   c * v.stride[4];
          };
          if (get<int64_t>(index, at(index)) == own) sum += get<T>(g, at(g));
        }
    put(dx, place(dx, i), sum);
  }
}
void max_pool_backward(const Ctx& ctx, const View& dx, const View& g, const View& index, const ImageMap& map) noexcept {
  int64_t n = numel(dx);
  if (n == 0) return;
  with_floating(dx.dtype, [&](auto zero) {
    max_backward_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(dx, g, index, map, n);
  });
  note(cudaGetLastError());
}

int64_t no_workspace(const Ctx&, const View&, const View&, const ImageMap&) noexcept { return 0; }

// ---- windows of one weight, and adaptive ones: averages and their gradients ------------------------------------
// Other kinds of axes (resizing, borders) have no code yet.
bool plain(const ImageMap& map) {
  for (const AxisMap& m : map.axis)
    if (m.kind != AxisKind::window && m.kind != AxisKind::adaptive) return false;
  return true;
}
// What an output of an axis is divided by.
__device__ inline int64_t divisor_of(const AxisMap& m, int64_t o) {
  if (m.divide == Divide::none) return 1;
  const Window w(m, o);
  if (m.divide == Divide::padded && m.kind == AxisKind::window) {
    const int64_t end = w.first + m.kernel * m.dilation, limit = m.in + m.padding;
    return (end < limit ? end : limit) - w.first;
  }
  int64_t taps = 0;
  for (int64_t t = 0; t < w.count; t++) taps += w.first + t * w.step >= 0 && w.first + t * w.step < m.in;
  return taps;
}
__device__ inline double divisor_of(const ImageMap& map, int64_t d, int64_t h, int64_t w) {
  const double each =
      double(divisor_of(map.axis[0], d)) * double(divisor_of(map.axis[1], h)) * double(divisor_of(map.axis[2], w));
  return map.divisor ? each * double(map.divisor) : each;
}

template <class T>
__global__ void average_kernel(View y, View x, ImageMap map, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const Place p(y, i);
    const int64_t x0 = p.at[kN] * x.stride[kN] + p.at[kC] * x.stride[kC];
    const Window d(map.axis[0], p.at[2]), h(map.axis[1], p.at[3]), w(map.axis[2], p.at[4]);
    double sum = 0;
    for (int64_t a = 0; a < d.count; a++)
      for (int64_t b = 0; b < h.count; b++)
        for (int64_t c = 0; c < w.count; c++) {
          const int64_t z = d.first + a * d.step, r = h.first + b * h.step, q = w.first + c * w.step;
          if (z < 0 || z >= x.shape[2] || r < 0 || r >= x.shape[3] || q < 0 || q >= x.shape[4]) continue;
          sum += double(get<T>(x, x0 + z * x.stride[2] + r * x.stride[3] + q * x.stride[4]));
        }
    put(y, place(y, i), sum / divisor_of(map, p.at[2], p.at[3], p.at[4]));
  }
}
template <class T>
__global__ void average_backward_kernel(View dx, View g, ImageMap map, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const Place p(dx, i);
    const Reach d(map.axis[0], p.at[2], g.shape[2], false), h(map.axis[1], p.at[3], g.shape[3], false),
        w(map.axis[2], p.at[4], g.shape[4], false);
    auto holds = [](const AxisMap& m, int64_t o, int64_t i) {
      const Window win(m, o);
      return i >= win.first && (i - win.first) % win.step == 0 && (i - win.first) / win.step < win.count;
    };
    double sum = 0;
    for (int64_t a = d.first; a <= d.last; a++)
      for (int64_t b = h.first; b <= h.last; b++)
        for (int64_t c = w.first; c <= w.last; c++) {
          if (!holds(map.axis[0], a, p.at[2]) || !holds(map.axis[1], b, p.at[3]) || !holds(map.axis[2], c, p.at[4]))
            continue;
          const int64_t at =
              p.at[kN] * g.stride[kN] + p.at[kC] * g.stride[kC] + a * g.stride[2] + b * g.stride[3] + c * g.stride[4];
          sum += double(get<T>(g, at)) / divisor_of(map, a, b, c);
        }
    put(dx, place(dx, i), sum);
  }
}
void resample(const Ctx& ctx, const View& y, const View& x, const ImageMap& map) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  if (!plain(map) || x.dtype > DType::bf16) return note(kUnsupported);
  with_floating(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (map.transposed) average_backward_kernel<T><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, x, map, n);
    else average_kernel<T><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, x, map, n);
  });
  note(cudaGetLastError());
}

}  // namespace

void fill_pool(Kernels& k) {
  k.max_pool = max_pool;
  k.max_pool_workspace = no_workspace;
  k.max_pool_backward = max_pool_backward;
  k.max_pool_backward_workspace = no_workspace;
  k.resample = resample;
  k.resample_workspace = no_workspace;
}

}  // namespace mielina::cuda
