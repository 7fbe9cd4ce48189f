// Convolutions of few input channels, float32: the product of filters and image columns, whose columns are read where
// they lie. A band of output rows has its part of the image copied into a zero-padded buffer (conv/direct.h); there the
// pixels under a tap are neighbours, so that a table of the taps' places is all that the kernel needs. To gather
// columns took as long as their product with 32 filters of 27 numbers.
#pragma once
#include "cpu/conv/direct.h"

namespace mielina {
namespace MIELINA_ISA {

// Vectors run along the pixels of planar outputs, and along the channels of channels-last ones.
struct Sliding {
  // Rows of sums of planar outputs; of channels-last ones, whose pixels waste fewer of six than filters do.
  static constexpr int64_t L = lanes<float>, kRows = VBYTES == 64 ? 8 : 4, kLastRows = VBYTES == 32 ? 6 : kRows;
  static constexpr int64_t kVectors = 2;
  static constexpr int64_t kChannels = 16;         // of the image, times its phases: from there on gathering costs less
  static constexpr int64_t kBandBytes = 24 << 10;  // of padded image: it stays in the L1 cache

  // Of a step k: what to add to a tile's first vector, and to its first single number.
  struct Step {
    int64_t wide, one;
  };
  // kRows or kLastRows times one or two vectors of sums.
  struct Tile {
    const Step* steps;
    int64_t depth;
    const float *wide[kVectors], *one, *bias;
    int64_t apart;  // from one row's single numbers to the next's
    float* to[kVectors];
    int64_t ld, rows, lanes[kVectors];
    Activation activation;
  };

  const Problem& q;
  const int64_t K, depth, H, W;
  const bool last, inner;  // inner: channels-last images stay so in the buffer
  int64_t band, bands, width, panels;
  Planes<float> planes;
  int64_t pixel, row, padded_bytes;  // of the buffer: floats from pixel to pixel and line to line

  // Two dimensions, more than one tap, and vectors and rows of sums that are five eighths full: LeNet's 10 x 10
  // pixels took 0.31 ms so, gathered 0.40.
  __attribute__((noinline)) static bool fits(const Problem& q) {
    const Window& v = q.window;
    const bool last = lanes_along_c(q.y);
    const bool flat = q.y.shape[kD] == 1 && q.x.shape[kD] == 1 && v.taps[0] == 1 && v.padding[0] == 0;
    const bool floats = q.x.dtype == DType::f32 && q.w.dtype == DType::f32 && q.y.dtype == DType::f32 &&
                        (!q.bias.data || q.bias.dtype == DType::f32);
    const int64_t K = q.y.shape[kC], channels = q.x.shape[kC] * v.stride[1] * v.stride[2];
    return flat && floats && v.taps[1] * v.taps[2] > 1 && K > kDirectChannels && channels > 0 &&
           channels <= kChannels && (last || q.y.stride[kW] == 1) && filled(q.y.shape[kW], last ? kLastRows : L) &&
           filled(K, last ? L : kRows) && band_of(q, 1).bytes <= 4 * kBandBytes;
  }
  static bool filled(int64_t n, int64_t whole) { return 8 * n >= 5 * ceil_div(n, whole) * whole; }

  // Rows [h, h + n) of the output.
  static Problem rows_of(const Problem& q, int64_t h, int64_t n) {
    Problem p = q;
    p.y.shape[kH] = n;
    p.window.padding[1] -= h * q.window.stride[1];
    return p;
  }
  static Planes<float> band_of(const Problem& q, int64_t n) { return Planes<float>(rows_of(q, 0, n)); }
  // As many rows as the cache has room for, and enough bands for several threads.
  static int64_t height(const Problem& q) {
    const int64_t H = q.y.shape[kH];
    int64_t n = min64(H, max64(4, min64(16, q.y.shape[kN] * H / 8)));
    while (n > 1 && band_of(q, n).bytes > kBandBytes) n--;
    return ceil_div(H, ceil_div(H, n));
  }

