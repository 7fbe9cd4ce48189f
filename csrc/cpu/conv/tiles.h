// What Winograd's F(4x4, 3x3) is made of: its transforms, and an image as tiles.
//
// The points are 0, +-3/4, +-3/2 and infinity, all of whose powers are exact. With the usual 0, +-1, +-2 the largest
// error is 3 times as large (simulated in NumPy on 512 channels: 1.7e-5 of the largest output, and 5.4e-6).
#pragma once
#include "cpu/conv/direct.h"
#include "cpu/transpose.h"

namespace mielina {
namespace MIELINA_ISA {

// Every second element of two vectors, from the first or the second on.
template <bool odd>
MIELINA_INLINE vf32 half_of(vf32 a, vf32 b) {
  constexpr int o = odd;
#if MIELINA_V512
  return __builtin_shufflevector(a, b, o, o + 2, o + 4, o + 6, o + 8, o + 10, o + 12, o + 14, o + 16, o + 18, o + 20,
                                 o + 22, o + 24, o + 26, o + 28, o + 30);
#elif MIELINA_V256
  return __builtin_shufflevector(a, b, o, o + 2, o + 4, o + 6, o + 8, o + 10, o + 12, o + 14);
#else
  return __builtin_shufflevector(a, b, o, o + 2, o + 4, o + 6);
#endif
}
// The vector that begins one element further, its last one given.
MIELINA_INLINE vf32 next_of(vf32 a, float last) {
#if MIELINA_V512
  vf32 v = __builtin_shufflevector(a, a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0);
#elif MIELINA_V256
  vf32 v = __builtin_shufflevector(a, a, 1, 2, 3, 4, 5, 6, 7, 0);
#else
  vf32 v = __builtin_shufflevector(a, a, 1, 2, 3, 0);
#endif
  v[lanes<float> - 1] = last;
  return v;
}

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

  // A 3 x 3 window of stride 1 on planar float32 images of two dimensions. Pixels enough to pay for the 36 numbers that
  // nine filter taps become; tiles that reach over an image's edge, or are missing in the last `together`, waste less
  // than half.
  static bool fits(const View& y, const View& x, const Window& v, int64_t together) {
    const bool plane = y.shape[kD] == 1 && x.shape[kD] == 1 && v.taps[0] == 1 && v.padding[0] == 0;
    const bool window = v.taps[1] == 3 && v.taps[2] == 3 && v.stride[1] == 1 && v.stride[2] == 1 &&
                        v.dilation[1] == v.dilation[2] && (v.dilation[1] == 1 || v.dilation[1] == -1);
    const int64_t pixels = y.shape[kN] * y.shape[kH] * y.shape[kW];
    return plane && window && x.dtype == DType::f32 && y.dtype == DType::f32 &&
           (x.stride[kW] == 1 || x.shape[kW] == 1) && (y.stride[kW] == 1 || y.shape[kW] == 1) &&
           x.shape[kC] >= kLeast && y.shape[kC] >= kLeast && pixels >= kPixels &&
           16 * round_up(Tiles(y).count, together) <= 2 * pixels;
  }

