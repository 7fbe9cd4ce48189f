#include "ops/loss.h"

#include "ops/elementwise.h"
#include "ops/layout.h"

namespace mielina::ops {

static Loss kind_of(const std::string& kind) {
  static const char* const names[] = {"mse_loss",
                                      "l1_loss",
                                      "smooth_l1_loss",
                                      "huber_loss",
                                      "binary_cross_entropy",
                                      "binary_cross_entropy_with_logits",
                                      "kl_div",
                                      "kl_div_log",
                                      "soft_margin_loss"};
  static_assert(sizeof names / sizeof *names == size_t(Loss::count));
  for (int i = 0; i < int(Loss::count); i++)
    if (kind == names[i]) return Loss(i);
  fail(Kind::Value, "no loss named ", kind);
}

static void check_pair(const Array& x, const Array& t, const std::string& name) {
  check(x.dtype == t.dtype && is_floating(x.dtype), Kind::Runtime, name,
        ": expected two tensors of one floating dtype, got ", name_of(x.dtype), " and ", name_of(t.dtype));
  check(x.dims() == t.dims(), Kind::Value, name, ": the target's shape ", text(t.dims()), " must be the input's, ",
        text(x.dims()));
}

template <class T>
static bool in_unit_interval(const Array& x) {
  const T* p = reinterpret_cast<const T*>(x.data());
  bool good = true;
  for (int64_t i = 0, n = x.numel(); i < n; i++) good &= p[i] >= T(0) && p[i] <= T(1);
  return good;
}

// Like the losses' class indices, read here and not in a replayed step.
static void check_probabilities(const Array& x) {
  bool good = x.dtype == DType::f64
                  ? in_unit_interval<double>(contiguous(x))
                  : in_unit_interval<float>(contiguous(is_half(x.dtype) ? convert(x, DType::f32) : x));
  check(good, Kind::Runtime, "binary_cross_entropy: all elements of input should be between 0 and 1");
}

Array loss(const Array& x, const Array& t, const std::string& kind, double p, const std::string& reduction) {
  Loss which = kind_of(kind);
  check_pair(x, t, kind);
  if (which == Loss::bce) check_probabilities(x);
  bool each = reduction == "none";
  Array y = each ? empty_like(x) : empty(Dims{}, x.dtype);
  Cost cost{double(x.numel()) * 8, 0};
  if (auto query = kernels(x.device()).loss_workspace) cost.workspace = query(y.view(), x.view());
  double scale = reduction == "mean" ? 1.0 / double(x.numel()) : 1.0;
  launch<&Kernels::loss>("loss", cost, out(y), in(x), in(t), which, p, scale);
  return y;
}

Array loss_backward(const Array& g, const Array& x, const Array& t, const std::string& kind, double p,
                    const std::string& reduction) {
  Loss which = kind_of(kind);
  check_pair(x, t, kind);
  check(is_floating(g.dtype), Kind::Runtime, kind, ": the gradient must be floating");
  Array dx = empty_like(x);
  double scale = reduction == "mean" ? 1.0 / double(x.numel()) : 1.0;
  launch<&Kernels::loss_backward>("loss_backward", Cost{double(x.numel()) * 8, 0}, out(dx),
                                  in(expand(g, x.dims(), kind.c_str())), in(x), in(t), which, p, scale);
  return dx;
}

DType common_type(const Array& x, const Array& t) {
  Operand both[2] = {Operand{&x, {}, {}}, Operand{&t, {}, {}}};
  return result_type(both, 2);
}

}  // namespace mielina::ops
