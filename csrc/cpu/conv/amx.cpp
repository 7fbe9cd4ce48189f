// conv on AMX's tiles, where they are the faster way; all else is left to the level below.
#include "cpu/kernel.h"

#if MIELINA_V512
#include "cpu/conv/amx_forward.h"
#include "cpu/conv/amx_weight.h"
#include "cpu/conv/phases.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

ConvTable below;

// f(problem) for pieces of long rows, as of sound, whose bands stay in the L2 cache then.
template <class F>
void each_piece(const Problem& whole, F f) {
  constexpr int64_t kColumns = 2048;
  const int64_t W = whole.y.shape[kW], n = ceil_div(W, kColumns);
  for (int64_t i = 0; i < n; i++) {
    Problem q = whole;
    q.y = slice(whole.y, kW, W * i / n, W * (i + 1) / n - W * i / n);
    q.window.padding[2] -= W * i / n * q.window.stride[2];
    f(q);
  }
}
// Bytes of workspace for one group; runs it, if none of its numbers is wild.
int64_t bytes_of(const Problem& whole, int threads) {
  int64_t bytes = 0;
  each_piece(whole, [&](const Problem& q) { bytes = max64(bytes, TileConv(q).bytes(threads)); });
  return bytes;
}
bool run(const Ctx& ctx, const Problem& whole) {
  bool tame = true;
  each_piece(whole, [&](const Problem& q) { tame = tame && TileConv(q).run(ctx); });
  return tame;
}

// Whether tiles are the faster way for one group.
bool pays(const Problem& q) { return TileConv::fits(q) && q.y.shape[kC] >= 16 && depth_of(q) >= 24; }

[[gnu::cold]] void conv(const Ctx& ctx, const View& y, const View& x, const View& w, const View& bias,
                        ConvArgs args) noexcept {
  const Problem q = problem_of(y, x, w, bias, args);
  bool done = pays(group_of(q, args.groups, 0));
  for (int64_t i = 0; done && i < args.groups; i++) done = run(ctx, group_of(q, args.groups, i));
  if (!done) below.conv(ctx, y, x, w, bias, args);
}

[[gnu::cold]] int64_t conv_workspace(const Ctx& ctx, const View& y, const View& x, const View& w,
                                     ConvArgs args) noexcept {
  const Problem q = group_of(problem_of(y, x, w, View{}, args), args.groups, 0);
  return max64(below.conv_workspace(ctx, y, x, w, args), pays(q) ? bytes_of(q, ctx.threads) : 0);
}

// f(problem) for the convolutions that the gradient of the image is made of, if all are fit for tiles.
template <class F>
bool each_gradient(const View& dx, const View& g, const View& w, const ConvArgs& args, F f) {
  bool fit = w.shape[kC] > 1;
  auto check = [&](const Problem& q, int64_t) { fit &= pays(q); };
  if (fit) each_phase(dx, g, w, args, check);
  if (fit) each_phase(dx, g, w, args, [&](const Problem& q, int64_t) { f(q); });
  return fit;
}

[[gnu::cold]] void backward_input(const Ctx& ctx, const View& dx, const View& g, const View& w,
                                  ConvArgs args) noexcept {
  bool tame = true;
  auto one = [&](const Problem& q) { tame = tame && run(ctx, q); };
  if (!each_gradient(dx, g, w, args, one) || !tame) below.conv_backward_input(ctx, dx, g, w, args);
}

[[gnu::cold]] int64_t backward_input_workspace(const Ctx& ctx, const View& dx, const View& g, const View& w,
                                               ConvArgs args) noexcept {
  int64_t bytes = below.conv_backward_input_workspace(ctx, dx, g, w, args);
  each_gradient(dx, g, w, args, [&](const Problem& q) { bytes = max64(bytes, bytes_of(q, ctx.threads)); });
  return bytes;
}

// Whether they are for the gradient of one group's filters, whose rows are not cut.
bool pays_gradient(const Problem& q) {
  return TileBand::fits(q) && q.y.shape[kC] >= 16 && q.x.shape[kC] >= 16 && numel(q.w) > 0 && q.y.shape[kW] <= 4096;
}

[[gnu::cold]] void backward_weight(const Ctx& ctx, const View& dw, const View& g, const View& x,
                                   ConvArgs args) noexcept {
  const Problem q = problem_of(g, x, dw, View{}, args);
  bool done = pays_gradient(group_of(q, args.groups, 0));
  for (int64_t i = 0; done && i < args.groups; i++) done = TileGradient(group_of(q, args.groups, i)).run(ctx);
  if (!done) below.conv_backward_weight(ctx, dw, g, x, args);
}

[[gnu::cold]] int64_t backward_weight_workspace(const Ctx& ctx, const View& dw, const View& g, const View& x,
                                                ConvArgs args) noexcept {
  const Problem q = group_of(problem_of(g, x, dw, View{}, args), args.groups, 0);
  return max64(below.conv_backward_weight_workspace(ctx, dw, g, x, args),
               pays_gradient(q) ? TileGradient(q).bytes(ctx.threads) : 0);
}

}  // namespace

void fill_amx_conv(Kernels&);
void fill_amx_conv(Kernels& k) {
  if (k.conv) below = k;  // an empty table asks only which entries this level has
  k.conv = conv;
  k.conv_workspace = conv_workspace;
  k.conv_backward_input = backward_input;
  k.conv_backward_input_workspace = backward_input_workspace;
  k.conv_backward_weight = backward_weight;
  k.conv_backward_weight_workspace = backward_weight_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
#endif
