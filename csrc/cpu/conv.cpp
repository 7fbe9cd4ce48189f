// conv: convolutions and their gradients. Which algorithm serves is decided in conv/algorithms.h and, for the filters,
// conv/backward_weight.h.
#include "cpu/conv/backward_input.h"
#include "cpu/conv/backward_weight.h"
#include "cpu/conv/deal.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

Problem forward(Floats& floats, const View& y, const View& x, const View& w, const View& bias, const ConvArgs& args) {
  Problem q = problem_of(y, x, w, bias, args);
  if (args.groups == 1 && (WinogradLast::fits(q) || Sliding::fits(q))) return q;  // these read few channels as well
  q.x = floats(x);
  q.w = floats(w);
  q.y = floats.result(y, w);
  if (q.y.dtype != y.dtype) q.bias = floats.line(bias, w.shape[kN]);
  return q;
}

// Bytes of workspace where groups are dealt; runs them.
__attribute__((cold, noinline)) int64_t conv_groups(const Ctx& ctx, const Problem& q, int64_t count, bool plan) {
  Groups groups(q.y, q.x, q.w, count);
  groups.cut_images();
  auto problem = [&](const Part& p, int64_t group) -> Problem {
    const int64_t K = p.w.shape[kN];
    return {p.y, p.x, p.w, slice(q.bias, 0, group * K, K), q.window, q.direct};
  };
  const int64_t bytes =
      groups.most([&](const Part& p) { return convolve_workspace<float>(alone(ctx), problem(p, 0), 1); });
  if (!plan)
    groups.deal(ctx, bytes,
                [&](const Ctx& one, const Part& p, int64_t group) { convolve<float>(one, problem(p, group), 1); });
  return bytes * ctx.threads;
}

void conv(const Ctx& ctx, const View& y, const View& x, const View& w, const View& bias, ConvArgs args) noexcept {
  if (numel(y) == 0) return;
  Floats floats{ctx, false};
  const Problem q = forward(floats, y, x, w, bias, args);
  if (Groups::dealt(y, w, args.groups)) conv_groups(floats.rest(), q, args.groups, false);
  else dispatch(q.x.dtype, [&]<class T>(T) { convolve<T>(floats.rest(), q, args.groups); });
  Floats::finish(ctx, q.y, y);
}

__attribute__((cold)) int64_t conv_workspace(const Ctx& ctx, const View& y, const View& x, const View& w,
                                             ConvArgs args) noexcept {
  if (numel(y) == 0) return 0;
  Floats floats{ctx, true};
  const Problem q = forward(floats, y, x, w, View{}, args);
  if (Groups::dealt(y, w, args.groups)) return floats.bytes + conv_groups(ctx, q, args.groups, true);
  return floats.bytes + dispatch(q.x.dtype, [&]<class T>(T) { return convolve_workspace<T>(ctx, q, args.groups); });
}

// The gradient of the image: bytes of workspace; runs it.
__attribute__((cold, noinline)) int64_t input_groups(const Ctx& ctx, const View& dx, const View& g, const View& w,
                                                     ConvArgs args, bool plan) {
  Floats floats{ctx, plan};
  const View gs = floats(g), ws = floats(w);
  Groups groups(dx, gs, ws, args.groups);
  groups.cut_images();
  args.groups = 1;
  const int64_t bytes =
      groups.most([&](const Part& p) { return conv_backward_input_workspace(alone(ctx), p.y, p.x, p.w, args); });
  if (!plan)
    groups.deal(floats.rest(), bytes,
                [&](const Ctx& one, const Part& p, int64_t) { conv_backward_input(one, p.y, p.x, p.w, args); });
  return floats.bytes + bytes * ctx.threads;
}
bool deals_input(const View& g, const View& w, const ConvArgs& args) {
  return Groups::dealt(g, w, args.groups) && !has_gaps(w, args);
}
void backward_input(const Ctx& ctx, const View& dx, const View& g, const View& w, ConvArgs args) noexcept {
  if (deals_input(g, w, args)) input_groups(ctx, dx, g, w, args, false);
  else conv_backward_input(ctx, dx, g, w, args);
}
int64_t backward_input_workspace(const Ctx& ctx, const View& dx, const View& g, const View& w, ConvArgs args) noexcept {
  return deals_input(g, w, args) ? input_groups(ctx, dx, g, w, args, true)
                                 : conv_backward_input_workspace(ctx, dx, g, w, args);
}

}  // namespace

void fill_conv(Kernels& k) {
  k.conv = conv;
  k.conv_workspace = conv_workspace;
  k.conv_backward_input = backward_input;
  k.conv_backward_input_workspace = backward_input_workspace;
  k.conv_backward_weight = conv_backward_weight;
  k.conv_backward_weight_workspace = conv_backward_weight_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
