// rnn: see table/rnn.h. The batch is cut into rows of samples; each task runs its rows through all steps alone, so that
// nothing is waited for between steps, but where the weights are large. They are packed once a sequence; a step is, for
// each panel of hidden units and each tile of samples, the product of all its gates and the cell right after, while
// their sums are in the L1 cache. LSTM, GRU and tanh have a form on tiles, of the same loops.
#include "cpu/rnn/cells.h"
#include "cpu/rnn/panels.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <class T>
void copy_rows(int64_t rows, T* to, int64_t ldt, const T* from, int64_t ldf, int64_t n) {
  for (int64_t r = 0; r < rows; r++) __builtin_memcpy(to + r * ldt, from + r * ldf, size_t(n) * sizeof(T));
}

// The rows of each step, in the order of the recurrence or against it.
struct Steps {
  const int64_t* sizes;
  int64_t stride, T, R;
  bool reverse;
  explicit Steps(const View& v, int64_t rows, bool reverse)
      : sizes((const int64_t*)v.data), stride(v.stride[0]), T(v.shape[0]), R(rows), reverse(reverse) {}
  int64_t size(int64_t t) const { return t < T ? sizes[t * stride] : 0; }
  // f(t, start): step t's first row.
  template <class F>
  void each(bool up, F f) const {
    int64_t start = up ? 0 : R;
    for (int64_t i = 0; i < T; i++) {
      const int64_t t = up ? i : T - 1 - i;
      if (!up) start -= size(t);
      f(t, start);
      if (up) start += size(t);
    }
  }
  // The row of sample n in the step before t in the order of the recurrence, or -1 if t is its first.
  int64_t before(int64_t t, int64_t start, int64_t n) const {
    if (reverse) return n < size(t + 1) ? start + size(t) + n : -1;
    return t > 0 ? start - size(t - 1) + n : -1;
  }
};

// How the samples are cut: one piece a thread. Every number is made by the same instructions in any piece, so this cut,
// and it alone, may look at the threads; few pieces read the weights fewer times (H = 512 on one core: 1.4 times as
// fast).
//
// spread: weights that a core's L2 cache does not hold. There the threads share a step's panels instead, each its own,
// and wait for each other after it.
struct Cut {
  static constexpr int64_t kLarge = 2 << 20;  // bytes
  int64_t N, pieces;
  bool spread;
  Cut(const Ctx& ctx, int64_t samples, int64_t bytes)
      : N(samples), pieces(ceil_div(N, 64)), spread(bytes > kLarge && ctx.threads > 1) {
    if (!spread) pieces = max64(pieces, min64(ctx.threads, ceil_div(N, 8)));
  }
  int64_t begin(int64_t i) const { return N * i / pieces; }
  int64_t most() const { return ceil_div(N, pieces); }

  // f(i, worker) for each piece.
  template <class F>
  void each(const Ctx& ctx, F f) const {
    if (!spread) return parallel_for(ctx, pieces, f);
    for (int64_t i = 0; i < pieces; i++) f(i, 0);
  }
  // f(begin, end) for each thread's share of n, or for all of it where a piece is one thread's.
  template <class F>
  void share(const Ctx& ctx, int64_t n, F f) const {
    if (!spread) return f(0, n);
    const int64_t parts = min64(n, ctx.threads);
    parallel_for(ctx, parts, [&](int64_t i, int) { f(i * n / parts, (i + 1) * n / parts); });
  }
};

// The weights of the steps' products, (I + P, size) for each of G gates, and where the parts of the workspace begin:
// the weights, W_hr, then each worker's rows of H and of [x h].
template <class T>
struct Layout {
  static constexpr int64_t kGrain = 32 * 1024;  // elements a task of packing
  int64_t G, I, P, size;
  bool tiles;
  Cut cut;
  int64_t projection, rows, operand, row_bytes, bytes;
  char* base;

