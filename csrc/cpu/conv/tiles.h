// What Winograd's F(4x4, 3x3) is made of: its transforms, and an image as tiles.
//
// The points are 0, +-3/4, +-3/2 and infinity, all of whose powers are exact. With the usual 0, +-1, +-2 the largest
// error is 3 times as large (simulated in NumPy on 512 channels: 1.7e-5 of the largest output, and 5.4e-6).
#pragma once
#include "cpu/conv/direct.h"
#include "cpu/transpose.h"

namespace mielina {
namespace MIELINA_ISA {

// The tiles of 4 x 4 outputs, row by row and image by image, and what they are turned into at 6 x 6 places.
struct Tiles {
  static constexpr int L = lanes<float>;
  static constexpr int64_t kPlaces = 36, kLeast = 16, kPixels = 384;  // channels on either side; outputs
  static constexpr float a = 0.75f, b = 1.5f, a2 = a * a, b2 = b * b;
  static constexpr float na = 1 / (2 * a2 * (a2 - b2)), nb = 1 / (2 * b2 * (b2 - a2)), n0 = 1 / (a2 * b2);

  int64_t height, width, rows, columns, count;

  explicit Tiles(const View& y) {
    height = y.shape[kH];
    width = y.shape[kW];
    rows = ceil_div(height, 4);
    columns = ceil_div(width, 4);
    count = y.shape[kN] * rows * columns;
  }

  static bool planar(const View& v) { return v.stride[kW] == 1 || v.shape[kW] == 1; }

