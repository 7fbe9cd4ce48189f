// index: see table/index.h.
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kMaskChunk = 64 * 1024;

MIELINA_INLINE int64_t place(int64_t i, int64_t bound) {
  i += i < 0 ? bound : 0;
  return i < 0 ? 0 : i >= bound ? bound - 1 : i;
}

// The places of up to kPlaces indices, `step` apart: the indices themselves where they lie together in [0, bound), else
// in `to`, counted from the end or, where wrong, taken into range. `suspect`: whether one of them was not in [0,
// bound).
constexpr int64_t kPlaces = 64;
[[gnu::noinline]] const int64_t* places(const int64_t* index, int64_t step, int64_t n, int64_t bound, int64_t* to,
                                        bool& suspect) {
  constexpr int64_t L = lanes<int64_t>;
  const vu64 top = splat<vu64>(uint64_t(bound - 1));
  vu64 outside{};  // the sign bit of v or of top - v
  int64_t j = step == 1 ? 0 : n;
  for (; j + L <= n; j += L) {
    __builtin_prefetch(index + j + 512);  // while the elements are fetched, nobody else asks for indices
    const vu64 v = load((const uint64_t*)index + j);
    outside |= v | (top - v);
  }
  bool odd = any_lane((vi64)outside < vi64{});
  for (; j < n; j++) odd |= uint64_t(index[j]) >= uint64_t(bound);
  if (step == 1 && !odd) return index;
  for (j = 0; j < n; j++) {
    const int64_t v = index[j * step];
    to[j] = place(v, bound);
    suspect |= to[j] != v;
  }
  return to;
}
void report(const Lookup& l, bool suspect) {
  if (suspect && l.suspects) __atomic_fetch_add(l.suspects, 1, __ATOMIC_RELAXED);
}

void index_bounds(const Ctx& ctx, const View& bounds, const View& index) noexcept {
  constexpr int64_t chunk = 16 * 1024;
  parallel_ranges(ctx, numel(index), chunk, [&](int64_t begin, int64_t end) {
    const int64_t* p = (const int64_t*)index.data;
    constexpr int64_t L = lanes<int64_t>;
    vi64 low[2], high[2];
    for (int k = 0; k < 2; k++) low[k] = high[k] = vi64{} + p[begin];
    int64_t i = begin;
    for (; i + 2 * L <= end; i += 2 * L)
      for (int k = 0; k < 2; k++) {
        vi64 v = load(p + i + k * L);
        low[k] = min(low[k], v);
        high[k] = max(high[k], v);
      }
    int64_t least = hmin(min(low[0], low[1])), most = hmax(max(high[0], high[1]));
    for (; i < end; i++) {
      least = min64(least, p[i]);
      most = max64(most, p[i]);
    }
    int64_t* to = (int64_t*)bounds.data + begin / chunk * 2;
    to[0] = least;
    to[1] = most;
  });
}

// ---- tiles ----------------------------------------------------------------------------------------------------------
// The two innermost axes of a space of window, own array (what is read into or written from) and index, or a part of
// them. Steps count elements.
struct Tile {
  char *window, *own;
  const int64_t* index;
  int64_t rows, width;
  int64_t row[3], column[3];  // steps of window, own, index
};

// f(tile) for parts of a space whose array `window` is the window: rows [begin, end) of its innermost axis if `whole`,
// else elements.
template <class F>
MIELINA_INLINE void for_tiles(const Space<3>& s, int window, bool whole, int64_t begin, int64_t end, F f) {
  const int last = s.ndim - 1, order[3] = {window, 1 - window, 2};
  const int64_t size = kDTypeSize[int(s.dtype[0])];
  Tile t;
  t.rows = 1;
  t.width = s.shape[last];
  for (int k = 0; k < 3; k++) {
    t.row[k] = whole && last > 0 ? s.stride[order[k]][last - 1] : 0;
    t.column[k] = s.stride[order[k]][last];
  }
  auto give = [&](const int64_t (&at)[3], int64_t run) {
    t.window = s.data[window] + at[window] * size;
    t.own = s.data[1 - window] + at[1 - window] * size;
    t.index = (const int64_t*)s.data[2] + at[2];
    (whole ? t.rows : t.width) = run;
    f(t);
  };
  if (whole && last == 0) give({0, 0, 0}, 1);
  else for_runs<3>(3, whole ? last : s.ndim, s.shape, s.stride, begin, end - begin, give);
}

