// reduce: see table/reduce.h for the contracts, cpu/reduce/fold.h for what happens inside a block.
//
// Two access patterns cover all layouts. Rows: the reduced elements of one output are fetched block by block. Columns:
// the outputs lie nearer to each other in memory than the elements of one reduction (or the reductions are short), so
// vectors run along the outputs. Both cut long reductions into chunks by shape alone; each chunk has a slot of the
// workspace, and slots are merged in order, so the bits do not depend on the number of threads.
#include "cpu/reduce/fold.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kRowChunk = 64 * 1024;      // elements of one output that one task folds
constexpr int64_t kColumnChunk = 128 * 1024;  // elements of a tile of columns that one task folds
constexpr int64_t kShort = 64;                // reductions below this length go by columns
constexpr int64_t kLarge = 4 << 20;           // elements of an array that no cache holds

// How a reduction is cut.
struct Plan {
  View outer, inner;
  int64_t outer_n, inner_n;
  bool columns;
  int64_t width, tile;    // columns: size of the last outer dim, else 1; columns of a task
  int64_t chunk, chunks;  // elements of one output a chunk, and how many
};

int64_t magnitude(int64_t s) { return s < 0 ? -s : s; }

// halves: they are folded where they lie.
Plan make_plan(const View& x, int reduced, bool halves) {
  Plan p;
  p.outer = p.inner = x;
  p.outer.ndim = x.ndim - reduced;
  p.inner.ndim = reduced;
  for (int d = 0; d < reduced; d++) {
    p.inner.shape[d] = x.shape[p.outer.ndim + d];
    p.inner.stride[d] = x.stride[p.outer.ndim + d];
  }
  p.outer_n = numel(p.outer);
  p.inner_n = numel(p.inner);
  int last = p.outer.ndim - 1;
  p.columns = last >= 0 && p.outer_n > 1 && p.inner_n > 0 &&
              (p.inner_n < kShort || magnitude(x.stride[last]) < magnitude(p.inner.stride[reduced - 1]));
  p.width = p.columns ? x.shape[last] : 1;
  // Rows of 4 KB instead of 1: the sum of 4096x4096 over its rows at 33 GB/s instead of 25, of the 40 of a plain read.
  const bool as_is = x.dtype == DType::f32 || x.dtype == DType::f64 || x.dtype == DType::i64;
  bool ready = p.columns && x.stride[last] == 1 && (as_is || (halves && is_half(x.dtype)));
  p.tile = ready && p.width >= kWide && p.outer_n * p.inner_n >= kLarge ? kWide : kTile;
  p.chunk = p.columns ? max64(kPanel, kColumnChunk / min64(p.width, kTile) / kPanel * kPanel) : kRowChunk;
  p.chunks = max64(1, ceil_div(p.inner_n, p.chunk));
  return p;
}

int64_t reduce_workspace(const Ctx&, const View& x, int32_t reduced) noexcept {
  Plan p = make_plan(x, reduced, false);
  return p.chunks > 1 ? p.outer_n * p.chunks * kStateBytes : 0;
}

// The offset in elements of number i of a view's first ndim dims.
int64_t offset_of(const View& v, int ndim, int64_t i) {
  int64_t offset = 0;
  for (int d = ndim - 1; d > 0; d--) {
    offset += i % v.shape[d] * v.stride[d];
    i /= v.shape[d];
  }
  return ndim > 0 ? offset + i * v.stride[0] : 0;
}

template <class T>
struct Reducer {
  const Ctx& ctx;
  const Fold<T>& fold;
  Plan plan;
  View y, z;
  double param;
  Space<1> in;

