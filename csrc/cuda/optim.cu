// optim: one launch a tensor; the clocks and the group's numbers are read on the card, so that a replay follows them.
#include "cuda/device.cuh"

namespace mielina::cuda {
namespace {

struct Lists {
  View p, a, b, c, clock, g;
};

__global__ void tick_kernel(View clock) { *static_cast<float*>(clock.data) += 1; }

// Kingma & Ba 2015; amsgrad (Reddi, Kale & Kumar 2018) where c is given. All tensors are dense in one order.
template <class T>
__global__ void adam_kernel(Lists l, View hyper, int64_t n, OptimArgs args) {
  auto h = [&](Hyper slot) { return static_cast<const double*>(hyper.data)[int(slot) * hyper.stride[0]]; };
  const double t = double(*static_cast<const float*>(l.clock.data)), lr = h(Hyper::lr);
  const double beta1 = h(Hyper::beta1), beta2 = h(Hyper::beta2);
  const T b1 = T(beta1), one_b1 = T(1 - beta1), b2 = T(beta2), one_b2 = T(1 - beta2), eps = T(h(Hyper::eps));
  const T rate = T(lr / (1 - pow(beta1, t))), root = T(1 / sqrt(1 - pow(beta2, t)));
  const T decay = T(h(Hyper::weight_decay) * (args.decoupled ? lr : 1)), sign = T(args.maximize ? -1 : 1);
  for (int64_t i = first_index(); i < n; i += index_step()) {
    T p = get<T>(l.p, i), g = get<T>(l.g, i) * sign;
    if (args.decoupled) p -= p * decay;
    else g = fma(p, decay, g);
    T a = fma(b1, get<T>(l.a, i), one_b1 * g), b = fma(b2, get<T>(l.b, i), one_b2 * g * g), v = b;
    if (l.c.data) {
      T c = get<T>(l.c, i);
      v = b > c || b != b ? b : c;
      put(l.c, i, v);
    }
    put(l.a, i, a);
    put(l.b, i, b);
    put(l.p, i, p - rate * a / (T(sqrt(v)) * root + eps));
  }
}

void optim_step(const Ctx& ctx, Views p, Views a, Views b, Views c, Views clock, Views g, const View& hyper,
                OptimArgs args) noexcept {
  if (args.rule != OptimRule::adam) return note(kUnsupported);
  for (int64_t i = 0; i < p.count; i++) {
    tick_kernel<<<1, 1, 0, stream_of(ctx)>>>(clock.items[i]);
    int64_t n = numel(p.items[i]);
    if (n == 0) continue;
    Lists l{p.items[i], a.items[i], b.items[i], c.count ? c.items[i] : View{}, clock.items[i], g.items[i]};
    with_floating(p.items[i].dtype, [&](auto zero) {
      adam_kernel<decltype(zero)><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(l, hyper, n, args);
    });
  }
  note(cudaGetLastError());
}

}  // namespace

void fill_optim(Kernels& k) { k.optim_step = optim_step; }

}  // namespace mielina::cuda
