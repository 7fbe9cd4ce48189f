#include "ops/optim.h"

#include "ops/elementwise.h"

namespace mielina::ops {

// The kernels walk all tensors of one parameter as flat memory: same shape, and dense in the parameter's order.
static void check_group(const std::vector<Array>& p, const std::vector<Array>& state, const char* what) {
  check(state.size() == p.size(), Kind::Value, "optimiser: ", p.size(), " parameters but ", state.size(), " ", what);
  for (size_t i = 0; i < p.size(); i++)
    check(same_layout(p[i], state[i]) && p[i].dtype == state[i].dtype, Kind::Value, "optimiser: ", what, " ", i,
          " does not have its parameter's shape, layout and dtype");
}

static std::vector<Array> laid_out_like(const std::vector<Array>& p, const std::vector<Array>& g) {
  check(p.size() == g.size(), Kind::Value, "optimiser: ", p.size(), " parameters but ", g.size(), " gradients");
  std::vector<Array> r = g;
  for (size_t i = 0; i < p.size(); i++) {
    check(p[i].dims() == g[i].dims(), Kind::Value, "optimiser: gradient ", i, " has shape ", text(g[i].dims()), ", its parameter ",
          text(p[i].dims()));
    if (same_layout(p[i], g[i]) && g[i].dtype == p[i].dtype) continue;
    r[i] = empty_like(p[i]);
    copy_into(r[i], g[i]);
  }
  return r;
}

static void check_parameters(const std::vector<Array>& p, const Array& hyper) {
  check(hyper.dtype == DType::f64 && hyper.ndim == 1 && hyper.shape[0] == int(Hyper::count), Kind::Value,
        "optimiser: hyper must hold ", int(Hyper::count), " float64 numbers");
  for (const Array& a : p) {
    check_writable(a, "optimiser");
    check(is_floating(a.dtype) && is_dense(a), Kind::Value, "optimiser: parameters must be dense and floating");
  }
}

void adam(const std::vector<Array>& p, const std::vector<Array>& m, const std::vector<Array>& v, const std::vector<Array>& vmax,
          const std::vector<Array>& g, const Array& hyper, bool decoupled, bool amsgrad, bool maximize) {
  if (p.empty()) return;
  check_parameters(p, hyper);
  check_group(p, m, "first moments");
  check_group(p, v, "second moments");
  if (amsgrad) check_group(p, vmax, "maximal second moments");
  std::vector<Array> grads = laid_out_like(p, g);
  launch<&Kernels::adam>("adam", out(p), out(m), out(v), out(vmax), in(grads), out(hyper), AdamArgs{decoupled, amsgrad, maximize});
}

}  // namespace mielina::ops