  char* slot(int64_t row, int64_t chunk) const {
    return (char*)ctx.workspace + (chunk * plan.outer_n + row) * fold.state;
  }
  bool halves() const { return fold.update_halves && is_half(in.dtype[0]); }
  HalfSource halves_at(const char* p) const { return {(const uint16_t*)p, in.dtype[0] == DType::bf16}; }
  static Place place(const View& v, int64_t offset, int64_t stride) {
    return {v.data ? (char*)v.data + offset * kDTypeSize[int(v.dtype)] : nullptr, stride, v.dtype};
  }
  // Writes `count` outputs from number `row` on: neighbours in the last outer dim.
  void finish(const void* states, int64_t row, int64_t count) const {
    int nd = y.ndim;
    int64_t ys = nd ? y.stride[nd - 1] : 1, zs = z.data && nd ? z.stride[nd - 1] : 1;
    fold.finish(states, count, plan.inner_n, param, place(y, offset_of(y, nd, row), ys),
                place(z, z.data ? offset_of(z, nd, row) : 0, zs));
  }
  // Slots of outputs [begin, end) into the first chunk's, then out.
  void combine() const {
    int64_t tiles = ceil_div(plan.width, kTile), batches = plan.outer_n / plan.width;
    parallel_ranges(ctx, batches * tiles, max64(1, 4096 / (kTile * plan.chunks)), [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; i++) {
        int64_t c0 = i % tiles * kTile, row = i / tiles * plan.width + c0, count = min64(kTile, plan.width - c0);
        for (int64_t c = 1; c < plan.chunks; c++)
          for (int64_t j = 0; j < count; j++) fold.merge(slot(row + j, 0), slot(row + j, c));
        finish(slot(row, 0), row, count);
      }
    });
  }

  void one_row(int64_t row, int64_t chunk, T* buf) const {
    alignas(8) char local[kStateBytes];
    void* s = plan.chunks > 1 ? slot(row, chunk) : local;
    fold.init(s);
    const int64_t begin = chunk * plan.chunk, end = min64(plan.inner_n, begin + plan.chunk);
    const char* base = in.data[0] + offset_of(plan.outer, plan.outer.ndim, row) * kDTypeSize[int(in.dtype[0])];
    auto add = [&](int64_t offset, int64_t n, int64_t at) {  // where they lie
      for (int64_t i = 0; i < n; i += kBlock) {
        const int64_t m = min64(kBlock, n - i);
        if (halves()) fold.update_halves(s, halves_at(base) + (offset + i), m, at + i, param);
        else fold.update(s, (const T*)base + offset + i, m, at + i, param);
      }
    };
    const bool as_is = in.dtype[0] == dtype_of<T> || halves();
    if (as_is && in.linear[0]) {
      add(begin, end - begin, begin);
    } else if (as_is && in.stride[0][in.ndim - 1] == 1 && in.shape[in.ndim - 1] >= kShort) {
      for_rows(in, 0, begin, end - begin,
               [&](int64_t offset, int64_t run, int64_t done) { add(offset, run, begin + done); });
    } else {
      Space<1> here = in;
      here.data[0] = (char*)base;
      for (int64_t i = begin; i < end; i += kBlock) {
        int64_t n = min64(kBlock, end - i);
        fold.update(s, fetch<T>(here, 0, i, n, buf), n, i, param);
      }
    }
    if (plan.chunks == 1) finish(s, row, 1);
  }
  void rows() const {
    int64_t group = max64(1, kGrain / max64(1, min64(plan.inner_n, plan.chunk)));  // short rows share a task
    parallel_ranges(ctx, plan.outer_n * plan.chunks, group, [&](int64_t b, int64_t e) {
      alignas(64) T buf[kBlock];
      for (int64_t i = b; i < e; i++) one_row(i / plan.chunks, i % plan.chunks, buf);
    });
  }

  // Columns [c0, c0 + width) of one batch, one chunk of rows.
  void one_tile(int64_t batch, int64_t c0, int64_t chunk, T* buf) const {
    alignas(8) char local[kWide * kStateBytes];
    int64_t width = min64(plan.tile, plan.width - c0), row = batch * plan.width + c0;
    char* s = plan.chunks > 1 ? slot(row, chunk) : local;
    for (int64_t j = 0; j < width; j++) fold.init(s + j * fold.state);
    int64_t size = kDTypeSize[int(in.dtype[0])], cs = plan.outer.stride[plan.outer.ndim - 1];
    const char* base = in.data[0] + offset_of(plan.outer, plan.outer.ndim, row) * size;
    bool direct = cs == 1 && (in.dtype[0] == dtype_of<T> || halves());
    auto read = row_from_fn<T>(in.dtype[0]);
    int64_t end = min64(plan.inner_n, (chunk + 1) * plan.chunk), step = in.stride[0][in.ndim - 1];
    for (int64_t r = chunk * plan.chunk; r < end; r += kPanel) {
      int64_t n = min64(kPanel, end - r);
      for_rows(in, 0, r, n, [&](int64_t offset, int64_t run, int64_t done) {
        if (direct) {
          if (halves()) fold.columns_halves(s, halves_at(base) + offset, step, run, width, r + done, param);
          else fold.columns(s, (const T*)base + offset, step, run, width, r + done, param);
          return;
        }
        for (int64_t k = 0; k < run; k++) read(base + (offset + k * step) * size, cs, buf + (done + k) * kTile, width);
      });
      if (!direct) fold.columns(s, buf, kTile, n, width, r, param);
    }
    for (int64_t j = 0; plan.chunks == 1 && j < width; j += kTile)
      finish(s + j * fold.state, row + j, min64(kTile, width - j));
  }
  void columns() const {
    int64_t tiles = ceil_div(plan.width, plan.tile), batches = plan.outer_n / plan.width;
    int64_t work = min64(plan.width, plan.tile) * min64(plan.inner_n, plan.chunk);
    parallel_ranges(ctx, batches * tiles * plan.chunks, max64(1, kGrain / work), [&](int64_t b, int64_t e) {
      alignas(64) T buf[kPanel * kTile];
      for (int64_t i = b; i < e; i++) {
        int64_t tile = i / plan.chunks;
        one_tile(tile / tiles, tile % tiles * plan.tile, i % plan.chunks, buf);
      }
    });
  }
};

