// attention on AMX's tiles: products of packed panels (gemm/split.h), float32 as bf16 parts, halves likewise.
//
// Keys and values of a head are packed once, by all threads, a chunk of keys after another. Queries are columns of B,
// strips of 32: scores (keys, 32), out^T = V^T P (F, 32) and dq^T = K^T dS (E, 32) have them in their lanes, and what
// softmax makes is written as the next product's tiles where it is made: a lane of B's holds keys k and k + 16, one of
// A's, for dv = P g and dk = dS Q, queries i and i + 16. Nothing of it is turned.
#include "cpu/attention/tile.h"
#include "cpu/gemm/split.h"

#if MIELINA_V512
namespace mielina {
namespace MIELINA_ISA {

namespace {

constexpr int64_t kStrip = 2 * kTileRows;  // rows and columns of a product, queries of a strip
constexpr int64_t kStrips = 8;             // that a task goes through together, at most
// Steps of 32 keys a chunk. Forward, 4 instead of 16: 0.95 of the speed; backward 2 to 16 are within 5 %.
constexpr int64_t kForwardSteps = 16;
constexpr int64_t kBackwardSteps = 4;
constexpr int64_t kPackedBytes = 64 << 20;  // the most that heads packed at once may take

MIELINA_INLINE int64_t in_tiles(int64_t n) { return ceil_div(n, kTileRows); }
MIELINA_INLINE int64_t in_steps(int64_t n) { return ceil_div(n, kTileDepth); }

// The cut of a call, from its shape alone. A tile is one of all parts, a panel 16 rows or columns.
struct Plan : Shape<float> {
  const Parts& parts;
  bool backward;
  int64_t tile, e_tiles, f_tiles, e_panel, f_panel;  // bytes, but the widths in tiles
  int64_t steps, most_steps, chunks, step_bytes;     // of 32 keys
  int64_t head, heads;                               // bytes of a packed head; heads packed at once
  int64_t strips, blocks;                            // a task's; tasks a head

