// The filters' gradient in float32: dw (K, taps x C) = g (K, pixels) x (pixels, taps x C), of which only one operand is
// packed, in panels that the micro-kernel's vectors read; the other is read number by number where it lies.
//
// Many channels: a panel is a vector or two of the image's channels under one tap, copied pixel by pixel, and its rows
// are the channels of g. Few channels: a panel is a vector or two of g's channels, which all taps share, and its rows
// are the image's channels, whose pixels under a tap are neighbours or a stride apart: nothing of the image is copied.
// With AVX2, from 8 channels on under a vector or two of g's in windows of stride 1, a row of taps is one run of
// numbers in a copy of the image's rows, and g's rows have zeros behind them, so that all rows of a block are one
// product: 14 pixels under one tap at a time were calls of 14 steps, four sums each (8 x 256 in 32 groups, 14 x 14 0.97
// and 1.07 ms, 0.74 so).
#pragma once
#include "cpu/conv/pixels.h"

namespace mielina {
namespace MIELINA_ISA {

struct WeightRows {
  using Op = Plain<float>;
  using Run = Pixels<Op>::Run;
  static constexpr int64_t L = lanes<float>, kWidth = Op::NV * L;
  static constexpr int64_t kSteps = 256, kPieces = 8, kSumBytes = 16 << 20, kFew = 16, kCrowded = 128, kBelow = 16;
  static constexpr int64_t kTile = Op::MR * kSteps + 16;  // from tile to tile of packed rows
  static_assert(Op::MR <= L);

  View dw, g;
  Pixels<Op> pixels;
  int64_t K, C, taps, total;  // total: pixels of g
  bool few, packs;            // whether the rows are packed, too
  int64_t per, panels;        // panels of a tap, of all
  int64_t rows, ld;           // of the sums: (tap, c), k or k, (tap, c)
  int64_t across, line;       // taps of a row that are one run, or 1; pixels of g's rows with the zeros behind them
  int64_t count, tiles, mr;   // the product's rows under a tap, or a row of taps
  int64_t pieces;             // of the pixels; one where all threads cut the panels
  bool large;

  static constexpr bool fits = VBYTES > 16;

  WeightRows(const View& filters, const View& gradient, const Pixels<Op>& image)
      : dw(filters), g(gradient), pixels(image), K(dw.shape[kN]), C(dw.shape[kC]), taps(image.taps()) {
    const PixelSpace& s = pixels.space;
    total = s.images * s.size;
    few = C < kFew;
    per = ceil_div(few ? K : C, kWidth);
    panels = few ? per : taps * per;
    const Window& v = pixels.window;
    line = s.shape[3] + v.taps[2] - 1;
    const bool single = v.stride[1] == 1 && v.stride[2] == 1 && v.dilation[2] == 1;
    // Long rows under two vectors of filters gain nothing (8 -> 64, 56 x 56 0.92 to 0.99).
    const bool pays = few && C >= L && K <= (line <= 32 ? kWidth : L);
    across = VBYTES == 32 && pays && single && line <= kSteps && below() <= kBelow ? v.taps[2] : 1;
    count = few ? across * C : K;
    tiles = ceil_div(count, Op::MR);
    mr = ceil_div(count, tiles);
    rows = few ? taps * C : K;
    ld = panels * kWidth;
    // Where they lie, channels-last ones share few sets of the L1 cache, planes of small images make short runs, and 14
    // planes of a multiple of 4 KB share a set.
    packs = !few && (VBYTES == 64 || s.size < kSteps / 2 || (g.stride[kC] == 1 && K >= kCrowded));
    large = double(rows) * double(ld / L) * double(total) > 128e3;
    pieces = large && total >= kPieces * 256 && kPieces * sum_bytes() <= kSumBytes ? kPieces : 1;
  }
  int64_t sum_bytes() const { return rows * ld * int64_t(sizeof(float)); }
  int64_t below() const { return (pixels.window.taps[1] - 1) * pixels.window.dilation[1]; }
  int64_t row_bytes() const {
    if (across > 1) return align64(((kSteps / line + below()) * line + across) * C * int64_t(sizeof(float)));
    return packs ? tiles * kTile * int64_t(sizeof(float)) : 0;
  }
  int64_t bytes(int64_t threads) const { return align64(pieces * sum_bytes()) + threads * row_bytes(); }

