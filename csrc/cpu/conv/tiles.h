// What Winograd's F(m x m, r x r) are made of, m + r = 7: their transforms, and an image as tiles.
//
// All have the same six points, 0, +-3/4, +-3/2 and infinity, whose powers are exact, and so the same transform of the
// image. With the usual 0, +-1, +-2 the largest error is 3 to 5 times as large (simulated in NumPy on 256 channels, of
// the largest output: F(2x2, 5x5) 6.9e-6 and 2.2e-6, F(3x3, 4x4) 9.1e-6 and 2.0e-6, F(4x4, 3x3) 18e-6 and 2.6e-6).
//
// A window of stride 2 is one of stride 1 over four images, one for each remainder of row and column, with half as
// many taps. These are gathered from the image as further channels: number (phase, channel). So are the quarters of a
// window of six taps or more, each the window of an image that begins where the last one ends.
//
// A transposed window of stride 2 has four such images as its output. All see the same 6 x 6 pixels of the input,
// turned once, and where a tile's 2m x 2m outputs begin, each takes as many taps back from there.
#pragma once
#include "cpu/conv/direct.h"
#include "cpu/transpose.h"

namespace mielina {
namespace MIELINA_ISA {

// Outputs of a tile along an axis.
template <int m>
struct Size {};

// The tiles of m x m outputs, row by row and image by image, and what they are turned into at 6 x 6 places.
struct Tiles {
  static constexpr int L = lanes<float>;
  // Channels into and out of the tiles, and outputs, from which on they pay.
  static constexpr int64_t kPlaces = 36, kChannels = 12, kFilters = 16, kPixels = 384;
  static constexpr float a = 0.75f, b = 1.5f, a2 = a * a, b2 = b * b;
  static constexpr float na = 1 / (2 * a2 * (a2 - b2)), nb = 1 / (2 * b2 * (b2 - a2)), n0 = 1 / (a2 * b2);

  int64_t step, zoom;   // the window's stride in the image; in the output
  int64_t size;         // the window's taps along an axis
  int64_t side, apart;  // phases along an axis; pixels from one's begin to the next one's
  int64_t taps, m;      // of a phase, and outputs of a tile, along an axis
  bool flipped;         // the window runs backwards
  int64_t skip[2];      // rows and columns of the first tiles before the output's, in a transposed window
  int64_t lead;         // a zero before each row of taps, so that phases begin at an even pixel
  int64_t top, left;    // input coordinates of output (0, 0)'s first tap
  int64_t height, width, rows, columns, count;

  Tiles(const View& y, const Window& v, int64_t out = 1) {
    step = v.stride[1];
    zoom = out;
    size = v.taps[1];
    flipped = v.dilation[1] < 0;
    side = step * zoom == 1 && size > 5 ? 2 : step;
    taps = ceil_div(size, side * zoom);
    apart = step == 2 ? 1 : taps;
    m = 7 - taps;
    lead = step == 2 && size % 2 == 1 ? v.padding[2] % 2 : 0;
    const int64_t back = flipped ? size - 1 : 0;
    top = -v.padding[1] - back;
    left = -v.padding[2] - back - lead;
    for (int d = 0; d < 2; d++) skip[d] = zoom == 2 ? v.padding[1 + d] % 2 : 0;
    if (zoom == 2) {
      top = v.padding[1] / 2 - (taps - 1);
      left = v.padding[2] / 2 - (taps - 1);
    }
    height = y.shape[kH];
    width = y.shape[kW];
    rows = ceil_div(height + skip[0], max64(1, m * zoom));
    columns = ceil_div(width + skip[1], max64(1, m * zoom));
    count = y.shape[kN] * rows * columns;
  }
  int64_t phases() const { return side * side; }
  // Which of the window's taps along an axis is number r of a phase, if there is one.
  int64_t tap(int64_t r, int64_t phase) const {
    if (zoom == 2) return 2 * (taps - 1 - r) + phase;
    const int64_t i = step == 2 ? 2 * r + phase : phase * taps + r;
    return flipped ? size - 1 - i : i;
  }
  bool has(int64_t tap) const { return tap >= 0 && tap < size; }

  static bool planar(const View& v) { return v.stride[kW] == 1 || v.shape[kW] == 1; }