  Layout(const Ctx& ctx, int64_t N, int64_t G, int64_t I, int64_t P, int64_t size, const View& w_hr, bool back,
         bool tiles)
      : G(G), I(I), P(P), size(size), tiles(tiles), cut(ctx, N, packed()), base((char*)ctx.workspace) {
    const int64_t R = w_hr.data ? w_hr.shape[0] : 0, H = w_hr.data ? w_hr.shape[1] : 0;
    projection = align64(packed());
    rows = projection + align64(w_hr.data ? back ? Panels<T>::bytes(R, H) : Panels<T>::bytes(H, R) : 0);
    operand = align64(cut.most() * H * int64_t(sizeof(T)));
    row_bytes = operand;
    if (tiles) row_bytes += ceil_div(cut.most(), kTileRows) * TilePanels(nullptr, I, P).panel();
    else if (I > 0) row_bytes += align64(cut.most() * (I + P) * int64_t(sizeof(T)));
    bytes = rows + ctx.threads * row_bytes;
  }
  int64_t packed() const {
    return G * (tiles ? 2 * Panels<T>::count(size) * TilePanels(nullptr, I, P).panel() : Panels<T>::bytes(I + P, size));
  }
  Panels<T> panels() const { return {(T*)base, I + P, size}; }
  TilePanels tile_panels() const { return {base, I, P}; }
  char* worker_rows(int worker) const { return base + rows + worker * row_bytes; }

  // All panels of the weights: element (k, j) of gate g of x's at x.data[(g size + j) x.si + k x.sk], h's likewise.
  // False where tiles find a number wild.
  __attribute__((noinline)) bool pack(const Ctx& ctx, const Operand& x, const Operand& h) const {
    bool tame = true;
    parallel_ranges(ctx, panels().count(size) * G, max64(1, kGrain / max64(1, (I + P) * Panels<T>::width)),
                    [&](int64_t b, int64_t e) {
                      for (int64_t i = b; i < e; i++) {
                        const int64_t p = i / G, g = i % G;
                        const T *from_x = (const T*)x.data + g * size * x.si,
                                *from_h = (const T*)h.data + g * size * h.si;
                        if constexpr (kTiled<T>) {
                          for (int64_t q = 0; tiles && q < 2 && (2 * p + q) * kTileRows < size; q++)
                            if (!tile_panels().pack({from_x, size, I, x.si, x.sk}, {from_h, size, P, h.si, h.sk}, false,
                                                    2 * p + q, 2 * i + q))
                              __atomic_store_n(&tame, false, __ATOMIC_RELAXED);
                          if (tiles) continue;
                        }
                        if (I > 0) panels().pack(from_x, x.si, x.sk, p, i, 0, I);
                        panels().pack(from_h, h.si, h.sk, p, i, I, P);
                      }
                    });
    return tame;
  }
};

template <class T>
void add_rows(T* to, const T* from, int64_t n) {
  for (int64_t j = 0; j < n; j += lanes<T>) {
    const int64_t w = min64(lanes<T>, n - j);
    put_lanes(to + j, get(to + j, w) + get(from + j, w), w);
  }
}

template <class T>
T* row_at(const View& v, int64_t i) {
  return (T*)v.data + i * v.stride[0];
}

// The rows of a matrix of contiguous rows, as an operand along them.
Operand rows_of(const View& v, int64_t first, int64_t n) {
  return {(const char*)v.data + first * v.stride[0] * kDTypeSize[int(v.dtype)], n, v.shape[1], v.stride[0], 1};
}

// ---- forward --------------------------------------------------------------------------------------------------------
struct ForwardViews {
  const View &y, &h, &c, &gates, &cells, &x, &w_ih, &bias, &w_hh, &b_hn, &w_hr, &sizes;
};

template <class T>
Layout<T> forward_layout(const Ctx& ctx, const View& h, const View& w_ih, const View& w_hh, const View& w_hr, int64_t G,
                         bool tiles) {
  return {ctx, h.shape[0], G, w_ih.data ? w_ih.shape[1] : 0, w_hh.shape[1], w_hh.shape[0] / G, w_hr, false, tiles};
}

