// Depthwise convolutions, float32, two axes: the kernels that both memory orders share. Vectors run along the width of
// planar images and along the channels of channels-last ones; eight rows of the output at once, so that a vector of the
// image serves up to three of them.
#pragma once
#include "cpu/conv/direct.h"

namespace mielina {
namespace MIELINA_ISA {

// y (N, K, 1, H, W), x (N, C, 1, ...), w (K, 1, 1, taps), K a multiple of C.
struct DepthwiseRows {
  static constexpr int64_t L = lanes<float>, kRows = 8, kTaps = 128, kTapRows = 16;
  static constexpr int kShare = VBYTES == 16 ? 1 : 3;  // rows of a window at once; CPUs of before 2013 get less code
  // With AVX2, under a stride of two along planar rows, one tap after the other, each by one shuffle of two loads,
  // whose order of lanes the sums keep until they are stored.
  static constexpr bool kMixed = VBYTES == 32;
  // Rows of an output's block under a stride of two: four fill 28 and 56 and leave registers, and their nine lines
  // nearly fit a set of the L1 cache, which lines of 56 pixels of 128 channels share (one core, 1.3 to 1.4 times as
  // fast).
  static constexpr int kPaced = kMixed ? 4 : 8;
  template <int Pace>
  static constexpr int kTogether = Pace == 2 && !kMixed ? 2 : 1;  // taps

  // Of the L (planes under a stride of two: 2 L) neighbours under a tap, [a, z) lie inside the image.
  struct Span {
    int32_t a, z;
  };
  // A window that runs forwards: input coordinate = output * stride + base + tap * gap, along (height, width).
  struct Part {
    int64_t taps[2], base[2], stride[2], gap[2], step[2];
    const float* w;
    explicit Part(const Problem& q) : w((const float*)q.w.data) {
      for (int d = 0; d < 2; d++) {
        taps[d] = q.window.taps[1 + d];
        stride[d] = q.window.stride[1 + d];
        gap[d] = q.window.dilation[1 + d];
        base[d] = -q.window.padding[1 + d];
        step[d] = q.w.stride[kH + d];
        if (gap[d] >= 0 || taps[d] == 0) continue;
        base[d] += (taps[d] - 1) * gap[d];
        w += (taps[d] - 1) * step[d];
        gap[d] = -gap[d];
        step[d] = -step[d];
      }
    }
  };
  // Rows of an output's block: from `line` and `at` on in the image, taps `gap` apart, the filters' vectors.
  struct Block {
    const float* const* line;
    int64_t at, gap, taps;
    const Span* span;  // of tap s: span[s * span_step]
    int64_t span_step;
    float* w;  // vectors of tap (r, s): w[r * w_row + s * w_step]; the filters' gradient adds to them
    int64_t w_row, w_step;
  };

  Problem q;
  Part part;
  int64_t K, C, H, W, Q;
  int64_t pace;   // pixels from lane to lane
  int64_t step;   // rows of the image from row to row of the output, where its vectors are shared
  int64_t block;  // rows of the output at once: eight, seven where they fit better, or kPaced
  int64_t apart;  // from the lines of a tap to those of the tap below

  static bool fits(const Problem& q) {
    const Window& v = q.window;
    return q.x.dtype == DType::f32 && q.w.dtype == DType::f32 && q.w.shape[kC] == 1 && q.x.shape[kC] > 0 &&
           q.w.shape[kN] == q.y.shape[kC] && q.y.shape[kC] % q.x.shape[kC] == 0 && q.x.shape[kD] == 1 &&
           q.y.shape[kD] == 1 && v.taps[0] == 1 && v.padding[0] == 0 && v.taps[1] <= kTapRows &&
           v.taps[1] * v.taps[2] <= kTaps && q.y.shape[kH] >= 4;
  }

  DepthwiseRows(const Problem& problem, int64_t lanes_apart) : q(problem), part(problem), pace(lanes_apart) {
    K = q.y.shape[kC];
    C = q.x.shape[kC];
    H = q.y.shape[kH];
    W = q.x.shape[kW];
    Q = q.y.shape[kW];
    const bool shared = part.gap[0] == 1 && part.stride[0] <= 2 && (pace == 1 || part.stride[0] == 2);
    step = shared ? part.stride[0] : pace;
    apart = shared ? 1 : step * kRows;
    block = step == 1 ? 8 - (ceil_div(H, 7) * 7 < ceil_div(H, 8) * 8) : kPaced;
  }

