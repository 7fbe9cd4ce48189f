// dx = g f'(x), one pass. See table/elementwise.h for the contract.
#include "cpu/elementwise/activation.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <class F>
struct Backward {
  template <class V>
  MIELINA_INLINE V call(const V* v, V p, V q) {
    return F::d(v[0], v[1], v[2], p, q);
  }
};
template <int op>
struct Pick {
  using F = Fn<Unary(op)>;
  using Call = Backward<F>;
  static constexpr int operands = 3;
  template <class T>
  static constexpr RowFn of() {
    if constexpr (!is_integer<T> && requires(Vec<T> v) { F::d(v, v, v, v, v); }) return row<Call, operands, T>;
    else return nullptr;
  }
};

void unary_backward(const Ctx& ctx, const View& dx, const View& g, const View& x, const View& y, Unary op, double p,
                    double q) noexcept {
  const Space<4> s({&dx, &g, &x, &y});
  DType compute = dx.dtype == DType::f64 ? DType::f64 : DType::f32;
  run_picked<Pick, int(Unary::count)>(ctx, s, int(op), compute, Number{p, 0, false}, Number{q, 0, false});
}

}  // namespace

void fill_elementwise_unary_backward(Kernels&);
void fill_elementwise_unary_backward(Kernels& k) { k.unary_backward = unary_backward; }

}  // namespace MIELINA_ISA
}  // namespace mielina
