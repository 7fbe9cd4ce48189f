// resize_bytes: see table/image.h. Sums of bytes times whole weights of 16 bits, in 32.
#pragma once
#include "cpu/image/taps.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kEight = 8;         // taps that one product of the narrow paths takes
constexpr int64_t kTask = 16 * 1024;  // bytes of y

// Output o is made of inputs [first[o], first[o] + width), with weights in multiples of 2^-shift.
struct Windows {
  int64_t width;
  int32_t* first;
  int16_t* weight;  // (out, width)
  int shift;
};
int64_t most_width(const AxisMap& m) { return ceil_div(tap_count(m) / m.out, kEight) * kEight; }
int64_t resize_bytes_workspace(const AxisMap& m) noexcept {
  return taps_bytes<double>(m) + round_up(m.out * 4) + round_up(m.out * most_width(m) * 2);
}

// f(index, weight) for the taps of a row; taps that a border has moved to one place are one.
template <class F>
void each_place(const Taps<double>& t, int64_t o, F f) {
  for (int64_t k = t.start[o], end = t.start[o + 1]; k < end;) {
    int64_t i = t.index[k];
    double w = 0;
    for (; k < end && t.index[k] == i; k++) w += t.weight[k];
    f(i, w);
  }
}
Windows make_windows(const AxisMap& m, int64_t unit, void* workspace) {  // of a multiple of `unit` taps
  Scratch scratch{(char*)workspace};
  Taps<double> t;
  make_taps(t, m, false, scratch);
  Windows w{1, scratch.take<int32_t>(m.out), scratch.take<int16_t>(m.out * most_width(m)), 0};
  double most = 0;
  for (int64_t o = 0; o < m.out; o++) {
    w.width = max64(w.width, t.index[t.start[o + 1] - 1] - t.index[t.start[o]] + 1);
    each_place(t, o, [&](int64_t, double weight) { most = weight > most ? weight : most; });
  }
  // The largest weight stays below 2^15; 22 is PyTorch's bound.
  while (w.shift < 22 && most * double(int64_t(2) << w.shift) < 32767.5) w.shift++;
  w.width = ceil_div(w.width, unit) * unit;
  double one = double(int64_t(1) << w.shift);
  for (int64_t o = 0; o < m.out; o++) {
    int64_t first = min64(t.index[t.start[o]], m.in - w.width);
    int16_t* to = w.weight + o * w.width;
    w.first[o] = int32_t(first);
    __builtin_memset(to, 0, size_t(w.width) * 2);
    each_place(t, o, [&](int64_t i, double x) { to[i - first] = int16_t(x * one + (x < 0 ? -0.5 : 0.5)); });
  }
  return w;
}

MIELINA_INLINE uint8_t byte_of(int32_t sum, int shift) {
  int32_t v = (sum + (1 << shift >> 1)) >> shift;
  return uint8_t(v < 0 ? 0 : v > 255 ? 255 : v);
}

