// The gradient of the filters: dw (K, C x taps) = g (K, pixels) columns (pixels, C x taps), a sum over all pixels of
// all images, which is long where dw is small. It is cut into a number of pieces that the shape alone decides; each
// piece is one task with its own partial dw, and the partials are added in a fixed tree.
#pragma once
#include "cpu/conv/pixels.h"

namespace mielina {
namespace MIELINA_ISA {

// Rows are the channels of g, k its pixels from `begin` on.
template <class Op>
struct PixelRows {
  using In = typename Op::In;
  const PixelSpace& space;
  const In* data;
  int64_t size, width, sc, begin;

  int64_t panels() const { return ceil_div(size, width); }
  int64_t valid(int64_t p) const { return min64(width, size - p * width); }
  Panel<In> in_place(int64_t, int64_t) const { return {nullptr, 0, 0}; }
  void pack(In* to, int64_t step, int64_t p, int64_t k0, int64_t kc) const {
    for (int64_t k = 0; k < kc;) {
      const int64_t g = begin + k0 + k, n = min64(space.size - g % space.size, kc - k);
      const In* from = data + space.offset(g);
      Strided<Op, In>{from, size, n, sc, space.step, width}.pack(to + k * step, step, p, 0, n);
      k += n;
    }
  }
};

// Columns are (channel, tap) or (tap, channel), k the pixels: the transpose of Pixels, gathered 64 pixels at a time.
template <class Op>
struct PixelColumns {
  using In = typename Op::In;
  static constexpr int64_t L = lanes<In>, kBatch = 64;
  const Pixels<Op>& pixels;
  int64_t size, width, begin;

  int64_t panels() const { return ceil_div(size, width); }
  int64_t valid(int64_t p) const { return min64(width, size - p * width); }
  Panel<In> in_place(int64_t, int64_t) const { return {nullptr, 0, 0}; }
  void pack(In* to, int64_t step, int64_t p, int64_t k0, int64_t kc) const {
    alignas(64) In block[Op::NV * L * kBatch];
    for (int64_t k = 0; k < kc; k += kBatch) {
      const int64_t n = min64(kBatch, kc - k);
      pixels.gather(block, kBatch, begin + k0 + k, n, p * width, valid(p));
      Strided<Op, In>{block, valid(p), n, kBatch, 1, width}.pack(to + k * step, step, 0, 0, n);
    }
  }
};

// Sums lie in a buffer of their own, one after the other, and nothing follows.
template <class Out>
struct Partial {
  Out* data;
  int64_t mr, nr, columns;
  bool direct, accumulate;
  Out* target(int64_t i, int64_t j, int64_t& ld) const {
    ld = columns;
    return data + i * mr * columns + j * nr;
  }
  void finish(int64_t, int64_t, Out*, int64_t, int64_t, int64_t) const {}
};

}  // namespace MIELINA_ISA
}  // namespace mielina
