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

// Ten rounds of the block cipher for one counter a 64-bit lane: its low half is the word, above it stands whatever the
// products left there. A round is two products, two shifts and four xors, 16 instructions for as many counters as a
// vector has words; with words in all 32-bit lanes, which have to be split and joined around each product, it was 22.
// Two vectors go side by side: one alone waits for its products.
constexpr int kRounds = 10;
struct Words {
  vu64 x[4][2];
};
MIELINA_INLINE Words philox(vu64 counter, const uint64_t (*round_keys)[2]) {
  Words w;
  vu64(&c)[4][2] = w.x;
  for (int h = 0; h < 2; h++) {
    c[0][h] = counter + uint64_t(h * lanes<uint64_t>);
    c[1][h] = c[0][h] >> 32;
    c[2][h] = c[3][h] = vu64{};
  }
  for (int round = 0; round < kRounds; round++) {
    const vu64 k0 = vu64{} + round_keys[round][0], k1 = vu64{} + round_keys[round][1];
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
      const vu64 first = product(c[0][h], 0xD2511F53u), second = product(c[2][h], 0xCD9E8D57u);
      c[0][h] = (second >> 32) ^ (c[1][h] ^ k0);
      c[1][h] = second;
      c[2][h] = (first >> 32) ^ (c[3][h] ^ k1);
      c[3][h] = first;
    }
  }
  return w;
}
// Two words a lane, the first one in its low half.
MIELINA_INLINE vu64 joined(vu64 first, vu64 second) { return (first & 0xffffffffull) | second << 32; }

struct Key {
  uint64_t seed, offset;
};
static inline Key read_key(const View& key) {
  const int64_t* p = (const int64_t*)key.data;
  return {uint64_t(p[0]), uint64_t(p[key.stride[0]])};
}

// Words [first, first + n) of the stream, first a multiple of 4.
inline void words(const Key& key, int64_t first, int64_t n, uint32_t* to) {
  constexpr int L = lanes<uint64_t>;
  vu64 lane;
  for (int j = 0; j < L; j++) lane[j] = uint64_t(j);
  uint64_t keys[kRounds][2] = {{uint32_t(key.seed), key.seed >> 32}};
  for (int r = 1; r < kRounds; r++) {
    keys[r][0] = uint32_t(keys[r - 1][0]) + 0x9E3779B9u;
    keys[r][1] = uint32_t(keys[r - 1][1]) + 0xBB67AE85u;
  }
  for (int64_t i = 0; i < n; i += 2 * L * kWordsPerCounter) {
    const Words f = philox(lane + (key.offset + uint64_t(first + i) / kWordsPerCounter), keys);
    vu64 out[4];
    for (int h = 0; h < 2; h++)
      interleave(joined(f.x[0][h], f.x[1][h]), joined(f.x[2][h], f.x[3][h]), out[2 * h], out[2 * h + 1]);
    for (int w = 0; w < 4; w++) {
      const int64_t m = n - i - w * 2 * L;
      if (m >= 2 * L) store(to + i + w * 2 * L, (vu32)out[w]);
      else if (m > 0) store_n(to + i + w * 2 * L, (vu32)out[w], m);
    }
  }
}

}  // namespace MIELINA_ISA
}  // namespace mielina
