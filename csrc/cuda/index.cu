// index: see table/index.h. No atomics: where indices repeat, each place is written by one thread, in order.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

// Indices are clamped into [0, bound), as on the CPU.
__device__ inline int64_t clamped(int64_t i, int64_t bound) {
  i += i < 0 ? bound : 0;
  return i < 0 ? 0 : i >= bound ? bound - 1 : i;
}
__device__ inline int64_t index_at(const View& index, int64_t offset) {
  return static_cast<const int64_t*>(index.data)[offset];
}

// f(word of the element's size)
template <class F>
void with_word(DType d, F f) {
  switch (kDTypeSize[int(d)]) {
    case 1: return f(uint8_t());
    case 2: return f(uint16_t());
    case 4: return f(uint32_t());
    default: return f(uint64_t());
  }
}

// ---- reading --------------------------------------------------------------------------------------------
template <class Word>
__global__ void gather_kernel(View y, View x, View index, Lookup l, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const int64_t p = clamped(index_at(index, place(index, i)), l.bound) * l.stride;
    static_cast<Word*>(y.data)[place(y, i)] = static_cast<const Word*>(x.data)[place(x, i) + p];
  }
}
void gather(const Ctx& ctx, const View& y, const View& window, const View& index, Lookup l) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_word(y.dtype, [&](auto word) {
    gather_kernel<decltype(word)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, window, index, l, n);
  });
  note(cudaGetLastError());
}

// ---- writing --------------------------------------------------------------------------------------------
// The axes that the window has of its own come first, those along which the index alone decides (stride 0) last. Two
// elements can meet only if they agree in the former. So a thread takes one column of the latter and walks it in order,
// or, where there are few columns, those of its places whose number is `part` modulo `parts`.
struct Columns {
  View window, src, index;
  int own;
  int64_t columns, length, parts;
};
Columns columns_of(const View& window, const View& src, const View& index) {
  Columns c{window, src, index, 0, 1, 1, 1};
  int to = 0;
  for (int shared = 0; shared < 2; shared++)
    for (int d = 0; d < window.ndim; d++) {
      if ((window.stride[d] == 0) != (shared == 1)) continue;
      View* views[] = {&c.window, &c.src, &c.index};
      const View* from[] = {&window, &src, &index};
      for (int v = 0; v < 3; v++) {
        views[v]->shape[to] = window.shape[d];
        views[v]->stride[to] = from[v]->stride[d];
      }
      (shared ? c.length : c.columns) *= window.shape[d];
      if (!shared) c.own = to + 1;
      to++;
    }
  constexpr int64_t kWanted = 32 * 1024;  // threads that fill a card
  while (c.columns * c.parts < kWanted && c.parts * 16 <= c.length) c.parts *= 2;
  return c;
}

template <Scatter op, class T>
__device__ void meet(T& y, T x) {
  if constexpr (op == Scatter::assign) y = x;
  else if constexpr (op == Scatter::add) y += x;
  else if constexpr (op == Scatter::mul) y *= x;
  else if constexpr (op == Scatter::max) y = y > x || y != y ? y : x;
  else y = y < x || y != y ? y : x;
}
template <Scatter op, class T>
__global__ void scatter_kernel(Columns c, Lookup l) {
  const int nd = c.window.ndim;
  for (int64_t t = first_index(); t < c.columns * c.parts; t += index_step()) {
    const int64_t column = t % c.columns, part = t / c.columns;
    const int64_t w0 = place(c.window, column, 0, c.own), s0 = place(c.src, column, 0, c.own);
    const int64_t i0 = place(c.index, column, 0, c.own);
    for (int64_t j = 0; j < c.length; j++) {
      const int64_t p = clamped(index_at(c.index, i0 + place(c.index, j, c.own, nd)), l.bound);
      if ((p & (c.parts - 1)) != part) continue;
      meet<op>(static_cast<T*>(c.window.data)[w0 + p * l.stride],
               static_cast<const T*>(c.src.data)[s0 + place(c.src, j, c.own, nd)]);
    }
  }
}
template <Scatter op, class T>
void scatter_as(const Ctx& ctx, const Columns& c, Lookup l) {
  scatter_kernel<op, T><<<blocks_for(c.columns * c.parts), kThreads, 0, stream_of(ctx)>>>(c, l);
}
template <class T>
void scatter_of(const Ctx& ctx, const Columns& c, Lookup l, Scatter op) {
  switch (op) {
    case Scatter::add: return scatter_as<Scatter::add, T>(ctx, c, l);
    case Scatter::mul: return scatter_as<Scatter::mul, T>(ctx, c, l);
    case Scatter::max: return scatter_as<Scatter::max, T>(ctx, c, l);
    default: return scatter_as<Scatter::min, T>(ctx, c, l);
  }
}
void scatter(const Ctx& ctx, const View& window, const View& src, const View& index, Lookup l, Scatter op) noexcept {
  if (numel(window) == 0) return;
  const Columns c = columns_of(window, src, index);
  if (op == Scatter::assign)
    with_word(window.dtype, [&](auto word) { scatter_as<Scatter::assign, decltype(word)>(ctx, c, l); });
  else if (window.dtype == DType::f32) scatter_of<float>(ctx, c, l, op);
  else if (window.dtype == DType::f64) scatter_of<double>(ctx, c, l, op);
  else scatter_of<int64_t>(ctx, c, l, op);
  note(cudaGetLastError());
}

