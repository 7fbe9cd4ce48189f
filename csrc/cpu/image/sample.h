// grid_sample: an image read at given points. See table/image.h.
#pragma once
#include "cpu/image/taps.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int kMaxTaps = 16;  // bicubic: 4 x 4; trilinear: 8
constexpr int64_t kChannelBlock = 16;

// What an image (not a volume) gives, as in PyTorch, for a point that is NaN or infinite and not clipped.
template <class T>
MIELINA_INLINE bool nowhere(T u, bool volume) {
  return !volume && !(u - u == T(0));
}

// The taps of one coordinate, and the derivatives of their weights with respect to it.
template <class T>
struct Coordinate {
  int n;
  int64_t index[4];  // -1: outside, reads 0
  T weight[4], slope[4];
};

// u in pixels, brought into the image; `slope` is multiplied by the derivative.
template <class T>
MIELINA_INLINE T into_image(T u, int64_t size, const SampleArgs& a, bool volume, T& slope) {
  if (a.border == Border::reflection) {
    T low = a.align_corners ? T(0) : T(-0.5), span = a.align_corners ? T(size - 1) : T(size);
    if (span == T(0)) {
      slope = 0;
      return 0;
    }
    T x = u - low;
    if (x < 0) {
      x = -x;
      slope = -slope;
    }
    T turns = T(__builtin_floor(double(x / span))), rest = x - turns * span;
    bool odd = turns - 2 * T(__builtin_floor(double(turns / 2))) != T(0);
    u = (odd ? span - rest : rest) + low;
    if (odd) slope = -slope;
  }
  if (a.border == Border::zeros) return u;
  T top = T(size - 1);
  if (!(u > T(0)) && (u == u || !volume)) {  // as in PyTorch, NaN is the first pixel of an image, the last of a volume
    slope = 0;
    return T(0);
  }
  if (!(u < top)) {
    slope = 0;
    return top;
  }
  return u;
}

template <class T>
MIELINA_INLINE int64_t inside(T u, int64_t size) {
  return u >= T(0) && u < T(size) ? int64_t(u) : -1;
}

// Keys 1981 with a = -3/4, and its derivative, at signed distance t.
MIELINA_INLINE double cubic_slope(double t) {
  constexpr double a = -0.75;
  double s = t < 0 ? -1 : 1, u = t * s;
  return s * (u <= 1 ? (3 * (a + 2) * u - 2 * (a + 3)) * u : u < 2 ? (3 * a * u - 10 * a) * u + 8 * a : 0);
}

template <class T>
MIELINA_INLINE Coordinate<T> coordinate(T g, int64_t size, const SampleArgs& a, bool volume) {
  Coordinate<T> c;
  T slope = a.align_corners ? T(size - 1) / 2 : T(size) / 2;
  T u = a.align_corners ? (g + 1) / 2 * T(size - 1) : ((g + 1) * T(size) - 1) / 2;
  if (a.mode == Sample::bicubic) {  // each tap is brought into the image, not the point
    if (nowhere(u, volume)) return {1, {0}, {u - u}, {0}};
    c.n = 4;
    T low = T(__builtin_floor(double(u)));
    for (int k = 0; k < 4; k++) {
      double t = double(u - low) - (k - 1);
      T none = 1, at = into_image(low + T(k - 1), size, a, volume, none);
      c.index[k] = a.border == Border::zeros ? inside(at, size) : inside(T(__builtin_rint(double(at))), size);
      c.weight[k] = T(cubic(t < 0 ? -t : t, -0.75));
      c.slope[k] = T(cubic_slope(t)) * slope;
    }
    return c;
  }
  u = into_image(u, size, a, volume, slope);
  if (a.mode == Sample::nearest) {
    c.n = 1;
    c.index[0] = inside(T(__builtin_rint(double(u))), size);
    c.weight[0] = 1;
    c.slope[0] = 0;
    return c;
  }
  if (nowhere(u, volume)) return {1, {0}, {u - u}, {0}};
  c.n = 2;
  T low = T(__builtin_floor(double(u)));
  c.index[0] = inside(low, size);
  c.index[1] = inside(low + 1, size);
  c.weight[1] = u - low;
  c.weight[0] = 1 - c.weight[1];
  c.slope[0] = -slope;
  c.slope[1] = slope;
  return c;
}

// One output point: where its taps lie in a plane and what they weigh.
template <class T>
struct Point {
  int n = 0;
  int64_t offset[kMaxTaps];
  T weight[kMaxTaps], slope[3][kMaxTaps];  // slope: of x, y, z, the grid's order
};

template <class T>
struct Grid {
  View x, grid;
  SampleArgs args;
  int dims;

