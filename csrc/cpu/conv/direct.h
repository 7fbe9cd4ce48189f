// Convolutions with few channels a group, where gathering columns would cost more than multiplying them.
//
// Planes: an image's group is copied once into a zero-padded buffer (rows split by the remainder of w modulo the
// stride, so that the pixels under one tap are neighbours), then every output row is a sum of shifted rows.
#pragma once
#include "cpu/conv/pixels.h"

namespace mielina {
namespace MIELINA_ISA {

// One group, or a whole depthwise convolution: y (N, K, ...), x (N, C, ...), w (K, C, taps), any strides. The window
// may run backwards (a negative dilation), as it does in the gradient of the input.
struct Problem {
  View y, x, w, bias;
  Window window;
  bool direct;  // no other algorithm than the definition
  // Of a transposed convolution as Winograd's tiles make it (conv/winograd_last.h): the window's stride in y. Its taps
  // and padding are then those of the convolution that it transposes.
  int64_t zoom = 1;
};

inline int64_t gcd(int64_t a, int64_t b) { return b == 0 ? a : gcd(b, a % b); }

inline char* at(const View& v, int axis, int64_t i) {
  return (char*)v.data + i * v.stride[axis] * kDTypeSize[int(v.dtype)];
}
inline View slice(View v, int axis, int64_t begin, int64_t n) {
  if (v.data) v.data = at(v, axis, begin);
  v.shape[axis] = n;
  return v;
}
inline Window window_of(const View& w, const ConvArgs& args) {
  Window o;
  for (int d = 0; d < 3; d++) {
    o.taps[d] = w.shape[kD + d];
    o.stride[d] = args.stride[d];
    o.padding[d] = args.padding[d];
    o.dilation[d] = args.dilation[d];
  }
  return o;
}
inline Problem group_of(const Problem& q, int64_t groups, int64_t group) {
  const int64_t K = q.y.shape[kC] / groups, C = q.x.shape[kC] / groups;
  return {slice(q.y, kC, group * K, K),
          slice(q.x, kC, group * C, C),
          slice(q.w, kN, group * K, K),
          slice(q.bias, 0, group * K, K),
          q.window,
          q.direct};
}
inline Problem problem_of(const View& y, const View& x, const View& w, const View& bias, const ConvArgs& args) {
  return {y, x, w, bias, window_of(w, args), args.direct};
}
inline int64_t depth_of(const Problem& q) {
  return q.w.shape[kC] * q.window.taps[0] * q.window.taps[1] * q.window.taps[2];
}
// Taps in the order of the pixels under them.
inline Problem forwards(Problem p) {
  for (int d = 0; d < 3; d++) {
    int64_t &dilation = p.window.dilation[d], last = p.window.taps[d] - 1;
    if (dilation >= 0) continue;
    p.w.data = at(p.w, kD + d, last);
    p.w.stride[kD + d] *= -1;
    p.window.padding[d] -= last * dilation;
    dilation *= -1;
  }
  return p;
}

// A context of one thread, `bytes` into the workspace.
inline Ctx alone(const Ctx& ctx, int64_t bytes = 0) {
  Ctx one = ctx;
  one.threads = 1;
  one.workspace = (char*)ctx.workspace + bytes;
  return one;
}

// A problem's filters in panels of `width`.
template <class Op>
static Filters<Op> filters_of(const Problem& q, int64_t width, bool channels_inner) {
  const View& w = q.w;
  Filters<Op> f{
      (const typename Op::In*)w.data, q.y.shape[kC], width, w.stride[kN], w.stride[kC], w.shape[kC], channels_inner};
  for (int d = 0; d < 3; d++) {
    f.taps[d] = q.window.taps[d];
    f.stride[d] = w.stride[kD + d];
  }
  f.flatten();
  return f;
}
// Filters with their two channel axes exchanged, as the image's gradient takes them.
inline View exchanged(const View& w) {
  View v = w;
  v.shape[kN] = w.shape[kC];
  v.stride[kN] = w.stride[kC];
  v.shape[kC] = w.shape[kN];
  v.stride[kC] = w.stride[kN];
  return v;
}

// Output channels a group, up to which planes beat the product. With AVX2 and floats Sliding and the product win
// earlier (8 x 128 of 28 x 28 in 16 groups 4.5 and 2.3 ms on one core, channels last 6.8 and 2.8).
constexpr int64_t kDirectChannels = VBYTES == 32 ? 2 : 8;
inline int64_t direct_channels(const View& image, bool narrow) {
  return VBYTES != 32 ? kDirectChannels : image.dtype != DType::f32 ? 8 : narrow ? 4 : kDirectChannels;
}

// Whether numbers of `stride` in memory are what vectors of T load and store.
template <class T>
static bool in_rows(DType dtype, int64_t stride) {
  return stride == 1 && dtype == dtype_of<T>;
}

template <class T>
struct Planes {
  static constexpr int64_t L = lanes<T>, kChunk = 4;  // vectors of an output row at once, at most
  int64_t extent[3], base[3], shift[3];               // of the padded image; its origin in x; of tap 0
  int64_t phases, row, plane, volume, bytes;

