// reduce: see table/reduce.h for the contracts, cpu/reduce/fold.h for what happens inside a block.
//
// Two access patterns cover all layouts. Rows: the reduced elements of one output are fetched block by block, short
// rows many at a time. Columns: the outputs lie nearer to each other in memory than the elements of one reduction (or
// the reductions are short), so vectors run along the outputs. Both cut long reductions into chunks by shape alone;
// each chunk has a slot of the workspace, and slots are merged in order, so the bits do not depend on the number of
// threads.
#include "cpu/reduce/fold.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kRowChunk = 64 * 1024;      // elements of one output that one task folds
constexpr int64_t kColumnChunk = 128 * 1024;  // elements of a tile of columns that one task folds
constexpr int64_t kShort = 64;                // reductions below this length go by columns
constexpr int64_t kLarge = 4 << 20;           // elements of an array that no cache holds

// How a reduction is cut. Of the outer dims the one in which the outputs of a tile lie is the last: `nearest` of x's.
struct Plan {
  View outer, inner;
  int64_t outer_n, inner_n;
  int nearest;
  bool columns;
  int64_t width, tile;    // columns: size of the last outer dim, else 1; columns of a task
  int64_t chunk, chunks;  // elements of one output a chunk, and how many
};

int64_t magnitude(int64_t s) { return s < 0 ? -s : s; }

// Dim d of a view's first ndim dims becomes the last of them.
void move_last(View& v, int ndim, int d) {
  const int64_t shape = v.shape[d], stride = v.stride[d];
  for (; d < ndim - 1; d++) {
    v.shape[d] = v.shape[d + 1];
    v.stride[d] = v.stride[d + 1];
  }
  v.shape[d] = shape;
  v.stride[d] = stride;
}

// halves: they are folded where they lie.
[[gnu::noinline]] Plan make_plan(const View& x, int reduced, bool halves) {
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
  const int64_t step = magnitude(p.inner.stride[reduced - 1]);
  // Channels of images in channels_last, whose sums over one row of pixels took 800 us along the other rows, 8 x 32 x
  // 56 x 56.
  p.nearest = last;
  for (int d = 0; d < last; d++)
    if (p.outer.stride[d] == 1 && p.outer.shape[d] >= 8 && step > 1 && magnitude(p.outer.stride[last]) > 1)
      p.nearest = d;
  if (last >= 0) move_last(p.outer, last + 1, p.nearest);
  p.columns =
      last >= 0 && p.outer_n > 1 && p.inner_n > 0 && (p.inner_n < kShort || magnitude(p.outer.stride[last]) < step);
  p.width = p.columns ? p.outer.shape[last] : 1;
  // Rows of 4 KB instead of 1: the sum of 4096x4096 over its rows at 33 GB/s instead of 25, of the 40 of a plain read.
  const bool as_is = x.dtype == DType::f32 || x.dtype == DType::f64 || x.dtype == DType::i64;
  bool ready = p.columns && p.outer.stride[last] == 1 && (as_is || (halves && is_half(x.dtype)));
  p.tile = ready && p.width >= kWide && (p.outer_n * p.inner_n >= kLarge || p.inner_n <= kPanel) ? kWide : kTile;
  p.chunk = p.columns ? max64(kPanel, kColumnChunk / min64(p.width, kTile) / kPanel * kPanel) : kRowChunk;
  p.chunks = max64(1, ceil_div(p.inner_n, p.chunk));
  return p;
}

int64_t reduce_workspace(const Ctx&, const View& x, int32_t reduced) noexcept {
  Plan p = make_plan(x, reduced, false);
  return p.chunks > 1 ? p.outer_n * p.chunks * kStateBytes : 0;
}

// In one place and not once a type: 4 KB of the module.
[[gnu::noinline]] Space<1> space_of(const View& v) { return Space<1>({&v}); }

// The offset in elements of number i of a view's first ndim dims.
[[gnu::noinline]] int64_t offset_of(const View& v, int ndim, int64_t i) {
  int64_t offset = 0;
  for (int d = ndim - 1; d > 0; d--) {
    offset += i % v.shape[d] * v.stride[d];
    i /= v.shape[d];
  }
  return ndim > 0 ? offset + i * v.stride[0] : 0;
}

// Outputs from number `row` on: neighbours in the last outer dim.
[[gnu::noinline]] Place place(const View& v, int64_t row) {
  if (!v.data) return {nullptr, 0, v.dtype};
  return {(char*)v.data + offset_of(v, v.ndim, row) * kDTypeSize[int(v.dtype)], v.ndim ? v.stride[v.ndim - 1] : 1,
          v.dtype};
}