// ---- indices --------------------------------------------------------------------------------------------
struct Indices {
  View items[kMaxDims];
};
__global__ void offsets_kernel(int64_t* offsets, Indices indices, Lookups lookups, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step()) {
    int64_t sum = 0;
    for (int k = 0; k < lookups.count; k++) {
      const Lookup& l = lookups.items[k];
      const View& v = indices.items[k];
      int64_t p = clamped(index_at(v, place(v, i)), l.bound);
      sum += l.stride < 0 ? (p - (l.bound - 1)) * l.stride : p * l.stride;
    }
    offsets[i] = sum;
  }
}
void index_offsets(const Ctx& ctx, const View& offsets, const Views& indices, const Lookups& lookups) noexcept {
  int64_t n = numel(offsets);
  if (n == 0) return;
  Indices all{};
  for (int64_t k = 0; k < indices.count && k < kMaxDims; k++) all.items[k] = indices.items[k];
  offsets_kernel<<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(static_cast<int64_t*>(offsets.data), all, lookups, n);
  note(cudaGetLastError());
}

// ---- masks ----------------------------------------------------------------------------------------------
constexpr int64_t kMaskChunk = 64 * 1024;

__global__ void count_kernel(int64_t* counts, const uint8_t* mask, int64_t n) {
  const int64_t begin = int64_t(blockIdx.x) * kMaskChunk, end = begin + kMaskChunk < n ? begin + kMaskChunk : n;
  int64_t mine = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) mine += mask[i] != 0;
  mine = block_sum(mine);
  if (threadIdx.x == 0) counts[blockIdx.x] = mine;
}
void nonzero_count(const Ctx& ctx, const View& counts, const View& mask) noexcept {
  int64_t n = numel(mask), chunks = numel(counts);
  if (chunks == 0) return;
  count_kernel<<<unsigned(chunks), kThreads, 0, stream_of(ctx)>>>(static_cast<int64_t*>(counts.data),
                                                                  static_cast<const uint8_t*>(mask.data), n);
  note(cudaGetLastError());
}

// A block writes a chunk's places in order, 256 bytes of the mask at a time.
__global__ void places_kernel(View places, View mask, const int64_t* starts, int64_t n) {
  __shared__ int warp_counts[kThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t begin = int64_t(blockIdx.x) * kMaskChunk, end = begin + kMaskChunk < n ? begin + kMaskChunk : n;
  int64_t done = starts[blockIdx.x];
  for (int64_t i0 = begin; i0 < end; i0 += kThreads) {
    const int64_t i = i0 + threadIdx.x;
    const bool set = i < end && static_cast<const uint8_t*>(mask.data)[i] != 0;
    const unsigned votes = __ballot_sync(0xffffffffu, set);
    if (lane == 0) warp_counts[warp] = __popc(votes);
    __syncthreads();
    int before = __popc(votes & ((1u << lane) - 1)), all = 0;
    for (int w = 0; w < kThreads / 32; w++) {
      before += w < warp ? warp_counts[w] : 0;
      all += warp_counts[w];
    }
    if (set) {
      int64_t* to = static_cast<int64_t*>(places.data);
      if (places.ndim == 1) {
        to[done + before] = i;
      } else {
        int64_t rest = i;
        for (int d = mask.ndim - 1; d >= 0; d--) {
          to[(done + before) * mask.ndim + d] = rest % mask.shape[d];
          rest /= mask.shape[d];
        }
      }
    }
    done += all;
    __syncthreads();
  }
}
void nonzero(const Ctx& ctx, const View& places, const View& mask, const View& starts) noexcept {
  int64_t n = numel(mask), chunks = numel(starts);
  if (chunks == 0 || numel(places) == 0) return;
  places_kernel<<<unsigned(chunks), kThreads, 0, stream_of(ctx)>>>(places, mask,
                                                                   static_cast<const int64_t*>(starts.data), n);
  note(cudaGetLastError());
}

template <class Word>
__global__ void masked_fill_kernel(View y, View x, View mask, View value, int64_t n) {
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const bool set = static_cast<const uint8_t*>(mask.data)[place(mask, i)] != 0;
    static_cast<Word*>(y.data)[place(y, i)] =
        set ? static_cast<const Word*>(value.data)[place(value, i)] : static_cast<const Word*>(x.data)[place(x, i)];
  }
}
void masked_fill(const Ctx& ctx, const View& y, const View& x, const View& mask, const View& value) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_word(y.dtype, [&](auto word) {
    masked_fill_kernel<decltype(word)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, x, mask, value, n);
  });
  note(cudaGetLastError());
}

// One block: run after run.
__global__ void repeat_kernel(int64_t* y, const int64_t* counts, int64_t n) {
  int64_t at = 0;
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = threadIdx.x; j < counts[i]; j += kThreads) y[at + j] = i;
    at += counts[i];
  }
}
void repeat_index(const Ctx& ctx, const View& y, const View& counts) noexcept {
  if (numel(y) == 0) return;
  repeat_kernel<<<1, kThreads, 0, stream_of(ctx)>>>(static_cast<int64_t*>(y.data),
                                                    static_cast<const int64_t*>(counts.data), numel(counts));
  note(cudaGetLastError());
}

}  // namespace

void fill_index(Kernels& k) {
  k.gather = gather;
  k.scatter = scatter;
  k.index_offsets = index_offsets;
  k.nonzero_count = nonzero_count;
  k.nonzero = nonzero;
  k.masked_fill = masked_fill;
  k.repeat_index = repeat_index;
}

}  // namespace mielina::cuda
