// norm: batch, layer, group and rms normalisation. Statistics are f32 (f64 for f64 data), computed block by block
// around the block's own mean, so that a large mean costs no digits, and merged in double.
#pragma once
#include "core/view.h"

namespace mielina {

// Rows of K * inner elements. Element j of row r takes weight[(r % groups) * K + j / inner]: layer norm has groups =
// inner = 1; group norm has N * groups rows of K channels of `inner` pixels. center: false leaves the mean in (rms
// norm).
struct NormRows {
  int64_t groups, inner;
  double eps;
  bool center;
};

struct NormTable {
  // y = (x - mean) * rstd * weight + bias, rstd = 1 / sqrt(mean((x - mean)^2) + eps). x, y: (R, K * inner), inner
  // stride 1; weight, bias: (groups * K) contiguous, or data == nullptr; mean, rstd: (R), assigned.
  void (*norm_rows)(const Ctx&, const View& y, const View& mean, const View& rstd, const View& x, const View& weight,
                    const View& bias, NormRows args) noexcept;
  // With h = g * weight and z = (x - mean) * rstd: dx = rstd (h - mean(h) - z mean(h z)), dw = sum g z, db = sum g. All
  // assigned. dw, db: (groups * K) contiguous.
  void (*norm_rows_backward)(const Ctx&, const View& dx, const View& dw, const View& db, const View& g, const View& x,
                             const View& mean, const View& rstd, const View& weight, NormRows args) noexcept;
  int64_t (*norm_rows_workspace)(const View& x, const NormRows& args) noexcept;

  // x, y: (A, C, B), normalised over A and B for each c; B has stride 1, or B == 1 and C has stride 1. weight, bias:
  // (C) contiguous or nullptr. running_mean, running_var: (C) contiguous or of size 0. training: the batch's statistics
  // are used and running += momentum (batch - running), with the unbiased variance; else the running ones are used.
  // mean, rstd: (C), the statistics used, assigned.
  void (*batch_norm)(const Ctx&, const View& y, const View& mean, const View& rstd, const View& running_mean,
                     const View& running_var, const View& x, const View& weight, const View& bias, bool training,
                     double momentum, double eps) noexcept;
  void (*batch_norm_backward)(const Ctx&, const View& dx, const View& dw, const View& db, const View& g, const View& x,
                              const View& mean, const View& rstd, const View& weight, bool training) noexcept;
  int64_t (*batch_norm_workspace)(const View& x) noexcept;
};

}  // namespace mielina