  // The rows of the image under a block of rows of the output from h on, for each of the window's.
  __attribute__((noinline)) void lines(const float* x, int64_t h, const float* zeros, const float** to) const {
    const Part& p = part;
    const int64_t pitch = q.x.stride[kH], rows = apart == 1 ? 1 : p.taps[0], next = apart == 1 ? 1 : p.stride[0];
    const int64_t each = apart == 1 ? step * (block - 1) + p.taps[0] : block, skip = apart == 1 ? 1 : step;
    for (int64_t r = 0; r < rows; r++, to += apart) {
      int64_t row = h * p.stride[0] + p.base[0] + r * p.gap[0];
      const float* from = x + row * pitch;
      for (int64_t i = 0; i < each; i++, row += next, from += next * pitch)
        to[i * skip] = uint64_t(row) < uint64_t(q.x.shape[kH]) ? from : zeros;
    }
  }
  struct Lines {
    const float* at[2 * kRows * kTapRows];
  };
  // Of a row's taps, [first, last) lie inside the image under column j.
  struct Inside {
    int64_t first, last, at;  // at: the column of the image under the first
  };
  Inside inside(int64_t j) const {
    Inside i{0, part.taps[1], j * part.stride[1] + part.base[1]};
    while (i.first < i.last && i.at + (i.last - 1) * part.gap[1] >= W) i.last--;
    for (; i.first < i.last && i.at < 0; i.at += part.gap[1]) i.first++;
    return i;
  }

  // Whether a vector needs no mask, which takes a cycle more (channels last, 32 x 56 x 56, 5 x 5: 0.56 to 0.40 ms).
  // Vectors of 16 along a row mostly do, and the question costs as much: it is asked once, for all taps of a span.
  template <int Pace>
  MIELINA_INLINE bool is_whole(Span s, bool all) {
    return VBYTES < 64 ? s.a == 0 && s.z >= Pace * (L - 1) + 1 : all;
  }
  template <int Pace>
  MIELINA_INLINE bool all_whole(const Block& b) {
    return VBYTES == 64 && b.span_step == 0 && b.span->a == 0 && b.span->z >= Pace * (L - 1) + 1;
  }
  // The order of lanes that `get` makes, and back.
  template <int Pace>
  MIELINA_INLINE vf32 mixed(vf32 v) {
#if MIELINA_V256
    if constexpr (Pace == 2) return (vf32)_mm256_permute4x64_pd((__m256d)v, 0xd8);
#endif
    return v;
  }
  // L pixels under a tap and, where two are taken together, those under the next one.
  template <int Pace>
  MIELINA_INLINE void get(const float* p, Span s, bool whole, vf32 (&v)[kTogether<Pace>]) {
    if constexpr (Pace == 1) {
      if (whole) return void(v[0] = load(p));
      v[0] = load_between<float>(p, s.a, s.z);
    } else if constexpr (kMixed) {
#if MIELINA_V256
      const vf32 low = whole ? load(p) : load_between<float>(p, s.a, s.z);
      const vf32 high = whole ? load(p + L - 1) : load_between<float>(p + L - 1, s.a - (L - 1), s.z - (L - 1));
      v[0] = (vf32)_mm256_shuffle_ps((__m256)low, (__m256)high, 0xd8);
#endif
    } else {
      const int64_t a = s.a, z = s.z;
      const vf32 low = load_between<float>(p, min64(a, L), min64(z, L));
      const vf32 high = load_between<float>(p + L, max64(a - L, 0), max64(z - L, 0));
      v[0] = half_of<false>(low, high);
      v[1] = half_of<true>(low, high);
    }
  }

  // The compiler would keep all lines in registers of which there are too few, the rest in vector registers.
  MIELINA_INLINE void reload(const float* const*& line) { asm("" : "+r"(line)); }

