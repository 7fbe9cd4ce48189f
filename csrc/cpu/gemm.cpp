// gemm: C = [C +] A B + bias for any strides and batch dims.
#include "cpu/gemm.h"

#include "cpu/gemm/problem.h"
#include "cpu/gemm/vector.h"

namespace mielina {
namespace MIELINA_ISA {

namespace {

// f(Op, S) with the types that a dtype computes with. pairs: of bf16, by dot products.
template <class F>
auto dispatch(DType d, bool pairs, F f) {
#if MIELINA_REAL512
  if (pairs && d == DType::bf16) return f(Bf16Pair{}, bfloat_t{});
#else
  (void)pairs;
#endif
  switch (d) {
    case DType::f64: return f(Plain<double>{}, double{});
    case DType::f16: return f(Plain<float>{}, half_t{});
    case DType::bf16: return f(Plain<float>{}, bfloat_t{});
    case DType::i64: return f(Plain<uint64_t>{}, uint64_t{});
    case DType::i32: return f(Plain<uint32_t>{}, uint32_t{});
    default: return f(Plain<float>{}, float{});
  }
}

// A few rows times a matrix that is contiguous either way. Halves do so as floats: one row, or a few that are
// multiplied with rows (bf16 on an Emerald Rapids, two cores: 4 x 1024 x 1024 87 us, 56 so, 8 x 1024 x 1024 128 and 96,
// but 8 x 256 x 256 14.5 and 17.3).
template <class S, class Out>
bool is_thin(const Problem& q) {
  if (q.N <= 1 || q.K <= 1 || (q.b.sj != 1 && q.b.si != 1)) return false;
  if (q.M == 1) return true;
  if (q.M > 8 || (!__is_same(S, Out) && (VBYTES == 16 || q.b.sj == 1))) return false;
  if (q.b.sj == 1) return q.N >= 512 && q.N * q.K >= (q.M <= 4 ? 1 : 4) << 20;
  return q.K >= 128 && q.N * q.K >= (__is_same(S, Out) || q.M <= 4 ? 16 : 256) * 1024;
}

template <class Op, class S>
ThinProduct<typename Op::Out, S> thin(const Problem& q) {
  return {q.M, q.N, q.K, (const S*)q.a.data, q.a.si, q.a.sj, (const S*)q.b.data, q.b.sj, q.b.si};
}

// Middle-sized products: each task takes panels of B's columns and reads both operands where they lie, so that nothing
// has to be packed, and waited for, in common: 128^3 in 22 us instead of 42, 64 x 128 x 784 in 60 instead of 100 (two
// cores). A's part of KC steps must stay in the L2 cache. Below 64 x 96 x 128 a second core gains in a loop of products
// alone (64^3: 4.4 us instead of 6.2), but not in a training step, where the next operation fetches the result's other
// half from that core's cache.
template <class Op>
bool by_columns(const Problem& q, const GemmPlan& p) {
  constexpr int64_t size = sizeof(typename Op::In);
  const double work = double(q.M) * double(ceil_div(q.N, lanes<typename Op::Out>)) * double(p.K);
  return p.n_panels > 1 && work > 48e3 && q.M * min64(p.K, Op::KC) * size <= 384 * 1024;
}

template <class Op, class S>
GemmPlan plan_of(const Problem& q) {
  GemmPlan p = gemm_plan<Op>(q.M, q.N, q.K);
  if constexpr (__is_same(S, typename Op::In)) {
    // Rows that fall into one set of the L1 cache are packed: 64 x 512 x 512 in 175 us instead of 205, 1024 x 2048 x
    // 256 in 5.4 ms instead of 6.5. So are columns, and long ones that many panels of B read, but where tiles are as
    // high as a cache line, which the micro-kernel then fetches in time: with the six rows of AVX2 1024 x 1024 x 256 of
    // A^T B ran at 41 GFLOP/s on one core, packed at 79, 768 x 1024 x 256 at 74 and 83, 128 x 1024 x 64 at 80 and 63.
    const bool rows = q.a.sj == 1, columns = !rows && q.a.si == 1 && VBYTES < 64 && q.K >= 64;
    const bool one_set = (rows || columns) && (rows ? q.a.si : q.a.sj) * int64_t(sizeof(S)) % 2048 == 0;
    const bool middle = by_columns<Op>(q, p);
    const bool packed = one_set || (columns && q.N >= (middle ? 192 : 128) && q.K >= 256);
    if (middle) {
      p.n_tiles = min64(p.n_panels, 8);
      p.m_tiles = 1;
      p.n_chunk = p.n_panels;
      p.share_a = packed;
      p.share_b = false;
    }
    p.in_place_a = !p.share_a && (p.n_tiles > 1 || (q.N <= 256 && !(packed && p.m_tiles > 1)));
    // Rows of B that fall into so few sets of an L2 cache (512 KB, 8 ways; with AVX-512 2 MB, 16 ways) that a panel of
    // them does not stay there are packed: on one core of a Zen 3 128 x 1024 x 1024 of A B 4.6 to 3.4 ms, 128 x 512 x
    // 2048 4.7 to 3.2, of an Emerald Rapids 3.45 to 2.0 and as before. Not under 90 rows of A (32 x 512 x 512 on the
    // Zen 3 0.88 of the speed).
    constexpr int64_t most = VBYTES < 64 ? 512 << 10 : 1 << 20;
    const int64_t apart = q.b.si * int64_t(sizeof(S));
    const bool few_sets = q.M > 90 && min64(q.K, Op::KC) * (apart & -apart) > most;
    p.in_place_b = !p.share_b && q.b.sj == 1 && !few_sets;
  }
  return p;
}

template <class Op>
bool direct(const Problem& q) {
  return q.c.dtype == dtype_of_sum<typename Op::Out> && q.c.sj == 1;
}

template <class Op, class S>
void product(const Ctx& ctx, const Problem& q, const GemmPlan& p, GemmArgs args) {
  const Plane plane{p.mr, p.nr, q.c.si, q.c.sj};
  Finish<typename Op::Out, Plane> finish{q.c, q.bias, args.accumulate, plane, false, false};
  finish.prepare(p.K <= Op::KC);
  const Strided<Op, S> a{(const S*)q.a.data, q.M, q.K, q.a.si, q.a.sj, p.mr};
  const Strided<Op, S> b{(const S*)q.b.data, q.N, q.K, q.b.sj, q.b.si, p.nr};
  gemm_run<Op>(ctx, p, a, b, finish);
}

template <class Op, class S>
void thin_product(const Ctx& ctx, const Problem& q, GemmArgs args) {
  using Out = typename Op::Out;
  const auto p = thin<Op, S>(q);
  Finish<Out, Plane> finish{q.c, q.bias, args.accumulate, {q.M, p.kPanel, q.c.si, q.c.sj}, false, false};
  p.run(ctx, finish);
}

// ---- batches ---------------------------------------------------------------------------------------------------------
constexpr double kInline = 64e3;  // vector multiply-adds that are not worth a handover

// Scratch of one product on `threads` threads.
template <class Op, class S>
int64_t scratch(const Problem& q, const GemmPlan& p, int threads) {
  if constexpr (Op::real) {
    if (is_thin<S, typename Op::Out>(q)) return align64(thin<Op, S>(q).bytes());
  }
  return gemm_layout<Op>(p, !direct<Op>(q), threads).bytes;
}

template <class Op>
double steps(const Problem& q) {
  return double(q.M) * double(ceil_div(q.N, lanes<typename Op::Out>)) * double(q.K + 16);
}

// Whether threads get whole products of a batch: those of one task, and those whose operands fit a core's cache if
// there are many (32 of 256^3: 5.7 ms instead of 6.1, 24 of 100 x 400 x 64: 0.66 instead of 0.9).
template <class Op>
bool whole_products(const Problem& q, const GemmPlan& p, int64_t batch) {
  const int64_t bytes = (q.M * q.K + q.K * q.N + q.M * q.N) * int64_t(sizeof(typename Op::Out));
  return batch > 1 && (p.m_tiles * p.n_tiles == 1 || (batch >= 16 && bytes <= 1 << 20));
}

template <class Op, class S>
void batched(const Ctx& ctx, int64_t batch, const Problem& first, const View& c, const View& a, const View& b,
             const View& bias, GemmArgs args) {
  if constexpr (Op::real) {
    if (batch == 1 && is_thin<S, typename Op::Out>(first)) return thin_product<Op, S>(ctx, first, args);
  }
  const GemmPlan p = plan_of<Op, S>(first);
  auto item = [&](const Ctx& inner, int64_t i) {
    const Problem q = item_of(first, i, c, a, b, bias);
    if constexpr (Op::real) {
      if (is_thin<S, typename Op::Out>(q)) return thin_product<Op, S>(inner, q, args);
    }
    product<Op, S>(inner, q, p, args);
  };
  if (!whole_products<Op>(first, p, batch)) {
    for (int64_t i = 0; i < batch; i++) item(ctx, i);
    return;
  }
  const int64_t bytes = scratch<Op, S>(first, p, 1);
  const int64_t grain = min64(batch, 1 + int64_t(kInline / (1 + steps<Op>(first))));
  parallel_for(ctx, ceil_div(batch, grain), [&](int64_t t, int worker) {
    Ctx inner = ctx;
    inner.threads = 1;
    inner.workspace = (char*)ctx.workspace + worker * bytes;
    for (int64_t i = t * grain; i < min64(batch, (t + 1) * grain); i++) item(inner, i);
  });
}

void any_gemm(bool pairs, const Ctx& ctx, const View& c, const View& a, const View& b, const View& bias,
              GemmArgs args) {
  if (one_matrix(c, b)) {
    bool ok = true;
    const View tall = folded(c, ok), rows = folded(a, ok);
    const View offset = bias.data ? folded(bias, ok) : bias;
    if (ok) return any_gemm(pairs, ctx, tall, rows, last_matrix(b), offset, args);
  }
  const Problem first = problem(c, a, b, &bias);
  const int64_t batch = batch_size(c);
  if (first.M * first.N * batch == 0) return;
  dispatch(a.dtype, pairs, [&]<class Op, class S>(Op, S) { batched<Op, S>(ctx, batch, first, c, a, b, bias, args); });
}

int64_t any_workspace(bool pairs, const Ctx& ctx, const View& c, const View& a, const View& b) {
  auto bytes = [&](const Problem& q, int64_t batch) {
    return dispatch(a.dtype, pairs, [&]<class Op, class S>(Op, S) {
      if constexpr (Op::real) {
        if (batch == 1 && is_thin<S, typename Op::Out>(q)) return align64(thin<Op, S>(q).bytes());
      }
      const GemmPlan p = plan_of<Op, S>(q);
      const bool each = whole_products<Op>(q, p, batch);
      const int64_t n = scratch<Op, S>(q, p, each ? 1 : ctx.threads);
      return each ? n * ctx.threads : n;
    });
  };
  const int64_t batch = batch_size(c);
  const int64_t apart = bytes(problem(c, a, b, nullptr), batch);
  if (!one_matrix(c, b)) return apart;
  bool ok = true;
  const View tall = folded(c, ok), rows = folded(a, ok);
  return ok ? max64(apart, bytes(problem(tall, rows, last_matrix(b), nullptr), 1)) : apart;
}

template <bool Pairs>
void gemm(const Ctx& ctx, const View& c, const View& a, const View& b, const View& bias, GemmArgs args) noexcept {
  any_gemm(Pairs, ctx, c, a, b, bias, args);
}
template <bool Pairs>
int64_t gemm_workspace(const Ctx& ctx, const View& c, const View& a, const View& b) noexcept {
  return any_workspace(Pairs, ctx, c, a, b);
}

}  // namespace

void fill_gemm(Kernels&);
void fill_gemm(Kernels& k) {
  k.gemm = gemm<false>;
  k.gemm_workspace = gemm_workspace<false>;
}
#if MIELINA_REAL512
void fill_bf16(Kernels&);
void fill_bf16(Kernels& k) {
  k.gemm = gemm<true>;
  k.gemm_workspace = gemm_workspace<true>;
}
#endif

}  // namespace MIELINA_ISA
}  // namespace mielina
