// gemm: C = activation([C +] A B + bias + residual) for any strides and batch dims.
#include "cpu/gemm.h"

namespace mielina {
namespace MIELINA_ISA {

namespace {

// One product of the batch, turned so that C's columns run through memory where either axis does.
struct Problem {
  int64_t M, N, K;
  Matrix c, a, b, bias, residual;
  bool turned;
};

Matrix matrix(const View& v, bool turn) {
  const int n = v.ndim;
  const int64_t si = v.stride[n - 2], sj = v.stride[n - 1];
  return {(char*)v.data, v.dtype, turn ? sj : si, turn ? si : sj};
}

Problem problem(const View& c, const View& a, const View& b, const View* bias, const View* residual) {
  Problem p;
  const int n = c.ndim;
  p.M = c.shape[n - 2];
  p.N = c.shape[n - 1];
  p.K = a.shape[n - 1];
  const bool turn = p.M > 1 && (p.N == 1 || (c.stride[n - 1] != 1 && c.stride[n - 2] == 1));
  p.c = matrix(c, turn);
  p.a = matrix(turn ? b : a, turn);
  p.b = matrix(turn ? a : b, turn);
  p.bias = bias && bias->data ? matrix(*bias, turn) : Matrix{};
  p.residual = residual && residual->data ? matrix(*residual, turn) : Matrix{};
  p.turned = turn;
  if (turn) {
    const int64_t m = p.M;
    p.M = p.N;
    p.N = m;
  }
  return p;
}

// f(Op, S) with the types that a dtype computes with.
template <class F> auto dispatch(DType d, F f) {
  switch (d) {
    case DType::f64: return f(Plain<double>{}, double{});
    case DType::f16: return f(Plain<float>{}, half_t{});
#if defined(__AVX512BF16__)
    case DType::bf16: return f(Bf16Pair{}, bfloat_t{});
#else
    case DType::bf16: return f(Plain<float>{}, bfloat_t{});
#endif
    case DType::i64: return f(Plain<uint64_t>{}, uint64_t{});
    case DType::i32: return f(Plain<uint32_t>{}, uint32_t{});
    case DType::i16: return f(Plain<uint32_t>{}, int16_t{});
    case DType::i8: return f(Plain<uint32_t>{}, int8_t{});
    case DType::u8: return f(Plain<uint32_t>{}, uint8_t{});
    default: return f(Plain<float>{}, float{});
  }
}

template <class Op, class S> GemmPlan plan_of(const Problem& q) {
  GemmPlan p = gemm_plan<Op>(q.M, q.N, q.K);
  if constexpr (__is_same(S, typename Op::In)) {
    p.in_place_a = !p.share_a && q.N <= 256;
    p.in_place_b = !p.share_b && q.b.sj == 1;
  }
  return p;
}

template <class Op, class S> void product(const Ctx& ctx, const Problem& q, GemmArgs args) {
  const GemmPlan p = plan_of<Op, S>(q);
  Strided<Op, S> a{(const S*)q.a.data, q.M, q.K, q.a.si, q.a.sj, p.mr};
  Strided<Op, S> b{(const S*)q.b.data, q.N, q.K, q.b.sj, q.b.si, p.nr};
  const Plane plane{p.mr, p.nr, q.c.si, q.c.sj};
  Finish<typename Op::Out, Plane> finish{q.c, q.bias, q.residual, args.activation, args.accumulate, plane, false, false};
  finish.prepare();
  gemm_run<Op>(ctx, p, a, b, finish);
}

template <class Op, class S> int64_t product_workspace(const Problem& q, int threads) {
  const bool direct = q.c.dtype == dtype_of_sum<typename Op::Out> && q.c.sj == 1;
  return gemm_layout<Op>(plan_of<Op, S>(q), !direct, threads).bytes;
}

int64_t batch_size(const View& c) {
  int64_t n = 1;
  for (int d = 0; d < c.ndim - 2; d++) n *= c.shape[d];
  return n;
}

// The batch's item i of a view: how far its data lies from the first.
int64_t batch_offset(const View& v, int64_t i) {
  int64_t offset = 0;
  for (int d = v.ndim - 3; d >= 0; d--) {
    offset += i % v.shape[d] * v.stride[d];
    i /= v.shape[d];
  }
  return offset * kDTypeSize[int(v.dtype)];
}

void gemm(const Ctx& ctx, const View& c, const View& a, const View& b, const View& bias, const View& residual,
          GemmArgs args) noexcept {
  const Problem first = problem(c, a, b, &bias, &residual);
  const int64_t batch = batch_size(c);
  if (first.M * first.N * batch == 0) return;
  for (int64_t i = 0; i < batch; i++) {
    Problem q = first;
    q.c.data += batch_offset(c, i);
    q.a.data += batch_offset(q.turned ? b : a, i);
    q.b.data += batch_offset(q.turned ? a : b, i);
    if (bias.data) q.bias.data += batch_offset(bias, i);
    if (residual.data) q.residual.data += batch_offset(residual, i);
    dispatch(a.dtype, [&]<class Op, class S>(Op, S) { product<Op, S>(ctx, q, args); });
  }
}

int64_t gemm_workspace(const Ctx& ctx, const View& c, const View& a, const View& b) noexcept {
  const Problem q = problem(c, a, b, nullptr, nullptr);
  return dispatch(a.dtype, [&]<class Op, class S>(Op, S) { return product_workspace<Op, S>(q, ctx.threads); });
}

}  // namespace

void fill_gemm(Kernels& k) {
  k.gemm = gemm;
  k.gemm_workspace = gemm_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
