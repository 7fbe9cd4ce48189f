// Rows over a whole space: where the operands lie, if they are runs of neighbours or repeated numbers, else gathered
// through blocks that fit the L1 cache. Large outputs are streamed past the caches. The types are numbers of bytes
// here.
#include "cpu/copy.h"
#include "cpu/elementwise/rows.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// Elements gathered at once: adding 16 million float16 took 4.0 ms with 1024, 2.6 with 512, 2.7 with 256.
constexpr int64_t kGather = 512;
constexpr int64_t kWidest = 8;  // bytes of an element

int64_t size_of(DType d) { return kDTypeSize[int(d)]; }
bool fixed(const Arrays& s, int k) { return repeats(s.ndim, s.shape, s.stride[k]); }

RowFrom<void> reader(DType compute, DType d) {
  switch (compute) {
    case DType::f32: return row_from_fn<float>(d);
    case DType::f64: return row_from_fn<double>(d);
    case DType::b8: return row_from_fn<bool>(d);
    default: return row_from_fn<int64_t>(d);
  }
}
RowTo<void> writer(DType compute, DType d) {
  switch (compute) {
    case DType::f32: return row_to_fn<float>(d);
    case DType::f64: return row_to_fn<double>(d);
    default: return row_to_fn<int64_t>(d);
  }
}

// One element in all places of a vector.
void spread(DType read, DType d, const char* at, char* to) {
  if (read != d) {
    reader(read, d)(at, 1, to, 1);
    at = to;
  }
  switch (size_of(read)) {
    case 8: return store((uint64_t*)to, splat<vu64>(*(const uint64_t*)at));
    case 4: return store((uint32_t*)to, splat<vu32>(*(const uint32_t*)at));
    case 2: return store((uint16_t*)to, Vec<uint16_t>{} + *(const uint16_t*)at);
    default: return store((uint8_t*)to, Vec<uint8_t>{} + *(const uint8_t*)at);
  }
}

// Whether the output is so large, and every run of it so aligned, that it bypasses the caches.
bool streams(const Arrays& s, int64_t size) {
  bool aligned = (uintptr_t)s.data[0] % VBYTES == 0 && (s.ndim == 1 || s.shape[s.ndim - 1] * size % VBYTES == 0);
  for (int d = 0; d < s.ndim - 1; d++) aligned &= s.stride[0][d] * size % VBYTES == 0;
  return aligned && s.n * size >= kStreamBytes;
}

// f on one run whose output goes past the caches: computed in a block that stays in the L1 cache.
[[gnu::noinline]] void stream_run(const Arrays& s, char* y, const Operand* x, int64_t n, RowFn f,
                                  const void* parameters) {
  alignas(64) char buf[kBlock * kWidest];
  Operand at[kMost];
  for (int k = 0; k < s.K - 1; k++) at[k] = x[k];
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t m = min64(kBlock, n - i), bytes = m * size_of(s.made);
    f(buf, at, m, parameters);
    int64_t j = 0;
    for (; j + VBYTES <= bytes; j += VBYTES) stream(y + j, load(buf + j));
    __builtin_memcpy(y + j, buf + j, size_t(bytes - j));
    y += bytes;
    for (int k = 0; k < s.K - 1; k++) at[k].at = (const char*)at[k].at + m * at[k].step * size_of(at[k].dtype);
  }
}

void runs(const Ctx& ctx, const Arrays& s, RowFn f, const void* parameters) {
  const bool nt = streams(s, size_of(s.made));
  const int last = s.ndim - 1;
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) char one[kMost][VBYTES];
    Operand x[kMost];
    bool everywhere[kMost];
    for (int k = 1; k < s.K; k++) {
      everywhere[k] = fixed(s, k);
      x[k] = {one[k], everywhere[k] ? 0 : s.stride[k][last]};
      x[k].dtype = x[k].step ? s.dtype[k] : s.read[k - 1];
      if (everywhere[k]) spread(s.read[k - 1], s.dtype[k], s.data[k], one[k]);
    }
    for_runs<kMost>(s.K, s.ndim, s.shape, s.stride, begin, end - begin, [&](const int64_t (&offset)[kMost], int64_t n) {
      for (int k = 1; k < s.K; k++) {
        const char* at = s.data[k] + offset[k] * size_of(s.dtype[k]);
        if (x[k].step) x[k].at = at;
        else if (!everywhere[k]) spread(s.read[k - 1], s.dtype[k], at, one[k]);
      }
      char* y = s.data[0] + offset[0] * size_of(s.made);
      if (nt) stream_run(s, y, x + 1, n, f, parameters);
      else f(y, x + 1, n, parameters);
    });
    if (nt) stream_fence();
  });
}

