// pool: see table/pool.h. Forward: pool/max.h, of planes pool/max_windows.h; backward: pool/max_backward.h; by places:
// pool/planes.h; unfold and fold: pool/columns.h.
#include "cpu/pool/columns.h"
#include "cpu/pool/max_backward.h"
#include "cpu/pool/max_windows.h"
#include "cpu/pool/planes.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// Elements of a row of maxima: outputs of a row that are fewer than a vector are read as one.
template <class T>
int64_t row_room(int64_t W, int64_t L) {
  return W * L + 2 * lanes<T>;
}

// A worker's rows: kBatch converted ones, their maximum and its places, the output and its places.
template <class T>
int64_t max_worker_bytes(const View& y, const View& x, int64_t L) {
  constexpr int64_t size = sizeof(T);
  return kBatch * round_up(x.shape[4] * L * size) + 2 * round_up(row_room<T>(x.shape[4], L) * size) +
         2 * round_up(y.shape[4] * L * size);
}

// In a bundle: the image, its maxima and their places, and the maximum of rows.
template <class T>
int64_t max_bundle_bytes(const View& y, const View& x) {
  int64_t in = Planes<T>::bytes(x), out = Planes<T>::bytes(y), N = lanes<T>;
  return max64(in, out) + in + 2 * out + 2 * round_up(row_room<T>(x.shape[4], N) * int64_t(sizeof(T)));
}
template <class T, bool Where>
void max_pool_bundles(const Ctx& ctx, const View& y, const View& index, const View& x, const MaxPool<T, Where>& p,
                      const Scratch& scratch) {
  using I = IndexOf<T>;
  constexpr int64_t N = lanes<T>;
  const Planes<T> to(y), from(x);
  const Planes<I> places(Where ? index : y);
  run_bundles<N>(ctx, scratch, max_bundle_bytes<T>(y, x), y.shape[0] * y.shape[1], to.pixels + from.pixels,
                 [&](Scratch mine, int64_t q, int64_t n) {
                   T *buf = mine.take<T>(N * max64(to.pixels, from.pixels)), *in = mine.take<T>(N * from.pixels),
                     *out = mine.take<T>(N * to.pixels), *none[kBatch] = {};
                   I* place = mine.take<I>(N * to.pixels);
                   T* sum = mine.take<T>(row_room<T>(x.shape[4], N));
                   I* where = mine.take<I>(row_room<T>(x.shape[4], N));
                   from.get(q, n, in, buf);
                   MaxPool<T, Where> b = p;
                   b.from = Planes<T>::rows(x, in);
                   b.to = Planes<T>::rows(y, out);
                   b.places = Planes<I>::rows(y, place);
                   for (int64_t d = 0; d < y.shape[2]; d++)
                     for (int64_t h = 0; h < y.shape[3]; h++)
                       b.row(b.to.target(0, 0, d, h, nullptr), b.places.target(0, 0, d, h, nullptr), true, 0, 0, N, d,
                             h, sum, where, none);
                   to.put(q, n, out, buf);
                   if (Where) places.put(q, n, place, (I*)buf);
                 });
}

