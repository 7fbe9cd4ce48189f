// Convolutions with few channels a group, where gathering columns would cost more than multiplying them.
//
// Planes: an image's group is copied once into a zero-padded buffer (rows split by the remainder of w modulo the
// stride, so that the pixels under one tap are neighbours), then every output row is a sum of shifted rows. Depthwise
// channels-last: vectors run along the channels, nothing is copied.
#pragma once
#include "cpu/conv/pixels.h"

namespace mielina {
namespace MIELINA_ISA {

// One group, or a whole depthwise convolution: y (N, K, ...), x (N, C, ...), w (K, C, taps), any strides. The window
// may run backwards (a negative dilation), as it does in the gradient of the input.
struct Problem {
  View y, x, w, bias;
  Window window;
  Activation activation;
  bool direct;  // no other algorithm than the definition
};

constexpr int64_t kDirectChannels = 8;  // output channels a group, up to which planes beat the product

template <class T>
struct Planes {
  static constexpr int64_t L = lanes<T>, kChunk = 4;  // vectors of an output row at once
  int64_t extent[3], base[3], shift[3];               // of the padded image; its origin in x; of tap 0
  int64_t phases, row, plane, volume, bytes;

  explicit Planes(const Problem& q) {
    const Window& v = q.window;
    for (int d = 0; d < 3; d++) {
      const int64_t reach = (v.taps[d] - 1) * v.dilation[d];
      shift[d] = reach < 0 ? -reach : 0;
      base[d] = -v.padding[d] - shift[d];
      extent[d] = (q.y.shape[kD + d] - 1) * v.stride[d] + (reach < 0 ? -reach : reach) + 1;
    }
    phases = v.stride[2];
    row = (ceil_div(extent[2], phases) + kChunk * L + L - 1) / L * L;
    plane = extent[1] * phases * row;
    volume = extent[0] * plane;
    bytes = align64(volume * q.x.shape[kC] * int64_t(sizeof(T)));
  }

  // The image's channels into the buffer.
  void pad(const Problem& q, int64_t n, T* to) const {
    const int64_t size = kDTypeSize[int(q.x.dtype)], W = q.x.shape[kW];
    const RowFrom<T> row_from = row_from_fn<T>(q.x.dtype);
    for (int64_t c = 0; c < q.x.shape[kC]; c++)
      for (int64_t d = 0; d < extent[0]; d++)
        for (int64_t h = 0; h < extent[1]; h++)
          for (int64_t phase = 0; phase < phases; phase++, to += row) {
            const int64_t at[2] = {d + base[0], h + base[1]}, first = base[2] + phase;
            int64_t lo = row, hi = row;  // of the row, inside the image
            if (at[0] >= 0 && at[0] < q.x.shape[kD] && at[1] >= 0 && at[1] < q.x.shape[kH]) {
              lo = first < 0 ? min64(row, ceil_div(-first, phases)) : 0;
              hi = max64(lo, min64(row, first < W ? (W - 1 - first) / phases + 1 : 0));
            }
            for (int64_t i = 0; i < lo; i++) to[i] = T(0);
            const int64_t w = first + lo * phases;
            if (lo < hi)
              row_from((const char*)q.x.data + (n * q.x.stride[kN] + c * q.x.stride[kC] + at[0] * q.x.stride[kD] +
                                                at[1] * q.x.stride[kH] + w * q.x.stride[kW]) *
                                                   size,
                       phases * q.x.stride[kW], to + lo, hi - lo);
            for (int64_t i = hi; i < row; i++) to[i] = T(0);
          }
  }

