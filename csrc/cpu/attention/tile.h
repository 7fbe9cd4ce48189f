// What the two directions of attention share: one tile of scores, kept transposed.
//
// A tile holds up to kKeys keys (rows) by kQueries queries (lanes). With queries in the lanes K and V are operands
// where they lie (rows of A, and of B), only Q is transposed, once a block of queries; and softmax reduces down
// columns, so no sum or maximum ever crosses lanes.
#pragma once
#include "cpu/gemm/micro.h"
#include "cpu/gemm/pack.h"
#include "cpu/philox.h"
#include "cpu/simd_math.h"
#include "table/attention.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int64_t kQueries = 64, kKeys = 112;  // 112 keys are 8 panels of 14 rows; a tile of f32 is 28 KB
constexpr int64_t kMostKeys = 512;             // of any kernel's block

// Scores are logarithms to base two: the factor is one more in the queries' scale, and 2^x takes 15 instructions where
// exp takes 20.
constexpr double kLog2E = 1.4426950408889634074;

// 2^x for x below 128. Max error: 1.01 ULP (f32).
template <class V>
MIELINA_INLINE V power_of_two(V x) {
  if constexpr (!is_f32<V>) return exp2(x);
  else {
    x = at_least(x, -152);
    const V n = round_even(x);
    return scale_pow2(
        poly(x - n, 0x1.41fb4cp-13, 0x1.5f3e62p-10, 0x1.3b2d4ep-7, 0x1.c6aee8p-5, 0x1.ebfbdcp-3, 0x1.62e43p-1, 1), n);
  }
}

template <class T>
MIELINA_INLINE int64_t padded(int64_t n) {
  return ceil_div(n, lanes<T>) * lanes<T>;
}

// What the tiles of a product fetch into the L2 cache meanwhile, K cache lines each.
struct Ahead {
  const char* from = nullptr;
  int64_t bytes = 0;
  // Where K lines begin, or `other` if none are left.
  const void* next(int64_t K, const void* other) {
    if (bytes <= 0) return other;
    const char* at = from;
    from += K * 64;
    bytes -= K * 64;
    return at;
  }
};

// d (M, N) = or += a (M, K) b (K, N). b's rows are contiguous and padded to whole vectors; Packed: a.si is 1.
template <class T, bool Packed>
void multiply_tile(int64_t M, int64_t N, int64_t K, Panel<T> a, Panel<T> b, T* d, int64_t ld, bool add,
                   Ahead ahead = {}) {
  using Op = Plain<T>;
  constexpr int64_t L = lanes<T>, NR = Op::NV * L;
  const int64_t panels = ceil_div(M, Op::MR);
  for (int64_t j = 0; j < N; j += NR) {
    const int64_t cols = min64(NR, N - j);
    const auto& kernels = MicroKernels<Op, Packed>::table.at[ceil_div(cols, L) - 1];
    for (int64_t p = 0, i = 0, rows; p < panels; p++, i += rows) {
      rows = M / panels + (p < M % panels);
      kernels[rows - 1](K, {a.data + i * a.si, a.si, a.sk}, {b.data + j, 1, b.sk}, d + i * ld + j, ld, cols, add,
                        ahead.next(K, b.data + j), false);
    }
  }
}

// A matrix of any dtype and strides.
struct Sheet {
  char* data;
  DType dtype;
  int64_t si, sj;
  char* at(int64_t i, int64_t j) const { return data + (i * si + j * sj) * kDTypeSize[int(dtype)]; }
};

// The matrix in the last two axes of a view, at an index of the axes before them.
static inline Sheet sheet(const View& v, int64_t b, int64_t h, int64_t g) {
  const int n = v.ndim;
  int64_t offset = b * v.stride[0] + h * v.stride[1] + (n == 5 ? g * v.stride[2] : 0);
  return {(char*)v.data + offset * kDTypeSize[int(v.dtype)], v.dtype, v.stride[n - 2], v.stride[n - 1]};
}

// Rows [i, i + n) of a sheet to be fetched, if nothing lies between them.
static inline Ahead ahead(const Sheet& m, int64_t i, int64_t n, int64_t width) {
  return {m.at(i, 0), m.sj == 1 && m.si == width ? n * width * kDTypeSize[int(m.dtype)] : 0};
}

