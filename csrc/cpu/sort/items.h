// Sorting and selecting packed items: a key whose unsigned order is the wanted one, above the element's index. Items
// are unique, so every algorithm on them is stable. Keys of up to 32 bits make 64-bit items, others 128-bit ones.
#pragma once
#include "cpu/block.h"
#include "cpu/sort/network.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

using u128 = unsigned __int128;

template <class U>
constexpr int kHalf = int(sizeof(U)) * 4;  // bits of the key, and of the index
template <class U>
MIELINA_INLINE int64_t index_of(U item) {
  return int64_t(item & ((U(1) << kHalf<U>)-1));
}
template <class U>
MIELINA_INLINE U key_of(U item) {
  return item >> kHalf<U>;
}
template <class U>
MIELINA_INLINE int digit_of(U item, int shift) {
  return int(uint64_t(item >> shift) & 255);
}

// Elements as keys. All NaN are one key, above infinity; -0 is 0.
MIELINA_INLINE uint64_t key_bits(float x) {
  uint32_t b;
  __builtin_memcpy(&b, &x, 4);
  b = x == 0 ? 0 : b;
  uint32_t k = b ^ (uint32_t(int32_t(b) >> 31) | 0x80000000u);
  return x != x ? 0xffffffffu : k;
}
MIELINA_INLINE u128 key_bits(double x) {
  uint64_t b;
  __builtin_memcpy(&b, &x, 8);
  b = x == 0 ? 0 : b;
  uint64_t k = b ^ (uint64_t(int64_t(b) >> 63) | 0x8000000000000000u);
  return x != x ? ~uint64_t(0) : k;
}
MIELINA_INLINE u128 key_bits(int64_t x) { return uint64_t(x) ^ 0x8000000000000000u; }
template <class T>
using Item = decltype(key_bits(T()));

template <class T>
MIELINA_INLINE Item<T> pack(T x, int64_t index, bool descending) {
  using U = Item<T>;
  U k = key_bits(x);
  return (descending ? ((U(1) << kHalf<U>)-1) - k : k) << kHalf<U> | U(index);
}

// A vector of keys of 32 bits.
MIELINA_INLINE vu32 key_bits(vf32 x) {
  vu32 b = x == 0 ? vu32{} : bits(x);
  vu32 k = b ^ ((vu32)((vi32)b >> 31) | 0x80000000u);
  return is_nan(x) ? ~vu32{} : k;
}
// The bits of the float that a key was made of.
MIELINA_INLINE vu32 word_of_key(vu32 k) { return k ^ (~(vu32)((vi32)k >> 31) | 0x80000000u); }
MIELINA_INLINE vu32 odd_lanes(vu32 a, vu32 b) {
  vi32 from;
  for (int i = 0; i < lanes<int32_t>; i++) from[i] = 2 * i + 1;
  return __builtin_shuffle(a, b, from);
}
MIELINA_INLINE vu32 count_from(int64_t i) {
  vu32 v{};
  for (int j = 0; j < lanes<uint32_t>; j++) v[j] = uint32_t(i + j);
  return v;
}

// ---- merging, for short rows of wide items --------------------------------------------------------------------------
constexpr int64_t kRun = 16;        // runs that merging starts from
constexpr int64_t kMergeMax = 192;  // longer rows are sorted by digits

template <class U>
void insertion_sort(U* a, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    U x = a[i];
    int64_t j = i;
    for (; j > 0 && x < a[j - 1]; j--) a[j] = a[j - 1];
    a[j] = x;
  }
}
// Without branches on the data: the choice is a conditional move.
template <class U>
void merge(const U* a, const U* a_end, const U* b, const U* b_end, U* to) {
  while (a < a_end && b < b_end) {
    U x = *a, y = *b;
    bool second = y < x;
    *to++ = second ? y : x;
    a += !second;
    b += second;
  }
  while (a < a_end) *to++ = *a++;
  while (b < b_end) *to++ = *b++;
}
template <class U>
U* merge_sort(U* a, U* spare, int64_t n) {
  for (int64_t i = 0; i < n; i += kRun) insertion_sort(a + i, min64(kRun, n - i));
  for (int64_t w = kRun; w < n; w *= 2) {
    for (int64_t i = 0; i < n; i += 2 * w) {
      int64_t middle = min64(n, i + w);
      merge(a + i, a + middle, a + middle, a + min64(n, i + 2 * w), spare + i);
    }
    U* t = a;
    a = spare;
    spare = t;
  }
  return a;
}

// ---- by digits, least significant first -----------------------------------------------------------------------------
// One read counts all digits of the key; passes whose digit is the same for all elements fall away. Rows of 64-bit
// items are long: digits of 11 bits spare them one of four passes.
template <class U>
U* radix_sort(U* a, U* spare, int64_t n) {
  constexpr int bits = sizeof(U) == 8 && VBYTES < 64 ? 11 : 8, digits = (kHalf<U> + bits - 1) / bits;
  constexpr uint64_t mask = (1 << bits) - 1;
  auto digit = [](U item, int shift) { return uint64_t(item >> shift) & mask; };
  uint32_t count[digits][mask + 1] = {};
  for (int64_t i = 0; i < n; i++)
    for (int d = 0; d < digits; d++) count[d][digit(a[i], kHalf<U> + bits * d)]++;
  for (int d = 0; d < digits; d++) {
    const int shift = kHalf<U> + bits * d;
    if (count[d][digit(a[0], shift)] == uint32_t(n)) continue;
    uint32_t sum = 0;
    for (uint32_t& c : count[d]) {
      uint32_t mine = c;
      c = sum;
      sum += mine;
    }
    for (int64_t i = 0; i < n; i++) spare[count[d][digit(a[i], shift)]++] = a[i];
    U* t = a;
    a = spare;
    spare = t;
  }
  return a;
}

