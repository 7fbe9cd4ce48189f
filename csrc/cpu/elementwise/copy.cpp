// Copies, conversions and fills.
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <class T>
MIELINA_INLINE Vec<T> reversed(Vec<T> v) {
  constexpr int L = lanes<T>;
  Vec<T> r{};
#if defined(__clang__)
  for (int i = 0; i < L; i++) r[i] = v[L - 1 - i];
  return r;
#else
  for (int i = 0; i < L; i++) r[i] = T(L - 1 - i);
  return __builtin_shuffle(v, r);
#endif
}
// y[i] = x[-i] in whole vectors, the last of which overlaps the one before. Four are read before any is written: one by
// one, a million floats in rows of 128 took 187 us on one core of a Zen 3, so 124, and 120 without being turned.
template <class T>
void copy_reversed(void* to, const void* from, int64_t n) {
  constexpr int64_t L = lanes<T>;
  T* y = (T*)to;
  const T* x = (const T*)from;
  if (n < L) {
    for (int64_t i = 0; i < n; i++) y[i] = x[-i];
    return;
  }
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    Vec<T> v[4];
#pragma GCC unroll 4
    for (int64_t j = 0; j < 4; j++) v[j] = reversed<T>(load(x - i - j * L - (L - 1)));
#pragma GCC unroll 4
    for (int64_t j = 0; j < 4; j++) store(y + i + j * L, v[j]);
  }
  for (; i < n; i += L) {
    i = min64(i, n - L);
    store(y + i, reversed<T>(load(x - i - (L - 1))));
  }
}

// Same-typed elements move as integers of their size, whatever they mean.
template <class T>
void copy_bits(const Space<2>& s, int64_t begin, int64_t end) {
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
      copy_reversed<T>(to, from, run);
    } else if (ys == 1 && xs == 2 && sizeof(T) == 4) {
      copy_evens(from, 2, to, run);
    } else {
#pragma GCC unroll 4
      for (int64_t j = 0; j < run; j++) to[j * ys] = from[j * xs];
    }
  });
}

// Bytes that run through memory on both sides, one of them truth values: what is not zero is one. By way of int64 half
// a million took 118 us on one core, so 15 (with AVX2 212 and 15).
void copy_truth(const Space<2>& s, int64_t begin, int64_t end) {
  for_runs(s, begin, end - begin, [&](const int64_t (&at)[2], int64_t run) {
    uint8_t* to = (uint8_t*)s.data[0] + at[0];
    const uint8_t* from = (const uint8_t*)s.data[1] + at[1];
    for (int64_t j = 0; j < run; j++) to[j] = from[j] != 0;
  });
}

// Through T: what it is read as is where the target wants it, or is written from there.
template <class T>
void copy_via(const Space<2>& s, int64_t begin, int64_t end) {
  alignas(64) T buf[kBlock];
  for (int64_t i = begin; i < end; i += kBlock) {
    const int64_t n = min64(kBlock, end - i);
    flush<T>(s, 0, i, n, fetch<T>(s, 1, i, n, target<T>(s, 0, i, buf)));
  }
}

}  // namespace

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

void copy_evens(const void* from, int64_t, void* to, int64_t n) {
  const auto* x = (const uint32_t*)from;
  auto* y = (uint32_t*)to;
  int64_t i = 0;
  for (; i + lanes<uint32_t> <= n; i += lanes<uint32_t>) store(y + i, load_evens(x + 2 * i));
  for (; i < n; i++) y[i] = x[2 * i];
}

MIELINA_INLINE bool is_byte(DType d) { return kDTypeSize[int(d)] == 1; }
// Whether a number of `from` has the bits that it has in `to`: bytes wrap.
MIELINA_INLINE bool same_bits(DType to, DType from) {
  return to == from || (is_byte(to) && is_byte(from) && to != DType::b8 && from != DType::b8);
}

