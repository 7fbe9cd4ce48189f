// rnn: see table/rnn.h. The batch is cut into rows of samples; each task runs its rows through all steps alone, so that
// nothing is waited for between steps. W_hh is packed once a sequence; a step is, for each panel of hidden units, the
// product of all its gates and the cell right after, while their sums are in the L1 cache.
#include "cpu/gemm/micro.h"
#include "cpu/gemm/pack.h"
#include "cpu/rnn/cells.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// A (K, size) operand B as panels of columns.
template <class T>
struct Panels {
  static constexpr int64_t width = Plain<T>::NV * lanes<T>;
  T* data;
  int64_t K, size;

  static int64_t count(int64_t size) { return ceil_div(size, width); }
  static int64_t bytes(int64_t K, int64_t size) { return count(size) * width * K * int64_t(sizeof(T)); }
  int64_t cols(int64_t p) const { return min64(width, size - p * width); }
  // Panel p, from element (k, j) at from[j * sj + k * sk], stored as number `at`.
  void pack(const T* from, int64_t sj, int64_t sk, int64_t p, int64_t at) const {
    const int64_t step = ceil_div(cols(p), lanes<T>) * lanes<T>;
    Strided<Plain<T>, T>{from, size, K, sj, sk, width}.pack(data + at * width * K, step, p, 0, K);
  }
  // d (rows, cols) = or += a (rows, K) times the panel stored as number `at`; a's rows are contiguous.
  void multiply(int64_t rows, const T* a, int64_t lda, int64_t p, int64_t at, T* d, int64_t ld, bool add) const {
    using Op = Plain<T>;
    const int64_t n = cols(p), step = ceil_div(n, lanes<T>) * lanes<T>, blocks = ceil_div(rows, Op::MR);
    const auto& kernels = MicroKernels<Op, false>::table.at[step / lanes<T> - 1];
    const T* b = data + at * width * K;
    for (int64_t i = 0, r = 0, m; i < blocks; i++, r += m) {
      m = rows / blocks + (i < rows % blocks);
      const char* next = (const char*)(b + width * K) + i * K * 64;
      kernels[m - 1](K, {a + r * lda, lda, 1}, {b, 1, step}, d + r * ld, ld, n, add, next);
    }
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

// Where the parts of the workspace begin: W_hh, W_hr, then each worker's rows of H.
struct Room {
  int64_t projection, rows, row_bytes, bytes;
};
template <class T>
Room room(const Ctx& ctx, int64_t N, int64_t K_hh, int64_t width_hh, int64_t count_hh, const View& w_hr, bool back) {
  Room r;
  const int64_t P = w_hr.data ? w_hr.shape[0] : 0, H = w_hr.data ? w_hr.shape[1] : 0;
  r.projection = align64(count_hh * Panels<T>::bytes(K_hh, width_hh));
  r.rows = r.projection + align64(w_hr.data ? back ? Panels<T>::bytes(P, H) : Panels<T>::bytes(H, P) : 0);
  r.row_bytes = align64(Cut(ctx, N).most() * H * int64_t(sizeof(T)));
  r.bytes = r.rows + ctx.threads * r.row_bytes;
  return r;
}
template <class T>
Room forward_room(const Ctx& ctx, const View& h, const View& w_hh, const View& w_hr, int64_t G) {
  return room<T>(ctx, h.shape[0], w_hh.shape[1], w_hh.shape[0] / G, G, w_hr, false);
}
template <class T>
Room backward_room(const Ctx& ctx, const View& h, const View& w_hh, const View& w_hr) {
  return room<T>(ctx, h.shape[0], w_hh.shape[0], w_hh.shape[1], 1, w_hr, true);
}

constexpr int64_t kPackGrain = 32 * 1024;  // elements a task of packing

template <class F>
void pack_all(const Ctx& ctx, int64_t panels, int64_t elements, F f) {
  parallel_ranges(ctx, panels, max64(1, kPackGrain / max64(1, elements)), [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; i++) f(i);
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
struct ForwardViews {
  const View &y, &h, &c, &gates, &cells, &w_hh, &b_hn, &w_hr, &sizes;
};

template <class Cell, class T>
void forward(const Ctx& ctx, const ForwardViews& x, bool reverse) {
  constexpr int64_t G = Cell::gates;
  constexpr bool lstm = G == 4, gru = G == 3;
  const int64_t H = x.gates.shape[1] / G, P = x.h.shape[1], ldy = x.y.stride[0];
  const Room space = forward_room<T>(ctx, x.h, x.w_hh, x.w_hr, G);
  const Panels<T> hidden{(T*)ctx.workspace, P, H}, projection{(T*)((char*)ctx.workspace + space.projection), H, P};
  const int64_t count = Panels<T>::count(H);
  pack_all(ctx, count * G, P * hidden.width, [&](int64_t i) {
    hidden.pack((const T*)x.w_hh.data + i % G * H * x.w_hh.stride[0], x.w_hh.stride[0], 1, i / G, i);
  });
  if (x.w_hr.data)
    pack_all(ctx, Panels<T>::count(P), H * hidden.width,
             [&](int64_t i) { projection.pack((const T*)x.w_hr.data, x.w_hr.stride[0], 1, i, i); });
  const Steps steps(x.sizes, x.gates.shape[0], reverse);
  const Cut cut(ctx, x.h.shape[0]);
  parallel_for(ctx, cut.pieces, [&](int64_t piece, int worker) {
    const int64_t n0 = cut.begin(piece), n1 = cut.begin(piece + 1);
    T* full = (T*)((char*)ctx.workspace + space.rows + worker * space.row_bytes);
    T* h = (T*)x.h.data + n0 * P;
    steps.each(!reverse, [&](int64_t t, int64_t start) {
      const int64_t n = min64(n1, steps.size(t)) - n0, row0 = start + n0;
      if (n <= 0) return;
      T* gates = (T*)x.gates.data + row0 * G * H;
      T* cells = lstm || gru ? (T*)x.cells.data + row0 * H : nullptr;
      T* y = (T*)x.y.data + row0 * ldy;
      for (int64_t p = 0; p < count; p++) {
        const int64_t j0 = p * hidden.width, j1 = j0 + hidden.cols(p);
        for (int64_t g = 0; g < G; g++) {
          if (gru && g == 2) hidden.multiply(n, h, P, p, p * G + g, cells + j0, H, false);
          else hidden.multiply(n, h, P, p, p * G + g, gates + g * H + j0, G * H, true);
        }
        for (int64_t r = 0; r < n; r++) {
          const CellRow<T> row{gates + r * G * H, cells + r * H,         lstm ? (T*)x.c.data + (n0 + r) * H : nullptr,
                               h + r * P,         (const T*)x.b_hn.data, x.w_hr.data ? full + r * H : y + r * ldy};
          for (int64_t j = j0; j < j1; j += lanes<T>) Cell::forward(row, H, j, min64(lanes<T>, j1 - j));
        }
      }
      if (x.w_hr.data)
        for (int64_t p = 0; p < Panels<T>::count(P); p++)
          projection.multiply(n, full, H, p, p, h + p * hidden.width, P, false);
      for (int64_t r = 0; r < n; r++) {
        if (x.w_hr.data) __builtin_memcpy(y + r * ldy, h + r * P, size_t(P) * sizeof(T));
        else __builtin_memcpy(h + r * P, y + r * ldy, size_t(P) * sizeof(T));
      }
    });
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
         const View& w_hh, const View& b_hn, const View& w_hr, const View& sizes, RnnArgs args) noexcept {
  const ForwardViews x{y, h, c, gates, cells, w_hh, b_hn, w_hr, sizes};
  dispatch(args.mode, y.dtype, [&]<class Cell, class T>(Cell, T) { forward<Cell, T>(ctx, x, args.reverse); });
}

int64_t rnn_workspace(const Ctx& ctx, const View& h, const View& w_hh, const View& w_hr, RnnArgs args) noexcept {
  return dispatch(args.mode, h.dtype,
                  [&]<class Cell, class T>(Cell, T) { return forward_room<T>(ctx, h, w_hh, w_hr, Cell::gates).bytes; });
}

// ---- backward -------------------------------------------------------------------------------------------------------
struct BackwardViews {
  const View &dgates, &dhidden, &dh, &dc, &prev, &dproj, &full, &g, &gates, &cells, &y, &h0, &c0, &w_hh, &w_hr, &sizes;
};

template <class T>
T* row_at(const View& v, int64_t i) {
  return (T*)v.data + i * v.stride[0];
}

template <class Cell, class T>
void backward(const Ctx& ctx, const BackwardViews& x, bool reverse) {
  constexpr int64_t G = Cell::gates;
  constexpr bool lstm = G == 4, gru = G == 3;
  const bool projected = x.w_hr.data != nullptr;
  const int64_t H = x.gates.shape[1] / G, P = x.h0.shape[1];
  const Room space = backward_room<T>(ctx, x.h0, x.w_hh, x.w_hr);
  const Panels<T> hidden{(T*)ctx.workspace, G * H, P}, projection{(T*)((char*)ctx.workspace + space.projection), P, H};
  const int64_t count = Panels<T>::count(P);
  pack_all(ctx, count, G * H * hidden.width,
           [&](int64_t i) { hidden.pack((const T*)x.w_hh.data, 1, x.w_hh.stride[0], i, i); });
  if (projected)
    pack_all(ctx, Panels<T>::count(H), P * hidden.width,
             [&](int64_t i) { projection.pack((const T*)x.w_hr.data, 1, x.w_hr.stride[0], i, i); });
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
          projection.multiply(n, dh, P, p, p, dfull + p * hidden.width, H, false);
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
      for (int64_t p = 0; p < count; p++) hidden.multiply(n, through, G * H, p, p, dh + p * hidden.width, P, gru);
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
