// A few queries against all keys, as a network has them that writes one token after the other. K and V are read once,
// where they lie, and memory is what limits it: a block of queries padded to a vector would multiply mostly zeros.
#pragma once
#include "cpu/attention/tile.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int64_t kFewQueries = 16;  // of all heads that share keys
// Up to four of a head, of floats three: four of 1024 keys took 1.1 times as long as blocks do on one core.
inline bool few(const Shape<float>& d, DType t) { return d.L <= (is_half(t) ? 4 : 3) && d.G * d.L <= kFewQueries; }

// Rows of whole vectors, of halves or floats.
struct FewRows {
  const char* data;
  int64_t si;
  DType dtype;
  template <class F>
  __attribute__((always_inline)) void with(F f) const {
    if (dtype == DType::bf16) f((const bfloat_t*)data);
    else if (dtype == DType::f16) f((const half_t*)data);
    else f((const float*)data);
  }
};
// Where they lie, or as floats in buf.
inline FewRows few_rows(const Sheet& m, int64_t i, int64_t n, int64_t width, float* buf) {
  if (is_half(m.dtype) && m.sj == 1 && width % lanes<float> == 0) return {m.at(i, 0), m.si, m.dtype};
  const Panel<float> p = rows_of(m, i, n, width, buf);
  return {(const char*)p.data, p.si, DType::f32};
}

// s = the products of `keys` rows with a query.
template <class S>
[[gnu::noinline]] inline void few_scores(const S* k, int64_t si, int64_t keys, const float* q, int64_t width,
                                         float* s) {
  constexpr int L = lanes<float>;
  for (int64_t j = 0; j < keys; j += L) {
    const S* row[L];
    for (int c = 0; c < L; c++) row[c] = k + min64(j + c, keys - 1) * si;
    vf32 sums[L] = {};
    for (int64_t e = 0; e < width; e += L) {
      const vf32 x = load(q + e);
      if (sizeof(S) < 4 && e * int64_t(sizeof(S)) % 64 == 0)  // halves 1.05 to 1.2 times as fast so, floats no more
#pragma GCC unroll 16
        for (int c = 0; c < L; c++) __builtin_prefetch(row[c] + e + L * si);
#pragma GCC unroll 16
      for (int c = 0; c < L; c++) sums[c] = fma(load_as<float>(row[c] + e, L), x, sums[c]);
    }
    store(s + j, hsums(sums));
  }
}

// A query's mask: added to its scores, or -inf where it is false.
[[gnu::noinline]] inline void few_mask(const Sheet& mask, int64_t i, int64_t j0, int64_t keys, float* s, float* buf) {
  row_from_fn<float>(mask.dtype)(mask.at(i, j0), mask.sj, buf, keys);
  const vf32 off = splat<vf32>(-Fp<float>::inf);
  for (int64_t j = 0; j < keys; j += lanes<float>) {
    const vf32 m = load(buf + j), x = load(s + j);
    store(s + j, mask.dtype == DType::b8 ? select<vf32>(m == vf32{}, off, x) : x + to_base_two(m));
  }
}

// The scores enter a query's running softmax. Returns what its older sums are to be multiplied with.
[[gnu::noinline]] inline float few_softmax(int64_t keys, float* s, float& m, float& sum) {
  constexpr int64_t L = lanes<float>;
  for (int64_t j = keys; j % L; j++) s[j] = -Fp<float>::inf;
  vf32 top = splat<vf32>(m), total{};
  for (int64_t j = 0; j < keys; j += L) top = bounded<false>(load(s + j), top);
  const float before = m;
  m = fold_lanes(top, [](vf32 a, vf32 b) __attribute__((always_inline)) { return bounded<false>(a, b); });
  const vf32 base = base_of(splat<vf32>(m));
  for (int64_t j = 0; j < keys; j += L) {
    const vf32 p = power_of_two(load(s + j) - base);
    total += p;
    store(s + j, p);
  }
  const float factor = power_of_two(splat<vf32>(before) - base)[0];
  sum = sum * factor + hsum(total);
  return factor;
}

