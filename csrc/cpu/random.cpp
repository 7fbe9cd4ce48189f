// random: Philox 4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"). See
// table/random.h for which number an element gets: it depends on its index alone.
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kWordsPerCounter = 4;

// High and low halves of the 64-bit products of all lanes with a constant.
MIELINA_INLINE void multiply(vu32 a, uint32_t by, vu32& high, vu32& low) {
  vu64 m = vu64{} + uint64_t(by);
  vu64 even = ((vu64)a & 0xffffffffull) * m, odd = ((vu64)a >> 32) * m;
  low = (vu32)((even & 0xffffffffull) | (odd << 32));
  high = (vu32)((even >> 32) | (odd & 0xffffffff00000000ull));
}

struct Four { vu32 x[4]; };

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

struct Key { uint64_t seed, offset; };
Key read_key(const View& key) {
  const int64_t* p = (const int64_t*)key.data;
  return {uint64_t(p[0]), uint64_t(p[key.stride[0]])};
}

// Words [first, first + n) of the stream, first a multiple of 4.
void words(const Key& key, int64_t first, int64_t n, uint32_t* to) {
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

// [0, 1) with 24 bits (float) or 53 (double, from two words), as multiples of 2^-24 and 2^-53.
MIELINA_INLINE float unit(const uint32_t* w, int64_t i, float) { return float(w[i] >> 8) * 0x1p-24f; }
MIELINA_INLINE double unit(const uint32_t* w, int64_t i, double) {
  return double((uint64_t(w[2 * i]) << 32 | w[2 * i + 1]) >> 11) * 0x1p-53;
}

void random_take(const Ctx&, const View& key, const View& state, int64_t count) noexcept {
  int64_t* s = (int64_t*)state.data;
  int64_t* k = (int64_t*)key.data;
  k[0] = s[0];
  k[key.stride[0]] = s[state.stride[0]];
  s[state.stride[0]] += count;
}

// C order of y: the space must not be sorted by strides, so dims are walked as they stand.
template <class T, class F> void in_order(const Ctx& ctx, const View& y, const View* x, const Key& key, F f) {
  constexpr int64_t kWords = sizeof(T) / 4;
  Space<2> s;
  s.n = numel(y);
  s.ndim = y.ndim == 0 ? 1 : y.ndim;
  for (int d = 0; d < s.ndim; d++) {
    s.shape[d] = y.ndim == 0 ? 1 : y.shape[d];
    s.stride[0][d] = y.ndim == 0 ? 1 : y.stride[d];
    s.stride[1][d] = x && y.ndim ? x->stride[d] : 1;
  }
  s.data[0] = (char*)y.data;
  s.dtype[0] = y.dtype;
  s.data[1] = x ? (char*)x->data : nullptr;
  s.dtype[1] = x ? x->dtype : y.dtype;
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) T in[kBlock], o[kBlock];
    uint32_t w[kBlock * kWords];
    for (int64_t i = begin; i < end; i += kBlock) {
      int64_t n = min64(kBlock, end - i);
      words(key, i * kWords, n * kWords, w);
      const T* from = x ? fetch<T>(s, 1, i, n, in) : nullptr;
      for (int64_t j = 0; j < n; j++) o[j] = f(unit(w, j, T()), from ? from[j] : T(0));
      auto row = row_to_fn<T>(s.dtype[0]);
      int64_t size = kDTypeSize[int(s.dtype[0])];
      for_rows(s, 0, i, n, [&](int64_t offset, int64_t run, int64_t done) {
        row(o + done, s.data[0] + offset * size, s.stride[0][s.ndim - 1], run);
      });
    }
  });
}

void random_uniform(const Ctx& ctx, const View& y, const View& key, double low, double high) noexcept {
  Key k = read_key(key);
  if (y.dtype == DType::f64)
    in_order<double>(ctx, y, nullptr, k, [=](double u, double) { return low + u * (high - low); });
  else
    in_order<float>(ctx, y, nullptr, k, [=](float u, float) { return float(low) + u * float(high - low); });
}

void dropout(const Ctx& ctx, const View& y, const View& x, const View& key, double p) noexcept {
  Key k = read_key(key);
  double scale = p < 1 ? 1 / (1 - p) : 0;
  if (x.dtype == DType::f64)
    in_order<double>(ctx, y, &x, k, [=](double u, double v) { return u >= p ? v * scale : 0.0; });
  else
    in_order<float>(ctx, y, &x, k, [=](float u, float v) { return u >= float(p) ? v * float(scale) : 0.0f; });
}

}  // namespace

void fill_random(Kernels& k) {
  k.random_take = random_take;
  k.random_uniform = random_uniform;
  k.dropout = dropout;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