  __attribute__((noinline)) explicit Planes(const Problem& q) {
    const Window& v = q.window;
    for (int d = 0; d < 3; d++) {
      const int64_t reach = (v.taps[d] - 1) * v.dilation[d];
      shift[d] = reach < 0 ? -reach : 0;
      base[d] = -v.padding[d] - shift[d];
      extent[d] = (q.y.shape[kD + d] - 1) * v.stride[d] + (reach < 0 ? -reach : reach) + 1;
    }
    phases = v.stride[2];
    row = (cover(q.y.shape[kW]) + ceil_div(extent[2] - (q.y.shape[kW] - 1) * phases, phases) + L - 1) / L * L;
    plane = extent[1] * phases * row;
    volume = extent[0] * plane;
    bytes = align64(volume * q.x.shape[kC] * int64_t(sizeof(T)));
  }

  // How far vectors reach over a row of n outputs: chunks of four vectors, the last of one, two or four.
  static int64_t cover(int64_t n) {
    const int64_t whole = n / (kChunk * L) * kChunk * L, rest = n - whole;
    return whole + (rest == 0 ? 0 : rest <= L ? L : rest <= 2 * L ? 2 * L : kChunk * L);
  }

  // The image's channels into the buffer.
  __attribute__((noinline)) void pad(const Problem& q, int64_t n, T* to) const {
    const int64_t size = kDTypeSize[int(q.x.dtype)], W = q.x.shape[kW], step = phases * q.x.stride[kW];
    const RowFrom<T> row_from = row_from_fn<T>(q.x.dtype);
    const bool plain = in_rows<T>(q.x.dtype, step), halved = step == 2 && in_rows<T>(q.x.dtype, q.x.stride[kW]);
    for (int64_t c = 0; c < q.x.shape[kC]; c++)
      for (int64_t d = 0; d < extent[0]; d++)
        for (int64_t h = 0; h < extent[1]; h++)
          for (int64_t phase = 0; phase < phases; phase++, to += row) {
            for (int64_t i = 0; i < row; i += L) store(to + i, Vec<T>{});
            const int64_t at[2] = {d + base[0], h + base[1]}, first = base[2] + phase;
            if (at[0] < 0 || at[0] >= q.x.shape[kD] || at[1] < 0 || at[1] >= q.x.shape[kH]) continue;
            const int64_t lo = first < 0 ? min64(row, ceil_div(-first, phases)) : 0;
            const int64_t hi = max64(lo, min64(row, first < W ? (W - 1 - first) / phases + 1 : 0));
            if (lo == hi) continue;
            const int64_t w = first + lo * phases;
            const char* from =
                (const char*)q.x.data + (n * q.x.stride[kN] + c * q.x.stride[kC] + at[0] * q.x.stride[kD] +
                                         at[1] * q.x.stride[kH] + w * q.x.stride[kW]) *
                                            size;
            if (plain) copy_row((const T*)from, to + lo, hi - lo);
            else if (halved) copy_even((const T*)from, to + lo, hi - lo);
            else row_from(from, step, to + lo, hi - lo);
          }
  }

