// Sorting 64-bit items in vectors, without a branch on the data: columns by a network, then bitonic merges (Batcher
// 1968), as many as fit in registers.
#pragma once
#include "cpu/transpose.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int kItemLanes = lanes<uint64_t>;
constexpr int kSquare = kItemLanes * kItemLanes;  // items of a square of vectors
constexpr int kHeld = 2 * kItemLanes;             // vectors that stay in registers: two squares
constexpr bool kSigned = kItemLanes != 8;  // SSE and AVX2 compare signed integers only: the items' top bit is turned
constexpr uint64_t kTop = 0x8000000000000000u;

// The smaller ones to a, the larger ones to b.
MIELINA_INLINE void order(vu64& a, vu64& b) {
#if MIELINA_V512
  vu64 least = (vu64)_mm512_maskz_min_epu64((__mmask8)-1, (__m512i)a, (__m512i)b);
  b = (vu64)_mm512_maskz_max_epu64((__mmask8)-1, (__m512i)a, (__m512i)b);
#else
  vi64 turned = (vi64)b < (vi64)a;
  vu64 least = turned ? b : a;
  b = turned ? a : b;
#endif
  a = least;
}

MIELINA_INLINE vu64 reversed(vu64 v) {
  vi64 from;
  for (int i = 0; i < kItemLanes; i++) from[i] = kItemLanes - 1 - i;
  return __builtin_shuffle(v, from);
}

// The steps below run through all kHeld vectors, one step after the other, since a single chain of them waits for its
// shuffles: 64 items on one Zen 4 core take 116 ns alone and 88 beside another 64.

// Both squares, lane by lane.
MIELINA_INLINE void sort_columns(vu64* v) {
  constexpr int8_t swaps[19][2] = {{0, 4}, {1, 5}, {2, 6}, {3, 7}, {0, 2}, {1, 3}, {4, 6}, {5, 7}, {2, 4}, {3, 5},
                                   {0, 1}, {2, 3}, {4, 5}, {6, 7}, {1, 4}, {3, 6}, {1, 2}, {3, 4}, {5, 6}};
#pragma GCC unroll 19
  for (int i = 0; i < 19; i++) {
    if (swaps[i][1] >= kItemLanes) continue;
    order(v[swaps[i][0]], v[swaps[i][1]]);
    order(v[kItemLanes + swaps[i][0]], v[kItemLanes + swaps[i][1]]);
  }
}

// Sorts bitonic sequences of W vectors. The last two vectors are merged by equal steps: what lies half a sequence apart
// is put in order, then the halves are shuffled like cards, which brings the next pairs together (Stone 1971).
template <int W>
MIELINA_INLINE void sort_bitonic(vu64* v) {
#pragma GCC unroll 4
  for (int apart = W / 2; apart > 1; apart /= 2)
#pragma GCC unroll 16
    for (int i = 0; i < kHeld; i++)
      if (!(i & apart)) order(v[i], v[i + apart]);
#pragma GCC unroll 4
  for (int step = 1; step < 2 * kItemLanes; step *= 2)
#pragma GCC unroll 8
    for (int i = 0; i < kHeld; i += 2) {
      vu64 a = v[i], b = v[i + 1];
      order(a, b);
      interleave(a, b, v[i], v[i + 1]);
    }
}
// Merges the sorted halves of each W vectors.
template <int W>
MIELINA_INLINE void merge_halves(vu64* v) {
  constexpr int H = W / 2;
#pragma GCC unroll 8
  for (int g = H; g < kHeld; g += W) {
    vu64 t[H];
#pragma GCC unroll 8
    for (int i = 0; i < H; i++) t[i] = reversed(v[g + H - 1 - i]);
#pragma GCC unroll 8
    for (int i = 0; i < H; i++) v[g + i] = t[i];
  }
  sort_bitonic<W>(v);
}

template <class F>
MIELINA_INLINE void in_registers(uint64_t* p, F f) {
  vu64 v[kHeld];
#pragma GCC unroll 16
  for (int i = 0; i < kHeld; i++) v[i] = load(p + i * kItemLanes);
  f(v);
#pragma GCC unroll 16
  for (int i = 0; i < kHeld; i++) store(p + i * kItemLanes, v[i]);
}