  struct Limits {
    int64_t together, pixels = kPixels, least = 2, most = 4, zoom = 1;  // tiles at once; least pixels; m's bounds
  };
  // A square window on float32 images of two dimensions. Pixels enough to pay for the 36 numbers that a filter's taps
  // become; tiles that reach over an image's edge, or are missing in the last `together`, waste less than half or so.
  __attribute__((noinline)) static bool pays(const View& y, const View& x, const Window& v, Limits limits) {
    const bool plane = y.shape[kD] == 1 && x.shape[kD] == 1 && v.taps[0] == 1 && v.padding[0] == 0;
    const bool window = v.taps[1] == v.taps[2] && v.stride[1] == v.stride[2] && v.dilation[1] == v.dilation[2] &&
                        v.stride[1] <= 2 && (v.dilation[1] == 1 || (v.dilation[1] == -1 && v.stride[1] == 1));
    if (!plane || !window || x.dtype != DType::f32 || y.dtype != DType::f32) return false;
    const Tiles t(y, v, limits.zoom);
    const int64_t pixels = y.shape[kN] * y.shape[kH] * y.shape[kW], side = t.m * t.zoom;
    // Each way has its own gain, and loses it to outputs that are not wanted and to the filters' turning.
    const bool two = t.zoom == 2, five = !two && t.m == 5, quarters = t.step * t.zoom < t.side;
    if (two && (t.size < 4 || t.count < 64)) return false;
    if (five && (t.size != 2 * t.step || t.count < 128)) return false;
    if (quarters && x.shape[kC] < 16) return false;
    const int64_t fifths = two ? 11 : five ? 8 : quarters ? 7 : 10;
    return t.m >= limits.least && t.m <= limits.most && x.shape[kC] * t.phases() >= kChannels &&
           y.shape[kC] >= kFilters && pixels >= limits.pixels &&
           5 * side * side * round_up(t.count, limits.together) <= fifths * pixels;
  }

  // f for tiles of this size; of five outputs in channels-last images alone, where nothing is shuffled.
  template <int most = 4, class F>
  void sized(F f) const {
    if constexpr (most == 5)
      if (m == 5) return f(Size<5>{});
    if (m == 4) f(Size<4>{});
    else if (m == 3) f(Size<3>{});
    else f(Size<2>{});
  }

  MIELINA_INLINE vf32 fma(float w, vf32 x, vf32 y) { return MIELINA_ISA::fma(splat<vf32>(w), x, y); }
  // Values at 0, +-a, +-b and infinity, from the even parts at a and b, and the odd ones divided by them.
  MIELINA_INLINE void six(vf32 zero, vf32 ea, vf32 oa, vf32 eb, vf32 ob, vf32 infinity, vf32 (&v)[6]) {
    v[0] = zero;
    v[1] = fma(a, oa, ea);
    v[2] = fma(-a, oa, ea);
    v[3] = fma(b, ob, eb);
    v[4] = fma(-b, ob, eb);
    v[5] = infinity;
  }
  // Every second of the N coefficients from x[i] on, at a point's square.
  template <int N>
  MIELINA_INLINE vf32 every_second(const vf32* x, int i, float square) {
    int k = i + (N - 1 - i) / 2 * 2;
    vf32 v = x[k];
#pragma GCC unroll 2
    for (k -= 2; k >= 0; k -= 2) v = fma(square, v, x[k]);
    return v;
  }
  // B' of six pixels; or A of fewer gradients: a polynomial's values.
  template <int N>
  MIELINA_INLINE void into(const vf32* x, vf32 (&v)[6]) {
    if constexpr (N == 6)
      six(fma(a2 * b2, x[0], fma(-(a2 + b2), x[2], x[4])), fma(-b2, x[2], x[4]), fma(-b2, x[1], x[3]),
          fma(-a2, x[2], x[4]), fma(-a2, x[1], x[3]), fma(a2 * b2, x[1], fma(-(a2 + b2), x[3], x[5])), v);
    else
      six(x[0], every_second<N>(x, 0, a2), every_second<N>(x, 1, a2), every_second<N>(x, 0, b2),
          every_second<N>(x, 1, b2), x[N - 1], v);
  }
  // A' of six sums; or G' of them once they have its factors.
  template <int N>
  MIELINA_INLINE void back(const vf32 (&v)[6], vf32* y) {
    const vf32 even[2] = {v[1] + v[2], v[3] + v[4]}, odd[2] = {v[1] - v[2], v[3] - v[4]};
    y[0] = v[0] + even[0] + even[1];
    float pa = a, pb = b;
#pragma GCC unroll 5
    for (int i = 1; i < N; i++, pa *= a, pb *= b) {
      const vf32(&part)[2] = i % 2 ? odd : even;
      y[i] = fma(pb, part[1], i == N - 1 ? fma(pa, part[0], v[5]) : pa * part[0]);
    }
  }
  // G's factors.
  MIELINA_INLINE void scale(vf32 (&v)[6]) {
    v[0] = n0 * v[0];
    v[1] = na * v[1];
    v[2] = na * v[2];
    v[3] = nb * v[3];
    v[4] = nb * v[4];
  }
  // G of R taps: their polynomial's values times these factors, which the even parts take before they are used twice.
  template <int R>
  MIELINA_INLINE void taps_into(const vf32* x, vf32 (&v)[6]) {
    const vf32 ea = na * every_second<R>(x, 0, a2), eb = nb * every_second<R>(x, 0, b2);
    const vf32 oa = every_second<R>(x, 1, a2), ob = every_second<R>(x, 1, b2);
    v[0] = n0 * x[0];
    v[1] = fma(na * a, oa, ea);
    v[2] = fma(-na * a, oa, ea);
    v[3] = fma(nb * b, ob, eb);
    v[4] = fma(-nb * b, ob, eb);
    v[5] = x[R - 1];
  }
  // 36 sums, `pitch` apart, to y, the M columns of outputs.
  template <int M>
  MIELINA_INLINE void back(const float* sums, int64_t pitch, vf32 (&y)[M][M]) {
    vf32 half[M][6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
      vf32 v[6], z[M];
#pragma GCC unroll 6
      for (int j = 0; j < 6; j++) v[j] = load(sums + (6 * i + j) * pitch);
      back<M>(v, z);
#pragma GCC unroll 5
      for (int s = 0; s < M; s++) half[s][i] = z[s];
    }
#pragma GCC unroll 5
    for (int s = 0; s < M; s++) back<M>(half[s], y[s]);
  }
  // N x N numbers of a tile, `row` by row, to the 36 places, `pitch` apart.
  template <int N, class F>
  MIELINA_INLINE void spread(F row, float* to, int64_t pitch) {
    vf32 half[6][N];
#pragma GCC unroll 6
    for (int r = 0; r < N; r++) {
      vf32 x[8], y[6];
      row(r, x);
      into<N>(x, y);
#pragma GCC unroll 6
      for (int j = 0; j < 6; j++) half[j][r] = y[j];
    }
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
      vf32 y[6];
      into<N>(half[j], y);
#pragma GCC unroll 6
      for (int i = 0; i < 6; i++) store(to + (6 * i + j) * pitch, y[i]);
    }
  }