  [[gnu::cold]] Plan(const View& q, const View& k, const View& v, bool back)
      : Shape<float>(q, k, v), parts(parts_of(q.dtype)), backward(back) {
    tile = parts.count * kTileBytes;
    e_tiles = in_tiles(E);
    f_tiles = in_tiles(F);
    e_panel = in_steps(E) * tile;
    f_panel = in_steps(F) * tile;
    steps = in_steps(S);
    most_steps = min64(steps, back ? kBackwardSteps : kForwardSteps);
    chunks = ceil_div(steps, max64(1, most_steps));
    step_bytes = 2 * e_panel + (back ? 2 * f_panel + e_tiles * tile : f_tiles * tile);
    head = steps * step_bytes;
    heads = max64(1, min64(B * H, kPackedBytes / max64(1, head)));
    strips = kStrips;
    while (!back && strips > 1 && B * H * G * ceil_div(L, strips * kStrip) < 16) strips /= 2;
    strips = min64(strips, max64(1, ceil_div(L, kStrip)));
    blocks = ceil_div(L, strips * kStrip);
  }
  int64_t first_step(int64_t chunk) const { return steps * chunk / chunks; }
};

// A chunk of a packed head: rows of K (and of V, backward), and V^T (K^T, backward).
struct Chunk {
  int64_t j0, keys, steps;
  char *k, *v, *turned;
  Chunk(const Plan& p, char* head, int64_t c) {
    const int64_t first = p.first_step(c);
    steps = p.first_step(c + 1) - first;
    j0 = first * kTileDepth;
    keys = min64(steps * kTileDepth, p.S - j0);
    k = head + first * p.step_bytes;
    v = k + steps * 2 * p.e_panel;
    turned = p.backward ? v + steps * 2 * p.f_panel : v;
  }
};

// Rows [i, i + n) of a matrix, and its columns along these rows.
Operand rows(const Sheet& m, int64_t i, int64_t n, int64_t width) { return {m.at(i, 0), n, width, m.si, m.sj}; }
Operand columns(const Sheet& m, int64_t i, int64_t n, int64_t width) { return {m.at(i, 0), width, n, m.sj, m.si}; }

// What a thread works on: for each strip Q's columns, out^T or dq^T, and m and sum or lse and delta; for the strip at
// hand scores, b's tiles of what they become, its turned result. Backward also: columns of g; rows of g and y; for
// all strips Q and g along the queries, P and dS as a's tiles; a head's dk and dv.
struct Scratch {
  char *queries, *tiles, *grads, *turned_q, *turned_g, *probs, *ds;
  float *sums, *numbers, *scores, *rows, *mask, *keep, *draws, *dp, *g, *y, *dkv;
  int64_t sums_size, dkv_size, bytes;
  [[gnu::cold]] Scratch(const Plan& p, char* base, bool own_dkv) {
    char* at = base;
    auto take = [&](auto& to, int64_t size) {
      to = (decltype(+to))at;
      at += align64(size);
    };
    const int64_t table = p.most_steps * kTileDepth * kStrip * 4, back = p.backward,
                  width = max64(p.width_e, p.width_f);
    sums_size = (back ? p.e_tiles : p.f_tiles) * kTileRows * kStrip;
    dkv_size = back * in_tiles(p.S) * kTileRows * (p.width_e + p.width_f);
    take(queries, p.strips * 2 * p.e_panel);
    take(sums, p.strips * sums_size * 4);
    take(numbers, p.strips * 2 * kStrip * 4);
    take(scores, table);
    take(tiles, 2 * p.most_steps * p.tile);
    take(rows, kStrip * width * 4);
    take(mask, table);
    take(keep, table);
    take(draws, table);
    take(dp, back * table);
    take(grads, back * p.strips * 2 * p.f_panel);
    take(g, back * kStrip * p.width_f * 4);
    take(y, back * kStrip * p.width_f * 4);
    take(turned_q, back * p.e_tiles * p.strips * p.tile);
    take(turned_g, back * p.f_tiles * p.strips * p.tile);
    take(probs, back * 2 * p.most_steps * p.strips * p.tile);
    take(ds, back * 2 * p.most_steps * p.strips * p.tile);
    take(dkv, own_dkv ? dkv_size * 4 : 0);
    bytes = at - base;
  }
};

// 2^x for x below 128, zero below 2^-126: numbers of which tiles know nothing. What is not a number stays so: its
// integer is 2^31. Of One part, bf16, with an error of 8e-5, where its own rounding is 2e-3.
template <bool One>
MIELINA_INLINE vf32 probability(vf32 x) {
  const vf32 n = (x + 0x1.8p23f) - 0x1.8p23f, r = x - n;
  vf32 p;
  if constexpr (One) p = poly(r, 0x1.c3f76p-5, 0x1.f0de1ap-3, 0x1.62f31ap-1, 0x1.fff692p-1);
  else p = poly(r, 0x1.41fb4cp-13, 0x1.5f3e62p-10, 0x1.3b2d4ep-7, 0x1.c6aee8p-5, 0x1.ebfbdcp-3, 0x1.62e43p-1, 1);
  return select<vf32>(x <= splat<vf32>(-126), vf32{}, from_bits<vf32>(bits(p) + (vu32(to_int(n)) << 23)));
}

// A part of x: its upper half, cut off where another part follows, which holds the rest, the last one rounded.
MIELINA_INLINE vf32 upper(vf32 x, bool last) {
  return (vf32)((bits(x) + splat<vu32>(last ? 0x8000 : 0)) & 0xffff0000u);
}
// A row of a tile: a part of both.
MIELINA_INLINE void put_pair(char* to, vf32 lo, vf32 hi, bool last) {
  store((uint32_t*)to, (bits(upper(lo, last)) >> 16) | bits(upper(hi, last)));
}

// Where a block's largest score lies more than kSlack above what its query's scores are lessened by so far, that moves,
// and the query's sums change by `factor` (as in FlashAttention-4). True if a query's did.
constexpr float kSlack = 8;
__attribute__((noinline)) bool move(const Block& b, const float* s, float scale, float* m, float* sum, float* factor) {
  bool moved = false;
  for (int64_t i = 0; i < b.step; i += kTileRows) {
    const vf32 before = load(m + i), top = largest(b, s + i, splat<vf32>(-Fp<float>::inf)) * splat<vf32>(scale);
    const vi32 far = top > before + splat<vf32>(kSlack);
    const vf32 after = select<vf32>(far, top, before), f = probability<false>(before - base_of(after));
    moved |= any_lane(far);
    store(m + i, after);
    store(sum + i, load(sum + i) * f);
    store(factor + i, f);
  }
  return moved;
}

// A block of scores becomes probabilities, 2^(scale s - m), which enter the sums; and these, times `keep` if there is
// one, b's tiles.
template <bool One>
__attribute__((noinline)) void softmax(const Block& b, const float* s, float scale, const float* keep, char* to,
                                       const float* m, float* sum, int64_t parts) {
  const vf32 by = splat<vf32>(scale);
  for (int64_t i = 0; i < b.step; i += kTileRows) {
    const vf32 base = base_of(load(m + i));
    vf32 total{}, other{};
    for (int64_t j = 0; j < b.keys; j += kTileDepth, to += parts * kTileBytes)
      for (int64_t r = 0; r < kTileRows; r++) {
        const int64_t at = (j + r) * b.step + i, next = at + kTileRows * b.step;
        vf32 lo = probability<One>(fma(load(s + at), by, -base)), hi = probability<One>(fma(load(s + next), by, -base));
        total += lo;
        other += hi;
        if (keep) {
          lo *= load(keep + at);
          hi *= load(keep + next);
        }
        char* row = to + r * 64;
        for (int64_t left = One ? 1 : parts; left > 1; left--, row += kTileBytes) {
          put_pair(row, lo, hi, false);
          lo -= upper(lo, false);
          hi -= upper(hi, false);
        }
        put_pair(row, lo, hi, true);
      }
    store(sum + i, load(sum + i) + total + other);
  }
}

// What the backward makes of a block (keys, 32): p and ds as a's tiles, `apart` bytes from 16 keys to the next, ds also
// as b's.
struct Gradient {
  const float *s, *dp, *keep, *lse, *delta;
  float scale;
  char *p, *ds, *ds_b;
  int64_t apart, parts;
};
template <bool One>
__attribute__((noinline)) void gradient(const Block& b, Gradient x) {
  const vf32 by = splat<vf32>(x.scale), lse[2] = {load(x.lse), load(x.lse + kTileRows)},
             delta[2] = {load(x.delta), load(x.delta + kTileRows)};
  const int64_t second = in_steps(b.keys) * x.parts * kTileBytes;  // b's other column of tiles
  const int64_t step = x.parts * kTileBytes;
  for (int64_t j = 0; j < b.keys; j += kTileDepth, x.p += 2 * x.apart, x.ds += 2 * x.apart, x.ds_b += step)
    for (int64_t r = 0; r < kTileRows; r++) {
      vf32 p[4], d[4];  // of keys r and r + 16 both vectors of queries
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        const int64_t at = (j + r + i / 2 * kTileRows) * kStrip + i % 2 * kTileRows;
        const vf32 k = x.keep ? load(x.keep + at) : splat<vf32>(1);
        p[i] = probability<One>(fma(load(x.s + at), by, -lse[i % 2]));
        d[i] = p[i] * fma(load(x.dp + at), k, -delta[i % 2]);
        p[i] *= k;
      }
      for (int64_t left = One ? 1 : x.parts, at = r * 64; left > 0; left--, at += kTileBytes) {
        const bool last = left == 1;
        put_pair(x.p + at, p[0], p[1], last);
        put_pair(x.p + x.apart + at, p[2], p[3], last);
        put_pair(x.ds + at, d[0], d[1], last);
        put_pair(x.ds + x.apart + at, d[2], d[3], last);
        put_pair(x.ds_b + at, d[0], d[2], last);
        put_pair(x.ds_b + second + at, d[1], d[3], last);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          p[i] -= upper(p[i], false);
          d[i] -= upper(d[i], false);
        }
      }
    }
}

void scale_all(float* x, int64_t n, float by) {
  for (int64_t i = 0; i < n; i += lanes<float>) store(x + i, load(x + i) * splat<vf32>(by));
}

// The rows of the keys that are missing in the last step.
void fill_rest(const Block& b, float* x, float value) {
  for (int64_t i = b.keys * b.step; i < in_steps(b.keys) * kTileDepth * b.step; i += lanes<float>)
    store(x + i, splat<vf32>(value));
}

// The queries that are missing in the last strip, as zeros: their products with an infinite key or value are not.
void clear_missing(const Block& b, float* s, float* dp) {
  for (int64_t j = 0; j < b.keys; j++, s += kStrip, dp += kStrip)
    for (int64_t i = b.n / kTileRows * kTileRows; i < kStrip; i += kTileRows) {
      const int64_t n = max64(0, b.n - i);
      store(s + i, load_n(s + i, n));
      store(dp + i, load_n(dp + i, n));
    }
}

struct Views {
  const View &q, &k, &v, &mask, &key;
  const AttentionArgs& args;
};

struct Amx {
  const Plan& p;
  const Views& x;
  bool& tame;  // false once a number was wild
  Key stream;
  Amx(const Plan& p, const Views& x, bool& tame)
      : p(p), x(x), tame(tame), stream(x.key.data ? read_key(x.key) : Key{}) {}

