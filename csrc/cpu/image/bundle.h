// Planes too small for vectors along their rows: as many of them (of n and c) as a vector has lanes become one
// channels-last image, whose pixels are whole vectors. The transposes on the way in and out cost less than what rows
// of a few pixels lose: 64 x 32 images of 8 x 8, means of 2 x 2, took 126 us by rows.
#pragma once
#include "cpu/copy.h"
#include "cpu/image/rows.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int64_t kBundleBytes = 128 * 1024;  // of input and output together: they stay in the L2 cache

MIELINA_INLINE int64_t plane_size(const View& v) { return v.shape[2] * v.shape[3] * v.shape[4]; }
MIELINA_INLINE bool even_planes(const View& v) {
  return (v.shape[3] == 1 || v.stride[3] == v.shape[4] * v.stride[4]) &&
         (v.shape[2] == 1 || v.stride[2] == v.shape[3] * v.shape[4] * v.stride[4]) &&
         (v.shape[4] > 1 || v.stride[4] == 1 || v.shape[2] * v.shape[3] == 1);
}
// Whether y and x go in bundles of lanes<T> planes. Only in the type of networks: each takes 40 KB of the library.
template <class T>
constexpr bool kBundles = __is_same(T, float);
template <class T>
MIELINA_INLINE bool bundled(const View& y, const View& x) {
  if (!kBundles<T>) return false;
  int64_t pixels = plane_size(y) + plane_size(x);
  return pixels > 2 && pixels * VBYTES <= kBundleBytes && y.shape[4] < 2 * lanes<T> &&
         y.shape[0] * y.shape[1] >= lanes<T> && even_planes(y) && even_planes(x) &&
         !(lanes_along_c(x) && lanes_along_c(y));
}

// The planes of an image, numbered over n and c, N at a time.
template <class T>
struct Planes {
  static constexpr int64_t N = lanes<T>;
  char* data;
  int64_t C, stride[2], step, pixels, size;
  DType dtype;
  bool direct;

  explicit Planes(const View& v)
      : data((char*)v.data),
        C(v.shape[1]),
        stride{v.stride[0], v.stride[1]},
        pixels(plane_size(v)),
        size(kDTypeSize[int(v.dtype)]),
        dtype(v.dtype) {
    step = v.shape[4] > 1 ? v.stride[4] : 1;
    if (v.shape[0] == 1) stride[0] = C * stride[1];
    direct = dtype == dtype_of<T> && step == 1 && together();
  }
  bool together() const { return stride[0] == C * stride[1]; }  // one plane follows the other in even steps
  static int64_t bytes(const View& v) { return round_up(plane_size(v) * VBYTES); }
  char* at(int64_t p) const { return data + (p / C * stride[0] + p % C * stride[1]) * size; }
  // Pixel i of plane p + j is to[i N + j], j < n. buf: N planes.
  void get(int64_t p, int64_t n, T* to, T* buf) const {
    const T* from = buf;
    if (direct) from = (const T*)at(p);
    else
      for (int64_t j = 0; j < n; j++) row_from_fn<T>(dtype)(at(p + j), step, buf + j * pixels, pixels);
    if (n < N) __builtin_memset(to, 0, size_t(pixels) * VBYTES);
    turn_planes((uint32_t*)to, N, (const uint32_t*)from, direct ? stride[1] : pixels, pixels, n);
  }
  void put(int64_t p, int64_t n, const T* from, T* buf) const {
    T* to = direct ? (T*)at(p) : buf;
    turn_planes((uint32_t*)to, direct ? stride[1] : pixels, (const uint32_t*)from, N, n, pixels);
    if (direct) return;
    for (int64_t j = 0; j < n; j++) row_to_fn<T>(dtype)(buf + j * pixels, at(p + j), step, pixels);
  }
  // A bundle of v's planes as an image of N channels.
  static RowsOf<T> rows(const View& v, T* bundle) {
    int64_t W = v.shape[4], H = v.shape[3];
    View b{bundle, dtype_of<T>, false, 5, {1, N, v.shape[2], H, W}, {0, 1, H * W * N, W * N, N}};
    return RowsOf<T>(b, true);
  }
};

// f(scratch, p, n) for planes [p, p + n), n <= N, of an image of `planes` planes; `bytes` of scratch a worker.
template <int N, class F>
void run_bundles(const Ctx& ctx, const Scratch& scratch, int64_t bytes, int64_t planes, int64_t pixels, F f) {
  int64_t count = ceil_div(planes, N), grain = max64(1, kTaskElements / (pixels * N));
  parallel_for(ctx, ceil_div(count, grain), [&](int64_t task, int worker) {
    for (int64_t b = task * grain; b < min64(count, (task + 1) * grain); b++)
      f(Scratch{scratch.at + worker * bytes}, b * N, min64(N, planes - b * N));
  });
}

}  // namespace MIELINA_ISA
}  // namespace mielina
