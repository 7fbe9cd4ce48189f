// The gradient of maxima.
//
// Channels-last, and in bundles: each task owns rows of dx and looks in every window that covers a pixel whether the
// pixel was its largest: full vectors along C, each dx written once for a row of windows. Planes of windows of two or
// three pixels, two apart, do so along W. In other planes a task adds the gradients where they belong.
#pragma once
#include "cpu/pool/max.h"
#include "cpu/pool/planes.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// Pixels 2 j + shift and the next one, low <= j < high, are in window j; of windows of three the second one is also in
// the window after it.
struct Pairs {
  int64_t low = 0, high = 0, shift = 0, windows = 0;
  bool three = false;

  template <class T>
  [[gnu::cold]] static Pairs of(const ImageMap& map) {
    Pairs p;
    for (const AxisMap& m : map.axis)
      if (m.kind != AxisKind::window || m.dilation != 1) return p;
    const AxisMap &d = map.axis[0], &h = map.axis[1], &w = map.axis[2];
    if (!kWindows<T> || d.kernel > d.stride || h.kernel > h.stride + 1 || w.stride != 2 ||
        (w.kernel != 2 && w.kernel != 3))
      return p;
    p.three = w.kernel == 3;
    p.windows = w.out;
    p.shift = w.kernel - 2 - w.padding;
    p.low = p.shift < 0;
    p.high = min64(w.out, (w.in - p.shift) / 2);
    return p;
  }
  bool fill(int64_t lanes) const { return high - low >= lanes; }
};

template <class T>
struct MaxBackward {
  using I = IndexOf<T>;
  using V = Vec<T>;
  static constexpr int64_t N = lanes<T>;
  RowsOf<T> to, from;
  RowsOf<I> places;
  Taps<T> t[3];
  int64_t height;
  Pairs pairs;

  static int64_t bundle_bytes(const View& dx, const View& g) {
    int64_t in = Planes<T>::bytes(g), out = Planes<T>::bytes(dx);
    return max64(in, out) + 2 * in + out;
  }
  static int64_t worker_bytes(const View& dx, const View& g, int64_t L) {
    return round_up(dx.shape[4] * L * int64_t(sizeof(T))) + 2 * round_up(g.shape[4] * L * int64_t(sizeof(T)));
  }
  // B vectors of channels of pixel i from a row of windows; B == 1: up to a vector, w channels.
  template <int B>
  __attribute__((always_inline)) void add_pixel(T* out, const T* g, const I* index, int64_t g_pixel,
                                                int64_t index_pixel, int64_t w, int64_t i, I here, bool add) const {
    auto get = [&](const auto* p, int b) __attribute__((always_inline)) {
      if constexpr (B == 1) return load_part(p, w);
      else return load(p + b * N);
    };
    V s[B];
#pragma GCC unroll 4
    for (int b = 0; b < B; b++) s[b] = add ? get(out, b) : V{};
    for (int64_t k = t[2].start[i]; k < t[2].start[i + 1]; k++) {
      const T* v = g + t[2].index[k] * g_pixel;
      const I* at = index + t[2].index[k] * index_pixel;
#pragma GCC unroll 4
      for (int b = 0; b < B; b++) s[b] += get(at, b) == splat<IndexVec<T>>(here) ? get(v, b) : V{};
    }
#pragma GCC unroll 4
    for (int b = 0; b < B; b++)
      if constexpr (B == 1) store_part(out, s[b], w);
      else store(out + b * N, s[b]);
  }
  void add_row(T* out, const T* g, const I* index, int64_t g_pixel, int64_t index_pixel, int64_t L, int64_t base,
               bool add) const {
    constexpr int B = kWindows<T> ? 4 : 1;
    for (int64_t i = 0; i < to.W; i++, out += to.pixel(L)) {
      int64_t c = 0;
      for (; B > 1 && c + B * N <= L; c += B * N)
        add_pixel<B>(out + c, g + c, index + c, g_pixel, index_pixel, L, i, I(base + i), add);
      for (; c < L; c += N) add_pixel<1>(out + c, g + c, index + c, g_pixel, index_pixel, L - c, i, I(base + i), add);
    }
  }
  // Row (d, h) of dx, channels [c, c + L).
  void row(T* out, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h, T* up, I* where) const {
    bool add = false;
    for (int64_t j = t[0].start[d]; j < t[0].start[d + 1]; j++)
      for (int64_t k = t[1].start[h]; k < t[1].start[h + 1]; k++, add = true) {
        int64_t od = t[0].index[j], oh = t[1].index[k];
        const T* g = from.get(n, c, od, oh, L, up);
        const I* at = places.get(n, c, od, oh, L, where);
        add_row(out, g, at, from.pixel(L), places.pixel(L), L, (d * height + h) * to.W, add);
      }
    for (int64_t i = 0; i < to.W && !add; i++) __builtin_memset(out + i * to.pixel(L), 0, size_t(L) * sizeof(T));
  }

