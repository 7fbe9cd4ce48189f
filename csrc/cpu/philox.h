// Philox 4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): word i of a key's
// stream is lane i % 4 of counter offset + i / 4.
#pragma once
#include "cpu/transpose.h"

namespace mielina {
namespace MIELINA_ISA {

constexpr int64_t kWordsPerCounter = 4;

// Products of the low halves of all 64-bit lanes with a number.
MIELINA_INLINE vu64 product(vu64 a, uint32_t by) {
#if MIELINA_V512
  return (vu64)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(by));
#elif MIELINA_V256
  return (vu64)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(by));
#elif defined(__x86_64__)
  return (vu64)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(by));
#else
  return (a & 0xffffffffull) * (vu64{} + uint64_t(by));
#endif
}

// High and low halves of the 64-bit products of all lanes with a constant.
MIELINA_INLINE void multiply(vu32 a, uint32_t by, vu32& high, vu32& low) {
  vu64 even = product((vu64)a, by), odd = product((vu64)a >> 32, by);
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
  vu32 lane;
  for (int j = 0; j < L; j++) lane[j] = uint32_t(j);
  for (int64_t i = 0; i < n; i += L * kWordsPerCounter) {
    uint64_t counter = key.offset + uint64_t(first + i) / kWordsPerCounter;
    vu32 c0 = lane + uint32_t(counter), c1 = vu32{} + uint32_t(counter >> 32);
    c1 -= (vu32)(c0 < lane);  // a carry: the mask is -1
    Four f = philox(c0, c1, key.seed);
    vu32 even[2], odd[2], out[4];
    interleave(f.x[0], f.x[2], even[0], even[1]);
    interleave(f.x[1], f.x[3], odd[0], odd[1]);
    interleave(even[0], odd[0], out[0], out[1]);
    interleave(even[1], odd[1], out[2], out[3]);
    for (int w = 0; w < 4; w++) {
      int64_t m = n - i - w * L;
      if (m >= L) store(to + i + w * L, out[w]);
      else if (m > 0) store_n(to + i + w * L, out[w], m);
    }
  }
}

}  // namespace MIELINA_ISA
}  // namespace mielina