  // Values at 0, +-a, +-b and infinity, from the even and odd parts at a and b.
  MIELINA_INLINE void six(vf32 zero, vf32 ea, vf32 oa, vf32 eb, vf32 ob, vf32 infinity, vf32 (&v)[6]) {
    v[0] = zero;
    v[1] = ea + oa;
    v[2] = ea - oa;
    v[3] = eb + ob;
    v[4] = eb - ob;
    v[5] = infinity;
  }
  // B' of six pixels.
  MIELINA_INLINE void into(const vf32 (&x)[6], vf32 (&v)[6]) {
    const vf32 ea = x[4] - b2 * x[2], oa = a * (x[3] - b2 * x[1]), eb = x[4] - a2 * x[2], ob = b * (x[3] - a2 * x[1]);
    six(a2 * b2 * x[0] - (a2 + b2) * x[2] + x[4], ea, oa, eb, ob, a2 * b2 * x[1] - (a2 + b2) * x[3] + x[5], v);
  }
  // A' of six sums.
  MIELINA_INLINE void back(const vf32 (&m)[6], vf32 (&y)[4]) {
    const vf32 s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    y[0] = m[0] + s1 + s2;
    y[1] = a * d1 + b * d2;
    y[2] = a2 * s1 + b2 * s2;
    y[3] = a2 * a * d1 + b2 * b * d2 + m[5];
  }
  // G of three taps.
  MIELINA_INLINE void filter(const vf32 (&w)[3], vf32 (&u)[6]) {
    const vf32 ea = na * w[0] + na * a2 * w[2], oa = na * a * w[1], eb = nb * w[0] + nb * b2 * w[2], ob = nb * b * w[1];
    six(n0 * w[0], ea, oa, eb, ob, w[2], u);
  }
  // A of four pixels, and G' of six sums: how gradients go through the two above.
  MIELINA_INLINE void spread(const vf32 (&y)[4], vf32 (&m)[6]) {
    const vf32 ea = y[0] + a2 * y[2], oa = a * y[1] + a2 * a * y[3], eb = y[0] + b2 * y[2],
               ob = b * y[1] + b2 * b * y[3];
    six(y[0], ea, oa, eb, ob, y[3], m);
  }
  MIELINA_INLINE void collect(const vf32 (&u)[6], vf32 (&w)[3]) {
    const vf32 sa = na * (u[1] + u[2]), da = na * (u[1] - u[2]), sb = nb * (u[3] + u[4]), db = nb * (u[3] - u[4]);
    w[0] = n0 * u[0] + sa + sb;
    w[1] = a * da + b * db;
    w[2] = a2 * sa + b2 * sb + u[5];
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
  int64_t line_floats() const { return 4 * round_up(columns, L) + 2 * L; }

  // The N x N pixels of tiles [first, last) in channel c, as rows of tiles; a tile's first one lies at (top, left) from
  // its outputs' place. line: room for line_floats(). A vector more than `Wide`, for the last run's last store.
  template <int N, int Wide>
  void gather(const View& x, int64_t c, int64_t top, int64_t left, int64_t first, int64_t last, float* line,
              float (&pixels)[N][N][Wide + L]) const {
    constexpr int64_t gap = Wide + L, more = N - 4;
    runs(first, last, [&](const Run& run) {
      const int64_t h0 = run.row * 4 + top, w0 = run.column * 4 + left, wide = 4 * run.n + more;
      const int64_t lo = min64(wide, max64(0, -w0)), hi = max64(lo, min64(wide, x.shape[kW] - w0));
      const float* plane = (const float*)x.data + run.image * x.stride[kN] + c * x.stride[kC];
      for (int64_t i = 0; i < wide; i++) line[i] = 0;
      for (int r = 0; r < N; r++) {
        const int64_t h = h0 + r;
        float* to = &pixels[r][0][run.at];
        if (h < 0 || h >= x.shape[kH]) {
          for (int s = 0; s < N; s++)
            for (int64_t t = 0; t < run.n; t += L) store(to + s * gap + t, vf32{});
          continue;
        }
        const float *from = plane + h * x.stride[kH] + w0, *p = from;
        if (lo > 0 || hi < 4 * round_up(run.n, L) + more) {  // the vectors below would read beside the image
          copy_row(from + lo, line + lo, hi - lo);
          p = line;
        }
        for (int64_t t = 0; t < run.n; t += L, p += 4 * L) {
          const vf32 x0 = load(p), x1 = load(p + L), x2 = load(p + 2 * L), x3 = load(p + 3 * L);
          const vf32 e0 = half_of<false>(x0, x1), e1 = half_of<false>(x2, x3), o0 = half_of<true>(x0, x1),
                     o1 = half_of<true>(x2, x3);
          const vf32 p0 = half_of<false>(e0, e1), p1 = half_of<false>(o0, o1);
          store(to + t, p0);
          store(to + gap + t, p1);
          store(to + 2 * gap + t, half_of<true>(e0, e1));
          store(to + 3 * gap + t, half_of<true>(o0, o1));
          if constexpr (N == 6) {
            store(to + 4 * gap + t, next_of(p0, p[4 * L]));
            store(to + 5 * gap + t, next_of(p1, p[4 * L + 1]));
          }
        }
      }
    });
  }

  // A vector of tiles from its pixels to its 36 places, `step` apart.
  template <int N, int Wide>
  static void turn(const float (&pixels)[N][N][Wide + L], int64_t t, float* to, int64_t step) {
    vf32 half[6][N];
    for (int s = 0; s < N; s++) {
      vf32 x[N], y[6];
      for (int r = 0; r < N; r++) x[r] = load(&pixels[r][s][t]);
      if constexpr (N == 6) into(x, y);
      else spread(x, y);
      for (int r = 0; r < 6; r++) half[r][s] = y[r];
    }
    for (int r = 0; r < 6; r++) {
      vf32 y[6];
      if constexpr (N == 6) into(half[r], y);
      else spread(half[r], y);
      for (int s = 0; s < 6; s++, to += step) store(to, y[s]);
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