  bool found(bool ok) const {
    if (!ok) __atomic_store_n(&tame, false, __ATOMIC_RELAXED);
    return ok;
  }

  [[gnu::cold, gnu::noinline]] Sheet of(const View& v, int64_t row) const {
    return sheet(v, row / p.G / p.H, row / p.G % p.H, row % p.G);
  }

  // Packs n heads, to `to` and on. False if a number is wild.
  [[gnu::cold]] bool pack_all(const Ctx& ctx, int64_t h0, int64_t n, char* to) const {
    parallel_for(ctx, n * p.chunks, [&](int64_t t, int) __attribute__((noinline)) {
      const Chunk at(p, to + t / p.chunks * p.head, t % p.chunks);
      const int64_t row = (h0 + t / p.chunks) * p.G;
      const Sheet k = of(x.k, row), v = of(x.v, row);
      auto put = [&](const Operand& from, char* to) { return p.parts.pack(from, true, to, 0, in_tiles(from.size)); };
      bool ok = put(rows(k, at.j0, at.keys, p.E), at.k);
      if (p.backward) ok &= put(rows(v, at.j0, at.keys, p.F), at.v) & put(columns(k, at.j0, at.keys, p.E), at.turned);
      else ok &= put(columns(v, at.j0, at.keys, p.F), at.turned);
      found(ok);
    });
    return tame;
  }

