// Windows with few channels out of them, float32, transposed or of stride 1: the gradient of a first layer's image, a
// generator's last layer. Each tap of each such channel is a row of one product with the pixels, whose columns become
// sums of shifted rows while they lie in the L2 cache. With three channels a convolution, of each remainder modulo the
// stride, fills three of eight lanes or of six rows: 64 x 64 -> 3, 32 x 32, 4 x 4 of stride 2 took 22.8 ms, 5.8 so.
#pragma once
#include "cpu/conv/direct.h"
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {

struct Columns {
  using Op = Plain<float>;
  static constexpr int64_t L = lanes<float>, kWide = Op::NV * L;
  static constexpr int64_t kChannels = 8, kTaps = 64;  // of y, at most; of a window
  static constexpr int64_t kBytes = 320 << 10;         // of a block: what stays in the L2 cache
  static constexpr int64_t kTasks = 16, kReach = 32;

  View y, x, w, bias;  // y[i] = bias + sum of x[o] w[t] over i = o * stride - padding + t * dilation; w: (K, C, taps)
  ConvArgs args;       // a window that runs backwards has a negative dilation, and padding
  int64_t K, C, R, S, rows, panels;          // channels of x, of y; taps; rows of a panel of the product; panels
  int64_t first = 0, last = 0;               // columns of x beside those of y that have no remainder
  int64_t band, span;                        // rows and columns of a block of y
  int64_t bands, spans, lines, wide, pitch;  // blocks; rows and columns of x under one; floats of a row of the product
  int64_t rest = 0;                          // zeros behind the last row

  static bool fits(const View& y, const View& x, const View& w, const ConvArgs& a) {
    const int64_t taps = w.shape[kH] * w.shape[kW], C = w.shape[kC], K = w.shape[kN];
    // Of few channels, 16 -> 3 or 32 -> 8 in windows of stride 1, the sums take longer than the product (0.7).
    const bool pays = K >= 8 && (C == 1 || a.stride[1] * a.stride[2] > 1 || K >= (C < 8 ? 32 : 48));
    // A vector of channels, where they need not be turned, or in large windows of stride 1: bands (64 -> 8, 56 x 56, 7
    // x 7 54 ms here, 11.6 there; the gradient of 8 -> 16, 3 x 3 of stride 2, channels last 291 and 209 us, planar 234
    // and 256).
    const bool vector = VBYTES == 32 && C == L && (lanes_along_c(y) || (a.stride[1] * a.stride[2] == 1 && taps > 16));
    bool near = true;  // wider windows would leave the L2 cache
    for (int d = 1; d < 3; d++) near &= (w.shape[kD + d] - 1) * max64(a.dilation[d], -a.dilation[d]) <= kReach;
    const bool flat = near && w.shape[kD] == 1 && y.shape[kD] == 1 && x.shape[kD] == 1 && a.padding[0] == 0;
    return x.dtype == DType::f32 && w.dtype == DType::f32 && a.groups == 1 && C <= kChannels && pays && taps > 1 &&
           taps <= kTaps && flat && a.stride[2] <= 2 && numel(x) > 0 && !vector;
  }

  // A convolution's window of stride 1, backwards.
  static ConvArgs backwards(const Problem& q) {
    ConvArgs a{{1, 1, 1}, {}, {}, 1, q.direct};
    for (int d = 0; d < 3; d++) {
      a.padding[d] = -q.window.padding[d];
      a.dilation[d] = -q.window.dilation[d];
    }
    return a;
  }
  static bool fits(const Problem& q) {
    const int64_t* step = q.window.stride;
    return step[0] * step[1] * step[2] == 1 && fits(q.y, q.x, exchanged(q.w), backwards(q));
  }
  explicit Columns(const Problem& q) : Columns(q.y, q.x, exchanged(q.w), backwards(q), q.bias) {}

  static int64_t down(int64_t a, int64_t b) { return a >= 0 ? a / b : -ceil_div(-a, b); }

  __attribute__((cold)) Columns(const View& to, const View& from, const View& filters, const ConvArgs& a,
                                const View& offset = {})
      : y(to),
        x(from),
        w(filters),
        bias(offset),
        args(a),
        K(w.shape[kN]),
        C(w.shape[kC]),
        R(w.shape[kH]),
        S(w.shape[kW]) {
    const int64_t M = C * R * S, s = args.stride[2], W = x.shape[kW];
    panels = ceil_div(M, Op::MR);
    rows = ceil_div(M, panels);
    panels = ceil_div(M, rows);
    first = down(args.padding[2] - max64(0, reach(2)), s);
    last = down(s - 1 + args.padding[2] - min64(0, reach(2)), s);
    band = y.shape[kH];
    span = y.shape[kW];
    // Low blocks first: long rows are fetched ahead by the hardware.
    for (layout(); block_bytes() > kBytes && (band > args.stride[1] || span > kWide); layout()) {
      if (band > 8 * args.stride[1] || span <= kWide) band = ceil_div(band, 2);
      else span = ceil_div(ceil_div(span, 2), kWide) * kWide;
    }
    while (y.shape[kN] * bands * spans < kTasks && band > 4 * args.stride[1]) {
      band = ceil_div(band, 2);
      layout();
    }
    if (spans == 1) {  // rows of x share the zeros between them
      const int64_t left = max64(0, -first);
      wide = W + max64(left, last + ceil_div(span, s) - W);
      first = -left;
      rest = left;
      layout_rows();
    }
  }
  // From the first tap to the last one.
  int64_t reach(int d) const { return (w.shape[kD + d] - 1) * args.dilation[d]; }
  void layout() {
    bands = ceil_div(y.shape[kH], band);
    spans = ceil_div(y.shape[kW], span);
    wide = ceil_div(span, args.stride[2]) + last - first;
    layout_rows();
  }
  void layout_rows() {
    lines = min64(x.shape[kH], (band - 1 + max64(reach(1), -reach(1))) / args.stride[1] + 1);
    pitch = (columns(lines) / 16 | 1) * 16;  // an odd number of cache lines
  }
  // Columns of the product of n rows of x.
  int64_t columns(int64_t n) const { return ceil_div(ceil_div(n * wide + rest, kWide) * kWide, 16) * 16; }
  int64_t image_floats() const { return K * pitch + kWide; }
  int64_t sums_floats() const { return C * R * S * pitch + kWide; }
  int64_t line_floats() const { return ceil_div(span, kWide) * kWide; }
  int64_t block_bytes() const {
    return align64((image_floats() + sums_floats() + line_floats()) * int64_t(sizeof(float)));
  }
  int64_t filter_bytes() const { return align64(panels * rows * K * int64_t(sizeof(float))); }
  int64_t bytes(int threads) const { return filter_bytes() + threads * block_bytes(); }

  // Row m of the product: tap m % (R S) of channel m / (R S).
  void pack(int64_t panel, float* to) const {
    const int64_t n = min64(rows, C * R * S - panel * rows);
    for (int64_t i = 0; i < n; i++) {
      const int64_t m = panel * rows + i;
      const float* from =
          (const float*)w.data + m / (R * S) * w.stride[kC] + m / S % R * w.stride[kH] + m % S * w.stride[kW];
      for (int64_t k = 0; k < K; k++) to[k * n + i] = from[k * w.stride[kN]];
    }
  }

  // Rows [a, b) of one image, columns [c, c + wide), zeros where there are none.
  void fill(int64_t image, int64_t a, int64_t b, int64_t c, float* to) const {
    const int64_t lo = min64(wide, max64(0, -c)), hi = max64(lo, min64(wide, x.shape[kW] - c)), n = hi - lo;
    const int64_t sc = x.stride[kC], sw = x.stride[kW], end = columns(b - a);
    const float* from = (const float*)x.data + image * x.stride[kN] + a * x.stride[kH] + (c + lo) * sw;
    auto clear = [](float* p, int64_t n) {
      for (int64_t i = 0; i < n; i++) p[i] = 0;
    };
    for (int64_t k = 0; k < K; k++) {
      float* row = to + k * pitch;
      for (int64_t h = a; h < b; h++, row += wide) {
        clear(row, lo);
        clear(row + hi, wide - hi);
        const float* line = from + k * sc + (h - a) * x.stride[kH];
        for (int64_t i = 0; sw == 1 && k + 1 < K && i < n; i += 16) __builtin_prefetch(line + sc + i, 0, 2);
        if (sw == 1) copy_row(line, row + lo, n);
        else if (sc != 1)
          for (int64_t i = 0; i < n; i++) row[lo + i] = line[i * sw];
      }
      clear(row, to + k * pitch + end - row);
    }
    if (sw != 1 && sc == 1)
      for (int64_t h = a; h < b; h++, from += x.stride[kH], to += wide)
        turn_planes((uint32_t*)to + lo, pitch, (const uint32_t*)from, sw, K, n);
  }

  // Row h of n columns of one channel, from the product of rows [a, b) of x.
  void sum(const float* sums, int64_t c, int64_t h, int64_t n, int64_t a, int64_t b, float offset, float* line) const {
    const int64_t s = args.stride[2];
    const float* part[2][kTaps];
    int count[2] = {};
    for (int64_t r = 0; r < R; r++) {
      const int64_t o = h + args.padding[1] - r * args.dilation[1];
      if (o < a * args.stride[1] || o >= b * args.stride[1] || o % args.stride[1] != 0) continue;
      for (int64_t q = 0; q < S; q++)
        for (int64_t e = 0; e < s; e++) {
          const int64_t at = e + args.padding[2] - q * args.dilation[2];
          if (at % s == 0)
            part[e][count[e]++] =
                sums + (c * R * S + r * S + q) * pitch + (o / args.stride[1] - a) * wide + at / s - first;
        }
    }
    const vf32 all_of = splat<vf32>(offset);
    for (int64_t j = 0; s * j < n; j += L) {
      vf32 all[2] = {all_of, all_of};
      for (int64_t e = 0; e < s; e++)
        for (int i = 0; i < count[e]; i++) all[e] += load(part[e][i] + j);
      if (s == 2) interleave(all[0], all[1], all[0], all[1]);
      for (int64_t e = 0; e < s; e++) store(line + s * j + e * L, all[e]);
    }
  }

  void block(int64_t task, const float* filters, float* image) const {
    float *sums = image + image_floats(), *line = sums + sums_floats();
    const int64_t n = task / (bands * spans), h0 = task / spans % bands * band, w0 = task % spans * span;
    const int64_t h1 = min64(y.shape[kH], h0 + band), some = min64(span, y.shape[kW] - w0);
    const int64_t a = max64(0, -down(max64(0, reach(1)) - h0 - args.padding[1], args.stride[1])),
                  b = max64(
                      a, min64(x.shape[kH], down(h1 - 1 + args.padding[1] - min64(0, reach(1)), args.stride[1]) + 1));
    fill(n, a, b, w0 / args.stride[2] + first, image);
    for (int64_t j = 0; j < (b - a) * wide + rest; j += kWide)
      for (int64_t panel = 0; panel < panels; panel++) {
        const int64_t m = min64(rows, C * R * S - panel * rows);
        for (int64_t k = 0; k < K; k += Op::KC)
          MicroKernels<Op, true>::table.at[Op::NV - 1][m - 1](
              min64(Op::KC, K - k), {filters + panel * rows * K + k * m, 1, m}, {image + k * pitch + j, 1, pitch},
              sums + panel * rows * pitch + j, pitch, kWide, k > 0, filters);
      }
    const RowTo<float> row_to = row_to_fn<float>(y.dtype);
    const int64_t size = kDTypeSize[int(y.dtype)];
    for (int64_t c = 0; c < C; c++) {
      float offset = 0;
      if (bias.data)
        row_from_fn<float>(bias.dtype)((const char*)bias.data + c * bias.stride[0] * kDTypeSize[int(bias.dtype)], 1,
                                       &offset, 1);
      for (int64_t h = h0; h < h1; h++) {
        sum(sums, c, h, some, a, b, offset, line);
        row_to(line,
               (char*)y.data + (n * y.stride[kN] + c * y.stride[kC] + h * y.stride[kH] + w0 * y.stride[kW]) * size,
               y.stride[kW], some);
      }
    }
  }

  void run(const Ctx& ctx) const {
    float* filters = (float*)ctx.workspace;
    char* own = (char*)ctx.workspace + filter_bytes();
    for (int64_t p = 0; p < panels; p++) pack(p, filters + p * rows * K);
    parallel_for(ctx, y.shape[kN] * bands * spans,
                 [&](int64_t task, int worker) { block(task, filters, (float*)(own + worker * block_bytes())); });
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
