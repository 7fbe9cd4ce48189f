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
    const int axes[5] = {kN, last ? kD : kC, last ? kH : kD, last ? kW : kH, last ? kC : kW};
    int64_t step = 1;
    for (int i = 4; i >= 0; i--) {
      order[i] = axes[i];
      to.stride[axes[i]] = step;
      step *= v.shape[axes[i]];
    }
    return to;
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
    parallel_ranges(ctx, numel(v) / wide, 1 + 32 * 1024 / wide, [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; i++) {
        int64_t rest = i, from = 0;
        for (int d = 3; d >= 0; d--) {
          from += rest % v.shape[order[d]] * v.stride[order[d]];
          rest /= v.shape[order[d]];
        }
        row_from((const char*)v.data + from * kDTypeSize[int(v.dtype)], step, (float*)to.data + i * wide, wide);
      }
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
