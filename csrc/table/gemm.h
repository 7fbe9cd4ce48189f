// gemm: products of matrices. Letters: M N K as in C (M, N) = A (M, K) B (K, N).
#pragma once
#include "core/view.h"

namespace mielina {

struct GemmArgs {
  bool accumulate;  // C += instead of C =
};

struct GemmTable {
  // c: (..., M, N), a: (..., M, K), b: (..., K, N), any strides, batch dims of equal shape (stride 0 where expanded).
  // bias: (..., M, N) expanded by strides, or data == nullptr.
  // c = [c +] a b + bias. f32, f64, f16, bf16, all of one dtype (c may be f32 for half inputs); halves accumulate in
  // f32; integers i64, i32 wrap (on a card also i16, i8, u8). K == 0 gives the bias (or zeros). The sum over K is cut
  // only by constants of (ISA, dtype).
  void (*gemm)(const Ctx&, const View& c, const View& a, const View& b, const View& bias, GemmArgs) noexcept;
  int64_t (*gemm_workspace)(const Ctx&, const View& c, const View& a, const View& b) noexcept;
};

}  // namespace mielina
