// Rows: the last dim of several (outer..., C) views side by side, for kernels that fold or normalise it.
//
// A row is read in blocks of kBlock elements of a compute type. A row that already is contiguous in that type is used
// where it lies; another one is gathered once when it fits the stack, else block by block in each pass.
#pragma once
#include "cpu/block.h"
#include "cpu/halves.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int64_t kRow = 4096;  // elements of a row that a task holds on its stack: 16 KB of f32

// Halves: neighbours, of float16 or bfloat16, read and written as float.
template <class T, bool Halves = false>
struct Row {
  char* data;
  int64_t stride;
  DType dtype;
  bool direct() const { return stride == 1 && dtype == dtype_of<T>; }
  char* at(int64_t i) const { return data + i * stride * kDTypeSize[int(dtype)]; }
  // Elements [i, i + n) as T: where they lie, or in buf.
  auto get(int64_t i, [[maybe_unused]] int64_t n, [[maybe_unused]] T* buf) const {
    if constexpr (Halves) {
      return HalfSource{(const uint16_t*)data + i, dtype == DType::bf16};
    } else {
      if (direct()) return (const T*)data + i;
      row_from_fn<T>(dtype)(at(i), stride, buf, n);
      return (const T*)buf;
    }
  }
  T one(int64_t i) const {
    T x;
    row_from_fn<T>(dtype)(at(i), 1, &x, 1);
    return x;
  }
  auto out(int64_t i, [[maybe_unused]] T* buf) const {
    if constexpr (Halves) return HalfTarget{(uint16_t*)data + i, dtype == DType::bf16};
    else return direct() ? (T*)data + i : buf;
  }
  void put(int64_t i, int64_t n, const T* buf) const {
    if (!direct()) row_to_fn<T>(dtype)(buf, at(i), stride, n);
  }
  void put(int64_t, int64_t, HalfTarget) const {}
};
// The same row for a kernel of halves, all of whose rows are of dtype d: the compiler then sees one branch a vector and
// not one a row.
template <bool Halves, class T, bool Given>
MIELINA_INLINE Row<T, Halves> as(const Row<T, Given>& x, DType d) {
  return {x.data, x.stride, Halves ? d : x.dtype};
}
// Whether the last dim of all views is halves of one dtype side by side.
template <class... V>
MIELINA_INLINE bool in_halves(const View& v, const V&... others) {
  const int last = v.ndim - 1;
  const bool mine = is_half(v.dtype) && (v.shape[last] == 1 || v.stride[last] == 1);
  return mine && ((others.dtype == v.dtype && in_halves(others)) && ...);
}

template <class T>
MIELINA_INLINE Row<T> held(T* scratch) {
  return {(char*)scratch, 1, dtype_of<T>};
}
// The row itself, or a copy of it in scratch (kRow elements) that every pass can read without converting again.
template <class T>
MIELINA_INLINE Row<T> gathered(const Row<T>& x, int64_t n, T* scratch) {
  if (x.direct() || n > kRow) return x;
  x.get(0, n, scratch);
  return held(scratch);
}
template <class T>
MIELINA_INLINE Row<T, true> gathered(const Row<T, true>& x, int64_t, T*) {
  return x;
}

// f(p, i, n) over the blocks of a row.
template <class T, bool Halves, class F>
MIELINA_INLINE void for_blocks(const Row<T, Halves>& x, int64_t n, T* buf, F f) {
  for (int64_t i = 0; i < n; i += kBlock) {
    int64_t m = min64(kBlock, n - i);
    f(x.get(i, m, buf), i, m);
  }
}

