// gemm ops: everything that is a product of matrices.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

Array matmul(const Array& a, const Array& b);                          // torch.matmul's rules for 1-D, 2-D, batches
Array linear(const Array& x, const Array& w, const MaybeArray& bias);  // x w^T + bias, w: (out, in)
Array addmm(const Array& input, const Array& a, const Array& b);       // input + a b; matrices, or batches of them

}  // namespace mielina::ops