// Whether the rows of a tile lie together and take one index each.
bool by_rows(const Tile& t) { return t.column[0] == 1 && t.column[1] == 1 && t.column[2] == 0; }

// Which places are looked at: those in [low, high).
struct Part {
  int64_t low, high;
};

// Where up to kPlaces rows of a tile start in window and own array, `size` for each element; without those whose place
// is not in the part.
struct Starts {
  int64_t window[kPlaces], own[kPlaces], n;
};
MIELINA_INLINE bool find_rows(Starts& s, const Tile& t, int64_t first, const Lookup& l, Part part, int64_t size) {
  int64_t room[kPlaces], rows = min64(kPlaces, t.rows - first);
  bool suspect = false;
  const int64_t* at = places(t.index + first * t.row[2], t.row[2], rows, l.bound, room, suspect);
  if (part.low == 0 && part.high == l.bound) {  // without choosing, in vectors
    s.n = rows;
#pragma GCC ivdep
    for (int64_t j = 0; j < rows; j++) {
      s.window[j] = ((first + j) * t.row[0] + at[j] * l.stride) * size;
      s.own[j] = (first + j) * t.row[1] * size;
    }
    return suspect;
  }
  s.n = 0;
  for (int64_t j = 0; j < rows; j++) {
    s.window[s.n] = ((first + j) * t.row[0] + at[j] * l.stride) * size;
    s.own[s.n] = (first + j) * t.row[1] * size;
    s.n += at[j] >= part.low && at[j] < part.high;
  }
  return suspect;
}

// Asks for the row that is read about 1 KB after row j.
MIELINA_INLINE void prefetch_row(const char* x, const int64_t* at, int64_t j, int64_t rows, int64_t bytes) {
  const char* next = x + at[min64(j + 1 + 1024 / bytes, rows - 1)];
  for (int64_t i = 0; i < min64(bytes, 4096); i += 64) __builtin_prefetch(next + i);
}

// Rows of N to 2 N bytes, as two pieces that overlap.
template <int N>
void move_rows(char* to, const int64_t* to_at, const char* from, const int64_t* from_at, int64_t rows, int64_t bytes) {
  for (int64_t j = 0; j < rows; j++) copy_two<N>(to + to_at[j], from + from_at[j], bytes);
}
void move_rows(char* to, const int64_t* to_at, const char* from, const int64_t* from_at, int64_t rows, int64_t bytes) {
  if (bytes >= 64)
    for (int64_t j = 0; j < rows; j++) {
      prefetch_row(from, from_at, j, rows, bytes);
      copy_bytes(to + to_at[j], from + from_at[j], bytes);
    }
  else if (bytes >= 32) move_rows<32>(to, to_at, from, from_at, rows, bytes);
  else if (bytes >= 16) move_rows<16>(to, to_at, from, from_at, rows, bytes);
  else if (bytes >= 8) move_rows<8>(to, to_at, from, from_at, rows, bytes);
  else if (bytes >= 4) move_rows<4>(to, to_at, from, from_at, rows, bytes);
  else if (bytes >= 2) move_rows<2>(to, to_at, from, from_at, rows, bytes);
  else
    for (int64_t j = 0; j < rows; j++) to[to_at[j]] = from[from_at[j]];
}

[[gnu::noinline]] bool copy_rows(const Tile& t, const Lookup& l, Part part, int64_t size, bool read) {
  bool suspect = false;
  Starts s;
  for (int64_t i = 0; i < t.rows; i += kPlaces) {
    suspect |= find_rows(s, t, i, l, part, size);
    if (read) move_rows(t.own, s.own, t.window, s.window, s.n, t.width * size);
    else move_rows(t.window, s.window, t.own, s.own, s.n, t.width * size);
  }
  return suspect;
}