// Rows [i, i + n) of a sheet as T, padded to whole vectors: where they lie, or converted into buf.
template <class T>
Panel<T> rows_of(const Sheet& m, int64_t i, int64_t n, int64_t width, T* buf) {
  const int64_t ld = padded<T>(width);
  if (m.dtype == dtype_of<T> && m.sj == 1 && ld == width) return {(const T*)m.at(i, 0), m.si, 1};
  const auto convert = row_from_fn<T>(m.dtype);
  for (int64_t r = 0; r < n; r++) {
    convert(m.at(i + r, 0), m.sj, buf + r * ld, width);
    for (int64_t j = width; j < ld; j++) buf[r * ld + j] = 0;
  }
  return {buf, ld, 1};
}
template <class T>
void write_rows(const Sheet& m, int64_t i, int64_t n, int64_t width, const T* from, int64_t ld) {
  const auto convert = row_to_fn<T>(m.dtype);
  for (int64_t r = 0; r < n; r++) convert(from + r * ld, m.at(i + r, 0), m.sj, width);
}

// to (depth, step) = the transpose of n rows of `depth` numbers, with zeros from column n on.
template <class T, class S = T>
void turn(T* to, int64_t step, const S* from, int64_t si, int64_t sk, int64_t n, int64_t depth) {
  Strided<Plain<T>, S>{from, n, depth, si, sk, n}.pack(to, step, 0, 0, depth);
}

// The block of scores at hand: queries [i0, i0 + n) of one head by keys [j0, j0 + keys).
struct Block {
  int64_t i0, n, step, j0, keys;
  bool crosses_diagonal() const { return j0 + keys - 1 > i0; }
};

template <class T>
MIELINA_INLINE Vec<T> lane_numbers() {
  Vec<T> v;
  for (int i = 0; i < lanes<T>; i++) v[i] = T(i);
  return v;
}

// Scores of keys after the query become -inf.
template <class T>
void mask_causal(const Block& b, T* s) {
  using V = Vec<T>;
  const V lane = lane_numbers<T>(), off = splat<V>(-Fp<T>::inf);
  for (int64_t j = 0; j < b.keys; j++, s += b.step)
    for (int64_t i = 0; i < b.step && b.i0 + i < b.j0 + j; i += lanes<T>)
      store(s + i, select<V>(lane < splat<V>(T(b.j0 + j - b.i0 - i)), off, load(s + i)));
}

// A mask's number to base two. Numbers that would leave the range stay finite: a row of nothing but the lowest number
// is as good as one of zeros.
template <class V>
MIELINA_INLINE V to_base_two(V m) {
  constexpr double most = is_f32<V> ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
  const V scaled = at_least(at_most(m * c<V>(kLog2E), most), -most);
  return select<V>(abs(m) <= c<V>(most), scaled, m);
}

// What a mask keeps of a block. Bools that lie side by side are looked at, eight at a time, until some are kept and
// some are not; any other mask may keep some.
enum class Kept { none, some, all };
static Kept kept_of(const Block& b, const Sheet& mask) {
  if (mask.dtype != DType::b8 || mask.sj != 1 || b.keys < 8) return Kept::some;
  constexpr uint64_t kOnes = 0x0101010101010101;
  uint64_t all = kOnes, any = 0;
  for (int64_t i = 0; i < (mask.si == 0 ? 1 : b.n); i++) {
    const char* row = mask.at(b.i0 + i, b.j0);
    for (int64_t j = 0; j < b.keys; j += 8) {
      uint64_t word;
      __builtin_memcpy(&word, row + min64(j, b.keys - 8), 8);
      all &= word;
      any |= word;
    }
    if (any != 0 && all != kOnes) return Kept::some;
  }
  return any == 0 ? Kept::none : Kept::all;
}

