// random: see table/random.h for which number an element gets: it depends on its index alone.
#include "core/normal.h"
#include "cpu/block.h"
#include "cpu/philox.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// [0, 1) with 24 bits (float) or 53 (double, from two words), as multiples of 2^-24 and 2^-53.
MIELINA_INLINE vf32 units(const uint32_t* w, float) { return to_float((vi32)(load(w) >> 8)) * splat<vf32>(0x1p-24f); }
MIELINA_INLINE vf64 units(const uint32_t* w, double) {
  vu64 both;
  __builtin_memcpy(&both, w, VBYTES);
  return to_float((vi64)((both << 32 | both >> 32) >> 11)) * splat<vf64>(0x1p-53);
}

void random_take(const Ctx&, const View& key, const View& state, int64_t count) noexcept {
  int64_t* s = (int64_t*)state.data;
  int64_t* k = (int64_t*)key.data;
  k[0] = s[0];
  k[key.stride[0]] = s[state.stride[0]];
  s[state.stride[0]] += count;
}

// y = f(uniform numbers, x), a vector at a time. C order of y: the space must not be sorted by strides, so dims are
// walked as they stand.
template <class T, class F>
void in_order(const Ctx& ctx, const View& y, const View* x, const Key& key, F f) {
  constexpr int64_t kWords = sizeof(T) / 4, L = lanes<T>;
  const Space<2> s({&y, x ? x : &y}, Walk::as_given);
  const bool nt = s.dense(0) && s.dtype[0] == dtype_of<T> && s.n * int64_t(sizeof(T)) >= kStreamBytes &&
                  (uintptr_t)s.data[0] % VBYTES == 0;
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) T in[kBlock], o[kBlock];
    alignas(64) uint32_t w[kBlock * kWords];
    for (int64_t i = begin; i < end; i += kBlock) {
      int64_t n = min64(kBlock, end - i);
      words(key, i * kWords, n * kWords, w);
      const T* from = x ? fetch<T>(s, 1, i, n, in) : nullptr;
      T* to = target<T>(s, 0, i, o);
      int64_t j = 0;
      for (; j + L <= n; j += L) {
        Vec<T> v = f(units(w + j * kWords, T()), from ? load(from + j) : Vec<T>{});
        if (nt) stream(to + j, v);
        else store(to + j, v);
      }
      if (j < n) store_n(to + j, f(units(w + j * kWords, T()), from ? load_n(from + j, n - j) : Vec<T>{}), n - j);
      flush<T>(s, 0, i, n, to);
    }
    if (nt) stream_fence();
  });
}

// The number before x.
template <class T>
T before(T x) {
  using U = Elem<Bits<Vec<T>>>;
  U bits;
  __builtin_memcpy(&bits, &x, sizeof x);
  bits = x > 0 ? bits - 1 : x < 0 ? bits + 1 : (U(1) << (8 * sizeof(U) - 1)) + 1;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

// A sum that is rounded up to `high`, as one in 2^24 floats in [1, 2), becomes the number before it.
template <class T>
void uniform_of(const Ctx& ctx, const View& y, const Key& key, T low, T span, T high) {
  using V = Vec<T>;
  const T last = low < high ? before(high) : high;
  in_order<T>(ctx, y, nullptr, key, [=](V u, V) __attribute__((always_inline)) {
    const V v = splat<V>(low) + u * splat<V>(span), end = splat<V>(last);
    return select<V>(v < end, v, end);
  });
}
void random_uniform(const Ctx& ctx, const View& y, const View& key, double low, double high) noexcept {
  Key k = read_key(key);
  if (y.dtype == DType::f64) uniform_of<double>(ctx, y, k, low, high - low, high);
  else uniform_of<float>(ctx, y, k, float(low), float(high - low), float(high));
}

// f(words, i): element i of a block of C order, made of `per` words; blocks hold an even number of elements.
template <class T, class F>
void from_words(const Ctx& ctx, const View& y, const Key& key, int per, F f) {
  const Space<1> s({&y}, Walk::as_given);
  auto row = row_to_fn<T>(y.dtype);
  int64_t size = kDTypeSize[int(y.dtype)];
  parallel_ranges(ctx, s.n, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) T o[kBlock];
    alignas(64) uint32_t w[kBlock * 2];
    for (int64_t i = begin; i < end; i += kBlock) {
      int64_t n = min64(kBlock, end - i), even = n + (n & 1);
      words(key, i * per, even * per, w);
      if (n == kBlock && s.dense(0) && y.dtype == dtype_of<T>) {  // whole blocks where they belong
        f(w, (T*)s.data[0] + i, n);
        continue;
      }
      f(w, o, even);
      for_rows(s, 0, i, n, [&](int64_t offset, int64_t run, int64_t done) {
        row(o + done, s.data[0] + offset * size, s.stride[0][s.ndim - 1], run);
      });
    }
  });
}

