// gemm on AMX's tiles: float32 as products of bf16 parts, halves likewise.
//
// C's blocks of 32 x 32 are four tiles. The operand of fewer panels is packed by all threads first; a task packs a
// group of the other's panels, which stay in its L2 cache, and goes through all of the first's. Where that gives too
// few tasks, both are packed first and tasks are a grid.
#include "cpu/gemm.h"
#include "cpu/gemm/problem.h"
#include "cpu/gemm/split.h"

#if MIELINA_V512
namespace mielina {
namespace MIELINA_ISA {

namespace {

constexpr int64_t kBlock = 2 * kTileRows;   // rows and columns of a block of C
constexpr int64_t kChunkBytes = 32 << 20;   // the most that an operand's panels may take that are packed first
constexpr int64_t kGroupBytes = 768 << 10;  // of a task's own panels
constexpr int64_t kSteps = kTileSteps;
constexpr int64_t kInline = 512;  // products of tiles that are not worth a handover

// The cut of a product, from its shape alone. Panels are of 16 rows or columns, blocks of two of them.
struct AmxPlan {
  int64_t steps, panel;  // of 32 along k; bytes of a panel
  bool own_a;            // tasks pack A's panels
  bool both;             // all is packed first
  bool whole;            // and may be: neither operand is too large
  int64_t chunk;         // shared panels packed at once, even
  int64_t groups;        // of the own operand's blocks
  int64_t splits;        // tasks a group, of the shared operand's blocks
  int64_t own_bytes;     // of a group, packed
  int64_t shared_bytes;  // of a chunk
  int64_t work;          // products of tiles
  int64_t bytes(int threads) const { return shared_bytes + own_bytes * (both ? groups : threads); }
};

// Where the steps of packed panels begin.
template <int P>
struct PackedSteps {
  int64_t at[kSteps];
  constexpr PackedSteps() {
    for (int64_t s = 0; s < kSteps; s++) at[s] = s * P * kTileBytes;
  }
};
template <class S, int P = kParts<S>>
constexpr PackedSteps<P> kPackedSteps;
template <int P>
constexpr Parts::Product kTurned = tile_product<P, 2, 2, true>;
template <>
inline constexpr Parts::Product kTurned<3> = nullptr;  // of halves alone
template <class S, int P = kParts<S>>
constexpr Parts kPartsOf{
    P,
    {{tile_product<P, 1, 1>, tile_product<P, 1, 2>}, {tile_product<P, 2, 1>, tile_product<P, 2, 2>}},
    kTurned<P>,
    Split<S>::pack,
    kPackedSteps<S>.at};

[[gnu::cold]] AmxPlan amx_plan(const Problem& q, bool both) {
  AmxPlan p;
  const int parts = parts_of(q.a.dtype).count;
  p.steps = ceil_div(q.K, kTileDepth);
  p.panel = p.steps * parts * kTileBytes;
  const int64_t mp = ceil_div(q.M, kTileRows), np = ceil_div(q.N, kTileRows);
  p.own_a = mp >= np;
  const int64_t own = ceil_div(p.own_a ? mp : np, 2), shared = p.own_a ? np : mp;
  p.work = mp * np * p.steps * parts;
  p.chunk = min64(max64(2, kChunkBytes / p.panel / 2 * 2), shared);
  const int64_t most = max64(1, min64(kGroupBytes / (2 * p.panel), 8));
  p.groups = ceil_div(own, most);
  p.splits = 1;
  if (p.work > kInline && p.groups < 8) {
    p.groups = min64(8, own);
    if (p.groups < 8) {
      both = true;
      p.splits = min64(ceil_div(p.chunk, 2), ceil_div(8, p.groups));
    }
  }
  p.both = both;
  p.whole = p.chunk == shared && own * 2 * p.panel <= kChunkBytes;
  p.own_bytes = ceil_div(own, p.groups) * 2 * p.panel;
  p.shared_bytes = p.chunk * p.panel;
  return p;
}

struct Amx {
  const Problem& q;
  const AmxPlan& p;
  const Parts& parts;
  Operand a, b;
  Finish<float, Plane> end;
  char* workspace;

  // Block (i, j) of C.
  void block(int64_t i, int64_t j, const char* pa, const char* pb) const {
    const int64_t rows = min64(kBlock, q.M - i * kBlock), cols = min64(kBlock, q.N - j * kBlock);
    alignas(64) float small[kBlock * kBlock];
    int64_t ld = kBlock;
    float* d = end.accumulate ? nullptr : end.target(i, j, ld);
    if (!d) {
      d = small;
      ld = kBlock;
    } else {
      for (int64_t r = 0; r < rows; r++) {
        __builtin_prefetch(d + r * ld, 1);
        __builtin_prefetch(d + r * ld + cols - 1, 1);
      }
    }
    parts.block(p.steps, pa, p.panel, pb, p.panel, d, ld, rows, cols);
    end.finish(i, j, d, ld, rows, cols);
  }