  // Tiles of one row of one image: `n` of them from `column` on, the first being number `at` after `first`.
  struct Run {
    int64_t image, row, column, at, n;
  };
  template <class F>
  __attribute__((always_inline)) void runs(int64_t first, int64_t last, F f) const {
    for (int64_t t = first; t < last;) {
      const int64_t line = t / columns, column = t % columns, n = min64(columns - column, last - t);
      f(Run{line / rows, line % rows, column, t - first, n});
      t += n;
    }
  }

  static int64_t round_up(int64_t n, int64_t step) { return ceil_div(n, step) * step; }

  // Pixels of `wide` tiles' rows: `parts` times m pixels of each tile, so that vectors can be deinterleaved where they
  // lie. A vector more, for the last store of a run.
  int64_t parts(bool image) const { return image ? ceil_div(6, m) : 1; }
  int64_t line(int64_t wide) const { return m * wide + L; }
  static constexpr int64_t lines(int64_t wide) { return 6 * 2 * (4 * wide + L); }  // the most for any m

  // The 6 x 6 pixels of tiles [first, last) in one channel of one phase of the image, or the m x m of its output's
  // gradient. Copied first: a vector loaded from pixels just stored by halves waits for them to reach the cache.
  void gather(bool image, const View& x, int64_t channel, int64_t first, int64_t last, int64_t wide, float* to) const {
    const int64_t size = m, high = image ? 6 : m, many = parts(image), hop = image ? step : 1, more = hop - 1;
    const int64_t phase = channel / x.shape[kC], c = channel - phase * x.shape[kC];
    const int64_t down = image ? top + phase / side * apart : 0, right = image ? left + phase % side * apart : 0;
    const int64_t H = x.shape[kH], W = x.shape[kW], sn = x.stride[kN], sc = x.stride[kC], sh = x.stride[kH];
    const int64_t pitch = line(wide);
    const float* planes = (const float*)x.data + c * sc;
    runs(first, last, [&](const Run& run) __attribute__((always_inline)) {
      const int64_t top_row = run.row * size * hop + down;
      // Rows [above, below) lie in the image. Asked for each row, and each for its columns, with what stands in memory
      // for want of registers, a training step of ResNet-20 spent 17 % of its time here.
      const int64_t above = min64(high, max64(0, (more - top_row) >> more));
      const int64_t below = max64(above, min64(high, (H - top_row + more) >> more));
      for (int64_t part = 0; part < many; part++)
        for (int64_t i = 0; i < size * run.n; i += L) {
          const int64_t w = ((run.column + part) * size + i) * hop + right;  // more >> more: hop / 2
          const int64_t lo = min64(L, max64(0, (more - w) >> more)), hi = max64(lo, min64(L, (W - w + more) >> more));
          const float* from = planes + run.image * sn + (top_row + above * hop) * sh + w;
          if (part == 0)  // the next channel's pixels are another page
            for (int64_t r = above; r < below; r++) __builtin_prefetch(from + (r - above) * hop * sh + sc);
          float* at = to + part * pitch + size * run.at + i;
          auto rows = [&](int64_t n, auto pixels) __attribute__((always_inline)) {
            for (float* end = at + n * many * pitch; at < end; at += many * pitch, from += hop * sh)
              store(at, pixels(from));
          };
          const int64_t none = lo < hi ? above : high;  // rows of zeros above the others
          for (int64_t r = 0; r < none; r++, at += many * pitch) store(at, vf32{});
          if (lo == hi) continue;
          if (hop == 2) rows(below - above, [&](const float* p) { return load_even<float>(p, lo, hi); });
          else if (lo == 0 && hi == L) rows(below - above, [](const float* p) { return load(p); });
          else rows(below - above, [&](const float* p) { return load_between<float>(p, lo, hi); });
          for (int64_t r = below; r < high; r++, at += many * pitch) store(at, vf32{});
        }
    });
  }

