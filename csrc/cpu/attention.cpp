// attention: see table/attention.h. Scores exist one tile at a time (Rabe & Staats 2021, "Self-attention does not need
// O(n^2) memory"; Dao et al. 2022, "FlashAttention"): the forward keeps a running maximum and sum for each query
// (Milakov & Gimelshein 2018), the backward makes the probabilities anew from the saved logsumexp.
#include "cpu/attention/few.h"
#include "cpu/attention/tile.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// ---- forward --------------------------------------------------------------------------------------------------------
template <class T>
struct Scratch {
  T *queries, *turned, *scores, *values, *keys, *out, *mask, *keep, *draws;
  static int64_t layout(const Shape<T>& d, T* base, Scratch* s) {
    int64_t at = 0;
    auto take = [&](T*& p, int64_t n) {
      p = base + at;
      at += (n + 15) / 16 * 16;
    };
    take(s->queries, kQueries * d.width_e);
    take(s->turned, kQueries * d.E);
    take(s->scores, kQueries * kKeys);
    take(s->keys, kKeys * d.width_e);
    take(s->values, kKeys * d.width_f);
    take(s->out, kQueries * d.width_f);
    take(s->mask, kQueries * kKeys);
    take(s->keep, kQueries * kKeys);
    take(s->draws, kQueries * kKeys);
    return at;
  }
};

// One tile enters the running softmax: s becomes 2^(s - m), `factor` is what older sums must be multiplied with.
template <class T>
bool online_softmax(const Block& b, T* s, T* m, T* sum, T* factor) {
  using V = Vec<T>;
  bool moved = false;
  for (int64_t i = 0; i < b.step; i += lanes<T>) {
    const V before = load(m + i), top = largest(b, s + i, before), base = base_of(top);
    V total{};
    for (int64_t j = 0; j < b.keys; j++) {
      const V p = power_of_two(load(s + j * b.step + i) - base);
      total += p;
      store(s + j * b.step + i, p);
    }
    const V f = power_of_two(before - base);
    moved |= any_lane(top != before);
    store(m + i, top);
    store(sum + i, fma(load(sum + i), f, total));
    store(factor + i, f);
  }
  return moved;
}

// Queries [i0, i0 + n) of a head, transposed and scaled: (E, step).
template <class T>
void turn_queries(T* to, int64_t step, const Panel<T>& q, int64_t n, int64_t E, double scale) {
  turn(to, step, q.data, q.si, 1, n, E);
  for (int64_t i = 0; i < E * step; i += lanes<T>) store(to + i, load(to + i) * splat<Vec<T>>(T(scale * kLog2E)));
}

template <class T>
void forward(const Ctx& ctx, const View& y, const View& lse, const View& q, const View& k, const View& v,
             const View& mask, const View& key, const AttentionArgs& args) {
  const Shape<T> d(q, k, v);
  Scratch<T> none;
  const int64_t size = Scratch<T>::layout(d, nullptr, &none);
  auto scratch = [&](int worker) {
    Scratch<T> w;
    Scratch<T>::layout(d, (T*)ctx.workspace + worker * size, &w);
    return w;
  };
  if constexpr (__is_same(T, float) && VBYTES > 16) {  // the baseline level is small before it is fast
    if (few(d, k.dtype) && !key.data)
      return parallel_for(ctx, d.B * d.H, [&](int64_t h, int worker) {
        const Scratch<T> w = scratch(worker);
        few_queries(d, y, lse, q, k, v, mask, args, h, {w.queries, w.scores, w.out, w.keys, w.values, w.mask});
      });
  }
  const Key stream = key.data ? read_key(key) : Key{};
  parallel_for(ctx, d.B * d.H * d.G * d.q_blocks, [&](int64_t task, int worker) {
    const Scratch<T> w = scratch(worker);
    const int64_t head = task / d.q_blocks, h = head / d.G, i0 = task % d.q_blocks * kQueries,
                  n = min64(kQueries, d.L - i0);
    const int64_t bi = h / d.H, hi = h % d.H, gi = head % d.G, step = padded<T>(n);
    const Sheet ks = sheet(k, bi, hi, 0), vs = sheet(v, bi, hi, 0);
    turn_queries(w.turned, step, rows_of(sheet(q, bi, hi, gi), i0, n, d.E, w.queries), n, d.E, args.scale);
    alignas(64) T m[kQueries], sum[kQueries], factor[kQueries];
    start_softmax(step, m, sum);
    const int64_t keys = d.keys(args.causal, i0 + n);
    bool started = false;
    each_key_block<T>(keys, [&](int64_t j0, int64_t count) {
      const Block b{i0, n, step, j0, count};
      const Kept kept = mask.data ? kept_of(b, sheet(mask, bi, hi, gi)) : Kept::all;
      if (kept == Kept::none) return;
      multiply_tile<T, false>(count, step, d.E, rows_of(ks, j0, count, d.E, w.keys), {w.turned, 1, step}, w.scores,
                              step, false, ahead(vs, j0, count, d.F));
      if (kept == Kept::some) mask_scores(b, sheet(mask, bi, hi, gi), w.scores, w.mask);
      if (args.causal && b.crosses_diagonal()) mask_causal(b, w.scores);
      if (online_softmax(b, w.scores, m, sum, factor) && started) scale_rows(w.out, n, d.width_f, factor);
      if (key.data) {
        draw_factors(b, stream, args.dropout, head * d.L + i0, d.S, w.keep, w.draws);
        multiply_into(w.scores, w.keep, count * step);
      }
      const Panel<T> values = rows_of(vs, j0, count, d.F, w.values);
      multiply_tile<T, true>(n, d.width_f, count, {w.scores, 1, step}, {values.data, 1, values.si}, w.out, d.width_f,
                             started, ahead(ks, j0 + count, min64(count, keys - j0 - count), d.E));
      started = true;
    });
    if (!started) __builtin_memset(w.out, 0, size_t(n * d.width_f) * sizeof(T));
    finish_softmax((T*)lse.data + head * d.L + i0, n, step, m, sum, factor);
    scale_rows(w.out, n, d.width_f, factor);
    write_rows(sheet(y, bi, hi, gi), i0, n, d.F, w.out, d.width_f);
  });
}

