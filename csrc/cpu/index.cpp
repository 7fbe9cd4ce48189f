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

// The places of up to kPlaces indices, a vector at a time.
constexpr int64_t kPlaces = 64;
[[gnu::noinline]] void places(const int64_t* index, int64_t n, int64_t bound, int64_t* to) {
  const vi64 zero{}, size = zero + bound, top = zero + (bound - 1);
  int64_t j = 0;
  for (; j + lanes<int64_t> <= n; j += lanes<int64_t>) {
    vi64 v = load(index + j);
    v += (v < zero) & size;
    store(to + j, min(max(v, zero), top));
  }
  for (; j < n; j++) to[j] = place(index[j], bound);
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

// ---- reading
// -----------------------------------------------------------------------------------------------------------
template <class T>
void gather_of(const Ctx& ctx, const Space<3>& s, Lookup l) {
  int last = s.ndim - 1;
  int64_t ys = s.stride[0][last], xs = s.stride[1][last], is = s.stride[2][last];
  parallel_ranges(ctx, s.n, is == 0 ? kGrain : kGrain / 4, [&](int64_t begin, int64_t end) {
    for_runs(s, begin, end - begin, [&](const int64_t (&at)[3], int64_t run) {
      T* y = (T*)s.data[0] + at[0];
      const T* x = (const T*)s.data[1] + at[1];
      const int64_t* index = (const int64_t*)s.data[2] + at[2];
      if (is == 1 && ys == 1 && xs == 0 && l.stride == 1) {  // along rows
        int64_t at[kPlaces];
        for (int64_t i = 0; i < run; i += kPlaces) {
          int64_t n = min64(kPlaces, run - i);
          places(index + i, n, l.bound, at);
          for (int64_t j = 0; j < n; j++) y[i + j] = x[at[j]];
        }
        return;
      }
      if (is != 0) {
        for (int64_t j = 0; j < run; j++) y[j * ys] = x[j * xs + place(index[j * is], l.bound) * l.stride];
        return;
      }
      x += place(*index, l.bound) * l.stride;
      if (ys == 1 && xs == 1) copy_bytes((char*)y, (const char*)x, run * int64_t(sizeof(T)));
      else
        for (int64_t j = 0; j < run; j++) y[j * ys] = x[j * xs];
    });
  });
}

void gather(const Ctx& ctx, const View& y, const View& window, const View& index, Lookup l) noexcept {
  const Space<3> s({&y, &window, &index});
  if (s.n == 0) return;
  switch (kDTypeSize[int(y.dtype)]) {
    case 1: return gather_of<uint8_t>(ctx, s, l);
    case 2: return gather_of<uint16_t>(ctx, s, l);
    case 4: return gather_of<uint32_t>(ctx, s, l);
    default: return gather_of<uint64_t>(ctx, s, l);
  }
}

// ---- writing
// -----------------------------------------------------------------------------------------------------------
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

// The elements of the space whose place falls into [low, high) (all of them without `some`), one after the other.
template <class F, class T, bool some>
void scatter_part(const Space<3>& s, Lookup l, int64_t low, int64_t high) {
  int last = s.ndim - 1;
  int64_t ys = s.stride[0][last], xs = s.stride[1][last], is = s.stride[2][last];
  for_runs(s, 0, s.n, [&](const int64_t (&at)[3], int64_t run) {
    T* y = (T*)s.data[0] + at[0];
    const T* x = (const T*)s.data[1] + at[1];
    const int64_t* index = (const int64_t*)s.data[2] + at[2];
    if constexpr (!some && sizeof(T) >= 4 && (__is_same(F, Assign) || __is_same(F, Add))) {
      if (is == 1 && ys == 0 && xs == 1 && l.stride == 1) {  // along rows
        int64_t to[kPlaces];
        for (int64_t i = 0; i < run; i += kPlaces) {
          int64_t n = min64(kPlaces, run - i);
          places(index + i, n, l.bound, to);
          for (int64_t j = 0; j < n; j++) F::template f<T>(y[to[j]], x[i + j]);
        }
        return;
      }
    }
    if (is != 0 || ys == 0) {
      for (int64_t j = 0; j < run; j++) {
        int64_t p = place(index[j * is], l.bound);
        if (!some || (p >= low && p < high)) F::template f<T>(y[j * ys + p * l.stride], x[j * xs]);
      }
      return;
    }
    int64_t p = place(*index, l.bound);
    if (some && (p < low || p >= high)) return;
    y += p * l.stride;
    if (ys == 1 && xs == 1) {  // one row: its elements are different ones
#pragma GCC ivdep
      for (int64_t j = 0; j < run; j++) F::template f<T>(y[j], x[j]);
    } else {
      for (int64_t j = 0; j < run; j++) F::template f<T>(y[j * ys], x[j * xs]);
    }
  });
}

// Work is shared out by destination, so each destination sees its elements in one order however many threads there are:
// along the longest axis that the window has of its own if that is long enough, else by the place that the index names.
template <class F, class T>
void scatter_of(const Ctx& ctx, const Space<3>& s, Lookup l) {
  int64_t parts = s.n < kGrain / 4 ? 1 : ctx.threads;
  if (parts == 1) return scatter_part<F, T, false>(s, l, 0, l.bound);
  int axis = -1;
  for (int d = 0; d < s.ndim; d++)
    if (s.stride[0][d] != 0 && (axis < 0 || s.shape[d] > s.shape[axis])) axis = d;
  int64_t least = axis == s.ndim - 1 ? 16 : 1;  // shorter pieces of a row would share cache lines
  if (axis < 0 || s.shape[axis] < least * parts) {
    parallel_for(ctx, parts, [&](int64_t i, int) {
      scatter_part<F, T, true>(s, l, l.bound * i / parts, l.bound * (i + 1) / parts);
    });
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
    scatter_part<F, T, false>(part, l, 0, l.bound);
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
      for_rows(s, 0, begin, end - begin, [&](int64_t at, int64_t run, int64_t done) {
        for (int64_t j = 0; j < run; j++) {
          int64_t part = (place(index[at + j * step], l.bound) - shift) * l.stride;
          y[begin + done + j] = part + (k == 0 ? 0 : y[begin + done + j]);
        }
      });
    }
  });
}

// ---- masks
// -------------------------------------------------------------------------------------------------------------
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