// f(i, w) over the vectors of [0, n): w lanes from element i, w < lanes<T> only for the last.
template <class T, class F>
MIELINA_INLINE void for_vectors(int64_t n, F f) {
  constexpr int64_t L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) f(i, L);
  if (i < n) f(i, n - i);
}
// v with the lanes from w on set to `pad`, so that a fold over all lanes counts only the first w.
template <class T>
MIELINA_INLINE Vec<T> first(Vec<T> v, int64_t w, T pad = 0) {
  if (w == lanes<T>) return v;
  Mask<Vec<T>> lane;
  for (int i = 0; i < lanes<T>; i++) lane[i] = i;
  return select<Vec<T>>(lane < Elem<Mask<Vec<T>>>(w), v, splat<Vec<T>>(pad));
}

// The sum that f(sum, i, w) adds to over the vectors of [0, n), in four accumulators, so that no addition waits for the
// one before it. Lanes from w on must add nothing.
template <class T, class F>
MIELINA_INLINE T fold_vectors(int64_t n, F f) {
  constexpr int64_t L = lanes<T>;
  Vec<T> a{}, b{}, c{}, d{};
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    a = f(a, i, L);
    b = f(b, i + L, L);
    c = f(c, i + 2 * L, L);
    d = f(d, i + 3 * L, L);
  }
  for (; i + L <= n; i += L) a = f(a, i, L);
  if (i < n) b = f(b, i, n - i);
  return hsum((a + b) + (c + d));
}
// Sum of f(i, w) over the vectors of [0, n).
template <class T, class F>
MIELINA_INLINE T sum_vectors(int64_t n, F f) {
  return fold_vectors<T>(
      n, [&](Vec<T> sum, int64_t i, int64_t w) __attribute__((always_inline)) { return sum + first<T>(f(i, w), w); });
}

// Rows of K views of one shape; `offsets` says where rows [r, r + n) of view k begin.
template <class T, int K>
struct Rows {
  Space<K> outer;
  int64_t stride[K], C;
  explicit Rows(const View* const (&v)[K]) : outer(v, Walk::by_stride, 1) {
    int last = v[0]->ndim - 1;
    C = v[0]->shape[last];
    for (int k = 0; k < K; k++) stride[k] = C == 1 ? 1 : v[k]->stride[last];
  }
  int64_t count() const { return outer.n; }
  Row<T> row(int k, int64_t offset) const {
    DType d = outer.dtype[k];
    return {outer.data[k] + offset * kDTypeSize[int(d)], stride[k], d};
  }
  // The rows lie side by side: a column of C elements in each lane serves better than a row.
  bool vertical() const {
    bool yes = C > 1 && outer.shape[outer.ndim - 1] >= lanes<T> / 2;
    for (int k = 0; k < K; k++) yes &= stride[k] != 1 && outer.stride[k][outer.ndim - 1] == 1;
    return yes;
  }
};

// Offsets of elements [i0, i0 + n) of operand k, in elements.
template <int K>
static void offsets(const Space<K>& s, int k, int64_t i0, int64_t n, int64_t* to) {
  for_rows(s, k, i0, n, [&](int64_t offset, int64_t run, int64_t done) {
    for (int64_t j = 0; j < run; j++) to[done + j] = offset + j * s.stride[k][s.ndim - 1];
  });
}

// f(rows) with one Row of each view, for every row, in tasks of about kGrain / 4 elements. `nt`: f streams.
template <class T, int K, class F>
static void for_each_row(const Ctx& ctx, const Rows<T, K>& rows, bool nt, F f) {
  constexpr int64_t kMany = 64;
  parallel_ranges(ctx, rows.count(), max64(1, kGrain / 4 / max64(1, rows.C)), [&](int64_t b, int64_t e) {
    int64_t at[K][kMany];
    for (int64_t r = b; r < e; r += kMany) {
      int64_t n = min64(kMany, e - r);
      for (int k = 0; k < K; k++) offsets(rows.outer, k, r, n, at[k]);
      for (int64_t j = 0; j < n; j++) {
        Row<T> row[K];
        for (int k = 0; k < K; k++) row[k] = rows.row(k, at[k][j]);
        f(row);
      }
    }
    if (nt) stream_fence();
  });
}