  const T* coordinates(int64_t n, int64_t p, int64_t q, int64_t r) const {
    const int64_t* s = grid.stride;
    return (const T*)grid.data + n * s[0] + p * s[1] + q * s[2] + r * s[3];
  }
  Point<T> point(int64_t n, int64_t p, int64_t q, int64_t r) const {
    const T* g = coordinates(n, p, q, r);
    int64_t s = grid.stride[4];
    Coordinate<T> cx = coordinate(g[0], x.shape[4], args, dims == 3),
                  cy = coordinate(g[s], x.shape[3], args, dims == 3);
    Coordinate<T> cz{1, {0}, {T(1)}, {T(0)}};
    if (dims == 3) cz = coordinate(g[2 * s], x.shape[2], args, true);
    Point<T> t;
    for (int k = 0; k < cz.n; k++)
      for (int j = 0; j < cy.n; j++)
        for (int i = 0; i < cx.n; i++) {
          if (cz.index[k] < 0 || cy.index[j] < 0 || cx.index[i] < 0) continue;
          t.offset[t.n] = cz.index[k] * x.stride[2] + cy.index[j] * x.stride[3] + cx.index[i] * x.stride[4];
          t.weight[t.n] = cz.weight[k] * cy.weight[j] * cx.weight[i];
          t.slope[0][t.n] = cz.weight[k] * cy.weight[j] * cx.slope[i];
          t.slope[1][t.n] = cz.weight[k] * cy.slope[j] * cx.weight[i];
          t.slope[2][t.n] = cz.slope[k] * cy.weight[j] * cx.weight[i];
          t.n++;
        }
    return t;
  }
};

template <class T>
MIELINA_INLINE T* element_at(const View& v, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
  return (T*)v.data + n * v.stride[0] + c * v.stride[1] + d * v.stride[2] + h * v.stride[3] + w * v.stride[4];
}

// Points of four taps each, of one row of y, for which the channels are walked one after the other: planes are read
// where they are in the cache (8 x 64 x 56 x 56: 3.1 ms point by point).
constexpr int64_t kPoints = 64;
template <class T>
struct Quads {
  int64_t n = 0, place[kPoints], offset[kPoints][4];
  T weight[kPoints][4], right[kPoints], down[kPoints];  // right, down: how far an inner point lies from its first tap

  // Takes the point (gx, gy) of an image if all of its taps lie inside, which needs no more than this.
  bool take_inner(const View& x, const SampleArgs& a, T gx, T gy, int64_t at) {
    if (a.mode != Sample::bilinear || a.border == Border::reflection) return false;
    auto pixel = [&](T g, int64_t size) {
      return a.align_corners ? (g + 1) / 2 * T(size - 1) : ((g + 1) * T(size) - 1) / 2;
    };
    const int64_t W = x.shape[4], H = x.shape[3];
    const T u = pixel(gx, W), v = pixel(gy, H);
    if (!(u >= T(0) && v >= T(0) && u < T(W - 1) && v < T(H - 1))) return false;
    const int64_t i = int64_t(u), j = int64_t(v), first = j * x.stride[3] + i * x.stride[4];
    const T s = u - T(i), t = v - T(j);
    const int64_t places[4] = {first, first + x.stride[4], first + x.stride[3], first + x.stride[3] + x.stride[4]};
    const T weights[4] = {(1 - t) * (1 - s), (1 - t) * s, t * (1 - s), t * s};
    __builtin_memcpy(offset[n], places, sizeof places);
    __builtin_memcpy(weight[n], weights, sizeof weights);
    right[n] = s;
    down[n] = t;
    place[n++] = at;
    return true;
  }
  void take(const Point<T>& t, int64_t at) {
    place[n] = at;
    for (int k = 0; k < 4; k++) {
      offset[n][k] = t.offset[k];
      weight[n][k] = t.weight[k];
    }
    n++;
  }
  // U channels at once: a point's places and weights are read once for all of them. Back: to[tap] += weight
  // from[point].
  template <int U, bool back>
  void channels(const T* from, int64_t from_step, T* to, int64_t to_step) const {
    for (int64_t i = 0; i < n; i++) {
      const int64_t o0 = offset[i][0], o1 = offset[i][1], o2 = offset[i][2], o3 = offset[i][3];
      const T w0 = weight[i][0], w1 = weight[i][1], w2 = weight[i][2], w3 = weight[i][3];
#pragma GCC unroll 4
      for (int u = 0; u < U; u++) {
        const T* x = from + u * from_step;
        T* y = to + u * to_step;
        if constexpr (back) {
          const T g = x[place[i]];
          y[o0] += w0 * g;
          y[o1] += w1 * g;
          y[o2] += w2 * g;
          y[o3] += w3 * g;
        } else {
          y[place[i]] = T(0) + w0 * x[o0] + w1 * x[o1] + w2 * x[o2] + w3 * x[o3];
        }
      }
    }
  }
  // The same where channels lie side by side.
  template <bool back>
  void lanes_of(const T* from, T* to, int64_t C) const {
    for (int64_t i = 0; i < n; i++) {
      const T* w = weight[i];
      const int64_t* o = offset[i];
      if constexpr (back) {
        for (int k = 0; k < 4; k++)
#pragma GCC ivdep
          for (int64_t c = 0; c < C; c++) to[o[k] + c] += w[k] * from[place[i] + c];
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < C; c++)
          to[place[i] + c] =
              T(0) + w[0] * from[o[0] + c] + w[1] * from[o[1] + c] + w[2] * from[o[2] + c] + w[3] * from[o[3] + c];
      }
    }
  }
  template <bool back>
  void move(const T* from, int64_t from_step, T* to, int64_t to_step, int64_t C) {
    if (from_step == 1 && to_step == 1) lanes_of<back>(from, to, C);
    else {
      int64_t c = 0;
      for (; c + 4 <= C; c += 4) channels<4, back>(from + c * from_step, from_step, to + c * to_step, to_step);
      for (; c < C; c++) channels<1, back>(from + c * from_step, from_step, to + c * to_step, to_step);
    }
    n = 0;
  }
};