void attention(const Ctx& ctx, const View& y, const View& lse, const View& q, const View& k, const View& v,
               const View& mask, const View& key, AttentionArgs args) noexcept {
  if (q.dtype == DType::f64) forward<double>(ctx, y, lse, q, k, v, mask, key, args);
  else forward<float>(ctx, y, lse, q, k, v, mask, key, args);
}

template <class T>
int64_t forward_bytes(const Ctx& ctx, const Shape<T>& d) {
  Scratch<T> none;
  return ctx.threads * Scratch<T>::layout(d, nullptr, &none) * int64_t(sizeof(T));
}

int64_t attention_workspace(const Ctx& ctx, const View& q, const View& k, const View& v) noexcept {
  return q.dtype == DType::f64 ? forward_bytes<double>(ctx, {q, k, v}) : forward_bytes<float>(ctx, {q, k, v});
}

// ---- backward -------------------------------------------------------------------------------------------------------
template <class T>
struct BackwardPlan {
  int64_t pieces, sums, worker_bytes, bytes;  // sums: elements of one task's dk and dv
  BackwardPlan(const Ctx& ctx, const Shape<T>& d);
};

template <class T>
struct BackwardScratch {
  Scratch<T> f;
  T *grads, *turned_g, *ds, *dq, *sums;
  static int64_t layout(const Shape<T>& d, T* base, bool own_sums, BackwardScratch* s) {
    int64_t at = Scratch<T>::layout(d, base, &s->f);
    auto take = [&](T*& p, int64_t n) {
      p = base + at;
      at += (n + 15) / 16 * 16;
    };
    take(s->grads, kQueries * d.width_f);
    take(s->turned_g, kQueries * d.F);
    take(s->ds, kQueries * kKeys);
    take(s->dq, kQueries * d.width_e);
    take(s->sums, own_sums ? d.S * (d.width_e + d.width_f) : 0);
    return at;
  }
};

template <class T>
BackwardPlan<T>::BackwardPlan(const Ctx& ctx, const Shape<T>& d) {
  const int64_t heads = d.B * d.H;
  pieces = pieces_of(heads, d.G * d.q_blocks);
  sums = d.S * (d.width_e + d.width_f);
  BackwardScratch<T> none;
  worker_bytes = BackwardScratch<T>::layout(d, nullptr, pieces == 1, &none) * int64_t(sizeof(T));
  bytes = ctx.threads * worker_bytes + (pieces > 1 ? heads * pieces * sums * int64_t(sizeof(T)) : 0);
}

// s: scores in, p (dropped out) out; ds: dp in, d(scores) times `scale` out. Rows without a score have lse = +inf.
template <class T>
void softmax_gradient(const Block& b, T* s, T* ds, const T* lse, const T* delta, const T* keep, T scale) {
  using V = Vec<T>;
  const V by = splat<V>(scale);
  for (int64_t j = 0; j < b.keys; j++)
    for (int64_t i = 0; i < b.step; i += lanes<T>) {
      const int64_t at = j * b.step + i;
      const V p = power_of_two(load(s + at) - load(lse + i)), dp = load(ds + at);
      const V k = keep ? load(keep + at) : splat<V>(1);
      store(s + at, p * k);
      store(ds + at, p * fma(dp, k, -load(delta + i)) * by);
    }
}