#if defined(__x86_64__)
// A row of pixels of three or four bytes: the bytes of four pixels become words, sorted by channel. Four pixels of
// three bytes are read with four bytes more, which at the end of the row are those before them.
void row_of_pixels(uint8_t* y, const uint8_t* x, int64_t C, const Windows& w, int64_t in, int64_t out) {
  const __m128i half = _mm_set1_epi32(1 << w.shift >> 1), shift = _mm_cvtsi32_si128(w.shift);
  constexpr int8_t kNone = -128;
  alignas(16) int8_t pick[2][16];
  for (int c = 0; c < 4; c++)
    for (int k = 0; k < 4; k++) {
      pick[c / 2][c % 2 * 8 + 2 * k] = c < C ? int8_t(k * C + c) : kNone;
      pick[c / 2][c % 2 * 8 + 2 * k + 1] = kNone;
    }
  const __m128i first = _mm_load_si128((__m128i*)pick[0]), second = _mm_load_si128((__m128i*)pick[1]);
  int64_t o = 0;
#if MIELINA_V256 || MIELINA_V512
  // Two pixels at once, up to where a row's end is near; the fourth byte of three is the next pixel's to write.
  const __m256i firsts = _mm256_broadcastsi128_si256(first), seconds = _mm256_broadcastsi128_si256(second);
  for (; o + 2 < out && (C == 4 || w.first[o + 1] + w.width + 2 <= in); o += 2) {
    const uint8_t *a = x + w.first[o] * C, *b = x + w.first[o + 1] * C;
    const int16_t *of_a = w.weight + o * w.width, *of_b = of_a + w.width;
    __m256i s = _mm256_setzero_si256(), t = s;
    for (int64_t k = 0; k < w.width; k += 4) {
      const __m256i bytes =
          _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i*)(a + k * C))),
                                  _mm_loadu_si128((const __m128i*)(b + k * C)), 1);
      const __m128i each =
          _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i*)(of_a + k)), _mm_loadl_epi64((const __m128i*)(of_b + k)));
      const __m256i weight = _mm256_permute4x64_epi64(_mm256_castsi128_si256(each), 0x50);
      s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_shuffle_epi8(bytes, firsts), weight));
      t = _mm256_add_epi32(t, _mm256_madd_epi16(_mm256_shuffle_epi8(bytes, seconds), weight));
    }
    s = _mm256_sra_epi32(_mm256_add_epi32(_mm256_hadd_epi32(s, t), _mm256_broadcastsi128_si256(half)), shift);
    s = _mm256_packus_epi16(_mm256_packs_epi32(s, s), s);
    const int32_t one = _mm256_extract_epi32(s, 0), two = _mm256_extract_epi32(s, 4);
    __builtin_memcpy(y + o * C, &one, 4);
    __builtin_memcpy(y + (o + 1) * C, &two, 4);
  }
#endif
  for (; o < out; o++) {
    bool ends = C == 3 && w.first[o] + w.width + 2 > in;
    const uint8_t* from = x + w.first[o] * C - (ends ? 4 : 0);
    __m128i s = _mm_setzero_si128(), t = s, later = _mm_set1_epi8(ends ? 4 : 0);
    __m128i one = _mm_add_epi8(first, later), two = _mm_add_epi8(second, later);
    for (int64_t k = 0; k < w.width; k += 4) {
      __m128i bytes = _mm_loadu_si128((const __m128i*)(from + k * C));
      __m128i weight = _mm_loadl_epi64((const __m128i*)(w.weight + o * w.width + k));
      weight = _mm_unpacklo_epi64(weight, weight);
      s = _mm_add_epi32(s, _mm_madd_epi16(_mm_shuffle_epi8(bytes, one), weight));
      t = _mm_add_epi32(t, _mm_madd_epi16(_mm_shuffle_epi8(bytes, two), weight));
    }
    s = _mm_sra_epi32(_mm_add_epi32(_mm_hadd_epi32(s, t), half), shift);
    s = _mm_packus_epi16(_mm_packs_epi32(s, s), s);
    int32_t four = _mm_cvtsi128_si32(s);
    if (C == 4) __builtin_memcpy(y + 4 * o, &four, 4);
    else __builtin_memcpy(y + 3 * o, &four, 3);
  }
}
constexpr bool kPixels = true;
#else
void row_of_pixels(uint8_t*, const uint8_t*, int64_t, const Windows&, int64_t, int64_t) {}
constexpr bool kPixels = false;
#endif

// One row of pixels, windows of multiples of eight.
void row_of_bytes(uint8_t* y, const uint8_t* x, const Windows& w, int64_t out) {
  int64_t o = 0;
#if defined(__x86_64__)
  const __m128i half = _mm_set1_epi32(1 << w.shift >> 1), shift = _mm_cvtsi32_si128(w.shift);
  auto sums = [&](int64_t o) __attribute__((always_inline)) {
    const uint8_t* from = x + w.first[o];
    const int16_t* weight = w.weight + o * w.width;
    __m128i s = _mm_setzero_si128();
    for (int64_t k = 0; k < w.width; k += kEight) {
      __m128i bytes = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i*)(from + k)));
      s = _mm_add_epi32(s, _mm_madd_epi16(bytes, _mm_loadu_si128((const __m128i*)(weight + k))));
    }
    return s;
  };
  for (; o + 4 <= out; o += 4) {
    __m128i s = _mm_hadd_epi32(_mm_hadd_epi32(sums(o), sums(o + 1)), _mm_hadd_epi32(sums(o + 2), sums(o + 3)));
    s = _mm_sra_epi32(_mm_add_epi32(s, half), shift);
    s = _mm_packus_epi16(_mm_packs_epi32(s, s), s);
    int32_t four = _mm_cvtsi128_si32(s);
    __builtin_memcpy(y + o, &four, 4);
  }
