// The columns of an image: the matrix of (output pixel, filter tap x channel) that a convolution multiplies by its
// filters. It is never written down; a panel of it is gathered when the product asks for it.
#pragma once
#include "cpu/copy.h"
#include "cpu/gemm.h"
#include "table/conv.h"

namespace mielina {
namespace MIELINA_ISA {

// The five axes of the contract.
enum Axis : int { kN, kC, kD, kH, kW };

// Output pixels (n, d, h, w) in order, cut into images whose pixels lie at one stride in memory, and into panels. A
// panel ends with its image, or runs into the next one where images are `merged` (of 7 x 7 pixels, panels of 32 waste a
// quarter).
struct PixelSpace {
  int64_t shape[4], stride[4];
  int64_t images, size, step;  // pixels an image, at stride `step`
  int64_t width, per;          // panels of `width`, `per` an image
  int outer;                   // leading axes that make up the image index
  bool merged;

  int64_t panels() const { return merged ? ceil_div(images * size, width) : images * per; }
  int64_t first(int64_t p) const { return merged ? p * width : p / per * size + p % per * width; }
  int64_t valid(int64_t p) const {
    return merged ? min64(width, images * size - p * width) : min64(width, size - p % per * width);
  }
  bool straddles(int64_t p) const { return merged && first(p) % size + valid(p) > size; }
  int64_t offset(int64_t pixel) const {
    int64_t image = pixel / size, at = pixel % size * step;
    for (int d = outer - 1; d >= 0; d--) {
      at += image % shape[d] * stride[d];
      image /= shape[d];
    }
    return at;
  }
};

static PixelSpace pixel_space(const View& y, int64_t width, bool merge) {
  PixelSpace s;
  const int axes[4] = {kN, kD, kH, kW};
  for (int d = 0; d < 4; d++) {
    s.shape[d] = y.shape[axes[d]];
    s.stride[d] = y.stride[axes[d]];
  }
  s.size = 1;
  s.step = 0;
  s.outer = 4;
  while (s.outer > 0) {
    const int d = s.outer - 1;
    if (s.shape[d] != 1) {
      if (s.size > 1 && s.stride[d] != s.size * s.step) break;
      if (s.size == 1) s.step = s.stride[d];
      s.size *= s.shape[d];
    }
    s.outer--;
  }
  s.images = 1;
  for (int d = 0; d < s.outer; d++) s.images *= s.shape[d];
  s.width = width;
  s.per = ceil_div(s.size, width);
  s.merged = merge && s.images > 1 && s.size % width != 0;
  return s;
}

// Lanes [a, z) from p + a .. p + z, the others zero.
template <class T>
MIELINA_INLINE Vec<T> load_between(const T* p, int64_t a, int64_t z) {
  Vec<T> v{};
#if MIELINA_V512
  const unsigned mask = ((1u << z) - 1) & ~((1u << a) - 1);
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_loadu_epi32((__mmask16)mask, p);
  if constexpr (sizeof(T) == 8) return (Vec<T>)_mm512_maskz_loadu_epi64((__mmask8)mask, p);
#elif MIELINA_V256
  if constexpr (sizeof(T) == 4) {
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i from = _mm256_set1_epi32(int(a) - 1), to = _mm256_set1_epi32(int(z));
    return (Vec<T>)_mm256_maskload_epi32((const int*)p,
                                         _mm256_and_si256(_mm256_cmpgt_epi32(i, from), _mm256_cmpgt_epi32(to, i)));
  }
#endif
  __builtin_memcpy((T*)&v + a, p + a, size_t(z - a) * sizeof(T));
  return v;
}

template <class T>
MIELINA_INLINE void copy_row(const T* from, T* to, int64_t n) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) store(to + i, load(from + i));
  if (i < n) store_n(to + i, load_n(from + i, n - i), n - i);
}