// f(first row, rows, first column, columns, places, their step a row) for blocks of elements of a tile: whole rows
// where several fit into kPlaces and their indices lie together, all of them where they share a few, else pieces of
// one.
template <class F>
MIELINA_INLINE bool for_places(const Tile& t, const Lookup& l, F f) {
  const bool together = t.column[2] == 1 && t.row[2] == t.width, shared = t.row[2] == 0 && t.width <= kPlaces;
  const int64_t step = shared ? t.rows : together ? max64(1, kPlaces / t.width) : 1;
  bool suspect = false;
  int64_t room[kPlaces];
  for (int64_t i = 0; i < t.rows; i += step) {
    const int64_t rows = min64(step, t.rows - i);
    for (int64_t j = 0; j < t.width; j += kPlaces) {
      const int64_t n = min64(kPlaces, t.width - j), *index = t.index + i * t.row[2] + j * t.column[2];
      const int64_t* at = places(index, t.column[2], shared ? n : rows * n, l.bound, room, suspect);
      f(i, rows, j, n, at, shared ? 0 : n);
    }
  }
  return suspect;
}

// ---- reading --------------------------------------------------------------------------------------------------------
template <class T>
bool read_elements(const Tile& t, const Lookup& l) {
  return for_places(t, l, [&](int64_t i, int64_t rows, int64_t j0, int64_t n, const int64_t* at, int64_t step) {
    for (int64_t end = i + rows; i < end; i++, at += step) {
      const T* x = (const T*)t.window + i * t.row[0] + j0 * t.column[0];
      T* y = (T*)t.own + i * t.row[1] + j0 * t.column[1];
      if (l.stride == 1 && t.column[0] == 0 && t.column[1] == 1) {
#pragma GCC unroll 4
        for (int64_t j = 0; j < n; j++) y[j] = x[at[j]];
      } else {
        for (int64_t j = 0; j < n; j++) y[j * t.column[1]] = x[j * t.column[0] + at[j] * l.stride];
      }
    }
  });
}

void gather(const Ctx& ctx, const View& y, const View& window, const View& index, Lookup l) noexcept {
  const Space<3> s({&y, &window, &index});
  if (s.n == 0) return;
  const int64_t width = s.shape[s.ndim - 1], size = kDTypeSize[int(y.dtype)];
  const int64_t grain = s.stride[2][s.ndim - 1] == 0 ? kGrain : kGrain / 4;
  const bool whole = width <= grain;
  parallel_ranges(ctx, whole ? s.n / width : s.n, whole ? max64(1, grain / width) : grain,
                  [&](int64_t begin, int64_t end) {
                    bool suspect = false;
                    for_tiles(s, 1, whole, begin, end, [&](const Tile& t) {
                      if (by_rows(t)) suspect |= copy_rows(t, l, {0, l.bound}, size, true);
                      else if (size == 1) suspect |= read_elements<uint8_t>(t, l);
                      else if (size == 2) suspect |= read_elements<uint16_t>(t, l);
                      else if (size == 4) suspect |= read_elements<uint32_t>(t, l);
                      else suspect |= read_elements<uint64_t>(t, l);
                    });
                    report(l, suspect);
                  });
}

// ---- writing --------------------------------------------------------------------------------------------------------
struct Assign {
  template <class T>
  MIELINA_INLINE void f(T& y, T x) {
    y = x;
  }
};
struct Add {
  template <class T>
  MIELINA_INLINE void f(T& y, T x) {
    y += x;
  }
};
struct Mul {
  template <class T>
  MIELINA_INLINE void f(T& y, T x) {
    y *= x;
  }
};
struct Max {
  template <class T>
  MIELINA_INLINE void f(T& y, T x) {
    y = y > x || y != y ? y : x;
  }
};
struct Min {
  template <class T>
  MIELINA_INLINE void f(T& y, T x) {
    y = y < x || y != y ? y : x;
  }
};

