// Epilogues: what happens to a finished tile while it is in the cache.
//
// An epilogue has: target(i, j, ld), where the sums of tile (panel i of A, panel j of B) may lie, or nullptr when they
// need a buffer first; and finish(i, j, d, ld, rows, cols), called once a tile when its sums in d are complete.
#pragma once
#include "cpu/block.h"
#include "table/gemm.h"

namespace mielina {
namespace MIELINA_ISA {

template <class T>
constexpr DType dtype_of_sum = dtype_of<T>;
template <>
inline constexpr DType dtype_of_sum<uint32_t> = DType::i32;
template <>
inline constexpr DType dtype_of_sum<uint64_t> = DType::i64;

// A matrix of any dtype and strides; data == nullptr: absent.
struct Matrix {
  char* data;
  DType dtype;
  int64_t si, sj;
  char* at(int64_t i, int64_t j) const { return data + (i * si + j * sj) * kDTypeSize[int(dtype)]; }
};

// Where a tile's first element lies: its row and column for the bias, and its offset in c.
struct Spot {
  int64_t i, j, offset;
};

// Panels of mr rows and nr columns of a matrix with strides si and sj.
struct Plane {
  int64_t mr, nr, si, sj;
  Spot operator()(int64_t pi, int64_t pj) const { return {pi * mr, pj * nr, pi * mr * si + pj * nr * sj}; }
};

// c = [c +] sums + bias; `place` maps a tile to its Spot.
template <class Out, class Place>
struct Finish {
  static constexpr int64_t kRow = 256;  // widest panel of B
  Matrix c, bias;
  bool accumulate;
  Place place;
  bool direct;  // sums may lie in c
  bool plain;   // and are then all that is asked for, but for a bias that the micro-kernel adds
  bool in_tile = false;

  // once: K is not cut, and a tile's sums are complete when they are stored.
  void prepare(bool once = false) {
    direct = c.dtype == dtype_of_sum<Out> && c.sj == 1;
    plain = direct;
    in_tile = Out(0.5) != Out(0) && plain && once && !accumulate && bias.data && bias.dtype == c.dtype &&
              bias.si == 0 && bias.sj == 1;
    plain &= !bias.data || in_tile;
  }
  const Out* tile_bias(int64_t i, int64_t j) const { return in_tile ? (const Out*)bias.at(0, place(i, j).j) : nullptr; }
  Out* target(int64_t i, int64_t j, int64_t& ld) const {
    ld = c.si;
    return direct ? (Out*)c.data + place(i, j).offset : nullptr;
  }

  static const Out* row(const Matrix& m, int64_t i, int64_t j, int64_t n, Out* buf) {
    if (m.dtype == dtype_of_sum<Out> && m.sj == 1) return (const Out*)m.at(i, j);
    row_from_fn<Out>(m.dtype)(m.at(i, j), m.sj, buf, n);
    return buf;
  }
  static void add(Out* x, const Out* y, int64_t n) {
    constexpr int L = lanes<Out>;
    int64_t j = 0;
    for (; j + L <= n; j += L) store(x + j, load(x + j) + load(y + j));
    if (j < n) store_n(x + j, load_n(x + j, n - j) + load_n(y + j, n - j), n - j);
  }

  void finish(int64_t pi, int64_t pj, Out* d, int64_t ld, int64_t rows, int64_t cols) const {
    if (!plain) finish_at(place(pi, pj), d, ld, rows, cols, direct);
  }
  // stored: the sums d lie in c.
  void finish_at(Spot spot, Out* d, int64_t ld, int64_t rows, int64_t cols, bool stored) const {
    alignas(64) Out buf[kRow];
    Matrix to = c;
    to.data += spot.offset * kDTypeSize[int(c.dtype)];
    for (int64_t r = 0; r < rows; r++) {
      Out* x = d + r * ld;
      if (accumulate && !stored) add(x, row(to, r, 0, cols, buf), cols);
      if (bias.data) add(x, row(bias, spot.i + r, spot.j, cols, buf), cols);
    }
    for (int64_t r = 0; !stored && r < rows; r++) row_to_fn<Out>(c.dtype)(d + r * ld, to.at(r, 0), c.sj, cols);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