// Every second element of p: the lanes [a, z), the others zero.
template <class T>
MIELINA_INLINE Vec<T> load_even(const T* p, int64_t a, int64_t z) {
  constexpr int64_t L = lanes<T>;
  if constexpr (__is_same(T, float)) {
    const int64_t from = 2 * a, to = 2 * z - 1;
    if (a == 0 && z == L) return half_of<false>(load(p), load_n(p + L, L - 1));
    if (a >= z) return vf32{};
    return half_of<false>(load_between<T>(p, min64(from, L), min64(to, L)),
                          load_between<T>(p + L, max64(from - L, 0), max64(to - L, 0)));
  } else {
    Vec<T> v{};
    for (int64_t i = a; i < z; i++) v[i] = p[2 * i];
    return v;
  }
}

template <class T>
MIELINA_INLINE void copy_even(const T* from, T* to, int64_t n) {
  constexpr int64_t L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) store(to + i, load_even<T>(from + 2 * i, 0, L));
  if (i < n) store_n(to + i, load_even<T>(from + 2 * i, 0, n - i), n - i);
}

// n pixels of C channels, of any strides, to channels side by side, pixels `pitch` apart.
static void channels_of_pixels(const float* from, int64_t sw, int64_t sc, float* to, int64_t pitch, int64_t n,
                               int64_t C) {
  if (sc == 1) {
    if (sw == C && pitch == C) return copy_row(from, to, n * C);
    for (int64_t i = 0; i < n; i++) copy_row(from + i * sw, to + i * pitch, C);
  } else if (sw == 1) {
    turn_planes((uint32_t*)to, pitch, (const uint32_t*)from, sc, n, C);
  } else {
    for (int64_t i = 0; i < n; i++)
      for (int64_t c = 0; c < C; c++) to[i * pitch + c] = from[i * sw + c * sc];
  }
}

// How a window moves: input coordinate = output * stride - padding + tap * dilation, along (depth, height, width).
struct Window {
  int64_t taps[3], stride[3], padding[3], dilation[3];
};

// Packer of image columns. k runs over (channel, tap), or over (tap, channel) where channels are neighbours in memory
// and filters do not ask for the other order.
template <class Op>
struct Pixels {
  using In = typename Op::In;
  static constexpr int L = lanes<In>;
  enum { kWidest = 64 };
  PixelSpace space;
  Window window;
  const In* x;
  int64_t shape[3], stride[3];  // of the image
  int64_t sn, sc, channels;
  bool lanes_of_channels;  // whether channels are neighbours in memory
  bool channels_inner;     // whether they are along k

  int64_t panels() const { return space.panels(); }
  int64_t valid(int64_t p) const { return space.valid(p); }
  int64_t taps() const { return window.taps[0] * window.taps[1] * window.taps[2]; }

  // Pixels that are neighbours in a row of the output.
  struct Run {
    const In* image;
    int64_t origin[3];  // input coordinates under tap 0
    int64_t at, n;
  };
  // The runs that make up pixels [g, g + n).
  int runs(int64_t g, int64_t n, Run* r) const {
    int count = 0;
    for (int64_t at = 0; at < n;) {
      int64_t rest = g + at, o[3];
      for (int d = 2; d >= 0; d--) {
        o[d] = rest % space.shape[d + 1];
        rest /= space.shape[d + 1];
      }
      Run& run = r[count++];
      run.image = x + rest * sn;
      run.at = at;
      run.n = min64(n - at, space.shape[3] - o[2]);
      for (int d = 0; d < 3; d++) run.origin[d] = o[d] * window.stride[d] - window.padding[d];
      at += run.n;
    }
    return count;
  }

  Panel<In> in_place(int64_t, int64_t) const { return {nullptr, 0, 0}; }

  void tap_offsets(int64_t tap, int64_t (&at)[3]) const {
    at[2] = tap % window.taps[2] * window.dilation[2];
    at[1] = tap / window.taps[2] % window.taps[1] * window.dilation[1];
    at[0] = tap / (window.taps[2] * window.taps[1]) * window.dilation[0];
  }

