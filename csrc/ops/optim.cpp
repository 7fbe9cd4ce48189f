#include "ops/optim.h"

#include "ops/elementwise.h"

namespace mielina::ops {

static constexpr const char* kNames[] = {"sgd", "adam", "adamax", "nadam", "radam", "rmsprop", "adagrad", "adadelta"};
static_assert(std::size(kNames) == size_t(OptimRule::count));

// The kernels walk all tensors of one parameter as flat memory: same shape, and dense in the parameter's order.
static void check_state(const Arrays& p, const Arrays& state, const char* name, bool wanted) {
  if (state.empty() && !wanted) return;
  check(state.size() == p.size(), Kind::Value, name, ": ", p.size(), " parameters but ", state.size(),
        " of one kind of state");
  for (size_t i = 0; i < p.size(); i++)
    check(same_layout(p[i], state[i]) && p[i].dtype == state[i].dtype, Kind::Value, name, ": the state of parameter ",
          i, " does not have its shape, layout and dtype");
}

static void check_clock(const Arrays& p, const Arrays& clock, const char* name, size_t each) {
  check(clock.size() == p.size() * each, Kind::Value, name, ": ", p.size(), " parameters but ", clock.size(),
        " step counts");
  for (const Array& c : clock)
    check(c.numel() == 1 && c.dtype == DType::f32, Kind::Value, name, ": a step count is one float32 number");
}

static Arrays laid_out_like(const Arrays& p, const Arrays& g, const char* name) {
  check(p.size() == g.size(), Kind::Value, name, ": ", p.size(), " parameters but ", g.size(), " gradients");
  Arrays r = g;
  for (size_t i = 0; i < p.size(); i++) {
    check(p[i].dims() == g[i].dims(), Kind::Value, name, ": gradient ", i, " has shape ", text(g[i].dims()),
          ", its parameter ", text(p[i].dims()));
    if (same_layout(p[i], g[i]) && g[i].dtype == p[i].dtype) continue;
    r[i] = empty_like(p[i]);
    copy_into(r[i], g[i]);
  }
  return r;
}

void optim_step(int64_t rule, const Arrays& p, const Arrays& a, const Arrays& b, const Arrays& c, const Arrays& clock,
                const Arrays& g, const Array& hyper, bool decoupled, bool maximize, bool nesterov) {
  check(rule >= 0 && rule < int64_t(OptimRule::count), Kind::Value, "optimiser: no rule ", rule);
  if (p.empty()) return;
  const char* name = kNames[rule];
  OptimRule r = OptimRule(rule);
  check(hyper.dtype == DType::f64 && hyper.ndim == 1 && hyper.shape[0] == int(Hyper::count), Kind::Value, name,
        ": hyper must hold ", int(Hyper::count), " float64 numbers");
  for (const Array& x : p) {
    check_writable(x, name);
    check(is_floating(x.dtype) && is_dense(x), Kind::Value, name, ": parameters must be dense and floating");
  }
  bool two = r == OptimRule::adam || r == OptimRule::adamax || r == OptimRule::nadam || r == OptimRule::radam ||
             r == OptimRule::adadelta;
  check_state(p, a, name, r != OptimRule::sgd);
  check_state(p, b, name, two);
  check_state(p, c, name, false);
  check_clock(p, clock, name, r == OptimRule::nadam ? 2 : r == OptimRule::sgd && a.empty() ? 0 : 1);
  Arrays grads = laid_out_like(p, g, name);
  launch<&Kernels::optim_step>(name, out(p), out(a), out(b), out(c), out(clock), in(grads), in(hyper),
                               OptimArgs{r, decoupled, maximize, nesterov});
}

static void check_gradients(const Arrays& g, const char* name) {
  for (const Array& x : g)
    check(is_floating(x.dtype), Kind::Type, name, ": expected floating gradients, got ", name_of(x.dtype));
}

Array global_norm(const Arrays& g, double order) {
  check(order > 0, Kind::Value, "global_norm: the order must be positive, got ", order);
  check_gradients(g, "global_norm");
  Arrays dense = g;
  bool wide = !g.empty();
  for (Array& x : dense) {
    wide &= x.dtype == DType::f64;
    if (!is_dense(x)) x = contiguous(x);
  }
  Array norm = empty(Dims{}, wide ? DType::f64 : DType::f32);
  Cost cost;
  auto views = door::views(dense);
  if (auto query = kernels(norm.device()).global_norm_workspace)
    cost.workspace = query(make_ctx(norm.device()), door::give(views));
  launch<&Kernels::global_norm>("global_norm", cost, out(norm), in(dense), order);
  return norm;
}

void clip_by_norm(const Arrays& g, const Array& norm, double max_norm) {
  check(norm.numel() == 1 && (norm.dtype == DType::f32 || norm.dtype == DType::f64), Kind::Value,
        "clip_by_norm: the norm is one float32 or float64 number");
  check_gradients(g, "clip_by_norm");
  Arrays dense = g;
  for (Array& x : dense) {
    check_writable(x, "clip_by_norm");
    if (!is_dense(x)) x = contiguous(x);
  }
  if (g.empty()) return;
  launch<&Kernels::clip_by_norm>("clip_by_norm", out(dense), in(norm), max_norm);
  for (size_t i = 0; i < g.size(); i++)
    if (dense[i].storage.get() != g[i].storage.get()) copy_into(g[i], dense[i]);
}

}  // namespace mielina::ops