  // A 3 x 3 window of stride 1 on float32 images of two dimensions. Pixels enough to pay for the 36 numbers that
  // nine filter taps become; tiles that reach over an image's edge, or are missing in the last `together`, waste less
  // than half.
  static bool pays(const View& y, const View& x, const Window& v, int64_t together) {
    const bool plane = y.shape[kD] == 1 && x.shape[kD] == 1 && v.taps[0] == 1 && v.padding[0] == 0;
    const bool window = v.taps[1] == 3 && v.taps[2] == 3 && v.stride[1] == 1 && v.stride[2] == 1 &&
                        v.dilation[1] == v.dilation[2] && (v.dilation[1] == 1 || v.dilation[1] == -1);
    const int64_t pixels = y.shape[kN] * y.shape[kH] * y.shape[kW];
    return plane && window && x.dtype == DType::f32 && y.dtype == DType::f32 && x.shape[kC] >= kLeast &&
           y.shape[kC] >= kLeast && pixels >= kPixels && 16 * round_up(Tiles(y).count, together) <= 2 * pixels;
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
  // B' of six pixels; A of four, for their gradients.
  MIELINA_INLINE void into(const vf32 (&x)[6], vf32 (&v)[6]) {
    six(fma(a2 * b2, x[0], fma(-(a2 + b2), x[2], x[4])), fma(-b2, x[2], x[4]), fma(-b2, x[1], x[3]),
        fma(-a2, x[2], x[4]), fma(-a2, x[1], x[3]), fma(a2 * b2, x[1], fma(-(a2 + b2), x[3], x[5])), v);
  }
  MIELINA_INLINE void into(const vf32 (&y)[4], vf32 (&v)[6]) {
    six(y[0], fma(a2, y[2], y[0]), fma(a2, y[3], y[1]), fma(b2, y[2], y[0]), fma(b2, y[3], y[1]), y[3], v);
  }
  // A' of six sums.
  MIELINA_INLINE void back(const vf32 (&m)[6], vf32 (&y)[4]) {
    const vf32 s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    y[0] = m[0] + s1 + s2;
    y[1] = fma(b, d2, a * d1);
    y[2] = fma(b2, s2, a2 * s1);
    y[3] = fma(b2 * b, d2, fma(a2 * a, d1, m[5]));
  }
  // The same of 36 sums, `step` apart: the four columns of outputs, from the six rows of places.
  MIELINA_INLINE void back(const float* sums, int64_t step, vf32 (&y)[4][4]) {
    vf32 half[4][6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
      vf32 m[6], z[4];
#pragma GCC unroll 6
      for (int j = 0; j < 6; j++) m[j] = load(sums + (6 * i + j) * step);
      back(m, z);
#pragma GCC unroll 4
      for (int s = 0; s < 4; s++) half[s][i] = z[s];
    }
#pragma GCC unroll 4
    for (int s = 0; s < 4; s++) back(half[s], y[s]);
  }
  // G of three taps, and G' of six sums.
  MIELINA_INLINE void filter(const vf32 (&w)[3], vf32 (&u)[6]) {
    six(n0 * w[0], fma(na * a2, w[2], na * w[0]), na * w[1], fma(nb * b2, w[2], nb * w[0]), nb * w[1], w[2], u);
  }
  MIELINA_INLINE void collect(const vf32 (&u)[6], vf32 (&w)[3]) {
    const vf32 sa = na * (u[1] + u[2]), da = na * (u[1] - u[2]), sb = nb * (u[3] + u[4]), db = nb * (u[3] - u[4]);
    w[0] = fma(n0, u[0], sa + sb);
    w[1] = fma(b, db, a * da);
    w[2] = fma(b2, sb, fma(a2, sa, u[5]));
  }

  // Tiles of one row of one image: `n` of them from `column` on, the first being number `at` after `first`.
  struct Run {
    int64_t image, row, column, at, n;
  };
  template <class F>
  void runs(int64_t first, int64_t last, F f) const {
    for (int64_t t = first; t < last;) {
      const int64_t line = t / columns, column = t % columns, n = min64(columns - column, last - t);
      f(Run{line / rows, line % rows, column, t - first, n});
      t += n;
    }
  }

  static int64_t round_up(int64_t n, int64_t step) { return ceil_div(n, step) * step; }

  // N rows of `Wide` tiles: four pixels of each, and, of tiles of six, the four that begin four pixels further. A
  // vector more, for the last store of a run.
  template <int N, int Wide>
  using Lines = float[N][N == 6 ? 2 : 1][4 * Wide + L];

  // The N x N pixels of tiles [first, last) in channel c; a tile's first one lies at (top, left) from its outputs'
  // place. Copied first: a vector loaded from pixels just stored by halves waits for them to reach the cache.
  template <int N, int Wide>
  void gather(const View& x, int64_t c, int64_t top, int64_t left, int64_t first, int64_t last,
              Lines<N, Wide>& lines) const {
    runs(first, last, [&](const Run& run) {
      const int64_t wide = 4 * run.n, h0 = run.row * 4 + top;
      const float* plane = (const float*)x.data + run.image * x.stride[kN] + c * x.stride[kC];
      for (int part = 0; part < (N == 6 ? 2 : 1); part++) {
        const int64_t w = 4 * (run.column + part) + left;
        for (int64_t i = 0; i < wide; i += L) {
          const int64_t lo = min64(L, max64(0, -w - i)), hi = max64(lo, min64(L, x.shape[kW] - w - i));
          for (int r = 0; r < N; r++) {
            const int64_t h = h0 + r;
            const bool inside = h >= 0 && h < x.shape[kH] && lo < hi;
            const float* from = plane + h * x.stride[kH] + w + i;
            float* to = &lines[r][part][4 * run.at + i];
            if (!inside) store(to, vf32{});
            else store(to, lo == 0 && hi == L ? load(from) : load_between<float>(from, lo, hi));
          }
        }
      }
    });
  }

  // A vector of tiles from its pixels to its 36 places, `step` apart.
  template <int N, int Wide>
  __attribute__((noinline)) static void turn(const Lines<N, Wide>& lines, int64_t t, float* to, int64_t step) {
    vf32 half[6][N];
#pragma GCC unroll 6
    for (int r = 0; r < N; r++) {
      vf32 x[N], y[6];
#pragma GCC unroll 2
      for (int part = 0; part < N - 3; part += 2) {  // of every four pixels the first two, and the others
        const float* p = &lines[r][part / 2][4 * t];
        const vf32 x0 = load(p), x1 = load(p + L), x2 = load(p + 2 * L), x3 = load(p + 3 * L);
        const vf32 e0 = half_of<false>(x0, x1), e1 = half_of<false>(x2, x3), o0 = half_of<true>(x0, x1),
                   o1 = half_of<true>(x2, x3);
        x[2 * part] = half_of<false>(e0, e1);
        x[2 * part + 1] = half_of<false>(o0, o1);
        if (part == 0) {
          x[2] = half_of<true>(e0, e1);
          x[3] = half_of<true>(o0, o1);
        }
      }
      into(x, y);
#pragma GCC unroll 6
      for (int j = 0; j < 6; j++) half[j][r] = y[j];
    }
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
      vf32 y[6];
      into(half[j], y);
#pragma GCC unroll 6
      for (int i = 0; i < 6; i++) store(to + (6 * i + j) * step, y[i]);
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