void copy_range(const Space<2>& s, int64_t begin, int64_t end) {
  const int last = s.ndim - 1;
  if (same_bits(s.dtype[0], s.dtype[1])) {
    switch (kDTypeSize[int(s.dtype[0])]) {
      case 1: return copy_bits<uint8_t>(s, begin, end);
      case 2: return copy_bits<uint16_t>(s, begin, end);
      case 4: return copy_bits<uint32_t>(s, begin, end);
      default: return copy_bits<uint64_t>(s, begin, end);
    }
  }
  if (is_byte(s.dtype[0]) && is_byte(s.dtype[1]) && s.stride[0][last] == 1 && s.stride[1][last] == 1)
    return copy_truth(s, begin, end);
  // Small integers become the target's floats at once (bytes as int64 first: 1024 x 1024 on one core of a Zen 3 590 us,
  // 106 so, int32 499 and 129); else what holds every number of the source: halves in f32.
  const DType to = s.dtype[0], from = s.dtype[1];
  const bool itself = to > DType::bf16 || from == DType::f16 || from == DType::bf16 || from == DType::i64;
  const DType via = itself ? from : to;
  if (via == DType::f64) copy_via<double>(s, begin, end);
  else if (via <= DType::bf16) copy_via<float>(s, begin, end);
  else copy_via<int64_t>(s, begin, end);
}