  // s (keys, step) = the products of a chunk's rows and a strip's columns; beyond the last key `none`.
  void multiply_rows(const Block& b, const char* a, const char* columns, int64_t panel, float* s, float none) const {
    for (int64_t i = 0; i < b.keys; i += kStrip)
      p.parts.multiply(panel / p.tile, a + i / kTileRows * panel, panel, columns, panel, s + i * b.step, b.step,
                       min64(kStrip, b.keys - i), b.step);
    fill_rest(b, s, none);
  }
  // to (width, step) = or += V^T P, K^T dS: a chunk's turned rows with b's tiles.
  void multiply_turned(const Block& b, const Chunk& chunk, const char* tiles, int64_t panels, float* to) const {
    const int64_t steps = in_steps(b.keys), apart = chunk.steps * p.tile;
    for (int64_t i = 0; i < panels; i += 2)
      p.parts.multiply(steps, chunk.turned + i * apart, apart, tiles, steps * p.tile, to + i * kTileRows * b.step,
                       b.step, min64(2, panels - i) * kTileRows, b.step, b.j0 > 0);
  }
  // to (keys, 16 panels) += P g, dS Q: a's tiles with the strips' columns, `apart` bytes from one to the next.
  void multiply_strips(const Block& b, const char* a, int64_t steps, const char* columns, int64_t panels, int64_t apart,
                       float* to) const {
    const int64_t ld = panels * kTileRows;
    for (int64_t i = 0; i < b.keys; i += kStrip, a += 2 * apart, to += kStrip * ld)
      for (int64_t j = 0; j < panels; j += 2)
        p.parts.multiply(steps, a, apart, columns + j * apart, apart, to + j * kTileRows, ld, min64(kStrip, b.keys - i),
                         min64(2, panels - j) * kTileRows, true);
  }

  Kept kept(const Block& b, int64_t row) const { return x.mask.data ? kept_of(b, of(x.mask, row)) : Kept::all; }

  // A block's scores, masked; and its dropout's factors. Returns what they must be multiplied with to be to base two.
  [[gnu::cold, gnu::noinline]] float scores(const Block& b, const Chunk& chunk, const Scratch& w, int64_t strip,
                                            int64_t row, bool masked) const {
    multiply_rows(b, chunk.k, w.queries + strip * 2 * p.e_panel, p.e_panel, w.scores, -Fp<float>::inf);
    float scale = float(x.args.scale * kLog2E);
    if (masked || scale <= 0) {  // a mask's numbers are to base two, and -inf stays what it is
      scale_all(w.scores, b.keys * b.step, scale);
      scale = 1;
    }
    if (masked) mask_scores(b, of(x.mask, row), w.scores, w.mask);
    if (x.args.causal && b.crosses_diagonal()) mask_causal(b, w.scores);
    if (x.key.data) {
      draw_factors(b, stream, x.args.dropout, row * p.L + b.i0, p.S, w.keep, w.draws);
      fill_rest(b, w.keep, 0);
    }
    return scale;
  }