// s = s + mask, or -inf where a bool mask is false: of a block that it does not keep whole. buf: (kKeys, kQueries).
template <class T>
void mask_scores(const Block& b, const Sheet& mask, T* s, T* buf) {
  using V = Vec<T>;
  const bool rows_alike = mask.si == 0 || b.n == 1;
  const char* from = mask.at(b.i0, b.j0);
  if (rows_alike) row_from_fn<T>(mask.dtype)(from, mask.sj, buf, b.keys);
  else if (mask.dtype == DType::b8) turn(buf, b.step, (const uint8_t*)from, mask.si, mask.sj, b.n, b.keys);
  else if (mask.dtype == dtype_of<T>) turn(buf, b.step, (const T*)from, mask.si, mask.sj, b.n, b.keys);
  else if constexpr (sizeof(T) == 4) {
    if (mask.dtype == DType::f16) turn(buf, b.step, (const half_t*)from, mask.si, mask.sj, b.n, b.keys);
    else turn(buf, b.step, (const bfloat_t*)from, mask.si, mask.sj, b.n, b.keys);
  }
  const bool boolean = mask.dtype == DType::b8;
  const V off = splat<V>(-Fp<T>::inf);
  for (int64_t j = 0; j < b.keys; j++, s += b.step)
    for (int64_t i = 0; i < b.step; i += lanes<T>) {
      const V m = rows_alike ? splat<V>(buf[j]) : load(buf + j * b.step + i);
      store(s + i, boolean ? select<V>(m == V{}, off, load(s + i)) : load(s + i) + to_base_two(m));
    }
}

// Dropout's factors: keep (keys, step) is 0 or 1 / (1 - p). row: the number of query i0 among all of them.
// buf: (kQueries, kKeys).
template <class T>
void draw_factors(const Block& b, const Key& key, double p, int64_t row, int64_t S, T* keep, T* buf) {
  const T scale = p < 1 ? T(1 / (1 - p)) : T(0);
  uint32_t w[kMostKeys + kWordsPerCounter];
  for (int64_t i = 0; i < b.n; i++) {
    const int64_t first = (row + i) * S + b.j0, skip = first % kWordsPerCounter;
    words(key, first - skip, skip + b.keys, w);
    for (int64_t j = 0; j < b.keys; j++) buf[i * b.keys + j] = T(w[skip + j] >> 8) * T(0x1p-24) >= T(p) ? scale : T(0);
  }
  turn(keep, b.step, buf, b.keys, 1, b.n, b.keys);
}

// ---- the running softmax: m, sum and factor are a block's queries' maxima, sums and what older sums are multiplied with
template <class T>
void start_softmax(int64_t step, T* m, T* sum) {
  for (int64_t i = 0; i < step; i += lanes<T>) {
    store(m + i, splat<Vec<T>>(-Fp<T>::inf));
    store(sum + i, Vec<T>{});
  }
}

// The largest of `top` and a block's scores in the lanes at s.
template <class T>
MIELINA_INLINE Vec<T> largest(const Block& b, const T* s, Vec<T> top) {
  Vec<T> tops[4] = {top, top, top, top};  // one chain of maxima would wait for its latency
  int64_t k = 0;
  for (; k + 4 <= b.keys; k += 4)
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) tops[c] = bounded<false>(load(s + (k + c) * b.step), tops[c]);
  for (; k < b.keys; k++) tops[0] = bounded<false>(load(s + k * b.step), tops[0]);
  return bounded<false>(bounded<false>(tops[0], tops[1]), bounded<false>(tops[2], tops[3]));
}
// What scores are lessened by: of a row without scores so far nothing, 2^-inf = 0.
template <class V>
MIELINA_INLINE V base_of(V top) {
  return select<V>(top == splat<V>(-Fp<Elem<V>>::inf), V{}, top);
}

// n queries' logsumexp, and in `factor` what their sums of values are multiplied with.
template <class T>
void finish_softmax(T* lse, int64_t n, int64_t step, const T* m, const T* sum, T* factor) {
  using V = Vec<T>;
  for (int64_t i = 0; i < step; i += lanes<T>) {
    const V total = load(sum + i);
    const auto empty = total == V{};
    const V z = select<V>(empty, splat<V>(Fp<T>::inf), load(m + i) + log2(total));
    store(factor + i, select<V>(empty, V{}, splat<V>(1) / total));
    store_n(lse + i, z, min64(lanes<T>, n - i));
  }
}