// These three are compiled once each.
__attribute__((noinline)) void sort_two_squares(uint64_t* p) {
  in_registers(p, [](vu64* v) __attribute__((always_inline)) {
    constexpr int L = kItemLanes;
    sort_columns(v);
    transpose(*(vu64(*)[L])v);
    transpose(*(vu64(*)[L])(v + L));
    merge_halves<2>(v);
    if constexpr (L >= 4) merge_halves<4>(v);
    if constexpr (L >= 8) merge_halves<8>(v);
  });
}
__attribute__((noinline)) void merge_two_squares(uint64_t* p) {
  in_registers(p, [](vu64* v) __attribute__((always_inline)) { merge_halves<kHeld>(v); });
}
__attribute__((noinline)) void sort_bitonic_held(uint64_t* p) {
  in_registers(p, [](vu64* v) __attribute__((always_inline)) { sort_bitonic<kHeld>(v); });
}

// The first step of merging two sorted halves of n items: leaves two bitonic halves, the smaller items in the first.
void merge_apart(uint64_t* p, int64_t n) {
  constexpr int64_t L = kItemLanes;
  uint64_t *q = p + n / 2, *p_end = q, *q_end = p + n;
  for (; p < p_end; p += L, q += L) {
    p_end -= L;
    q_end -= L;
    vu64 a = load(p), b = load(p_end), c = reversed(load(q_end)), d = reversed(load(q));
    order(a, c);
    order(b, d);
    store(p, a);
    store(p_end, b);
    store(q, c);
    store(q_end, d);
  }
}
// The same for a bitonic sequence.
void order_apart(uint64_t* p, int64_t n) {
  for (int64_t i = 0; i < n / 2; i += kItemLanes) {
    vu64 a = load(p + i), b = load(p + n / 2 + i);
    order(a, b);
    store(p + i, a);
    store(p + n / 2 + i, b);
  }
}

// How many items the network sorts for n: room for them is needed.
MIELINA_INLINE int64_t network_room(int64_t n) {
  int64_t room = 2 * kSquare;
  while (room < n) room *= 2;
  return room;
}
MIELINA_INLINE void turn(uint64_t* p, int64_t n) {
  for (int64_t i = 0; kSigned && i < n; i++) p[i] ^= kTop;
}
// Fills the room with the largest item.
MIELINA_INLINE void network_pad(uint64_t* p, int64_t n, int64_t room) {
  for (int64_t i = n; i < room; i++) p[i] = ~uint64_t(0);
}
void network_sort(uint64_t* p, int64_t n) {
  constexpr int64_t held = 2 * kSquare;
  int64_t room = network_room(n);
  network_pad(p, n, room);
  turn(p, room);
  for (int64_t i = 0; i < room; i += held) {
    sort_two_squares(p + i);
    if (n > kSquare) merge_two_squares(p + i);
  }
  for (int64_t w = 2 * held; w <= room; w *= 2)
    for (uint64_t* q = p; q < p + room; q += w) {
      merge_apart(q, w);
      for (int64_t part = w / 2; part > held; part /= 2)
        for (int64_t i = 0; i < w; i += part) order_apart(q + i, part);
      for (int64_t i = 0; i < w; i += held) sort_bitonic_held(q + i);
    }
  turn(p, room);
}
// Two rows of up to kSquare items, the second one at p + kSquare.
void network_sort_two(uint64_t* p, int64_t n) {
  network_pad(p, n, kSquare);
  network_pad(p + kSquare, n, kSquare);
  turn(p, 2 * kSquare);
  sort_two_squares(p);
  turn(p, 2 * kSquare);
}

// ---- rows side by side ----------------------------------------------------------------------------------------------
// kColumns rows of n items, p[i * kColumns + j] being item i of row j, by merge exchange (Batcher 1968; Knuth 5.2.2 M),
// whose steps are the same for every n. The items' top bit is turned where kSigned.
constexpr int64_t kColumns = 16;
void sort_side_by_side(uint64_t* p, int64_t n) {
  constexpr int L = kItemLanes;
  int64_t half = 1;
  while (2 * half < n) half *= 2;
  for (int64_t step = half; step > 0; step /= 2) {
    int64_t from = 0, apart = step;
    for (int64_t q = half;; q /= 2) {
      for (int64_t i = from; i < n - apart; i += 2 * step)
        for (int64_t k = i; k < min64(i + step, n - apart); k++) {
          uint64_t *a = p + k * kColumns, *b = a + apart * kColumns;
#pragma GCC unroll 8
          for (int j = 0; j < kColumns; j += L) {
            vu64 low = load(a + j), high = load(b + j);
            order(low, high);
            store(a + j, low);
            store(b + j, high);
          }
        }
      if (q == step) break;
      apart = q - step;
      from = step;
    }
  }
}

}  // namespace
}  // namespace MIELINA_ISA
}  // namespace mielina