// Rows of view 0 that are too large for the caches, and whole vectors at aligned places.
template <class T, int K>
static bool bypass(const Rows<T, K>& rows, bool halves) {
  const Space<K>& s = rows.outer;
  bool whole = rows.C % lanes<T> == 0 && rows.stride[0] == 1 && (halves || s.dtype[0] == dtype_of<T>);
  whole &= (uintptr_t)s.data[0] % VBYTES == 0 && s.n * rows.C * kDTypeSize[int(s.dtype[0])] >= kStreamBytes;
  for (int d = 0; d < s.ndim; d++) whole &= s.stride[0][d] % lanes<T> == 0;
  return whole;
}

// y = f(i, w) over n elements of a block, with w as in for_vectors; `nt` bypasses the caches (aligned, whole vectors).
template <class T, class F>
MIELINA_INLINE void map_vectors(T* y, int64_t n, bool nt, F f) {
  if (nt)
    for (int64_t j = 0; j < n; j += lanes<T>) stream(y + j, f(j, lanes<T>));
  else for_vectors<T>(n, [&](int64_t j, int64_t w) __attribute__((always_inline)) { store_part(y + j, f(j, w), w); });
}
template <class F>
MIELINA_INLINE void map_vectors(HalfTarget y, int64_t n, bool nt, F f) {
  for_vectors<float>(n,
                     [&](int64_t j, int64_t w) __attribute__((always_inline)) { store_part(y + j, f(j, w), w, nt); });
}

// ---- columns --------------------------------------------------------------------------------------------------------
// A tile of up to kTile neighbouring rows whose elements c lie side by side: as wide as kTileElements allow, since the
// hardware fetches ahead within a row of the tile and not from one to the next, four vectors at least. Tiles with a
// part of a vector and other dtypes pass through a buffer of kTile elements, so that the loops never see a tail.
template <class T>
constexpr int64_t kTile = 64 * lanes<T>;
constexpr int64_t kTileElements = 8 * 1024;

template <class T>
struct Column {
  char* data;
  int64_t stride, width;
  DType dtype;
  bool direct() const { return width % lanes<T> == 0 && dtype == dtype_of<T>; }
  int64_t vectors() const { return ceil_div(width, lanes<T>); }
  const T* get(int64_t c, T* buf) const {
    char* p = data + c * stride * kDTypeSize[int(dtype)];
    if (direct()) return (const T*)p;
    row_from_fn<T>(dtype)(p, 1, buf, width);
    return buf;
  }
  T* out(int64_t c, T* buf) const { return direct() ? (T*)data + c * stride : buf; }
  void put(int64_t c, const T* buf) const {
    if (!direct()) row_to_fn<T>(dtype)(buf, data + c * stride * kDTypeSize[int(dtype)], 1, width);
  }
};

// f(columns) for every tile of vertical rows.
template <class T, int K, class F>
static void for_each_column(const Ctx& ctx, const Rows<T, K>& rows, F f) {
  int last = rows.outer.ndim - 1;
  const int64_t four = 4 * lanes<T>, wide = max64(four, min64(kTile<T>, kTileElements / rows.C / four * four));
  int64_t side = rows.outer.shape[last], tiles = ceil_div(side, wide), groups = rows.count() / max64(1, side);
  int64_t grain = max64(1, kGrain / 4 / (rows.C * min64(side, wide)));
  parallel_ranges(ctx, groups * tiles, grain, [&](int64_t b, int64_t e) {
    for (int64_t t = b; t < e; t++) {
      int64_t i = t / tiles * side + t % tiles * wide;
      Column<T> column[K];
      for (int k = 0; k < K; k++) {
        int64_t at;
        offsets(rows.outer, k, i, 1, &at);
        DType d = rows.outer.dtype[k];
        int64_t width = min64(wide, side - t % tiles * wide);
        column[k] = {rows.outer.data[k] + at * kDTypeSize[int(d)], rows.stride[k], width, d};
      }
      f(column);
    }
  });
}

}  // namespace MIELINA_ISA
}  // namespace mielina
