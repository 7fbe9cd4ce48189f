// layout: see table/layout.h.
#include "cpu/copy.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// How many leading elements in C order lie as one run, from `axis` on: 0 if not all of the axes do.
int64_t run_from(const View& x, int axis) {
  int64_t run = 1;
  for (int d = x.ndim - 1; d >= axis; d--) {
    if (x.shape[d] != 1 && x.stride[d] != run) return 0;
    run *= x.shape[d];
  }
  return run;
}
bool in_c_order(const View& x) { return run_from(x, 0) > 0; }

// Whether the axes before `axis` are as one, with rows of one run each in even steps.
bool even_rows(const View& x, int axis, int64_t& step) {
  int64_t whole = 0;
  step = 0;
  bool first = true;
  for (int d = axis - 1; d >= 0; d--) {
    if (x.shape[d] == 1) continue;
    if (first) step = x.stride[d];
    else if (x.stride[d] != whole) return false;
    whole = x.stride[d] * x.shape[d];
    first = false;
  }
  return run_from(x, axis) > 0;
}

constexpr int64_t kParts = 16;  // inputs of which a row is written at once

// Rows together in memory, and of one dtype: row after row of the output, so that it is written from end to end.
bool cat_rows(const Ctx& ctx, const View& y, const Views& xs, int32_t axis) {
  bool plain = axis > 0 && in_c_order(y), single = true;
  int64_t step;
  for (int64_t k = 0; plain && k < xs.count; k++) {
    plain = xs.items[k].dtype == y.dtype && even_rows(xs.items[k], axis, step);
    single &= plain && run_from(xs.items[k], axis) == 1;
  }
  if (!plain || (single && xs.count > 1)) return false;
  int64_t size = kDTypeSize[int(y.dtype)], width = run_from(y, axis), rows = numel(y) / width;
  parallel_ranges(ctx, rows, max64(1, kGrain / width), [&](int64_t begin, int64_t end) {
    struct Part {
      const char* data;
      int64_t bytes, step;
    } parts[kParts];
    char* first = (char*)y.data;
    for (int64_t k0 = 0; k0 < xs.count; k0 += kParts) {
      int64_t count = min64(kParts, xs.count - k0), bytes = 0;
      for (int64_t k = 0; k < count; k++) {
        const View& x = xs.items[k0 + k];
        even_rows(x, axis, parts[k].step);
        parts[k] = {(const char*)x.data, run_from(x, axis) * size, parts[k].step * size};
        bytes += parts[k].bytes;
      }
      for (int64_t r = begin; r < end; r++) {
        char* to = first + r * width * size;
        for (int64_t k = 0; k < count; k++) {
          copy_bytes(to, parts[k].data + r * parts[k].step, parts[k].bytes);
          to += parts[k].bytes;
        }
      }
      first += bytes;
    }
  });
  return true;
}

// Otherwise tasks are ranges of the elements of all inputs in a row: many small inputs share one, a large one is cut.
void cat(const Ctx& ctx, const View& y, const Views& xs, int32_t axis) noexcept {
  if (cat_rows(ctx, y, xs, axis)) return;
  int64_t total = 0;
  for (int64_t k = 0; k < xs.count; k++) total += numel(xs.items[k]);
  parallel_ranges(ctx, total, kGrain, [&](int64_t begin, int64_t end) {
    View part = y;
    int64_t first = 0;
    for (int64_t k = 0; k < xs.count && first < end; k++) {
      const View& x = xs.items[k];
      int64_t n = numel(x);
      part.shape[axis] = x.shape[axis];
      if (first + n > begin && n > 0) {
        const Space<2> s({&part, &x});
        copy_range(s, max64(begin - first, 0), min64(end - first, n));
      }
      first += n;
      part.data = (char*)part.data + x.shape[axis] * y.stride[axis] * kDTypeSize[int(y.dtype)];
    }
  });
}

template <class T>
void tri_of(const Ctx& ctx, const View& y, const View& x, int64_t diagonal, bool upper) {
  int last = y.ndim - 1;
  int64_t rows = y.shape[last - 1], columns = y.shape[last], ys = y.stride[last], xs = x.stride[last];
  int64_t all = numel(y) / (columns > 0 ? columns : 1);
  parallel_ranges(ctx, all, max64(1, kGrain / max64(columns, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      T* to = (T*)y.data;
      const T* from = (const T*)x.data;
      int64_t rest = i;
      for (int d = last - 1; d >= 0; d--) {
        to += rest % y.shape[d] * y.stride[d];
        from += rest % y.shape[d] * x.stride[d];
        rest /= y.shape[d];
      }
      int64_t cut = min64(max64(i % rows + diagonal + !upper, 0), columns);  // the first column on the other side
      int64_t keep0 = upper ? cut : 0, keep1 = upper ? columns : cut;
      int64_t zero0 = upper ? 0 : cut, zero1 = upper ? cut : columns;
      if (ys == 1 && xs == 1) {
        if (to != from) __builtin_memcpy(to + keep0, from + keep0, size_t(keep1 - keep0) * sizeof(T));
        __builtin_memset(to + zero0, 0, size_t(zero1 - zero0) * sizeof(T));
        continue;
      }
      if (to != from)
        for (int64_t j = keep0; j < keep1; j++) to[j * ys] = from[j * xs];
      for (int64_t j = zero0; j < zero1; j++) to[j * ys] = 0;
    }
  });
}
void tri(const Ctx& ctx, const View& y, const View& x, int64_t diagonal, bool upper) noexcept {
  switch (kDTypeSize[int(y.dtype)]) {
    case 1: return tri_of<uint8_t>(ctx, y, x, diagonal, upper);
    case 2: return tri_of<uint16_t>(ctx, y, x, diagonal, upper);
    case 4: return tri_of<uint32_t>(ctx, y, x, diagonal, upper);
    default: return tri_of<uint64_t>(ctx, y, x, diagonal, upper);
  }
}

template <class T>
void sequence_of(const Ctx& ctx, const View& y, T start, T step, T last, int64_t forward) {
  int64_t n = numel(y), size = kDTypeSize[int(y.dtype)];
  auto row = row_to_fn<T>(y.dtype);
  parallel_ranges(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) T buf[kBlock];
    for (int64_t i0 = begin; i0 < end; i0 += kBlock) {
      int64_t m = min64(kBlock, end - i0);
      int64_t middle = min64(max64(forward - i0, 0), m);
      for (int64_t j = 0; j < middle; j++) buf[j] = start + T(i0 + j) * step;
      for (int64_t j = middle; j < m; j++) buf[j] = last - T(n - 1 - i0 - j) * step;
      row(buf, (char*)y.data + i0 * size, 1, m);
    }
  });
}
void sequence(const Ctx& ctx, const View& y, Number start, Number step, Number last, int64_t forward) noexcept {
  if (start.integer && step.integer && y.dtype >= DType::i64)
    sequence_of<int64_t>(ctx, y, start.i, step.i, last.i, forward);
  else sequence_of<double>(ctx, y, start.d, step.d, last.d, forward);
}

}  // namespace

void fill_layout(Kernels&);
void fill_layout(Kernels& k) {
  k.cat = cat;
  k.tri = tri;
  k.sequence = sequence;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