// out = factor out + p V.
template <int N, class S>
MIELINA_INLINE void few_columns(const S* v, int64_t si, int64_t keys, const float* p, float factor, float* out) {
  constexpr int64_t L = lanes<float>;
  vf32 sums[N];
  for (int c = 0; c < N; c++) sums[c] = load(out + c * L) * splat<vf32>(factor);
  for (int64_t j = 0; j < keys; j++, v += si) {
    const vf32 w = splat<vf32>(p[j]);
#pragma GCC unroll 4
    for (int c = 0; c < N; c++) sums[c] = fma(w, load_as<float>(v + c * L, L), sums[c]);
  }
  for (int c = 0; c < N; c++) store(out + c * L, sums[c]);
}
template <class S>
[[gnu::noinline]] inline void few_values(const S* v, int64_t si, int64_t keys, const float* p, int64_t width,
                                         float factor, float* out) {
  constexpr int64_t L = lanes<float>;
  int64_t f = 0;
  for (; f + 4 * L <= width; f += 4 * L) few_columns<4>(v + f, si, keys, p, factor, out + f);
  for (; f < width; f += L) few_columns<1>(v + f, si, keys, p, factor, out + f);
}

// Room of a task: the queries, their scores and sums of values, blocks of keys, values and a mask as floats.
struct FewScratch {
  float *queries, *scores, *out, *keys, *values, *mask;
};

// The heads that share one head of keys: all of their queries.
[[gnu::noinline]] inline void few_queries(const Shape<float>& d, const View& y, const View& lse, const View& q,
                                          const View& k, const View& v, const View& mask, const AttentionArgs& args,
                                          int64_t h, const FewScratch& w) {
  const int64_t bi = h / d.H, hi = h % d.H, n = d.G * d.L, step = padded<float>(n), keys = d.keys(args.causal, d.L);
  for (int64_t g = 0; g < d.G; g++) {
    float* const to = w.queries + g * d.L * d.width_e;
    const Panel<float> rows = rows_of(sheet(q, bi, hi, g), 0, d.L, d.E, to);
    for (int64_t i = 0; i < d.L; i++)
      for (int64_t e = 0; e < d.width_e; e += lanes<float>)
        store(to + i * d.width_e + e, load(rows.data + i * rows.si + e) * splat<vf32>(float(args.scale * kLog2E)));
  }
  alignas(64) float m[kFewQueries], sum[kFewQueries], factor[kFewQueries];
  start_softmax(step, m, sum);
  __builtin_memset(w.out, 0, size_t(n * d.width_f) * sizeof(float));
  const Sheet ks = sheet(k, bi, hi, 0), vs = sheet(v, bi, hi, 0);
  each_key_block<float>(keys, [&](int64_t j0, int64_t count) {
    const FewRows k = few_rows(ks, j0, count, d.E, w.keys), v = few_rows(vs, j0, count, d.F, w.values);
    for (int64_t r = 0; r < n; r++) {
      float* const s = w.scores + r * kKeys;
      k.with([&](auto* p) { few_scores(p, k.si, count, w.queries + r * d.width_e, d.width_e, s); });
      if (mask.data) few_mask(sheet(mask, bi, hi, r / d.L), r % d.L, j0, count, s, w.mask);
      for (int64_t j = max64(0, r % d.L + 1 - j0); args.causal && j < count; j++) s[j] = -Fp<float>::inf;
      factor[r] = few_softmax(count, s, m[r], sum[r]);
    }
    for (int64_t r = 0; r < n; r++)
      v.with([&](auto* p) {
        few_values(p, v.si, count, w.scores + r * kKeys, d.width_f, factor[r], w.out + r * d.width_f);
      });
  });
  finish_softmax((float*)lse.data + h * n, n, step, m, sum, factor);
  scale_rows(w.out, n, d.width_f, factor);
  for (int64_t g = 0; g < d.G; g++)
    write_rows(sheet(y, bi, hi, g), 0, d.L, d.F, w.out + g * d.L * d.width_f, d.width_f);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
