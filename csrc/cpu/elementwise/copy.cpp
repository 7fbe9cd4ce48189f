// Copies, conversions and fills.
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

void copy(const Ctx& ctx, const View& y, const View& x) noexcept {
  const Space<2> s({&y, &x});
  copy_space(ctx, s);
}

void fill(const Ctx& ctx, const View& y, Number value) noexcept {
  alignas(64) char element[8];
  if (value.integer) row_to_fn<int64_t>(y.dtype)(&value.i, element, 1, 1);
  else row_to_fn<double>(y.dtype)(&value.d, element, 1, 1);
  View x = y;
  x.data = element;
  for (int d = 0; d < x.ndim; d++) x.stride[d] = 0;
  copy(ctx, y, x);
}

}  // namespace

void fill_elementwise_unary(Kernels&);
void fill_elementwise_unary_backward(Kernels&);
void fill_elementwise_binary(Kernels&);
void fill_elementwise_logic(Kernels&);

void fill_elementwise(Kernels& k) {
  fill_elementwise_unary(k);
  fill_elementwise_unary_backward(k);
  fill_elementwise_binary(k);
  fill_elementwise_logic(k);
  k.copy = copy;
  k.fill = fill;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
