// Mean and sum of squared deviations: two passes over a block of 1024 in the L1 cache, blocks merged in double (Chan,
// Golub & LeVeque 1983, equation 2.1). Memory is read once.
#pragma once
#include "cpu/rows.h"

namespace mielina {
namespace MIELINA_ISA {

struct Moments {
  double n = 0, mean = 0, m2 = 0;
  void merge(double count, double block_mean, double block_m2) {
    if (n == 0) {  // what the lines below come to, without their divisions: rows of one block
      n = count, mean = block_mean, m2 = block_m2;
      return;
    }
    double all = n + count, delta = block_mean - mean;
    m2 += block_m2 + delta * delta * (n * count / all);
    mean += delta * (count / all);
    n = all;
  }
};

// Adds the n elements of x to the moments; center == false takes deviations from 0.
template <class T, bool Halves>
static void add_moments(Moments& to, const Row<T, Halves>& x, int64_t n, bool center, T* buf) {
  for_blocks(x, n, buf, [&](auto p, int64_t, int64_t m) {
    T mean = 0;
    if (center)
      mean =
          sum_vectors<T>(m, [&](int64_t j, int64_t w) __attribute__((always_inline)) { return load_part(p + j, w); }) /
          T(m);
    Vec<T> around = splat<Vec<T>>(mean);
    T m2 = fold_vectors<T>(m, [&](Vec<T> sum, int64_t j, int64_t w) __attribute__((always_inline)) {
      Vec<T> d = first<T>(load_part(p + j, w) - around, w);
      return fma(d, d, sum);
    });
    to.merge(double(m), double(mean), double(m2));
  });
}

// One number of a contiguous vector of any dtype; `missing` where there is no vector.
template <class T>
[[gnu::noinline]] static T element_of(const View& v, int64_t i, T missing) {
  if (!v.data) return missing;
  if (v.dtype == DType::f32) return T(((const float*)v.data)[i]);
  T x;
  row_from_fn<T>(v.dtype)((char*)v.data + i * kDTypeSize[int(v.dtype)], 1, &x, 1);
  return x;
}
template <class T>
[[gnu::noinline]] static void set_element(const View& v, int64_t i, T x) {
  if (v.dtype == DType::f32) ((float*)v.data)[i] = float(x);
  else row_to_fn<T>(v.dtype)(&x, (char*)v.data + i * kDTypeSize[int(v.dtype)], 1, 1);
}

// Elements [r0, c0...) of a view whose last dim has stride 1.
template <class T>
MIELINA_INLINE Row<T> row_at(const View& v, int64_t offset) {
  return {(char*)v.data + offset * kDTypeSize[int(v.dtype)], 1, v.dtype};
}

// y = (x - mean) * scale + shift for n pixels of one channel; `nt` bypasses the caches.
template <class T>
MIELINA_INLINE void affine_pixels(T* y, const T* x, int64_t n, T mean, T scale, T shift, bool nt) {
  const Vec<T> m = splat<Vec<T>>(mean), s = splat<Vec<T>>(scale), b = splat<Vec<T>>(shift);
  map_vectors(y, n, nt,
              [&](int64_t j, int64_t l) __attribute__((always_inline)) { return fma(load_part(x + j, l) - m, s, b); });
}
// Whole vectors of halves are converted where they lie.
template <class T>
static void affine_segment(const Row<T>& y, const Row<T>& x, int64_t n, T mean, T scale, T shift, bool nt) {
  alignas(64) T in[kBlock], o[kBlock];
  int64_t done = 0;
  if constexpr (kHalfKernels<T>)
    if (is_half(x.dtype) && y.dtype == x.dtype) {
      constexpr int64_t L = lanes<T>;
      const HalfSource p = as<true>(x, x.dtype).get(0, n, nullptr);
      const HalfTarget q = as<true>(y, x.dtype).out(0, nullptr);
      const Vec<T> m = splat<Vec<T>>(mean), s = splat<Vec<T>>(scale), b = splat<Vec<T>>(shift);
      for (; done + L <= n; done += L) store_part(q + done, fma(load(p + done) - m, s, b), L);
    }
  for_blocks(Row<T>{x.at(done), 1, x.dtype}, n - done, in, [&](const T* p, int64_t i, int64_t k) {
    T* to = y.out(done + i, o);
    affine_pixels(to, p, k, mean, scale, shift, nt);
    y.put(done + i, k, to);
  });
}

}  // namespace MIELINA_ISA
}  // namespace mielina
