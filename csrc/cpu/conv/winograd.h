// Winograd's minimal filtering F(4x4, 3x3): 36 multiplications where a 3 x 3 convolution needs 144 for a tile of 4 x 4
// outputs (Winograd 1980; Lavin and Gray 2016). Y = A' [(G w G') * (B' x B)] A, the star a product over channels for
// each of the 36 places.
//
// The points are 0, +-3/4, +-3/2 and infinity, all of whose powers are exact. With the usual 0, +-1, +-2 the largest
// error is 5 times as large: 1.7e-5 of the largest output on 512 channels, here 5.4e-6, where the direct sum has
// 3.0e-6.
//
// Filters are transformed once a call. Then a block of as many tiles as a panel of the product has columns: its image
// part becomes 36 panels, and each panel of output channels takes 36 tiles of the micro-kernel, which are turned back
// while they are in the cache. What is summed for an output depends on its place in the image alone.
#pragma once
#include "cpu/conv/direct.h"
#include "cpu/gemm.h"

namespace mielina {
namespace MIELINA_ISA {

// Every second element of two vectors, from the first or the second on; and the vectors that give them so.
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
template <bool upper>
MIELINA_INLINE vf32 zip(vf32 a, vf32 b) {
#if MIELINA_V512
  constexpr int u = upper ? 8 : 0;
  return __builtin_shufflevector(a, b, u, u + 16, u + 1, u + 17, u + 2, u + 18, u + 3, u + 19, u + 4, u + 20, u + 5,
                                 u + 21, u + 6, u + 22, u + 7, u + 23);
#elif MIELINA_V256
  constexpr int u = upper ? 4 : 0;
  return __builtin_shufflevector(a, b, u, u + 8, u + 1, u + 9, u + 2, u + 10, u + 3, u + 11);
#else
  constexpr int u = upper ? 2 : 0;
  return __builtin_shufflevector(a, b, u, u + 4, u + 1, u + 5);
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

struct Winograd {
  using Op = Plain<float>;
  static constexpr int L = lanes<float>, kTiles = Op::NV * L;  // of a block
  static constexpr int64_t kPlaces = 36, kLeast = 16, kPixels = 384;
  static constexpr float a = 0.75f, b = 1.5f, a2 = a * a, b2 = b * b;

  Problem q;
  int64_t K, C, H, W, rows, columns, tiles;  // rows and columns of tiles in an image; tiles in all
  int64_t top, left;                         // input coordinates of output (0, 0)'s first tap
  bool flipped;
  int64_t mr, panels, blocks, held;  // of output channels; of tiles; how many blocks are held at once
  int64_t filter_bytes, block_bytes, scratch_bytes;

  // Pixels enough to pay for the transformed filters, 36 numbers for 9 (512 channels: 392 pixels take 0.55 of the
  // direct sum's time, 196 take 1.1); tiles that reach over an image's edge, or are missing in a panel, waste less than
  // half.
  static bool fits(const Problem& q) {
    const Window& v = q.window;
    const int64_t W = q.y.shape[kW], pixels = q.y.shape[kN] * q.y.shape[kH] * W;
    const int64_t covered = 16 * round_up(q.y.shape[kN] * ceil_div(q.y.shape[kH], 4) * ceil_div(W, 4), kTiles);
    const bool plane = q.y.shape[kD] == 1 && q.x.shape[kD] == 1 && v.taps[0] == 1 && v.padding[0] == 0;
    const bool window = v.taps[1] == 3 && v.taps[2] == 3 && v.stride[1] == 1 && v.stride[2] == 1 &&
                        v.dilation[1] == v.dilation[2] && (v.dilation[1] == 1 || v.dilation[1] == -1);
    return !q.direct && plane && window && q.x.dtype == DType::f32 && q.y.dtype == DType::f32 &&
           (q.x.stride[kW] == 1 || q.x.shape[kW] == 1) && (q.y.stride[kW] == 1 || W == 1) && q.x.shape[kC] >= kLeast &&
           q.y.shape[kC] >= kLeast && pixels >= kPixels && covered <= 2 * pixels;
  }

  explicit Winograd(const Problem& problem) : q(problem) {
    const Window& v = q.window;
    K = q.y.shape[kC];
    C = q.x.shape[kC];
    H = q.y.shape[kH];
    W = q.y.shape[kW];
    rows = ceil_div(H, 4);
    columns = ceil_div(W, 4);
    tiles = q.y.shape[kN] * rows * columns;
    flipped = v.dilation[1] < 0;
    top = -v.padding[1] - (flipped ? 2 : 0);
    left = -v.padding[2] - (flipped ? 2 : 0);
    panels = ceil_div(K, Op::MR);
    mr = ceil_div(K, panels);
    blocks = ceil_div(tiles, kTiles);
    filter_bytes = align64(kPlaces * panels * mr * C * int64_t(sizeof(float)));
    block_bytes = kPlaces * pitch() * int64_t(sizeof(float));
    held = max64(1, min64(blocks, (16 << 20) / block_bytes));
    // Of a worker: a row of the image, or the sums of a panel.
    scratch_bytes =
        align64(max64(4 * round_up(columns, L) + 2 * L, kPlaces * Op::MR * kTiles) * int64_t(sizeof(float)));
  }
  static int64_t round_up(int64_t n, int64_t step) { return ceil_div(n, step) * step; }
  int64_t pitch() const { return (C | 1) * kTiles; }  // from place to place: not a multiple of 4 KB, which share a set
  int64_t bytes(int threads) const { return filter_bytes + held * block_bytes + threads * scratch_bytes; }

  // B' of six numbers, for points 0, +-a, +-b, infinity.
  MIELINA_INLINE void into(const vf32 (&x)[6], vf32 (&v)[6]) {
    const vf32 ea = x[4] - b2 * x[2], oa = a * (x[3] - b2 * x[1]), eb = x[4] - a2 * x[2], ob = b * (x[3] - a2 * x[1]);
    v[0] = a2 * b2 * x[0] - (a2 + b2) * x[2] + x[4];
    v[1] = ea + oa;
    v[2] = ea - oa;
    v[3] = eb + ob;
    v[4] = eb - ob;
    v[5] = a2 * b2 * x[1] - (a2 + b2) * x[3] + x[5];
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
    constexpr float na = 1 / (2 * a2 * (a2 - b2)), nb = 1 / (2 * b2 * (b2 - a2));
    const vf32 ea = na * w[0] + na * a2 * w[2], oa = na * a * w[1], eb = nb * w[0] + nb * b2 * w[2], ob = nb * b * w[1];
    u[0] = 1 / (a2 * b2) * w[0];
    u[1] = ea + oa;
    u[2] = ea - oa;
    u[3] = eb + ob;
    u[4] = eb - ob;
    u[5] = w[2];
  }

  // The nine taps of channel c in filters k.., as lanes. Where they lie in a row, squares of filters and taps are
  // turned.
  MIELINA_INLINE void taps_of(const float* at, const Problem& q, int64_t n, vf32 (&tap)[12]) {
    const int64_t sk = q.w.stride[kN], sr = q.w.stride[kH], ss = q.w.stride[kW];
    if (ss == 1 && sr == 3) {
      for (int t = 0; t < 9; t += L) {
        vf32 v[L];
#pragma GCC unroll 16
        for (int i = 0; i < L; i++) v[i] = i < n ? load_n(at + i * sk + t, min64(L, 9 - t)) : vf32{};
        transpose(v);
        for (int i = 0; i < min64(L, 9 - t); i++) tap[t + i] = v[i];
      }
      return;
    }
    for (int t = 0; t < 9; t++) {
      vf32 v{};
      for (int64_t i = 0; i < n; i++) v[i] = at[i * sk + t / 3 * sr + t % 3 * ss];
      tap[t] = v;
    }
  }

  // One panel of filters: u (36, C, mr).
  void filters(int64_t panel, float* u) const {
    const float* w = (const float*)q.w.data + panel * mr * q.w.stride[kN];
    const int64_t valid = min64(mr, K - panel * mr);
    for (int64_t c = 0; c < C; c++)
      for (int64_t k = 0; k < mr; k += L) {
        vf32 tap[12], t[3][6];
        taps_of(w + c * q.w.stride[kC] + k * q.w.stride[kN], q, min64(L, valid - k), tap);
        for (int s = 0; s < 3; s++) {
          const vf32 column[3] = {tap[flipped ? 8 - s : s], tap[flipped ? 5 - s : 3 + s], tap[flipped ? 2 - s : 6 + s]};
          filter(column, t[s]);
        }
        for (int i = 0; i < 6; i++) {
          const vf32 row[3] = {t[0][i], t[1][i], t[2][i]};
          vf32 out[6];
          filter(row, out);
          for (int j = 0; j < 6; j++) store_n(u + ((i * 6 + j) * C + c) * mr + k, out[j], min64(L, mr - k));
        }
      }
  }

  // Tiles of one row of one image: `n` of them from `column` on, which lie at `at` in their block.
  struct Run {
    int64_t image, row, column, at, n;
  };
  template <class F>
  void runs(int64_t block, F f) const {
    const int64_t first = block * kTiles, last = min64(tiles, first + kTiles);
    for (int64_t t = first; t < last;) {
      const int64_t line = t / columns, column = t % columns, n = min64(columns - column, last - t);
      f(Run{line / rows, line % rows, column, t - first, n});
      t += n;
    }
  }

  // Channel c of a block: v (36, C, kTiles) at c. First the tiles' 6 x 6 pixels, as rows of tiles, then B'.
  void image(int64_t block, int64_t c, float* v, float* line) const {
    alignas(64) float pixels[6][6][kTiles + L];  // a vector more, for the last run's last store
    runs(block, [&](const Run& run) {
      const int64_t h0 = run.row * 4 + top, w0 = run.column * 4 + left, wide = 4 * run.n + 2;
      const int64_t lo = min64(wide, max64(0, -w0)), hi = max64(lo, min64(wide, q.x.shape[kW] - w0));
      const float* plane = (const float*)q.x.data + run.image * q.x.stride[kN] + c * q.x.stride[kC];
      for (int64_t i = 0; i < wide; i++) line[i] = 0;
      for (int r = 0; r < 6; r++) {
        const int64_t h = h0 + r;
        if (h < 0 || h >= q.x.shape[kH]) {
          for (int s = 0; s < 6; s++)
            for (int64_t t = 0; t < run.n; t += L) store(&pixels[r][s][run.at + t], vf32{});
          continue;
        }
        const float *from = plane + h * q.x.stride[kH] + w0, *x = from;
        if (lo > 0 || hi < 4 * round_up(run.n, L) + 4) {  // the vectors below would read beside the image
          int64_t i = lo;
          for (; i + L <= hi; i += L) store(line + i, load(from + i));
          if (i < hi) store_n(line + i, load_n(from + i, hi - i), hi - i);
          x = line;
        }
        for (int64_t t = 0; t < run.n; t += L, x += 4 * L) {
          const vf32 x0 = load(x), x1 = load(x + L), x2 = load(x + 2 * L), x3 = load(x + 3 * L);
          const vf32 e0 = half_of<false>(x0, x1), e1 = half_of<false>(x2, x3), o0 = half_of<true>(x0, x1),
                     o1 = half_of<true>(x2, x3);
          const vf32 p0 = half_of<false>(e0, e1), p1 = half_of<false>(o0, o1);
          float* to = &pixels[r][0][run.at + t];
          constexpr int64_t gap = kTiles + L;
          store(to, p0);
          store(to + gap, p1);
          store(to + 2 * gap, half_of<true>(e0, e1));
          store(to + 3 * gap, half_of<true>(o0, o1));
          store(to + 4 * gap, next_of(p0, x[4 * L]));
          store(to + 5 * gap, next_of(p1, x[4 * L + 1]));
        }
      }
    });
    for (int64_t t = 0; t < kTiles; t += L) {
      vf32 turned[6][6];
      for (int s = 0; s < 6; s++) {
        vf32 x[6], y[6];
        for (int r = 0; r < 6; r++) x[r] = load(&pixels[r][s][t]);
        into(x, y);
        for (int r = 0; r < 6; r++) turned[r][s] = y[r];
      }
      float* to = v + c * kTiles + t;
      for (int r = 0; r < 6; r++) {
        vf32 y[6];
        into(turned[r], y);
        for (int s = 0; s < 6; s++, to += pitch()) store(to, y[s]);
      }
    }
  }

  // A panel of output channels of a block, from the sums (36, mr, kTiles).
  void products(int64_t block, int64_t panel, const float* u, const float* v, float* sums) const {
    const int64_t n = min64(mr, K - panel * mr);
    const Micro<Op> micro = MicroKernels<Op, true>::table.at[Op::NV - 1][mr - 1];
    for (int64_t place = 0; place < kPlaces; place++)
      for (int64_t c = 0; c < C; c += Op::KC) {
        const int64_t depth = min64(Op::KC, C - c);
        const float *filters = u + (place * C + c) * mr, *image = v + place * pitch() + c * kTiles;
        micro(depth, {filters, 1, mr}, {image, 1, kTiles}, sums + place * mr * kTiles, kTiles, kTiles, c > 0,
              filters + depth * mr);
      }
    for (int64_t k = 0; k < n; k++) {
      alignas(64) float lines[4][4 * kTiles];
      const int64_t channel = panel * mr + k;
      const float bias = q.bias.data ? ((const float*)q.bias.data)[channel * q.bias.stride[0]] : 0.0f;
      for (int64_t t = 0; t < kTiles; t += L) {
        vf32 half[4][6], y[4][4];
        for (int s = 0; s < 6; s++) {
          vf32 m[6], z[4];
          for (int r = 0; r < 6; r++) m[r] = load(sums + ((r * 6 + s) * mr + k) * kTiles + t);
          back(m, z);
          for (int r = 0; r < 4; r++) half[r][s] = z[r];
        }
        for (int r = 0; r < 4; r++) {
          back(half[r], y[r]);
          for (int s = 0; s < 4; s++) y[r][s] = activate(y[r][s] + bias, q.activation);
          const vf32 e0 = zip<false>(y[r][0], y[r][2]), e1 = zip<true>(y[r][0], y[r][2]),
                     o0 = zip<false>(y[r][1], y[r][3]), o1 = zip<true>(y[r][1], y[r][3]);
          float* line = lines[r] + 4 * t;
          store(line, zip<false>(e0, o0));
          store(line + L, zip<true>(e0, o0));
          store(line + 2 * L, zip<false>(e1, o1));
          store(line + 3 * L, zip<true>(e1, o1));
        }
      }
      runs(block, [&](const Run& run) {
        float* y = (float*)q.y.data + run.image * q.y.stride[kN] + channel * q.y.stride[kC] + run.column * 4;
        const int64_t wide = min64(4 * run.n, W - run.column * 4);
        for (int64_t r = 0; r < min64(4, H - run.row * 4); r++) {
          float* to = y + (run.row * 4 + r) * q.y.stride[kH];
          const float* line = lines[r] + 4 * run.at;
          int64_t i = 0;
          for (; i + L <= wide; i += L) store(to + i, load(line + i));
          if (i < wide) store_n(to + i, load_n(line + i, wide - i), wide - i);
        }
      });
    }
  }

  void run(const Ctx& ctx) const {
    float* u = (float*)ctx.workspace;
    char* images = (char*)ctx.workspace + filter_bytes;
    char* scratch = images + held * block_bytes;
    const int64_t panel_size = kPlaces * C * mr;
    parallel_for(ctx, panels, [&](int64_t p, int) { filters(p, u + p * panel_size); });
    constexpr int64_t kChannels = 8;  // of an image, a task
    for (int64_t first = 0; first < blocks; first += held) {
      const int64_t now = min64(held, blocks - first), parts = ceil_div(C, kChannels);
      parallel_for(ctx, now * parts, [&](int64_t i, int worker) {
        float* v = (float*)(images + i / parts * block_bytes);
        for (int64_t c = i % parts * kChannels; c < min64(C, (i % parts + 1) * kChannels); c++)
          image(first + i / parts, c, v, (float*)(scratch + worker * scratch_bytes));
      });
      parallel_for(ctx, now * panels, [&](int64_t i, int worker) {
        const int64_t block = i / panels, panel = i % panels;
        products(first + block, panel, u + panel * panel_size, (const float*)(images + block * block_bytes),
                 (float*)(scratch + worker * scratch_bytes));
      });
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
