// Thin products: c (M, N) = a (M, K) B (K, N) with M <= 8, which read B once and are bound by memory.
//
// Eight rows (columns) of B are read at once, and the next eight fetched into the L2 cache meanwhile: without that
// 1 x 4096 x 4096 ran at 25 GB/s on one core and 44 on two, with it at 36 and 46, where a plain read of B reaches 35
// and 48. A Zen 3 fetches four long ones by itself: see narrow().
#pragma once
#include "cpu/gemm/epilogue.h"
#include "cpu/gemm/pack.h"

namespace mielina {
namespace MIELINA_ISA {

template <class T, class S>
struct ThinProduct {
  static constexpr int64_t L = lanes<T>, kRows = 8, kGroup = 8, kPanel = 64;
  // Columns of dot products of one row, whose lanes are summed together: 1 x 64 x 128 1.1 us, with eight 1.3 (a whole
  // call). From memory eight are 1.1 times as fast.
  static constexpr int64_t kDots = VBYTES == 64 && sizeof(T) == 4 && __is_same(S, T) ? 16 : kGroup;
  static constexpr int64_t kDepth = 8192 / sizeof(T);                // of dot products: they are cut there
  static constexpr int64_t kInline = 256 * 1024, kTask = 64 * 1024;  // elements of B: on one thread, of a task
  int64_t M, N, K;
  const S* a;
  int64_t ai, ak;
  const S* b;
  int64_t sj, sk;

  // What may lie in the L2 cache is not fetched: 1 x 256 x 256 took 5.6 us, so 4.4.
  bool far() const { return N * K * int64_t(sizeof(S)) > 1 << 20; }
  // Four rows (columns) at once, and nothing fetched. On a Zen 3 1 x 1024 x 1024 took 130 us on one core, 2048 x 2048
  // 490, so 70 and 320. But runs of 1600 bytes took 2.4 times as long so, four rows times 64 MB 1.2 times.
  static constexpr int kNarrow = VBYTES != 32 || !__is_same(S, T) ? 0 : sizeof(T) == 4 ? 4 : 1;  // up to so many of a
  bool narrow() const {
    if (!kNarrow) return false;
    const int64_t bytes = N * K * int64_t(sizeof(S)), run = (sj == 1 ? N : K) * int64_t(sizeof(S));
    return far() && run > 2560 && (M == 1 || (M <= kNarrow && bytes <= 16 << 20));
  }
  bool read_a_in_place() const { return __is_same(S, T) && ak == 1; }
  // B of few columns is cut along K, each piece with sums of its own.
  int64_t pieces() const {
    return __is_same(S, T) && sj == 1 && N < 512 && N * K > kInline ? min64(256, N * K / kTask) : 1;
  }
  int64_t copy_bytes() const { return read_a_in_place() ? 0 : (M * K * int64_t(sizeof(T)) + 63) & ~int64_t(63); }
  int64_t bytes() const { return copy_bytes() + (pieces() > 1 ? pieces() * M * N * int64_t(sizeof(T)) : 0); }

  // f(m, R) over blocks of 4 (of floats), 2 and 1 rows, R as a type; of halves only for dot products.
  template <int R>
  struct Rows {};
  template <bool Dots = false, class F>
  void row_blocks(F f) const {
    int64_t m = 0;
    if constexpr (__is_same(S, T) || (Dots && VBYTES > 16)) {
      if constexpr (sizeof(T) == 4)
        for (; m + 4 <= M; m += 4) f(m, Rows<4>{});
      for (; m + 2 <= M; m += 2) f(m, Rows<2>{});
    }
    for (; m < M; m++) f(m, Rows<1>{});
  }