  // A vector of tiles from its pixels, `line` floats a part, to its 36 places, `pitch` apart.
  template <int M, int N>
  __attribute__((noinline)) static void turn(const float* pixels, int64_t line, float* to, int64_t pitch) {
    constexpr int parts = (N + M - 1) / M;
    spread<N>(
        [&](int r, vf32* x) __attribute__((always_inline)) {
#pragma GCC unroll 3
          for (int part = 0; part < parts; part++) deinterleave<M>(pixels + (r * parts + part) * line, x + part * M);
        },
        to, pitch);
  }
  void turn(bool image, const float* pixels, int64_t line, float* to, int64_t pitch) const {
    sized([&]<int M>(Size<M>) {
      if (image) turn<M, 6>(pixels, line, to, pitch);
      else turn<M, M>(pixels, line, to, pitch);
    });
  }

  // ---- groups of M pixels and vectors of each group's first, second, ... one
  template <int j, int... i>
  MIELINA_INLINE vf32 third(vf32 p, vf32 q, vf32 r, Indices<i...>) {  // number 3 i + j of p, q, r
    const vf32 pq = __builtin_shufflevector(p, q, (3 * i + j < 2 * L ? 3 * i + j : 0)...);
    return __builtin_shufflevector(pq, r, (3 * i + j < 2 * L ? i : 3 * i + j - L)...);
  }
  template <int j, int... i>
  MIELINA_INLINE vf32 in_turn(vf32 p, vf32 q, vf32 r, Indices<i...>) {  // vector j of p0 q0 r0 p1 ...
    const vf32 pq = __builtin_shufflevector(p, q, ((j * L + i) / 3 + (j * L + i) % 3 % 2 * L)...);
    return __builtin_shufflevector(pq, r, ((j * L + i) % 3 == 2 ? L + (j * L + i) / 3 : i)...);
  }
  template <int M>
  MIELINA_INLINE void deinterleave(const float* p, vf32* x) {
    const vf32 v0 = load(p), v1 = load(p + L), v2 = load(p + (M > 2 ? 2 * L : 0)), v3 = load(p + (M > 3 ? 3 * L : 0));
    const typename IndicesTo<L>::type all;
    if constexpr (M == 3) {
      x[0] = third<0>(v0, v1, v2, all);
      x[1] = third<1>(v0, v1, v2, all);
      x[2] = third<2>(v0, v1, v2, all);
      return;
    }
    const vf32 e0 = half_of<false>(v0, v1), o0 = half_of<true>(v0, v1);
    if constexpr (M == 2) {
      x[0] = e0;
      x[1] = o0;
    } else if constexpr (M == 4) {
      const vf32 e1 = half_of<false>(v2, v3), o1 = half_of<true>(v2, v3);
      x[0] = half_of<false>(e0, e1);
      x[1] = half_of<false>(o0, o1);
      x[2] = half_of<true>(e0, e1);
      x[3] = half_of<true>(o0, o1);
    }
  }
  template <int M>
  MIELINA_INLINE void interleave_to(float* p, const vf32 (&x)[M]) {
    const typename IndicesTo<L>::type all;
    vf32 v[M];
    if constexpr (M == 2) interleave(x[0], x[1], v[0], v[1]);
    else if constexpr (M == 3) {
      v[0] = in_turn<0>(x[0], x[1], x[2], all);
      v[1] = in_turn<1>(x[0], x[1], x[2], all);
      v[2] = in_turn<2>(x[0], x[1], x[2], all);
    } else {
      vf32 even[2], odd[2];
      interleave(x[0], x[2], even[0], even[1]);
      interleave(x[1], x[3], odd[0], odd[1]);
      interleave(even[0], odd[0], v[0], v[1]);
      interleave(even[1], odd[1], v[2], v[3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < M; i++) store(p + i * L, v[i]);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