  // R output rows from (d, h) on, NV vectors of each; from: the buffer at the vectors' column. Several sums at once
  // hide the latency of multiply-adds: one row of 28 numbers at a time, in four vectors, took 1.75 times as long.
  template <int R, int NV>
  __attribute__((noinline)) void rows(const Problem& q, const T* w, const T* from, int64_t d, int64_t h,
                                      Vec<T>* sum) const {
    const Window& v = q.window;
    const int64_t next = v.stride[1] * phases * row;
    Vec<T> acc[R][NV] = {};
    for (int64_t c = 0; c < q.w.shape[kC]; c++)
      for (int64_t t = 0; t < v.taps[0]; t++)
        for (int64_t r = 0; r < v.taps[1]; r++) {
          const T* line = from + c * volume + (d * v.stride[0] + shift[0] + t * v.dilation[0]) * plane +
                          (h * v.stride[1] + shift[1] + r * v.dilation[1]) * phases * row;
          const T* ws = w + c * q.w.stride[kC] + t * q.w.stride[kD] + r * q.w.stride[kH];
          for (int64_t s = 0; s < v.taps[2]; s++) {
            const int64_t at = shift[2] + s * v.dilation[2];
            const T* x = line + (phases == 1 ? at : at % phases * row + at / phases);
            const Vec<T> weight = splat<Vec<T>>(ws[s * q.w.stride[kW]]);
#pragma GCC unroll 8
            for (int i = 0; i < R; i++)
#pragma GCC unroll 8
              for (int k = 0; k < NV; k++) acc[i][k] = fma(weight, load(x + i * next + k * L), acc[i][k]);
          }
        }
#pragma GCC unroll 8
    for (int i = 0; i < R * NV; i++) sum[i] = acc[i / NV][i % NV];
  }

  // Output channel k. The last rows of an image are computed twice where they make no whole step.
  void channel(const Problem& q, int64_t n, int64_t k, const T* from) const {
    const T* w = (const T*)q.w.data + k * q.w.stride[kN];
    const int64_t Q = q.y.shape[kW], H = q.y.shape[kH], size = kDTypeSize[int(q.y.dtype)];
    const RowTo<T> row_to = row_to_fn<T>(q.y.dtype);
    T bias = T(0);
    if (q.bias.data)
      row_from_fn<T>(q.bias.dtype)((const char*)q.bias.data + k * q.bias.stride[0] * kDTypeSize[int(q.bias.dtype)], 0,
                                   &bias, 1);
    const bool plain = in_rows<T>(q.y.dtype, q.y.stride[kW]);
    char* y = (char*)q.y.data + (n * q.y.stride[kN] + k * q.y.stride[kC]) * size;
    for (int64_t j = 0; j < Q; j += kChunk * L) {
      const int64_t wide = min64(kChunk * L, Q - j), vectors = cover(wide) / L;
      const int64_t step = vectors == kChunk ? (H >= 2 ? 2 : 1) : vectors == 1 && H >= 8 ? 8 : H >= 4 ? 4 : 1;
      for (int64_t d = 0; d < q.y.shape[kD]; d++)
        for (int64_t first = 0; first < H; first += step) {
          const int64_t h = min64(first, H - step);
          Vec<T> sum[8];
          if (step == 2) rows<2, 4>(q, w, from + j, d, h, sum);
          else if (step == 8) rows<8, 1>(q, w, from + j, d, h, sum);
          else if (step == 4 && vectors == 2) rows<4, 2>(q, w, from + j, d, h, sum);
          else if (step == 4) rows<4, 1>(q, w, from + j, d, h, sum);
          else if (vectors == kChunk) rows<1, 4>(q, w, from + j, d, h, sum);
          else
            for (int64_t m = 0; m < vectors; m++) rows<1, 1>(q, w, from + j + m * L, d, h, sum + m);
          for (int64_t i = 0; i < step; i++) {
            alignas(64) T out[kChunk * L];
            for (int64_t m = 0; m < vectors; m++) store(out + m * L, sum[i * vectors + m] + splat<Vec<T>>(bias));
            char* to = y + (d * q.y.stride[kD] + (h + i) * q.y.stride[kH] + j * q.y.stride[kW]) * size;
            if (plain) copy_row(out, (T*)to, wide);
            else row_to(out, to, q.y.stride[kW], wide);
          }
        }
    }
  }