// The elements of a tile whose place falls into the part, one after the other.
template <class F, class T>
bool write_tile(const Tile& t, const Lookup& l, Part part) {
  T* const y = (T*)t.window;
  const T* const x = (const T*)t.own;
  if (by_rows(t)) {
    if constexpr (__is_same(F, Assign)) {
      return copy_rows(t, l, part, sizeof(T), false);
    } else {
      Starts s;
      bool suspect = false;
      for (int64_t i = 0; i < t.rows; i += kPlaces) {
        suspect |= find_rows(s, t, i, l, part, sizeof(T));
        for (int64_t k = 0; k < s.n; k++) {
          prefetch_row(t.window, s.window, k, s.n, t.width * int64_t(sizeof(T)));
          T* to = (T*)(t.window + s.window[k]);
          const T* from = (const T*)(t.own + s.own[k]);
#pragma GCC ivdep
          for (int64_t j = 0; j < t.width; j++) F::template f<T>(to[j], from[j]);
        }
      }
      return suspect;
    }
  }
  const bool all = part.low == 0 && part.high == l.bound;
  return for_places(t, l, [&](int64_t i, int64_t rows, int64_t j0, int64_t n, const int64_t* at, int64_t step) {
    for (int64_t end = i + rows; i < end; i++, at += step) {
      T* to = y + i * t.row[0] + j0 * t.column[0];
      const T* from = x + i * t.row[1] + j0 * t.column[1];
      if (!all) {  // found first: a branch for each would be guessed wrong half of the time
        int64_t found[kPlaces], count = 0;
        for (int64_t j = 0; j < n; j++) {
          found[count] = j;
          count += at[j] >= part.low && at[j] < part.high;
        }
        for (int64_t k = 0; k < count; k++) {
          const int64_t j = found[k];
          F::template f<T>(to[j * t.column[0] + at[j] * l.stride], from[j * t.column[1]]);
        }
      } else if (l.stride == 1 && t.column[0] == 0 && t.column[1] == 1) {
#pragma GCC unroll 4
        for (int64_t j = 0; j < n; j++) F::template f<T>(to[at[j]], from[j]);
      } else {
        for (int64_t j = 0; j < n; j++) F::template f<T>(to[j * t.column[0] + at[j] * l.stride], from[j * t.column[1]]);
      }
    }
  });
}
template <class F, class T>
void write_space(const Space<3>& s, const Lookup& l, Part part) {
  bool suspect = false;
  for_tiles(s, 0, true, 0, s.n / s.shape[s.ndim - 1], [&](const Tile& t) { suspect |= write_tile<F, T>(t, l, part); });
  report(l, suspect);
}

// Work is shared out by destination, so each destination sees its elements in one order however many threads there are:
// along the longest axis that the window has of its own if that is long enough, else by the place that the index names.
template <class F, class T>
void scatter_of(const Ctx& ctx, const Space<3>& s, Lookup l) {
  int axis = -1;
  for (int d = 0; d < s.ndim; d++)
    if (s.stride[0][d] != 0 && (axis < 0 || s.shape[d] > s.shape[axis])) axis = d;
  int64_t least = axis == s.ndim - 1 ? 16 : 1;  // shorter pieces of a row would share cache lines
  const bool by_place = axis < 0 || s.shape[axis] < least * ctx.threads;
  const int64_t parts = s.n < (by_place ? kGrain : kGrain / 2) ? 1 : ctx.threads;
  if (parts == 1) return write_space<F, T>(s, l, {0, l.bound});
  if (by_place) {
    parallel_for(ctx, parts,
                 [&](int64_t i, int) { write_space<F, T>(s, l, {l.bound * i / parts, l.bound * (i + 1) / parts}); });
    return;
  }
  parallel_for(ctx, parts, [&](int64_t i, int) {
    int64_t size = s.shape[axis], begin = size * i / parts, end = size * (i + 1) / parts;
    if (axis == s.ndim - 1) {
      begin = begin / 16 * 16;
      end = i + 1 == parts ? size : end / 16 * 16;
    }
    if (begin == end) return;
    Space<3> part = s;
    part.shape[axis] = end - begin;
    part.n = s.n / size * (end - begin);
    const int64_t bytes[3] = {int64_t(sizeof(T)), int64_t(sizeof(T)), int64_t(sizeof(int64_t))};
    for (int k = 0; k < 3; k++) part.data[k] += begin * s.stride[k][axis] * bytes[k];
    write_space<F, T>(part, l, {0, l.bound});
  });
}
template <class F>
void scatter_typed(const Ctx& ctx, const Space<3>& s, Lookup l) {
  if (s.dtype[0] == DType::f32) scatter_of<F, float>(ctx, s, l);
  else if (s.dtype[0] == DType::f64) scatter_of<F, double>(ctx, s, l);
  else scatter_of<F, int64_t>(ctx, s, l);
}

