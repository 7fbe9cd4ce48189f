// The product that everything stands on: two packers, a micro-kernel and an epilogue (after Goto and van de Geijn,
// "Anatomy of high-performance matrix multiplication", 2008, with B's panel rather than A's in the L1 cache).
//
// C's panels are cut into a grid of tasks. An operand that several tasks need is packed first, by all threads; one that
// a single task needs is packed by it, B panel by panel right before use. Products of one task run on the calling
// thread.
#pragma once
#include "cpu/gemm/epilogue.h"
#include "cpu/gemm/micro.h"
#include "cpu/gemm/pack.h"

namespace mielina {
namespace MIELINA_ISA {

// The cut of a product, from its shape alone.
struct GemmPlan {
  int64_t K;                    // in steps of the micro-kernel
  int64_t mr, nr;               // widths of the panels
  int64_t m_panels, n_panels;   // how many
  int64_t m_tiles, n_tiles;     // the grid of tasks
  int64_t n_chunk;              // panels of B worked on at once, where B is shared
  bool share_a, share_b;        // packed before the tasks start
  bool in_place_a, in_place_b;  // read where they lie
  bool brief;                   // see core/pool.h

  int64_t m_begin(int64_t tile) const { return tile * m_panels / m_tiles; }
  int64_t n_begin(int64_t tile, int64_t panels) const { return tile * panels / n_tiles; }
};

constexpr int64_t kShareBytes = 16 << 20;  // the most that one operand's shared panels may take

// M, N in elements, or the number of panels where an operand's packer defines its own.
template <class Op>
[[gnu::noinline]] inline GemmPlan gemm_plan(int64_t M, int64_t N, int64_t K) {
  constexpr int64_t L = lanes<typename Op::Out>, size = sizeof(typename Op::In);
  GemmPlan p;
  p.K = ceil_div(K, Op::Depth);
  p.nr = Op::NV * L;
  p.m_panels = max64(1, ceil_div(M, Op::MR));
  p.mr = max64(1, ceil_div(M, p.m_panels));  // rows spread evenly: 64 are 5 panels of 13, not 4 of 14 and one of 8
  p.n_panels = max64(1, ceil_div(N, p.nr));
  p.m_tiles = p.n_tiles = 1;
  const double steps = double(M) * double(ceil_div(N, L)) * double(p.K);  // vector multiply-adds: about 8 a nanosecond
  if (steps > 128e3) {
    if (p.m_panels >= 32) p.m_tiles = 8 * ceil_div(p.m_panels, 32);
    else if (p.n_panels >= 32) p.n_tiles = 4 * ceil_div(p.n_panels, 16);
    else {
      p.m_tiles = min64(p.m_panels, 4);
      p.n_tiles = min64(p.n_panels, 4);
    }
  }
  const int64_t fit = max64(1, kShareBytes / (p.nr * max64(1, p.K) * size));  // panels of B
  p.share_a = p.n_tiles > 1 && p.m_panels * p.mr * p.K * size <= kShareBytes;
  p.share_b = p.m_tiles > 1 && fit >= min64(p.n_panels, 8 * p.n_tiles);
  p.n_chunk = p.share_b ? min64(fit, p.n_panels) : p.n_panels;
  p.in_place_a = p.in_place_b = false;
  p.brief = steps < 256e3;
  return p;
}

// Where the parts of the workspace begin: shared A, shared B, then for each worker its A tile and its tile of sums.
struct GemmLayout {
  int64_t b, workers, worker_sums, worker_bytes, bytes;
};
template <class Op>
[[gnu::noinline]] inline GemmLayout gemm_layout(const GemmPlan& p, bool sums, int threads) {
  constexpr int64_t in = sizeof(typename Op::In), out = sizeof(typename Op::Out);
  const int64_t tile_m = ceil_div(p.m_panels, p.m_tiles), tile_n = ceil_div(p.n_chunk, p.n_tiles);
  GemmLayout w;
  w.b = p.share_a ? align64(p.m_panels * p.mr * p.K * in) : 0;
  w.workers = w.b + (p.share_b ? align64(p.n_chunk * p.nr * p.K * in) : 0);
  w.worker_sums = p.share_a || p.in_place_a ? 0 : align64(tile_m * p.mr * min64(p.K, Op::KC) * in);
  w.worker_bytes = w.worker_sums + (sums && p.K > Op::KC ? align64(tile_m * p.mr * tile_n * p.nr * out) : 0);
  w.bytes = w.workers + w.worker_bytes * (p.m_tiles * p.n_tiles == 1 ? 1 : threads);
  return w;
}

template <class Op, class PackA, class PackB, class Epilogue>
struct Gemm {
  using In = typename Op::In;
  using Out = typename Op::Out;
  static constexpr int L = lanes<Out>;
  const GemmPlan& p;
  const PackA& a;
  const PackB& b;
  const Epilogue& epilogue;
  GemmLayout w;
  char* workspace;