template <class T>
struct Forward {
  static constexpr int64_t W = Panels<T>::width;
  static constexpr int64_t kRows = kTiled<T> ? TilePanels::kRows : Plain<T>::MR;
  // A tile of samples r ... r + m - 1 and panel p whose sums are made, in this half of their buffer.
  struct Tile {
    int64_t p, r, m, half;
  };
  // A piece's samples from n0 on and its rows: h's, the product's, [x h], or h where it lies, and those of H.
  struct Piece {
    int64_t n0;
    T *state, *a, *full;
    T* h;
    int64_t ldh;
    TilePanels packed;
  };
  // Its n rows of one step.
  struct Step {
    int64_t n;
    T *gates, *cells, *out;
    int64_t ldy;
  };

  const ForwardViews& x;
  const CellKind<T>& cell;
  const Layout<T>& layout;
  const int64_t G = cell.gates, H = layout.size, P = layout.P, I = layout.I, K = I + P;
  const bool lstm = G == 4, gru = G == 3, fused = I > 0, projected = x.w_hr.data, kept = x.gates.shape[0] > 0;
  const bool tiles = kTiled<T> && layout.tiles;
  const int64_t gap = tiles ? TilePanels::kRows * W + 16 : Plain<T>::MR * W;  // between the sums of gates
  const Panels<T> weights = layout.panels(), projection{(T*)(layout.base + layout.projection), H, P};

  // Whether gate g has the sum of x's part alone: of GRU's third the reset acts on the other.
  bool apart(int64_t g) const { return gru && g == 2; }

  // The cells of a tile whose sums are made.
  __attribute__((noinline)) void finish(const Piece& piece, const Step& s, const Tile& due, T* sums) const {
    const int64_t j0 = due.p * W, cols = weights.cols(due.p);
    for (int64_t g = 0; g < G; g++) {
      T* to = sums + g * gap;
      // What tiles have not added: the input's products, or their bias.
      const T *from = to, *plus = nullptr, *input = s.gates + due.r * G * H + g * H + j0;
      int64_t ld = W, ldp = 0;
      if (!fused && tiles && !apart(g)) plus = input, ldp = G * H;
      else if (!fused) from = input, ld = G * H;
      else if (tiles && x.bias.data) plus = (const T*)x.bias.data + g * H + j0;
      if (lstm && g == 2) activate<Function::tanh>(due.m, to, W, from, ld, plus, ldp, cols);
      else if (lstm || (gru && g < 2)) activate<Function::sigmoid>(due.m, to, W, from, ld, plus, ldp, cols);
      else if (from != to || plus) activate<Function::none>(due.m, to, W, from, ld, plus, ldp, cols);
    }
    for (int64_t i = 0; i < due.m; i++) {
      const int64_t r = due.r + i;
      const CellRow<T> row{sums + i * W,
                           kept ? s.gates + r * G * H + j0 : nullptr,
                           kept && s.cells ? s.cells + r * H + j0 : nullptr,
                           lstm ? (T*)x.c.data + (piece.n0 + r) * H + j0 : nullptr,
                           piece.h + r * piece.ldh + j0,
                           x.b_hn.data ? (const T*)x.b_hn.data + j0 : nullptr,
                           s.out + r * s.ldy + j0};
      cell.forward(row, gap, H, cols);
    }
  }

  // Its sums.
  __attribute__((always_inline)) void multiply(const Piece& piece, const Step& s, const Tile& now, T* sums) const {
    const int64_t p = now.p, r = now.r, m = now.m;
    for (int64_t g = 0; g < G; g++) {
      const int64_t at = p * G + g;
      T* to = sums + g * gap;
      if constexpr (kTiled<T>) {
        if (tiles) {
          const TilePanels w = layout.tile_panels();
          const int64_t cols = weights.cols(p), all = w.x + w.h;
          if (apart(g)) w.multiply(piece.packed, r, m, at, cols, w.x, all, to + gap, W);
          if (fused || !apart(g)) w.multiply(piece.packed, r, m, at, cols, 0, apart(g) ? w.x : all, to, W);
          continue;
        }
      }
      const T* next = weights.data + (at + G) * W * K;
      if (apart(g)) weights.tile(m, piece.h + r * K, K, p, at, I, P, to + gap, W, false, nullptr, next);
      if (fused)
        weights.tile(m, piece.a + r * K, K, p, at, 0, apart(g) ? I : K, to, W, false,
                     x.bias.data ? (const T*)x.bias.data + g * H + p * W : nullptr, next);
      else if (!apart(g))
        weights.tile(m, piece.a + r * K, K, p, at, 0, K, s.gates + r * G * H + g * H + p * W, G * H, true, nullptr,
                     next);
    }
  }