// One block of queries: dq, and what it adds to dk and dv.
template <class T>
void backward_block(const BackwardViews& x, const Shape<T>& d, const AttentionArgs& args, const BackwardScratch<T>& w,
                    T* dk, T* dv, int64_t h, int64_t gi, int64_t i0) {
  const int64_t bi = h / d.H, hi = h % d.H, n = min64(kQueries, d.L - i0), step = padded<T>(n);
  const Panel<T> q = rows_of(sheet(x.q, bi, hi, gi), i0, n, d.E, w.f.queries);
  const Panel<T> g = rows_of(sheet(x.g, bi, hi, gi), i0, n, d.F, w.grads);
  const Panel<T> y = rows_of(sheet(x.y, bi, hi, gi), i0, n, d.F, w.f.out);
  turn_queries(w.f.turned, step, q, n, d.E, args.scale);
  turn(w.turned_g, step, g.data, g.si, 1, n, d.F);
  alignas(64) T delta[kQueries], lse[kQueries];
  const int64_t row = (h * d.G + gi) * d.L + i0;
  row_numbers((const T*)x.lse.data + row, g, y, n, step, d.width_f, lse, delta);
  const Key stream = x.key.data ? read_key(x.key) : Key{};
  const Sheet ks = sheet(x.k, bi, hi, 0), vs = sheet(x.v, bi, hi, 0);
  const int64_t keys = d.keys(args.causal, i0 + n);
  if (keys == 0) __builtin_memset(w.dq, 0, size_t(n * d.width_e) * sizeof(T));
  each_key_block<T>(keys, [&](int64_t j0, int64_t count) {
    const Block b{i0, n, step, j0, count};
    const Panel<T> kr = rows_of(ks, j0, count, d.E, w.f.keys), vr = rows_of(vs, j0, count, d.F, w.f.values);
    multiply_tile<T, false>(count, step, d.E, kr, {w.f.turned, 1, step}, w.f.scores, step, false);
    if (x.mask.data && kept_of(b, sheet(x.mask, bi, hi, gi)) != Kept::all)
      mask_scores(b, sheet(x.mask, bi, hi, gi), w.f.scores, w.f.mask);
    if (args.causal && b.crosses_diagonal()) mask_causal(b, w.f.scores);
    if (x.key.data) draw_factors(b, stream, args.dropout, row, d.S, w.f.keep, w.f.draws);
    multiply_tile<T, false>(count, step, d.F, vr, {w.turned_g, 1, step}, w.ds, step, false);
    softmax_gradient<T>(b, w.f.scores, w.ds, lse, delta, x.key.data ? w.f.keep : nullptr, T(args.scale));
    multiply_tile<T, false>(count, d.width_f, n, {w.f.scores, step, 1}, {g.data, 1, g.si}, dv + j0 * d.width_f,
                            d.width_f, true, ahead(ks, j0 + count, min64(count, keys - j0 - count), d.E));
    multiply_tile<T, false>(count, d.width_e, n, {w.ds, step, 1}, {q.data, 1, q.si}, dk + j0 * d.width_e, d.width_e,
                            true, ahead(vs, j0 + count, min64(count, keys - j0 - count), d.F));
    multiply_tile<T, true>(n, d.width_e, count, {w.ds, 1, step}, {kr.data, 1, kr.si}, w.dq, d.width_e, j0 > 0);
  });
  write_rows(sheet(x.dq, bi, hi, gi), i0, n, d.E, w.dq, d.width_e);
}

template <class T>
void backward(const Ctx& ctx, const BackwardViews& x, const AttentionArgs& args) {
  const Shape<T> d(x.q, x.k, x.v);
  const BackwardPlan<T> plan(ctx, d);
  char* const workspace = (char*)ctx.workspace;
  auto scratch = [&](int worker) {
    BackwardScratch<T> w;
    BackwardScratch<T>::layout(d, (T*)(workspace + worker * plan.worker_bytes), plan.pieces == 1, &w);
    return w;
  };
  sum_pieces(
      ctx, {d.B * d.H, plan.pieces, d.G * d.q_blocks, plan.sums}, (T*)(workspace + ctx.threads * plan.worker_bytes),
      [&](int worker) { return scratch(worker).sums; },
      [&](int64_t h, int64_t i, T* sums, int worker) {
        backward_block(x, d, args, scratch(worker), sums, sums + d.S * d.width_e, h, i / d.q_blocks,
                       i % d.q_blocks * kQueries);
      },
      [&](int64_t h, const T* sums) {
        write_rows(sheet(x.dk, h / d.H, h % d.H, 0), 0, d.S, d.E, sums, d.width_e);
        write_rows(sheet(x.dv, h / d.H, h % d.H, 0), 0, d.S, d.F, sums + d.S * d.width_e, d.width_f);
      });
}

void attention_backward(const Ctx& ctx, const View& dq, const View& dk, const View& dv, const View& g, const View& q,
                        const View& k, const View& v, const View& mask, const View& key, const View& y, const View& lse,
                        AttentionArgs args) noexcept {
  const BackwardViews x{dq, dk, dv, g, q, k, v, mask, key, y, lse};
  if (q.dtype == DType::f64) backward<double>(ctx, x, args);
  else backward<float>(ctx, x, args);
}

int64_t attention_backward_workspace(const Ctx& ctx, const View& q, const View& k, const View& v) noexcept {
  if (q.dtype == DType::f64) return BackwardPlan<double>(ctx, {q, k, v}).bytes;
  return BackwardPlan<float>(ctx, {q, k, v}).bytes;
}

}  // namespace

void fill_attention(Kernels&);
void fill_attention(Kernels& k) {
  k.attention = attention;
  k.attention_workspace = attention_workspace;
  k.attention_backward = attention_backward;
  k.attention_backward_workspace = attention_backward_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
