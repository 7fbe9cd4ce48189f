// One index space for several strided arrays, walked in blocks that fit the L1 cache.
//
// Kernels see contiguous arrays of a compute type (f32, f64, i64) only. An operand that already is one is used where
// it lies; strided, broadcast, half and other-typed operands are gathered (or scattered) through a block.
#pragma once
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int64_t kBlock = 1024;            // 4 KB of f32 an operand: three operands stay well inside a 32 KB L1
constexpr int64_t kGrain = 64 * 1024;       // elements a task; 64 tasks of a 64 MB tensor, 5 us and more each
constexpr int64_t kStreamBytes = 32 << 20;  // outputs above this bypass the caches

template <class T>
constexpr DType dtype_of = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<int64_t> = DType::i64;
template <>
inline constexpr DType dtype_of<int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<bool> = DType::b8;

// Whether a walk may take the dims in the order of the first array's strides, or must keep the order in which they
// stand.
enum class Walk { by_stride, as_given };

// The common index space of K arrays of one shape (without their last `drop` dims): dims of size 1 dropped, sorted by
// the first array's strides (unless the order of the walk matters), and neighbours merged where every array allows it.
// Made from views only: a field that somebody forgot to fill would be an index of chance.
template <int K>
struct Space {
  int ndim;
  int64_t n = 1;
  int64_t shape[kMaxDims];
  int64_t stride[K][kMaxDims];
  char* data[K];
  DType dtype[K];
  bool
      linear[K];  // element i of the space lies at data + i: such an operand needs no gathering, whatever the others do

  explicit Space(const View* const (&v)[K], Walk walk = Walk::by_stride, int drop = 0) {
    for (int k = 0; k < K; k++) {
      data[k] = (char*)v[k]->data;
      dtype[k] = v[k]->dtype;
    }
    merge(collect(v, v[0]->ndim - drop, walk));
    for (int k = 0; k < K; k++) {
      int64_t expected = 1;
      linear[k] = true;
      for (int d = ndim - 1; d >= 0 && n > 1; d--) {
        linear[k] &= stride[k][d] == expected;
        expected *= shape[d];
      }
    }
  }
  bool dense(int k) const { return linear[k]; }
  bool constant(int k) const { return ndim == 1 && stride[k][0] == 0; }

 private:
  // The dims longer than 1, sorted; returns how many.
  int collect(const View* const (&v)[K], int dims, Walk walk) {
    int m = 0;
    for (int d = 0; d < dims; d++) {
      int64_t size = v[0]->shape[d];
      n *= size;
      if (size == 1) continue;
      int at = m++;  // insertion sort by the output's |stride|, descending; equal strides keep their order
      int64_t mine = v[0]->stride[d] < 0 ? -v[0]->stride[d] : v[0]->stride[d];
      for (; walk == Walk::by_stride && at > 0; at--) {
        int64_t other = stride[0][at - 1] < 0 ? -stride[0][at - 1] : stride[0][at - 1];
        if (other >= mine) break;
        shape[at] = shape[at - 1];
        for (int k = 0; k < K; k++) stride[k][at] = stride[k][at - 1];
      }
      shape[at] = size;
      for (int k = 0; k < K; k++) stride[k][at] = v[k]->stride[d];
    }
    return m;
  }
  void merge(int m) {
    if (m == 0) {
      ndim = 1;
      shape[0] = 1;
      for (int k = 0; k < K; k++) stride[k][0] = 1;
      return;
    }
    int out = 0;
    for (int d = 1; d < m; d++) {
      bool joins = true;
      for (int k = 0; k < K; k++) joins &= stride[k][out] == stride[k][d] * shape[d];
      if (joins) shape[out] *= shape[d];
      else shape[++out] = shape[d];
      for (int k = 0; k < K; k++) stride[k][out] = stride[k][d];
    }
    ndim = out + 1;
  }
};