namespace {

// ---- transposes -----------------------------------------------------------------------------------------------------
// The axis along which the source runs through memory, where that is not the target's innermost; -1: none.
int crossing_axis(const Space<2>& s) {
  int last = s.ndim - 1;
  if (last == 0 || !same_bits(s.dtype[0], s.dtype[1]) || s.stride[0][last] != 1 || s.stride[1][last] == 1 ||
      s.shape[last] < 4)
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
void copy_transposed(const Ctx& ctx, const Space<2>& s, int axis) {
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

// ---- planes and pixels ----------------------------------------------------------------------------------------------
// Two or three planes woven into pixels, or pixels taken apart: too few for a square. Sixteen bytes of each plane are
// as many bytes of pixels, and every vector of one side is put together from those of the other by byte shuffles.
struct Weave {
  int count = 0;  // 0: the space is no such copy
  bool apart;
  int64_t width;  // pixels
};
Weave weave_of(const Space<2>& s) {
  const int last = s.ndim - 1;
  Weave p;
#if defined(__x86_64__)
  if (last == 0 || s.dtype[0] != s.dtype[1]) return p;
  p.apart = s.stride[1][last] != 1 && s.stride[1][last - 1] == 1 && s.shape[last - 1] < 4;
  p.width = s.shape[p.apart ? last : last - 1];
  const int64_t count = s.shape[p.apart ? last - 1 : last];
  const bool pixels =
      s.stride[0][last] == 1 &&
      (p.apart ? s.stride[1][last] == count : s.stride[0][last - 1] == count && s.stride[1][last - 1] == 1);
  if (pixels && (count == 2 || count == 3) && p.width * kDTypeSize[int(s.dtype[0])] >= 16) p.count = int(count);
#endif
  return p;
}

#if defined(__x86_64__)
// Vectors of 16 bytes, `gap` apart, in blocks of R, `step` apart: those of y are put together from those of x.
template <int R>
void shuffle_blocks(char* y, int64_t y_gap, int64_t y_step, const char* x, int64_t x_gap, int64_t x_step, int64_t n,
                    int64_t last_y, int64_t last_x, const int8_t (&pick)[3][3][16]) {
  __m128i by[R][R], from[R];
  for (int i = 0; i < R; i++)
    for (int j = 0; j < R; j++) by[i][j] = _mm_loadu_si128((const __m128i*)pick[i][j]);
  for (int64_t k = 0; k <= n; k++) {  // the last block overlaps the one before
    const char* in = x + (k < n ? k * x_step : last_x);
    char* out = y + (k < n ? k * y_step : last_y);
#pragma GCC unroll 3
    for (int j = 0; j < R; j++) from[j] = _mm_loadu_si128((const __m128i*)(in + j * x_gap));
#pragma GCC unroll 3
    for (int i = 0; i < R; i++) {
      __m128i v = _mm_shuffle_epi8(from[0], by[i][0]);
#pragma GCC unroll 3
      for (int j = 1; j < R; j++) v = _mm_or_si128(v, _mm_shuffle_epi8(from[j], by[i][j]));
      _mm_storeu_si128((__m128i*)(out + i * y_gap), v);
    }
  }
}

void copy_planes(const Ctx& ctx, const Space<2>& s, const Weave& p) {
  const int64_t size = kDTypeSize[int(s.dtype[0])], R = p.count, pixel = R * size, lot = 16 / size;
  const int last = s.ndim - 1, side = p.apart ? 0 : 1;  // whose planes
  int8_t pick[3][3][16];
  __builtin_memset(pick, -128, sizeof pick);
  for (int64_t at = 0, g = 0; at < 16; at += size)  // byte g of the pixels is byte at + b of plane c
    for (int64_t c = 0; c < R; c++)
      for (int64_t b = 0; b < size; b++, g++) {
        if (p.apart) pick[c][g / 16][at + b] = int8_t(g % 16);
        else pick[g / 16][c][g % 16] = int8_t(at + b);
      }
  const int64_t plane = s.stride[side][p.apart ? last - 1 : last] * size;
  constexpr int64_t kPiece = 16 * 1024;
  const int64_t pieces = ceil_div(p.width, kPiece), outer = s.n / (R * p.width);
  parallel_ranges(ctx, outer * pieces, max64(1, kGrain / (R * min64(p.width, kPiece))),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; i++) {
                      int64_t first = i % pieces * kPiece, rest = i / pieces, at[2] = {};
                      for (int d = last - 2; d >= 0; d--) {
                        for (int k = 0; k < 2; k++) at[k] += rest % s.shape[d] * s.stride[k][d];
                        rest /= s.shape[d];
                      }
                      const int64_t n = max64(lot, min64(kPiece, p.width - first));
                      first = min64(first, p.width - n);
                      char* y = s.data[0] + at[0] * size + first * (p.apart ? size : pixel);
                      const char* x = s.data[1] + at[1] * size + first * (p.apart ? pixel : size);
                      constexpr int64_t L = lanes<uint32_t>;
                      if (R == 2 && size == 4 && !p.apart && n >= L) {  // whole vectors: 8 x 64 x 56 x 56 219 to 193 us
                        for (int64_t j = 0; j < n; j += L) {
                          j = min64(j, n - L);
                          vu32 low, high;
                          interleave(load((const uint32_t*)x + j), load((const uint32_t*)(x + plane) + j), low, high);
                          store((uint32_t*)y + 2 * j, low);
                          store((uint32_t*)y + 2 * j + L, high);
                        }
                        continue;
                      }
                      const int64_t packed = (n - lot) * pixel, spread = (n - lot) * size, whole = n / lot;
                      auto run = R == 2 ? shuffle_blocks<2> : shuffle_blocks<3>;
                      if (p.apart) run(y, plane, 16, x, 16, 16 * R, whole, spread, packed, pick);
                      else run(y, 16, 16 * R, x, plane, 16, whole, packed, spread, pick);
                    }
                  });
}
#else
void copy_planes(const Ctx&, const Space<2>&, const Weave&) {}
#endif

// copy_bytes in fours, as in copy_reversed: 4 MB in rows of 4 KB, the last row first, 209 us one by one, so 135. From
// memory (32 MB) it is 5 to 13 % slower than one by one.
constexpr int64_t kCached = 4 << 20;
void copy_row(char* to, const char* from, int64_t n) {
  constexpr int64_t kFour = 4 * VBYTES;
  int64_t i = 0;
  for (; i + kFour <= n && n <= 32 * 1024; i += kFour) {
    const auto a = load(from + i), b = load(from + i + VBYTES);
    const auto c = load(from + i + 2 * VBYTES), d = load(from + i + 3 * VBYTES);
    store(to + i, a);
    store(to + i + VBYTES, b);
    store(to + i + 2 * VBYTES, c);
    store(to + i + 3 * VBYTES, d);
  }
  if (i < n) copy_bytes(to + i, from + i, n - i);
}

// Rows that lie together in both: 64 x 28 x 28 as (1, 0, 2) in the L2 cache took 10.7 us with a walk from run to run,
// 5.1 so (bytes 3.4).
bool whole_rows(const Space<2>& s) {
  const int last = s.ndim - 1;
  return last > 0 && s.dtype[0] == s.dtype[1] && s.stride[0][last] == 1 &&
         (s.stride[1][last] == 1 || s.stride[1][last] == -1) && s.shape[last] <= kGrain;
}
void copy_rows(const Ctx& ctx, const Space<2>& s) {
  static constexpr decltype(&copy_reversed<uint8_t>) reverse[] = {copy_reversed<uint8_t>, copy_reversed<uint16_t>,
                                                                  copy_reversed<uint32_t>, copy_reversed<uint64_t>};
  const int last = s.ndim - 1;
  const int64_t size = kDTypeSize[int(s.dtype[0])], width = s.shape[last], bytes = width * size;
  const int64_t ys = s.stride[0][last - 1] * size, xs = s.stride[1][last - 1] * size;
  const bool cached = s.n * size <= kCached && bytes >= 4 * VBYTES;
  const auto turn = s.stride[1][last] == 1 ? nullptr : reverse[__builtin_ctzll(uint64_t(size))];
  parallel_ranges(ctx, s.n / width, max64(1, kGrain / width), [&](int64_t begin, int64_t end) {
    for_runs<2>(2, last, s.shape, s.stride, begin, end - begin, [&](const int64_t (&at)[2], int64_t rows) {
      char* y = s.data[0] + at[0] * size;
      const char* x = s.data[1] + at[1] * size;
      if (!turn && !cached) {
        for (int64_t i = 0; i < rows; i++) copy_bytes(y + i * ys, x + i * xs, bytes);
        return;
      }
      for (int64_t i = 0; i < rows; i++, y += ys, x += xs) {
        if (turn) turn(y, x, width);
        else copy_row(y, x, bytes);
      }
    });
  });
}

// y = x, converting.
void copy_space(const Ctx& ctx, const Space<2>& s) {
  if (s.n == 0) return;
  if (const Weave p = weave_of(s); p.count > 0) return copy_planes(ctx, s, p);
  if (whole_rows(s)) return copy_rows(ctx, s);
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

void copy(const Ctx& ctx, const View& y, const View& x) noexcept {
  const Space<2> s({&y, &x});
  copy_space(ctx, s);
}

void fill(const Ctx& ctx, const View& y, Number value) noexcept {
  alignas(64) char element[8];
  if (value.integer) row_to_fn<int64_t>(y.dtype)(&value.i, element, 1, 1);
  else row_to_fn<double>(y.dtype)(&value.d, element, 1, 1);
  View x = y;
  x.data = element;
  for (int d = 0; d < x.ndim; d++) x.stride[d] = 0;
  copy(ctx, y, x);
}

}  // namespace

void fill_elementwise_unary(Kernels&);
void fill_elementwise_unary_backward(Kernels&);
void fill_elementwise_binary(Kernels&);
void fill_elementwise_logic(Kernels&);

void fill_elementwise(Kernels& k) {
  fill_elementwise_unary(k);
  fill_elementwise_unary_backward(k);
  fill_elementwise_binary(k);
  fill_elementwise_logic(k);
  k.copy = copy;
  k.fill = fill;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