// ---- by rank, for a few items ---------------------------------------------------------------------------------------
// Items are unique: each belongs as far from the start as there are smaller ones.
constexpr int64_t kRanked = 16;
void rank_sort(const uint64_t* a, int64_t n, uint64_t* to) {
  constexpr int L = lanes<uint64_t>, K = int(kRanked) / L;
  vu64 v[K], smaller[K] = {};
#pragma GCC unroll 8
  for (int k = 0; k < K; k++) v[k] = k * L < n ? load(a + k * L) : vu64{};
  for (int64_t j = 0; j < n; j++) {
    const vu64 item = vu64{} + a[j];
#pragma GCC unroll 8
    for (int k = 0; k < K; k++) smaller[k] -= (vu64)(item < v[k]);
  }
  uint64_t place[kRanked];
#pragma GCC unroll 8
  for (int k = 0; k < K; k++) store(place + k * L, smaller[k]);
  for (int64_t i = 0; i < n; i++) to[place[i]] = a[i];
}

// Sorts n items in `a` or `spare`; returns which. Both have items_room(n).
constexpr int64_t kNetworkMax = VBYTES < 64 ? 4096 : 8192;  // longer rows are sorted by digits
template <class U>
int64_t items_room(int64_t n) {
  return sizeof(U) == 8 && n <= kNetworkMax ? network_room(n) : ceil_div(n, kSquare) * kSquare;
}
template <class U>
U* sort_items(U* a, U* spare, int64_t n) {
  if (n <= 1) return a;
  if constexpr (sizeof(U) == 8) {
    if (n <= kRanked) {
      rank_sort(a, n, spare);
      return spare;
    }
    if (n > kNetworkMax) return radix_sort(a, spare, n);
    network_sort(a, n);
    return a;
  } else {
    return n <= kMergeMax ? merge_sort(a, spare, n) : radix_sort(a, spare, n);
  }
}

// The same for one long row by many threads: the row is cut into fixed chunks, each of which counts its digits; after
// the counts are added up in order (digit, chunk), every chunk knows where its elements go.
constexpr int64_t kLong = 128 * 1024, kCut = 16 * 1024;
template <class U>
U* radix_sort_long(const Ctx& ctx, U* a, U* spare, int64_t n, uint32_t* count) {
  int64_t chunks = ceil_div(n, kCut);
  for (int shift = kHalf<U>; shift < 2 * kHalf<U>; shift += 8) {
    parallel_for(ctx, chunks, [&](int64_t c, int) {
      uint32_t* mine = count + c * 256;
      __builtin_memset(mine, 0, 256 * sizeof(uint32_t));
      for (int64_t i = c * kCut; i < min64(n, (c + 1) * kCut); i++) mine[digit_of(a[i], shift)]++;
    });
    uint32_t sum = 0, same = 0;
    int first = digit_of(a[0], shift);
    for (int64_t c = 0; c < chunks; c++) same += count[c * 256 + first];
    if (same == uint32_t(n)) continue;
    for (int d = 0; d < 256; d++)
      for (int64_t c = 0; c < chunks; c++) {
        uint32_t mine = count[c * 256 + d];
        count[c * 256 + d] = sum;
        sum += mine;
      }
    parallel_for(ctx, chunks, [&](int64_t c, int) {
      uint32_t* at = count + c * 256;
      for (int64_t i = c * kCut; i < min64(n, (c + 1) * kCut); i++) spare[at[digit_of(a[i], shift)]++] = a[i];
    });
    U* t = a;
    a = spare;
    spare = t;
  }
  return a;
}

// ---- selection ------------------------------------------------------------------------------------------------------
// Moves the k smallest of n items to `to`, in no order; `a` is used up. Most significant digit first: what is below the
// digit of the k-th goes out, what shares it stays a candidate. At most one pass a digit, so the time is O(n) always.
template <class U>
void select_items(U* a, int64_t n, int64_t k, U* to) {
  for (int shift = 2 * kHalf<U> - 8; k > 0 && k < n; shift -= 8) {
    int64_t count[256] = {};
    for (int64_t i = 0; i < n; i++) count[digit_of(a[i], shift)]++;
    int digit = 0;
    int64_t below = 0;
    while (below + count[digit] < k) below += count[digit++];
    if (count[digit] == n) continue;
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
      U x = a[i];
      int d = digit_of(x, shift);
      *to = x;
      to += d < digit;
      a[kept] = x;
      kept += d == digit;
    }
    k -= below;
    n = kept;
  }
  for (int64_t i = 0; i < k; i++) to[i] = a[i];
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