template <class T>
void scale_rows(T* x, int64_t n, int64_t width, const T* by) {
  for (int64_t r = 0; r < n; r++, x += width)
    for (int64_t j = 0; j < width; j += lanes<T>) store(x + j, load(x + j) * splat<Vec<T>>(by[r]));
}
template <class T>
void multiply_into(T* x, const T* by, int64_t n) {
  for (int64_t i = 0; i < n; i += lanes<T>) store(x + i, load(x + i) * load(by + i));
}

// Sizes, and one worker's scratch in elements; what a call does not need is never touched.
template <class T>
struct Shape {
  int64_t B, H, G, L, S, E, F, width_e, width_f, q_blocks;
  Shape(const View& q, const View& k, const View& v) {
    B = q.shape[0];
    H = q.shape[1];
    G = q.shape[2];
    L = q.shape[3];
    E = q.shape[4];
    S = k.shape[2];
    F = v.shape[3];
    width_e = padded<T>(E);
    width_f = padded<T>(F);
    q_blocks = ceil_div(L, kQueries);
  }
  // Keys that queries before i1 may see, and how they are cut: 128 are two blocks of 64, not 112 and 16.
  int64_t keys(bool causal, int64_t i1) const { return causal ? min64(S, i1) : S; }
};

template <class T, class F>
MIELINA_INLINE void each_key_block(int64_t keys, F f) {
  const int64_t n = ceil_div(keys, kKeys);
  for (int64_t i = 0; i < n; i++) f(keys * i / n, keys * (i + 1) / n - keys * i / n);
}

// ---- backward -------------------------------------------------------------------------------------------------------
struct BackwardViews {
  const View &dq, &dk, &dv, &g, &q, &k, &v, &mask, &key, &y, &lse;
};

// What a block's queries subtract: lse, and g's products with y. Of queries that are not there +inf and zero.
template <class T>
void row_numbers(const T* from, const Panel<T>& g, const Panel<T>& y, int64_t n, int64_t step, int64_t width, T* lse,
                 T* delta) {
  for (int64_t i = 0; i < step; i++) {
    lse[i] = i < n ? from[i] : Fp<T>::inf;
    Vec<T> sum{};
    for (int64_t j = 0; i < n && j < width; j += lanes<T>)
      sum = fma(load(g.data + i * g.si + j), load(y.data + i * y.si + j), sum);
    delta[i] = hsum(sum);
  }
}

// A task owns the queries of one head of k and v, or every `pieces`-th block of them: with few heads several tasks work
// at one, each on sums of its own, which are then added in order.
struct Pieces {
  int64_t heads, pieces, blocks, sums;  // blocks a head; elements of one task's dk and dv
};
static inline int64_t pieces_of(int64_t heads, int64_t blocks) {
  constexpr int64_t kTasks = 8;
  return heads >= kTasks ? 1 : max64(1, min64(blocks, ceil_div(kTasks, max64(1, heads))));
}
// own(worker): where the sums are if there is one piece, else in `partials`; block(head, i, sums, worker) adds to them,
// write(head, sums) uses them.
template <class T, class Own, class AddBlock, class Write>
MIELINA_INLINE void sum_pieces(const Ctx& ctx, const Pieces& p, T* partials, Own own, AddBlock block, Write write) {
  parallel_for(ctx, p.heads * p.pieces, [&](int64_t task, int worker) __attribute__((noinline)) {
    const int64_t h = task / p.pieces;
    T* sums = p.pieces == 1 ? own(worker) : partials + task * p.sums;
    __builtin_memset(sums, 0, size_t(p.sums) * sizeof(T));
    for (int64_t i = task % p.pieces; i < p.blocks; i += p.pieces) block(h, i, sums, worker);
    if (p.pieces == 1) write(h, sums);
  });
  if (p.pieces == 1) return;
  parallel_for(ctx, p.heads, [&](int64_t h, int) __attribute__((noinline)) {
    T* sums = partials + h * p.pieces * p.sums;
    for (int64_t k = 1; k < p.pieces; k++)
      for (int64_t i = 0; i < p.sums; i += lanes<T>) store(sums + i, load(sums + i) + load(sums + k * p.sums + i));
    write(h, sums);
  });
}

}  // namespace MIELINA_ISA
}  // namespace mielina
