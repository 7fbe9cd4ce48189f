// index: reading and writing by index: gather, scatter, advanced indexing.
#pragma once
#include "core/view.h"

namespace mielina {

// What an index means: i < 0 counts from `bound`, and the element lies i * stride from where the window starts. Indices
// are checked before the launch or by its kernel, which adds to `suspects` (if it is not null, and never on a card)
// where an index is not in [0, bound). A replay cannot raise errors, so kernels clamp indices into that range.
struct Lookup {
  int64_t bound, stride;
  int64_t* suspects = nullptr;
};
struct Lookups {
  Lookup items[kMaxDims];
  int32_t count;
};
enum class Scatter : int32_t { assign, add, mul, max, min };

struct IndexTable {
  // y[e] = window[e + lookup(index[e])] for all elements e of y's shape. index: i64. The window has y's shape and
  // dtype, with stride 0 along the axes that the index alone decides.
  void (*gather)(const Ctx&, const View& y, const View& window, const View& index, Lookup lookup) noexcept;
  // window[e + lookup(index[e])] op= src[e], element after element in src's C order wherever indices repeat. Any dtype
  // for `assign`; f32, f64 and i64 for the others.
  void (*scatter)(const Ctx&, const View& window, const View& src, const View& index, Lookup lookup,
                  Scatter op) noexcept;
  // offsets[e] = the sum over k of lookup k of indices[k][e], counted from the lowest address: never negative. All of
  // one shape (indices expanded); offsets contiguous.
  void (*index_offsets)(const Ctx&, const View& offsets, const Views& indices, const Lookups& lookups) noexcept;
  // bounds[2 c], bounds[2 c + 1] = the least and the greatest number of index (i64, contiguous) [c * 16384, ...).
  void (*index_bounds)(const Ctx&, const View& bounds, const View& index) noexcept;
  // counts[c] = how many of the bytes of mask (contiguous) [c * 65536, (c + 1) * 65536) are not zero.
  void (*nonzero_count)(const Ctx&, const View& counts, const View& mask) noexcept;
  // The places of the bytes that are not zero, in order: (n) flat, or (n, mask.ndim) coordinates. starts: the running
  // sum of counts.
  void (*nonzero)(const Ctx&, const View& places, const View& mask, const View& starts) noexcept;
  // y = mask ? value : x, moving bits: one shape (inputs expanded) and one dtype, mask b8. y may be x.
  void (*masked_fill)(const Ctx&, const View& y, const View& x, const View& mask, const View& value) noexcept;
  // y = 0 counts[0] times, 1 counts[1] times, ...; i64, contiguous.
  void (*repeat_index)(const Ctx&, const View& y, const View& counts) noexcept;
};

}  // namespace mielina
