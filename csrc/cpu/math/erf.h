// erf, erfc, erfinv.
#pragma once
#include "cpu/math/log.h"

namespace mielina {
namespace MIELINA_ISA {

// erf(x) / x - 1 as a polynomial of z = x^2 <= 1.
template <class V>
MIELINA_INLINE V erf_small(V z) {
  if constexpr (is_f32<V>)
    return poly(z, 0x1.4967fap-14, -0x1.a3f65ap-11, 0x1.5405a4p-8, -0x1.b7f90cp-6, 0x1.ce2cf8p-4, -0x1.81273ep-2,
                0x1.06eba8p-3);
  else
    return poly(z, 0x1.057a4382fd789p-34, -0x1.386b0945d133ep-30, 0x1.f7a42f805e7fap-27, -0x1.5f1d3a1a8738ep-23,
                0x1.b9def2184f6bfp-20, -0x1.f4d1df44c07e7p-17, 0x1.f9a321a1d4512p-14, -0x1.c02db3d8f49e2p-11,
                0x1.565bcd0db0603p-8, -0x1.b82ce312849b5p-6, 0x1.ce2f21a042b21p-4, -0x1.812746b0379e6p-2,
                0x1.06eba8214db69p-3);
}

// erfcx(x) = exp(x^2) erfc(x) for x >= 1: w P(w), w = 1 / (x + 2) in f32, 1 / (x + 3) in f64. An error of 1 in w counts
// up to 2.6 in the result, so w's residual is put back by the derivative: erfcx' = 2 x erfcx - 2 / sqrt(pi).
template <class V>
MIELINA_INLINE V erfcx(V x) {
  V low, s = two_sum(x, c<V>(is_f32<V> ? 2 : 3), low);
  V w = c<V>(1) / s, rest, product = two_prod(w, s, rest);
  V residual = ((c<V>(1) - product) - rest) - w * low, y;
  if constexpr (is_f32<V>)
    y = w * poly(w, -0x1.3dd806p4, 0x1.c631cap5, -0x1.a0af9ep5, 0x1.ca1dcep3, -0x1.81c8f6p-3, 0x1.96501cp1, 0x1.f2ac2p0,
                 0x1.2127bep0, 0x1.20dac2p-1);
  else
    y = w * poly(w, 0x1.2293c38273f4ap23, -0x1.818ad9953a3e5p24, 0x1.c693280ce427dp24, -0x1.37b805946864ap24,
                 0x1.1431c6f8fcab1p23, -0x1.55900dd593915p21, 0x1.4368572da0cfdp19, -0x1.dfd599fe677aep16,
                 0x1.e0a909e1e1d88p13, -0x1.2903f92848f4bp11, 0x1.f9253c14b6eap7, 0x1.3f8381a3e152bp7,
                 0x1.f530d15b2ace5p6, 0x1.0d00352b5f2bp6, 0x1.ee3ed2d8c5631p4, 0x1.96373cd655de4p3, 0x1.32eb4de255644p2,
                 0x1.b14c2f76638bcp0, 0x1.20dd75044eecbp-1);
  return fma(residual * s, fma(x * c<V>(-2), y, c<V>(0x1.20dd750429b6dp0)), y);
}

// |x| < 1: x + x P(x^2). Above: 1 - erfc(|x|), whose error counts 0.16 times or less: f32 from a polynomial for
// -log(erfc), which saves the division, f64 as exp(-x^2) erfcx(|x|).
// Max error: 1.32 ULP (f32), 1.19 (f64).
template <class V>
MIELINA_INLINE V erf(V x) {
  V a = at_most(abs(x), is_f32<V> ? 4 : 6), exponent, scale;
  V near = fma(x, erf_small(x * x), x);
  if constexpr (is_f32<V>) {
    exponent = -poly(a, -0x1.55f6ccp-13, 0x1.654c4ap-9, -0x1.57b5e2p-6, 0x1.9f311cp-4, 0x1.47b9f6p-1, 0x1.203e58p0,
                     0x1.41d826p-11);
    scale = c<V>(1);
  } else {
    exponent = -a * a;
    scale = erfcx(a);
  }
  V n, r = exp_reduce(exponent, n);
  scale = scale * pow2(n);
  V far = c<V>(1) - fma(scale, exp_tail(r), scale);
  return select<V>(abs(x) < c<V>(1), near, copysign(far, x));
}

// x < 1: 1 - erf(x), arranged so that 1 - x is exact above 1/2. Beyond: exp(-x^2) erfcx(|x|) with x^2 as a pair, whose
// low part enters the reduced argument of exp; 2 minus that on the left.
// Max error: 4.23 ULP (f32), 3.89 (f64).
template <class V>
MIELINA_INLINE V erfc(V x) {
  V a = at_most(abs(x), is_f32<V> ? 10.5 : 27.5);
  V near = (c<V>(1) - x) - x * erf_small(x * x);
  V low, square = two_prod(a, a, low);
  V n, r = exp_reduce(-square, n) - low, g = erfcx(a);
  V far = scale_pow2(fma(g, exp_tail(r), g), n);
  far = select<V>(x < c<V>(0), c<V>(2) - far, far);
  return select<V>(abs(x) < c<V>(1), near, far);
}

// erfinv(x) / x as polynomials of w = -log(1 - x^2) in the middle and of sqrt(w) in the tails (Giles 2010).
// Max error: 2.94 ULP (f32), 2.11 (f64).
template <class V>
MIELINA_INLINE V erfinv(V x) {
  V a = abs(x);
  V w = -log((c<V>(1) - a) * (c<V>(1) + a)), y;
  if constexpr (is_f32<V>) {
    V near = poly(w, -0x1.2e0b6ep-27, 0x1.daa4bap-23, -0x1.09448ap-19, 0x1.0b4ab6p-18, 0x1.75d896p-15, -0x1.0b59bap-13,
                  -0x1.31f5f6p-9, 0x1.7a6d2p-7, 0x1.db2a1p-3, 0x1.c5bf88p-1);
    V far = poly(sqrt(w) - c<V>(3), -0x1.00e4bep-15, 0x1.524606p-13, -0x1.20b03ep-12, -0x1.fc1854p-14, 0x1.824842p-10,
                 -0x1.d37b32p-9, 0x1.74c7ap-8, -0x1.f4e17cp-8, 0x1.358088p-7, 0x1.006dcap0, 0x1.6a9efcp1);
    y = select<V>(w < c<V>(5), near, far);
  } else {
    y = poly(w - c<V>(3.125), -0x1.6acf9a7b32778p-72, 0x1.e67b55a105be9p-69, 0x1.385ab2e433e8p-66,
             -0x1.9bbdec72ec8f1p-62, 0x1.9ab52d6512db7p-61, 0x1.1ec16ebe5bbd8p-56, -0x1.1ca84e67f5e6ap-53,
             -0x1.6fca59e203b56p-55, 0x1.d6c73f57bc743p-48, -0x1.686e6b86571e4p-45, -0x1.6bdc0f0d62ff5p-44,
             0x1.7235e0f3fa516p-39, -0x1.c8a3f7721a3b9p-37, -0x1.dc3f13bf3114p-35, 0x1.20f53632e7606p-30,
             -0x1.1a9eb0ef59509p-28, -0x1.f36ced44f1bc8p-26, 0x1.c6b4f88be9982p-22, -0x1.6e8a53cdf1e12p-20,
             -0x1.d1d1f7ca221f5p-17, 0x1.879c2a20b535fp-13, -0x1.84576948356a9p-11, -0x1.8b6c33114ead8p-8,
             0x1.ebd80d9b13dfap-3, 0x1.a755e7c99ae86p0);
    Mask<V> tail = w >= c<V>(6.25);  // |x| > 0.998
    if (__builtin_expect(any_lane(tail), 0)) {
      V s = sqrt(w), u = s - c<V>(3.25), v = s - c<V>(5);
      V mid = poly(u, 0x1.065e56a27f817p-27, -0x1.06b5d487a92e2p-26, -0x1.65391902d5bcfp-26, 0x1.1a7fe69a1f44fp-23,
                   -0x1.07c0da45da369p-22, -0x1.d9b6eedbaea37p-26, 0x1.8dbcdc79b2ca4p-20, -0x1.0b7a607a1d63ep-18,
                   0x1.89996bc8a7e14p-19, 0x1.a241dd7ef1463p-17, -0x1.8cf45eb2dd436p-15, 0x1.1e6abb4330ff6p-14,
                   0x1.932e8e7e1aec1p-16, -0x1.7448bcc37f518p-12, 0x1.f3cc545e7f20ep-11, -0x1.ba9240d88f6c4p-10,
                   0x1.468eeca94267p-9, -0x1.ebadabba0256ap-9, 0x1.5ffcfe5b6cd86p-8, 0x1.0158a6d641d55p0,
                   0x1.8abcc380d5a48p1);
      V far = poly(v, 0x1.968fa594bd9b8p-38, -0x1.685c32596b447p-36, 0x1.0b0684ba93649p-36, 0x1.338cae8b3282fp-34,
                   -0x1.a38be3cf48eb6p-32, 0x1.6996227d1a48ep-30, -0x1.e5a0027dfb2d3p-29, 0x1.0cc1b0bf7fed9p-27,
                   -0x1.0560350ba8b78p-26, 0x1.f288b220baefdp-26, -0x1.2238ddde00bbp-24, 0x1.ebe32186dd3ebp-23,
                   -0x1.0a9031ad707d7p-20, 0x1.2fbcfd863b85p-18, -0x1.4a3490484f315p-16, 0x1.3ebf4efb117e3p-14,
                   -0x1.c2f36aa153315p-13, -0x1.22ea5df1cb8d6p-13, 0x1.02a30d1fba10bp0, 0x1.3664ddd1ad7fbp2);
      y = select<V>(tail, select<V>(w < c<V>(16), mid, far), y);
    }
  }
  return select<V>(a == c<V>(1), copysign(c<V>(FpOf<V>::inf), x), x * y);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