  void pack(In* to, int64_t step, int64_t p, int64_t k0, int64_t kc) const {
    gather(to, step, space.first(p), valid(p), k0, kc);
  }
  __attribute__((noinline)) void gather(In* to, int64_t step, int64_t g, int64_t n, int64_t k0, int64_t kc) const {
    Run r[kWidest];
    const int count = runs(g, n, r);
    if (!lanes_of_channels) return pack_taps(to, step, r, count, k0, kc);
    const int64_t taps = this->taps();
    if (channels_inner)
      for (int64_t k = 0, c, n; k < kc; k += n) {
        c = (k0 + k) % channels;
        n = min64(channels - c, kc - k);
        pack_channels(to + k * step, step, step, r, count, (k0 + k) / channels, c, n);
      }
    else
      for (int64_t tap = 0; tap < taps; tap++) {
        const int64_t c = (k0 - tap + taps - 1) / taps, n = (k0 + kc - tap + taps - 1) / taps - c;
        pack_channels(to + (c * taps + tap - k0) * step, taps * step, step, r, count, tap, c, n);
      }
  }

  // n channels from c0 on under one tap, whose rows lie `gap` apart: a pixel's channels are neighbours; transpose
  // squares of pixels and channels.
  void pack_channels(In* to, int64_t gap, int64_t step, const Run* r, int count, int64_t tap, int64_t c0,
                     int64_t n) const {
    const In* pixel[kWidest];
    int64_t at[3];
    tap_offsets(tap, at);
    for (int64_t i = 0; i < step; i++) pixel[i] = nullptr;
    for (int j = 0; j < count; j++) {
      const int64_t d = r[j].origin[0] + at[0], h = r[j].origin[1] + at[1];
      if (d < 0 || d >= shape[0] || h < 0 || h >= shape[1]) continue;
      const In* row = r[j].image + d * stride[0] + h * stride[1] + c0;
      for (int64_t i = 0; i < r[j].n; i++) {
        const int64_t w = r[j].origin[2] + at[2] + i * window.stride[2];
        if (w >= 0 && w < shape[2]) pixel[r[j].at + i] = row + w * stride[2];
      }
    }
    for (int64_t i = 0; i < step; i += L)
      for (int64_t c = 0; c < n; c += L) {
        const int64_t wide = min64(L, n - c), room = min64(L, step - i);
        Vec<In> v[L];
#pragma GCC unroll 16
        for (int j = 0; j < L; j++) v[j] = j < room && pixel[i + j] ? load_as<In>(pixel[i + j] + c, wide) : Vec<In>{};
        transpose(v);
        for (int j = 0; j < wide; j++) {
          In* row = to + (c + j) * gap + i;
          if (room == L) store(row, v[j]);
          else store_n(row, v[j], room);
        }
      }
  }

