// The weights of a recurrence, packed once a sequence: as panels for the micro-kernel, or as parts for tiles.
#pragma once
#include "cpu/gemm/micro.h"
#include "cpu/gemm/pack.h"
#include "cpu/gemm/split.h"

namespace mielina {
namespace MIELINA_ISA {

// f(number, first row, rows) for the tiles of a product's rows, as even as can be.
template <class T, class F>
MIELINA_INLINE void for_tiles(int64_t rows, F f) {
  const int64_t tiles = ceil_div(rows, Plain<T>::MR);
  for (int64_t i = 0, r = 0, m; i < tiles; i++, r += m) f(i, r, m = rows / tiles + (i < rows % tiles));
}

// A (K, size) operand B as panels of columns.
template <class T>
struct Panels {
  static constexpr int64_t width = Plain<T>::NV * lanes<T>;
  T* data;
  int64_t K, size;

  static int64_t count(int64_t size) { return ceil_div(size, width); }
  static int64_t bytes(int64_t K, int64_t size) { return count(size) * width * K * int64_t(sizeof(T)); }
  int64_t cols(int64_t p) const { return min64(width, size - p * width); }
  int64_t step(int64_t p) const { return ceil_div(cols(p), lanes<T>) * lanes<T>; }
  // Rows [k0, k0 + kc) of panel p, from element (k0 + k, j) at from[j * sj + k * sk], stored as number `at`.
  void pack(const T* from, int64_t sj, int64_t sk, int64_t p, int64_t at, int64_t k0, int64_t kc) const {
    Strided<Plain<T>, T>{from, size, kc, sj, sk, width}.pack(data + at * width * K + k0 * step(p), step(p), p, 0, kc);
  }
  // d (m, cols) = or += a (m, kc) times these rows, plus bias; a's rows are contiguous, m <= MR.
  __attribute__((always_inline)) void tile(int64_t m, const T* a, int64_t lda, int64_t p, int64_t at, int64_t k0,
                                           int64_t kc, T* d, int64_t ld, bool add, const T* bias, const T* next) const {
    const T* b = data + at * width * K + k0 * step(p);
    MicroKernels<Plain<T>, false>::table.at[step(p) / lanes<T> - 1][m - 1](kc, {a, lda, 1}, {b, 1, step(p)}, d, ld,
                                                                           cols(p), add, next, true, bias);
  }
  // d (rows, cols) = or += a (rows, K) times panel p.
  __attribute__((noinline)) void multiply(int64_t rows, const T* a, int64_t lda, int64_t p, T* d, int64_t ld,
                                          bool add) const {
    for_tiles<T>(rows, [&](int64_t i, int64_t r, int64_t m) {
      const T* next = data + (p + 1) * width * K + i * K * (64 / int64_t(sizeof(T)));
      tile(m, a + r * lda, lda, p, p, 0, K, d + r * ld, ld, add, nullptr, next);
    });
  }
};

template <class T>
constexpr bool kTiled = VBYTES == 64 && __is_same(T, float);

// The same for tiles: [x h] (rows, I + P) and the weights it meets, as panels of 16 rows or columns, each its steps
// along x and then those along h. Two panels of columns are one of Panels<float>.
struct TilePanels {
  static constexpr int64_t kStep = kParts<float> * kTileBytes, kRows = 2 * kTileRows;
  char* data;
  int64_t x, h;  // steps

  TilePanels(void* data, int64_t I, int64_t P)
      : data((char*)data), x(ceil_div(I, kTileDepth)), h(ceil_div(P, kTileDepth)) {}
  int64_t panel() const { return (x + h) * kStep; }
  // Panel p of x and h as number `at`. False where a number is wild.
  bool pack(const Operand& from_x, const Operand& from_h, bool of_a, int64_t p, int64_t at) const {
    const Parts& parts = parts_of(DType::f32);
    char* to = data + at * panel();
    const bool tame = parts.pack(from_x, of_a, to, p, 1);
    return parts.pack(from_h, of_a, to + x * kStep, p, 1) && tame;
  }
  // d = rows r ... r + m - 1 times columns of the weights' panels 2 at and 2 at + 1, over steps [from, to); whole tiles
  // are written.
  void multiply(const TilePanels& rows, int64_t r, int64_t m, int64_t at, int64_t cols, int64_t from, int64_t to,
                float* d, int64_t ld) const {
    auto whole = [](int64_t n) { return ceil_div(n, kTileRows) * kTileRows; };
    parts_of(DType::f32)
        .block(to - from, rows.data + r / kTileRows * panel() + from * kStep, panel(),
               data + 2 * at * panel() + from * kStep, panel(), d, ld, whole(m), whole(cols));
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
