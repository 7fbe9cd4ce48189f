// y = f(x). See table/elementwise.h for the contract.
#include "cpu/elementwise/activation.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <class F>
struct Forward {
  template <class V>
  MIELINA_INLINE V call(const V* x, V p, V q) {
    return F::f(x[0], p, q);
  }
};
template <int op>
struct Pick {
  using F = Fn<Unary(op)>;
  using Call = Forward<F>;
  static constexpr int operands = 1;
  template <class T>
  static constexpr RowFn of() {
    if constexpr (has_row<F, T>) return row<Call, operands, T>;
    else return nullptr;
  }
};

void unary(const Ctx& ctx, const View& y, const View& x, Unary op, DType compute, double p, double q) noexcept {
  const Space<2> s({&y, &x});
  run_picked<Pick, int(Unary::count)>(ctx, s, int(op), compute, Number{p, 0, false}, Number{q, 0, false});
}

}  // namespace

void fill_elementwise_unary(Kernels&);
void fill_elementwise_unary(Kernels& k) { k.unary = unary; }

}  // namespace MIELINA_ISA
}  // namespace mielina