  // Panels [p0, p1) of a step, the last first if `down`: what the step before left in the L2 cache is read first.
  void panels(const Piece& piece, const Step& s, int64_t p0, int64_t p1, bool down) const {
    alignas(64) T sums[2][4 * (kRows * W + 16)];
    Tile due{};
    if (kTiled<T> && tiles) tiles_begin();
    for (int64_t i = p0; i < p1; i++) {
      auto tile = [&](int64_t, int64_t r, int64_t m) {
        const Tile now{down ? p1 - 1 - (i - p0) : i, r, m, 1 - due.half};
        // Where `finish` writes: without this its stores wait for lines from the L3 cache.
        for (int64_t k = r; fused && k < r + m; k++)
          for (int64_t j = now.p * W; j < now.p * W + W; j += 64 / int64_t(sizeof(T))) {
            __builtin_prefetch(s.out + k * s.ldy + j, 1);
            if (!kept) continue;
            if (s.cells) __builtin_prefetch(s.cells + k * H + j, 1);
            for (int64_t g = 0; g < G; g++) __builtin_prefetch(s.gates + (k * G + g) * H + j, 1);
          }
        multiply(piece, s, now, sums[now.half]);
        if (due.m > 0) finish(piece, s, due, sums[due.half]);
        due = now;
      };
      if (!tiles) for_tiles<T>(s.n, tile);
      else
        for (int64_t r = 0; r < s.n; r += kRows) tile(0, r, min64(kRows, s.n - r));
    }
    if (due.m > 0) finish(piece, s, due, sums[due.half]);
    if (kTiled<T> && tiles) tiles_end();
  }

  // False, before anything is written, where tiles find a weight wild.
  bool run(const Ctx& ctx, bool reverse) const {
    auto whole = [&](const View& w) { return Operand{w.data, H, w.shape[1], w.stride[0], 1}; };
    if (!layout.pack(ctx, fused ? whole(x.w_ih) : Operand{}, whole(x.w_hh))) return false;
    parallel_for(ctx, projected ? projection.count(P) : 0,
                 [&](int64_t p, int) { projection.pack((const T*)x.w_hr.data, x.w_hr.stride[0], 1, p, p, 0, H); });
    const Steps steps(x.sizes, x.y.shape[0], reverse);
    layout.cut.each(ctx, [&](int64_t i, int worker) {
      const int64_t n0 = layout.cut.begin(i), n1 = layout.cut.begin(i + 1);
      char* own = layout.worker_rows(worker);
      Piece piece{n0, (T*)x.h.data + n0 * P, nullptr, (T*)own, nullptr, P, {own + layout.operand, I, P}};
      const bool copied = fused && !tiles;
      piece.a = copied ? (T*)(own + layout.operand) : piece.state;
      piece.h = copied ? piece.a + I : piece.state;
      piece.ldh = copied ? K : P;
      if (copied) copy_rows(n1 - n0, piece.h, K, piece.state, P, P);
      bool down = false;
      steps.each(!reverse, [&](int64_t t, int64_t start) {
        const int64_t n = min64(n1, steps.size(t)) - n0, row0 = start + n0;
        if (n <= 0) return;
        T* y = row_at<T>(x.y, row0);
        const int64_t ldy = x.y.stride[0];
        const Step s{n, row_at<T>(x.gates, row0), lstm || gru ? row_at<T>(x.cells, row0) : nullptr,
                     projected ? piece.full : y, projected ? H : ldy};
        if constexpr (kTiled<T>) {
          const Operand in = fused ? rows_of(x.x, row0, n) : Operand{};
          for (int64_t p = 0; tiles && p < ceil_div(n, kTileRows); p++)
            piece.packed.pack(in, {piece.h, n, P, P, 1}, true, p, p);
        }
        if (copied) copy_rows(n, piece.a, K, row_at<T>(x.x, row0), x.x.stride[0], I);
        layout.cut.share(ctx, weights.count(H), [&](int64_t b, int64_t e) { panels(piece, s, b, e, down); });
        down = !down;
        layout.cut.share(ctx, projected ? projection.count(P) : 0, [&](int64_t b, int64_t e) {
          for (int64_t p = b; p < e; p++) projection.multiply(n, piece.full, H, p, piece.h + p * W, piece.ldh, false);
        });
        if (projected) copy_rows(n, y, ldy, piece.h, piece.ldh, P);
        else copy_rows(n, piece.h, piece.ldh, y, ldy, P);
      });
      if (copied) copy_rows(n1 - n0, piece.state, P, piece.h, K, P);
    });
    return true;
  }
};

