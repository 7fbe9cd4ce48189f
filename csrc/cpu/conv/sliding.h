// Convolutions of few input channels, float32: the product of filters and image columns, whose columns are read where
// they lie. A band of output rows has its part of the image copied into a zero-padded buffer (conv/direct.h); there the
// pixels under a tap are neighbours, so that a table of the taps' places is all that the kernel needs. To gather
// columns took as long as their product with 32 filters of 27 numbers.
#pragma once
#include "cpu/conv/direct.h"
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {

// Vectors run along the pixels of planar outputs, and along the channels of channels-last ones.
struct Sliding {
  // Rows of sums of planar outputs; of channels-last ones, whose pixels waste fewer of six than filters do.
  static constexpr int64_t L = lanes<float>, kRows = VBYTES == 64 ? 8 : 4, kLastRows = VBYTES == 32 ? 6 : kRows;
  // Pixels under one vector of channels, where that makes fewer tiles: rows of 7, 14 and 28 (8 x 256 in 32 groups, 14 x
  // 14 0.78 ms, 0.58 so).
  static constexpr int64_t kThinRows = VBYTES == 32 ? 7 : kLastRows;
  // Vectors of a tile of planar outputs: with AVX2, four rows under two vectors would wait for their loads.
  static constexpr int64_t kVectors = VBYTES == 32 ? 3 : 2, kLastVectors = 2;
  static constexpr int64_t kChannels = 16;         // of the image, times its phases: from there on gathering costs less
  static constexpr int64_t kBandBytes = 24 << 10;  // of padded image: it stays in the L1 cache
  static constexpr int64_t kFlatBytes = 32 << 10, kFlatChannels = 512;  // the same of 1 x 1 windows
  static constexpr int64_t kFewPixels = 256;                            // of all images, which make a product's rows

  // kRows or kLastRows times some vectors of sums.
  struct Tile {
    const int64_t* places;  // of each step's pixels, from those of the first
    int64_t depth;
    const float *pixels[kVectors], *filters, *bias;
    int64_t apart;  // from one row's pixel to the next's
    float* to[kVectors];
    int64_t ld, rows, lanes[kVectors];
    bool far;  // `to` may lie outside the caches
  };

  const Problem& q;
  const bool flat;  // a 1 x 1 window: the pixels of an image are H rows of one
  const int64_t K, depth, H, W;
  const bool turned;       // sums of planar outputs are channels-last until they are done
  const bool last, inner;  // inner: channels-last images stay so in the buffer
  int64_t band, bands, width, panels;
  Planes<float> planes;
  int64_t pixel, row, padded_bytes;  // of the buffer: floats from pixel to pixel and line to line

  // Two dimensions, more than one tap, and vectors and rows of sums that are five eighths full: LeNet's 10 x 10
  // pixels took 0.31 ms so, gathered 0.40.
  __attribute__((noinline)) static bool fits(const Problem& q) {
    const Window& v = q.window;
    if (is_flat(q)) return true;
    const bool last = lanes_along_c(q.y);
    const bool flat = q.y.shape[kD] == 1 && q.x.shape[kD] == 1 && v.taps[0] == 1 && v.padding[0] == 0;
    const int64_t K = q.y.shape[kC], channels = q.x.shape[kC] * v.stride[1] * v.stride[2];
    return flat && floats(q) && v.taps[1] * v.taps[2] > 1 && K > kDirectChannels && channels > 0 &&
           channels <= kChannels && (last || q.y.stride[kW] == 1) && filled(q.y.shape[kW], last ? kLastRows : L) &&
           filled(K, last ? L : kRows) && band_of(q, 1).bytes <= 4 * kBandBytes;
  }
  static bool floats(const Problem& q) {
    return q.x.dtype == DType::f32 && q.w.dtype == DType::f32 && q.y.dtype == DType::f32 &&
           (!q.bias.data || q.bias.dtype == DType::f32);
  }
  // 1 x 1 windows of planes, one or two pixels apart.
  static bool is_flat(const Problem& q) {
    const Window& v = q.window;
    const View &x = q.x, &y = q.y;
    if (VBYTES != 32) return false;
    int64_t next = 1;
    for (int d = 2; d >= 0; d--) {
      if (v.taps[d] != 1 || v.padding[d] != 0 || (y.shape[kD + d] - 1) * v.stride[d] >= x.shape[kD + d] ||
          (y.shape[kD + d] > 1 && y.stride[kD + d] != next))
        return false;
      next *= y.shape[kD + d];
    }
    // Up to 16 filters take an image where it lies in less time than it is copied (64 -> 6, 56 x 56: 138 and 174 us).
    // From 96 filters on only what loses nothing at the end of an image beats channels-last bands (conv/bands.h).
    const int64_t tile = kVectors * L, room = ceil_div(next, tile) * tile;
    const bool many = y.shape[kC] >= 96, single = v.stride[0] * v.stride[1] * v.stride[2] == 1;
    return floats(q) && y.shape[kC] > 16 && x.stride[kW] == 1 && y.stride[kW] == 1 && v.stride[2] <= 2 &&
           x.shape[kC] > 0 && x.shape[kC] <= kFlatChannels && y.shape[kN] * next > kFewPixels &&
           filled(y.shape[kC], kRows) && (many ? single && 20 * next >= 19 * room : filled(next, tile));
  }
  // Whether filters fill three quarters of their vectors, and the pixels of a row do not.
  static bool turns(const Problem& q) {
    const int64_t W = q.y.shape[kW], K = q.y.shape[kC];
    return VBYTES == 32 && !lanes_along_c(q.y) && 4 * W < 3 * ceil_div(W, L) * L && 4 * K >= 3 * ceil_div(K, L) * L;
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
  // Pixels of a 1 x 1 window's band: whole tiles.
  static int64_t flat_band(const Problem& q) {
    constexpr int64_t some = kVectors * L;
    const int64_t all = q.y.shape[kD] * q.y.shape[kH] * q.y.shape[kW];
    const int64_t most = max64(1, min64(10, kFlatBytes / 4 / some / q.x.shape[kC])) * some;
    return ceil_div(ceil_div(all, ceil_div(all, most)), some) * some;
  }
  // As many rows as the cache has room for, and enough bands for several threads.
  static int64_t height(const Problem& q) {
    const int64_t H = q.y.shape[kH];
    int64_t n = min64(H, max64(4, min64(16, q.y.shape[kN] * H / 8)));
    while (n > 1 && band_of(q, n).bytes > kBandBytes) n--;
    return ceil_div(H, ceil_div(H, n));
  }

  explicit Sliding(const Problem& problem)
      : q(problem),
        flat(is_flat(q)),
        K(q.y.shape[kC]),
        depth(q.x.shape[kC] * q.window.taps[1] * q.window.taps[2]),
        H(flat ? q.y.shape[kD] * q.y.shape[kH] * q.y.shape[kW] : q.y.shape[kH]),
        W(q.y.shape[kW]),
        turned(!flat && turns(q)),
        last(turned || lanes_along_c(q.y)),
        inner(last && q.x.stride[kC] == 1),
        band(flat ? flat_band(q) : height(q)),
        bands(ceil_div(H, band)),
        width(last ? kLastVectors * L : kRows),
        panels(ceil_div(K, width)),
        planes(band_of(q, flat ? 1 : band)),
        pixel(inner ? q.x.shape[kC] : 1),
        row(inner  ? planes.extent[2] * pixel
            : flat ? band <= kVectors * L ? band : (ceil_div(band, 16) | 1) * 16  // an odd number of lines
                   : planes.row),
        padded_bytes(inner  ? align64((planes.extent[1] * row + apart() * kThinRows) * int64_t(sizeof(float)))
                     : flat ? q.x.shape[kC] * row * int64_t(sizeof(float))
                            : planes.bytes + 64) {}  // kThinRows read over the last line's end
  // Between neighbours of the output.
  int64_t apart() const { return inner ? pixel * q.window.stride[2] : 1; }
  int64_t filters_bytes() const { return panels * width * depth * int64_t(sizeof(float)); }
  int64_t bias_bytes() const { return panels * width * int64_t(sizeof(float)); }
  int64_t places_bytes() const { return align64(depth * int64_t(sizeof(int64_t))); }
  int64_t sums_bytes() const { return turned ? band * W * width * int64_t(sizeof(float)) : 0; }
  int64_t bytes(int threads) const {
    return align64(filters_bytes()) + align64(bias_bytes()) + places_bytes() + threads * (padded_bytes + sums_bytes());
  }

  void fill_places(int64_t* places) const {
    const Window& v = q.window;
    const int64_t taps = v.taps[1] * v.taps[2];
    for (int64_t k = 0; k < depth; k++) {
      const int64_t c = k / taps, line = planes.shift[1] + k % taps / v.taps[2] * v.dilation[1];
      const int64_t at = planes.shift[2] + k % v.taps[2] * v.dilation[2], phases = planes.phases;
      places[k] = inner  ? line * row + at * pixel + c
                  : flat ? k * row
                         : c * planes.volume + (line * phases + at % phases) * row + at / phases;
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

  // Whether a 1 x 1 window's planes are single rows.
  bool whole() const {
    const View& x = q.x;
    const int64_t lines = q.y.shape[kH], *step = q.window.stride;
    return step[0] * step[1] * step[2] == 1 && (lines == 1 || x.stride[kH] == W) &&
           (q.y.shape[kD] == 1 || x.stride[kD] == W * lines);
  }
  // Pixels [p, p + n) under a 1 x 1 window.
  __attribute__((noinline)) void copy_pixels(const float* x, int64_t p, int64_t n, float* to) const {
    const int64_t lines = q.y.shape[kH], *step = q.window.stride, *stride = q.x.stride;
    for (int64_t at = 0, some; at < n; at += some, p += some) {
      const int64_t line = p / W, w = p % W;
      const float* from = x + line / lines * step[0] * stride[kD] + line % lines * step[1] * stride[kH] + w * step[2];
      some = whole() ? n : min64(n - at, W - w);
      for (int64_t c = 0; c < depth; c++, from += stride[kC])
        (step[2] == 1 ? copy_row<float> : copy_even<float>)(from, to + c * row + at, some);
    }
  }

  template <bool Last, int NV, int R = Last ? kLastRows : kRows>
  __attribute__((noinline)) static void multiply(const Tile& t) {
    const int64_t apart = t.apart;
    vf32 acc[R][NV] = {};
    const float *pixels[NV], *filters = t.filters;
    for (int v = 0; v < NV; v++) pixels[v] = t.pixels[v];
    const int64_t* end = t.places + t.depth;
    for (int i = 0; !Last && t.far && i < R; i++)
      for (int v = 0; v < NV; v++) __builtin_prefetch(t.to[v] + i * t.ld, 1);
    for (const int64_t* place = t.places; place < end; place++) {
      vf32 x[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) x[v] = load(Last ? filters + v * L : pixels[v] + *place);
      const float* w = Last ? pixels[0] + *place : filters;
#pragma GCC unroll 8
      for (int i = 0; i < R; i++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) acc[i][v] = fma(splat<vf32>(w[Last ? i * apart : i]), x[v], acc[i][v]);
      filters += Last ? kLastVectors * L : kRows;
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
    constexpr int most = Last ? kLastVectors : kVectors;
    if (Last && kThinRows > kLastRows && t.rows > kLastRows) multiply<Last, 1, Last ? kThinRows : kRows>(t);
    else if (vectors == 1 && (Last || VBYTES == 64)) multiply<Last, 1>(t);
    else if (Last && kLastRows == 6 && t.rows <= 5) multiply<Last, most, 5>(t);
    else multiply<Last, most>(t);
  }

  // One panel of output channels of n rows of W pixels; x, y: the first.
  __attribute__((noinline)) void panel_of(Tile& t, int64_t panel, int64_t n, int64_t W, const float* x, float* y,
                                          float* sums) const {
    const int64_t k = panel * width, next = q.window.stride[1] * (inner ? row : planes.phases * row);
    y += k * q.y.stride[kC];
    if (last) {
      const int64_t vectors = min64(kLastVectors, ceil_div(K - k, L)), sh = turned ? W * width : q.y.stride[kH];
      float* to = turned ? sums : y;
      const int64_t tiles = ceil_div(W, kLastRows);
      int64_t most = kLastRows == 6 && ceil_div(W, 5) == tiles ? 5 : kLastRows;  // rows of 10: 5 and 5
      if (vectors == 1 && ceil_div(W, kThinRows) < tiles) most = kThinRows;
      for (int64_t v = 0; v < vectors; v++) t.lanes[v] = min64(L, K - k - v * L);
      for (int64_t h = 0; h < n; h++)
        for (int64_t j = 0; j < W; j += t.rows) {
          t.pixels[0] = x + h * next + j * t.apart;
          t.rows = min64(most, W - j);
          for (int64_t v = 0; v < vectors; v++) t.to[v] = to + h * sh + j * t.ld + v * L;
          run<true>(t, vectors);
        }
      if (!turned) return;
      const bool whole = q.y.stride[kH] == W;  // all rows at once
      for (int64_t h = 0; h < n; h += whole ? n : 1)
        turn_planes((uint32_t*)y + h * q.y.stride[kH], q.y.stride[kC], (const uint32_t*)sums + h * sh, width,
                    min64(width, K - k), whole ? n * W : W);
      return;
    }
    const int64_t per = ceil_div(W, L), count = n * per;
    t.rows = min64(kRows, K - k);
    for (int64_t i = 0, j = 0; i < count; i += kVectors) {
      for (int64_t v = 0; v < kVectors; v++) {
        t.pixels[v] = x + j;
        t.lanes[v] = min64(L, W - j);
        t.to[v] = y + j;
        if (i + v + 1 >= count) continue;  // the last vector once more
        j += L;
        if (j < W) continue;
        j = 0;
        x += next;
        y += q.y.stride[kH];
      }
      run<false>(t, min64(kVectors, count - i));
    }
  }

  Tile tile(const int64_t* places) const {
    const int64_t ld = turned ? width : q.y.stride[last ? kW : kC];
    return {places, depth, {}, nullptr, nullptr, apart(), {}, ld, 0, {}, flat};
  }
  void use_panel(Tile& t, int64_t panel, const float* filters, const float* bias) const {
    t.bias = bias + panel * width;
    t.filters = filters + panel * width * depth;
  }

  // Rows from h on of one image; padded: room for its part of the image, and for sums.
  void rows(int64_t image, int64_t h, const float* filters, const float* bias, const int64_t* places,
            float* padded) const {
    const Problem part = rows_of(q, h, band);
    if (inner) pad_pixels(part, image, padded);
    else Planes<float>(part).pad(part, image, padded);
    Tile t = tile(places);
    float* y = (float*)q.y.data + image * q.y.stride[kN] + h * q.y.stride[kH];
    for (int64_t panel = 0; panel < panels; panel++) {
      use_panel(t, panel, filters, bias);
      panel_of(t, panel, min64(band, H - h), W, padded, y, (float*)((char*)padded + padded_bytes));
    }
  }

  // Pixels from p on of one image under a 1 x 1 window. All filters meet those of a tile while they lie in the L1
  // cache. Meanwhile the next band is fetched, some planes a panel: all at once their lines would wait for each other
  // (32 x 96 -> 24, 56 x 56, one core 9.9 ms, 7.6 so).
  void pixels(int64_t image, int64_t p, const float* filters, const float* bias, const int64_t* places,
              float* copy) const {
    const int64_t n = min64(band, H - p), some = kVectors * L, more = whole() ? min64(band, H - p - n) : 0;
    const float *x = (const float*)q.x.data + image * q.x.stride[kN], *next = x + p + n;
    copy_pixels(x, p, n, copy);
    Tile t = tile(places);
    float* y = (float*)q.y.data + image * q.y.stride[kN] + p;
    const int64_t share = ceil_div(depth, ceil_div(n, some) * panels);
    int64_t c = 0;
    for (int64_t j = 0; j < n; j += some)
      for (int64_t panel = 0; panel < panels; panel++) {
        for (const int64_t end = min64(depth, c + share); c < end; c++, next += q.x.stride[kC])
          for (int64_t i = 0; i < more; i += 16) __builtin_prefetch(next + i, 0, 2);
        use_panel(t, panel, filters, bias);
        panel_of(t, panel, 1, min64(some, n - j), copy + j, y + j, nullptr);
      }
  }

  void run(const Ctx& ctx) const {
    float* filters = (float*)ctx.workspace;
    float* bias = (float*)((char*)filters + align64(filters_bytes()));
    int64_t* places = (int64_t*)((char*)bias + align64(bias_bytes()));
    char* padded = (char*)places + places_bytes();
    fill_places(places);
    const auto w = filters_of<Plain<float>>(q, width, false);
    for (int64_t i = 0; i < panels; i++) w.pack(filters + i * width * depth, width, i, 0, depth);
    for (int64_t k = 0; k < panels * width; k++)
      bias[k] = q.bias.data && k < K ? ((const float*)q.bias.data)[k * q.bias.stride[0]] : 0.0f;
    const int64_t tasks = q.y.shape[kN] * bands, work = numel(q.y) / L * depth;
    const int64_t small = 1 + min64(tasks, tasks * 64 * 1024 / (work + 1));
    const int64_t grain = flat ? max64(small, min64(8, tasks / 16)) : small;  // a band fetches the next one's image
    parallel_for(ctx, ceil_div(tasks, grain), [&](int64_t t, int worker) {
      float* own = (float*)(padded + worker * (padded_bytes + sums_bytes()));
      for (int64_t i = t * grain; i < min64(tasks, (t + 1) * grain); i++)
        if (VBYTES == 32 && flat) pixels(i / bands, i % bands * band, filters, bias, places, own);
        else rows(i / bands, i % bands * band, filters, bias, places, own);
    });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