// ---- conversion of one row ------------------------------------------------------------------------------------------
// Compute values of one element, bit-exact with the vector paths.
template <class T>
MIELINA_INLINE T element(const float* p) {
  return T(*p);
}
template <class T>
MIELINA_INLINE T element(const double* p) {
  return T(*p);
}
template <class T>
MIELINA_INLINE T element(const int64_t* p) {
  return T(*p);
}
template <class T>
MIELINA_INLINE T element(const int32_t* p) {
  return T(*p);
}
template <class T>
MIELINA_INLINE T element(const int16_t* p) {
  return T(*p);
}
template <class T>
MIELINA_INLINE T element(const int8_t* p) {
  return T(*p);
}
template <class T>
MIELINA_INLINE T element(const uint8_t* p) {
  return T(*p);
}
template <class T>
MIELINA_INLINE T element(const bool* p) {
  return T(*(const uint8_t*)p != 0);
}
template <class T>
MIELINA_INLINE T element(const half_t* p) {
  return T(from_f16(load_half_n(p, 1))[0]);
}
template <class T>
MIELINA_INLINE T element(const bfloat_t* p) {
  return T(from_bf16(load_half_n(p, 1))[0]);
}

constexpr int64_t kPiece = 128;  // of a row that is converted by way of another type

template <class S, class T>
static void row_from(const void* from, int64_t stride, void* into, int64_t n) {
  const S* p = (const S*)from;
  T* to = (T*)into;
  if (stride == 1) {
    int64_t i = 0;
    if constexpr (__is_same(S, T)) {
      __builtin_memcpy(to, p, size_t(n) * sizeof(T));
      return;
    } else if constexpr (__is_same(T, float) && (__is_same(S, half_t) || __is_same(S, bfloat_t))) {
      constexpr int64_t L = lanes<float>, kLine = 32;
      auto convert = [&](int64_t at) __attribute__((always_inline)) {
        const vu16h h = load_half(p + at);
        store(to + at, __is_same(S, half_t) ? from_f16(h) : from_bf16(h));
      };
      for (; i + kLine <= n; i += kLine) {
        __builtin_prefetch(p + i + kBlock);  // a block ahead, while others are computed
#pragma GCC unroll 8
        for (int64_t j = 0; j < kLine; j += L) convert(i + j);
      }
      for (; i + L <= n; i += L) convert(i);
    } else if constexpr (__is_same(T, double) && (__is_same(S, half_t) || __is_same(S, bfloat_t))) {
      alignas(64) float piece[kPiece];
      for (; i + kPiece <= n; i += kPiece) {
        row_from<S, float>(p + i, 1, piece, kPiece);
        for (int64_t j = 0; j < kPiece; j++) to[i + j] = piece[j];
      }
    }
    for (; i < n; i++) to[i] = element<T>(p + i);
  } else if (stride == 0) {
    T x = element<T>(p);
    for (int64_t i = 0; i < n; i++) to[i] = x;
  } else {
    for (int64_t i = 0; i < n; i++) to[i] = element<T>(p + i * stride);
  }
}
// Conversions of rows as values, chosen once a block. They are instantiated in block.cpp, once a level and not once a
// file: T is float, double, an integer of 32 or 64 bits, and for row_from_fn also bool. All are of one type, so that
// who knows T as a dtype only can hold them, too.
template <class T>
using RowFrom = void (*)(const void* from, int64_t stride, void* to, int64_t n);
template <class T>
using RowTo = void (*)(const void* from, void* to, int64_t stride, int64_t n);
template <class T>
RowFrom<T> row_from_fn(DType d);
template <class T>
RowTo<T> row_to_fn(DType d);
RowTo<float> streamed_row_fn(DType d);  // to halves in memory

// ---- walking --------------------------------------------------------------------------------------------------------
// One element stands for all.
MIELINA_INLINE bool repeats(int ndim, const int64_t* shape, const int64_t* stride) {
  for (int d = 0; d < ndim; d++)
    if (shape[d] > 1 && stride[d] != 0) return false;
  return true;
}

