// sin, cos, tan for arguments of any size.
//
// x = n pi/2 + r. Up to 2^20 by Cody & Waite with exact products; beyond by Payne & Hanek (1983), scalar, lane by lane.
// f32 reduces in f64, where three operations replace a five-part reduction in f32; with FMA three parts in f32 are
// enough up to 2^13 (4096 numbers in the L1 cache: 2.4 to 1.4 us).
#pragma once
#include "cpu/math/core.h"

namespace mielina {
namespace MIELINA_ISA {

// |x| in (2^20, inf): returns n mod 4 and the fraction r / (pi/2) in [-1/2, 1/2] as high + low. x = M 2^e with a 53-bit
// M; the bits of 2/pi above 2^(1 - e) only add multiples of 4, so 192 bits from there on are enough: 3 words times M.
MIELINA_RARE int reduce_huge(double x, double& high, double& low) noexcept {
  static const uint64_t two_over_pi[] = {0,  // 64 binary places of integer part
                                         0xa2f9836e4e441529,
                                         0xfc2757d1f534ddc0,
                                         0xdb6295993c439041,
                                         0xfe5163abdebbc561,
                                         0xb7246e3a424dd2e0,
                                         0x06492eea09d1921c,
                                         0xfe1deb1cb129a73e,
                                         0xe88235f52ebb4484,
                                         0xe99c7026b45f7e41,
                                         0x3991d639835339f4,
                                         0x9c845f8bbdf9283b,
                                         0x1ff897ffde05980f,
                                         0xef2f118b5a0a6d1f,
                                         0x6d367ecf27cb09b7,
                                         0x4f463f669e5fea2d,
                                         0x7527bac7ebe5f17b,
                                         0x3d0739f78a5292ea,
                                         0x6bfb5fb11f8d5d08,
                                         0x56033046fc7b6bab,
                                         0xf0cfbc209af4361d};
  using u128 = unsigned __int128;
  uint64_t u;
  __builtin_memcpy(&u, &x, sizeof u);
  int exponent = int(u >> 52 & 0x7ff);
  if (exponent == 0x7ff) {
    high = low = __builtin_nan("");
    return 0;
  }
  uint64_t mantissa = (u & 0xfffffffffffff) | (uint64_t(1) << 52), w[3];
  int first = exponent - 1075 - 2 + 64;  // the place 2^-(e - 1) in the table, whose place 64 is 2^-1
  for (int i = 0; i < 3; i++) {
    const uint64_t* t = two_over_pi + first / 64 + i;
    w[i] = first % 64 ? t[0] << first % 64 | t[1] >> (64 - first % 64) : t[0];
  }
  u128 a = u128(mantissa) * w[2], b = u128(mantissa) * w[1] + (a >> 64);
  uint64_t top = mantissa * w[0] + uint64_t(b >> 64);
  u128 fraction = (u128(top) << 64 | uint64_t(b)) << 2 | uint64_t(a) >> 62;
  int n = int(top >> 62);
  bool negative = fraction >> 127;
  if (negative) {
    fraction = -fraction;
    n++;
  }
  uint64_t head = uint64_t(fraction >> 64);
  int zeros = head ? __builtin_clzll(head) : 64 + __builtin_clzll(uint64_t(fraction) | 1);
  fraction <<= zeros;
  uint64_t scale_bits = uint64_t(1023 - 53 - zeros) << 52;
  double scale;
  __builtin_memcpy(&scale, &scale_bits, sizeof scale);
  bool flip = negative != bool(u >> 63);
  high = double(int64_t(fraction >> 75)) * (flip ? -scale : scale);
  low = double(uint64_t(fraction >> 11)) * (flip ? -scale : scale) * 0x1p-64;
  return u >> 63 ? -n : n;
}

constexpr double kPiHalf = 0x1.921fb54442d18p0, kPiHalfLow = 0x1.1a62633145c07p-54;

// The lanes beyond 2^20 (inf and NaN too): n, r and low replaced.
template <class V>
MIELINA_RARE void reduce_huge_lanes(V x, V& n, V& r, V& low) noexcept {
  V high{}, rest{};
  Mask<V> huge = ~(abs(x) < c<V>(0x1p20));
#pragma GCC unroll 1
  for (int i = 0; i < lanes<Elem<V>>; i++) {
    if (!huge[i]) continue;
    double h, l;
    n[i] = Elem<V>(reduce_huge(double(x[i]), h, l));
    high[i] = is_f32<V> ? Elem<V>(h * kPiHalf) : Elem<V>(h);
    rest[i] = Elem<V>(l);
  }
  if constexpr (is_f32<V>) {
    r = select<V>(huge, high, r);
  } else {
    V e, p = two_prod(high, c<V>(kPiHalf), e);
    V s = fast_two_sum(p, e + fma(high, c<V>(kPiHalfLow), rest * c<V>(kPiHalf)), e);
    r = select<V>(huge, s, r);
    low = select<V>(huge, e, low);
  }
}

// x = n pi/2 + r + low; of n the two low bits count.
MIELINA_INLINE vf64 trig_reduce_fast(vf64 x, vf64& n, vf64& low) {
  n = round_even(x * c<vf64>(0x1.45f306dc9c883p-1));
  vf64 a = x - n * c<vf64>(0x1.921fb544p0);  // three parts of 33 bits, 20 bits of n: exact products
  vf64 e1, b = two_sum(a, n * c<vf64>(-0x1.0b4611a6p-34), e1);
  vf64 e2, d = two_sum(b, n * c<vf64>(-0x1.3198a2ep-69), e2);
  return fast_two_sum(d, (e1 + e2) - n * c<vf64>(0x1.b839a252049c1p-104), low);
}
MIELINA_INLINE vf32 trig_reduce_wide(vf32 x, vf32& n) {
  auto reduce = [](vf64 x, vf64& n) __attribute__((always_inline)) {
    n = round_even(x * c<vf64>(0x1.45f306dc9c883p-1));
    return fma(n, c<vf64>(-0x1.0b4611a626331p-34), x - n * c<vf64>(0x1.921fb544p0));
  };
  Wide w = widen(x);
  vf64 n0, n1, r0 = reduce(w.low, n0), r1 = reduce(w.high, n1);
  n = narrow(n0, n1);
  return narrow(r0, r1);
}
#if MIELINA_V512 || MIELINA_V256
constexpr double kTrigFast = 0x1p13;
// The lanes beyond 2^13.
MIELINA_RARE void reduce_large_lanes(vf32 x, vf32& n, vf32& r) noexcept {
  vf32 wide_n, wide_r = trig_reduce_wide(x, wide_n), low;
  const vi32 large = ~(abs(x) < c<vf32>(kTrigFast));
  if (any_lane(~(abs(x) < c<vf32>(0x1p20)))) reduce_huge_lanes<vf32>(x, wide_n, wide_r, low);
  n = select<vf32>(large, wide_n, n);
  r = select<vf32>(large, wide_r, r);
}
MIELINA_INLINE vf32 trig_reduce_fast(vf32 x, vf32& n, vf32& low) {
  n = round_even(x * c<vf32>(0x1.45f306dc9c883p-1));
  low = vf32{};
  const vf32 a = fma(n, c<vf32>(-0x1.921fb6p0), x);  // exact
  return fma(n, c<vf32>(0x1.ee59dap-50), fma(n, c<vf32>(0x1.777a5cp-25), a));
}
MIELINA_INLINE void reduce_rare_lanes(vf32 x, vf32& n, vf32& r, vf32&) { reduce_large_lanes(x, n, r); }
#else
constexpr double kTrigFast = 0x1p20;
MIELINA_INLINE vf32 trig_reduce_fast(vf32 x, vf32& n, vf32& low) {
  low = vf32{};
  return trig_reduce_wide(x, n);
}
MIELINA_INLINE void reduce_rare_lanes(vf32 x, vf32& n, vf32& r, vf32& low) { reduce_huge_lanes<vf32>(x, n, r, low); }
#endif
MIELINA_INLINE void reduce_rare_lanes(vf64 x, vf64& n, vf64& r, vf64& low) { reduce_huge_lanes<vf64>(x, n, r, low); }

template <class V>
MIELINA_INLINE V trig_reduce(V x, V& n, V& low) {
  V r = trig_reduce_fast(x, n, low);
  if (__builtin_expect(any_lane(~(abs(x) < c<V>(is_f32<V> ? kTrigFast : 0x1p20))), 0)) {
    V slow_n = n, slow_r = r, slow_low = low;  // copies, so that the fast values stay in registers
    reduce_rare_lanes(x, slow_n, slow_r, slow_low);
    n = slow_n, r = slow_r, low = slow_low;
  }
  return r;
}

// sin and cos of r + low, |r| <= pi/4.
template <class V>
MIELINA_INLINE V sin_core(V r, V low) {
  V z = r * r;
  if constexpr (is_f32<V>)
    return fma(r * z, poly(z, 0x1.6cd5e8p-19, -0x1.a00f94p-13, 0x1.111108p-7, -0x1.555556p-3), r);
  V p = poly(z, -0x1.aaa396826ac77p-41, 0x1.61208f69802e6p-33, -0x1.ae64529349421p-26, 0x1.71de3a5335c51p-19,
             -0x1.a01a01a018ab8p-13, 0x1.111111111110bp-7, -0x1.5555555555555p-3);
  return r + fma(r * z, p, fma(low, c<V>(-0.5) * z, low));
}
template <class V>
MIELINA_INLINE V cos_core(V r, V low) {
  V z = r * r;
  V half = c<V>(0.5) * z, w = c<V>(1) - half, p;
  if constexpr (is_f32<V>) p = poly(z, 0x1.99ff5p-16, -0x1.6c0c82p-10, 0x1.55554ap-5);
  else
    p = poly(z, -0x1.8faccdb978d55p-37, 0x1.1ee9e88c8c078p-29, -0x1.27e4f80533381p-22, 0x1.a01a019cab7dfp-16,
             -0x1.6c16c16c15141p-10, 0x1.555555555554cp-5);
  V rest = z * z * p - r * low;
  return w + (((c<V>(1) - w) - half) + rest);
}

// The same for sin and cos of f32, where the rest of 1 - z / 2 is below what they round: 5 of 9 operations.
template <class V>
MIELINA_INLINE V cos_plain(V r, V low) {
  if constexpr (is_f32<V>) return poly(r * r, 0x1.99ff5p-16, -0x1.6c0c82p-10, 0x1.55554ap-5, -0.5, 1);
  else return cos_core(r, low);
}

// The low bits of n as an integer vector.
template <class V>
MIELINA_INLINE Bits<V> quadrant(V n) {
  return bits(n + c<V>(is_f32<V> ? 0x1.8p23 : 0x1.8p52));
}

// sin((q + n) pi/2 + r) by quadrants: odd ones take the cosine, the second half turns the sign.
template <class V>
MIELINA_INLINE V by_quadrant(Bits<V> q, V s, V cosine) {
  constexpr int top = 8 * int(sizeof(Elem<V>)) - 1;
  V y = select<V>((Mask<V>)(q << top) < 0, cosine, s);
  return from_bits<V>(bits(y) ^ ((q >> 1) << top));
}

// Max error: 1.48 ULP (f32), 0.78 (f64).
template <class V>
MIELINA_INLINE V sin(V x) {
  V n, low, r = trig_reduce(x, n, low);
  V y = by_quadrant(quadrant(n), sin_core(r, low), cos_plain(r, low));
  return select<V>(x == c<V>(0), x, y);  // keeps -0
}
// Max error: 1.50 ULP (f32), 0.78 (f64).
template <class V>
MIELINA_INLINE V cos(V x) {
  V n, low, r = trig_reduce(x, n, low);
  return by_quadrant(quadrant(n) + 1, sin_core(r, low), cos_plain(r, low));
}
// s / c or -c / s.
// Max error: 3.07 ULP (f32), 2.19 (f64).
template <class V>
MIELINA_INLINE V tan(V x) {
  V n, low, r = trig_reduce(x, n, low), s = sin_core(r, low), co = cos_core(r, low);
  constexpr int top = 8 * int(sizeof(Elem<V>)) - 1;
  Mask<V> odd = (Mask<V>)(quadrant(n) << top) < 0;
  V y = select<V>(odd, -co, s) / select<V>(odd, s, co);
  return select<V>(x == c<V>(0), x, y);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