  // Output channel k: its filter as T, then rows.
  template <class S>
  void channel(const Problem& q, int64_t n, int64_t k, const T* from) const {
    const Window& v = q.window;
    const S* w = (const S*)q.w.data + k * q.w.stride[kN];
    const int64_t Q = q.y.shape[kW], size = kDTypeSize[int(q.y.dtype)];
    const RowTo<T> row_to = row_to_fn<T>(q.y.dtype);
    T bias = T(0);
    if (q.bias.data)
      row_from_fn<T>(q.bias.dtype)((const char*)q.bias.data + k * q.bias.stride[0] * kDTypeSize[int(q.bias.dtype)], 0,
                                   &bias, 1);
    char* y = (char*)q.y.data + (n * q.y.stride[kN] + k * q.y.stride[kC]) * size;
    for (int64_t d = 0; d < q.y.shape[kD]; d++)
      for (int64_t h = 0; h < q.y.shape[kH]; h++)
        for (int64_t j = 0; j < Q; j += kChunk * L) {
          Vec<T> sum[kChunk] = {};
          for (int64_t c = 0; c < q.w.shape[kC]; c++)
            for (int64_t t = 0; t < v.taps[0]; t++)
              for (int64_t r = 0; r < v.taps[1]; r++) {
                const T* rows = from + c * volume + (d * v.stride[0] + shift[0] + t * v.dilation[0]) * plane +
                                (h * v.stride[1] + shift[1] + r * v.dilation[1]) * phases * row + j;
                const S* ws = w + c * q.w.stride[kC] + t * q.w.stride[kD] + r * q.w.stride[kH];
                for (int64_t s = 0; s < v.taps[2]; s++) {
                  const int64_t at = shift[2] + s * v.dilation[2];
                  const T* x = rows + at % phases * row + at / phases;
                  const Vec<T> weight = splat<Vec<T>>(element_as<T>(ws + s * q.w.stride[kW]));
#pragma GCC unroll 4
                  for (int i = 0; i < kChunk; i++) sum[i] = fma(weight, load(x + i * L), sum[i]);
                }
              }
          alignas(64) T out[kChunk * L];
#pragma GCC unroll 4
          for (int i = 0; i < kChunk; i++) store(out + i * L, activate(sum[i] + splat<Vec<T>>(bias), q.activation));
          row_to(out, y + (d * q.y.stride[kD] + h * q.y.stride[kH] + j * q.y.stride[kW]) * size, q.y.stride[kW],
                 min64(kChunk * L, Q - j));
        }
  }

  // sums (C, taps, L) += the products of output gradient and input, channel k of image n; y is the gradient here.
  void gradient(const Problem& q, int64_t n, int64_t k, const T* from, T* sums) const {
    const Window& v = q.window;
    const int64_t Q = q.y.shape[kW], size = kDTypeSize[int(q.y.dtype)];
    const RowFrom<T> row_from = row_from_fn<T>(q.y.dtype);
    const char* g = (const char*)q.y.data + (n * q.y.stride[kN] + k * q.y.stride[kC]) * size;
    for (int64_t d = 0; d < q.y.shape[kD]; d++)
      for (int64_t h = 0; h < q.y.shape[kH]; h++)
        for (int64_t j = 0; j < Q; j += kChunk * L) {
          alignas(64) T buf[kChunk * L] = {};
          row_from(g + (d * q.y.stride[kD] + h * q.y.stride[kH] + j * q.y.stride[kW]) * size, q.y.stride[kW], buf,
                   min64(kChunk * L, Q - j));
          Vec<T> y[kChunk];
          for (int i = 0; i < kChunk; i++) y[i] = load(buf + i * L);
          T* sum = sums;
          for (int64_t c = 0; c < q.x.shape[kC]; c++)
            for (int64_t t = 0; t < v.taps[0]; t++)
              for (int64_t r = 0; r < v.taps[1]; r++) {
                const T* rows = from + c * volume + (d * v.stride[0] + t * v.dilation[0]) * plane +
                                (h * v.stride[1] + r * v.dilation[1]) * phases * row + j;
                for (int64_t s = 0; s < v.taps[2]; s++, sum += L) {
                  const int64_t at = s * v.dilation[2];
                  const T* x = rows + at % phases * row + at / phases;
                  Vec<T> a = load(sum);
#pragma GCC unroll 4
                  for (int i = 0; i < kChunk; i++) a = fma(y[i], load(x + i * L), a);
                  store(sum, a);
                }
              }
        }
  }
};

// y (N, C, ...) and x channels-last, w (C, 1, taps): pixel by pixel.
template <class T, class S>
struct DepthwiseLast {
  static constexpr int64_t L = lanes<T>, kChunk = 4;