  // Whether a column alone is multiplied by A's rows as dot products.
  static constexpr bool kDots = requires(PackA a, In* b, Out* d) { a.dots(0, 0, 0, b, d, 0, false); };
  bool dots(int64_t valid) const { return kDots && p.in_place_a && valid == 1; }
  int64_t step_b(int64_t valid) const { return dots(valid) ? 1 : (valid + L - 1) / L * L; }
  In* shared_a() const { return (In*)workspace; }
  In* shared_b() const { return (In*)(workspace + w.b); }

  // Panels i .. i + count of A, `apart` elements from one to the next.
  void pack_a(In* to, int64_t apart, int64_t i, int64_t count, int64_t k0, int64_t kc) const {
    if constexpr (requires { a.pack_group(to, apart, i, count, k0, kc); }) a.pack_group(to, apart, i, count, k0, kc);
    else
      for (int64_t n = 0; n < count; n++) a.pack(to + n * apart, a.valid(i + n), i + n, k0, kc);
  }

  // All of K of the shared panels, B's from column panel n0 on.
  void pack_shared(const Ctx& ctx, int64_t n0, int64_t n) const {
    const int64_t na = p.share_a && n0 == 0 ? p.m_panels : 0, nb = p.share_b ? n : 0;
    // Panels of A a task, and pieces along K of each of a few panels of B, or one thread would pack them all: a
    // seventh of the time of two for 512 x 512 x 3 x 3 filters over 7 x 7 pixels.
    const int64_t group = max64(1, min64(8, na / 8)), groups = ceil_div(na, group);
    const int64_t pieces = p.in_place_a && nb < 4 ? ceil_div(p.K, Op::KC) : 1;
    auto body = [&](int64_t t, int) {
      const int64_t i = t * group, j = (t - groups) / pieces, n = (t - groups) % pieces;
      if (t < groups) return pack_a(shared_a() + i * p.mr * p.K, p.mr * p.K, i, min64(group, na - i), 0, p.K);
      const int64_t step = step_b(b.valid(n0 + j)), k0 = p.K * n / pieces, kc = p.K * (n + 1) / pieces - k0;
      b.pack(shared_b() + j * p.nr * p.K + k0 * step, step, n0 + j, k0, kc);
    };
    if ((na * p.mr + nb * p.nr) * p.K > 64 * 1024) return parallel_for(ctx, groups + nb * pieces, body);
    for (int64_t t = 0; t < groups + nb * pieces; t++) body(t, 0);
  }

