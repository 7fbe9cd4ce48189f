// warp: see table/image.h.
//
// A block of a row's pixels finds its taps and their weights once, for all channels, in vectors; then each channel's
// taps are read one by one into a buffer, and weighed in vectors. The gather instructions were slower: 64 images of
// 224 x 224 x 3 took 25 ms with them on two Zen 4 cores. Where a row lies together, one load reads two neighbours;
// where three or four channels do, one vector is a pixel.
#include "cpu/image/rows.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t N = lanes<float>;
constexpr int64_t kPixels = 128;  // a block: its taps and weights fill 4 KB

// Two neighbours as they lie in memory.
template <class T>
struct Twins {
  T left, right;
};
// What a block holds of one tap: bytes become words as they are read, which are loaded as vectors later.
template <class T>
struct HeldOf {
  using type = float;
};
template <>
struct HeldOf<uint8_t> {
  using type = int32_t;
};
template <class T>
using Held = typename HeldOf<T>::type;
MIELINA_INLINE vf32 as_float(const float* p) { return load(p); }
MIELINA_INLINE vf32 as_float(const int32_t* p) { return to_float(load(p)); }
MIELINA_INLINE void split(const Twins<float>* p, vf32& a, vf32& b) {
  a = load_evens(&p->left);
  b = load_evens(&p->right);
}
MIELINA_INLINE void split(const Twins<uint8_t>* p, vf32& a, vf32& b) {
  const vi32 both = (vi32)widen(load_half(p));
  a = to_float(both & (vi32{} + 255));
  b = to_float(both >> 8);
}

