// rnn: see table/rnn.h. The batch is cut into rows of samples; each task runs its rows through all steps alone, so that
// nothing is waited for between steps. The weights are packed once a sequence; a step is, for each panel of hidden
// units and each tile of samples, the product of all its gates and the cell right after, while their sums are in the L1
// cache.
#include "cpu/gemm/micro.h"
#include "cpu/gemm/pack.h"
#include "cpu/rnn/cells.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// f(number, first row, rows) for the tiles of a product's rows, as even as can be.
template <class T, class F>
MIELINA_INLINE void for_tiles(int64_t rows, F f) {
  const int64_t tiles = ceil_div(rows, Plain<T>::MR);
  for (int64_t i = 0, r = 0, m; i < tiles; i++, r += m) f(i, r, m = rows / tiles + (i < rows % tiles));
}

template <class T>
void copy_rows(int64_t rows, T* to, int64_t ldt, const T* from, int64_t ldf, int64_t n) {
  for (int64_t r = 0; r < rows; r++) __builtin_memcpy(to + r * ldt, from + r * ldf, size_t(n) * sizeof(T));
}

// A (K, size) operand B as panels of columns.
template <class T>
struct Panels {
  static constexpr int64_t width = Plain<T>::NV * lanes<T>;
  T* data;
  int64_t K, size;

  static int64_t count(int64_t size) { return ceil_div(size, width); }
  static int64_t bytes(int64_t K, int64_t size) { return count(size) * width * K * int64_t(sizeof(T)); }
  int64_t cols(int64_t p) const { return min64(width, size - p * width); }
  int64_t step(int64_t p) const { return ceil_div(cols(p), lanes<T>) * lanes<T>; }
  // Rows [k0, k0 + kc) of panel p, from element (k0 + k, j) at from[j * sj + k * sk], stored as number `at`.
  void pack(const T* from, int64_t sj, int64_t sk, int64_t p, int64_t at, int64_t k0, int64_t kc) const {
    Strided<Plain<T>, T>{from, size, kc, sj, sk, width}.pack(data + at * width * K + k0 * step(p), step(p), p, 0, kc);
  }
  // d (m, cols) = or += a (m, kc) times these rows, plus bias; a's rows are contiguous, m <= MR.
  __attribute__((always_inline)) void tile(int64_t m, const T* a, int64_t lda, int64_t p, int64_t at, int64_t k0,
                                           int64_t kc, T* d, int64_t ld, bool add, const T* bias, const T* next) const {
    const T* b = data + at * width * K + k0 * step(p);
    MicroKernels<Plain<T>, false>::table.at[step(p) / lanes<T> - 1][m - 1](kc, {a, lda, 1}, {b, 1, step(p)}, d, ld,
                                                                           cols(p), add, next, true, bias);
  }
  // d (rows, cols) = or += a (rows, K) times panel p.
  __attribute__((noinline)) void multiply(int64_t rows, const T* a, int64_t lda, int64_t p, T* d, int64_t ld,
                                          bool add) const {
    for_tiles<T>(rows, [&](int64_t i, int64_t r, int64_t m) {
      const T* next = data + (p + 1) * width * K + i * K * (64 / int64_t(sizeof(T)));
      tile(m, a + r * lda, lda, p, p, 0, K, d + r * ld, ld, add, nullptr, next);
    });
  }
};

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
struct Cut {
  int64_t N, pieces;
  Cut(const Ctx& ctx, int64_t samples)
      : N(samples), pieces(max64(ceil_div(N, 64), min64(ctx.threads, ceil_div(N, 8)))) {}
  int64_t begin(int64_t i) const { return N * i / pieces; }
  int64_t most() const { return ceil_div(N, pieces); }
};

MIELINA_INLINE int64_t align64(int64_t bytes) { return (bytes + 63) & ~int64_t(63); }