  // Of a run's pixels, those under which tap t lies inside the image, and the image's number there.
  struct Under {
    int64_t lo, hi;
    const float* at;
  };
  Under under(const Run& r, int64_t t) const {
    int64_t o[3];
    pixels.tap_offsets(t, o);
    for (int d = 0; d < 3; d++) o[d] += r.origin[d];
    const int64_t pace = pixels.window.stride[2], W = pixels.shape[2];
    const bool inside = o[0] >= 0 && o[0] < pixels.shape[0] && o[1] >= 0 && o[1] < pixels.shape[1] && o[2] < W;
    const int64_t lo = o[2] < 0 ? min64(r.n, ceil_div(-o[2], pace)) : 0;
    const int64_t hi = inside ? max64(lo, min64(r.n, (W - 1 - o[2]) / pace + 1)) : lo;
    return {lo, hi,
            r.image + o[0] * pixels.stride[0] + o[1] * pixels.stride[1] + (o[2] + lo * pace) * pixels.stride[2]};
  }
  static void pack(const float* from, int64_t si, int64_t sk, float* to, int64_t n, int64_t steps) {
    const int64_t wide = ceil_div(n, L) * L;
    if (si != 1 || n != wide) return Strided<Op, float>{from, n, steps, si, sk, wide}.pack(to, wide, 0, 0, steps);
    for (int64_t k = 0; k < steps; k++, from += sk, to += wide) {
      __builtin_prefetch(from + 8 * sk);
      for (int64_t i = 0; i < n; i += L) store(to + i, load(from + i));
    }
  }
  // d = or += rows of numbers that lie si apart, from step to step sk, times the columns of a panel.
  void multiply(int64_t steps, const float* from, int64_t si, int64_t sk, const float* panel, int64_t n, float* d,
                bool add, const float* packed = nullptr) const {
    const int64_t wide = ceil_div(n, L) * L;
    const Panel<float> b{panel, 1, wide};
    for (int64_t k = 0; k < count; k += mr, from += mr * si, d += mr * ld) {
      const int64_t some = min64(mr, count - k);
      const Micro<Op>& micro = packed ? MicroKernels<Op, true>::table.at[wide / L - 1][some - 1]
                                      : MicroKernels<Op, false>::table.at[wide / L - 1][some - 1];
      micro(steps, packed ? Panel<float>{packed, 1, some} : Panel<float>{from, si, sk}, b, d, ld, wide, add, panel,
            false);
      if (packed) packed += kTile;
    }
  }

  // Rows of the product, n pixels of g's channels from pixel p on.
  __attribute__((noinline)) void pack_rows(int64_t p, int64_t n, float* to) const {
    const PixelSpace& s = pixels.space;
    const int64_t sc = g.stride[kC];
    for (int64_t at = 0, some; at < n; at += some) {
      some = min64(n - at, s.size - (p + at) % s.size);
      const float* from = (const float*)g.data + s.offset(p + at);
      if (sc == 1) {  // four pixels at a time, while the next four are fetched
        for (int64_t j = 0; j < some; j += 4) {
          const int64_t end = min64(j + 4, some);
          for (int64_t r = end; r < min64(end + 4, some); r++)
            for (int64_t i = 0; i < K; i += 16) __builtin_prefetch(from + r * s.step + i);
          // Whole vectors: what is too much of one the next pixel's covers.
          for (int64_t i = 0, k = 0; i < tiles; i++, k += mr) {
            const int64_t rows = min64(mr, K - k);
            const float* row = from + j * s.step + k;
            float* column = to + i * kTile + (at + j) * rows;
            for (int64_t r = j; r < end; r++, row += s.step, column += rows)
              store(column, load_n(row, min64(L, K - k)));
          }
        }
      } else
        for (int64_t i = 0, k = 0; i < tiles; i++, k += mr) {
          const int64_t rows = min64(mr, K - k);
          Strided<Op, float>{from + k * sc, rows, some, sc, s.step, rows}.pack(to + i * kTile + at * rows, rows, 0, 0,
                                                                               some);
        }
    }
  }

  // The image's row `down` below that under a run of pixels and tap t, between zeros.
  void copy_line(const Run& r, int64_t t, int64_t down, float* to) const {
    int64_t o[3];
    pixels.tap_offsets(t, o);
    const int64_t d = o[0] + r.origin[0], h = o[1] + r.origin[1] + down, w = r.origin[2], W = pixels.shape[2];
    const bool inside = d >= 0 && d < pixels.shape[0] && h >= 0 && h < pixels.shape[1];
    const int64_t lo = min64(line, max64(0, -w)), hi = inside ? max64(lo, min64(line, W - w)) : lo;
    __builtin_memset(to, 0, size_t(lo * C) * sizeof(float));
    if (hi > lo)
      channels_of_pixels(r.image + d * pixels.stride[0] + h * pixels.stride[1] + (w + lo) * pixels.stride[2],
                         pixels.stride[2], pixels.sc, to + lo * C, C, hi - lo, C);
    __builtin_memset(to + hi * C, 0, size_t((line - hi) * C) * sizeof(float));
  }
  // Rows of one plane, or a piece of one, under all taps, a row of them at a time.
  __attribute__((noinline)) void lines(const Run* run, int runs, const float* gs, int64_t wide, float* panel,
                                       float* sum, float* copy) const {
    const int64_t step = ceil_div(wide, L) * L, gap = pixels.space.step, R = pixels.window.taps[1];
    for (int j = 0; j < runs; j++) {
      float* to = panel + j * line * step;
      pack(gs + run[j].at * gap, g.stride[kC], gap, to, wide, run[j].n);
      __builtin_memset(to + run[j].n * step, 0, size_t((line - run[j].n) * step) * sizeof(float));
    }
    const int64_t all = runs + below();
    __builtin_memset(copy + all * line * C, 0, size_t(across * C) * sizeof(float));
    for (int64_t t = 0; t < taps / across; t++) {
      for (int64_t j = 0; j < all && t % R == 0; j++) copy_line(run[0], t * across, j, copy + j * line * C);
      multiply(runs * line, copy + t % R * pixels.window.dilation[1] * line * C, 1, C, panel, wide,
               sum + t * count * ld, true);
    }
  }

