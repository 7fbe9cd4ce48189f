// unfold and fold: the windows of an image as columns of a matrix, and their sum. See table/pool.h.
#pragma once
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// The outputs o of an axis for which o stride - padding + k dilation lies inside [0, size).
struct Span {
  int64_t first, last, at;  // at: the input of the first
  Span(int64_t k, int64_t size, int64_t outputs, int64_t stride, int64_t padding, int64_t dilation) {
    int64_t low = k * dilation - padding;
    first = low >= 0 ? 0 : min64(outputs, ceil_div(-low, stride));
    last = low >= size ? first : max64(first, min64(outputs, (size - 1 - low) / stride + 1));
    at = low + first * stride;
  }
};

struct Columns {
  View columns, x;
  WindowArgs a;
  int64_t outputs(int axis) const {
    return (x.shape[2 + axis] + 2 * a.padding[axis] - a.dilation[axis] * (a.kernel[axis] - 1) - 1) / a.stride[axis] + 1;
  }
  Span span(int axis, int64_t k) const {
    return Span(k, x.shape[2 + axis], outputs(axis), a.stride[axis], a.padding[axis], a.dilation[axis]);
  }
};

// One task fills the rows of one (n, c, kd, kh, kw).
template <class T>
void unfold_as(const Ctx& ctx, const Columns& u) {
  const View &y = u.columns, &x = u.x;
  const int64_t *K = u.a.kernel, *s = u.a.stride, *p = u.a.padding, *dil = u.a.dilation;
  int64_t C = x.shape[1], taps = K[0] * K[1] * K[2], OD = u.outputs(0), OH = u.outputs(1), OW = u.outputs(2);
  int64_t x_size = kDTypeSize[int(x.dtype)], y_size = kDTypeSize[int(y.dtype)];
  auto from = row_from_fn<T>(x.dtype);
  auto to = row_to_fn<T>(y.dtype);
  parallel_for(ctx, x.shape[0] * C * taps, [&](int64_t task, int) {
    int64_t tap = task % taps, c = task / taps % C, n = task / taps / C;
    int64_t kw = tap % K[2], kh = tap / K[2] % K[1], kd = tap / K[2] / K[1];
    Span w = u.span(2, kw);
    alignas(64) T buf[kBlock];
    for (int64_t d = 0; d < OD; d++)
      for (int64_t h = 0; h < OH; h++) {
        char* out = (char*)y.data +
                    (n * y.stride[0] + c * y.stride[1] + tap * y.stride[2] + (d * OH + h) * y.stride[3]) * y_size;
        int64_t id = d * s[0] - p[0] + kd * dil[0], ih = h * s[1] - p[1] + kh * dil[1];
        bool inside = id >= 0 && id < x.shape[2] && ih >= 0 && ih < x.shape[3];
        int64_t first = inside ? w.first : OW, last = inside ? w.last : OW;
        const char* in =
            (const char*)x.data + (n * x.stride[0] + c * x.stride[1] + id * x.stride[2] + ih * x.stride[3]) * x_size;
        for (int64_t o = 0; o < OW; o += kBlock) {
          int64_t m = min64(kBlock, OW - o), b = max64(0, min64(first - o, m)), e = max64(b, min64(last - o, m));
          for (int64_t i = 0; i < b; i++) buf[i] = 0;
          if (e > b)
            from(in + (w.at + (o + b - w.first) * s[2]) * x.stride[4] * x_size, s[2] * x.stride[4], buf + b, e - b);
          for (int64_t i = e; i < m; i++) buf[i] = 0;
          to(buf, out + o * y.stride[4] * y_size, y.stride[4], m);
        }
      }
  });
}

// One task owns one plane (n, c) of x, and sums into it block by block of its rows.
template <class T>
void fold_as(const Ctx& ctx, const Columns& u) {
  const View &y = u.columns, &x = u.x;
  const int64_t *K = u.a.kernel, *s = u.a.stride, *p = u.a.padding, *dil = u.a.dilation;
  int64_t C = x.shape[1], D = x.shape[2], H = x.shape[3], W = x.shape[4], OD = u.outputs(0), OH = u.outputs(1);
  int64_t x_size = kDTypeSize[int(x.dtype)], y_size = kDTypeSize[int(y.dtype)];
  auto from = row_from_fn<T>(y.dtype);
  auto to = row_to_fn<T>(x.dtype);
  parallel_for(ctx, x.shape[0] * C * D * H, [&](int64_t task, int) {
    int64_t h = task % H, d = task / H % D, c = task / H / D % C, n = task / H / D / C;
    alignas(64) T sum[kBlock], row[kBlock];
    for (int64_t w0 = 0; w0 < W; w0 += kBlock) {
      int64_t m = min64(kBlock, W - w0);
      for (int64_t i = 0; i < m; i++) sum[i] = 0;
      for (int64_t tap = 0; tap < K[0] * K[1] * K[2]; tap++) {
        int64_t kw = tap % K[2], kh = tap / K[2] % K[1], kd = tap / K[2] / K[1];
        int64_t od = d + p[0] - kd * dil[0], oh = h + p[1] - kh * dil[1];
        if (od < 0 || oh < 0 || od % s[0] || oh % s[1] || od / s[0] >= OD || oh / s[1] >= OH) continue;
        Span w = u.span(2, kw);
        int64_t shift = kw * dil[2] - p[2];  // output o lands at o stride + shift
        int64_t b = max64(w.first, w0 - shift <= 0 ? 0 : ceil_div(w0 - shift, s[2]));
        int64_t e = w0 + m - 1 - shift < 0 ? b : min64(w.last, (w0 + m - 1 - shift) / s[2] + 1);
        if (e <= b) continue;
        from((const char*)y.data + (n * y.stride[0] + c * y.stride[1] + tap * y.stride[2] +
                                    (od / s[0] * OH + oh / s[1]) * y.stride[3] + b * y.stride[4]) *
                                       y_size,
             y.stride[4], row, e - b);
        T* at = sum + b * s[2] + shift - w0;
        if (s[2] == 1)
          for (int64_t i = 0; i < e - b; i++) at[i] += row[i];
        else
          for (int64_t i = 0; i < e - b; i++) at[i * s[2]] += row[i];
      }
      to(sum,
         (char*)x.data +
             (n * x.stride[0] + c * x.stride[1] + d * x.stride[2] + h * x.stride[3] + w0 * x.stride[4]) * x_size,
         x.stride[4], m);
    }
  });
}

template <class F>
void with_column_type(DType d, F f) {
  if (d == DType::f64) f(double{});
  else if (d == DType::b8) f(int64_t{});
  else f(float{});
}
void unfold(const Ctx& ctx, const View& columns, const View& x, const WindowArgs& args) noexcept {
  with_column_type(x.dtype, [&]<class T>(T) { unfold_as<T>(ctx, {columns, x, args}); });
}
void fold(const Ctx& ctx, const View& x, const View& columns, const WindowArgs& args) noexcept {
  with_column_type(x.dtype, [&]<class T>(T) { fold_as<T>(ctx, {columns, x, args}); });
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
