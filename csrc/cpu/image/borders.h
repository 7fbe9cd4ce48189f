// Borders: copies of an image between pixels of its own, or of one number.
#pragma once
#include "cpu/copy.h"
#include "cpu/image/rows.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// ---- borders: every output is one input -----------------------------------------------------------------------------
bool only_moves(const ImageMap& map) {
  bool moves = !map.transposed && map.divisor == 0;
  for (const AxisMap& m : map.axis)
    moves &= m.kind == AxisKind::reflect || m.kind == AxisKind::replicate || m.kind == AxisKind::circular ||
             (m.kind == AxisKind::window && m.in == 1 && m.out == 1 && m.divide == Divide::none);
  return moves;
}
// Pixels as they are, whatever they mean: the inside of a row in one piece, its border pixel by pixel. False where the
// pixels of a row do not lie together.
bool move_rows(const Ctx& ctx, const View& y, const View& x, const ImageMap& map) {
  bool along_c = lanes_along_c(x) && lanes_along_c(y);
  RowSpace space(y, x, along_c);
  int64_t size = kDTypeSize[int(x.dtype)], pixel = along_c ? space.C * size : size;
  if (space.L != (along_c ? space.C : 1) || x.stride[4] * size != pixel || y.stride[4] * size != pixel) return false;
  int32_t* place[3];
  Scratch scratch{(char*)ctx.workspace};
  for (int a = 0; a < 3; a++) {
    place[a] = scratch.take<int32_t>(map.axis[a].out);
    for (int64_t o = 0; o < map.axis[a].out; o++)
      each_tap(map.axis[a], o, [&](int64_t i, double) { place[a][o] = int32_t(i); });
  }
  const AxisMap& w = map.axis[2];
  auto at = [&](const View& v, int64_t n, int64_t c, int64_t d, int64_t h) {
    return (char*)v.data + (n * v.stride[0] + c * v.stride[1] + d * v.stride[2] + h * v.stride[3]) * size;
  };
  // Pixels [first, first + after - before) of a row lie inside: negative widths cut.
  int64_t shift = w.kind == AxisKind::window ? 0 : w.padding, before = min64(max64(shift, 0), w.out),
          after = max64(before, min64(shift + w.in, w.out)), first = before - shift;
  space.run(ctx, w.out * space.L, [&](int, int64_t n, int64_t c, int64_t, int64_t d, int64_t h) {
    char *to = at(y, n, c, d, h), *from = at(x, n, c, place[0][d], place[1][h]);
    auto border = [&](int64_t begin, int64_t end) {
      if (pixel == 4)
        for (int64_t o = begin; o < end; o++) ((uint32_t*)to)[o] = ((uint32_t*)from)[place[2][o]];
      else
        for (int64_t o = begin; o < end; o++)
          __builtin_memcpy(to + o * pixel, from + place[2][o] * pixel, size_t(pixel));
    };
    border(0, before);
    if (after > before) copy_bytes(to + before * pixel, from + first * pixel, (after - before) * pixel);
    border(after, w.out);
  });
  return true;
}

// ---- constant borders -----------------------------------------------------------------------------------------------
// The axes in y's stride order; an axis that keeps its size is one with the axis before it where memory allows.
struct PadSpace {
  int ndim = 0;
  int64_t to[kMaxDims], from[kMaxDims], before[kMaxDims], ys[kMaxDims], xs[kMaxDims];
  PadSpace(const View& y, const View& x, const Shift& shift) {
    int order[kMaxDims];
    for (int d = 0; d < y.ndim; d++) {
      int at = d;
      for (; at > 0 && y.stride[order[at - 1]] < y.stride[d]; at--) order[at] = order[at - 1];
      order[at] = d;
    }
    for (int k = 0; k < y.ndim; k++) {
      int d = order[k];
      bool whole = ndim > 0 && y.shape[d] == x.shape[d] && shift.before[d] == 0 &&
                   ys[ndim - 1] == y.stride[d] * y.shape[d] && xs[ndim - 1] == x.stride[d] * x.shape[d];
      int64_t times = whole ? y.shape[d] : 1;
      int a = whole ? ndim - 1 : ndim++;
      to[a] = whole ? to[a] * times : y.shape[d];
      from[a] = whole ? from[a] * times : x.shape[d];
      before[a] = whole ? before[a] * times : shift.before[d];
      ys[a] = y.stride[d];
      xs[a] = x.stride[d];
    }
  }
};

void pad(const Ctx& ctx, const View& y, const View& x, const Shift& shift, Number value) noexcept {
  if (numel(y) == 0) return;
  constexpr int64_t L = lanes<uint32_t>;
  alignas(8) char element[8];
  if (value.integer) row_to_fn<int64_t>(y.dtype)(&value.i, element, 1, 1);
  else row_to_fn<double>(y.dtype)(&value.d, element, 1, 1);
  uint32_t border;
  __builtin_memcpy(&border, element, 4);
  const PadSpace s(y, x, shift);
  const int last = s.ndim - 1, next = last - 1;
  const int64_t width = s.to[last], rows = next < 0 ? 1 : s.to[next], xs = s.xs[last],
                low = min64(max64(s.before[last], 0), width),
                high = max64(low, min64(s.before[last] + s.from[last], width));
  auto fill = [border](uint32_t* to, int64_t n) __attribute__((always_inline)) {
    int64_t j = 0;
    for (; j + L <= n; j += L) store(to + j, vu32{} + border);
    for (; j < n; j++) to[j] = border;
  };
  // Planes of the last two axes.
  parallel_ranges(ctx, numel(y) / (width * rows), max64(1, kGrain / (width * rows)), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; plane++) {
      uint32_t* to = (uint32_t*)y.data;
      const uint32_t* image = (const uint32_t*)x.data;
      bool inside = true;
      int64_t rest = plane;
      for (int d = next - 1; d >= 0; d--) {
        int64_t o = rest % s.to[d], i = o - s.before[d];
        rest /= s.to[d];
        to += o * s.ys[d];
        image += i * s.xs[d];
        inside &= i >= 0 && i < s.from[d];
      }
      for (int64_t r = 0; r < rows; r++, to += next < 0 ? 0 : s.ys[next]) {
        int64_t i = next < 0 ? 0 : r - s.before[next], j = low;
        if (!inside || (next >= 0 && (i < 0 || i >= s.from[next]))) {
          fill(to, width);
          continue;
        }
        const uint32_t* from = image + (next < 0 ? 0 : i * s.xs[next]) - s.before[last] * xs;
        fill(to, low);
        if (xs == 1) {
          for (; j + L <= high; j += L) store(to + j, load(from + j));
          if (j < high) store_n(to + j, load_n(from + j, high - j), high - j);
        } else {
          for (; j < high; j++) to[j] = from[j * xs];
        }
        fill(to + high, width - high);
      }
    }
  });
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
