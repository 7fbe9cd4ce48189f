// Rows of (N, C, D, H, W) images: what pooling and resampling walk over. A row is W pixels of L lanes. Images whose
// rows are contiguous (NCHW) have one lane, so vectors run along W; in channels-last images the lanes are a block of
// channels and vectors run along C. Rows are used where they lie if they are of the compute type T, else converted into
// a buffer.
#pragma once
#include "cpu/block.h"
#include "cpu/image/taps.h"
#include "cpu/transpose.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int64_t kRowElements = 8192;  // of a row with lanes: 32 KB of f32, the L1 cache
constexpr int64_t kTaskElements = 32768;
constexpr int kBatch = 4;  // source rows combined in one pass

template <class T>
using IndexOf = Elem<Mask<Vec<T>>>;

// The rows of one image: `n`, channels [c, c + L), depth d, height h.
template <class T>
struct RowsOf {
  char* data;
  int64_t size, stride[5], W;
  DType dtype;
  bool direct;

  RowsOf(const View& v, bool along_c)
      : data((char*)v.data), size(kDTypeSize[int(v.dtype)]), W(v.shape[4]), dtype(v.dtype) {
    for (int d = 0; d < 5; d++) stride[d] = v.stride[d];
    direct = dtype == dtype_of<T> && (along_c ? stride[1] == 1 : (stride[4] == 1 || W == 1));
  }
  char* at(int64_t n, int64_t c, int64_t d, int64_t h) const {
    return data + (n * stride[0] + c * stride[1] + d * stride[2] + h * stride[3]) * size;
  }
  // The row's pixels, `pixel` elements apart.
  int64_t pixel(int64_t L) const { return direct ? stride[4] : L; }
  const T* get(int64_t n, int64_t c, int64_t d, int64_t h, int64_t L, T* buf) const {
    const char* p = at(n, c, d, h);
    if (direct) return (const T*)p;
    auto row = row_from_fn<T>(dtype);
    if (L == 1) row(p, stride[4], buf, W);
    else if (stride[1] == 1 && stride[4] == L) row(p, 1, buf, W * L);
    else
      for (int64_t w = 0; w < W; w++) row(p + w * stride[4] * size, stride[1], buf + w * L, L);
    return buf;
  }
  T* target(int64_t n, int64_t c, int64_t d, int64_t h, T* buf) const { return direct ? (T*)at(n, c, d, h) : buf; }
  void put(int64_t n, int64_t c, int64_t d, int64_t h, int64_t L, const T* buf) const {
    if (direct) return;
    char* p = at(n, c, d, h);
    auto row = row_to_fn<T>(dtype);
    if (L == 1) row(buf, p, stride[4], W);
    else if (stride[1] == 1 && stride[4] == L) row(buf, p, 1, W * L);
    else
      for (int64_t w = 0; w < W; w++) row(buf + w * L, p + w * stride[4] * size, stride[1], L);
  }
};

// The output rows of an image, in blocks of channels: f(worker, n, c, L, d, h). With `runs` f is also told how many
// rows follow in the same plane and task, itself among them, and gives how many it did.
struct RowSpace {
  int64_t N, C, D, H, L;
  RowSpace(const View& y, const View& x, bool along_c)
      : N(y.shape[0]), C(y.shape[1]), D(y.shape[2]), H(y.shape[3]), L(1) {
    int64_t W = max64(1, max64(y.shape[4], x.shape[4]));
    // One pixel in all needs no row: whole cache lines of channels (32 x 64 x 56 x 56: 860 us a line at a time).
    int64_t least = D * H * y.shape[4] == 1 ? 64 : 16;
    if (along_c) L = min64(C, max64(least, kRowElements / W / 16 * 16));
  }
  template <class F>
  void run(const Ctx& ctx, int64_t work, F f) const {
    runs(ctx, work, [&](int worker, int64_t n, int64_t c, int64_t l, int64_t d, int64_t h, int64_t) {
      f(worker, n, c, l, d, h);
      return int64_t(1);
    });
  }
  template <class F>
  void runs(const Ctx& ctx, int64_t work, F f) const {
    int64_t blocks = ceil_div(C, L), rows = N * blocks * D * H, grain = max64(1, kTaskElements / max64(1, work));
    parallel_for(ctx, ceil_div(rows, grain), [&](int64_t task, int worker) {
      int64_t r = task * grain, end = min64(rows, r + grain), h = r % H, d = r / H % D, b = r / H / D % blocks,
              n = r / H / D / blocks;
      while (r < end) {
        const int64_t done = f(worker, n, b * L, min64(L, C - b * L), d, h, min64(end - r, H - h));
        r += done;
        h += done;
        if (h < H) continue;
        h = 0;
        if (++d < D) continue;
        d = 0;
        if (++b < blocks) continue;
        b = 0;
        n++;
      }
    });
  }
};

// a[0], b[0], a[1], b[1], ...
template <class T>
MIELINA_INLINE void store_interleaved(T* p, Vec<T> a, Vec<T> b) {
  constexpr int L = lanes<T>;
#if defined(__clang__)
  for (int i = 0; i < L; i++) {
    p[2 * i] = a[i];
    p[2 * i + 1] = b[i];
  }
#else
  Mask<Vec<T>> low{}, high{};
  for (int i = 0; i < L; i++) {
    low[i] = i / 2 + i % 2 * L;
    high[i] = low[i] + L / 2;
  }
  store(p, __builtin_shuffle(a, b, low));
  store(p + L, __builtin_shuffle(a, b, high));
#endif
}

}  // namespace MIELINA_ISA
}  // namespace mielina