// Where the parts of the workspace begin: the weights, W_hr, then each worker's rows of H and of [x h].
struct Room {
  int64_t projection, rows, operand, row_bytes, bytes;
};
template <class T>
Room room(const Ctx& ctx, int64_t N, int64_t K_hh, int64_t width_hh, int64_t count_hh, const View& w_hr, bool back,
          bool fused) {
  Room r;
  const int64_t P = w_hr.data ? w_hr.shape[0] : 0, H = w_hr.data ? w_hr.shape[1] : 0;
  r.projection = align64(count_hh * Panels<T>::bytes(K_hh, width_hh));
  r.rows = r.projection + align64(w_hr.data ? back ? Panels<T>::bytes(P, H) : Panels<T>::bytes(H, P) : 0);
  r.operand = align64(Cut(ctx, N).most() * H * int64_t(sizeof(T)));
  r.row_bytes = r.operand + (fused ? align64(Cut(ctx, N).most() * K_hh * int64_t(sizeof(T))) : 0);
  r.bytes = r.rows + ctx.threads * r.row_bytes;
  return r;
}
template <class T>
Room forward_room(const Ctx& ctx, const View& h, const View& w_ih, const View& w_hh, const View& w_hr, int64_t G) {
  const int64_t K = (w_ih.data ? w_ih.shape[1] : 0) + w_hh.shape[1];
  return room<T>(ctx, h.shape[0], K, w_hh.shape[0] / G, G, w_hr, false, w_ih.data);
}
template <class T>
Room backward_room(const Ctx& ctx, const View& h, const View& w_hh, const View& w_hr) {
  return room<T>(ctx, h.shape[0], w_hh.shape[0], w_hh.shape[1], 1, w_hr, true, false);
}

constexpr int64_t kPackGrain = 32 * 1024;  // elements a task of packing

// Rows [k0, k0 + kc) of all panels of G matrices that are `apart`, element (k0 + k, j) of each at j * sj + k * sk.
template <class T>
__attribute__((noinline)) void pack_all(const Ctx& ctx, const Panels<T>& to, int64_t G, int64_t apart, const View& w,
                                        int64_t sj, int64_t sk, int64_t k0, int64_t kc) {
  const int64_t panels = Panels<T>::count(to.size) * G;
  parallel_ranges(ctx, panels, max64(1, kPackGrain / max64(1, kc * to.width)), [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; i++) to.pack((const T*)w.data + i % G * apart, sj, sk, i / G, i, k0, kc);
  });
}

template <class T>
void add_rows(T* to, const T* from, int64_t n) {
  for (int64_t j = 0; j < n; j += lanes<T>) {
    const int64_t w = min64(lanes<T>, n - j);
    put_lanes(to + j, get(to + j, w) + get(from + j, w), w);
  }
}

// ---- forward --------------------------------------------------------------------------------------------------------
// A tile of samples r ... r + m - 1 and panel p whose sums are made, in this half of their buffer.
struct Tile {
  int64_t p, r, m, half;
};

struct ForwardViews {
  const View &y, &h, &c, &gates, &cells, &x, &w_ih, &bias, &w_hh, &b_hn, &w_hr, &sizes;
};

template <class T>
T* row_at(const View& v, int64_t i) {
  return (T*)v.data + i * v.stride[0];
}