  // (channel, tap): a tap's pixels are neighbours, or a stride apart. Where a run leaves the image at its sides depends
  // on the tap's column alone, so that the taps of a column, and all channels, share the bounds.
  void pack_taps(In* to, int64_t step, const Run* r, int count, int64_t k0, int64_t kc) const {
    const int64_t taps = this->taps(), n = count ? r[count - 1].at + r[count - 1].n : 0;
    for (int64_t s = 0; s < window.taps[2]; s++)
      for (int j = 0; j < count; j++) {
        const int64_t w = r[j].origin[2] + s * window.dilation[2], pace = window.stride[2];
        const int64_t lo = min64(r[j].n, w >= 0 ? 0 : ceil_div(-w, pace));
        const int64_t hi = max64(lo, min64(r[j].n, w >= shape[2] ? 0 : (shape[2] - 1 - w) / pace + 1));
        for (int64_t i = 0; i < r[j].n; i += L) {
          const int64_t m = min64(L, r[j].n - i), first = min64(L, max64(0, lo - i)),
                        last = max64(first, min64(L, hi - i));
          int64_t tap = s;
          for (int64_t t = 0; t < window.taps[0]; t++)
            for (int64_t u = 0; u < window.taps[1]; u++, tap += window.taps[2]) {
              const int64_t d = r[j].origin[0] + t * window.dilation[0], h = r[j].origin[1] + u * window.dilation[1];
              const bool inside = d >= 0 && d < shape[0] && h >= 0 && h < shape[1];
              const In* from = r[j].image + d * stride[0] + h * stride[1] + (w + i * pace) * stride[2];
              pack_tap(tap, taps, from, to + r[j].at + i, step, m, inside ? first : 0, inside ? last : 0, k0, kc);
            }
        }
      }
    for (int64_t k = 0; n < step && k < kc; k++)
      for (int64_t i = n; i < step; i++) to[k * step + i] = In(0);
  }
  // One tap of m pixels, [first, last) of which lie inside the image, in all channels of the block.
  __attribute__((always_inline)) void pack_tap(int64_t tap, int64_t taps, const In* from, In* to, int64_t step,
                                               int64_t m, int64_t first, int64_t last, int64_t k0, int64_t kc) const {
    int64_t c0 = 0, c1 = channels;
    if (kc < channels * taps) {
      c0 = (k0 - tap + taps - 1) / taps;
      c1 = (k0 + kc - tap + taps - 1) / taps;
    }
    const int64_t sw = window.stride[2] * stride[2], gap = taps * step;
    const In* p = from + c0 * sc;
    In* row = to + (c0 * taps + tap - k0) * step;
    if (sw == 1 && first == 0 && last == L) {
      for (int64_t c = c0; c < c1; c++, row += gap, p += sc) {
        if (tap == 0) __builtin_prefetch(p + space.width, 0, 2);  // the next panel's; a channel is a page away
        store(row, load(p));
      }
    } else if (sw == 1) {
      for (int64_t c = c0; c < c1; c++, row += gap, p += sc) store_n(row, load_between<In>(p, first, last), m);
    } else if (sw == 2 && m == L) {
      for (int64_t c = c0; c < c1; c++, row += gap, p += sc) store(row, load_even<In>(p, first, last));
    } else if (sw == 2) {
      for (int64_t c = c0; c < c1; c++, row += gap, p += sc) store_n(row, load_even<In>(p, first, last), m);
    } else {
      for (int64_t c = c0; c < c1; c++, row += gap, p += sc)
        for (int64_t l = 0; l < m; l++) row[l] = l < first || l >= last ? In(0) : p[l * sw];
    }
  }
};

// A filter bank (rows, channels, taps) of any strides; k runs as it does for the pixels.
template <class Op>
struct Filters {
  using In = typename Op::In;
  const In* data;
  int64_t size, width, si, sc;
  int64_t channels;
  bool channels_inner;
  int64_t taps[3] = {}, stride[3] = {};
  bool dense = false;  // taps have one stride
  bool flat = false;   // k has one stride, sk
  int64_t sk = 0;

