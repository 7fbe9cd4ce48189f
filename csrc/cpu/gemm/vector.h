// Products of one row: c (N) = a (K) B (K, N), which read B once and are bound by memory.
#pragma once
#include "cpu/gemm/epilogue.h"
#include "cpu/gemm/pack.h"

namespace mielina {
namespace MIELINA_ISA {

template <class Op, class S>
struct RowProduct {
  using T = typename Op::Out;
  static constexpr int64_t L = lanes<T>, kColumns = 1024, kDepth = 1024, kRows = 8;
  int64_t N, K;
  const S* a;
  int64_t sa;
  const S* b;
  int64_t sj, sk;

  // B's rows run through memory: eight of them at a time are added to the sums, which stay in the L1 cache.
  void add_rows(T* y, int64_t j0, int64_t n) const {
    for (int64_t j = 0; j < n; j++) y[j] = T(0);
    for (int64_t k = 0; k < K; k += kRows) {
      const int64_t rows = min64(kRows, K - k);
      Vec<T> x[kRows] = {};
      const S* row[kRows] = {};
      for (int r = 0; r < rows; r++) {
        row[r] = b + (k + r) * sk + j0;
        x[r] = splat<Vec<T>>(element_as<T>(a + (k + r) * sa));
      }
      int64_t j = 0;
      if (rows == kRows) {
        for (; j + 2 * L <= n; j += 2 * L) {
          Vec<T> s0 = load(y + j), s1 = load(y + j + L);
#pragma GCC unroll 8
          for (int r = 0; r < kRows; r++) {
            s0 = Op::fma(x[r], load_as<T>(row[r] + j, L), s0);
            s1 = Op::fma(x[r], load_as<T>(row[r] + j + L, L), s1);
          }
          store(y + j, s0);
          store(y + j + L, s1);
        }
      }
      for (; j < n; j += L) {
        const int64_t m = min64(L, n - j);
        Vec<T> sum = load_n(y + j, m);
        for (int r = 0; r < rows; r++) sum = Op::fma(x[r], load_as<T>(row[r] + j, m), sum);
        store_n(y + j, sum, m);
      }
    }
  }

  // B's columns run through memory: eight dot products at a time.
  void dot_columns(T* y, int64_t j0, int64_t n) const {
    alignas(64) T buf[kDepth];
    for (int64_t j = 0; j < n; j++) y[j] = T(0);
    for (int64_t k = 0; k < K; k += kDepth) {
      const int64_t depth = min64(kDepth, K - k);
      const T* x = buf;
      if (__is_same(S, T) && sa == 1) x = (const T*)(a + k);
      else row_from<S, T>(a + k * sa, sa, buf, depth);
      for (int64_t j = 0; j < n; j += kRows) {
        const int64_t columns = min64(kRows, n - j);
        const S* column[kRows];
        Vec<T> sum[kRows] = {};
        for (int r = 0; r < kRows; r++) column[r] = b + (j0 + j + min64(r, columns - 1)) * sj + k;
        int64_t i = 0;
        for (; i + L <= depth; i += L) {
          const Vec<T> v = load(x + i);
#pragma GCC unroll 8
          for (int r = 0; r < kRows; r++) sum[r] = Op::fma(v, load_as<T>(column[r] + i, L), sum[r]);
        }
        if (i < depth) {
          const Vec<T> v = load_n(x + i, depth - i);
#pragma GCC unroll 8
          for (int r = 0; r < kRows; r++) sum[r] = Op::fma(v, load_as<T>(column[r] + i, depth - i), sum[r]);
        }
        for (int r = 0; r < columns; r++) y[j + r] += hsum(sum[r]);
      }
    }
  }

  // A task takes kColumns columns, or as few as hold 64 Ki elements of B where these are long.
  template <class Epilogue>
  void run(const Ctx& ctx, const Epilogue& epilogue, int64_t panel) const {
    const int64_t few = max64(panel, 64 * 1024 / max64(1, K) / panel * panel);
    // Rows of B in runs of at least 2 KB: in runs of 256 bytes 1 x 4096 x 4096 took 5.1 ms, so 1.9.
    const int64_t grain = min64(kColumns, sj == 1 ? max64(few, 512) : few);
    auto body = [&](int64_t begin, int64_t end) {
      alignas(64) T y[kColumns];
      if (sj == 1) add_rows(y, begin, end - begin);
      else dot_columns(y, begin, end - begin);
      for (int64_t j = begin; j < end; j += panel)
        epilogue.finish(0, j / panel, y + j - begin, kColumns, 1, min64(panel, end - j));
    };
    if (N * K <= 256 * 1024) {
      for (int64_t j = 0; j < N; j += grain) body(j, min64(N, j + grain));
    } else parallel_ranges(ctx, N, grain, body);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