template <class Cell, class T>
void forward(const Ctx& ctx, const ForwardViews& x, bool reverse) {
  constexpr int64_t G = Cell::gates;
  constexpr bool lstm = G == 4, gru = G == 3;
  constexpr int64_t W = Panels<T>::width, kGap = Plain<T>::MR * W;
  const bool fused = x.w_ih.data, projected = x.w_hr.data, kept = x.gates.shape[0] > 0;
  const int64_t H = x.w_hh.shape[0] / G, P = x.h.shape[1], I = fused ? x.x.shape[1] : 0, K = I + P;
  const Room space = forward_room<T>(ctx, x.h, x.w_ih, x.w_hh, x.w_hr, G);
  const Panels<T> weights{(T*)ctx.workspace, K, H}, projection{(T*)((char*)ctx.workspace + space.projection), H, P};
  const int64_t count = Panels<T>::count(H);
  auto pack = [&](const View& w, int64_t k0) {
    pack_all(ctx, weights, G, H * w.stride[0], w, w.stride[0], 1, k0, w.shape[1]);
  };
  if (fused) pack(x.w_ih, 0);
  pack(x.w_hh, I);
  if (projected) pack_all(ctx, projection, 1, 0, x.w_hr, x.w_hr.stride[0], 1, 0, H);
  const Steps steps(x.sizes, x.y.shape[0], reverse);
  const Cut cut(ctx, x.h.shape[0]);
  parallel_for(ctx, cut.pieces, [&](int64_t piece, int worker) {
    const int64_t n0 = cut.begin(piece), n1 = cut.begin(piece + 1);
    char* own = (char*)ctx.workspace + space.rows + worker * space.row_bytes;
    T *full = (T*)own, *state = (T*)x.h.data + n0 * P;
    alignas(64) T sums[2][kGap * (G + gru)];
    // The product's rows: [x h], or h where it lies.
    T *const a = fused ? (T*)(own + space.operand) : state, *const h = a + I;
    if (fused) copy_rows(n1 - n0, h, K, state, P, P);
    steps.each(!reverse, [&](int64_t t, int64_t start) {
      const int64_t n = min64(n1, steps.size(t)) - n0, row0 = start + n0;
      if (n <= 0) return;
      T *gates = row_at<T>(x.gates, row0), *cells = lstm || gru ? row_at<T>(x.cells, row0) : nullptr;
      T *y = row_at<T>(x.y, row0), *out = projected ? full : y;
      const int64_t ldy = projected ? H : x.y.stride[0];
      if (fused) copy_rows(n, a, K, row_at<T>(x.x, row0), x.x.stride[0], I);
      Tile due{};
      auto finish = [&]() __attribute__((noinline)) {
        const int64_t j0 = due.p * W, cols = weights.cols(due.p);
        for (int64_t g = 0; g < G; g++) {
          T* to = sums[due.half] + g * kGap;
          const T* from = fused ? to : gates + due.r * G * H + g * H + j0;
          const int64_t ld = fused ? W : G * H;
          if (lstm && g == 2) activate<true>(due.m, to, W, from, ld, cols);
          else if (lstm || (gru && g < 2)) activate<false>(due.m, to, W, from, ld, cols);
          else if (!fused) copy_rows(due.m, to, W, from, ld, cols);
        }
        for (int64_t i = 0; i < due.m; i++) {
          const int64_t r = due.r + i;
          const CellRow<T> row{sums[due.half] + i * W,
                               kept ? gates + r * G * H + j0 : nullptr,
                               kept && cells ? cells + r * H + j0 : nullptr,
                               lstm ? (T*)x.c.data + (n0 + r) * H + j0 : nullptr,
                               h + r * K + j0,
                               x.b_hn.data ? (const T*)x.b_hn.data + j0 : nullptr,
                               out + r * ldy + j0};
          for (int64_t j = 0; j < cols; j += lanes<T>) Cell::forward(row, kGap, H, j, min64(lanes<T>, cols - j));
        }
      };
      for (int64_t p = 0; p < count; p++)
        for_tiles<T>(n, [&](int64_t, int64_t r, int64_t m) {
          const Tile now{p, r, m, 1 - due.half};
          // Where `finish` writes: without this its stores wait for lines from the L3 cache.
          for (int64_t i = r; fused && i < r + m; i++)
            for (int64_t j = p * W; j < p * W + W; j += 64 / int64_t(sizeof(T))) {
              __builtin_prefetch(out + i * ldy + j, 1);
              if (!kept) continue;
              if (cells) __builtin_prefetch(cells + i * H + j, 1);
              for (int64_t g = 0; g < G; g++) __builtin_prefetch(gates + (i * G + g) * H + j, 1);
            }
          for (int64_t g = 0; g < G; g++) {
            const int64_t at = p * G + g;
            T* to = sums[now.half] + g * kGap;
            const T* next = weights.data + (at + G) * W * K;
            const bool apart = gru && g == 2;  // the reset acts on the part of h alone
            if (apart) weights.tile(m, h + r * K, K, p, at, I, P, to + kGap, W, false, nullptr, next);
            if (fused)
              weights.tile(m, a + r * K, K, p, at, 0, apart ? I : K, to, W, false,
                           x.bias.data ? (const T*)x.bias.data + g * H + p * W : nullptr, next);
            else if (!apart)
              weights.tile(m, a + r * K, K, p, at, 0, K, gates + r * G * H + g * H + p * W, G * H, true, nullptr, next);
          }
          if (due.m > 0) finish();
          due = now;
        });
      finish();
      if (projected)
        for (int64_t p = 0; p < Panels<T>::count(P); p++) projection.multiply(n, full, H, p, h + p * W, K, false);
      if (projected) copy_rows(n, y, x.y.stride[0], h, K, P);
      else copy_rows(n, h, K, y, ldy, P);
    });
    if (fused) copy_rows(n1 - n0, state, P, h, K, P);
  });
}

// f(cell, T{}) for the kind of cell and the dtype.
template <class F>
auto dispatch(Recurrence mode, DType d, F f) {
  auto typed = [&](auto cell) { return d == DType::f64 ? f(cell, double{}) : f(cell, float{}); };
  switch (mode) {
    case Recurrence::lstm: return typed(LstmCell{});
    case Recurrence::gru: return typed(GruCell{});
    case Recurrence::rnn_relu: return typed(ElmanCell<true>{});
    default: return typed(ElmanCell<false>{});
  }
}