template <class T>
struct Reducer {
  const Ctx& ctx;
  const Folding<T>& fold;
  Plan plan;
  View y, z;
  Space<1> in;
  bool as_is() const { return in.dtype[0] == dtype_of<T> || halves(); }
  bool halves() const { return kHalfKernels<T> && is_half(in.dtype[0]) && fold.halves(); }
  HalfSource halves_at(const char* p) const { return {(const uint16_t*)p, in.dtype[0] == DType::bf16}; }
  // Whether results in T are exact: those of reductions that are not longer than a block or a panel.
  bool monoid() const { return fold.monoid && (y.dtype != DType::f64 || __is_same(T, double)); }

  char* slot(int64_t row, int64_t chunk) const {
    return (char*)ctx.workspace + (chunk * plan.outer_n + row) * fold.state();
  }
  [[gnu::noinline]] const char* input(int64_t row) const {
    return in.data[0] + offset_of(plan.outer, plan.outer.ndim, row) * kDTypeSize[int(in.dtype[0])];
  }
  [[gnu::noinline]] void finish(const void* states, int64_t row, int64_t count) const {
    fold.finish(states, count, plan.inner_n, place(y, row), place(z, row));
  }
  // `count` outputs in T: f(to) writes what a monoid has of them, to whole vectors of y or to a buffer of kWide, which
  // it may use for more.
  template <class F>
  void write(int64_t row, int64_t count, bool more, F f) const {
    alignas(64) T buf[kWide];
    const Place to = place(y, row);
    const bool direct = !more && to.dtype == dtype_of<T> && to.stride == 1 && count % lanes<T> == 0;
    T* results = direct ? (T*)to.data : buf;
    f(results);
    close(fold.monoid->last, results, count, plan.inner_n, fold.param);
    if (!direct) row_to_fn<T>(to.dtype)(buf, to.data, to.stride, count);
  }
  // Slots of outputs [begin, end) into the first chunk's, then out.
  void combine() const {
    int64_t tiles = ceil_div(plan.width, kTile), batches = plan.outer_n / plan.width;
    parallel_ranges(ctx, batches * tiles, max64(1, 4096 / (kTile * plan.chunks)), [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; i++) {
        int64_t c0 = i % tiles * kTile, row = i / tiles * plan.width + c0, count = min64(kTile, plan.width - c0);
        for (int64_t c = 1; c < plan.chunks; c++) fold.merge(slot(row, 0), slot(row, c), count);
        finish(slot(row, 0), row, count);
      }
    });
  }

  // Whether the elements of an output are pieces of memory, of few elements but of more than a vector.
  bool in_runs() const {
    return as_is() && in.ndim == 2 && in.stride[0][1] == 1 && in.shape[1] >= lanes<T> && in.shape[1] <= kTile;
  }
  void one_row(void* s, int64_t row, int64_t chunk, T* buf) const {
    fold.init(s, 1);
    const int64_t begin = chunk * plan.chunk, end = min64(plan.inner_n, begin + plan.chunk);
    const char* base = input(row);
    auto add = [&](int64_t offset, int64_t n, int64_t at) {  // where they lie
      fold.each_blocks(n, [&](int64_t i, int64_t count, int64_t size) {
        if (fold.monoid && !halves()) return fold.blocks(s, (const T*)base + offset + i, count, size);
        for (const int64_t stop = i + count * size; i < stop; i += size) {
          if (halves()) fold.update(s, halves_at(base) + (offset + i), size, at + i);
          else fold.update(s, (const T*)base + offset + i, size, at + i);
        }
      });
    };
    if (as_is() && in.linear[0]) {
      add(begin, end - begin, begin);
    } else if (fold.monoid && plan.chunks == 1 && in_runs()) {
      if (halves()) fold.runs(s, halves_at(base), in.stride[0][0], in.shape[0], in.shape[1]);
      else fold.runs(s, (const T*)base, in.stride[0][0], in.shape[0], in.shape[1]);
    } else if (as_is() && in.stride[0][in.ndim - 1] == 1 && in.shape[in.ndim - 1] >= kShort) {
      for_rows(in, 0, begin, end - begin,
               [&](int64_t offset, int64_t run, int64_t done) { add(offset, run, begin + done); });
    } else {
      Space<1> here = in;
      here.data[0] = (char*)base;
      fold.each_blocks(end - begin, [&](int64_t i, int64_t count, int64_t size) {
        for (const int64_t stop = (i += begin) + count * size; i < stop; i += size)
          fold.update(s, (const T*)fetch<T>(here, 0, i, size, buf), size, i);
      });
    }
  }
  void rows() const {
    int64_t group = max64(1, kGrain / max64(1, min64(plan.inner_n, plan.chunk)));  // short rows share a task
    parallel_ranges(ctx, plan.outer_n * plan.chunks, group, [&](int64_t b, int64_t e) {
      alignas(64) T buf[kBlock];
      if (plan.chunks > 1) {
        for (int64_t i = b; i < e; i++)
          one_row(slot(i / plan.chunks, i % plan.chunks), i / plan.chunks, i % plan.chunks, buf);
        return;
      }
      alignas(8) char states[kTile * kStateBytes];
      const int64_t side = plan.outer.ndim ? plan.outer.shape[plan.outer.ndim - 1] : 1;
      for (int64_t i = b, n; i < e; i += n) {
        n = min64(min64(kTile, e - i), side - i % side);
        for (int64_t k = 0; k < n; k++) one_row(states + k * fold.state(), i + k, 0, buf);
        finish(states, i, n);
      }
    });
  }

  // Rows that lie in a piece, or a few, and are not longer than a block: many of them in one call.
  bool short_rows() const {
    const int last = plan.outer.ndim - 1;
    const bool piece = in.ndim == 1 && in.stride[0][0] == 1;
    return monoid() && (piece || (in_runs() && !halves() && in.shape[0] <= kPanel)) && plan.inner_n > 3 &&
           plan.inner_n <= kBlock &&
           (!plan.columns || (plan.inner_n < kShort && magnitude(plan.outer.stride[last]) > 1));
  }
  void some_rows(int64_t row, int64_t count, T* buf) const {
    const int64_t n = plan.inner_n, step = plan.outer.ndim ? plan.outer.stride[plan.outer.ndim - 1] : n;
    const char* base = input(row);
    const int64_t size = kDTypeSize[int(in.dtype[0])];
    const int64_t apart = in.stride[0][0], runs = in.ndim > 1 ? in.shape[0] : 1;
    write(row, count, false, [&](T* to) {
      if (in.dtype[0] == dtype_of<T>)
        return join_rows(*fold.monoid, to, (const T*)base, step, count, apart, runs, n / runs, fold.param);
      auto read = row_from_fn<T>(in.dtype[0]);
      for (int64_t r = 0, m; r < count; r += m) {
        m = min64(kBlock / n, count - r);
        if (step == n) read(base + r * n * size, 1, buf, m * n);
        else
          for (int64_t k = 0; k < m; k++) read(base + (r + k) * step * size, 1, buf + k * n, n);
        join_rows(*fold.monoid, to + r, (const T*)buf, n, m, 0, 1, n, fold.param);
      }
    });
  }
  void many_rows() const {
    const int64_t side = plan.outer.ndim ? plan.outer.shape[plan.outer.ndim - 1] : 1;
    const int64_t some = min64(max64(kGrain / plan.inner_n, lanes<T>), kTile), tiles = ceil_div(side, some);
    const int64_t group = max64(1, kGrain / (plan.inner_n * min64(side, some)));
    parallel_ranges(ctx, plan.outer_n / side * tiles, group, [&](int64_t b, int64_t e) {
      alignas(64) T buf[kBlock];
      for (int64_t i = b; i < e; i++) {
        const int64_t first = i % tiles * some;
        some_rows(i / tiles * side + first, min64(some, side - first), buf);
      }
    });
  }

  // Columns [c0, c0 + width) of one batch, one chunk of rows.
  void one_tile(int64_t batch, int64_t c0, int64_t chunk, T* buf) const {
    alignas(8) char local[kWide * kStateBytes];
    int64_t width = min64(plan.tile, plan.width - c0), row = batch * plan.width + c0;
    char* s = plan.chunks > 1 ? slot(row, chunk) : local;
    int64_t size = kDTypeSize[int(in.dtype[0])], cs = plan.outer.stride[plan.outer.ndim - 1];
    const char* base = input(row);
    bool direct = cs == 1 && as_is();
    auto read = row_from_fn<T>(in.dtype[0]);
    int64_t end = min64(plan.inner_n, (chunk + 1) * plan.chunk), step = in.stride[0][in.ndim - 1];
    auto gather = [&](int64_t r, int64_t n) {
      for_rows(in, 0, r, n, [&](int64_t offset, int64_t run, int64_t done) {
        if (cs == 1 && step == width) return read(base + offset * size, 1, buf + done * width, run * width);
        for (int64_t k = 0; k < run; k++) read(base + (offset + k * step) * size, cs, buf + (done + k) * width, width);
      });
    };
    if (monoid() && plan.chunks == 1 && (direct ? in.ndim == 1 : plan.inner_n <= kPanel)) {
      const Panel panel = panel_of(*fold.monoid, end, direct ? step : width, width);
      if (panel.rows == end) {
        if (!direct) gather(0, end);
        return write(row, width, panel.abreast > 1, [&](T* to) {
          if (!direct) fold_panel(*fold.monoid, to, (const T*)buf, width, width, panel, fold.param);
          else if (halves()) fold_panel(*fold.monoid, to, halves_at(base), step, width, panel, fold.param);
          else fold_panel(*fold.monoid, to, (const T*)base, step, width, panel, fold.param);
        });
      }
    }
    fold.init(s, width);
    const int64_t most = direct && in.ndim == 1 ? end : kPanel;
    for (int64_t r = chunk * plan.chunk; r < end; r += most) {
      int64_t n = min64(most, end - r);
      if (!direct) {
        gather(r, n);
        fold.columns(s, (const T*)buf, width, n, width, r);
        continue;
      }
      for_rows(in, 0, r, n, [&](int64_t offset, int64_t run, int64_t done) {
        if (halves()) fold.columns(s, halves_at(base) + offset, step, run, width, r + done);
        else fold.columns(s, (const T*)base + offset, step, run, width, r + done);
      });
    }
    for (int64_t j = 0; plan.chunks == 1 && j < width; j += kTile)
      finish(s + j * fold.state(), row + j, min64(kTile, width - j));
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
void run(const Ctx& ctx, const Folding<T>& fold, const View& y, const View& z, const View& x, int reduced) {
  if (!fold || numel(y) == 0) return;
  Plan plan = make_plan(x, reduced, fold.halves());
  // Axes keep their order (an index counts in C order; the caller has folded and sorted them).
  Reducer<T> r{ctx, fold, plan, y, z, space_of(plan.inner)};
  if (plan.nearest >= 0) move_last(r.y, y.ndim, plan.nearest);
  if (plan.nearest >= 0 && z.data) move_last(r.z, z.ndim, plan.nearest);
  if (r.short_rows()) r.many_rows();
  else if (r.plan.columns) r.columns();
  else r.rows();
  if (r.plan.chunks > 1) r.combine();
}

// Folds of every compute type, then those of floating types alone.
template <class T>
const Fold<T>* fold_of(Reduce op) {
  switch (op) {
    case Reduce::argmax: return &FoldOf<Arg<T, true, true>>::value;
    case Reduce::argmin: return &FoldOf<Arg<T, false, true>>::value;
    case Reduce::max_index: return &FoldOf<Arg<T, true, false>>::value;
    case Reduce::min_index: return &FoldOf<Arg<T, false, false>>::value;
    case Reduce::minmax: return &FoldOf<MinMax<T>>::value;
    default: break;
  }
  if constexpr (is_real<T>) {
    switch (op) {
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
template <class T>
const Monoid<T>* monoid_of(Reduce op, [[maybe_unused]] double param) {
  switch (op) {
    case Reduce::sum: return &monoid_value<T, SumOf>;
    case Reduce::prod: return &monoid_value<T, ProdOf>;
    case Reduce::max: return &monoid_value<T, MaxOf>;
    case Reduce::min: return &monoid_value<T, MinOf>;
    case Reduce::nonzero: return &monoid_value<T, NonzeroOf>;
    case Reduce::any: return &monoid_value<T, AnyOf>;
    case Reduce::all: return &monoid_value<T, AllOf>;
    default: break;
  }
  if constexpr (is_real<T>) {
    switch (op) {
      case Reduce::mean: return &monoid_value<T, MeanOf>;
      case Reduce::nansum: return &monoid_value<T, NanSumOf>;
      case Reduce::valid: return &monoid_value<T, ValidOf>;
      case Reduce::norm1: return &monoid_value<T, Norm1Of>;
      case Reduce::norm2: return &monoid_value<T, Norm2Of>;
      case Reduce::norm_p: return param < 0 ? &monoid_value<T, NormNegativeOf> : &monoid_value<T, NormPOf>;
      case Reduce::norm_inf: return &monoid_value<T, NormInfOf>;
      case Reduce::norm_minus_inf: return &monoid_value<T, NormMinusInfOf>;
      default: break;
    }
  }
  return nullptr;
}
template <class T>
Folding<T> folding_of(Reduce op, double param) {
  return {monoid_of<T>(op, param), fold_of<T>(op), param};
}

void reduce_pair(const Ctx& ctx, const View& y, const View& z, const View& x, Reduce op, int32_t reduced,
                 double param) noexcept {
  if (x.dtype == DType::f64) run(ctx, folding_of<double>(op, param), y, z, x, reduced);
  else if (x.dtype <= DType::bf16) run(ctx, folding_of<float>(op, param), y, z, x, reduced);
  else run(ctx, folding_of<int64_t>(op, param), y, z, x, reduced);
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