void scatter(const Ctx& ctx, const View& window, const View& src, const View& index, Lookup l, Scatter op) noexcept {
  const Space<3> s({&window, &src, &index}, Walk::as_given);
  if (s.n == 0) return;
  switch (op) {
    case Scatter::add: return scatter_typed<Add>(ctx, s, l);
    case Scatter::mul: return scatter_typed<Mul>(ctx, s, l);
    case Scatter::max: return scatter_typed<Max>(ctx, s, l);
    case Scatter::min: return scatter_typed<Min>(ctx, s, l);
    case Scatter::assign: break;
  }
  switch (kDTypeSize[int(window.dtype)]) {
    case 1: return scatter_of<Assign, uint8_t>(ctx, s, l);
    case 2: return scatter_of<Assign, uint16_t>(ctx, s, l);
    case 4: return scatter_of<Assign, uint32_t>(ctx, s, l);
    default: return scatter_of<Assign, uint64_t>(ctx, s, l);
  }
}

void index_offsets(const Ctx& ctx, const View& offsets, const Views& indices, const Lookups& lookups) noexcept {
  int64_t* y = (int64_t*)offsets.data;
  parallel_ranges(ctx, numel(offsets), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t k = 0; k < indices.count; k++) {
      Lookup l = lookups.items[k];
      int64_t shift = l.stride < 0 ? l.bound - 1 : 0;
      const Space<1> s({&indices.items[k]}, Walk::as_given);
      const int64_t* index = (const int64_t*)s.data[0];
      int64_t step = s.stride[0][s.ndim - 1];
      bool suspect = false;
      for_rows(s, 0, begin, end - begin, [&](int64_t at, int64_t run, int64_t done) {
        int64_t room[kPlaces];
        for (int64_t j0 = 0; j0 < run; j0 += kPlaces) {
          const int64_t n = min64(kPlaces, run - j0);
          const int64_t* found = places(index + at + j0 * step, step, n, l.bound, room, suspect);
          int64_t* to = y + begin + done + j0;
#pragma GCC ivdep
          for (int64_t j = 0; j < n; j++) to[j] = (found[j] - shift) * l.stride + (k == 0 ? 0 : to[j]);
        }
      });
      report(l, suspect);
    }
  });
}

// ---- masks ----------------------------------------------------------------------------------------------------------
void nonzero_count(const Ctx& ctx, const View& counts, const View& mask) noexcept {
  parallel_ranges(ctx, numel(mask), kMaskChunk, [&](int64_t begin, int64_t end) {
    const uint8_t* m = (const uint8_t*)mask.data;
    int64_t n = 0;
    for (int64_t i = begin; i < end; i += 255) {  // bytes add up in bytes first, which vectorises
      uint8_t few = 0;
      for (int64_t j = i; j < min64(i + 255, end); j++) few = uint8_t(few + (m[j] != 0));
      n += few;
    }
    ((int64_t*)counts.data)[begin / kMaskChunk] = n;
  });
}

