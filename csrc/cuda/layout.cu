// layout: see table/layout.h.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

template <class T>
__global__ void part_kernel(View y, View x, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step()) put(y, place(y, i), get<T>(x, place(x, i)));
}
// One launch an input: its part of y, seen as a view.
void cat(const Ctx& ctx, const View& y, const Views& xs, int32_t axis) noexcept {
  int64_t at = 0;
  for (int64_t k = 0; k < xs.count; k++) {
    const View& x = xs.items[k];
    View part = y;
    part.data = static_cast<char*>(y.data) + at * y.stride[axis] * kDTypeSize[int(y.dtype)];
    part.shape[axis] = x.shape[axis];
    at += x.shape[axis];
    int64_t n = numel(part);
    if (n == 0) continue;
    with_compute(x.dtype, [&](auto zero) {
      part_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(part, x, n);
    });
  }
  note(cudaGetLastError());
}

template <class T>
__global__ void tri_kernel(View y, View x, int64_t n, int64_t diagonal, bool upper) {
  const int64_t columns = y.shape[y.ndim - 1], rows = y.shape[y.ndim - 2];
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const int64_t above = i % columns - i / columns % rows;
    const bool keep = upper ? above >= diagonal : above <= diagonal;
    put(y, place(y, i), keep ? get<T>(x, place(x, i)) : T(0));
  }
}
void tri(const Ctx& ctx, const View& y, const View& x, int64_t diagonal, bool upper) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_compute(x.dtype, [&](auto zero) {
    tri_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, x, n, diagonal, upper);
  });
  note(cudaGetLastError());
}

template <class T>
__global__ void sequence_kernel(View y, int64_t n, T start, T step, T last, int64_t forward) {
  for (int64_t i = first_index(); i < n; i += index_step())
    put(y, i, i < forward ? start + T(i) * step : last - T(n - 1 - i) * step);
}
void sequence(const Ctx& ctx, const View& y, Number start, Number step, Number last, int64_t forward) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  bool exact = y.dtype >= DType::i64 && start.integer && step.integer;
  if (exact) sequence_kernel<<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, n, start.i, step.i, last.i, forward);
  else sequence_kernel<<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, n, start.d, step.d, last.d, forward);
  note(cudaGetLastError());
}

}  // namespace

void fill_layout(Kernels& k) {
  k.cat = cat;
  k.tri = tri;
  k.sequence = sequence;
}

}  // namespace mielina::cuda