  void tile(int64_t i0, int64_t i1, int64_t j0, int64_t j1, int64_t n0, int worker) const {
    alignas(64) In panel_b[Op::NV * L * Op::KC];
    char* own = workspace + w.workers + worker * w.worker_bytes;
    In* own_a = (In*)own;
    const bool far = p.m_panels * p.mr * p.n_panels * p.nr * int64_t(sizeof(Out)) > 16 << 10;
    int64_t k0 = 0;
    do {
      const int64_t kc = min64(Op::KC, p.K - k0);
      if (!p.share_a && !p.in_place_a) pack_a(own_a, p.mr * kc, i0, i1 - i0, k0, kc);
      for (int64_t j = j0; j < j1; j++) {
        const int64_t cols = b.valid(j), step = step_b(cols);
        Panel<In> pb{panel_b, 1, step};
        if (p.share_b) pb.data = shared_b() + (j - n0) * p.nr * p.K + k0 * step;
        else if (p.in_place_b && cols == step) pb = b.in_place(j, k0);
        else b.pack(panel_b, step, j, k0, kc);
        for (int64_t i = i0; i < i1; i++) {
          const int64_t rows = a.valid(i);
          alignas(64) Out small[Op::MR * Op::NV * L];
          int64_t ld = Op::NV * L;
          Out* d = epilogue.target(i, j, ld);
          const bool ahead = p.share_b && j + 1 < j1 && (i - i0) * 64 < p.nr * int64_t(sizeof(In));
          const void* next = ahead ? (const char*)(pb.data + p.nr * p.K) + (i - i0) * kc * 64 : (const char*)panel_b;
          const bool add = k0 > 0 || (d && epilogue.accumulate);
          const Out* bias = nullptr;
          if constexpr (requires { epilogue.tile_bias(i, j); }) bias = epilogue.tile_bias(i, j);
          if (!d) {
            ld = p.nr;
            d = p.K <= Op::KC ? small : (Out*)(own + w.worker_sums) + ((i - i0) * (j1 - j0) + j - j0) * p.mr * p.nr;
          }
          if constexpr (kDots)
            if (dots(cols)) a.dots(i, k0, kc, pb.data, d, ld, add);
          if constexpr (Op::Depth == 1) {  // neighbours along K lie together in packed panels only
            if (p.in_place_a && !dots(cols))
              kernel_in_place<Op>(step / L, rows)(kc, a.in_place(i, k0), pb, d, ld, cols, add, next, far, bias);
          }
          if (Op::Depth > 1 || !p.in_place_a) {
            const In* pa = p.share_a ? shared_a() + i * p.mr * p.K + k0 * rows : own_a + (i - i0) * p.mr * kc;
            MicroKernels<Op, true>::table.at[ceil_div(step, L) - 1][rows - 1](kc, {pa, 1, rows}, pb, d, ld, cols, add,
                                                                              next, far, bias);
          }
          if (k0 + kc == p.K) epilogue.finish(i, j, d, ld, rows, cols);
        }
      }
      k0 += kc;
    } while (k0 < p.K);
  }

  void run(const Ctx& ctx) const {
    for (int64_t n0 = 0; n0 < p.n_panels; n0 += p.n_chunk) {
      const int64_t n = min64(p.n_chunk, p.n_panels - n0);
      if (p.share_a || p.share_b) pack_shared(ctx, n0, n);
      parallel_for(
          ctx, p.m_tiles * p.n_tiles,
          [&](int64_t t, int worker) {
            const int64_t i = t / p.n_tiles, j = t % p.n_tiles;
            tile(p.m_begin(i), p.m_begin(i + 1), n0 + p.n_begin(j, n), n0 + p.n_begin(j + 1, n), n0, worker);
          },
          p.brief);
    }
  }
};

template <class Op, class PackA, class PackB, class Epilogue>
static void gemm_run(const Ctx& ctx, const GemmPlan& p, const PackA& a, const PackB& b, const Epilogue& epilogue) {
  Gemm<Op, PackA, PackB, Epilogue> g{
      p, a, b, epilogue, gemm_layout<Op>(p, !epilogue.direct, ctx.threads), (char*)ctx.workspace};
  g.run(ctx);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