  void flatten() {
    const int64_t T = taps[0], R = taps[1], Q = taps[2];
    dense = (R == 1 || stride[1] == Q * stride[2]) && (T == 1 || stride[0] == R * Q * stride[2]);
    const bool one = T * R * Q == 1, outer = channels_inner ? stride[2] == channels * sc : sc == T * R * Q * stride[2];
    flat = one || (dense && (channels == 1 || outer));
    sk = one || (channels_inner && channels > 1) ? sc : stride[2];
  }
  // All of a panel, (tap, channel), whose taps lie within channels in memory: turned as they lie, then put in order.
  // Number by number it took 14 % of 256 filters of 128 x 3 x 3 over 14 x 14 pixels.
  bool pack_turned(In* to, int64_t step, int64_t p) const {
    constexpr int64_t kRows = 128;
    const int64_t all = taps[0] * taps[1] * taps[2];
    if (!dense || sc != all * stride[2] || all > kRows) return false;
    alignas(64) In rows[(Op::NV + 1) * lanes<In> * kRows];  // a panel may be a vector wider (conv/bands.h)
    for (int64_t c = 0, some; c < channels; c += some) {
      some = min64(channels - c, kRows / all);
      Strided<Op, In>{data + c * sc, size, some * all, si, stride[2], width}.pack(rows, step, p, 0, some * all);
      for (int64_t i = 0; i < some * all; i++)
        copy_row((const In*)rows + i * step, to + (i % all * channels + c + i / all) * step, step);
    }
    return true;
  }
  int64_t panels() const { return ceil_div(size, width); }
  int64_t valid(int64_t p) const { return min64(width, size - p * width); }
  Strided<Op, In> matrix() const { return {data, size, channels * taps[0] * taps[1] * taps[2], si, sk, width}; }
  // A filter whose numbers lie side by side needs no packing; rows of a panel then.
  static constexpr bool kReads = VBYTES >= 32 && __is_same(In, float);
  static constexpr int kReadRows = VBYTES == 64 ? ThreeVectors::MR : Op::MR;
  bool readable() const { return kReads && flat && sk == 1; }
  Panel<In> in_place(int64_t p, int64_t k) const { return {data + p * width * si + k, si, 1}; }
  // d = or += the dot products of a panel's filters with b (kc): a single column would fill one of 16 lanes.
  __attribute__((noinline)) void dots(int64_t p, int64_t k0, int64_t kc, const In* b, In* d, int64_t ld, bool add) const
    requires kReads
  {
    constexpr int L = lanes<In>, kRows = kReadRows;
    const int64_t n = valid(p);
    const In* row[kRows];
    for (int i = 0; i < kRows; i++) row[i] = data + (p * width + min64(i, n - 1)) * si + k0;
    Vec<In> sums[L] = {};
    for (int64_t k = 0; k < kc; k += L) {
      const int64_t some = min64(L, kc - k);
      const bool whole = some == L;
      const Vec<In> x = whole ? load(b + k) : load_n(b + k, some);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; i++) sums[i] = fma(whole ? load(row[i] + k) : load_n(row[i] + k, some), x, sums[i]);
    }
    const Vec<In> all = hsums(sums);
    for (int64_t i = 0; i < n; i++) d[i * ld] = add ? d[i * ld] + all[i] : all[i];
  }
  void pack(In* to, int64_t step, int64_t p, int64_t k0, int64_t kc) const {
    if (flat) return matrix().pack(to, step, p, k0, kc);
    const int64_t all = taps[0] * taps[1] * taps[2], n = valid(p);
    if (dense && !channels_inner) {
      for (int64_t k = 0, m; k < kc; k += m) {
        const int64_t c = (k0 + k) / all, tap = (k0 + k) % all;
        m = min64(all - tap, kc - k);
        Strided<Op, In>{data + c * sc, size, all, si, stride[2], width}.pack(to + k * step, step, p, tap, m);
      }
      return;
    }
    if constexpr (sizeof(In) == sizeof(float))
      if (k0 == 0 && kc == channels * all && pack_turned(to, step, p)) return;
    const In* from = data + p * width * si;
    for (int64_t k = k0; k < k0 + kc; k++, to += step) {
      const int64_t c = channels_inner ? k % channels : k / all, tap = channels_inner ? k / channels : k % all;
      const In* at = from + c * sc + tap % taps[2] * stride[2] + tap / taps[2] % taps[1] * stride[1] +
                     tap / (taps[2] * taps[1]) * stride[0];
      if (si == 1) copy_row(at, to, n);  // the image's gradient by channels-last filters
      for (int64_t i = si == 1 ? n : 0; i < step; i++) to[i] = i < n ? at[i * si] : In(0);
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