// f(kind of cell) for the mode and the dtype.
template <class F>
auto dispatch(Recurrence mode, DType d, F f) {
  auto typed = [&]<class T>(T) {
    switch (mode) {
      case Recurrence::lstm: return f(kCell<LstmCell, T>);
      case Recurrence::gru: return f(kCell<GruCell, T>);
      case Recurrence::rnn_relu: return f(kCell<ElmanCell<true>, T>);
      default: return f(kCell<ElmanCell<false>, T>);
    }
  };
  return d == DType::f64 ? typed(double{}) : typed(float{});
}

bool forward(const Ctx& ctx, const ForwardViews& x, RnnArgs args, bool tiles) {
  return dispatch(args.mode, x.y.dtype, [&]<class T>(const CellKind<T>& cell) {
    const auto layout = forward_layout<T>(ctx, x.h, x.w_ih, x.w_hh, x.w_hr, cell.gates, tiles);
    return Forward<T>{x, cell, layout}.run(ctx, args.reverse);
  });
}

void rnn(const Ctx& ctx, const View& y, const View& h, const View& c, const View& gates, const View& cells,
         const View& x, const View& w_ih, const View& bias, const View& w_hh, const View& b_hn, const View& w_hr,
         const View& sizes, RnnArgs args) noexcept {
  forward(ctx, {y, h, c, gates, cells, x, w_ih, bias, w_hh, b_hn, w_hr, sizes}, args, false);
}

int64_t forward_bytes(const Ctx& ctx, const View& h, const View& w_ih, const View& w_hh, const View& w_hr, RnnArgs args,
                      bool tiles) {
  return dispatch(args.mode, h.dtype, [&]<class T>(const CellKind<T>& cell) {
    return forward_layout<T>(ctx, h, w_ih, w_hh, w_hr, cell.gates, tiles).bytes;
  });
}
int64_t rnn_workspace(const Ctx& ctx, const View& h, const View& w_ih, const View& w_hh, const View& w_hr,
                      RnnArgs args) noexcept {
  return forward_bytes(ctx, h, w_ih, w_hh, w_hr, args, false);
}

// ---- backward -------------------------------------------------------------------------------------------------------
struct BackwardViews {
  const View &dgates, &dhidden, &dh, &dc, &prev, &dproj, &full, &g, &gates, &cells, &y, &h0, &c0, &w_hh, &w_hr, &sizes;
};

template <class T>
Layout<T> backward_layout(const Ctx& ctx, const View& h, const View& w_hh, const View& w_hr, bool tiles) {
  return {ctx, h.shape[0], 1, 0, w_hh.shape[0], w_hh.shape[1], w_hr, true, tiles};
}

template <class T>
struct Backward {
  const BackwardViews& x;
  const CellKind<T>& cell;
  const Layout<T>& layout;
  const int64_t G = cell.gates, H = x.gates.shape[1] / G, P = layout.size;
  const bool lstm = G == 4, gru = G == 3, projected = x.w_hr.data;
  const Panels<T> hidden = layout.panels(), projection{(T*)(layout.base + layout.projection), P, H};