  // One or two rows of windows and two rows of dx that they have, y1 perhaps a buffer; place: of y0's first pixel.
  struct RowPair {
    const T* g[2];
    const I* at[2];
    T *y0, *y1;
    I place;
    int n = 0;
  };
  template <bool three>
  static void pair_row(const RowPair x, const Pairs p, I W) {
    const IndexVec<T> start = lane_numbers<T>() * 2 + splat<IndexVec<T>>(x.place);
    for (int64_t j = p.low; j < p.high; j += N) {
      j = min64(j, p.high - N);  // the last vector overlaps the one before
      const int64_t o = 2 * j + p.shift;
      const IndexVec<T> here = start + splat<IndexVec<T>>(I(o)), below = here + splat<IndexVec<T>>(W);
      V a{}, b{}, c{}, d{};
      auto add = [&](const T* g, const I* at) __attribute__((always_inline)) {
        V v = load(g + j);
        IndexVec<T> i = load(at + j);
        a += i == here ? v : V{};
        b += i == here + 1 ? v : V{};
        c += i == below ? v : V{};
        d += i == below + 1 ? v : V{};
        if (!three) return;
        const bool more = j + N < p.windows;
        v = more ? load(g + j + 1) : later_lanes(v, V{});
        i = more ? load(at + j + 1) : (IndexVec<T>)later_lanes((V)i, (V)splat<IndexVec<T>>(-1));
        b += i == here + 1 ? v : V{};
        d += i == below + 1 ? v : V{};
      };
      add(x.g[0], x.at[0]);
      if (x.n == 2) add(x.g[1], x.at[1]);
      interleave(a, b, a, b);
      interleave(c, d, c, d);
      store(x.y0 + o, a);
      store(x.y0 + o + N, b);
      store(x.y1 + o, c);
      store(x.y1 + o + N, d);
    }
  }
  // Pixels beyond the pairs of a row of dx, one by one.
  [[gnu::noinline]] void edges(const RowPair& x, T* y, I place) const {
    const int64_t first = 2 * pairs.low + pairs.shift, last = 2 * pairs.high + pairs.shift;
    for (int64_t i = first > 0 ? 0 : last; i < to.W; i = i + 1 == first ? last : i + 1) {
      T s = 0;
      for (int r = 0; r < x.n; r++)
        for (int64_t k = t[2].start[i]; k < t[2].start[i + 1]; k++)
          if (x.at[r][t[2].index[k]] == place + I(i)) s += x.g[r][t[2].index[k]];
      y[i] = s;
    }
  }
  // Rows of dx of a plane from (d, h) on, at most `left`; gives how many: two at a time where rows repeat so. Looking
  // for a pixel in a row of windows that does not have it finds nothing.
  [[gnu::noinline]] int64_t pair_rows(int64_t n, int64_t c, int64_t d, int64_t h, int64_t left, T* buf) const {
    const Taps<T>& v = t[1];
    const int64_t count = v.period == 2 && v.step == 1 && h >= v.first ? min64(left, v.last - h) / 2 : 0,
                  rows = count > 0 ? 2 : 1, from_step = from.stride[3], place_step = places.stride[3],
                  to_step = 2 * to.stride[3];
    RowPair x;
    x.y0 = (T*)to.at(n, c, d, h);
    x.y1 = rows == 2 ? x.y0 + to.stride[3] : buf;
    x.place = I((d * height + h) * to.W);
    for (int64_t j = t[0].start[d]; j < t[0].start[d + 1]; j++)
      for (int64_t k = v.start[h], last = -1; k < v.start[h + rows]; k++)
        if (v.index[k] > last) {
          last = v.index[k];
          x.g[x.n] = (const T*)from.at(n, c, t[0].index[j], last);
          x.at[x.n++] = (const I*)places.at(n, c, t[0].index[j], last);
        }
    if (x.n == 0) {
      __builtin_memset(x.y0, 0, size_t(to.W) * sizeof(T));
      return 1;
    }
    const bool ends = 2 * pairs.low + pairs.shift > 0 || 2 * pairs.high + pairs.shift < to.W;
    x.g[1] = x.n == 2 ? x.g[1] : x.g[0];
    x.at[1] = x.n == 2 ? x.at[1] : x.at[0];
    for (int64_t i = 0;;) {
      if (pairs.three) pair_row<true>(x, pairs, I(to.W));
      else pair_row<false>(x, pairs, I(to.W));
      if (ends) {
        edges(x, x.y0, x.place);
        edges(x, x.y1, x.place + I(to.W));
      }
      if (++i >= count) return rows * i;
      x.g[0] += from_step;
      x.g[1] += from_step;
      x.at[0] += place_step;
      x.at[1] += place_step;
      x.y0 += to_step;
      x.y1 += to_step;
      x.place += I(2 * to.W);
    }
  }
};