  // Pixels [first, last) of panels [p0, p1).
  __attribute__((noinline)) void part(int64_t first, int64_t last, int64_t p0, int64_t p1, float* sum,
                                      float* packed) const {
    const PixelSpace& s = pixels.space;
    const int64_t Q = s.shape[3], pace = pixels.window.stride[2] * pixels.stride[2];
    alignas(64) float panel[kWidth * kSteps];
    Run run[kSteps];
    for (int64_t i = 0; i < rows && (few || last == first); i++)
      __builtin_memset(sum + i * ld + p0 * kWidth, 0, size_t((p1 - p0) * kWidth) * sizeof(float));
    for (int64_t at = first, n; at < last; at += n) {
      n = min64(kSteps, last - at);
      if (!packs) n = min64(n, s.size - at % s.size);
      if (VBYTES == 32 && across > 1)  // a piece of a row, or whole rows of a plane
        n = min64(n, at % Q > 0 ? Q - at % Q : min64(kSteps / line, s.shape[2] - at / Q % s.shape[2]) * Q);
      else if (Q < kSteps) n = min64(n, kSteps / Q * Q - at % Q);  // whole rows
      const int runs = pixels.runs(at, n, run);
      const float* gs = (const float*)g.data + s.offset(at);
      const int64_t sc = g.stride[kC];
      if (packs) pack_rows(at, n, packed);
      for (int64_t p = p0; p < p1; p++) {
        const int64_t c = p % per * kWidth, wide = min64(kWidth, (few ? K : C) - c), step = ceil_div(wide, L) * L;
        if (VBYTES == 32 && across > 1) {
          lines(run, runs, gs + c * sc, wide, panel, sum + c, packed);
          continue;
        }
        if (few) {
          pack(gs + c * sc, sc, s.step, panel, wide, n);
          for (int64_t t = 0; t < taps; t++)
            for (int j = 0; j < runs; j++) {
              const Under u = under(run[j], t);
              if (u.hi > u.lo)
                multiply(u.hi - u.lo, u.at, pixels.sc, pace, panel + (run[j].at + u.lo) * step, wide,
                         sum + t * C * ld + c, true);
            }
          continue;
        }
        for (int j = 0; j < runs; j++) {
          const Under u = under(run[j], p / per);
          float* to = panel + run[j].at * step;
          __builtin_memset(to, 0, size_t(u.lo * step) * sizeof(float));
          if (u.hi > u.lo) pack(u.at + c * pixels.sc, pixels.sc, pace, to + u.lo * step, wide, u.hi - u.lo);
          __builtin_memset(to + u.hi * step, 0, size_t((run[j].n - u.hi) * step) * sizeof(float));
        }
        multiply(n, gs, sc, s.step, panel, wide, sum + p * kWidth, at > first, packs ? packed : nullptr);
      }
    }
  }

  void run(const Ctx& ctx) const {
    float* sums = (float*)ctx.workspace;
    char* own = (char*)sums + align64(pieces * sum_bytes());
    const bool cut = pieces > 1;
    const int64_t tasks = cut ? pieces : large && ctx.threads > 1 ? min64(panels, 4 * ctx.threads) : 1;
    parallel_for(ctx, tasks, [&](int64_t i, int worker) {
      part(cut ? total * i / tasks : 0, cut ? total * (i + 1) / tasks : total, cut ? 0 : panels * i / tasks,
           cut ? panels : panels * (i + 1) / tasks, sums + (cut ? i : 0) * rows * ld,
           (float*)(own + worker * row_bytes()));
    });
    // The pieces' sums in a tree, then to their places: of a row of taps x channels, or of filters.
    const RowTo<float> row_to = row_to_fn<float>(dw.dtype);
    const int64_t size = kDTypeSize[int(dw.dtype)], R = dw.shape[kH], S = dw.shape[kW];
    parallel_ranges(ctx, rows, max64(1, 64 * 1024 / ld), [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; i++) {
        float* row = sums + i * ld;
        for (int64_t half = pieces / 2; half > 0; half /= 2)
          for (int64_t j = 0; j < half; j++)
            for (int64_t k = 0; k < ld; k += L) {
              float* to = row + j * rows * ld + k;
              store(to, load(to) + load(to + half * rows * ld));
            }
        for (int64_t t = few ? i / C : 0; t < (few ? i / C + 1 : taps); t++) {
          const int64_t tap = t / (R * S) * dw.stride[kD] + t / S % R * dw.stride[kH] + t % S * dw.stride[kW];
          if (few) row_to(row, (char*)dw.data + (i % C * dw.stride[kC] + tap) * size, dw.stride[kN], K);
          else row_to(row + t * per * kWidth, (char*)dw.data + (i * dw.stride[kN] + tap) * size, dw.stride[kC], C);
        }
      }
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