// A pixel of three or four channels that are neighbours, and what is beside it.
typedef float Quad __attribute__((vector_size(16)));
MIELINA_INLINE Quad add_product(float w, Quad x, Quad sum) {
#if defined(__FMA__)
  return (Quad)_mm_fmadd_ps(_mm_set1_ps(w), (__m128)x, (__m128)sum);
#else  // the levels without are those of 16 bytes a vector
  return fma(splat<vf32>(w), x, sum);
#endif
}
MIELINA_INLINE Quad quad(const float* p) {
  Quad v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
MIELINA_INLINE Quad quad(const uint8_t* p) {
#if defined(__x86_64__)
  int32_t bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  return (Quad)_mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
#else
  return Quad{float(p[0]), float(p[1]), float(p[2]), float(p[3])};
#endif
}
// The first n of four numbers.
MIELINA_INLINE void put_quad(float* p, Quad v, int64_t n) {
  if (n == 4) __builtin_memcpy(p, &v, sizeof v);
  else __builtin_memcpy(p, &v, 3 * sizeof(float));
}
MIELINA_INLINE void put_quad(uint8_t* p, Quad v, int64_t n) {
  const Quad low{}, high = low + 255.0f;
  v = v >= low ? v : low;
  v = v <= high ? v : high;
#if defined(__x86_64__)
  const __m128i i = _mm_cvtps_epi32((__m128)v), words = _mm_packus_epi32(i, i);
  const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
#else
  uint8_t b[4];
  for (int k = 0; k < 4; k++) b[k] = uint8_t(__builtin_roundevenf(v[k]));
  int32_t bytes;
  __builtin_memcpy(&bytes, b, sizeof bytes);
#endif
  if (n == 4) __builtin_memcpy(p, &bytes, 4);
  else __builtin_memcpy(p, &bytes, 3);
}

// u clipped to [low, high]; NaN gives low.
MIELINA_INLINE vf32 clip(vf32 u, float low, float high) {
  u = select<vf32>(u >= splat<vf32>(low), u, splat<vf32>(low));
  return select<vf32>(u <= splat<vf32>(high), u, splat<vf32>(high));
}

// The nearest whole number. A place half way between two pixels, or a rounding error before it, goes to the upper one:
// masks do not depend on the last bit of a sine.
MIELINA_INLINE vf32 nearest(vf32 u) { return floor(u + splat<vf32>(0.5f + 0x1p-12f)); }

// One coordinate of N pixels: the two neighbours' indices, and their weights (0 outside).
struct Pair {
  vi32 index[2];
  vf32 weight[2];
};
MIELINA_INLINE Pair neighbours(vf32 u, int64_t size, const SampleArgs& a) {
  const float n = float(size), top = n - 1;
  if (a.border == Border::reflection) {  // at the outer edges of the border pixels
    const vf32 span = splat<vf32>(n);
    vf32 x = abs(u + splat<vf32>(0.5f)), turns = floor(x / span), rest = x - turns * span;
    const Mask<vf32> odd = turns - floor(turns * splat<vf32>(0.5f)) * splat<vf32>(2) != vf32{};
    u = select<vf32>(odd, span - rest, rest) - splat<vf32>(0.5f);
  }
  if (a.border != Border::zeros) u = clip(u, 0, top);
  u = clip(u, -2, n + 1);  // integers from here on
  vf32 low = a.mode == Sample::nearest ? nearest(u) : floor(u), part = u - low, high = low + splat<vf32>(1);
  if (a.mode == Sample::nearest) part = vf32{};
  Pair p;
  const vf32 zero{};
  p.weight[0] = select<vf32>((low >= zero) & (low <= splat<vf32>(top)), splat<vf32>(1) - part, zero);
  p.weight[1] = select<vf32>((high >= zero) & (high <= splat<vf32>(top)), part, zero);
  p.index[0] = to_int(clip(low, 0, top));
  p.index[1] = to_int(clip(high, 0, top));
  return p;
}
// The same where both lie in the image.
MIELINA_INLINE Pair inner(vf32 u, bool whole) {
  const vf32 low = whole ? nearest(u) : floor(u), part = whole ? vf32{} : u - low;
  const vi32 index = to_int(low);
  return {{index, index + 1}, {splat<vf32>(1) - part, part}};
}
// The same as two neighbours that both lie in the image (of two pixels at least): index[0] and the next.
MIELINA_INLINE Pair side_by_side(Pair p, int64_t size) {
  const vi32 last = vi32{} + int32_t(size - 2);
  const vi32 left = select<vi32>(p.index[0] > last, last, p.index[0]);
  const vf32 zero{}, w0 = p.weight[0], w1 = p.weight[1];
  const vf32 a = select<vf32>(p.index[0] == left, w0, zero) + select<vf32>(p.index[1] == left, w1, zero);
  const vf32 b = select<vf32>(p.index[0] != left, w0, zero) + select<vf32>(p.index[1] != left, w1, zero);
  return {{left, left + 1}, {a, b}};
}

MIELINA_INLINE void put(float* p, int64_t stride, vf32 v, int64_t n) {
  if (stride == 1) return store_part(p, v, n);
  float from[N];
  store(from, v);
  for (int64_t i = 0; i < min64(n, N); i++) p[i * stride] = from[i];
}
MIELINA_INLINE void put(uint8_t* p, int64_t stride, vf32 v, int64_t n) {
  int32_t from[N];
  store(from, to_int(round_even(clip(v, 0, 255))));
  if (stride == 1 && n >= N)
    for (int64_t i = 0; i < N; i++) p[i] = uint8_t(from[i]);  // a loop without a tail is vectorised
  else
    for (int64_t i = 0; i < min64(n, N); i++) p[i * stride] = uint8_t(from[i]);
}

enum class Read { nearest, apart, paired };

// Pixels of three or four neighbours are read as one vector each.
bool in_quads(const View& v) {
  return v.stride[1] == 1 && (v.shape[1] == 3 || v.shape[1] == 4) && v.stride[2] >= 0 && v.stride[3] >= v.shape[1];
}

struct Block {
  int64_t n;
  alignas(64) int32_t at[4][kPixels];
  alignas(64) float weight[4][kPixels];
};

// u of every pixel of a block is farther than rounding from the image's edge: u is linear, so its ends decide.
MIELINA_INLINE bool within(double u0, double step, int64_t n, int64_t size) {
  const double u1 = u0 + step * double(n - 1), low = 0.51, high = double(size) - 1.51;
  return u0 > low && u1 > low && u0 < high && u1 < high;
}

// The taps of pixels [q, q + b.n) of a row.
template <Read read>
void find(Block& b, const View& x, const double* m, const SampleArgs& args, int64_t q, int64_t row) {
  constexpr int taps = read == Read::nearest ? 1 : 4;
  const int32_t dy = int32_t(x.stride[2]), dx = int32_t(x.stride[3]);
  const double u0 = m[0] * double(q) + m[1] * double(row) + m[2], v0 = m[3] * double(q) + m[4] * double(row) + m[5];
  const bool inside = within(u0, m[0], b.n, x.shape[3]) && within(v0, m[3], b.n, x.shape[2]);
  vf32 lane;
  for (int i = 0; i < N; i++) lane[i] = float(i);
  for (int64_t i = 0; i < b.n; i += N, lane += splat<vf32>(float(N))) {
    const vf32 at_u = fma(lane, splat<vf32>(float(m[0])), splat<vf32>(float(u0))),
               at_v = fma(lane, splat<vf32>(float(m[3])), splat<vf32>(float(v0)));
    Pair u, v;
    if (inside && i + N <= b.n) {  // nothing to clip
      u = inner(at_u, read == Read::nearest);
      v = inner(at_v, read == Read::nearest);
    } else {
      u = neighbours(at_u, x.shape[3], args);
      v = neighbours(at_v, x.shape[2], args);
      if constexpr (read == Read::paired) u = side_by_side(u, x.shape[3]);
    }
    for (int k = 0; k < taps; k++) {
      if (read != Read::paired || k % 2 == 0) store(b.at[k] + i, v.index[k >> 1] * dy + u.index[k & 1] * dx);
      store(b.weight[k] + i, v.weight[k >> 1] * u.weight[k & 1]);
    }
  }
}

template <class T>
MIELINA_INLINE void fetch(const T* plane, const Block& b, int64_t ahead) {
  for (int64_t i = 0; i < b.n; i += 4) __builtin_prefetch(plane + b.at[0][i] + ahead);
}

// The largest offset of a block's taps, where steps of pixels and rows are positive.
template <Read read>
int64_t farthest(const Block& b) {
  const int32_t* at = b.at[read == Read::nearest ? 0 : 3];
  int32_t most = 0;
  for (int64_t i = 0; i < b.n; i++) most = at[i] > most ? at[i] : most;
  return most;
}

// Each pixel but the block's last writes a fourth number, over which the next one writes.
template <class T, Read read>
void warp_pixels(T* to, int64_t step, int64_t channels, const T* from, const Block& b) {
  constexpr int taps = read == Read::nearest ? 1 : 4;
  for (int64_t i = 0; i < b.n; i++, to += step) {
    Quad sum{};
#pragma GCC unroll 4
    for (int k = 0; k < taps; k++) sum = add_product(b.weight[k][i], quad(from + b.at[k][i]), sum);
    put_quad(to, sum, i + 1 < b.n && step <= 4 ? 4 : channels);
  }
}

template <class T, Read read>
void warp_row(const View& y, const View& x, const double* m, const SampleArgs& args, int64_t n, int64_t row) {
  constexpr int taps = read == Read::nearest ? 1 : read == Read::apart ? 4 : 2;
  const T* from = (const T*)x.data + n * x.stride[0];
  T* to = (T*)y.data + n * y.stride[0] + row * y.stride[2];
  // The source of eight rows further down: rows are crossed at an angle, which no prefetcher of the machine follows.
  // Not for maps that leave the image with them, or hold no numbers.
  const double down = 8 * m[4], right = 8 * m[1];
  const bool near = __builtin_fabs(down) < double(x.shape[2]) && __builtin_fabs(right) < double(x.shape[3]);
  const int64_t ahead = near ? int64_t(down) * x.stride[2] + int64_t(right) * x.stride[3] : 0;
  const bool quads = in_quads(x) && in_quads(y);
  int64_t beyond = 1 + (x.shape[0] - 1 - n) * x.stride[0];  // the image's numbers, and those of the images after it
  for (int d = 1; d < 4; d++) beyond += (x.shape[d] - 1) * x.stride[d];
  Block b;
  alignas(64) Twins<T> twins[taps][kPixels];
  alignas(64) Held<T> tap[taps][kPixels];
  for (int64_t q = 0; q < y.shape[3]; q += kPixels) {
    b.n = min64(kPixels, y.shape[3] - q);
    find<read>(b, x, m, args, q, row);
    if constexpr (read != Read::paired)
      if (quads && farthest<read>(b) + 4 <= beyond) {
        fetch(from, b, ahead);
        warp_pixels<T, read>(to + q * y.stride[3], y.stride[3], x.shape[1], from, b);
        continue;
      }
    for (int64_t c = 0; c < x.shape[1]; c++) {
      const T* plane = from + c * x.stride[1];
      if (c == 0 || x.stride[3] == 1) fetch(plane, b, ahead);
      for (int k = 0; k < taps; k++)
        for (int64_t i = 0; i < b.n; i++) {
          if constexpr (read == Read::paired)
            __builtin_memcpy(&twins[k][i], plane + b.at[2 * k][i], sizeof twins[k][i]);
          else tap[k][i] = plane[b.at[k][i]];
        }
      T* out = to + c * y.stride[1] + q * y.stride[3];
      for (int64_t i = 0; i < b.n; i += N) {
        vf32 sum{};
        for (int k = 0; k < taps; k++) {
          if constexpr (read == Read::paired) {
            vf32 left, right;
            split(&twins[k][i], left, right);
            sum = fma(load(b.weight[2 * k] + i), left, sum);
            sum = fma(load(b.weight[2 * k + 1] + i), right, sum);
          } else {
            sum = fma(load(b.weight[k] + i), as_float(tap[k] + i), sum);
          }
        }
        put(out + i * y.stride[3], y.stride[3], sum, b.n - i);
      }
    }
  }
}

template <class T>
void warp_as(const Ctx& ctx, const View& y, const View& x, const View& matrices, const SampleArgs& args) {
  const int64_t P = y.shape[2], cost = max64(1, y.shape[3] * y.shape[1]);
  const auto f = args.mode == Sample::nearest         ? warp_row<T, Read::nearest>
                 : x.stride[3] == 1 && x.shape[3] > 1 ? warp_row<T, Read::paired>
                                                      : warp_row<T, Read::apart>;
  parallel_ranges(ctx, y.shape[0] * P, max64(1, 16384 / cost), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const int64_t n = r / P;
      double m[6];
      for (int i = 0; i < 6; i++)
        m[i] = ((const double*)
                    matrices.data)[n * matrices.stride[0] + i / 3 * matrices.stride[1] + i % 3 * matrices.stride[2]];
      f(y, x, m, args, n, r % P);
    }
  });
}

void warp(const Ctx& ctx, const View& y, const View& x, const View& matrices, const SampleArgs& args) noexcept {
  if (x.dtype == DType::u8) warp_as<uint8_t>(ctx, y, x, matrices, args);
  else warp_as<float>(ctx, y, x, matrices, args);
}

}  // namespace

void fill_image_warp(Kernels&);
void fill_image_warp(Kernels& k) { k.warp = warp; }

}  // namespace MIELINA_ISA
}  // namespace mielina
