// Groups dealt to threads, each whole to one: cut themselves, groups of a few microseconds leave threads waiting for
// each other once a group.
#pragma once
#include "cpu/conv/direct.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// What is done once a call or a group is compiled for size: 4 KB a level less.
struct Part {
  View y, x, w;
};
// A convolution of y, x and w, or one of its gradients.
struct Groups {
  const View &y, &x, &w;
  int64_t count, chunk, chunks = 1;  // groups; images dealt together

  Groups(const View& y, const View& x, const View& w, int64_t groups)
      : y(y), x(x), w(w), count(groups), chunk(y.shape[kN]) {}
  // By the shape alone: where groups are many, small, and not convolved by planes, which are dealt already.
  __attribute__((cold, noinline)) static bool dealt(const View& y, const View& w, int64_t groups) {
    constexpr int64_t kGroups = 8, kSteps = 32 << 20, least = VBYTES == 32 ? 8 : kDirectChannels + 1;
    return VBYTES > 16 && groups >= kGroups && w.dtype != DType::f64 &&
           min64(w.shape[kN] / groups, w.shape[kC]) >= least && numel(y) / groups * (numel(w) / w.shape[kN]) <= kSteps;
  }
  // Groups of channels-last images share lines, which should stay in a cache from one group to the next.
  __attribute__((cold, noinline)) void cut_images() {
    constexpr int64_t kBytes = 8 << 20;
    const int64_t N = y.shape[kN];
    if (N == 0 || !lanes_along_c(x) || !lanes_along_c(y)) return;
    chunk = ceil_div(N, min64(N, ceil_div((numel(x) + numel(y)) * int64_t(sizeof(float)), kBytes)));
    chunks = ceil_div(N, chunk);
  }
  View images(const View& v, int64_t i) const {
    const int64_t first = i / count * chunk, n = v.shape[kC] / count;
    return slice(slice(v, kN, first, min64(chunk, v.shape[kN] - first)), kC, i % count * n, n);
  }
  __attribute__((cold, noinline)) void part(int64_t i, Part& p) const {
    const int64_t n = w.shape[kN] / count;
    p = {images(y, i), images(x, i), slice(w, kN, i % count * n, n)};
  }
  // The most that f(part) is: the last images may be fewer, and be convolved in another way.
  template <class F>
  int64_t most(F f) const {
    Part first, last;
    part(0, first);
    part(count * chunks - 1, last);
    return max64(f(first), f(last));
  }
  // f(context of one thread, part) for all parts; bytes: of such a context's workspace.
  template <class F>
  void deal(const Ctx& ctx, int64_t bytes, F f) const {
    auto each = [&](int64_t i, int worker) {
      Part p;
      part(i, p);
      f(alone(ctx, worker * bytes), p, i % count);
    };
    parallel_for(ctx, count * chunks, each);
  }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