// ---- short rows -----------------------------------------------------------------------------------------------------
// A call of f for each of them costs 50 to 80 cycles: channels-last images times a number for each channel (25,088
// pixels of 32) took 364 us on one core, 105 so. Where the output's rows are neighbours, f is called for pieces of the
// two innermost axes as one, and what repeats along one of the two is laid out in the L1 cache. Of a column as many
// vectors are written as f reads, from which longer rows gain nothing, and of fewer than eight rows nothing is gained.
constexpr int64_t kPiece = 4096, kShort = 2048, kShortColumn = 16 * VBYTES;  // bytes of the widest operand

enum class Lie { fixed, neighbours, row, column, other };
Lie lie_of(const Arrays& s, int k) {
  const int64_t inner = s.stride[k][s.ndim - 1], outer = s.stride[k][s.ndim - 2];
  if (fixed(s, k)) return Lie::fixed;
  if (inner == 0) return Lie::column;
  if (inner != 1) return Lie::other;
  return outer == s.shape[s.ndim - 1] ? Lie::neighbours : outer == 0 ? Lie::row : Lie::other;
}
int64_t widest(const Arrays& s) {
  int64_t most = size_of(s.made);
  for (int k = 1; k < s.K; k++) most = max64(most, size_of(s.read[k - 1]));
  return most;
}
[[gnu::noinline]] bool in_short_rows(const Arrays& s) {
  const int64_t bytes = s.shape[s.ndim - 1] * widest(s);
  if (bytes > kShort || s.shape[s.ndim - 2] < 8 || lie_of(s, 0) != Lie::neighbours) return false;
  for (int k = 1; k < s.K; k++) {
    const Lie lie = lie_of(s, k);
    if (lie == Lie::other || (lie == Lie::column && bytes > kShortColumn)) return false;
  }
  return true;
}

void repeat_row(char* to, const char* from, int64_t bytes, int64_t room) {
  __builtin_memcpy(to, from, size_t(bytes));
  for (int64_t done = bytes; done < room; done *= 2) __builtin_memcpy(to + done, to, size_t(min64(done, room - done)));
}
// Rows of one number each, n elements in all. Whole vectors: the next row overwrites what is too much.
template <class U>
void repeat_numbers(char* to, const char* from, int64_t stride, int64_t width, int64_t n) {
  U* y = (U*)to;
  for (const U* x = (const U*)from; n > 0; n -= width, x += stride, y += width) {
    const Vec<U> v = Vec<U>{} + *x;
    for (int64_t j = 0; j < min64(width, n); j += lanes<U>) store(y + j, v);
  }
}

void short_rows(const Ctx& ctx, const Arrays& s, RowFn f, const void* parameters) {
  static constexpr decltype(&repeat_numbers<uint8_t>) repeat[] = {repeat_numbers<uint8_t>, repeat_numbers<uint16_t>,
                                                                  repeat_numbers<uint32_t>, repeat_numbers<uint64_t>};
  const int outer = s.ndim - 2;
  const int64_t width = s.shape[outer + 1], all = s.shape[outer] * width, piece = kPiece / widest(s);
  const bool nt = s.ndim == 2 && s.n * size_of(s.made) >= kStreamBytes && (uintptr_t)s.data[0] % VBYTES == 0;
  Lie lies[kMost];
  for (int k = 1; k < s.K; k++) lies[k] = lie_of(s, k);
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) char room[kMost][kPiece + kShort + VBYTES];
    Operand x[kMost];
    int64_t held[kMost];  // which row stands in the operand's room
    for (int k = 1; k < s.K; k++) {
      const bool still = lies[k] == Lie::fixed;
      x[k] = {room[k], !still, still ? s.read[k - 1] : s.dtype[k]};
      held[k] = -1;
      if (still) spread(s.read[k - 1], s.dtype[k], s.data[k], room[k]);
    }
    for (int64_t i = begin; i < end;) {
      const int64_t first = i % all, n = min64(min64(piece, all - first), end - i);
      const int64_t row = first / width, begun = first - row * width;
      int64_t offset[kMost] = {}, rest = i / all;
      for (int d = outer - 1; d >= 0; d--) {
        for (int k = 0; k < s.K; k++) offset[k] += rest % s.shape[d] * s.stride[k][d];
        rest /= s.shape[d];
      }
      for (int k = 1; k < s.K; k++) {
        const int64_t size = size_of(s.dtype[k]), step = s.stride[k][outer];
        const char* from = s.data[k] + offset[k] * size;
        if (lies[k] == Lie::neighbours) {
          x[k].at = from + first * size;
        } else if (lies[k] != Lie::fixed) {
          if (lies[k] == Lie::column)
            repeat[__builtin_ctzll(uint64_t(size))](room[k], from + row * step * size, step, width, begun + n);
          else if (held[k] != offset[k]) repeat_row(room[k], from, width * size, min64(piece + width, all) * size);
          held[k] = offset[k];
          x[k].at = room[k] + begun * size;
        }
      }
      char* y = s.data[0] + (offset[0] + first) * size_of(s.made);
      if (nt) stream_run(s, y, x + 1, n, f, parameters);
      else f(y, x + 1, n, parameters);
      i += n;
    }
    if (nt) stream_fence();
  });
}

