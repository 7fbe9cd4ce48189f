// reduce: see table/reduce.h. Every sum is cut into blocks of 1024 elements summed in vectors, and blocks are added in
// double: the error of an f32 sum is that of 16 additions, whatever its length, and the cut knows nothing of threads.
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kChunk = 64 * 1024;  // elements of one output's sum that one task adds up

template <class T> struct Wide { using type = double; };
template <> struct Wide<int64_t> { using type = int64_t; };

template <class T> T sum_block(const T* p, int64_t n) {
  constexpr int64_t L = lanes<T>;
  Vec<T> a{}, b{}, c{}, d{};
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    a += load(p + i);
    b += load(p + i + L);
    c += load(p + i + 2 * L);
    d += load(p + i + 3 * L);
  }
  for (; i + L <= n; i += L) a += load(p + i);
  if (i < n) b += load_n(p + i, n - i);
  return hsum((a + b) + (c + d));
}

// The layout of x split into the part that stays and the part that is folded.
struct Split {
  View outer, y, inner;
  int64_t outer_n, inner_n, chunks;
};
Split split(const View& y, const View& x, int reduced) {
  Split s;
  s.outer = x;
  s.outer.ndim = x.ndim - reduced;
  s.y = y;
  s.inner = x;
  s.inner.ndim = reduced;
  for (int d = 0; d < reduced; d++) {
    s.inner.shape[d] = x.shape[x.ndim - reduced + d];
    s.inner.stride[d] = x.stride[x.ndim - reduced + d];
  }
  s.outer_n = numel(s.outer);
  s.inner_n = numel(s.inner);
  s.chunks = max64(1, ceil_div(s.inner_n, kChunk));
  return s;
}

int64_t reduce_workspace(const Ctx&, const View& y, const View& x, Reduce, int32_t reduced) noexcept {
  Split s = split(y, x, reduced);
  return s.chunks > 1 ? s.outer_n * s.chunks * 8 : 0;
}

template <class T> void put_any(DType d, char* base, int64_t at, T value) {
  row_to_fn<T>(d)(&value, base + at * kDTypeSize[int(d)], 1, 1);
}

// One sum an output, over `inner` in any layout; `slots` holds a partial sum a chunk when there are several.
template <class T> void sum_rows(const Ctx& ctx, const Split& s) {
  using W = typename Wide<T>::type;
  Space<1> in;
  make_space<1>(in, {&s.inner});
  Space<2> at;  // walks y and the outer part of x side by side
  make_space<2>(at, {&s.y, &s.outer});
  int64_t xsize = kDTypeSize[int(in.dtype[0])], ysize = kDTypeSize[int(s.y.dtype)];
  W* slots = (W*)ctx.workspace;
  int64_t group = max64(1, kGrain / max64(1, min64(s.inner_n, kChunk)));  // short rows share a task
  auto one = [&](int64_t row, int64_t chunk) __attribute__((always_inline)) {
    int64_t xo = 0, yo = 0;
    for_rows(at, 1, row, 1, [&](int64_t o, int64_t, int64_t) { xo = o; });
    for_rows(at, 0, row, 1, [&](int64_t o, int64_t, int64_t) { yo = o; });
    Space<1> here = in;
    here.data[0] = (char*)s.outer.data + xo * xsize;
    alignas(64) T buf[kBlock];
    W total = 0;
    int64_t end = min64(s.inner_n, (chunk + 1) * kChunk);
    for (int64_t i = chunk * kChunk; i < end; i += kBlock) {
      int64_t n = min64(kBlock, end - i);
      total += W(sum_block(fetch<T>(here, 0, i, n, buf), n));
    }
    if (s.chunks > 1) slots[row * s.chunks + chunk] = total;
    else put_any<W>(s.y.dtype, (char*)s.y.data + yo * ysize, 0, total);
  };
  if (s.chunks == 1) {
    parallel_ranges(ctx, s.outer_n, group, [&](int64_t b, int64_t e) {
      for (int64_t row = b; row < e; row++) one(row, 0);
    });
    return;
  }
  parallel_for(ctx, s.outer_n * s.chunks, [&](int64_t i, int) { one(i / s.chunks, i % s.chunks); });
  for (int64_t row = 0; row < s.outer_n; row++) {
    W total = 0;
    for (int64_t c = 0; c < s.chunks; c++) total += slots[row * s.chunks + c];
    for_rows(at, 0, row, 1, [&](int64_t o, int64_t, int64_t) {
      put_any<W>(s.y.dtype, (char*)s.y.data + o * ysize, 0, total);
    });
  }
}

// Columns: the outer part is one contiguous run of x, the reduced part one stride (the bias gradient). 128 rows are added
// in T, then into double.
template <class T> void sum_columns(const Ctx& ctx, const View& y, const View& x) {
  using W = typename Wide<T>::type;
  constexpr int64_t L = lanes<T>, kTile = 4 * L;
  int64_t C = x.shape[0], R = x.shape[1], rs = x.stride[1];
  int64_t tiles = ceil_div(C, kTile), group = max64(1, kGrain / (kTile * R));
  parallel_ranges(ctx, tiles, group, [&](int64_t b, int64_t e) {
    for (int64_t c = b * kTile; c < min64(C, e * kTile); c += kTile) {
      int64_t width = min64(kTile, C - c);
      W total[kTile] = {};
      T part[kTile];
      for (int64_t r0 = 0; r0 < R; r0 += 128) {
        Vec<T> acc[4] = {};
        int64_t r1 = min64(R, r0 + 128);
        if (width == kTile)
          for (int64_t r = r0; r < r1; r++)
            for (int j = 0; j < 4; j++) acc[j] += load((const T*)x.data + r * rs + c + j * L);
        else
          for (int64_t r = r0; r < r1; r++)
            for (int64_t j = 0; j * L < width; j++)
              acc[j] += load_n((const T*)x.data + r * rs + c + j * L, min64(L, width - j * L));
        for (int j = 0; j < 4; j++) store(part + j * L, acc[j]);
        for (int64_t j = 0; j < width; j++) total[j] += W(part[j]);
      }
      row_to_fn<W>(y.dtype)(total, (char*)y.data + c * y.stride[0] * kDTypeSize[int(y.dtype)], y.stride[0], width);
    }
  });
}

template <class T> void sum(const Ctx& ctx, const View& y, const View& x, int reduced) {
  bool columns = x.ndim == 2 && reduced == 1 && x.dtype == dtype_of<T> && x.stride[0] == 1 && x.stride[1] != 1;
  if (columns) sum_columns<T>(ctx, y, x);
  else sum_rows<T>(ctx, split(y, x, reduced));
}

void reduce(const Ctx& ctx, const View& y, const View& x, Reduce, int32_t reduced) noexcept {
  if (numel(y) == 0) return;
  if (x.dtype == DType::f64) sum<double>(ctx, y, x, reduced);
  else if (x.dtype <= DType::bf16) sum<float>(ctx, y, x, reduced);
  else sum<int64_t>(ctx, y, x, reduced);
}

}  // namespace

void fill_reduce(Kernels& k) {
  k.reduce = reduce;
  k.reduce_workspace = reduce_workspace;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
