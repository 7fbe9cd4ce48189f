// Operands of a convolution as its kernels read them.
#pragma once
#include "cpu/conv/direct.h"
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <class F>
auto dispatch(DType d, F f) {
  return d == DType::f64 ? f(double{}) : f(float{});
}

// Operands as the kernels want them, where they are not so already, in the front of the workspace. Half precision
// becomes floats: instances of everything for two more dtypes were 0.12 MB a level and converted each number once a
// tap. Channels-last images of a few channels become planar: vectors along three channels are mostly empty.
struct Floats {
  const Ctx& ctx;
  bool plan;  // nothing but the size
  int64_t bytes = 0;

  View operator()(const View& v, bool turned = false) {
    const bool along_c = lanes_along_c(v), few = v.shape[kC] < 8;
    if (v.dtype == DType::f64 || (v.dtype == DType::f32 && !(along_c && few) && !turned) || numel(v) == 0) return v;
    int order[5];
    const View to = room(v, turned || (along_c && !few), order);
    if (!plan) convert(v, to, order);
    return to;
  }
  // Floats of v's shape, channels-last or planar.
  View room(const View& v, bool last, int (&order)[5]) {
    View to = v;
    to.dtype = DType::f32;
    to.data = (char*)ctx.workspace + bytes;
    bytes += align64(numel(v) * int64_t(sizeof(float)));
    order_of(last, order);
    int64_t step = 1;
    for (int i = 4; i >= 0; i--) {
      to.stride[order[i]] = step;
      step *= v.shape[order[i]];
    }
    return to;
  }
  // The axes from the outermost to the innermost.
  static void order_of(bool last, int (&order)[5]) {
    const int axes[5] = {kN, last ? kD : kC, last ? kH : kD, last ? kW : kH, last ? kC : kW};
    __builtin_memcpy(order, axes, sizeof axes);
  }
  void convert(const View& v, const View& to, const int (&order)[5]) const {
    const RowFrom<float> row_from = row_from_fn<float>(v.dtype);
    const int64_t wide = v.shape[order[4]], step = v.stride[order[4]], W = v.shape[kW];
    if (v.dtype == DType::f32 && order[4] == kC && v.stride[kW] == 1)  // number by number 12 % of the filters' gradient
      return parallel_ranges(ctx, numel(v) / (wide * W), 1 + 32 * 1024 / (wide * W), [&](int64_t i0, int64_t i1) {
        for (int64_t i = i0; i < i1; i++) {
          const int64_t H = v.shape[kH], D = v.shape[kD],
                        from = i % H * v.stride[kH] + i / H % D * v.stride[kD] + i / (H * D) * v.stride[kN];
          turn_planes((uint32_t*)to.data + i * W * wide, wide, (const uint32_t*)v.data + from, step, W, wide);
        }
      });
    each_row(ctx, v, to, order, [&](int64_t from, int64_t at, int64_t n) {
      row_from((const char*)v.data + from * kDTypeSize[int(v.dtype)], step, (float*)to.data + at, n);
    });
  }
  // f(offset in a, offset in b, numbers) for rows of both, which several make where both go on: filters of 3 x 3, three
  // numbers at a time, took five sixths of a convolution of 512 x 512 of them over 7 x 7 pixels.
  template <class F>
  static void each_row(const Ctx& ctx, const View& a, const View& b, const int (&order)[5], F f) {
    int outer = 4;
    int64_t wide = a.shape[order[4]];
    for (; outer > 0 && wide < 1024; outer--) {
      const int d = order[outer - 1];
      if (a.stride[d] != wide * a.stride[order[4]] || b.stride[d] != wide * b.stride[order[4]]) break;
      wide *= a.shape[d];
    }
    parallel_ranges(ctx, numel(a) / wide, 1 + 32 * 1024 / wide, [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; i++) {
        int64_t rest = i, offsets[2] = {0, 0};
        for (int d = outer - 1; d >= 0; d--) {
          offsets[0] += rest % a.shape[order[d]] * a.stride[order[d]];
          offsets[1] += rest % a.shape[order[d]] * b.stride[order[d]];
          rest /= a.shape[order[d]];
        }
        f(offsets[0], offsets[1], wide);
      }
    });
  }
  // Where halves are made as floats first: but for the plain product, algorithms make nothing else (8 x 64 x 56 x 56,
  // 64 filters of 3 x 3 16.5 ms, 6.7 so on one core with AVX-512; 1 x 1 windows and few channels are no faster).
  View result(const View& v, const View& w) {
    int order[5];
    const int64_t taps = w.shape[kD] * w.shape[kH] * w.shape[kW];
    return is_half(v.dtype) && taps > 1 && w.shape[kC] * taps >= 72 && w.shape[kN] >= 8
               ? room(v, lanes_along_c(v), order)
               : v;
  }
  // A bias of n numbers beside such a result.
  View line(const View& v, int64_t n) {
    View to = v;
    to.dtype = DType::f32;
    to.data = v.data ? (char*)ctx.workspace + bytes : nullptr;
    to.stride[0] = 1;
    bytes += align64(n * int64_t(sizeof(float)));
    if (!plan && v.data) row_from_fn<float>(v.dtype)(v.data, v.stride[0], to.data, n);
    return to;
  }
  // ... and become halves.
  static void finish(const Ctx& ctx, const View& from, const View& to) {
    if (from.data == to.data) return;
    int order[5];
    order_of(lanes_along_c(to), order);
    const RowTo<float> row_to = row_to_fn<float>(to.dtype);
    const int64_t step = to.stride[order[4]];
    each_row(ctx, from, to, order, [&](int64_t a, int64_t b, int64_t n) {
      row_to((const float*)from.data + a, (char*)to.data + b * kDTypeSize[int(to.dtype)], step, n);
    });
  }
  // What is left of the workspace.
  Ctx rest() const {
    Ctx c = ctx;
    c.workspace = (char*)ctx.workspace + bytes;
    return c;
  }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