  // The cells of rows [r0, r1) of a step.
  void cells(const Steps& steps, int64_t t, int64_t start, int64_t n0, int64_t r0, int64_t r1, T* dfull) const {
    const int64_t row0 = start + n0;
    T* dh = row_at<T>(x.dh, n0);
    for (int64_t r = r0; r < r1; r++) {
      if (x.g.data) add_rows(dh + r * P, row_at<T>(x.g, row0 + r), P);
      if (projected) __builtin_memcpy(row_at<T>(x.dproj, row0 + r), dh + r * P, size_t(P) * sizeof(T));
    }
    for (int64_t p = 0; projected && p < projection.count(H); p++)
      projection.multiply(r1 - r0, dh + r0 * P, P, p, dfull + r0 * H + p * hidden.width, H, false);
    for (int64_t r = r0; r < r1; r++) {
      const int64_t i = row0 + r, before = steps.before(t, start, n0 + r);
      const T* h = before < 0 ? row_at<T>(x.h0, n0 + r) : row_at<T>(x.y, before);
      __builtin_memcpy(row_at<T>(x.prev, i), h, size_t(P) * sizeof(T));
      CellRowBack<T> row{};
      row.gates = row_at<T>(x.gates, i);
      row.h = h;
      row.dh = projected ? dfull + r * H : dh + r * P;
      row.carry = dh + r * P;
      row.dgates = row_at<T>(x.dgates, i);
      if (lstm || gru) row.cells = row_at<T>(x.cells, i);
      if (lstm) {
        row.c = before < 0 ? row_at<T>(x.c0, n0 + r) : row_at<T>(x.cells, before);
        row.dc = row_at<T>(x.dc, n0 + r);
        row.full = projected ? row_at<T>(x.full, i) : nullptr;
      }
      if (gru) row.dhidden = row_at<T>(x.dhidden, i);
      cell.backward(row, H);
    }
  }

  // dh's columns of panel p = or += rows of the gates' gradients, packed ones for tiles. False if a sum is not finite:
  // tiles make NaN of infinite numbers.
  bool multiply(int64_t n, const T* through, const TilePanels& packed, int64_t p, T* dh) const {
    if constexpr (kTiled<T>) {
      if (layout.tiles) {
        alignas(64) T sums[TilePanels::kRows * Panels<T>::width];
        const TilePanels w = layout.tile_panels();
        vi32 finite = ~vi32{};
        for (int64_t r0 = 0; r0 < n; r0 += TilePanels::kRows) {
          const int64_t m = min64(TilePanels::kRows, n - r0), cols = hidden.cols(p);
          w.multiply(packed, r0, m, p, cols, 0, w.h, sums, hidden.width);
          for (int64_t r = 0; r < m; r++)
            for (int64_t j = 0; j < cols; j += lanes<T>) {
              T* to = dh + (r0 + r) * P + j;
              const int64_t k = min64(lanes<T>, cols - j);
              Vec<T> v = load(sums + r * hidden.width + j);
              finite &= abs(v) < splat<Vec<T>>(Fp<T>::inf);
              if (gru) v += get(to, k);
              put_lanes(to, v, k);
            }
        }
        return !any_lane(~finite);
      }
    }
    hidden.multiply(n, through, G * H, p, dh, P, gru);
    return true;
  }

