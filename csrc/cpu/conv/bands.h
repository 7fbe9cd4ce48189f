// Convolutions of many channels, float32, whose columns are never gathered: the product's rows are output pixels, and
// under one tap the micro-kernel reads the channels of these pixels where they lie, a step of the stride apart. A band
// of output rows has its part of the image copied once into a zero-padded channels-last buffer in the L2 cache, where
// a row of taps is one run of numbers; 1 x 1 windows of channels-last images need no copy. To gather columns is to copy
// each pixel once a tap, and to turn it.
#pragma once
#include "cpu/conv/direct.h"
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {

struct Bands {
  using Op = Plain<float>;
  static constexpr int64_t L = lanes<float>, kWidth = Op::NV * L;
  static constexpr int64_t kBandBytes = 192 << 10, kPixels = 256;  // of a task's image part; of its output
  static constexpr int64_t kSteps = 256;                           // of a block of filters: half of the L1 cache
  static constexpr int64_t kTasks = 16;
  // A last panel of three vectors, where two would leave one alone: with AVX2 24 filters as 16 and 8 took 4.9 ms of 32
  // x 96 channels, 56 x 56; 3.6 so.
  static constexpr bool kWide = VBYTES == 32;

  Problem q;                           // its window runs forwards; a 1 x 1 window sees rows of any length
  int64_t K, C, H, W, total;           // rows and their pixels; pixels of an image
  int64_t panels, widest, depth;       // of filters; the last panel's room for filters
  int64_t unit[2], step[2], gap[2];    // rows, columns: pixels of the image between those of a band; of a stride; a tap
  int64_t band, bands, tasks, groups;  // rows of a band; bands of an image, of all; groups of panels
  int64_t columns, pitch, row, plane;  // of a band: pixels of a row; floats from pixel to pixel, row to row, plane
  bool flat = false;                   // rows are pieces of a 1 x 1 window's pixels
  bool in_place, merged, direct;       // image read where it lies; a row of taps is one run; sums may lie in y

  static bool fits(const Problem& q) {
    const bool floats = q.x.dtype == DType::f32 && q.w.dtype == DType::f32 && q.y.dtype == DType::f32 &&
                        (!q.bias.data || q.bias.dtype == DType::f32);
    const int64_t taps = q.window.taps[0] * q.window.taps[1] * q.window.taps[2], K = q.y.shape[kC];
    // To turn planes costs as much as 20 filters or more: the product of planar images and few filters reads them as
    // they are (32 x 96 -> 24, 56 x 56 10.0 ms here, 6.5 there). So it does with AVX-512, where its time is known.
    const bool planar = taps == 1 && q.x.stride[kW] == 1 && q.y.stride[kW] == 1;
    // Rows of 7 pixels, tiles of 4 and 3 rows where 6 fit, lost to panels that run over images (256 -> 512, 7 x 7:
    // 0.9).
    const Window& v = q.window;
    const int64_t W = q.y.shape[kW], single = v.stride[0] * v.stride[1] * v.stride[2];
    const bool filled = taps * single == 1 || 2 * W > (Op::MR + 1) * ceil_div(W, Op::MR);
    if (planar && VBYTES == 64) return false;
    // Below, gathering costs less than a band whose runs are short. Pixels of channels-last images are gathered one by
    // one (8 -> 16, 56 x 56, 1 x 1 197 us, 71 so; 8 x 256 in 32 groups, 56 x 56 of stride 2 15.9 ms and 5.2).
    const int64_t least = VBYTES == 64 || planar ? 32 : lanes_along_c(q.x) ? 8 : 15;
    return VBYTES > 16 && floats && filled && q.x.shape[kC] * v.taps[2] >= least && K >= (planar ? 96 : L) && taps > 0;
  }

  // Whether the pixels of an image, or of all, have one stride.
  static bool even(const View& v, bool all) {
    const int axes[3] = {kH, kD, kN};
    int64_t next = v.shape[kW] * v.stride[kW];
    for (int d = 0; d < (all ? 3 : 2); d++) {
      if (v.shape[axes[d]] > 1 && v.stride[axes[d]] != next) return false;
      next *= v.shape[axes[d]];
    }
    return true;
  }
  // A 1 x 1 window's pixels as rows that tiles fill.
  void flatten() {
    const Window& v = q.window;
    for (int d = 0; d < 3; d++)
      if (v.taps[d] != 1 || v.stride[d] != 1 || v.padding[d] != 0 || q.x.shape[kD + d] != q.y.shape[kD + d]) return;
    if (!even(q.x, false) || !even(q.y, false)) return;
    flat = true;
    const bool all = even(q.x, true) && even(q.y, true);
    total = q.y.shape[kD] * H * W * (all ? q.y.shape[kN] : 1);
    W = ceil_div(total, ceil_div(total, 8 * Op::MR));
    H = ceil_div(total, W);
    rows_of(q.x, all);
    rows_of(q.y, all);
  }
  void rows_of(View& v, bool all) const {
    if (all) v.shape[kN] = 1;
    v.shape[kD] = 1;
    v.shape[kH] = H;
    v.shape[kW] = W;
    v.stride[kH] = W * v.stride[kW];
  }
  // Whether the pixels of a tile share few sets of the L1 cache, which has eight ways.
  static bool crowded(int64_t floats) { return Op::MR * gcd(floats * int64_t(sizeof(float)), 4096) > 6 * 4096; }
  int64_t width(int64_t h) const { return min64(W, total - h * W); }
  int64_t extent(int64_t n) const { return (n - 1) * step[0] + (q.window.taps[1] - 1) * gap[0] + 1; }
  int64_t band_bytes(int64_t n) const {
    return in_place ? 0 : align64(q.window.taps[0] * extent(n) * row * int64_t(sizeof(float)));
  }

  __attribute__((noinline)) explicit Bands(const Problem& problem)
      : q(forwards(problem)), K(q.y.shape[kC]), C(q.x.shape[kC]), H(q.y.shape[kH]), W(q.y.shape[kW]), total(H * W) {
    const Window& v = q.window;
    flatten();
    const int64_t rest = K % kWidth;
    widest = kWide && K > kWidth && rest > 0 && rest <= L ? 3 * L : kWidth;
    panels = widest > kWidth ? K / kWidth : ceil_div(K, kWidth);
    depth = C * v.taps[0] * v.taps[1] * v.taps[2];
    for (int d = 0; d < 2; d++) {
      unit[d] = v.taps[1 + d] > 1 ? gcd(v.stride[1 + d], v.dilation[1 + d]) : v.stride[1 + d];
      step[d] = v.stride[1 + d] / unit[d];
      gap[d] = v.taps[1 + d] > 1 ? v.dilation[1 + d] / unit[d] : 0;
    }
    direct = q.y.stride[kC] == 1;
    const bool bare = v.taps[0] * v.taps[1] * v.taps[2] == 1 && v.padding[0] == 0 && v.padding[1] == 0 &&
                      v.padding[2] == 0 && (q.y.shape[kD] - 1) * v.stride[0] < q.x.shape[kD] &&
                      (H - 1) * v.stride[1] < q.x.shape[kH] && (W - 1) * v.stride[2] < q.x.shape[kW];
    in_place = bare && q.x.stride[kC] == 1 && !crowded(unit[1] * q.x.stride[kW]);
    columns = (W - 1) * step[1] + (v.taps[2] - 1) * gap[1] + 1;
    pitch = crowded(step[1] * C) ? (ceil_div(C, 16) | 1) * 16 : C;
    row = columns * pitch;
    if (in_place) {
      pitch = unit[1] * q.x.stride[kW];
      row = unit[0] * q.x.stride[kH];
    }
    merged = v.taps[2] == 1 || (gap[1] == 1 && pitch == C);
    band = max64(1, min64(H, kPixels / W));
    while (band > 1 && band_bytes(band) > kBandBytes) band--;
    bands = ceil_div(H, band);
    band = ceil_div(H, bands);
    plane = extent(band) * row;
    tasks = q.y.shape[kN] * q.y.shape[kD] * bands;
    groups = tasks >= kTasks ? 1 : min64(panels, ceil_div(kTasks, tasks));
  }

  int64_t filter_bytes() const { return align64(((panels - 1) * kWidth + widest) * depth * int64_t(sizeof(float))); }
  int64_t bias_bytes() const { return align64(K * int64_t(sizeof(float))); }
  int64_t sums_bytes() const { return direct ? 0 : band * W * widest * int64_t(sizeof(float)); }
  int64_t bytes(int threads) const {
    const int64_t shared = groups > 1 ? tasks * band_bytes(band) : 0, own = groups > 1 ? 0 : band_bytes(band);
    return filter_bytes() + bias_bytes() + shared + threads * (own + sums_bytes());
  }

  struct Place {
    int64_t n, d, h;
  };
  Place place(int64_t task) const {
    return {task / (bands * q.y.shape[kD]), task / bands % q.y.shape[kD], task % bands * band};
  }

  // n pixels of the image, `unit` apart, to the band.
  void copy_pixels(const float* from, float* to, int64_t n) const {
    channels_of_pixels(from, unit[1] * q.x.stride[kW], q.x.stride[kC], to, pitch, n, C);
  }
  static void clear(float* to, int64_t n) { __builtin_memset(to, 0, size_t(n) * sizeof(float)); }

  // The image under a task's outputs.
  __attribute__((noinline)) void fill(int64_t task, float* to) const {
    const Place at = place(task);
    const Window& v = q.window;
    const int64_t rows = extent(min64(band, H - at.h)), first = -v.padding[2];
    if (flat)
      return copy_pixels((const float*)q.x.data + at.n * q.x.stride[kN] + at.h * q.x.stride[kH], to,
                         min64(rows * W, total - at.h * W));
    const int64_t lo = first < 0 ? min64(columns, ceil_div(-first, unit[1])) : 0;
    const int64_t end = first < q.x.shape[kW] ? (q.x.shape[kW] - 1 - first) / unit[1] + 1 : 0;
    for (int64_t t = 0; t < v.taps[0]; t++)
      for (int64_t r = 0; r < rows; r++) {
        const int64_t d = at.d * v.stride[0] - v.padding[0] + t * v.dilation[0];
        const int64_t h = at.h * v.stride[1] - v.padding[1] + r * unit[0];
        const bool inside = d >= 0 && d < q.x.shape[kD] && h >= 0 && h < q.x.shape[kH];
        const int64_t hi = inside ? max64(lo, min64(columns, end)) : lo;
        float* line = to + t * plane + r * row;
        clear(line, lo * pitch);
        clear(line + hi * pitch, (columns - hi) * pitch);
        if (hi > lo)
          copy_pixels((const float*)q.x.data + at.n * q.x.stride[kN] + d * q.x.stride[kD] + h * q.x.stride[kH] +
                          (first + lo * unit[1]) * q.x.stride[kW],
                      line + lo * pitch, hi - lo);
      }
  }

  int64_t width_of(int64_t panel) const { return panel == panels - 1 ? K - panel * kWidth : kWidth; }

  // One panel of output channels of a band.
  void panel_of(int64_t panel, const Place& at, const float* image, const float* filters, const float* bias,
                float* sums) const {
    const Window& v = q.window;
    const int64_t k = panel * kWidth, n = width_of(panel), wide = ceil_div(n, L) * L;
    const int64_t rows = min64(band, H - at.h);
    float* y =
        (float*)q.y.data + at.n * q.y.stride[kN] + at.d * q.y.stride[kD] + at.h * q.y.stride[kH] + k * q.y.stride[kC];
    float* to = direct ? y : sums;
    const int64_t ld = direct ? q.y.stride[kW] : wide, line = direct ? q.y.stride[kH] : W * wide;
    const int64_t most = wide > kWidth ? ThreeVectors::MR : Op::MR;  // rows of a tile
    const int64_t runs = v.taps[0] * v.taps[1] * (merged ? 1 : v.taps[2]), length = depth / runs,
                  pieces = ceil_div(length, kSteps);
    const float* block = filters + panel * kWidth * depth;
    for (int64_t run = 0; run < runs; run++) {
      const int64_t across = merged ? 1 : v.taps[2], t = run / across;
      const float* under = image + t / v.taps[1] * plane + t % v.taps[1] * gap[0] * row + run % across * gap[1] * pitch;
      for (int64_t piece = 0; piece < pieces; piece++) {
        const int64_t from = length * piece / pieces, steps = length * (piece + 1) / pieces - from;
        const bool first = run == 0 && piece == 0, finished = run == runs - 1 && piece == pieces - 1;
        const char* next = (const char*)(block + steps * wide);
        for (int64_t h = 0; h < rows; h++) {
          const int64_t w = width(at.h + h), tiles = ceil_div(w, most);
          for (int64_t i = 0; i < tiles; i++) {
            const int64_t j = w * i / tiles, some = w * (i + 1) / tiles - j;
            const float* pixels = under + from + h * step[0] * row + j * step[1] * pitch;
            kernel_in_place<Op>(wide / L, some)(steps, {pixels, step[1] * pitch, 1}, {block, 1, wide},
                                                to + h * line + j * ld, ld, n, !first, next, direct && first,
                                                finished ? bias + k : nullptr);
            next = (const char*)block;
          }
        }
        block += steps * wide;
      }
    }
    finish(rows, at.h, to, line, ld, n, y);
  }
  // Turns the sums of n channels to their planes where they do not lie in y.
  __attribute__((noinline)) void finish(int64_t rows, int64_t h0, float* sums, int64_t line, int64_t ld, int64_t n,
                                        float* y) const {
    const int64_t sw = q.y.stride[kW], sc = q.y.stride[kC];
    if (direct) return;
    const bool whole = q.y.stride[kH] == W * sw;  // all rows at once
    for (int64_t h = 0; h < rows; h += whole ? rows : 1) {
      const int64_t pixels = whole ? min64(rows * W, total - h0 * W) : width(h0 + h);
      const float* from = sums + h * line;
      float* to = y + h * q.y.stride[kH];
      if (sw == 1) turn_planes((uint32_t*)to, sc, (const uint32_t*)from, ld, n, pixels);
      else
        for (int64_t k = 0; k < n; k++)
          for (int64_t i = 0; i < pixels; i++) to[k * sc + i * sw] = from[i * ld + k];
    }
  }

  // A panel of filters, the last of which may be wider than the others.
  void pack(Filters<Op> w, int64_t panel, float* to) const {
    w.data += panel * kWidth * w.si;
    w.size = w.width = width_of(panel);
    w.pack(to, ceil_div(w.size, L) * L, 0, 0, depth);
  }

  void run(const Ctx& ctx) const {
    float* filters = (float*)ctx.workspace;
    float* bias = (float*)((char*)filters + filter_bytes());
    char* shared = (char*)bias + bias_bytes();
    const int64_t bytes = band_bytes(band), each = (groups > 1 ? 0 : bytes) + sums_bytes();
    char* own = shared + (groups > 1 ? tasks * bytes : 0);
    const Filters<Op> w = filters_of<Op>(q, kWidth, true);
    for (int64_t k = 0; k < K; k++) bias[k] = q.bias.data ? ((const float*)q.bias.data)[k * q.bias.stride[0]] : 0.0f;
    const int64_t fills = groups > 1 && !in_place ? tasks : 0;
    parallel_for(ctx, panels + fills, [&](int64_t i, int) {
      if (i < panels) pack(w, i, filters + i * kWidth * depth);
      else fill(i - panels, (float*)(shared + (i - panels) * bytes));
    });
    parallel_for(ctx, tasks * groups, [&](int64_t i, int worker) {
      const int64_t task = i / groups, group = i % groups;
      const Place at = place(task);
      float* part = (float*)(own + worker * each);
      float* sums = (float*)((char*)part + each - sums_bytes());
      const float* image = part;
      if (in_place)
        image =
            (const float*)q.x.data + at.n * q.x.stride[kN] + at.d * q.window.stride[0] * q.x.stride[kD] + at.h * row;
      else if (groups > 1) image = (const float*)(shared + task * bytes);
      else fill(task, part);
      for (int64_t p = panels * group / groups; p < panels * (group + 1) / groups; p++)
        panel_of(p, at, image, filters, bias, sums);
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
