// What a call of gemm is: the products of a batch, and each turned as the kernels want it.
#pragma once
#include "cpu/gemm/epilogue.h"

namespace mielina {
namespace MIELINA_ISA {

// One product of the batch, turned so that C's columns run through memory where either axis does, or so that it has
// few rows instead of few columns.
struct Problem {
  int64_t M, N, K;
  Matrix c, a, b, bias;
  bool turned;
};

static inline Matrix matrix(const View& v, bool turn) {
  const int n = v.ndim;
  const int64_t si = v.stride[n - 2], sj = v.stride[n - 1];
  return {(char*)v.data, v.dtype, turn ? sj : si, turn ? si : sj};
}

static inline Problem problem(const View& c, const View& a, const View& b, const View* bias) {
  Problem p;
  const int n = c.ndim;
  p.M = c.shape[n - 2];
  p.N = c.shape[n - 1];
  p.K = a.shape[n - 1];
  const bool few = p.N <= 8 && p.M >= 256 && p.K >= 256 && (a.stride[n - 1] == 1 || a.stride[n - 2] == 1);
  const bool turn = p.M > 1 && (p.N == 1 || few || (c.stride[n - 1] != 1 && c.stride[n - 2] == 1));
  p.c = matrix(c, turn);
  p.a = matrix(turn ? b : a, turn);
  p.b = matrix(turn ? a : b, turn);
  p.bias = bias && bias->data ? matrix(*bias, turn) : Matrix{};
  p.turned = turn;
  if (turn) {
    const int64_t m = p.M;
    p.M = p.N;
    p.N = m;
  }
  return p;
}

static inline int64_t batch_size(const View& c) {
  int64_t n = 1;
  for (int d = 0; d < c.ndim - 2; d++) n *= c.shape[d];
  return n;
}

// The batch's item i of a view: how far its data lies from the first.
static inline int64_t batch_offset(const View& v, int64_t i) {
  int64_t offset = 0;
  for (int d = v.ndim - 3; d > 0; d--) {
    offset += i % v.shape[d] * v.stride[d];
    i /= v.shape[d];
  }
  return (offset + i * v.stride[0]) * kDTypeSize[int(v.dtype)];
}

// The batch's item i, whose first one is `first`.
static inline Problem item_of(const Problem& first, int64_t i, const View& c, const View& a, const View& b,
                              const View& bias) {
  Problem q = first;
  if (i == 0) return q;
  q.c.data += batch_offset(c, i);
  q.a.data += batch_offset(q.turned ? b : a, i);
  q.b.data += batch_offset(q.turned ? a : b, i);
  if (bias.data) q.bias.data += batch_offset(bias, i);
  return q;
}

// The last two axes of a view.
static inline View last_matrix(const View& v) {
  View m = v;
  m.ndim = 2;
  for (int d = 0; d < 2; d++) {
    m.shape[d] = v.shape[v.ndim - 2 + d];
    m.stride[d] = v.stride[v.ndim - 2 + d];
  }
  return m;
}
// Batch dims and rows as one axis, where strides allow: sets `ok` to false where they do not.
static inline View folded(const View& v, bool& ok) {
  View f = last_matrix(v);
  for (int d = v.ndim - 3; d >= 0; d--) {
    if (v.shape[d] == 1) continue;
    if (f.shape[0] == 1) f.stride[0] = v.stride[d];
    else ok &= v.stride[d] == f.shape[0] * f.stride[0];
    f.shape[0] *= v.shape[d];
  }
  return f;
}
// A batch against one matrix is one tall product.
static inline bool one_matrix(const View& c, const View& b) {
  bool one = c.ndim > 2;
  for (int d = 0; d < b.ndim - 2; d++) one &= b.shape[d] == 1 || b.stride[d] == 0;
  return one;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
