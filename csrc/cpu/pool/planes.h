// Planes (D, H, W of one channel) addressed by an index: (d H + h) W + w. Planes are evenly strided: h steps W w-steps.
#pragma once
#include "cpu/image/bundle.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// A worker's buffers: the image's plane, and one row of the outputs with its indices.
template <class T>
int64_t plane_bytes(const View& image, const View& y) {
  return round_up(plane_size(image) * int64_t(sizeof(T))) + 2 * round_up(y.shape[4] * int64_t(sizeof(T)));
}

// f(row of y's values, its indices, d, h) for the rows of channel (n, c).
template <class T, class F>
MIELINA_INLINE void each_row(const View& y, const RowsOf<IndexOf<T>>& index, int64_t n, int64_t c, IndexOf<T>* buf,
                             F f) {
  for (int64_t d = 0; d < y.shape[2]; d++)
    for (int64_t h = 0; h < y.shape[3]; h++) f(index.get(n, c, d, h, 1, buf), d, h);
}

// y = 0, then y[index] (+)= x, in order.
template <class T, bool Add>
void scatter_planes(const Ctx& ctx, const View& y, const View& x, const View& index) {
  using I = IndexOf<T>;
  using U = Elem<Bits<Mask<Vec<T>>>>;
  int64_t C = y.shape[1], size = plane_size(y), step = y.stride[4], bytes = plane_bytes<T>(y, x);
  RowsOf<T> to(y, false), from(x, false);
  RowsOf<I> places(index, false);
  bool direct = y.dtype == dtype_of<T> && step == 1;
  parallel_for(ctx, y.shape[0] * C, [&](int64_t task, int worker) {
    int64_t n = task / C, c = task % C;
    Scratch mine{(char*)ctx.workspace + worker * bytes};
    T *plane = mine.take<T>(size), *row = mine.take<T>(x.shape[4]);
    I* at = mine.take<I>(x.shape[4]);
    char* out = to.at(n, c, 0, 0);
    if (direct) plane = (T*)out;
    __builtin_memset(plane, 0, size_t(size) * sizeof(T));
    each_row<T>(x, places, n, c, at, [&](const I* i, int64_t d, int64_t h) {
      const T* v = from.get(n, c, d, h, 1, row);
      for (int64_t o = 0; o < x.shape[4]; o++)
        if (U(i[o]) < U(size)) [[likely]] {
          if (Add) plane[i[o]] += v[o];
          else plane[i[o]] = v[o];
        }
    });
    if (!direct) row_to_fn<T>(y.dtype)(plane, out, step, size);
  });
}

template <class T>
void gather_planes(const Ctx& ctx, const View& y, const View& x, const View& index) {
  using I = IndexOf<T>;
  using U = Elem<Bits<Mask<Vec<T>>>>;
  int64_t C = y.shape[1], size = plane_size(x), bytes = plane_bytes<T>(x, y);
  RowsOf<T> to(y, false), from(x, false);
  RowsOf<I> places(index, false);
  bool direct = x.dtype == dtype_of<T> && x.stride[4] == 1;
  parallel_for(ctx, y.shape[0] * C, [&](int64_t task, int worker) {
    int64_t n = task / C, c = task % C;
    Scratch mine{(char*)ctx.workspace + worker * bytes};
    T *buf = mine.take<T>(size), *row = mine.take<T>(y.shape[4]);
    I* at = mine.take<I>(y.shape[4]);
    const T* plane = (const T*)from.at(n, c, 0, 0);
    if (!direct) {
      row_from_fn<T>(x.dtype)(plane, x.stride[4], buf, size);
      plane = buf;
    }
    each_row<T>(y, places, n, c, at, [&](const I* i, int64_t d, int64_t h) {
      T* out = to.target(n, c, d, h, row);
      for (int64_t o = 0; o < y.shape[4]; o++) out[o] = U(i[o]) < U(size) ? plane[i[o]] : T(0);
      to.put(n, c, d, h, 1, out);
    });
  });
}

// Indices up to the size of an image; f64 has the 64-bit ones.
template <class F>
void with_plane_type(const View& image, F f) {
  if (image.dtype == DType::f64 || plane_size(image) > INT32_MAX) f(double{});
  else f(float{});
}
int64_t plane_workspace(const Ctx& ctx, const View& image, const View& y) noexcept {
  int64_t bytes = 0;
  with_plane_type(image, [&]<class T>(T) { bytes = ctx.threads * plane_bytes<T>(image, y); });
  return bytes;
}
void plane_gather(const Ctx& ctx, const View& y, const View& x, const View& index) noexcept {
  with_plane_type(x, [&]<class T>(T) { gather_planes<T>(ctx, y, x, index); });
}
void plane_scatter(const Ctx& ctx, const View& y, const View& x, const View& index) noexcept {
  with_plane_type(y, [&]<class T>(T) { scatter_planes<T, false>(ctx, y, x, index); });
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