void rnn(const Ctx& ctx, const View& y, const View& h, const View& c, const View& gates, const View& cells,
         const View& x, const View& w_ih, const View& bias, const View& w_hh, const View& b_hn, const View& w_hr,
         const View& sizes, RnnArgs args) noexcept {
  const ForwardViews all{y, h, c, gates, cells, x, w_ih, bias, w_hh, b_hn, w_hr, sizes};
  dispatch(args.mode, y.dtype, [&]<class Cell, class T>(Cell, T) { forward<Cell, T>(ctx, all, args.reverse); });
}

int64_t rnn_workspace(const Ctx& ctx, const View& h, const View& w_ih, const View& w_hh, const View& w_hr,
                      RnnArgs args) noexcept {
  return dispatch(args.mode, h.dtype, [&]<class Cell, class T>(Cell, T) {
    return forward_room<T>(ctx, h, w_ih, w_hh, w_hr, Cell::gates).bytes;
  });
}

// ---- backward -------------------------------------------------------------------------------------------------------
struct BackwardViews {
  const View &dgates, &dhidden, &dh, &dc, &prev, &dproj, &full, &g, &gates, &cells, &y, &h0, &c0, &w_hh, &w_hr, &sizes;
};

template <class Cell, class T>
void backward(const Ctx& ctx, const BackwardViews& x, bool reverse) {
  constexpr int64_t G = Cell::gates;
  constexpr bool lstm = G == 4, gru = G == 3;
  const bool projected = x.w_hr.data != nullptr;
  const int64_t H = x.gates.shape[1] / G, P = x.h0.shape[1];
  const Room space = backward_room<T>(ctx, x.h0, x.w_hh, x.w_hr);
  const Panels<T> hidden{(T*)ctx.workspace, G * H, P}, projection{(T*)((char*)ctx.workspace + space.projection), P, H};
  const int64_t count = Panels<T>::count(P);
  pack_all(ctx, hidden, 1, 0, x.w_hh, 1, x.w_hh.stride[0], 0, G * H);
  if (projected) pack_all(ctx, projection, 1, 0, x.w_hr, 1, x.w_hr.stride[0], 0, P);
  const Steps steps(x.sizes, x.gates.shape[0], reverse);
  const Cut cut(ctx, x.h0.shape[0]);
  parallel_for(ctx, cut.pieces, [&](int64_t piece, int worker) {
    const int64_t n0 = cut.begin(piece), n1 = cut.begin(piece + 1);
    T* dfull = (T*)((char*)ctx.workspace + space.rows + worker * space.row_bytes);
    T* dh = row_at<T>(x.dh, n0);
    steps.each(reverse, [&](int64_t t, int64_t start) {
      const int64_t n = min64(n1, steps.size(t)) - n0, row0 = start + n0;
      if (n <= 0) return;
      for (int64_t r = 0; r < n; r++) {
        if (x.g.data) add_rows(dh + r * P, row_at<T>(x.g, row0 + r), P);
        if (projected) __builtin_memcpy(row_at<T>(x.dproj, row0 + r), dh + r * P, size_t(P) * sizeof(T));
      }
      if (projected)
        for (int64_t p = 0; p < Panels<T>::count(H); p++)
          projection.multiply(n, dh, P, p, dfull + p * hidden.width, H, false);
      for (int64_t r = 0; r < n; r++) {
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
        for (int64_t j = 0; j < H; j += lanes<T>) Cell::backward(row, H, j, min64(lanes<T>, H - j));
      }
      const T* through = row_at<T>(gru ? x.dhidden : x.dgates, row0);
      for (int64_t p = 0; p < count; p++) hidden.multiply(n, through, G * H, p, dh + p * hidden.width, P, gru);
    });
  });
}

void rnn_backward(const Ctx& ctx, const View& dgates, const View& dhidden, const View& dh, const View& dc,
                  const View& prev, const View& dproj, const View& full, const View& g, const View& gates,
                  const View& cells, const View& y, const View& h0, const View& c0, const View& w_hh, const View& w_hr,
                  const View& sizes, RnnArgs args) noexcept {
  const BackwardViews x{dgates, dhidden, dh, dc, prev, dproj, full, g, gates, cells, y, h0, c0, w_hh, w_hr, sizes};
  dispatch(args.mode, y.dtype, [&]<class Cell, class T>(Cell, T) { backward<Cell, T>(ctx, x, args.reverse); });
}

int64_t rnn_backward_workspace(const Ctx& ctx, const View& h, const View& w_hh, const View& w_hr,
                               RnnArgs args) noexcept {
  return dispatch(args.mode, h.dtype,
                  [&]<class Cell, class T>(Cell, T) { return backward_room<T>(ctx, h, w_hh, w_hr).bytes; });
}

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

}  // namespace MIELINA_ISA
}  // namespace mielina