template <class T>
void grid_sample_as(const Ctx& ctx, const View& y, const Grid<T>& grid) {
  int64_t C = y.shape[1], P = y.shape[2], Q = y.shape[3], R = y.shape[4];
  parallel_for(ctx, y.shape[0] * P * Q, [&](int64_t row, int) {
    int64_t q = row % Q, p = row / Q % P, n = row / Q / P;
    const T* image = (const T*)grid.x.data + n * grid.x.stride[0];
    T* first = element_at<T>(y, n, 0, p, q, 0);
    Quads<T> quads;
    for (int64_t r = 0; r < R; r++) {
      const T *from = image, *g = grid.coordinates(n, p, q, r);
      T* to = first + r * y.stride[4];
      if (grid.dims == 3 || !quads.take_inner(grid.x, grid.args, g[0], g[grid.grid.stride[4]], r * y.stride[4])) {
        Point<T> t = grid.point(n, p, q, r);
        if (t.n == 4) quads.take(t, r * y.stride[4]);
        else
          for (int64_t c = 0; c < C; c++, from += grid.x.stride[1], to += y.stride[1]) {
            T s = 0;
            for (int k = 0; k < t.n; k++) s += t.weight[k] * from[t.offset[k]];
            *to = s;
          }
      }
      if (quads.n == kPoints || r == R - 1) quads.template move<false>(image, grid.x.stride[1], first, y.stride[1], C);
    }
  });
}

// Each task owns a block of channels of one sample and adds the points' shares in order, so that no two tasks meet.
template <class T>
void sample_backward_image(const Ctx& ctx, const View& dx, const View& g, const Grid<T>& grid) {
  int64_t C = dx.shape[1], blocks = ceil_div(C, kChannelBlock);
  parallel_for(ctx, dx.shape[0] * blocks, [&](int64_t task, int) {
    int64_t n = task / blocks, c0 = task % blocks * kChannelBlock, c1 = min64(C, c0 + kChannelBlock);
    const int64_t pixels = dx.shape[2] * dx.shape[3] * dx.shape[4];
    if (dx.stride[4] == 1 && dx.stride[3] == dx.shape[4] && dx.stride[2] == dx.shape[3] * dx.shape[4])
      for (int64_t c = c0; c < c1; c++)
        __builtin_memset(element_at<T>(dx, n, c, 0, 0, 0), 0, size_t(pixels) * sizeof(T));
    else
      for (int64_t d = 0; d < dx.shape[2]; d++)
        for (int64_t h = 0; h < dx.shape[3]; h++)
          for (int64_t w = 0; w < dx.shape[4]; w++)
            for (int64_t c = c0; c < c1; c++) *element_at<T>(dx, n, c, d, h, w) = 0;
    T* image = element_at<T>(dx, n, c0, 0, 0, 0);
    Quads<T> quads;
    for (int64_t p = 0; p < g.shape[2]; p++)
      for (int64_t q = 0; q < g.shape[3]; q++) {
        const T* first = element_at<T>(g, n, c0, p, q, 0);
        auto flush = [&] { quads.template move<true>(first, g.stride[1], image, dx.stride[1], c1 - c0); };
        for (int64_t r = 0; r < g.shape[4]; r++) {
          const T* at = grid.coordinates(n, p, q, r);
          if (grid.dims == 2 && quads.take_inner(dx, grid.args, at[0], at[grid.grid.stride[4]], r * g.stride[4])) {
            if (quads.n == kPoints) flush();
            continue;
          }
          flush();  // points are added in their order
          Point<T> t = grid.point(n, p, q, r);
          const T* from = first + r * g.stride[4];
          T* to = image;
          for (int64_t c = c0; c < c1; c++, from += g.stride[1], to += dx.stride[1])
            for (int k = 0; k < t.n; k++) to[t.offset[k]] += t.weight[k] * *from;
        }
        flush();
      }
  });
}

