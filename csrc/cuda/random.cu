// random: the CPU's numbers bit for bit. This file is compiled without contraction (-fmad=false): every product and sum
// rounds on its own, as in csrc/cpu/random.cpp.
#include "core/normal.h"
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

// Philox 4x32-10 (Salmon, Moraes, Dror & Shaw 2011): word i of a key's stream is lane i % 4 of counter offset + i / 4.
struct Key {
  uint64_t seed, offset;
  __device__ explicit Key(const View& key)
      : seed(uint64_t(get<int64_t>(key, 0))), offset(uint64_t(get<int64_t>(key, key.stride[0]))) {}
  __device__ uint32_t word(int64_t i) const {
    uint64_t counter = offset + uint64_t(i) / 4;
    uint32_t c[4] = {uint32_t(counter), uint32_t(counter >> 32), 0, 0}, k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
    for (int round = 0; round < 10; round++) {
      uint64_t p = uint64_t(c[0]) * 0xD2511F53u, q = uint64_t(c[2]) * 0xCD9E8D57u;
      c[0] = uint32_t(q >> 32) ^ c[1] ^ k0;
      c[1] = uint32_t(q);
      c[2] = uint32_t(p >> 32) ^ c[3] ^ k1;
      c[3] = uint32_t(p);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return c[i % 4];
  }
};

// Element i's number in [0, 1): 24 bits (float) or 53 (double, from two words).
__device__ float unit(const Key& key, int64_t i, float) { return float(key.word(i) >> 8) * 0x1p-24f; }
__device__ double unit(const Key& key, int64_t i, double) {
  return double((uint64_t(key.word(2 * i)) << 32 | key.word(2 * i + 1)) >> 11) * 0x1p-53;
}

__global__ void take_kernel(View key, View state, int64_t count) {
  auto* s = static_cast<int64_t*>(state.data);
  auto* k = static_cast<int64_t*>(key.data);
  k[0] = s[0];
  k[key.stride[0]] = s[state.stride[0]];
  s[state.stride[0]] += count;
}
void random_take(const Ctx& ctx, const View& key, const View& state, int64_t count) noexcept {
  take_kernel<<<1, 1, 0, stream_of(ctx)>>>(key, state, count);
  note(cudaGetLastError());
}

template <class T>
__global__ void uniform_kernel(View y, View key, int64_t n, T low, T width, T high) {
  const Key k(key);
  const T last = low < high ? nextafter(high, low) : high;
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const T v = low + unit(k, i, T()) * width;
    put(y, place(y, i), v < last ? v : last);
  }
}
void random_uniform(const Ctx& ctx, const View& y, const View& key, double low, double high) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_floating(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    uniform_kernel<T><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, key, n, T(low), T(high - low), T(high));
  });
  note(cudaGetLastError());
}

// A thread makes elements i and i + 1, i even.
template <class T>
__global__ void normal_kernel(View y, View key, int64_t n, double mean, double std) {
  constexpr double step = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;
  const Key k(key);
  auto root = [](double x) { return __dsqrt_rn(x); };
  for (int64_t i = 2 * first_index(); i < n; i += 2 * index_step()) {
    double a, b;
    normal_pair<uint64_t>(double(unit(k, i, T())) + step, double(unit(k, i + 1, T())), a, b, root);
    put(y, place(y, i), T(mean + std * a));
    if (i + 1 < n) put(y, place(y, i + 1), T(mean + std * b));
  }
}
void random_normal(const Ctx& ctx, const View& y, const View& key, double mean, double std) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_floating(y.dtype, [&](auto zero) {
    normal_kernel<decltype(zero)><<<blocks_for((n + 1) / 2), kThreads, 0, stream_of(ctx)>>>(y, key, n, mean, std);
  });
  note(cudaGetLastError());
}

// floor(word span / 2^32) or, for larger spans, floor(word span / 2^64) of a word of 64 bits.
__global__ void integers_kernel(View y, View key, int64_t n, int64_t low, uint64_t span) {
  const Key k(key);
  const bool narrow = span <= uint64_t(1) << 32;
  for (int64_t i = first_index(); i < n; i += index_step()) {
    uint64_t part;
    if (narrow) part = (uint64_t(k.word(i)) * span) >> 32;
    else part = __umul64hi(uint64_t(k.word(2 * i)) << 32 | k.word(2 * i + 1), span);
    put(y, place(y, i), int64_t(uint64_t(low) + part));
  }
}
void random_integers(const Ctx& ctx, const View& y, const View& key, int64_t low, uint64_t span) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  integers_kernel<<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, key, n, low, span);
  note(cudaGetLastError());
}

template <class T>
__global__ void dropout_kernel(View y, View x, View key, int64_t n, T p, T scale) {
  const Key k(key);
  for (int64_t i = first_index(); i < n; i += index_step()) {
    T v = get<T>(x, place(x, i));
    put(y, place(y, i), unit(k, i, T()) >= p ? v * scale : T(0));
  }
}
void dropout(const Ctx& ctx, const View& y, const View& x, const View& key, double p) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  double scale = p < 1 ? 1 / (1 - p) : 0;
  with_floating(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    dropout_kernel<T><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, x, key, n, T(p), T(scale));
  });
  note(cudaGetLastError());
}

}  // namespace

void fill_random(Kernels& k) {
  k.random_take = random_take;
  k.random_uniform = random_uniform;
  k.random_normal = random_normal;
  k.random_integers = random_integers;
  k.dropout = dropout;
}

}  // namespace mielina::cuda