// A vector of pairs of uniform numbers: 24 bits each of two words, or 53 of four.
MIELINA_INLINE void pairs(const uint32_t* w, float, vf64& u, vf64& v) {
  const vu64 both = (vu64)load(w);
  u = normal_real<vf64>((both & 0xffffffffull) >> 8) * 0x1p-24;
  v = normal_real<vf64>(both >> 40) * 0x1p-24;
}
MIELINA_INLINE void pairs(const uint32_t* w, double, vf64& u, vf64& v) {
  vi64 even;
  for (int i = 0; i < lanes<double>; i++) even[i] = 2 * i;
  const vf64 a = units(w, double()), b = units(w + lanes<uint32_t>, double());
  u = __builtin_shuffle(a, b, even);
  v = __builtin_shuffle(a, b, even + 1);
}
template <class T>
void normal_of(const Ctx& ctx, const View& y, const Key& key, double mean, double std) {
  constexpr int L = lanes<double>;
  constexpr double step = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;
  auto root = [](vf64 x) __attribute__((always_inline)) { return sqrt(x); };
  from_words<T>(ctx, y, key, sizeof(T) / 4, [=](const uint32_t* w, T* o, int64_t n) {
    for (int64_t i = 0; i < n; i += 2 * L, w += 2 * L * sizeof(T) / 4) {
      vf64 u, v, a, b, low, high;
      pairs(w, T(), u, v);
      normal_pair<vu64>(u + step, v, a, b, root);
      interleave(mean + std * a, mean + std * b, low, high);
      const auto first = __builtin_convertvector(low, typename VecOf<T, L* int(sizeof(T))>::type);
      const auto second = __builtin_convertvector(high, typename VecOf<T, L* int(sizeof(T))>::type);
      __builtin_memcpy(o + i, &first, sizeof first);
      __builtin_memcpy(o + i + L, &second, sizeof second);
    }
  });
}
void random_normal(const Ctx& ctx, const View& y, const View& key, double mean, double std) noexcept {
  if (y.dtype == DType::f64) normal_of<double>(ctx, y, read_key(key), mean, std);
  else normal_of<float>(ctx, y, read_key(key), mean, std);
}

void random_integers(const Ctx& ctx, const View& y, const View& key, int64_t low, uint64_t span) noexcept {
  Key k = read_key(key);
  if (span <= (uint64_t(1) << 32))
    from_words<int64_t>(ctx, y, k, 1, [=](const uint32_t* w, int64_t* o, int64_t n) {
      auto below = [=](vu64 x) __attribute__((always_inline)) {  // the high half of x's low half times span, plus low
        vu64 whole = span >> 32 ? x & 0xffffffffull : vu64{};
        return (product(x, uint32_t(span)) >> 32) + whole + uint64_t(low);
      };
      for (int64_t i = 0; i < n; i += 2 * lanes<int64_t>) {
        vu64 v = (vu64)load(w + i), first, second;
        interleave(below(v), below(v >> 32), first, second);
        store(o + i, (vi64)first);
        store(o + i + lanes<int64_t>, (vi64)second);
      }
    });
  else
    from_words<int64_t>(ctx, y, k, 2, [=](const uint32_t* w, int64_t* o, int64_t n) {
      for (int64_t i = 0; i < n; i++) {
        uint64_t word = uint64_t(w[2 * i]) << 32 | w[2 * i + 1];
        o[i] = int64_t(uint64_t(low) + uint64_t(((unsigned __int128)word * span) >> 64));
      }
    });
}

template <class T>
void dropout_of(const Ctx& ctx, const View& y, const View& x, const Key& key, T p, T scale) {
  using V = Vec<T>;
  in_order<T>(ctx, y, &x, key, [=](V u, V v) __attribute__((always_inline)) {
    return select<V>(u >= splat<V>(p), v * splat<V>(scale), V{});
  });
}
void dropout(const Ctx& ctx, const View& y, const View& x, const View& key, double p) noexcept {
  Key k = read_key(key);
  double scale = p < 1 ? 1 / (1 - p) : 0;
  if (x.dtype == DType::f64) dropout_of<double>(ctx, y, x, k, p, scale);
  else dropout_of<float>(ctx, y, x, k, float(p), float(scale));
}

}  // namespace

void fill_random(Kernels& k) {
  k.random_take = random_take;
  k.random_uniform = random_uniform;
  k.random_normal = random_normal;
  k.random_integers = random_integers;
  k.dropout = dropout;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