  // B's rows run through memory: y (R, n) += x (R, G) b (G, n) for whole vectors of n; what lies `ahead` elements
  // further on is fetched.
  template <int R, int G>
  static void add_rows(T* y, int64_t ld, const T* x, int64_t ldx, const S* b, int64_t sk, int64_t n, int64_t ahead) {
    Vec<T> w[R][G];
    const S* row[G];
    for (int i = 0; i < G; i++) {
      row[i] = b + i * sk;
      for (int r = 0; r < R; r++) w[r][i] = splat<Vec<T>>(x[r * ldx + i]);
    }
    for (int64_t j = 0; j + L <= n; j += L) {
      Vec<T> s[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) s[r] = load(y + r * ld + j);
      if (G == kGroup && ahead) {
#pragma GCC unroll 8
        for (int i = 0; i < G; i++) __builtin_prefetch(row[i] + j + ahead, 0, 2);
      }
#pragma GCC unroll 8
      for (int i = 0; i < G; i++) {
        const Vec<T> v = load_as<T>(row[i] + j, L);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) s[r] = fma(w[r][i], v, s[r]);
      }
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) store(y + r * ld + j, s[r]);
    }
  }
  // The same for any number of rows of B, and the columns from j on.
  __attribute__((noinline)) static void add_rest(T* y, const T* x, const S* b, int64_t sk, int64_t rows, int64_t j,
                                                 int64_t n) {
    for (; j < n; j += L) {
      const int64_t m = min64(L, n - j);
      Vec<T> s = load_n(y + j, m);
      for (int64_t i = 0; i < rows; i++) s = fma(splat<Vec<T>>(x[i]), load_as<T>(b + i * sk + j, m), s);
      store_n(y + j, s, m);
    }
  }