template <class T, bool Where>
void max_pool_as(const Ctx& ctx, const View& y, const View& index, const View& x, const ImageMap& map) {
  using I = IndexOf<T>;
  bool along_c = lanes_along_c(x) && lanes_along_c(y);
  RowSpace space(y, x, along_c);
  MaxPool<T, Where> p{
      RowsOf<T>(y, along_c), RowsOf<T>(x, along_c), RowsOf<I>(Where ? index : y, along_c), {}, x.shape[3],
      least<T>(x.dtype)};
  Scratch scratch{(char*)ctx.workspace};
  make_image_taps(p.t, map, false, scratch);
  int64_t bytes = max_worker_bytes<T>(y, x, space.L);
  if constexpr (kBundles<T>)
    if (bundled<T>(y, x) && (!Where || even_planes(index))) return max_pool_bundles(ctx, y, index, x, p, scratch);
  if constexpr (kWindows<T>)
    if (const PlaneWindows windows = windows_of(p.from, p.t);
        !along_c && windows != PlaneWindows::none && !(windows == PlaneWindows::wide && p.in_vectors()))
      return where_ready(p.from.direct && p.to.direct, [&]<bool Ready>(Ask<Ready>) {
        space.runs(ctx, max64(x.shape[4], y.shape[4]),
                   [&](int worker, int64_t n, int64_t c, int64_t, int64_t d, int64_t h, int64_t left) {
                     WindowRows<T> rows;
                     Alike<T> alike;
                     Scratch mine{scratch.at + worker * bytes};
                     I* place = nullptr;
                     if (Where) place = p.places.target(n, c, d, h, mine.take<I>(p.to.W));
                     T* out = (T*)p.to.at(n, c, d, h);
                     if (Ready) rows.find(p.from, p.t, p.height, p.from.at(n, c, 0, 0), d, h, sizeof(T));
                     else out = rows.convert(p.to, p.from, p.t, p.height, n, c, d, h, mine);
                     if (windows == PlaneWindows::wide) {
                       wide_windows(MaxWindows<T, true, false>{out, place}, rows, p.t[2]);
                     } else {
                       if (Ready && (!Where || p.places.direct)) alike.find(p.to, p.from, p.t, h, left);
                       if (Where) alike.places = p.places.stride[3];
                       half_windows(MaxWindows<T, Where, true>{out, place}, rows, p.t[2], alike);
                     }
                     if (!Ready) put_row(p.to, n, c, d, h, out);
                     if (Where) p.places.put(n, c, d, h, 1, place);
                     return alike.rows;
                   });
      });
  space.run(ctx, max64(x.shape[4], y.shape[4]) * space.L,
            [&](int worker, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h) {
              Scratch mine{scratch.at + worker * bytes};
              T* buf[kBatch];
              for (T*& b : buf) b = mine.take<T>(p.from.W * space.L);
              T* sum = mine.take<T>(row_room<T>(p.from.W, space.L));
              I* where = mine.take<I>(row_room<T>(p.from.W, space.L));
              T* out = p.to.target(n, c, d, h, mine.take<T>(p.to.W * space.L));
              I* place = mine.take<I>(p.to.W * space.L);
              if (Where) place = p.places.target(n, c, d, h, place);
              p.row(out, place, along_c, n, c, L, d, h, sum, where, buf);
              p.to.put(n, c, d, h, L, out);
              if (Where) p.places.put(n, c, d, h, L, place);
            });
}

// f64 also stands in where an index does not fit 32 bits.
template <class F>
void with_max_type(DType d, const View& image, F f) {
  bool large = image.shape[2] * image.shape[3] * image.shape[4] > INT32_MAX;
  if (d == DType::f64 || (large && (d == DType::f32 || d == DType::f16 || d == DType::bf16))) f(double{});
  else if (d == DType::f32 || d == DType::f16 || d == DType::bf16) f(float{});
  else f(int64_t{});
}

int64_t max_pool_workspace(const Ctx& ctx, const View& y, const View& x, const ImageMap& map) noexcept {
  int64_t bytes = 0;
  with_max_type(x.dtype, x, [&]<class T>(T) {
    RowSpace space(y, x, lanes_along_c(x) && lanes_along_c(y));
    int64_t rows = max_worker_bytes<T>(y, x, space.L), planes = bundled<T>(y, x) ? max_bundle_bytes<T>(y, x) : 0;
    bytes = image_taps_bytes<T>(map) + ctx.threads * max64(rows, planes);
  });
  return bytes;
}
void max_pool(const Ctx& ctx, const View& y, const View& index, const View& x, const ImageMap& map) noexcept {
  with_max_type(x.dtype, x, [&]<class T>(T) {
    if (index.data) max_pool_as<T, true>(ctx, y, index, x, map);
    else max_pool_as<T, false>(ctx, y, index, x, map);
  });
}

}  // namespace

void fill_pool(Kernels&);
void fill_pool(Kernels& k) {
  k.max_pool_workspace = max_pool_workspace;
  k.max_pool = max_pool;
  k.max_pool_backward_workspace = max_pool_backward_workspace;
  k.max_pool_backward = max_pool_backward;
  k.plane_workspace = plane_workspace;
  k.plane_gather = plane_gather;
  k.plane_scatter = plane_scatter;
  k.unfold = unfold;
  k.fold = fold;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