void nonzero(const Ctx& ctx, const View& places, const View& mask, const View& starts) noexcept {
  int64_t total = places.shape[0];
  bool flat = places.ndim == 1;
  if (!flat && mask.ndim == 0) return;  // no coordinates
  parallel_ranges(ctx, numel(mask), kMaskChunk, [&](int64_t begin, int64_t end) {
    const uint8_t* m = (const uint8_t*)mask.data;
    int64_t at = ((const int64_t*)starts.data)[begin / kMaskChunk];
    int64_t* y = (int64_t*)places.data;
    const int last = mask.ndim - 1;
    const int64_t width = flat ? end : mask.shape[last];
    // Pieces of rows: places are collected without a branch for each byte (256 x 256, three tenths set: 164 us with).
    for (int64_t i = begin, n; i < end; i += n) {
      const int64_t column = flat ? i : i % width;
      n = min64(min64(kPlaces, width - column), end - i);
      int64_t found[kPlaces + 1], count = 0;
      for (int64_t j = 0; j < n; j++) {
        found[count] = column + j;
        count += m[i + j] != 0;
      }
      count = min64(count, total - at);  // more than were counted: somebody changed the mask meanwhile
      if (flat) {
        for (int64_t k = 0; k < count; k++) y[at + k] = found[k];
      } else if (count > 0) {
        int64_t rest = i / width;
        for (int d = last - 1; d >= 0; d--) {
          const int64_t place = rest % mask.shape[d];
          rest /= mask.shape[d];
          for (int64_t k = 0; k < count; k++) y[(at + k) * mask.ndim + d] = place;
        }
        for (int64_t k = 0; k < count; k++) y[(at + k) * mask.ndim + last] = found[k];
      }
      at += count;
    }
  });
}

template <class T>
void masked_fill_of(const Ctx& ctx, const Space<4>& s) {
  int last = s.ndim - 1;
  int64_t ys = s.stride[0][last], xs = s.stride[1][last], ms = s.stride[2][last], vs = s.stride[3][last];
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    for_runs(s, begin, end - begin, [&](const int64_t (&at)[4], int64_t run) {
      T* y = (T*)s.data[0] + at[0];
      const T* x = (const T*)s.data[1] + at[1];
      const uint8_t* m = (const uint8_t*)s.data[2] + at[2];
      const T* value = (const T*)s.data[3] + at[3];
      if (ys == 1 && xs == 1 && ms == 1 && vs == 0) {
        T v = *value;
#pragma GCC ivdep
        for (int64_t j = 0; j < run; j++) y[j] = m[j] ? v : x[j];
      } else {
        for (int64_t j = 0; j < run; j++) y[j * ys] = m[j * ms] ? value[j * vs] : x[j * xs];
      }
    });
  });
}
void masked_fill(const Ctx& ctx, const View& y, const View& x, const View& mask, const View& value) noexcept {
  const Space<4> s({&y, &x, &mask, &value});
  if (s.n == 0) return;
  switch (kDTypeSize[int(y.dtype)]) {
    case 1: return masked_fill_of<uint8_t>(ctx, s);
    case 2: return masked_fill_of<uint16_t>(ctx, s);
    case 4: return masked_fill_of<uint32_t>(ctx, s);
    default: return masked_fill_of<uint64_t>(ctx, s);
  }
}

void repeat_index(const Ctx&, const View& y, const View& counts) noexcept {
  int64_t* to = (int64_t*)y.data;
  const int64_t* n = (const int64_t*)counts.data;
  int64_t total = numel(y), at = 0;
  for (int64_t i = 0; i < counts.shape[0]; i++)
    for (int64_t j = 0; j < n[i * counts.stride[0]] && at < total; j++) to[at++] = i;
}

}  // namespace

void fill_index(Kernels&);
void fill_index(Kernels& k) {
  k.gather = gather;
  k.scatter = scatter;
  k.index_offsets = index_offsets;
  k.index_bounds = index_bounds;
  k.nonzero_count = nonzero_count;
  k.nonzero = nonzero;
  k.masked_fill = masked_fill;
  k.repeat_index = repeat_index;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