// f(offset, n, done): rows of operand k that make up elements [i0, i0 + n) of the space, in order.
template <class F>
MIELINA_INLINE void for_rows(int ndim, const int64_t* shape, const int64_t* stride, int64_t i0, int64_t n, F f) {
  int last = ndim - 1;
  int64_t index[kMaxDims], rest = i0, offset = 0;
  for (int d = last; d >= 0; d--) {
    index[d] = rest % shape[d];
    rest /= shape[d];
    offset += index[d] * stride[d];
  }
  for (int64_t done = 0; done < n;) {
    int64_t run = min64(shape[last] - index[last], n - done);
    f(offset, run, done);
    done += run;
    offset += run * stride[last];
    index[last] += run;
    for (int d = last; d > 0 && index[d] == shape[d]; d--) {
      offset += stride[d - 1] - shape[d] * stride[d];
      index[d] = 0;
      index[d - 1]++;
    }
  }
}
template <int K, class F>
MIELINA_INLINE void for_rows(const Space<K>& s, int k, int64_t i0, int64_t n, F f) {
  for_rows(s.ndim, s.shape, s.stride[k], i0, n, f);
}

// f(offsets of all operands, n): the same for K operands, at most `most`, side by side.
template <int most, class F>
MIELINA_INLINE void for_runs(int K, int ndim, const int64_t* shape, const int64_t (*stride)[kMaxDims], int64_t i0,
                             int64_t n, F f) {
  int last = ndim - 1;
  int64_t index[kMaxDims], rest = i0, offset[most] = {};
  for (int d = last; d >= 0; d--) {
    index[d] = rest % shape[d];
    rest /= shape[d];
    for (int k = 0; k < K; k++) offset[k] += index[d] * stride[k][d];
  }
  for (int64_t done = 0; done < n;) {
    int64_t run = min64(shape[last] - index[last], n - done);
    f(offset, run);
    done += run;
    for (int k = 0; k < K; k++) offset[k] += run * stride[k][last];
    index[last] += run;
    for (int d = last; d > 0 && index[d] == shape[d]; d--) {
      for (int k = 0; k < K; k++) offset[k] += stride[k][d - 1] - shape[d] * stride[k][d];
      index[d] = 0;
      index[d - 1]++;
    }
  }
}
template <int K, class F>
MIELINA_INLINE void for_runs(const Space<K>& s, int64_t i0, int64_t n, F f) {
  for_runs<K>(K, s.ndim, s.shape, s.stride, i0, n, f);
}

// Elements [i0, i0 + n) of operand k as contiguous T: where they lie, or gathered into buf (kBlock elements).
template <class T, int K>
MIELINA_INLINE const T* fetch(const Space<K>& s, int k, int64_t i0, int64_t n, T* buf) {
  if (s.dense(k) && s.dtype[k] == dtype_of<T>) return (const T*)s.data[k] + i0;
  auto row = row_from_fn<T>(s.dtype[k]);
  int64_t size = kDTypeSize[int(s.dtype[k])];
  for_rows(s, k, i0, n, [&](int64_t offset, int64_t run, int64_t done) {
    row(s.data[k] + offset * size, s.stride[k][s.ndim - 1], buf + done, run);
  });
  return buf;
}
template <class T, int K>
MIELINA_INLINE T* target(const Space<K>& s, int k, int64_t i0, T* buf) {
  return s.dense(k) && s.dtype[k] == dtype_of<T> ? (T*)s.data[k] + i0 : buf;
}
template <class T, int K>
MIELINA_INLINE void flush(const Space<K>& s, int k, int64_t i0, int64_t n, const T* buf) {
  if (s.dense(k) && s.dtype[k] == dtype_of<T>) return;
  auto row = row_to_fn<T>(s.dtype[k]);
  int64_t size = kDTypeSize[int(s.dtype[k])];
  for_rows(s, k, i0, n, [&](int64_t offset, int64_t run, int64_t done) {
    row(buf + done, s.data[k] + offset * size, s.stride[k][s.ndim - 1], run);
  });
}

// Whether vectors run along the channels of an image (N, C, D, H, W): neighbours in memory, and its pixels are not.
MIELINA_INLINE bool lanes_along_c(const View& v) {
  return v.shape[1] > 1 && v.stride[1] == 1 && !(v.shape[4] > 1 && v.stride[4] == 1);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