  // sum, of rows `step` apart, = start or, without it, += R rows of the window over N rows of the output, whose rows of
  // the image lie Step apart and lanes Pace.
  template <int R, int Step, int Pace, int N = 8>
  __attribute__((noinline)) static void add(const Block& b, const float* const* line, const float* w0,
                                            const float* start, float* sum, int64_t next) {
    vf32 acc[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) acc[i] = mixed<Pace>(load(start ? start : sum + i * next));
    int64_t at = b.at;
    const Span* span = b.span;
    const bool all = all_whole<Pace>(b);
    const float* w = w0;
    constexpr int T = kTogether<Pace>;
    for (int64_t s = 0; s < b.taps; s += T, at += b.gap * T, w += b.w_step * T, span += b.span_step * T) {
      const bool two = T == 2 && s + 1 < b.taps;
      reload(line);
      vf32 weight[R][2];
#pragma GCC unroll 3
      for (int r = 0; r < R; r++) {
        weight[r][0] = load(w + r * b.w_row);
        if (two) weight[r][1] = load(w + r * b.w_row + b.w_step);
      }
      const Span inside = *span;
      const bool whole = is_whole<Pace>(inside, all);
#pragma GCC unroll 17
      for (int m = 0; m < Step * (N - 1) + R; m++) {
        if (R == 1 && m % Step != 0) continue;
        vf32 v[T];
        get<Pace>(line[m] + at, inside, whole, v);
#pragma GCC unroll 3
        for (int r = 0; r < R; r++) {
          const int i = (m - r) / Step;
          if (m < r || (m - r) % Step != 0 || i >= N) continue;
          acc[i] = fma(weight[r][0], v[0], acc[i]);
          if (two) acc[i] = fma(weight[r][1], v[T - 1], acc[i]);
        }
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) store(sum + i * next, mixed<Pace>(acc[i]));
  }

  // b.w += the products of N rows of g, of whose lanes `have` count, and of R rows of the window.
  template <int R, int Step, int Pace, int N = 8>
  __attribute__((noinline)) static void multiply(const Block& b, const float* const* line, float* sums,
                                                 const float* const* g, int64_t have) {
    vf32 up[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) up[i] = mixed<Pace>(load_between<float>(g[i], 0, have));
    int64_t at = b.at;
    const Span* span = b.span;
    const bool all = all_whole<Pace>(b);
    constexpr int T = kTogether<Pace>;
    for (int64_t s = 0; s < b.taps; s += T, at += b.gap * T, sums += b.w_step * T, span += b.span_step * T) {
      reload(line);
      vf32 acc[R][2] = {};  // of even and odd rows, or of two taps
      const Span inside = *span;
      const bool whole = is_whole<Pace>(inside, all);
#pragma GCC unroll 17
      for (int m = 0; m < Step * (N - 1) + R; m++) {
        if (R == 1 && m % Step != 0) continue;
        vf32 v[T];
        get<Pace>(line[m] + at, inside, whole, v);
#pragma GCC unroll 3
        for (int r = 0; r < R; r++) {
          const int i = (m - r) / Step;
          if (m < r || (m - r) % Step != 0 || i >= N) continue;
          if (T == 1) acc[r][i % 2] = fma(up[i], v[0], acc[r][i % 2]);
          else
            for (int k = 0; k < 2; k++) acc[r][k] = fma(up[i], v[k % T], acc[r][k]);
        }
      }
#pragma GCC unroll 3
      for (int r = 0; r < R; r++) {
        float* to = sums + r * b.w_row;
        store(to, load(to) + (T == 1 ? acc[r][0] + acc[r][1] : acc[r][0]));
        if (T == 2 && s + 1 < b.taps) store(to + b.w_step, load(to + b.w_step) + acc[r][1]);
      }
    }
  }

  // f(rows, lines, filters) for the whole window, in groups of up to three rows that share the image's vectors. (The
  // block itself is not copied: it was just written number by number, and a vector read of that waits.)
  template <class F>
  MIELINA_INLINE void groups(const DepthwiseRows& d, const Block& b, F f) {
    const float* const* line = b.line;
    float* w = b.w;
    for (int64_t r = 0, n; r < d.part.taps[0]; r += n, line += n * d.apart, w += n * b.w_row) {
      n = d.apart == 1 ? min64(kShare, d.part.taps[0] - r) : 1;
      f(n, line, w);
    }
  }
  // Which of the kernels below: blocks of eight or seven rows, every second row, fewer of them, every second column,
  // too.
  static constexpr int two = kShare > 1 ? 2 : 1, three = kShare;
  int64_t kind() const { return step == 1 ? 8 - block : pace == 2 ? 4 : block == 8 ? 2 : 3; }
  void sum_of(const Block& b, const float* start, float* sum, int64_t next) const {
    using Kernel = void (*)(const Block&, const float* const*, const float*, const float*, float*, int64_t);
    static constexpr Kernel kernel[5][3] = {{add<1, 1, 1>, add<two, 1, 1>, add<three, 1, 1>},
                                            {add<1, 1, 1, 7>, add<two, 1, 1, 7>, add<three, 1, 1, 7>},
                                            {add<1, 2, 1>, add<two, 2, 1>, add<three, 2, 1>},
                                            {add<1, 2, 1, kPaced>, add<two, 2, 1, kPaced>, add<three, 2, 1, kPaced>},
                                            {add<1, 2, 2, kPaced>, add<two, 2, 2, kPaced>, add<three, 2, 2, kPaced>}};
    const Kernel* row = kernel[kind()];
    if (part.taps[0] == 0)
      for (int64_t i = 0; i < block; i++) store(sum + i * next, load(start));
    groups(*this, b, [&](int64_t rows, const float* const* line, const float* w) {
      row[rows - 1](b, line, w, start, sum, next);
      start = nullptr;
    });
  }
  void add_products(const Block& b, const float* const* g, int64_t have) const {
    using Kernel = void (*)(const Block&, const float* const*, float*, const float* const*, int64_t);
    static constexpr Kernel kernel[5][3] = {
        {multiply<1, 1, 1>, multiply<two, 1, 1>, multiply<three, 1, 1>},
        {multiply<1, 1, 1, 7>, multiply<two, 1, 1, 7>, multiply<three, 1, 1, 7>},
        {multiply<1, 2, 1>, multiply<two, 2, 1>, multiply<three, 2, 1>},
        {multiply<1, 2, 1, kPaced>, multiply<two, 2, 1, kPaced>, multiply<three, 2, 1, kPaced>},
        {multiply<1, 2, 2, kPaced>, multiply<two, 2, 2, kPaced>, multiply<three, 2, 2, kPaced>}};
    const Kernel* row = kernel[kind()];
    groups(*this, b, [&](int64_t rows, const float* const* line, float* w) { row[rows - 1](b, line, w, g, have); });
  }

  float filter(int64_t c, int64_t r, int64_t s) const {
    return part.w[c * q.w.stride[kN] + r * part.step[0] + s * part.step[1]];
  }
  // Filters for vectors of channels: (vector, tap, channel), one vector after the other: a tap 4 KB from the next one
  // would share its set of the L1 cache. Then the bias.
  int64_t taps() const { return part.taps[0] * part.taps[1]; }
  int64_t wide() const { return ceil_div(C, L) * L; }  // channels in whole vectors
  int64_t filter_bytes() const { return (taps() + 1) * wide() * int64_t(sizeof(float)); }
  int64_t place(int64_t c, int64_t tap) const { return (c / L * taps() + tap) * L + c % L; }
  __attribute__((noinline)) void put_filters(float* to) const {
    __builtin_memset(to, 0, size_t(filter_bytes()));
    for (int64_t c0 = 0; c0 < C; c0 += L) {
      float* w = to + c0 * taps();
      for (int64_t r = 0; r < part.taps[0]; r++)
        for (int64_t s = 0; s < part.taps[1]; s++, w += L)
          for (int64_t c = c0; c < min64(c0 + L, C); c++) w[c - c0] = filter(c, r, s);
    }
    for (int64_t c = 0; c < C; c++) to[wide() * taps() + c] = bias(c);
  }
  float bias(int64_t c) const {
    float b = 0.0f;
    if (q.bias.data)
      row_from_fn<float>(q.bias.dtype)((const char*)q.bias.data + c * q.bias.stride[0] * kDTypeSize[int(q.bias.dtype)],
                                       0, &b, 1);
    return b;
  }
  static void put_filter(const View& dw, int64_t k, int64_t c, int64_t r, int64_t s, float sum) {
    const int64_t at = k * dw.stride[kN] + c * dw.stride[kC] + r * dw.stride[kH] + s * dw.stride[kW];
    row_to_fn<float>(dw.dtype)(&sum, (char*)dw.data + at * kDTypeSize[int(dw.dtype)], 1, 1);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