#endif
  for (; o < out; o++) {
    int32_t s = 0;
    for (int64_t k = 0; k < w.width; k++) s += x[w.first[o] + k] * w.weight[o * w.width + k];
    y[o] = byte_of(s, w.shift);
  }
}

// The weighted sum of rows of B bytes: kMost of them.
#if MIELINA_V256 || MIELINA_V512
// Two rows' bytes become pairs of words, whose products one instruction adds up.
constexpr int64_t kMost = 32;
MIELINA_INLINE void most_of_rows(uint8_t* y, const uint8_t* x, const int16_t* weight, int64_t width, int shift,
                                 int64_t B) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i s[4];
  for (__m256i& v : s) v = _mm256_set1_epi32(1 << shift >> 1);
  for (int64_t k = 0; k < width; k += 2, x += 2 * B) {
    const bool two = k + 1 < width;
    const __m256i a = _mm256_loadu_si256((const __m256i*)x),
                  b = two ? _mm256_loadu_si256((const __m256i*)(x + B)) : zero,
                  by = _mm256_set1_epi32(uint16_t(weight[k]) | (two ? int32_t(weight[k + 1]) * 65536 : 0));
    const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
    s[0] = _mm256_add_epi32(s[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), by));
    s[1] = _mm256_add_epi32(s[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), by));
    s[2] = _mm256_add_epi32(s[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), by));
    s[3] = _mm256_add_epi32(s[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), by));
  }
  for (__m256i& v : s) v = _mm256_sra_epi32(v, _mm_cvtsi32_si128(shift));
  _mm256_storeu_si256((__m256i*)y, _mm256_packus_epi16(_mm256_packs_epi32(s[0], s[1]), _mm256_packs_epi32(s[2], s[3])));
}
#else
constexpr int64_t kMost = 64;
MIELINA_INLINE void most_of_rows(uint8_t* y, const uint8_t* x, const int16_t* weight, int64_t width, int shift,
                                 int64_t B) {
  int32_t s[kMost] = {};  // loops without a tail are vectorised whole
  for (int64_t k = 0; k < width; k++, x += B)
    for (int64_t j = 0; j < kMost; j++) s[j] += x[j] * weight[k];
  for (int64_t j = 0; j < kMost; j++) y[j] = byte_of(s[j], shift);
}
#endif
void sum_of_rows(uint8_t* y, const uint8_t* x, const int16_t* weight, int64_t width, int shift, int64_t B) {
  for (int64_t i = 0; B >= kMost && i < B; i += kMost) {
    i = min64(i, B - kMost);  // the last block overlaps the one before
    most_of_rows(y + i, x + i, weight, width, shift, B);
  }
  for (int64_t j = 0; B < kMost && j < B; j++) {
    int32_t sum = 0;
    for (int64_t k = 0; k < width; k++) sum += x[k * B + j] * weight[k];
    y[j] = byte_of(sum, shift);
  }
}

void resize_bytes(const Ctx& ctx, const View& y, const View& x, const AxisMap& map) noexcept {
  int64_t A = x.shape[0], B = x.shape[2];
  // Three pixels more than a window: at the end of a row the four bytes before it are read, and must be the row's.
  bool narrow = (B == 1 || (kPixels && (B == 3 || B == 4))) && map.in >= most_width(map) + 3;
  Windows w = make_windows(map, !narrow ? 1 : B == 1 ? kEight : 4, ctx.workspace);
  int64_t rows = narrow ? 1 : map.out, length = map.out * B / rows;
  parallel_ranges(ctx, A * rows, max64(1, kTask / length), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      int64_t a = r / rows, o = r % rows;
      const uint8_t* from = (const uint8_t*)x.data + a * map.in * B;
      uint8_t* to = (uint8_t*)y.data + r * length;
      if (!narrow) sum_of_rows(to, from + w.first[o] * B, w.weight + o * w.width, w.width, w.shift, B);
      else if (B == 1) row_of_bytes(to, from, w, map.out);
      else row_of_pixels(to, from, B, w, map.in, map.out);
    }
  });
}

}  // namespace

}  // namespace MIELINA_ISA
}  // namespace mielina
