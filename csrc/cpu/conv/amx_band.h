// What convolutions on tiles and the gradients of their filters share: a band of output rows and the image under it.
//
// The pixels of a band lie one after the other, rows with their padding: those under a tap of some neighbours are
// neighbours, too. Under a stride they are cut into planes, the pixels that taps of one remainder modulo it see; depths
// of the window see planes of their own.
#pragma once
#include "cpu/conv/direct.h"
#include "cpu/copy.h"
#include "cpu/gemm/split.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

struct TileBand {
  static constexpr int64_t kPositions = 512, kLine = 64, kBlock = 2 * kTileRows;

  Problem q;  // its window runs forwards
  const Parts& parts;
  int64_t K, C, H, W;          // channels out and in, rows and columns of y
  bool folded = false;         // the taps of a row are channels
  int64_t taps[3], phases[2];  // that are walked; of rows and columns that these see
  int64_t wide, reach;         // columns of a band; its rows beyond those of its outputs
  int64_t band, bands, tasks;  // rows of a band; bands of an image, of all

  static bool fits(const Problem& q) {
    const DType d = q.x.dtype;
    const Window& v = q.window;
    // A band holds all that lies between the taps.
    for (int i = 0; i < 3; i++)
      if (const int64_t far = (v.taps[i] - 1) * v.dilation[i]; far > 128 || far < -128) return false;
    return is_half(d) && q.w.dtype == d && q.y.dtype == d && numel(q.y) > 0 && q.x.shape[kC] > 0;
  }
  [[gnu::cold, gnu::noinline]] explicit TileBand(const Problem& problem)
      : q(forwards(problem)),
        parts(parts_of(q.x.dtype)),
        K(q.y.shape[kC]),
        C(q.x.shape[kC]),
        H(q.y.shape[kH]),
        W(q.y.shape[kW]) {
    flatten();
  }
  // A 1 x 1 window's pixels as few rows.
  void flatten() {
    const Window& v = q.window;
    View &x = q.x, &y = q.y;
    for (int d = 0; d < 3; d++)
      if (v.taps[d] != 1 || v.stride[d] != 1 || v.padding[d] != 0 || x.shape[kD + d] != y.shape[kD + d]) return;
    if (x.stride[kH] != W * x.stride[kW] || y.stride[kH] != W * y.stride[kW]) return;
    const int64_t pixels = H * W;
    int64_t rows = ceil_div(pixels, kPositions);
    while (pixels % rows != 0) rows++;
    if (pixels / rows < min64(W, 64)) return;
    H = rows;
    W = pixels / H;
    View* const images[] = {&x, &y};
    for (View* i : images) {
      i->shape[kH] = H;
      i->shape[kW] = W;
      i->stride[kH] = W * i->stride[kW];
    }
  }
  int64_t gap(int d, int64_t tap) const { return tap * q.window.dilation[1 + d]; }
  int64_t stride(int d) const { return q.window.stride[1 + d]; }

  // Sets which taps are walked.
  void walk(bool rows_folded) {
    const Window& v = q.window;
    folded = rows_folded;
    for (int d = 0; d < 3; d++) taps[d] = d == 2 && folded ? 1 : v.taps[d];
    for (int d = 0; d < 2; d++) phases[d] = min64(taps[1 + d], stride(d) / gcd(stride(d), v.dilation[1 + d]));
    wide = W + gap(1, taps[2] - 1) / stride(1);
    reach = gap(0, taps[1] - 1) / stride(0);
  }
  int64_t walked() const { return taps[0] * taps[1] * taps[2]; }
  int64_t planes() const { return taps[0] * phases[0] * phases[1]; }
  // A tap's plane, and how many pixels from an output's place its pixel lies.
  int64_t plane_of(int64_t tap) const {
    return (tap / (taps[1] * taps[2]) * phases[0] + tap / taps[2] % taps[1] % phases[0]) * phases[1] +
           tap % taps[2] % phases[1];
  }
  int64_t shift_of(int64_t tap) const {
    return gap(0, tap / taps[2] % taps[1]) / stride(0) * wide + gap(1, tap % taps[2]) / stride(1);
  }
  // How far its numbers lie from the first tap's, in the filters.
  int64_t filter_shift(int64_t tap) const {
    const int64_t* s = q.w.stride;
    return tap / (taps[1] * taps[2]) * s[kD] + tap / taps[2] % taps[1] * s[kH] + tap % taps[2] * s[kW];
  }
  void cut(int64_t rows) {
    bands = ceil_div(H, rows);
    band = ceil_div(H, bands);
    tasks = q.y.shape[kN] * q.y.shape[kD] * bands;
  }

  struct Place {
    int64_t n, d, h;
  };
  Place place(int64_t task) const {
    return {task / (bands * q.y.shape[kD]), task / bands % q.y.shape[kD], task % bands * band};
  }

  // Copies n numbers of a row of the image.
  static void copy(uint16_t* to, const uint16_t* from, int64_t n, int64_t step) {
    if (step == 1) return copy_bytes((char*)to, (const char*)from, n * int64_t(sizeof *to));
    int64_t i = 0;
    for (; step == 2 && i + lanes<float> < n; i += lanes<float>)
      store_half(to + i, narrow(load((const uint32_t*)(from + 2 * i))));
    for (; i < n; i++) to[i] = from[i * step];
  }
  // f(row of the band, its image from column 0 on, columns lo ... hi - 1 that are there) for all rows of a plane.
  template <class F>
  void each_line(const Place& place, int64_t plane, F f) const {
    const Window& w = q.window;
    const int64_t t = plane / (phases[0] * phases[1]), r = plane / phases[1] % phases[0], c = plane % phases[1];
    const int64_t rows = min64(band, H - place.h) + reach, X = q.x.shape[kW], step = folded ? 1 : stride(1);
    const int64_t d = place.d * w.stride[0] - w.padding[0] + t * w.dilation[0];
    const int64_t top = place.h * stride(0) - w.padding[1] + gap(0, r) % stride(0);
    const int64_t first = -w.padding[2] + gap(1, c) % step;
    const int64_t lo = first < 0 ? min64(columns(), ceil_div(-first, step)) : 0;
    const int64_t hi = first < X ? min64(columns(), (X - 1 - first) / step + 1) : lo;
    const bool there = d >= 0 && d < q.x.shape[kD] && lo < hi;
    const int64_t* s = q.x.stride;
    const uint16_t* from = (const uint16_t*)q.x.data + place.n * s[kN] + d * s[kD] + top * s[kH] + first * s[kW];
    for (int64_t a = 0; a < rows; a++) {
      const int64_t h = top + a * stride(0);
      const bool inside = there && h >= 0 && h < q.x.shape[kH];
      f(a, from + a * stride(0) * s[kH], inside ? lo : 0, inside ? hi : 0);
    }
  }
  // Of the rows that a task reads: with folded taps these are pixels of the image.
  int64_t columns() const { return folded ? (W - 1) * stride(1) + q.window.taps[2] : wide; }

  // Zeros in a row of elements of n bytes, but for columns lo ... hi - 1.
  void clear(void* to, int64_t lo, int64_t hi, int64_t n) const {
    __builtin_memset(to, 0, size_t(lo * n));
    __builtin_memset((char*)to + hi * n, 0, size_t((columns() - hi) * n));
  }
};

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