  static bool fits(const Problem& q) {
    return q.y.stride[kC] == 1 && q.x.stride[kC] == 1 && q.w.shape[kC] == 1 && q.w.shape[kN] == q.x.shape[kC] &&
           q.x.shape[kC] >= L && q.x.stride[kW] != 1;
  }
  static int64_t taps(const Problem& q) { return q.window.taps[0] * q.window.taps[1] * q.window.taps[2]; }
  static int64_t columns(const Problem& q) { return (q.y.shape[kC] + L - 1) / L * L; }
  static int64_t bytes(const Problem& q) { return align64((taps(q) + 1) * columns(q) * int64_t(sizeof(T))); }

  // Filters as (tap, channel), then the bias.
  static void turn(const Problem& q, T* to) {
    const int64_t C = q.y.shape[kC], R = q.window.taps[1], Q = q.window.taps[2], n = columns(q);
    for (int64_t tap = 0; tap < taps(q); tap++, to += n) {
      const S* w =
          (const S*)q.w.data + tap / (R * Q) * q.w.stride[kD] + tap / Q % R * q.w.stride[kH] + tap % Q * q.w.stride[kW];
      for (int64_t c = 0; c < C; c++) to[c] = element_as<T>(w + c * q.w.stride[kN]);
      for (int64_t c = C; c < n; c++) to[c] = T(0);
    }
    for (int64_t c = 0; c < n; c++) to[c] = T(0);
    if (q.bias.data) row_from_fn<T>(q.bias.dtype)(q.bias.data, q.bias.stride[0], to, C);
  }

  // One row of the output.
  static void row(const Problem& q, int64_t n, int64_t d, int64_t h, const T* filters) {
    const Window& v = q.window;
    const int64_t C = q.y.shape[kC], wide = columns(q);
    const T* bias = filters + taps(q) * wide;
    const RowTo<T> row_to = row_to_fn<T>(q.y.dtype);
    const S* x = (const S*)q.x.data + n * q.x.stride[kN];
    for (int64_t j = 0; j < q.y.shape[kW]; j++) {
      char* y = (char*)q.y.data + (n * q.y.stride[kN] + d * q.y.stride[kD] + h * q.y.stride[kH] + j * q.y.stride[kW]) *
                                      kDTypeSize[int(q.y.dtype)];
      for (int64_t c = 0; c < C; c += kChunk * L) {
        Vec<T> sum[kChunk] = {};
        const T* f = filters + c;
        for (int64_t t = 0; t < v.taps[0]; t++) {
          const int64_t xd = d * v.stride[0] - v.padding[0] + t * v.dilation[0];
          for (int64_t r = 0; r < v.taps[1]; r++) {
            const int64_t xh = h * v.stride[1] - v.padding[1] + r * v.dilation[1];
            for (int64_t s = 0; s < v.taps[2]; s++, f += wide) {
              const int64_t xw = j * v.stride[2] - v.padding[2] + s * v.dilation[2];
              if (xd < 0 || xd >= q.x.shape[kD] || xh < 0 || xh >= q.x.shape[kH] || xw < 0 || xw >= q.x.shape[kW])
                continue;
              const S* from = x + xd * q.x.stride[kD] + xh * q.x.stride[kH] + xw * q.x.stride[kW] + c;
              if (c + kChunk * L <= C) {
#pragma GCC unroll 4
                for (int i = 0; i < kChunk; i++) sum[i] = fma(load(f + i * L), load_as<T>(from + i * L, L), sum[i]);
              } else {
                for (int64_t i = 0; c + i * L < C; i++)
                  sum[i] = fma(load(f + i * L), load_as<T>(from + i * L, min64(L, C - c - i * L)), sum[i]);
              }
            }
          }
        }
        alignas(64) T out[kChunk * L];
        const int64_t have = min64(kChunk, ceil_div(C - c, L));
        for (int64_t i = 0; i < have; i++) store(out + i * L, activate(sum[i] + load(bias + c + i * L), q.activation));
        row_to(out, y + c * kDTypeSize[int(q.y.dtype)], 1, min64(kChunk * L, C - c));
      }
    }
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