  explicit Sliding(const Problem& problem)
      : q(problem),
        K(q.y.shape[kC]),
        depth(q.x.shape[kC] * q.window.taps[1] * q.window.taps[2]),
        H(q.y.shape[kH]),
        W(q.y.shape[kW]),
        last(lanes_along_c(q.y)),
        inner(last && q.x.stride[kC] == 1),
        band(height(q)),
        bands(ceil_div(H, band)),
        width(last ? kVectors * L : kRows),
        panels(ceil_div(K, width)),
        planes(band_of(q, band)),
        pixel(inner ? q.x.shape[kC] : 1),
        row(inner ? planes.extent[2] * pixel : planes.row),
        padded_bytes(inner ? align64((planes.extent[1] * row + apart() * kLastRows) * int64_t(sizeof(float)))
                           : planes.bytes + 64) {}  // kLastRows read over the last line's end
  // Between neighbours of the output.
  int64_t apart() const { return inner ? pixel * q.window.stride[2] : 1; }
  int64_t filters_bytes() const { return panels * width * depth * int64_t(sizeof(float)); }
  int64_t bias_bytes() const { return panels * width * int64_t(sizeof(float)); }
  int64_t steps_bytes() const { return align64(depth * int64_t(sizeof(Step))); }
  int64_t bytes(int threads) const {
    return align64(filters_bytes()) + align64(bias_bytes()) + steps_bytes() + threads * padded_bytes;
  }

  void fill_steps(Step* steps) const {
    const Window& v = q.window;
    const int64_t taps = v.taps[1] * v.taps[2];
    for (int64_t k = 0; k < depth; k++) {
      const int64_t c = k / taps, line = planes.shift[1] + k % taps / v.taps[2] * v.dilation[1];
      const int64_t at = planes.shift[2] + k % v.taps[2] * v.dilation[2], phases = planes.phases;
      const int64_t place =
          inner ? line * row + at * pixel + c : c * planes.volume + (line * phases + at % phases) * row + at / phases;
      steps[k] = last ? Step{k * width, place} : Step{place, k * width};
    }
  }

  // The part of a channels-last image under some rows, between zeros.
  __attribute__((noinline)) void pad_pixels(const Problem& part, int64_t image, float* to) const {
    const int64_t top = -part.window.padding[1] - planes.shift[1], left = planes.base[2], C = pixel;
    const View& x = part.x;
    const int64_t lo = min64(planes.extent[2], max64(0, -left)),
                  hi = max64(lo, min64(planes.extent[2], x.shape[kW] - left));
    for (int64_t h = top; h < top + planes.extent[1]; h++, to += row) {
      const int64_t end = h < 0 || h >= x.shape[kH] ? lo : hi;
      __builtin_memset(to, 0, size_t(lo * C) * sizeof(float));
      __builtin_memset(to + end * C, 0, size_t(row - end * C) * sizeof(float));
      const float* from = (const float*)x.data + image * x.stride[kN] + h * x.stride[kH] + left * x.stride[kW];
      const int64_t some = x.stride[kW] == C ? max64(1, end - lo) : 1;  // pixels that lie side by side
      for (int64_t i = lo; i < end; i += some) copy_row(from + i * x.stride[kW], to + i * C, some * C);
    }
  }

  template <bool Last, int NV>
  __attribute__((noinline)) static void multiply(const Tile& t) {
    constexpr int R = Last ? kLastRows : kRows;
    const int64_t apart = Last ? t.apart : 1;
    vf32 acc[R][NV] = {};
    const float *wide[NV], *one = t.one;
    for (int v = 0; v < NV; v++) wide[v] = t.wide[v];
    const Step* end = t.steps + t.depth;
    for (const Step* s = t.steps; s < end; s++) {
      vf32 x[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) x[v] = load(wide[v] + s->wide);
      const float* w = one + s->one;
#pragma GCC unroll 8
      for (int i = 0; i < R; i++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) acc[i][v] = fma(splat<vf32>(w[i * apart]), x[v], acc[i][v]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) {
      if (i >= t.rows) break;
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) {
        const vf32 y = acc[i][v] + (Last ? load(t.bias + v * L) : splat<vf32>(t.bias[i]));
        if ((Last && v < NV - 1) || t.lanes[v] == L) store(t.to[v] + i * t.ld, y);
        else store_n(t.to[v] + i * t.ld, y, t.lanes[v]);
      }
    }
  }
  template <bool Last>
  __attribute__((noinline)) static void run(const Tile& t, int64_t vectors) {
    if (vectors == 1) multiply<Last, 1>(t);
    else multiply<Last, 2>(t);
    if (t.activation == Activation::none) return;
    for (int64_t i = 0; i < t.rows; i++)
      for (int64_t v = 0; v < vectors; v++) activate_row(t.to[v] + i * t.ld, t.lanes[v], t.activation);
  }

