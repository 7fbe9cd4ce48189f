// The order among equals of topk and mode: not specified by PyTorch, but what its CPU kernels give by using the C++
// library's selections on (value, index) pairs. These two kernels do the same where equals make a difference, so they
// are compiled once, with the library's headers, and not for each instruction set.
#include "core/ties.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mielina {
namespace {

using Pair = std::pair<int64_t, int64_t>;  // key, index
constexpr int64_t kNaN = INT64_MAX;        // the key of every NaN

// An element as an integer: keys compare as the elements do, -0 equals 0 and NaN is the largest.
template <class Bits>
int64_t float_key(const void* p, int mantissa) {
  Bits b;
  memcpy(&b, p, sizeof b);
  constexpr int64_t sign = int64_t(1) << (8 * sizeof(Bits) - 2) << 1;
  int64_t size = int64_t(uint64_t(b) & (uint64_t(sign) - 1));
  int64_t infinity = int64_t((uint64_t(sign) - 1) >> mantissa << mantissa);
  if (size > infinity) return kNaN;
  return uint64_t(b) & uint64_t(sign) ? -size : size;
}
template <class T>
int64_t whole_key(const void* p) {
  T v;
  memcpy(&v, p, sizeof v);
  return int64_t(v);
}
int64_t key_at(const char* p, DType dtype) {
  switch (dtype) {
    case DType::f32: return float_key<uint32_t>(p, 23);
    case DType::f64: return float_key<uint64_t>(p, 52);
    case DType::f16: return float_key<uint16_t>(p, 10);
    case DType::bf16: return float_key<uint16_t>(p, 7);
    case DType::i64: return whole_key<int64_t>(p);
    case DType::i32: return whole_key<int32_t>(p);
    case DType::i16: return whole_key<int16_t>(p);
    case DType::i8: return whole_key<int8_t>(p);
    default: return whole_key<uint8_t>(p);
  }
}

// Row r of a view (outer..., n), or its one number when the view is (outer...).
struct Row {
  char* data;
  int64_t stride, size, n;
  int64_t next = 0;  // bytes to the next row of the last outer dim
  DType dtype;
  Row(const View& v, int64_t r, bool whole) : dtype(v.dtype) {
    int last = v.ndim - (whole ? 1 : 0);
    int64_t offset = 0;
    for (int d = last - 1; d >= 0; d--) {
      offset += r % v.shape[d] * v.stride[d];
      r /= v.shape[d];
    }
    size = kDTypeSize[int(v.dtype)];
    data = static_cast<char*>(v.data) + offset * size;
    if (last > 0) next = v.stride[last - 1] * size;
    stride = whole ? v.stride[last] : 1;
    n = whole ? v.shape[last] : 1;
  }
  char* at(int64_t i) const { return data + i * stride * size; }
  int64_t key(int64_t i) const { return key_at(at(i), dtype); }
  int64_t& index(int64_t i) const { return *reinterpret_cast<int64_t*>(at(i)); }
};

constexpr int64_t kPiece = 4096;  // elements for a thread: a piece a row took 64 rows of 10 half of topk's time
constexpr int64_t kRun = 16;
// f(row, count, scratch) for runs of up to kRun rows, neighbours in the last outer dim.
template <class F>
void each_run(const Ctx& ctx, const View& x, F f) {
  const int64_t n = x.shape[x.ndim - 1], side = x.ndim > 1 ? x.shape[x.ndim - 2] : 1;
  int64_t rows = 1;
  for (int d = 0; d < x.ndim - 1; d++) rows *= x.shape[d];
  int64_t group = std::max<int64_t>(1, kPiece / n), pieces = (rows + group - 1) / group;
  auto body = [&](int64_t piece, int worker) {
    const int64_t end = std::min(rows, (piece + 1) * group);
    for (int64_t r = piece * group, count = 0; r < end; r += count) {
      count = std::min({kRun, end - r, side - r % side});
      f(r, count, static_cast<Pair*>(ctx.workspace) + worker * n);
    }
  };
  if (pieces == 1 || ctx.threads == 1) {
    for (int64_t piece = 0; piece < pieces; piece++) body(piece, 0);
    return;
  }
  ctx.run(
      ctx.pool, pieces,
      [](void* arg, int64_t piece, int worker) { (*static_cast<decltype(body)*>(arg))(piece, worker); }, &body, false);
}

void fill_pairs(const Row& x, Pair* to) {
  for (int64_t i = 0; i < x.n; i++) to[i] = {x.key(i), i};
}

template <class Before>
void select(Pair* p, int64_t n, int64_t k, bool sorted, Before before) {
  if (k * 64 <= n) {
    std::partial_sort(p, p + k, p + n, before);
  } else {
    std::nth_element(p, p + k - 1, p + n, before);
    if (sorted) std::sort(p, p + k - 1, before);
  }
}

// Of `count` neighbouring rows the elements that `to` has, row by row of the result: rows may be many and lie apart.
template <class W>
void copy_run(const Row& from, const Row& to, int64_t count) {
  for (int64_t i = 0; i < to.n; i++)
    for (int64_t j = 0; j < count; j++) memcpy(to.at(i) + j * to.next, from.at(i) + j * from.next, sizeof(W));
}

void topk_ties(const Ctx& ctx, const View& values, const View& indices, const View& x, const View& top,
               const View& places, bool largest, bool sorted) noexcept {
  each_run(ctx, x, [&](int64_t r, int64_t count, Pair* pairs) {
    Row v(values, r, true), at(indices, r, true), from(x, r, true);
    bool ties[kRun];
    std::fill_n(ties, count, !sorted);
    if (sorted) {
      const Row t(top, r, true), p(places, r, true);
      for (int64_t j = 0; j < count; j++) {
        const char* element = t.data + j * t.next;
        int64_t last = key_at(element, t.dtype);
        for (int64_t i = 1; i < t.n; i++) {
          const int64_t key = key_at(element += t.stride * t.size, t.dtype);
          ties[j] |= key == last;
          last = key;
        }
      }
      (v.size == 4   ? copy_run<int32_t>
       : v.size == 8 ? copy_run<int64_t>
       : v.size == 2 ? copy_run<int16_t>
                     : copy_run<int8_t>)(t, v, count);
      copy_run<int64_t>(p, at, count);
    }
    for (int64_t j = 0; j < count; j++, v.data += v.next, at.data += at.next, from.data += from.next) {
      if (!ties[j]) continue;
      fill_pairs(from, pairs);
      if (largest) select(pairs, from.n, v.n, sorted, [](const Pair& a, const Pair& b) { return a.first > b.first; });
      else select(pairs, from.n, v.n, sorted, [](const Pair& a, const Pair& b) { return a.first < b.first; });
      for (int64_t i = 0; i < v.n; i++) {
        memcpy(v.at(i), from.at(pairs[i].second), size_t(v.size));
        at.index(i) = pairs[i].second;
      }
    }
  });
}

// Short rows are sorted by insertion, which keeps equals in order, and tolerates that NaN is not less than anything;
// longer rows with NaN are left as they are.
constexpr int64_t kInsertion = 16;

void mode_of_row(const Row& v, const Row& at, const Row& from, Pair* pairs) {
  fill_pairs(from, pairs);
  bool nan = false, floating = from.dtype <= DType::bf16;
  int64_t found = v.key(0), count = 0;
  for (int64_t i = 0; i < from.n; i++) {
    nan |= floating && pairs[i].first == kNaN;
    count += pairs[i].first == found;
  }
  if (from.n <= kInsertion ? !nan : nan || count == 1) return;
  auto less = [floating](const Pair& a, const Pair& b) { return a.first < b.first && !(floating && b.first == kNaN); };
  std::sort(pairs, pairs + from.n, less);
  int64_t longest = 0, run = 0, place = 0;
  for (int64_t i = 0; i < from.n; i++) {
    run++;
    bool same = i + 1 < from.n && pairs[i].first == pairs[i + 1].first && !(floating && pairs[i].first == kNaN);
    if (same) continue;
    if (run > longest) {
      longest = run;
      place = pairs[i].second;
    }
    run = 0;
  }
  memcpy(v.at(0), from.at(place), size_t(v.size));
  at.index(0) = place;
}

void mode_ties(const Ctx& ctx, const View& values, const View& indices, const View& x) noexcept {
  each_run(ctx, x, [&](int64_t r, int64_t count, Pair* pairs) {
    Row v(values, r, false), at(indices, r, false), from(x, r, true);
    for (; count > 0; count--, v.data += v.next, at.data += at.next, from.data += from.next)
      mode_of_row(v, at, from, pairs);
  });
}

}  // namespace

void fill_ties(Kernels& k) {
  k.topk_ties = topk_ties;
  k.mode_ties = mode_ties;
}

}  // namespace mielina