  // sums (C, taps, L) += the products of output gradient and input, channel k of image n; y is the gradient here.
  // Blocks of its rows are laid out whole, then each tap walks them with four sums.
  void gradient(const Problem& q, int64_t n, int64_t k, const T* from, T* sums) const {
    constexpr int64_t kBlock = 2048, kColumns = 512;
    const Window& v = q.window;
    const int64_t Q = q.y.shape[kW], H = q.y.shape[kH], size = kDTypeSize[int(q.y.dtype)];
    const int64_t next = v.stride[1] * phases * row;
    const RowFrom<T> row_from = row_from_fn<T>(q.y.dtype);
    const char* g = (const char*)q.y.data + (n * q.y.stride[kN] + k * q.y.stride[kC]) * size;
    const bool plain = in_rows<T>(q.y.dtype, q.y.stride[kW]);
    alignas(64) T block[kBlock];
    for (int64_t j = 0; j < Q; j += kColumns) {
      const int64_t wide = min64(kColumns, Q - j), pitch = cover(wide), most = kBlock / pitch;
      for (int64_t d = 0; d < q.y.shape[kD]; d++)
        for (int64_t h = 0; h < H; h += most) {
          const int64_t lines = min64(most, H - h);
          for (int64_t i = 0; i < lines; i++) {
            const char* line = g + (d * q.y.stride[kD] + (h + i) * q.y.stride[kH] + j * q.y.stride[kW]) * size;
            T* to = block + i * pitch;
            for (int64_t m = 0; m < pitch; m += L) store(to + m, Vec<T>{});
            if (plain) copy_row((const T*)line, to, wide);
            else row_from(line, q.y.stride[kW], to, wide);
          }
          T* sum = sums;
          for (int64_t c = 0; c < q.x.shape[kC]; c++)
            for (int64_t t = 0; t < v.taps[0]; t++)
              for (int64_t r = 0; r < v.taps[1]; r++) {
                const T* line = from + c * volume + (d * v.stride[0] + t * v.dilation[0]) * plane +
                                (h * v.stride[1] + r * v.dilation[1]) * phases * row + j;
                for (int64_t s = 0; s < v.taps[2]; s++, sum += L) {
                  const int64_t at = s * v.dilation[2];
                  const T* x = line + (phases == 1 ? at : at % phases * row + at / phases);
                  store(sum, load(sum) + tap_sum(block, pitch, x, next, lines));
                }
              }
        }
    }
  }

  static Vec<T> tap_sum(const T* g, int64_t pitch, const T* x, int64_t next, int64_t lines) {
    Vec<T> acc[4] = {};
    int64_t i = 0;
    for (; i + 4 <= lines; i += 4)
      for (int64_t m = 0; m < pitch; m += L)
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++) acc[u] = fma(load(g + (i + u) * pitch + m), load(x + (i + u) * next + m), acc[u]);
    for (; i < lines; i++)
      for (int64_t m = 0; m < pitch; m += L) acc[0] = fma(load(g + i * pitch + m), load(x + i * next + m), acc[0]);
    return (acc[0] + acc[1]) + (acc[2] + acc[3]);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