  template <class F>
  void each_strip(int64_t i0, int64_t end, F f) const {
    for (int64_t i = i0; i < end; i += kStrip) {
      const int64_t n = min64(kStrip, end - i);
      f((i - i0) / kStrip, Block{i, n, p.backward ? kStrip : padded<float>(n), 0, 0});
    }
  }

  // Rows of `to`: `from` (width, step) turned, each times its factor.
  [[gnu::cold]] void write_turned(const Block& b, const Sheet& to, float* from, int64_t width, float* buf,
                                  const float* factor) const {
    const int64_t ld = padded<float>(width);
    turn(buf, ld, from, b.step, 1, width, b.n);
    scale_rows(buf, b.n, ld, factor);
    write_rows(to, b.i0, b.n, width, buf, ld);
  }

  // A task: the queries from i0 on of a head's.
  [[gnu::cold, gnu::noinline]] void forward(const View& y, const View& lse, int64_t row, int64_t i0, char* head,
                                            const Scratch& w) const {
    const int64_t end = min64(p.L, i0 + p.strips * kStrip);
    const Operand q = rows(of(x.q, row), i0, end - i0, p.E);
    if (!found(p.parts.pack(q, false, w.queries, 0, in_tiles(q.size)))) return;
    each_strip(i0, end, [&](int64_t s, const Block& b) {
      start_softmax(b.step, w.numbers + s * 2 * kStrip, w.numbers + (s * 2 + 1) * kStrip);
    });
    alignas(64) float factor[kStrip];
    tiles_begin();
    for (int64_t c = 0; c < p.chunks; c++) {
      const Chunk chunk(p, head, c);
      each_strip(i0, end, [&](int64_t s, Block b) {
        b.j0 = chunk.j0;
        b.keys = min64(chunk.keys, p.keys(x.args.causal, b.i0 + b.n) - b.j0);
        if (b.keys <= 0) return;
        float *const m = w.numbers + s * 2 * kStrip, *const sums = w.sums + s * w.sums_size;
        const Kept some = kept(b, row);
        if (some == Kept::none) {
          if (b.j0 == 0) __builtin_memset(sums, 0, size_t(w.sums_size) * sizeof(float));
          return;
        }
        const float scale = scores(b, chunk, w, s, row, some != Kept::all);
        if (move(b, w.scores, scale, m, m + kStrip, factor) && b.j0 > 0)
          for (int64_t f = 0; f < p.F; f++) multiply_into(sums + f * b.step, factor, b.step);
        (p.parts.count == 1 ? softmax<true> : softmax<false>)(b, w.scores, scale, x.key.data ? w.keep : nullptr,
                                                              w.tiles, m, m + kStrip, p.parts.count);
        multiply_turned(b, chunk, w.tiles, p.f_tiles, sums);
      });
    }
    tiles_end();
    each_strip(i0, end, [&](int64_t s, const Block& b) {
      const float* const m = w.numbers + s * 2 * kStrip;
      finish_softmax((float*)lse.data + row * p.L + b.i0, b.n, b.step, m, m + kStrip, factor);
      write_turned(b, of(y, row), w.sums + s * w.sums_size, p.F, w.rows, factor);
    });
  }

