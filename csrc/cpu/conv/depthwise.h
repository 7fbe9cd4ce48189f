// Depthwise convolutions of channels-last images: vectors run along the channels, nothing is copied.
#pragma once
#include "cpu/conv/direct.h"

namespace mielina {
namespace MIELINA_ISA {

// y (N, C, ...) and x channels-last, w (C, 1, taps): eight pixels at a time where all taps lie inside, else one by one.
template <class T>
struct DepthwiseLast {
  static constexpr int64_t L = lanes<T>, kChunk = 4, kRows = 8;

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
      const T* w =
          (const T*)q.w.data + tap / (R * Q) * q.w.stride[kD] + tap / Q % R * q.w.stride[kH] + tap % Q * q.w.stride[kW];
      for (int64_t c = 0; c < C; c++) to[c] = w[c * q.w.stride[kN]];
      for (int64_t c = C; c < n; c++) to[c] = T(0);
    }
    for (int64_t c = 0; c < n; c++) to[c] = T(0);
    if (q.bias.data) row_from_fn<T>(q.bias.dtype)(q.bias.data, q.bias.stride[0], to, C);
  }

  // All of y. A task is some rows of a block of channels: three rows stay in the L2 cache, and what is read
  // and written lies in a row (in blocks that fit the L1 cache: 1.15 times the time).
  static void run(const Ctx& ctx, const Problem& q, T* filters) {
    const int64_t C = q.y.shape[kC], D = q.y.shape[kD], H = q.y.shape[kH], width = q.x.shape[kW];
    const int64_t some = max64(2, 256 * 1024 / (3 * max64(1, width) * int64_t(sizeof(T)) * L)) * L;  // channels
    const int64_t blocks = ceil_div(C, some), parts = ceil_div(H, kRows);
    turn(q, filters);
    const int64_t steps = kRows * q.y.shape[kW] * min64(C, some) / L * taps(q);  // vector multiply-adds of a task
    parallel_ranges(ctx, q.y.shape[kN] * D * parts * blocks, 1 + 16 * 1024 / (steps + 1), [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; i++) {
        const int64_t c0 = i % blocks * some, part = i / blocks % parts, d = i / blocks / parts % D;
        for (int64_t h = part * kRows; h < min64(H, (part + 1) * kRows); h++)
          row(q, i / blocks / parts / D, d, h, c0, min64(C, c0 + some), filters);
      }
    });
  }

  // Pixels [j, j + 8) of a row, L channels from c on (`some`: fewer); taps above and below the image are left out.
  template <bool some>
  __attribute__((noinline)) static void eight(const Problem& q, const T* x, int64_t d, int64_t h, int64_t j, int64_t c,
                                              const T* filters, Vec<T> (&sum)[8]) {
    const Window& v = q.window;
    const int64_t wide = columns(q), step = v.stride[2] * q.x.stride[kW], channels = some ? q.y.shape[kC] - c : L;
    Vec<T> acc[8] = {};
    for (int64_t t = 0; t < v.taps[0]; t++)
      for (int64_t r = 0; r < v.taps[1]; r++) {
        const int64_t xd = d * v.stride[0] - v.padding[0] + t * v.dilation[0];
        const int64_t xh = h * v.stride[1] - v.padding[1] + r * v.dilation[1];
        if (xd < 0 || xd >= q.x.shape[kD] || xh < 0 || xh >= q.x.shape[kH]) continue;
        const T* line =
            x + xd * q.x.stride[kD] + xh * q.x.stride[kH] + (j * v.stride[2] - v.padding[2]) * q.x.stride[kW] + c;
        const T* f = filters + ((t * v.taps[1] + r) * v.taps[2]) * wide + c;
        for (int64_t s = 0; s < v.taps[2]; s++, f += wide) {
          const T* from = line + s * v.dilation[2] * q.x.stride[kW];
          const Vec<T> weight = load(f);
#pragma GCC unroll 8
          for (int p = 0; p < 8; p++) acc[p] = fma(weight, load_as<T>(from + p * step, some ? channels : L), acc[p]);
        }
      }
#pragma GCC unroll 8
    for (int p = 0; p < 8; p++) sum[p] = acc[p] + load(filters + taps(q) * wide + c);
  }

  // Channels [c0, c1) of one row of the output.
  static void row(const Problem& q, int64_t n, int64_t d, int64_t h, int64_t c0, int64_t c1, const T* filters) {
    const Window& v = q.window;
    const int64_t Q = q.y.shape[kW];
    const T* x = (const T*)q.x.data + n * q.x.stride[kN];
    // Outputs whose taps all lie inside, along the row.
    const int64_t reach = (v.taps[2] - 1) * v.dilation[2], left = v.padding[2] - min64(0, reach);
    const int64_t lo = min64(Q, max64(0, ceil_div(left, v.stride[2])));
    const int64_t last = q.x.shape[kW] - 1 + v.padding[2] - max64(0, reach);
    const int64_t hi = last < 0 ? lo : max64(lo, min64(Q, last / v.stride[2] + 1));
    const int64_t end = hi - lo >= 8 ? hi : lo;  // eights end with it; the last may overlap the one before
    const RowTo<T> row_to = row_to_fn<T>(q.y.dtype);
    const int64_t size = kDTypeSize[int(q.y.dtype)];
    const bool plain = in_rows<T>(q.y.dtype, 1);
    char* y = (char*)q.y.data + (n * q.y.stride[kN] + d * q.y.stride[kD] + h * q.y.stride[kH]) * size;
    for (int64_t first = lo; first < end; first += 8) {
      const int64_t j = min64(first, end - 8);
      for (int64_t c = c0; c < c1; c += L) {
        fetch(q, x, d, h + 1, j, c);
        Vec<T> sum[8];
        if (c + L <= c1) eight<false>(q, x, d, h, j, c, filters, sum);
        else eight<true>(q, x, d, h, j, c, filters, sum);
        if (q.activation != Activation::none)
          for (int p = 0; p < 8; p++) sum[p] = activate(sum[p], q.activation);
        char* to = y + (j * q.y.stride[kW] + c) * size;
        const int64_t step = q.y.stride[kW] * size;
        if (plain && c + L <= c1) {
#pragma GCC unroll 8
          for (int p = 0; p < 8; p++) store((T*)(to + p * step), sum[p]);
        } else
          for (int p = 0; p < 8; p++) row_to((const T*)(sum + p), to + p * step, 1, min64(L, c1 - c));
      }
    }
    edge(q, n, d, h, 0, lo, c0, c1, filters);
    edge(q, n, d, h, end, Q, c0, c1, filters);
  }

  // Asks for what eight pixels of row h need and those of the row before do not.
  MIELINA_INLINE void fetch(const Problem& q, const T* x, int64_t d, int64_t h, int64_t j, int64_t c) {
    const Window& v = q.window;
    const int64_t last = h * v.stride[1] - v.padding[1] + max64(0, (v.taps[1] - 1) * v.dilation[1]);
    const T* from =
        x + (d * v.stride[0] - v.padding[0]) * q.x.stride[kD] + (j * v.stride[2] - v.padding[2]) * q.x.stride[kW] + c;
    for (int64_t r = 0; r < v.stride[1]; r++)
      for (int64_t p = 0; p < 8 * v.stride[2]; p++)
        __builtin_prefetch(from + (last - r) * q.x.stride[kH] + p * q.x.stride[kW], 0, 2);
  }

  // Outputs [j0, j1) of a row, each tap looked at.
  static void edge(const Problem& q, int64_t n, int64_t d, int64_t h, int64_t j0, int64_t j1, int64_t c0, int64_t c1,
                   const T* filters) {
    const Window& v = q.window;
    const int64_t wide = columns(q);
    const T* bias = filters + taps(q) * wide;
    const RowTo<T> row_to = row_to_fn<T>(q.y.dtype);
    const T* x = (const T*)q.x.data + n * q.x.stride[kN];
    for (int64_t j = j0; j < j1; j++) {
      char* y = (char*)q.y.data + (n * q.y.stride[kN] + d * q.y.stride[kD] + h * q.y.stride[kH] + j * q.y.stride[kW]) *
                                      kDTypeSize[int(q.y.dtype)];
      for (int64_t c = c0; c < c1; c += kChunk * L) {
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
              const T* from = x + xd * q.x.stride[kD] + xh * q.x.stride[kH] + xw * q.x.stride[kW] + c;
              if (c + kChunk * L <= c1) {
#pragma GCC unroll 4
                for (int i = 0; i < kChunk; i++) sum[i] = fma(load(f + i * L), load_as<T>(from + i * L, L), sum[i]);
              } else {
                for (int64_t i = 0; c + i * L < c1; i++)
                  sum[i] = fma(load(f + i * L), load_as<T>(from + i * L, min64(L, c1 - c - i * L)), sum[i]);
              }
            }
          }
        }
        alignas(64) T out[kChunk * L];
        const int64_t have = min64(kChunk, ceil_div(c1 - c, L));
        for (int64_t i = 0; i < have; i++) store(out + i * L, activate(sum[i] + load(bias + c + i * L), q.activation));
        row_to(out, y + c * kDTypeSize[int(q.y.dtype)], 1, min64(kChunk * L, c1 - c));
      }
    }
  }

  // ---- gradient of the filters: rows of the output are cut into pieces by the shape alone, their sums (tap, channel)
  // added in a tree.
  static constexpr int64_t kPieces = 16;
  static int64_t pieces(const Problem& q) { return min64(kPieces, q.y.shape[kN] * q.y.shape[kD] * q.y.shape[kH]); }
  static int64_t gradient_bytes(const Problem& q) {
    return align64(pieces(q) * taps(q) * columns(q) * int64_t(sizeof(T)));
  }

  // sums (tap, channel) += one row's products; y is the output's gradient here.
  static void gradient_row(const Problem& q, int64_t n, int64_t d, int64_t h, T* sums) {
    const Window& v = q.window;
    const int64_t C = q.y.shape[kC], Q = q.y.shape[kW], gw = q.y.stride[kW], xw = v.stride[2] * q.x.stride[kW];
    const T* g = (const T*)q.y.data + n * q.y.stride[kN] + d * q.y.stride[kD] + h * q.y.stride[kH];
    for (int64_t t = 0; t < v.taps[0]; t++)
      for (int64_t r = 0; r < v.taps[1]; r++)
        for (int64_t s = 0; s < v.taps[2]; s++, sums += columns(q)) {
          const int64_t at[3] = {d * v.stride[0] - v.padding[0] + t * v.dilation[0],
                                 h * v.stride[1] - v.padding[1] + r * v.dilation[1], s * v.dilation[2] - v.padding[2]};
          if (at[0] < 0 || at[0] >= q.x.shape[kD] || at[1] < 0 || at[1] >= q.x.shape[kH]) continue;
          const int64_t lo = at[2] < 0 ? min64(Q, ceil_div(-at[2], v.stride[2])) : 0, room = q.x.shape[kW] - 1 - at[2];
          const int64_t hi = room < 0 ? lo : max64(lo, min64(Q, room / v.stride[2] + 1));
          const T* x = (const T*)q.x.data + n * q.x.stride[kN] + at[0] * q.x.stride[kD] + at[1] * q.x.stride[kH] +
                       at[2] * q.x.stride[kW];
          for (int64_t c = 0; c < C; c += kChunk * L) {
            Vec<T> acc[kChunk] = {};
            if (c + kChunk * L <= C)
              for (int64_t j = lo; j < hi; j++) {
#pragma GCC unroll 4
                for (int i = 0; i < kChunk; i++)
                  acc[i] = fma(load(g + j * gw + c + i * L), load(x + j * xw + c + i * L), acc[i]);
              }
            else
              for (int64_t j = lo; j < hi; j++)
                for (int64_t i = 0; c + i * L < C; i++) {
                  const int64_t m = min64(L, C - c - i * L);
                  acc[i] = fma(load_as<T>(g + j * gw + c + i * L, m), load_as<T>(x + j * xw + c + i * L, m), acc[i]);
                }
            for (int64_t i = 0; i < min64(kChunk, ceil_div(C - c, L)); i++)
              store(sums + c + i * L, load(sums + c + i * L) + acc[i]);
          }
        }
  }

  static void gradient(const Ctx& ctx, const View& dw, const Problem& q) {
    const int64_t D = q.y.shape[kD], H = q.y.shape[kH], rows = q.y.shape[kN] * D * H, all = pieces(q);
    const int64_t size = taps(q) * columns(q), R = dw.shape[kH], Q = dw.shape[kW];
    T* sums = (T*)ctx.workspace;
    parallel_for(ctx, all, [&](int64_t piece, int) {
      for (int64_t i = 0; i < size; i += L) store(sums + piece * size + i, Vec<T>{});
      for (int64_t i = rows * piece / all; i < rows * (piece + 1) / all; i++)
        gradient_row(q, i / (D * H), i / H % D, i % H, sums + piece * size);
    });
    for (int64_t half = 1; half < all; half *= 2)
      for (int64_t piece = 0; piece + half < all; piece += 2 * half)
        for (int64_t i = 0; i < size; i += L)
          store(sums + piece * size + i, load(sums + piece * size + i) + load(sums + (piece + half) * size + i));
    const RowTo<T> row_to = row_to_fn<T>(dw.dtype);
    for (int64_t tap = 0; tap < taps(q); tap++)
      row_to(sums + tap * columns(q),
             (char*)dw.data + (tap / (R * Q) * dw.stride[kD] + tap / Q % R * dw.stride[kH] + tap % Q * dw.stride[kW]) *
                                  kDTypeSize[int(dw.dtype)],
             dw.stride[kN], q.y.shape[kC]);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