  // False where tiles find a weight wild or a sum that is not finite.
  bool run(const Ctx& ctx, bool reverse) const {
    if (!layout.pack(ctx, {}, {x.w_hh.data, P, G * H, 1, x.w_hh.stride[0]})) return false;
    parallel_for(ctx, projected ? projection.count(H) : 0,
                 [&](int64_t p, int) { projection.pack((const T*)x.w_hr.data, 1, x.w_hr.stride[0], p, p, 0, P); });
    const Steps steps(x.sizes, x.gates.shape[0], reverse);
    const int64_t group = layout.tiles ? kTileRows : 1;  // of rows
    bool tame = true;
    layout.cut.each(ctx, [&](int64_t piece, int worker) {
      const int64_t n0 = layout.cut.begin(piece), n1 = layout.cut.begin(piece + 1);
      char* own = layout.worker_rows(worker);
      const TilePanels packed{own + layout.operand, 0, G * H};
      T* dh = row_at<T>(x.dh, n0);
      steps.each(reverse, [&](int64_t t, int64_t start) {
        const int64_t n = min64(n1, steps.size(t)) - n0;
        if (n <= 0 || !__atomic_load_n(&tame, __ATOMIC_RELAXED)) return;
        const View& through = gru ? x.dhidden : x.dgates;
        layout.cut.share(ctx, ceil_div(n, group), [&](int64_t b, int64_t e) {
          cells(steps, t, start, n0, b * group, min64(n, e * group), (T*)own);
          if constexpr (kTiled<T>)
            for (int64_t p = b; layout.tiles && p < e; p++)
              packed.pack({}, rows_of(through, start + n0, n), true, p, p);
        });
        layout.cut.share(ctx, hidden.count(P), [&](int64_t b, int64_t e) {
          if (kTiled<T> && layout.tiles) tiles_begin();
          for (int64_t p = b; p < e; p++)
            if (!multiply(n, row_at<T>(through, start + n0), packed, p, dh + p * hidden.width))
              __atomic_store_n(&tame, false, __ATOMIC_RELAXED);
          if (kTiled<T> && layout.tiles) tiles_end();
        });
      });
    });
    return tame;
  }
};

bool backward(const Ctx& ctx, const BackwardViews& x, RnnArgs args, bool tiles) {
  return dispatch(args.mode, x.y.dtype, [&]<class T>(const CellKind<T>& cell) {
    const auto layout = backward_layout<T>(ctx, x.h0, x.w_hh, x.w_hr, tiles);
    return Backward<T>{x, cell, layout}.run(ctx, args.reverse);
  });
}

void rnn_backward(const Ctx& ctx, const View& dgates, const View& dhidden, const View& dh, const View& dc,
                  const View& prev, const View& dproj, const View& full, const View& g, const View& gates,
                  const View& cells, const View& y, const View& h0, const View& c0, const View& w_hh, const View& w_hr,
                  const View& sizes, RnnArgs args) noexcept {
  backward(ctx, {dgates, dhidden, dh, dc, prev, dproj, full, g, gates, cells, y, h0, c0, w_hh, w_hr, sizes}, args,
           false);
}

int64_t rnn_backward_workspace(const Ctx& ctx, const View& h, const View& w_hh, const View& w_hr,
                               RnnArgs args) noexcept {
  return dispatch(args.mode, h.dtype,
                  [&]<class T>(const CellKind<T>&) { return backward_layout<T>(ctx, h, w_hh, w_hr, false).bytes; });
}

#if MIELINA_V512
// ---- tiles ----------------------------------------------------------------------------------------------------------
// Whether tiles are the faster way, and exact: h stays within [-1, 1] (or h0), so that it needs no look at each step.
[[gnu::cold]] bool fits(const View& h, const View& w_hh, const View& w_hr, RnnArgs args) {
  return h.dtype == DType::f32 && args.mode != Recurrence::rnn_relu && !w_hr.data && h.shape[0] >= 16 &&
         w_hh.shape[1] >= 128 && w_hh.shape[0] >= 384;
}

// False if a number of these rows is wild.
[[gnu::cold]] bool tame(const Ctx& ctx, const View& v) {
  bool all = true;
  parallel_ranges(ctx, v.shape[0], max64(1, Layout<float>::kGrain / v.shape[1]), [&](int64_t b, int64_t e) {
    vi32 bad{};
    for (int64_t i = b; i < e; i++)
      for (int64_t j = 0; j < v.shape[1]; j += lanes<float>)
        bad |= wild(load_n(row_at<float>(v, i) + j, min64(lanes<float>, v.shape[1] - j)));
    if (any_lane(bad)) __atomic_store_n(&all, false, __ATOMIC_RELAXED);
  });
  return all;
}

RnnTable below;

