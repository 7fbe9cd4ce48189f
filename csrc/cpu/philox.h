// Philox 4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): word i of a key's
// stream is lane i % 4 of counter offset + i / 4.
#pragma once
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int64_t kWordsPerCounter = 4;

// High and low halves of the 64-bit products of all lanes with a constant.
MIELINA_INLINE void multiply(vu32 a, uint32_t by, vu32& high, vu32& low) {
  vu64 m = vu64{} + uint64_t(by);
  vu64 even = ((vu64)a & 0xffffffffull) * m, odd = ((vu64)a >> 32) * m;
  low = (vu32)((even & 0xffffffffull) | (odd << 32));
  high = (vu32)((even >> 32) | (odd & 0xffffffff00000000ull));
}

struct Four {
  vu32 x[4];
};

// One counter a lane: ten rounds of the block cipher.
MIELINA_INLINE Four philox(vu32 c0, vu32 c1, uint64_t seed) {
  vu32 c2{}, c3{};
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; round++) {
    vu32 h0, l0, h1, l1;
    multiply(c0, 0xD2511F53u, h0, l0);
    multiply(c2, 0xCD9E8D57u, h1, l1);
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

struct Key {
  uint64_t seed, offset;
};
static inline Key read_key(const View& key) {
  const int64_t* p = (const int64_t*)key.data;
  return {uint64_t(p[0]), uint64_t(p[key.stride[0]])};
}

// Words [first, first + n) of the stream, first a multiple of 4.
static inline void words(const Key& key, int64_t first, int64_t n, uint32_t* to) {
  constexpr int L = lanes<uint32_t>;
  uint32_t c0[L], c1[L], out[4][L];
  for (int64_t i = 0; i < n; i += L * kWordsPerCounter) {
    for (int j = 0; j < L; j++) {
      uint64_t counter = key.offset + uint64_t(first + i) / kWordsPerCounter + uint64_t(j);
      c0[j] = uint32_t(counter);
      c1[j] = uint32_t(counter >> 32);
    }
    Four f = philox(load(c0), load(c1), key.seed);
    for (int w = 0; w < 4; w++) store(out[w], f.x[w]);
    int64_t m = min64(n - i, L * kWordsPerCounter);
    for (int64_t j = 0; j < m; j++) to[i + j] = out[j % 4][j / 4];
  }
}

}  // namespace MIELINA_ISA
}  // namespace mielina