  // Their dq, and what they add to dk and dv.
  [[gnu::cold, gnu::noinline]] void backward(const BackwardViews& v, int64_t row, int64_t i0, char* head,
                                             const Scratch& w, float* dkv) const {
    const int64_t n = min64(p.strips * kStrip, p.L - i0), end = i0 + n, strips = in_steps(n), apart = strips * p.tile;
    const Sheet q = of(v.q, row), g = of(v.g, row);
    auto put = [&](const Operand& from, char* to, int64_t panels) { return p.parts.pack(from, false, to, 0, panels); };
    if (!found(put(rows(q, i0, n, p.E), w.queries, 2 * strips) & put(rows(g, i0, n, p.F), w.grads, 2 * strips) &
               put(columns(q, i0, n, p.E), w.turned_q, p.e_tiles) & put(columns(g, i0, n, p.F), w.turned_g, p.f_tiles)))
      return;
    each_strip(i0, end, [&](int64_t s, const Block& b) {
      float* const lse = w.numbers + s * 2 * kStrip;
      row_numbers((const float*)v.lse.data + row * p.L + b.i0, rows_of(g, b.i0, b.n, p.F, w.g),
                  rows_of(of(v.y, row), b.i0, b.n, p.F, w.y), b.n, b.step, p.width_f, lse, lse + kStrip);
    });
    float* const dv = dkv + in_tiles(p.S) * kTileRows * p.width_e;
    const int64_t keys = p.keys(x.args.causal, end);
    tiles_begin();
    for (int64_t c = 0; c < p.chunks && p.first_step(c) * kTileDepth < keys; c++) {
      const Chunk chunk(p, head, c);
      Block b{0, 0, kStrip, chunk.j0, min64(chunk.keys, keys - chunk.j0)};
      const int64_t first = x.args.causal ? max64(0, chunk.j0 - i0) / kStrip : 0;  // the strip that sees one of them
      each_strip(i0 + first * kStrip, end, [&](int64_t s, const Block& strip) {
        s += first;
        b.i0 = strip.i0;
        b.n = strip.n;
        const float* const lse = w.numbers + s * 2 * kStrip;
        const float scale = scores(b, chunk, w, s, row, kept(b, row) != Kept::all);
        multiply_rows(b, chunk.v, w.grads + s * 2 * p.f_panel, p.f_panel, w.dp, 0);
        if (b.n < kStrip) clear_missing(b, w.scores, w.dp);
        (p.parts.count == 1 ? gradient<true> : gradient<false>)(b, {w.scores, w.dp, x.key.data ? w.keep : nullptr, lse,
                                                                    lse + kStrip, scale, w.probs + s * p.tile,
                                                                    w.ds + s * p.tile, w.tiles, apart, p.parts.count});
        multiply_turned(b, chunk, w.tiles, p.e_tiles, w.sums + s * w.sums_size);
      });
      const int64_t skip = first * p.tile;
      multiply_strips(b, w.probs + skip, strips - first, w.turned_g + skip, p.f_tiles, apart, dv + b.j0 * p.width_f);
      multiply_strips(b, w.ds + skip, strips - first, w.turned_q + skip, p.e_tiles, apart, dkv + b.j0 * p.width_e);
    }
    tiles_end();
    alignas(64) float scale[kStrip];
    for (int64_t i = 0; i < kStrip; i++) scale[i] = float(x.args.scale);
    each_strip(i0, end, [&](int64_t s, const Block& b) {
      write_turned(b, of(v.dq, row), w.sums + s * w.sums_size, p.E, w.rows, scale);
    });
  }
};

// Whether tiles can be used and are the faster way: packing takes as long whatever the other side's length. Heads of
// 64, one core of an Emerald Rapids, times that of multiply-adds, forward and step: float32 128 queries and keys 0.9
// and 0.8, 256 1.06 and 1.03 (0.93 where other threads work on the cores), 384 1.17 and 1.14; float16 64 0.8 and 0.9,
// 128 1.1 and 1.2; bfloat16 16 0.6, 32 1.6 and 1.2.
[[gnu::cold]] bool fits(const Plan& p, DType d) {
  if (d == DType::f64 || p.B * p.H * p.G == 0) return false;
  const int64_t work = min64(p.L, p.S) * (p.E + p.F);
  if (work < (d == DType::f32 ? 48 << 10 : d == DType::f16 ? 16 << 10 : 4 << 10)) return false;
  return min64(p.E, p.F) >= 16 && max64(p.E, p.F) <= kTileSteps * kTileDepth && p.head <= kPackedBytes;
}

struct Workspace {
  int64_t worker, packed, partials, bytes;  // of each thread; where heads are packed; where pieces are summed
  [[gnu::cold]] Workspace(const Ctx& ctx, const Plan& p, int64_t pieces) {
    const Scratch w(p, nullptr, pieces == 1);
    worker = w.bytes;
    packed = ctx.threads * worker;
    partials = packed + p.heads * p.head;
    bytes = partials + (pieces > 1 ? p.B * p.H * pieces * w.dkv_size * 4 : 0);
  }
};

AttentionTable below;

[[gnu::cold]] bool forward(const Ctx& ctx, const Plan& p, const Views& x, const View& y, const View& lse) {
  const Workspace at(ctx, p, 1);
  char *const base = (char*)ctx.workspace, *const packed = base + at.packed;
  bool tame = true;
  const Amx amx(p, x, tame);
  const int64_t tasks = p.G * p.blocks;
  for (int64_t h0 = 0; h0 < p.B * p.H && tame; h0 += p.heads) {
    const int64_t n = min64(p.heads, p.B * p.H - h0);
    if (!amx.pack_all(ctx, h0, n, packed)) break;
    parallel_for(ctx, n * tasks, [&](int64_t t, int worker) __attribute__((noinline)) {
      amx.forward(y, lse, h0 * p.G + t / p.blocks, t % p.blocks * p.strips * kStrip, packed + t / tasks * p.head,
                  Scratch(p, base + worker * at.worker, true));
    });
  }
  return tame;
}

[[gnu::cold]] bool backward(const Ctx& ctx, const Plan& p, const Views& x, const BackwardViews& v) {
  const int64_t pieces = pieces_of(p.B * p.H, p.G * p.blocks);
  const Workspace at(ctx, p, pieces);
  char *const base = (char*)ctx.workspace, *const packed = base + at.packed;
  bool tame = true;
  const Amx amx(p, x, tame);
  auto scratch = [&](int worker) { return Scratch(p, base + worker * at.worker, pieces == 1); };
  for (int64_t h0 = 0; h0 < p.B * p.H && tame; h0 += p.heads) {
    const int64_t n = min64(p.heads, p.B * p.H - h0);
    if (!amx.pack_all(ctx, h0, n, packed)) break;
    sum_pieces(
        ctx, {n, pieces, p.G * p.blocks, scratch(0).dkv_size}, (float*)(base + at.partials),
        [&](int worker) { return scratch(worker).dkv; },
        [&](int64_t h, int64_t i, float* dkv, int worker) {
          amx.backward(v, (h0 + h) * p.G + i / p.blocks, i % p.blocks * p.strips * kStrip, packed + h * p.head,
                       scratch(worker), dkv);
        },
        [&](int64_t h, float* dkv) {
          const int64_t row = (h0 + h) * p.G, keys = in_tiles(p.S) * kTileRows;
          scale_all(dkv, keys * p.width_e, float(x.args.scale));
          write_rows(amx.of(v.dk, row), 0, p.S, p.E, dkv, p.width_e);
          write_rows(amx.of(v.dv, row), 0, p.S, p.F, dkv + keys * p.width_e, p.width_f);
        });
  }
  return tame;
}

[[gnu::cold]] void attention(const Ctx& ctx, const View& y, const View& lse, const View& q, const View& k,
                             const View& v, const View& mask, const View& key, AttentionArgs args) noexcept {
  const Plan p(q, k, v, false);
  if (!fits(p, q.dtype) || !forward(ctx, p, {q, k, v, mask, key, args}, y, lse))
    below.attention(ctx, y, lse, q, k, v, mask, key, args);
}

[[gnu::cold]] void attention_backward(const Ctx& ctx, const View& dq, const View& dk, const View& dv, const View& g,
                                      const View& q, const View& k, const View& v, const View& mask, const View& key,
                                      const View& y, const View& lse, AttentionArgs args) noexcept {
  const Plan p(q, k, v, true);
  if (!fits(p, q.dtype) || !backward(ctx, p, {q, k, v, mask, key, args}, {dq, dk, dv, g, q, k, v, mask, key, y, lse}))
    below.attention_backward(ctx, dq, dk, dv, g, q, k, v, mask, key, y, lse, args);
}

template <bool Back>
[[gnu::cold]] int64_t workspace(const Ctx& ctx, const View& q, const View& k, const View& v) noexcept {
  const Plan p(q, k, v, Back);
  const int64_t pieces = Back ? pieces_of(p.B * p.H, p.G * p.blocks) : 1;
  return max64(fits(p, q.dtype) ? Workspace(ctx, p, pieces).bytes : 0,
               (Back ? below.attention_backward_workspace : below.attention_workspace)(ctx, q, k, v));
}

}  // namespace

void fill_amx_attention(Kernels&);
void fill_amx_attention(Kernels& k) {
  if (k.attention) below = k;  // an empty table asks only which entries this level has
  k.attention = attention;
  k.attention_workspace = workspace<false>;
  k.attention_backward = attention_backward;
  k.attention_backward_workspace = workspace<true>;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
#endif