template <class T>
void max_backward_bundles(const Ctx& ctx, const View& dx, const View& g, const View& index, const MaxBackward<T>& p,
                          const Scratch& scratch) {
  using I = IndexOf<T>;
  constexpr int64_t N = lanes<T>;
  const Planes<T> to(dx), from(g);
  const Planes<I> places(index);
  run_bundles<N>(ctx, scratch, p.bundle_bytes(dx, g), dx.shape[0] * dx.shape[1], to.pixels + from.pixels,
                 [&](Scratch mine, int64_t q, int64_t n) {
                   T *buf = mine.take<T>(N * max64(to.pixels, from.pixels)), *up = mine.take<T>(N * from.pixels),
                     *out = mine.take<T>(N * to.pixels);
                   I* at = mine.take<I>(N * from.pixels);
                   from.get(q, n, up, buf);
                   places.get(q, n, at, (I*)buf);
                   MaxBackward<T> b = p;
                   b.from = Planes<T>::rows(g, up);
                   b.to = Planes<T>::rows(dx, out);
                   b.places = Planes<I>::rows(g, at);
                   for (int64_t d = 0; d < dx.shape[2]; d++)
                     for (int64_t h = 0; h < dx.shape[3]; h++)
                       b.row(b.to.target(0, 0, d, h, nullptr), 0, 0, N, d, h, nullptr, nullptr);
                   to.put(q, n, out, buf);
                 });
}

// How dx is made: row by row, or else plane by plane. A map without outputs has no windows at all.
enum class MaxForm { planes, lanes, bundles, pairs };
template <class T>
[[gnu::cold]] MaxForm max_form(const View& dx, const View& g, const ImageMap& map) {
  if (map.axis[0].out == 0) return MaxForm::planes;
  if (lanes_along_c(dx) && lanes_along_c(g)) return MaxForm::lanes;
  if (bundled<T>(dx, g)) return MaxForm::bundles;
  return Pairs::of<T>(map).fill(lanes<T>) && RowsOf<T>(dx, false).direct && RowsOf<T>(g, false).direct
             ? MaxForm::pairs
             : MaxForm::planes;
}
template <class T>
void max_backward_rows(const Ctx& ctx, const View& dx, const View& g, const View& index, const ImageMap& map,
                       MaxForm form) {
  using I = IndexOf<T>;
  const bool along_c = form != MaxForm::pairs;
  RowSpace space(dx, g, along_c);
  MaxBackward<T> b{RowsOf<T>(dx, along_c), RowsOf<T>(g, along_c), RowsOf<I>(index, along_c), {}, dx.shape[3],
                   Pairs::of<T>(map)};
  Scratch scratch{(char*)ctx.workspace};
  make_image_taps(b.t, map, true, scratch);
  if constexpr (kBundles<T>)
    if (form == MaxForm::bundles) return max_backward_bundles(ctx, dx, g, index, b, scratch);
  int64_t bytes = b.worker_bytes(dx, g, space.L);
  if constexpr (kWindows<T>)
    if (form == MaxForm::pairs)
      return space.runs(ctx, b.to.W,
                        [&](int worker, int64_t n, int64_t c, int64_t, int64_t d, int64_t h, int64_t left) {
                          return b.pair_rows(n, c, d, h, left, (T*)(scratch.at + worker * bytes));
                        });
  space.run(ctx, dx.shape[4] * space.L, [&](int worker, int64_t n, int64_t c, int64_t L, int64_t d, int64_t h) {
    Scratch mine{scratch.at + worker * bytes};
    T *out = b.to.target(n, c, d, h, mine.take<T>(b.to.W * space.L)), *up = mine.take<T>(b.from.W * space.L);
    I* where = mine.take<I>(b.from.W * space.L);
    b.row(out, n, c, L, d, h, up, where);
    b.to.put(n, c, d, h, L, out);
  });
}

int64_t max_pool_backward_workspace(const Ctx& ctx, const View& dx, const View& g, const ImageMap& map) noexcept {
  int64_t bytes = 0;
  with_plane_type(dx, [&]<class T>(T) {
    using B = MaxBackward<T>;
    const MaxForm form = max_form<T>(dx, g, map);
    bytes = ctx.threads * plane_bytes<T>(dx, g);
    if (form == MaxForm::planes) return;
    int64_t rows = B::worker_bytes(dx, g, RowSpace(dx, g, true).L), planes = B::bundle_bytes(dx, g);
    bytes = max64(bytes, image_taps_bytes<T>(map) + ctx.threads * (form == MaxForm::bundles ? planes : rows));
  });
  return bytes;
}
void max_pool_backward(const Ctx& ctx, const View& dx, const View& g, const View& index, const ImageMap& map) noexcept {
  with_plane_type(dx, [&]<class T>(T) {
    MaxForm form = max_form<T>(dx, g, map);
    if ((form == MaxForm::bundles && !even_planes(index)) ||
        (form == MaxForm::pairs && !RowsOf<IndexOf<T>>(index, false).direct))
      form = MaxForm::planes;
    if (form == MaxForm::planes) scatter_planes<T, true>(ctx, dx, g, index);
    else max_backward_rows<T>(ctx, dx, g, index, map, form);
  });
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
