// Copies between two arrays of one shape, array 0 of a space being the target.
#pragma once
#include "cpu/block.h"
#include "cpu/transpose.h"

namespace mielina {
namespace MIELINA_ISA {

// Some bytes, without a call: of rows of 8 KB that lie 12 bytes further in their pages than the target's, memcpy moved
// 5 GB/s (roll of 2048 x 2048 by 3: 3.2 ms).
MIELINA_INLINE void copy_bytes(char* to, const char* from, int64_t n) {
  if (n < VBYTES || n > 32 * 1024) return (void)__builtin_memcpy(to, from, size_t(n));
  for (int64_t i = 0; i < n; i += VBYTES) {
    i = min64(i, n - VBYTES);  // the last vector overlaps the one before
    store(to + i, load(from + i));
  }
}

// ---- elements [begin, end) in the target's order
// ------------------------------------------------------------------------- Same-typed elements move as integers of
// their size, whatever they mean.
template <class T>
static void copy_bits(const Space<2>& s, int64_t begin, int64_t end) {
  T* y = (T*)s.data[0];
  const T* x = (const T*)s.data[1];
  int64_t ys = s.stride[0][s.ndim - 1], xs = s.stride[1][s.ndim - 1];
  for_runs(s, begin, end - begin, [&](const int64_t (&at)[2], int64_t run) {
    T* to = y + at[0];
    const T* from = x + at[1];
    if (ys == 1 && xs == 1) {
      copy_bytes((char*)to, (const char*)from, run * int64_t(sizeof(T)));
    } else if (ys == 1 && xs == 0) {
      T value = *from;
      for (int64_t j = 0; j < run; j++) to[j] = value;
    } else if (ys == 1 && xs == -1) {
      for (int64_t j = 0; j < run; j++) to[j] = from[-j];
    } else if (ys == 1 && xs == 2 && sizeof(T) == 4) {
      int64_t j = 0;
      if constexpr (sizeof(T) == 4)
        for (; j + lanes<T> <= run; j += lanes<T>) store(to + j, load_evens(from + 2 * j));
      for (; j < run; j++) to[j] = from[2 * j];
    } else {
      for (int64_t j = 0; j < run; j++) to[j * ys] = from[j * xs];
    }
  });
}

// Through T, which holds every number of the source exactly (halves in f32, integers in i64).
template <class T>
static void copy_via(const Space<2>& s, int64_t begin, int64_t end) {
  alignas(64) T buf[kBlock];
  auto row = row_to_fn<T>(s.dtype[0]);
  int64_t size = kDTypeSize[int(s.dtype[0])];
  for (int64_t i = begin; i < end; i += kBlock) {
    int64_t n = min64(kBlock, end - i);
    const T* x = fetch<T>(s, 1, i, n, buf);
    for_rows(s, 0, i, n, [&](int64_t offset, int64_t run, int64_t done) {
      row(x + done, s.data[0] + offset * size, s.stride[0][s.ndim - 1], run);
    });
  }
}

static void copy_range(const Space<2>& s, int64_t begin, int64_t end) {
  if (s.dtype[0] == s.dtype[1]) {
    switch (kDTypeSize[int(s.dtype[0])]) {
      case 1: return copy_bits<uint8_t>(s, begin, end);
      case 2: return copy_bits<uint16_t>(s, begin, end);
      case 4: return copy_bits<uint32_t>(s, begin, end);
      default: return copy_bits<uint64_t>(s, begin, end);
    }
  }
  if (s.dtype[1] == DType::f64) copy_via<double>(s, begin, end);
  else if (s.dtype[1] <= DType::bf16) copy_via<float>(s, begin, end);
  else copy_via<int64_t>(s, begin, end);
}

// ---- transposes
// ------------------------------------------------------------------------------------------------------------ Vectors
// of the element that a square is made of: 16-bit elements travel in the low halves of 32-bit lanes.
template <class T>
struct SquareOf {
  using V = Vec<T>;
  MIELINA_INLINE V get(const T* p) { return load(p); }
  MIELINA_INLINE V get(const T* p, int64_t n) { return load_n(p, n); }
  MIELINA_INLINE void put(T* p, V v) { store(p, v); }
  MIELINA_INLINE void put(T* p, V v, int64_t n) { store_n(p, v, n); }
};
template <>
struct SquareOf<uint16_t> {
  using V = vu32;
  MIELINA_INLINE V get(const uint16_t* p) { return widen(load_half(p)); }
  MIELINA_INLINE V get(const uint16_t* p, int64_t n) { return widen(load_half_n(p, n)); }
  MIELINA_INLINE void put(uint16_t* p, V v) { store_half(p, narrow(v)); }
  MIELINA_INLINE void put(uint16_t* p, V v, int64_t n) { store_half_n(p, narrow(v), n); }
};

// y[i * ys + j] = x[i + j * xs] for i < rows, j < columns.
template <class T>
static void transpose_tile(T* y, int64_t ys, const T* x, int64_t xs, int64_t rows, int64_t columns) {
  using S = SquareOf<T>;
  constexpr int L = int(sizeof(typename S::V) / sizeof(Elem<typename S::V>));
  for (int64_t j = 0; j < columns; j += L) {
    int64_t nj = min64(L, columns - j);
    for (int64_t i = 0; i < rows; i += L) {
      int64_t ni = min64(L, rows - i);
      const T* from = x + i + j * xs;
      T* to = y + i * ys + j;
      typename S::V r[L];
      if (ni == L && nj == L) {
#pragma GCC unroll 16
        for (int k = 0; k < L; k++) r[k] = S::get(from + k * xs);
        transpose(r);
#pragma GCC unroll 16
        for (int k = 0; k < L; k++) S::put(to + k * ys, r[k]);
      } else {
        for (int k = 0; k < L; k++) r[k] = k < nj ? S::get(from + k * xs, ni) : typename S::V{};
        transpose(r);
        for (int k = 0; k < ni; k++) S::put(to + k * ys, r[k], nj);
      }
    }
  }
}
// Eight rows of eight bytes: pairs of bytes, of 16 and of 32 bits change places across the diagonal.
MIELINA_INLINE void transpose_bytes(uint64_t (&r)[8]) {
  const uint64_t low[3] = {0x00ff00ff00ff00ff, 0x0000ffff0000ffff, 0x00000000ffffffff};
#pragma GCC unroll 3
  for (int stage = 0; stage < 3; stage++) {
    int step = 1 << stage, shift = 8 << stage;
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      if (i & step) continue;
      uint64_t a = r[i], b = r[i + step];
      r[i] = (a & low[stage]) | ((b & low[stage]) << shift);
      r[i + step] = ((a >> shift) & low[stage]) | (b & ~low[stage]);
    }
  }
}
template <>
void transpose_tile<uint8_t>(uint8_t* y, int64_t ys, const uint8_t* x, int64_t xs, int64_t rows, int64_t columns) {
  for (int64_t j = 0; j < columns; j += 8) {
    int64_t nj = min64(8, columns - j);
    for (int64_t i = 0; i < rows; i += 8) {
      int64_t ni = min64(8, rows - i);
      uint64_t r[8] = {};
      if (ni == 8 && nj == 8) {
        for (int k = 0; k < 8; k++) __builtin_memcpy(&r[k], x + i + (j + k) * xs, 8);
        transpose_bytes(r);
        for (int k = 0; k < 8; k++) __builtin_memcpy(y + (i + k) * ys + j, &r[k], 8);
      } else {
        for (int k = 0; k < nj; k++) __builtin_memcpy(&r[k], x + i + (j + k) * xs, size_t(ni));
        transpose_bytes(r);
        for (int k = 0; k < ni; k++) __builtin_memcpy(y + (i + k) * ys + j, &r[k], size_t(nj));
      }
    }
  }
}

// The axis along which the source runs through memory, where that is not the target's innermost; -1: none.
static int crossing_axis(const Space<2>& s) {
  int last = s.ndim - 1;
  if (last == 0 || s.dtype[0] != s.dtype[1] || s.stride[0][last] != 1 || s.stride[1][last] == 1 || s.shape[last] < 4)
    return -1;
  for (int d = 0; d < last; d++)
    if (s.stride[1][d] == 1 && s.shape[d] >= 4) return d;
  return -1;
}

// With strides of a power of two the rows of a tile fall into few sets of the cache, and lines would be evicted half
// full: such a tile is transposed into a block of L1 and leaves it row by row (1024 x 1024 f32: 470 us direct, 220 us
// staged; 1000 x 1000: 140 us direct, 190 us staged).
template <class T>
constexpr int64_t kTile = sizeof(T) <= 2 ? 128 : 64;

template <class T>
static void copy_transposed(const Ctx& ctx, const Space<2>& s, int axis) {
  int last = s.ndim - 1;
  constexpr int64_t tile_size = kTile<T>;
  bool staged = s.stride[0][axis] * int64_t(sizeof(T)) % 1024 == 0;
  int64_t rows = ceil_div(s.shape[axis], tile_size), columns = ceil_div(s.shape[last], tile_size);
  int64_t tiles = s.n / (s.shape[axis] * s.shape[last]) * rows * columns;
  int64_t tile = min64(tile_size, s.shape[axis]) * min64(tile_size, s.shape[last]);
  parallel_ranges(ctx, tiles, max64(1, kGrain / tile), [&](int64_t begin, int64_t end) {
    alignas(64) T block[tile_size * tile_size];
    for (int64_t i = begin; i < end; i++) {
      int64_t j = i % columns * tile_size, r = i / columns % rows * tile_size, rest = i / columns / rows;
      int64_t to = j + r * s.stride[0][axis], from = r + j * s.stride[1][last];
      for (int d = last - 1; d >= 0; d--) {
        if (d == axis) continue;
        to += rest % s.shape[d] * s.stride[0][d];
        from += rest % s.shape[d] * s.stride[1][d];
        rest /= s.shape[d];
      }
      int64_t height = min64(tile_size, s.shape[axis] - r), width = min64(tile_size, s.shape[last] - j);
      const T* x = (const T*)s.data[1] + from;
      T* y = (T*)s.data[0] + to;
      int64_t ys = s.stride[0][axis], xs = s.stride[1][last];
      if (!staged) {
        transpose_tile(y, ys, x, xs, height, width);
        continue;
      }
      transpose_tile(block, tile_size, x, xs, height, width);
      for (int64_t k = 0; k < height; k++)
        __builtin_memcpy(y + k * ys, block + k * tile_size, size_t(width) * sizeof(T));
    }
  });
}

// Two or three rows of the source woven into one of the target, as pixel_shuffle does: too few for a square.
static bool woven(const Space<2>& s) {
  int last = s.ndim - 1;
  return last > 0 && s.dtype[0] == s.dtype[1] && kDTypeSize[int(s.dtype[0])] == 4 && s.shape[last] < 4 &&
         s.stride[0][last] == 1 && s.stride[0][last - 1] == s.shape[last] && s.stride[1][last - 1] == 1 &&
         s.shape[last - 1] >= 8;
}
static void weave(const Ctx& ctx, const Space<2>& s) {
  constexpr int64_t L = lanes<uint32_t>;
  int last = s.ndim - 1;
  int64_t r = s.shape[last], width = s.shape[last - 1], xs = s.stride[1][last];
  parallel_ranges(ctx, s.n / (r * width), max64(1, kGrain / (r * width)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      int64_t rest = i, to = 0, from = 0, j = 0;
      for (int d = last - 2; d >= 0; d--) {
        to += rest % s.shape[d] * s.stride[0][d];
        from += rest % s.shape[d] * s.stride[1][d];
        rest /= s.shape[d];
      }
      uint32_t* y = (uint32_t*)s.data[0] + to;
      const uint32_t* x = (const uint32_t*)s.data[1] + from;
      for (; r == 2 && j + L <= width; j += L) {
        vu32 low, high;
        interleave(load(x + j), load(x + xs + j), low, high);
        store(y + 2 * j, low);
        store(y + 2 * j + L, high);
      }
      for (; j < width; j++)
        for (int64_t k = 0; k < r; k++) y[j * r + k] = x[j + k * xs];
    }
  });
}

// y = x, converting.
[[maybe_unused]] static void copy_space(const Ctx& ctx, const Space<2>& s) {
  if (s.n == 0) return;
  if (woven(s)) return weave(ctx, s);
  int axis = crossing_axis(s);
  if (axis < 0) {
    parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) { copy_range(s, begin, end); });
    return;
  }
  switch (kDTypeSize[int(s.dtype[0])]) {
    case 1: return copy_transposed<uint8_t>(ctx, s, axis);
    case 2: return copy_transposed<uint16_t>(ctx, s, axis);
    case 4: return copy_transposed<uint32_t>(ctx, s, axis);
    default: return copy_transposed<uint64_t>(ctx, s, axis);
  }
}

}  // namespace MIELINA_ISA
}  // namespace mielina