  // One panel of output channels of rows [h, h + n); w, bias: the panel's.
  void panel_of(Tile& t, int64_t panel, int64_t n, const float* x, const float* w, float* y) const {
    const int64_t k = panel * width, next = q.window.stride[1] * (inner ? row : planes.phases * row);
    y += k * q.y.stride[kC];
    if (last) {
      const int64_t vectors = min64(kVectors, ceil_div(K - k, L));
      for (int64_t v = 0; v < vectors; v++) {
        t.wide[v] = w + v * L;
        t.lanes[v] = min64(L, K - k - v * L);
      }
      for (int64_t h = 0; h < n; h++)
        for (int64_t j = 0; j < W; j += kLastRows) {
          t.one = x + h * next + j * t.apart;
          t.rows = min64(kLastRows, W - j);
          for (int64_t v = 0; v < vectors; v++) t.to[v] = y + h * q.y.stride[kH] + j * t.ld + v * L;
          run<true>(t, vectors);
        }
      return;
    }
    const int64_t per = ceil_div(W, L), count = n * per;
    t.one = w;
    t.rows = min64(kRows, K - k);
    for (int64_t i = 0; i < count; i += kVectors) {
      const int64_t vectors = min64(kVectors, count - i);
      for (int64_t v = 0; v < vectors; v++) {
        const int64_t h = (i + v) / per, j = (i + v) % per * L;
        t.wide[v] = x + h * next + j;
        t.lanes[v] = min64(L, W - j);
        t.to[v] = y + h * q.y.stride[kH] + j;
      }
      run<false>(t, vectors);
    }
  }

  // Rows from h on of one image; padded: room for its part of the image.
  void rows(int64_t image, int64_t h, const float* filters, const float* bias, const Step* steps, float* padded) const {
    const Problem part = rows_of(q, h, band);
    if (inner) pad_pixels(part, image, padded);
    else Planes<float>(part).pad(part, image, padded);
    Tile t{steps, depth, {}, nullptr, nullptr, apart(), {}, q.y.stride[last ? kW : kC], 0, {}, q.activation};
    float* y = (float*)q.y.data + image * q.y.stride[kN] + h * q.y.stride[kH];
    for (int64_t panel = 0; panel < panels; panel++) {
      t.bias = bias + panel * width;
      panel_of(t, panel, min64(band, H - h), padded, filters + panel * width * depth, y);
    }
  }

  void run(const Ctx& ctx) const {
    float* filters = (float*)ctx.workspace;
    float* bias = (float*)((char*)filters + align64(filters_bytes()));
    Step* steps = (Step*)((char*)bias + align64(bias_bytes()));
    char* padded = (char*)steps + steps_bytes();
    fill_steps(steps);
    Filters<Plain<float>> w{(const float*)q.w.data, K, width, q.w.stride[kN], q.w.stride[kC], q.w.shape[kC], false};
    for (int d = 0; d < 3; d++) {
      w.taps[d] = q.window.taps[d];
      w.stride[d] = q.w.stride[kD + d];
    }
    w.flatten();
    for (int64_t i = 0; i < panels; i++) w.pack(filters + i * width * depth, width, i, 0, depth);
    for (int64_t k = 0; k < panels * width; k++)
      bias[k] = q.bias.data && k < K ? ((const float*)q.bias.data)[k * q.bias.stride[0]] : 0.0f;
    const int64_t tasks = q.y.shape[kN] * bands, work = numel(q.y) / L * depth;
    const int64_t grain = 1 + min64(tasks, tasks * 64 * 1024 / (work + 1));
    parallel_for(ctx, ceil_div(tasks, grain), [&](int64_t t, int worker) {
      for (int64_t i = t * grain; i < min64(tasks, (t + 1) * grain); i++)
        rows(i / bands, i % bands * band, filters, bias, steps, (float*)(padded + worker * padded_bytes));
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