  // Panels first .. first + n of one operand, to `to`. False if a number is wild.
  bool pack(bool of_a, char* to, int64_t first, int64_t n) const {
    return parts.pack(of_a ? a : b, of_a, to, first, n);
  }
  [[gnu::cold]] void pack_all(const Ctx& ctx, bool of_a, char* to, int64_t first, int64_t n, bool& tame) const {
    constexpr int64_t kPanels = 4;
    auto body = [&](int64_t t, int) {
      const int64_t i = t * kPanels;
      if (!pack(of_a, to + i * p.panel, first + i, min64(kPanels, n - i)))
        __atomic_store_n(&tame, false, __ATOMIC_RELAXED);
    };
    if (n * p.steps > 128) return parallel_for(ctx, ceil_div(n, kPanels), body);
    for (int64_t t = 0; t < ceil_div(n, kPanels); t++) body(t, 0);
  }

  // False if a number is wild; nothing was added to C then, if all was packed first.
  [[gnu::cold]] bool run(const Ctx& ctx) const {
    bool tame = true;
    const int64_t shared = ceil_div(p.own_a ? b.size : a.size, kTileRows),
                  own = ceil_div(p.own_a ? a.size : b.size, kTileRows);
    const int64_t blocks = ceil_div(own, 2);
    char* const owns = workspace + p.shared_bytes;
    if (p.both) {
      for (int64_t g = 0; g < p.groups; g++) {
        const int64_t i0 = g * blocks / p.groups, i1 = (g + 1) * blocks / p.groups;
        pack_all(ctx, p.own_a, owns + g * p.own_bytes, 2 * i0, min64(own, 2 * i1) - 2 * i0, tame);
      }
    }
    for (int64_t s0 = 0; s0 < shared; s0 += p.chunk) {
      const int64_t n = min64(p.chunk, shared - s0), some = ceil_div(n, 2);
      pack_all(ctx, !p.own_a, workspace, s0, n, tame);
      if (!tame) return false;
      auto body = [&](int64_t t, int worker) {
        const int64_t g = t / p.splits, part = t % p.splits;
        const int64_t i0 = g * blocks / p.groups, i1 = (g + 1) * blocks / p.groups;
        char* mine = owns + (p.both ? g : worker) * p.own_bytes;
        if (!p.both && !pack(p.own_a, mine, 2 * i0, min64(own, 2 * i1) - 2 * i0))
          return __atomic_store_n(&tame, false, __ATOMIC_RELAXED);
        tiles_begin();
        for (int64_t j = part * some / p.splits; j < (part + 1) * some / p.splits; j++)
          for (int64_t i = i0; i < i1; i++) {
            const char *x = mine + 2 * (i - i0) * p.panel, *y = workspace + 2 * j * p.panel;
            if (p.own_a) block(i, s0 / 2 + j, x, y);
            else block(s0 / 2 + j, i, y, x);
          }
        tiles_end();
      };
      if (p.work > kInline) parallel_for(ctx, p.groups * p.splits, body, p.work < 8 * kInline);
      else
        for (int64_t t = 0; t < p.groups * p.splits; t++) body(t, 0);
    }
    return tame;
  }
};

[[gnu::cold]] bool product(const Ctx& ctx, const Problem& q, const AmxPlan& p, GemmArgs args) {
  Finish<float, Plane> end{q.c, q.bias, args.accumulate, {kBlock, kBlock, q.c.si, q.c.sj}, false, false};
  end.prepare();
  if (args.accumulate) end.direct = end.plain = false;
  const Operand a{q.a.data, q.M, q.K, q.a.si, q.a.sj}, b{q.b.data, q.N, q.K, q.b.sj, q.b.si};
  return Amx{q, p, parts_of(q.a.dtype), a, b, end, (char*)ctx.workspace}.run(ctx);
}

// Whether tiles are the faster way. float32 on two cores of an Emerald Rapids, times that of AVX-512: 256^3 0.7 to 1.0
// of the speed, 384^3 1.1 to 1.2, 512^3 1.1 to 1.5, 1024^3 1.0 to 1.6; the lower ends where the core's other thread is
// busy with somebody else's work, which costs tiles two thirds of their speed. bf16, times that of dot products of
// AVX-512: 64^3 2, 128^3 3 to 5, 1024^3 5 to 8; float16 128^3 1.2, 1024^3 1.5.
[[gnu::cold]] bool pays(const Problem& q) {
  const DType d = q.a.dtype;
  const int64_t work = q.M * q.N * q.K, least = min64(min64(q.M, q.N), q.K);
  if (d == DType::f32) return least >= 256 && work >= 48 << 20;
  return least >= 16 && work >= (d == DType::f16 ? 1 << 20 : 1 << 16);
}

[[gnu::cold]] bool batched(const Ctx& ctx, int64_t batch, const Problem& first, const View& c, const View& a,
                           const View& b, const View& bias, GemmArgs args) {
  const AmxPlan p = amx_plan(first, args.accumulate);
  bool tame = true;
  auto item = [&](const Ctx& inner, int64_t i) {
    const Problem q = item_of(first, i, c, a, b, bias);
    if (!product(inner, q, p, args)) __atomic_store_n(&tame, false, __ATOMIC_RELAXED);
  };
  if (batch < 4) {
    for (int64_t i = 0; i < batch; i++) item(ctx, i);
    return tame;
  }
  parallel_for(ctx, batch, [&](int64_t i, int worker) {
    Ctx inner = ctx;
    inner.threads = 1;
    inner.workspace = (char*)ctx.workspace + worker * p.bytes(1);
    item(inner, i);
  });
  return tame;
}

// What tiles can do: sums that are added to C in place must not be found wild after some of them.
[[gnu::cold]] bool fits(const Problem& q, int64_t batch, GemmArgs args) {
  const DType d = q.a.dtype;
  if (d != DType::f32 && d != DType::f16 && d != DType::bf16) return false;
  if (!pays(q) || q.K > 16384) return false;
  return !args.accumulate || (batch == 1 && amx_plan(q, true).whole);
}

decltype(Kernels::gemm) gemm_below;
decltype(Kernels::gemm_workspace) workspace_below;

[[gnu::cold]] void gemm(const Ctx& ctx, const View& c, const View& a, const View& b, const View& bias,
                        GemmArgs args) noexcept {
  if (one_matrix(c, b)) {
    bool ok = true;
    const View tall = folded(c, ok), rows = folded(a, ok);
    const View offset = bias.data ? folded(bias, ok) : bias;
    if (ok) return gemm(ctx, tall, rows, last_matrix(b), offset, args);
  }
  const Problem first = problem(c, a, b, &bias);
  const int64_t batch = batch_size(c);
  const bool done = batch > 0 && fits(first, batch, args) && batched(ctx, batch, first, c, a, b, bias, args);
  if (!done) gemm_below(ctx, c, a, b, bias, args);
}

[[gnu::cold]] int64_t gemm_workspace(const Ctx& ctx, const View& c, const View& a, const View& b) noexcept {
  auto bytes = [&](const Problem& q, int64_t batch) {
    if (!fits(q, batch, {false})) return int64_t(0);
    const AmxPlan first = amx_plan(q, true), group = amx_plan(q, false);
    const int each = batch < 4 ? ctx.threads : 1;
    return max64(first.whole ? first.bytes(each) : 0, group.bytes(each)) * (batch < 4 ? 1 : ctx.threads);
  };
  const int64_t below = workspace_below(ctx, c, a, b);
  const int64_t most = max64(below, bytes(problem(c, a, b, nullptr), batch_size(c)));
  if (!one_matrix(c, b)) return most;
  bool ok = true;
  const View tall = folded(c, ok), rows = folded(a, ok);
  return ok ? max64(most, bytes(problem(tall, rows, last_matrix(b), nullptr), 1)) : most;
}

}  // namespace

const Parts& parts_of(DType d) {
  return d == DType::bf16 ? kPartsOf<bfloat_t> : d == DType::f16 ? kPartsOf<half_t> : kPartsOf<float>;
}

void Parts::block(int64_t steps, const char* a, int64_t a_apart, const char* b, int64_t b_apart, float* d, int64_t ld,
                  int64_t rows, int64_t cols) const {
  constexpr int64_t kWide = 2 * kTileRows;
  alignas(64) float apart[kWide * kWide];
  for (int64_t s = 0; s < steps; s += kSteps, a += kSteps * count * kTileBytes, b += kSteps * count * kTileBytes) {
    const bool direct = s == 0 && rows % kTileRows == 0 && cols % kTileRows == 0;
    multiply(min64(kSteps, steps - s), a, a_apart, b, b_apart, direct ? d : apart, direct ? ld : kWide, rows, cols);
    for (int64_t r = 0; r < rows && !direct; r++)
      for (int64_t k = 0; k < cols; k += lanes<float>) {
        const int64_t n = min64(lanes<float>, cols - k);
        const vf32 v = load(apart + r * kWide + k);
        store_n(d + r * ld + k, s > 0 ? load_n(d + r * ld + k, n) + v : v, n);
      }
  }
}

void fill_amx_attention(Kernels&);
void fill_amx_conv(Kernels&);
void fill_amx_rnn(Kernels&);
void fill_amx(Kernels&);
void fill_amx(Kernels& k) {
  if (k.gemm) {  // an empty table asks only which entries this level has
    gemm_below = k.gemm;
    workspace_below = k.gemm_workspace;
  }
  k.gemm = gemm;
  k.gemm_workspace = gemm_workspace;
  fill_amx_attention(k);
  fill_amx_conv(k);
  fill_amx_rnn(k);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
#endif