void blocks(const Ctx& ctx, const Arrays& s, RowFn f, const void* parameters) {
  const int last = s.ndim - 1;
  const int64_t size = size_of(s.dtype[0]), made = size_of(s.made);
  const bool in_place = s.linear[0] && s.dtype[0] == s.made;  // always, where it is bool
  const bool nt = s.made == DType::f32 && s.linear[0] && is_half(s.dtype[0]) && streams(s, 2);
  const RowTo<void> write = nt ? streamed_row_fn(s.dtype[0]) : writer(s.made, s.dtype[0]);
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) char room[kMost * kGather * kWidest];
    char* buf[kMost];
    Operand x[kMost];
    for (int k = 0; k < s.K; k++) {
      buf[k] = k ? buf[k - 1] + kGather * size_of(k > 1 ? s.read[k - 2] : s.made) : room;
      if (k == 0) continue;
      x[k] = {buf[k], fixed(s, k) ? 0 : 1, s.read[k - 1]};
      if (x[k].step == 0) spread(s.read[k - 1], s.dtype[k], s.data[k], buf[k]);
    }
    for (int64_t i = begin; i < end; i += kGather) {
      const int64_t n = min64(kGather, end - i);
      for (int k = 1; k < s.K; k++) {
        const DType read = s.read[k - 1];
        if (x[k].step == 0) continue;
        if (s.linear[k] && s.dtype[k] == read) {
          x[k].at = s.data[k] + i * size_of(read);
          continue;
        }
        const int64_t from_size = size_of(s.dtype[k]), to_size = size_of(read);
        const bool evens = s.stride[k][last] == 2 && s.dtype[k] == read && to_size == 4;
        const RowFrom<void> row = evens ? copy_evens : reader(read, s.dtype[k]);
        if (s.linear[k]) {
          row(s.data[k] + i * from_size, 1, buf[k], n);
          continue;
        }
        for_rows(s.ndim, s.shape, s.stride[k], i, n, [&](int64_t from, int64_t run, int64_t done) {
          row(s.data[k] + from * from_size, s.stride[k][last], buf[k] + done * to_size, run);
        });
      }
      if (in_place) {
        f(s.data[0] + i * size, x + 1, n, parameters);
        continue;
      }
      f(buf[0], x + 1, n, parameters);
      if (s.linear[0]) {
        write(buf[0], s.data[0] + i * size, 1, n);
        continue;
      }
      for_rows(s.ndim, s.shape, s.stride[0], i, n, [&](int64_t to, int64_t run, int64_t done) {
        write(buf[0] + done * made, s.data[0] + to * size, s.stride[0][last], run);
      });
    }
    if (nt) stream_fence();
  });
}

}  // namespace

bool in_runs(const Arrays& s) {
  const int last = s.ndim - 1;
  if (s.dtype[0] != s.made || s.stride[0][last] != 1) return false;
  for (int k = 1; k < s.K; k++) {
    const bool readable = s.dtype[k] == s.read[k - 1] || (s.halves && is_half(s.dtype[k]));
    if (!fixed(s, k) && (!readable || uint64_t(s.stride[k][last]) > 1)) return false;
  }
  return last == 0 || s.shape[last] >= 4 * VBYTES / widest(s) || in_short_rows(s);
}

const void* set_apart(const void* at, int64_t bytes, void* apart) {
  __builtin_memcpy(apart, at, bytes ? size_t(bytes) : VBYTES);
  return apart;
}

void run_rows(const Ctx& ctx, const Arrays& s, RowFn f, const void* parameters) {
  (!in_runs(s) ? blocks : s.ndim > 1 && in_short_rows(s) ? short_rows : runs)(ctx, s, f, parameters);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