template <class T>
void sample_backward_grid(const Ctx& ctx, const View& dgrid, const View& g, const Grid<T>& grid) {
  int64_t C = g.shape[1], P = g.shape[2], Q = g.shape[3], R = g.shape[4];
  parallel_for(ctx, g.shape[0] * P * Q, [&](int64_t row, int) {
    int64_t q = row % Q, p = row / Q % P, n = row / Q / P;
    const T *image = (const T*)grid.x.data + n * grid.x.stride[0], *first = element_at<T>(g, n, 0, p, q, 0);
    T* out = (T*)dgrid.data + n * dgrid.stride[0] + p * dgrid.stride[1] + q * dgrid.stride[2];
    Quads<T> quads;
    // Of inner points, the differences of taps along either axis, channel after channel.
    auto flush = [&] {
      T dx[kPoints] = {}, dy[kPoints] = {};
      const bool corners = grid.args.align_corners;
      const T w = T(grid.x.shape[4] - corners) / 2, h = T(grid.x.shape[3] - corners) / 2;
      const T *from = image, *up = first;
      for (int64_t c = 0; c < C; c++, from += grid.x.stride[1], up += g.stride[1])
        for (int64_t i = 0; i < quads.n; i++) {
          const int64_t* o = quads.offset[i];
          const T a = from[o[0]], b = from[o[1]], d = from[o[2]], e = from[o[3]], s = quads.right[i], t = quads.down[i],
                  v = up[quads.place[i] * g.stride[4]];
          dx[i] += ((1 - t) * (b - a) + t * (e - d)) * v;
          dy[i] += ((1 - s) * (d - a) + s * (e - b)) * v;
        }
      for (int64_t i = 0; i < quads.n; i++) {
        T* to = out + quads.place[i] * dgrid.stride[3];
        to[0] = dx[i] * w;
        to[dgrid.stride[4]] = dy[i] * h;
      }
      quads.n = 0;
    };
    for (int64_t r = 0; r < R; r++) {
      const T* at = grid.coordinates(n, p, q, r);
      if (grid.dims == 2 && quads.take_inner(grid.x, grid.args, at[0], at[grid.grid.stride[4]], r)) {
        if (quads.n == kPoints) flush();
        continue;
      }
      Point<T> t = grid.point(n, p, q, r);
      T sum[3] = {};
      const T *from = image, *up = first + r * g.stride[4];
      for (int64_t c = 0; c < C; c++, from += grid.x.stride[1], up += g.stride[1])
        for (int k = 0; k < t.n; k++)
          for (int a = 0; a < 3; a++) sum[a] += t.slope[a][k] * from[t.offset[k]] * *up;
      for (int a = 0; a < grid.dims; a++) out[r * dgrid.stride[3] + a * dgrid.stride[4]] = sum[a];
    }
    flush();
  });
}

void grid_sample(const Ctx& ctx, const View& y, const View& x, const View& grid, const SampleArgs& args) noexcept {
  int dims = int(grid.shape[4]);
  if (x.dtype == DType::f64) grid_sample_as<double>(ctx, y, {x, grid, args, dims});
  else grid_sample_as<float>(ctx, y, {x, grid, args, dims});
}

void grid_sample_backward(const Ctx& ctx, const View& dx, const View& g, const View& grid,
                          const SampleArgs& args) noexcept {
  int dims = int(grid.shape[4]);
  if (dx.dtype == DType::f64) sample_backward_image<double>(ctx, dx, g, {dx, grid, args, dims});
  else sample_backward_image<float>(ctx, dx, g, {dx, grid, args, dims});
}
void grid_sample_backward_grid(const Ctx& ctx, const View& dgrid, const View& g, const View& x, const View& grid,
                               const SampleArgs& args) noexcept {
  int dims = int(grid.shape[4]);
  if (x.dtype == DType::f64) sample_backward_grid<double>(ctx, dgrid, g, {x, grid, args, dims});
  else sample_backward_grid<float>(ctx, dgrid, g, {x, grid, args, dims});
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