  // y (n) += x (rows) b (rows, n) for up to four vectors of columns, whose sums stay in registers; the last two may
  // overlap.
  template <int V>
  static void add_narrow(T* y, const T* x, const S* b, int64_t sk, int64_t n, int64_t rows, int64_t ahead) {
    const int64_t last = n - L;
    Vec<T> s[V];
    for (int v = 0; v < V; v++) s[v] = load(y + (v < V - 1 ? v * L : last));
    for (int64_t k = 0; k < rows; k++, b += sk) {
      const Vec<T> w = splat<Vec<T>>(x[k]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) __builtin_prefetch(b + ahead + v * L, 0, 2);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) s[v] = fma(w, load_as<T>(b + (v < V - 1 ? v * L : last), L), s[v]);
    }
    for (int v = 0; v < V; v++) store(y + (v < V - 1 ? v * L : last), s[v]);
  }
  // Few columns, at least a vector: 64 rows at a time. 100,000 x 50 takes 0.35 ms instead of 1.4.
  void add_few(T* y, const T* x, int64_t ldx, int64_t k0, int64_t k1) const {
    const int64_t blocks = ceil_div(N, 4 * L);
    __builtin_memset(y, 0, size_t(M * N) * sizeof(T));
    for (int64_t k = k0; k < k1; k += 64)
      for (int64_t m = 0; m < M; m++)
        for (int64_t i = 0; i < blocks; i++) {
          const int64_t j = i * N / blocks, n = (i + 1) * N / blocks - j;
          const auto add = n <= L       ? add_narrow<1>
                           : n <= 2 * L ? add_narrow<2>
                           : n <= 3 * L ? add_narrow<3>
                                        : add_narrow<4>;
          add(y + m * N + j, x + m * ldx + k, b + k * sk + j, sk, n, min64(64, k1 - k), k + 128 <= k1 ? 64 * sk : 0);
        }
  }

  // y (M, n) = x (M, rows k0 .. k1) B, columns j0 .. j0 + n.
  void add_all(T* y, int64_t ld, const T* x, int64_t ldx, int64_t j0, int64_t n, int64_t k0, int64_t k1) const {
    for (int64_t m = 0; m < M; m++) __builtin_memset(y + m * ld, 0, size_t(n) * sizeof(T));
    const bool four = narrow();
    const int64_t G = four ? 4 : kGroup;
    for (int64_t k = k0; k < k1; k += G) {
      const int64_t ahead = far() && k + 2 * G <= k1 ? G * sk : 0;
      const int64_t rows = min64(G, k1 - k), whole = rows == G ? n / L * L : 0;
      const S* from = b + k * sk + j0;
      if (whole)
        row_blocks([&]<int R>(int64_t m, Rows<R>) {
          T* to = y + m * ld;
          const T* w = x + m * ldx + k;
          if constexpr (R <= kNarrow)
            if (four) return add_rows<R, 4>(to, ld, w, ldx, from, sk, whole, 0);
          add_rows<R, kGroup>(to, ld, w, ldx, from, sk, whole, ahead);
        });
      if (whole < n)
        for (int64_t m = 0; m < M; m++) add_rest(y + m * ld, x + m * ldx + k, from, sk, rows, whole, n);
    }
  }

  // B's columns run through memory: y (R, columns) += x (R, depth) b (depth, columns), columns <= C.
  template <int R, int C>
  static void dot_columns(T* y, int64_t ld, const T* x, int64_t ldx, const S* b, int64_t sj, int64_t columns,
                          int64_t depth, int64_t ahead) {
    const S* column[C];
    for (int c = 0; c < C; c++) column[c] = b + min64(c, columns - 1) * sj;
    Vec<T> sum[C][R] = {};
    for (int64_t i = 0; i + L <= depth; i += L) {
      Vec<T> v[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) v[r] = load(x + r * ldx + i);
      if (ahead) {
#pragma GCC unroll 16
        for (int c = 0; c < C; c++) __builtin_prefetch(column[c] + i + ahead, 0, 2);
      }
#pragma GCC unroll 16
      for (int c = 0; c < C; c++) {
        const Vec<T> w = load_as<T>(column[c] + i, L);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) sum[c][r] = fma(v[r], w, sum[c][r]);
      }
    }
    Vec<T> sums[C][R];
    __builtin_memcpy(sums, sum, sizeof sum);
    dot_rest(y, ld, x, ldx, b, sj, R, columns, depth, sums[0]);
  }
  // The last vector along K, and the sums' lanes, as many sums at once as a vector has.
  __attribute__((noinline)) static void dot_rest(T* y, int64_t ld, const T* x, int64_t ldx, const S* b, int64_t sj,
                                                 int64_t rows, int64_t columns, int64_t depth, Vec<T>* sums) {
    const int64_t i = depth / L * L, n = depth - i, count = rows * columns;
    for (int64_t c = 0; n && c < columns; c++) {
      const Vec<T> w = load_as<T>(b + c * sj + i, n);
      for (int64_t r = 0; r < rows; r++) sums[c * rows + r] = fma(load_n(x + r * ldx + i, n), w, sums[c * rows + r]);
    }
    for (int64_t s = 0; s < count; s += L) {
      Vec<T> v[L];
#pragma GCC unroll 16
      for (int j = 0; j < L; j++) v[j] = s + j < count ? sums[s + j] : Vec<T>{};
      const Vec<T> all = hsums(v);
      if (rows == 1) {
        const int64_t m = min64(L, count - s);
        store_n(y + s, load_n(y + s, m) + all, m);
      } else {
        for (int64_t j = s; j < min64(count, s + L); j++) y[j % rows * ld + j / rows] += all[j - s];
      }
    }
  }

  void dot_all(T* y, int64_t ld, const T* x, int64_t ldx, int64_t j0, int64_t n) const {
    constexpr int kSums = VBYTES == 64 ? 16 : 8;  // of 32 or 16 registers
    for (int64_t m = 0; m < M; m++) __builtin_memset(y + m * ld, 0, size_t(n) * sizeof(T));
    const int64_t group = far() ? kGroup : kDots;
    // Short columns: several groups ahead, 16 KB, since memory answers after 3.
    const int64_t step = group * max64(1, 16384 / max64(1, group * sj * int64_t(sizeof(S))));
    const bool four = narrow();
    for (int64_t k = 0; k < K; k += kDepth)
      for (int64_t j = 0; j < n; j += group) {
        const int64_t end = min64(n, j + group), depth = min64(kDepth, K - k);
        const int64_t next = j + step + group <= n ? step * sj : k + 2 * kDepth <= K ? kDepth - j * sj : 0;
        const int64_t ahead = far() && !four ? next : 0;
        row_blocks<true>([&]<int R>(int64_t m, Rows<R>) {
          auto dots = [&]<int C>(Rows<C>) {
            for (int64_t c = j; c < end; c += C)
              dot_columns<R, C>(y + m * ld + c, ld, x + m * ldx + k, ldx, b + (j0 + c) * sj + k, sj, min64(C, end - c),
                                depth, ahead);
          };
          if constexpr (R == 1 && kNarrow)
            if (four) return dots(Rows<4>{});
          if constexpr (R == 1 && kDots > kGroup)
            if (group == kDots) return dots(Rows<kDots>{});
          constexpr int C = kSums / R < kGroup ? kSums / R : kGroup;
          dots(Rows<C>{});
        });
      }
  }

  // How many columns a task takes. Dot products: of kTask elements. Sums of rows: as many as the threads leave, since
  // runs of 2 KB take 1.3 times as long as runs of 8.
  int64_t grain(int threads) const {
    if (sj != 1) return min64(M == 1 ? 2048 : 256, max64(kPanel, kTask / K / kPanel * kPanel));
    const int64_t tasks = ceil_div(ceil_div(N, M > 4 ? 512 : M > 2 ? 1024 : 2048), threads) * threads;
    return max64(512, ceil_div(ceil_div(N, tasks), kPanel) * kPanel);
  }

  template <class Epilogue>
  void run(const Ctx& ctx, const Epilogue& epilogue) const {
    const T* x = (const T*)ctx.workspace;
    int64_t ldx = K;
    if (read_a_in_place()) {
      x = (const T*)a;
      ldx = ai;
    } else {
      for (int64_t m = 0; m < M; m++) row_from<S, T>(a + m * ai, ak, (T*)x + m * K, K);
    }
    if constexpr (__is_same(S, T)) {
      if (pieces() > 1) return run_pieces(ctx, epilogue, x, ldx);
    }
    const bool large = N * K * (M + 2) > 3 * kInline;
    const int64_t width = grain(large ? ctx.threads : 1);
    auto body = [&](int64_t begin, int64_t end) {
      alignas(64) T y[4096];
      const int64_t n = end - begin;
      if (sj == 1) add_all(y, width, x, ldx, begin, n, 0, K);
      else dot_all(y, width, x, ldx, begin, n);
      finish(epilogue, y, width, begin, n);
    };
    if (large) return parallel_ranges(ctx, N, width, body);
    for (int64_t j = 0; j < N; j += width) body(j, min64(N, j + width));
  }

  template <class Epilogue>
  void finish(const Epilogue& epilogue, T* y, int64_t ld, int64_t begin, int64_t n) const {
    for (int64_t j = 0; j < n; j += kPanel)
      epilogue.finish(0, (begin + j) / kPanel, y + j, ld, M, min64(kPanel, n - j));
  }

  template <class Epilogue>
  void run_pieces(const Ctx& ctx, const Epilogue& epilogue, const T* x, int64_t ldx) const {
    T* sums = (T*)((char*)ctx.workspace + copy_bytes());
    const int64_t count = pieces(), size = M * N;
    parallel_for(ctx, count, [&](int64_t p, int) {
      const int64_t k0 = p * K / count / kGroup * kGroup,
                    k1 = p + 1 < count ? (p + 1) * K / count / kGroup * kGroup : K;
      if (N >= L) add_few(sums + p * size, x, ldx, k0, k1);
      else add_all(sums + p * size, N, x, ldx, 0, N, k0, k1);
    });
    for (int64_t p = 1; p < count; p++)
      for (int64_t i = 0; i < size; i += L) {
        const int64_t n = min64(L, size - i);
        store_n(sums + i, load_n(sums + i, n) + load_n(sums + p * size + i, n), n);
      }
    finish(epilogue, sums, N, 0, N);
  }
};

}  // namespace MIELINA_ISA
}  // namespace mielina
