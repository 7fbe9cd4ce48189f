// Which algorithm a convolution goes by, forward and as the gradient of its input: all groups at once, or each alone.
#pragma once
#include "cpu/conv/bands.h"
#include "cpu/conv/columns.h"
#include "cpu/conv/depthwise.h"
#include "cpu/conv/depthwise_bundles.h"
#include "cpu/conv/depthwise_planes.h"
#include "cpu/conv/product.h"
#include "cpu/conv/winograd.h"
#include "cpu/conv/winograd_few.h"
#include "cpu/conv/winograd_last.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// The first group's problem at another group: its pointers alone move (a copy of all views took a fifth of the time of
// depthwise images of 7 x 7).
void move_to(Problem& one, const Problem& q, int64_t groups, int64_t group) {
  const int64_t K = q.y.shape[kC] / groups, C = q.x.shape[kC] / groups;
  one.y.data = at(q.y, kC, group * K);
  one.x.data = at(q.x, kC, group * C);
  one.w.data = at(q.w, kN, group * K);
  if (q.bias.data) one.bias.data = at(q.bias, 0, group * K);
}

bool is_direct(const Problem& q, int64_t groups) {
  return q.y.shape[kC] / groups <= direct_channels(q.x, lanes_along_c(q.y)) && depth_of(q) > 0 &&
         q.window.taps[0] * q.window.taps[1] * q.window.taps[2] > 1;
}

// Depthwise, or the one channel of a grey image whose rows fill their vectors.
bool depthwise(const Problem& q, int64_t groups) {
  const bool filled = 4 * q.y.shape[kW] >= 3 * ceil_div(q.y.shape[kW], lanes<float>) * lanes<float>;
  return groups == q.x.shape[kC] && (groups > 1 || (filled && q.window.taps[1] * q.window.taps[2] > 1));
}

// Whether a planar image's row of taps, channels-last, is so long a run of numbers that it needs no table of places.
bool long_runs(const Problem& q) {
  return VBYTES == 32 && !lanes_along_c(q.y) && q.window.taps[2] > 1 && q.x.shape[kC] * q.window.taps[2] >= 80 &&
         q.y.shape[kC] > 16 && Bands::fits(q);
}

// f.operator()<A>(parts) for the algorithm A for float32 alone, if one fits, which takes all groups or each alone.
template <class F>
bool with_floats(const Problem& q, int64_t groups, F f) {
  const Problem first = group_of(q, groups, 0);
  if (depthwise(q, groups) && DepthwiseBundles::fits(q)) f.template operator()<DepthwiseBundles>(1);
  else if (depthwise(q, groups) && DepthwiseLast::fits(q)) f.template operator()<DepthwiseLast>(1);
  else if (depthwise(q, groups) && DepthwisePlanes::fits(q)) f.template operator()<DepthwisePlanes>(1);
  else if (Columns::fits(first)) f.template operator()<Columns>(groups);
  else if (is_direct(q, groups)) return false;
  else if (WinogradFew::fits(first)) f.template operator()<WinogradFew>(groups);
  else if (WinogradLast::fits(first)) f.template operator()<WinogradLast>(groups);
  else if (Winograd::fits(first)) f.template operator()<Winograd>(groups);
  else if (Sliding::fits(first) && !long_runs(first)) f.template operator()<Sliding>(groups);
  else if (Bands::fits(first) && !filters_in_place<Plain<float>>(first)) f.template operator()<Bands>(groups);
  else return false;
  return true;
}

template <class T>
void convolve(const Ctx& ctx, const Problem& q, int64_t groups) {
  const int64_t N = q.y.shape[kN], depth = depth_of(q);
  char* workspace = (char*)ctx.workspace;
  const int64_t steps = numel(q.y) / lanes<T> * depth;  // vector multiply-adds
  if constexpr (__is_same(T, float)) {
    auto run = [&]<class A>(int64_t parts) {
      for (int64_t i = 0; i < parts; i++) A(group_of(q, parts, i)).run(ctx);
    };
    if (with_floats(q, groups, run)) return;
  }
  if (is_direct(q, groups)) {
    const Problem first = group_of(q, groups, 0);
    const Planes<T> planes(first);
    const int64_t tasks = N * groups;
    const int64_t grain = 1 + min64(tasks, tasks * 64 * 1024 / (steps + 1));
    parallel_for(ctx, ceil_div(tasks, grain), [&](int64_t t, int worker) {
      T* padded = (T*)(workspace + worker * planes.bytes);
      Problem one = first;
      for (int64_t i = t * grain; i < min64(tasks, (t + 1) * grain); i++) {
        move_to(one, q, groups, i % groups);
        planes.pad(one, i / groups, padded);
        for (int64_t k = 0; k < one.y.shape[kC]; k++) planes.channel(one, i / groups, k, padded);
      }
    });
  } else {
    for (int64_t group = 0; group < groups; group++) product<Plain<T>>(ctx, group_of(q, groups, group));
  }
}

template <class T>
int64_t convolve_workspace(const Ctx& ctx, const Problem& q, int64_t groups) {
  const Problem first = group_of(q, groups, 0);
  if constexpr (__is_same(T, float)) {
    int64_t bytes = 0;
    auto size = [&]<class A>(int64_t parts) { bytes = A(group_of(q, parts, 0)).bytes(ctx.threads); };
    if (with_floats(q, groups, size)) return bytes;
  }
  if (is_direct(q, groups)) return ctx.threads * Planes<T>(first).bytes;
  return product_workspace<Plain<T>>(ctx, first);
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