[[gnu::cold]] void rnn_tiles(const Ctx& ctx, const View& y, const View& h, const View& c, const View& gates,
                             const View& cells, const View& x, const View& w_ih, const View& bias, const View& w_hh,
                             const View& b_hn, const View& w_hr, const View& sizes, RnnArgs args) noexcept {
  const bool done = fits(h, w_hh, w_hr, args) && tame(ctx, h) && (!w_ih.data || tame(ctx, x)) &&
                    forward(ctx, {y, h, c, gates, cells, x, w_ih, bias, w_hh, b_hn, w_hr, sizes}, args, true);
  if (!done) below.rnn(ctx, y, h, c, gates, cells, x, w_ih, bias, w_hh, b_hn, w_hr, sizes, args);
}
[[gnu::cold]] int64_t rnn_tiles_workspace(const Ctx& ctx, const View& h, const View& w_ih, const View& w_hh,
                                          const View& w_hr, RnnArgs args) noexcept {
  const int64_t bytes = below.rnn_workspace(ctx, h, w_ih, w_hh, w_hr, args);
  return fits(h, w_hh, w_hr, args) ? max64(bytes, forward_bytes(ctx, h, w_ih, w_hh, w_hr, args, true)) : bytes;
}

// The states' gradients are kept: where numbers turn out not to be finite, the level below begins anew.
[[gnu::cold]] void rnn_backward_tiles(const Ctx& ctx, const View& dgates, const View& dhidden, const View& dh,
                                      const View& dc, const View& prev, const View& dproj, const View& full,
                                      const View& g, const View& gates, const View& cells, const View& y,
                                      const View& h0, const View& c0, const View& w_hh, const View& w_hr,
                                      const View& sizes, RnnArgs args) noexcept {
  if (fits(h0, w_hh, w_hr, args)) {
    char* kept = (char*)ctx.workspace + backward_layout<float>(ctx, h0, w_hh, w_hr, true).bytes;
    const size_t bytes = size_t(numel(dh)) * sizeof(float), more = size_t(numel(dc)) * sizeof(float);
    __builtin_memcpy(kept, dh.data, bytes);
    __builtin_memcpy(kept + bytes, dc.data, more);
    if (backward(ctx, {dgates, dhidden, dh, dc, prev, dproj, full, g, gates, cells, y, h0, c0, w_hh, w_hr, sizes}, args,
                 true))
      return;
    __builtin_memcpy(dh.data, kept, bytes);
    __builtin_memcpy(dc.data, kept + bytes, more);
  }
  below.rnn_backward(ctx, dgates, dhidden, dh, dc, prev, dproj, full, g, gates, cells, y, h0, c0, w_hh, w_hr, sizes,
                     args);
}
[[gnu::cold]] int64_t rnn_backward_tiles_workspace(const Ctx& ctx, const View& h, const View& w_hh, const View& w_hr,
                                                   RnnArgs args) noexcept {
  const int64_t bytes = below.rnn_backward_workspace(ctx, h, w_hh, w_hr, args);
  if (!fits(h, w_hh, w_hr, args)) return bytes;
  return max64(bytes, backward_layout<float>(ctx, h, w_hh, w_hr, true).bytes + 2 * numel(h) * int64_t(sizeof(float)));
}
#endif

}  // namespace

void fill_ctc(Kernels&);
void fill_rnn(Kernels&);
void fill_rnn(Kernels& k) {
  k.rnn = rnn;
  k.rnn_workspace = rnn_workspace;
  k.rnn_backward = rnn_backward;
  k.rnn_backward_workspace = rnn_backward_workspace;
  fill_ctc(k);
}

#if MIELINA_V512
void fill_amx_rnn(Kernels&);
void fill_amx_rnn(Kernels& k) {
  if (k.rnn) below = k;
  k.rnn = rnn_tiles;
  k.rnn_workspace = rnn_tiles_workspace;
  k.rnn_backward = rnn_backward_tiles;
  k.rnn_backward_workspace = rnn_backward_tiles_workspace;
}
#endif

}  // namespace MIELINA_ISA
}  // namespace mielina