template <class T>
void run(const Ctx& ctx, const Fold<T>* fold, const View& y, const View& z, const View& x, int reduced, double param) {
  if (!fold || numel(y) == 0) return;
  Plan plan = make_plan(x, reduced, fold->columns_halves);
  // Axes keep their order (an index counts in C order; the caller has folded and sorted them).
  Reducer<T> r{ctx, *fold, plan, y, z, param, Space<1>({&plan.inner})};
  if (r.plan.columns) r.columns();
  else r.rows();
  if (r.plan.chunks > 1) r.combine();
}

template <class T, class W, class M>
constexpr const Fold<T>* monoid = &FoldOf<Monoid<T, W, M>>::value;

// Folds of every compute type, then those of floating types alone.
template <class T>
const Fold<T>* fold_of(Reduce op, [[maybe_unused]] double param) {
  switch (op) {
    case Reduce::sum: return monoid<T, Total<T>, SumOf>;
    case Reduce::prod: return monoid<T, Total<T>, ProdOf>;
    case Reduce::max: return monoid<T, T, MaxOf>;
    case Reduce::min: return monoid<T, T, MinOf>;
    case Reduce::nonzero: return monoid<T, int64_t, NonzeroOf>;
    case Reduce::any: return monoid<T, int64_t, AnyOf>;
    case Reduce::all: return monoid<T, int64_t, AllOf>;
    case Reduce::argmax: return &FoldOf<Arg<T, true, true>>::value;
    case Reduce::argmin: return &FoldOf<Arg<T, false, true>>::value;
    case Reduce::max_index: return &FoldOf<Arg<T, true, false>>::value;
    case Reduce::min_index: return &FoldOf<Arg<T, false, false>>::value;
    case Reduce::minmax: return &FoldOf<MinMax<T>>::value;
    default: break;
  }
  if constexpr (is_real<T>) {
    switch (op) {
      case Reduce::mean: return monoid<T, double, MeanOf>;
      case Reduce::nansum: return monoid<T, double, NanSumOf>;
      case Reduce::valid: return monoid<T, int64_t, ValidOf>;
      case Reduce::norm1: return monoid<T, double, Norm1Of>;
      case Reduce::norm2: return monoid<T, double, Norm2Of>;
      case Reduce::norm_p: return param < 0 ? monoid<T, double, NormNegativeOf> : monoid<T, double, NormPOf>;
      case Reduce::norm_inf: return monoid<T, T, NormInfOf>;
      case Reduce::norm_minus_inf: return monoid<T, T, NormMinusInfOf>;
      case Reduce::logsumexp: return &FoldOf<LogSumExp<T>>::value;
      case Reduce::var:
      case Reduce::var_mean: return &FoldOf<Moments<T, false>>::value;
      case Reduce::std:
      case Reduce::std_mean: return &FoldOf<Moments<T, true>>::value;
      default: break;
    }
  }
  return nullptr;
}

void reduce_pair(const Ctx& ctx, const View& y, const View& z, const View& x, Reduce op, int32_t reduced,
                 double param) noexcept {
  if (x.dtype == DType::f64) run(ctx, fold_of<double>(op, param), y, z, x, reduced, param);
  else if (x.dtype <= DType::bf16) run(ctx, fold_of<float>(op, param), y, z, x, reduced, param);
  else run(ctx, fold_of<int64_t>(op, param), y, z, x, reduced, param);
}
void reduce(const Ctx& ctx, const View& y, const View& x, Reduce op, int32_t reduced, double param) noexcept {
  reduce_pair(ctx, y, View{}, x, op, reduced, param);
}

}  // namespace

void fill_reduce(Kernels&);
void fill_reduce(Kernels& k) {
  k.reduce = reduce;
  k.reduce_pair = reduce_pair;
  k.reduce_workspace = reduce_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
