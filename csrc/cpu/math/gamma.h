// lgamma and digamma. f32 goes through f64: shifts, logarithm and reflection cancel, and f32 with compensation would
// cost as much. Its lgamma has polynomials of its own there (Single), good to 2^-29: half the work.
#pragma once
#include "cpu/math/log.h"

namespace mielina {
namespace MIELINA_ISA {

// log(x) to 2^-33, x > 0: 2 atanh(s), s = (m - 1) / (m + 1), x = 2^k m.
MIELINA_INLINE vf64 short_log(vf64 x) {
  using V = vf64;
  V k, m = log_split(x, k), s = (m - c<V>(1)) / (m + c<V>(1)), z = s * s;
  V p = poly(z, 0x1.ddced70791363p-3, 0x1.245c438323d35p-2, 0x1.9999eb5d84f1ap-2, 0x1.5555554bb2b2cp-1);
  V y = fma(k, c<V>(0x1.62e42fefa39efp-1), s * fma(z, p, c<V>(2)));
#if MIELINA_V512
  return y;
#else
  return log_limits(x, y);
#endif
}

// lgamma for x > 0. From 8 (Single: 4.25) on Stirling's series. Below, x is shifted to t in [1.25, 2.25) by Gamma(x +
// 1) = x Gamma(x): lgamma(x) = (t - 2) R(t - 1.75) +- log(product), which keeps the relative precision at the zeros 1
// and 2.
template <bool Single>
MIELINA_INLINE vf64 lgamma_positive(vf64 x) {
  using V = vf64;
  Mask<V> large = x >= c<V>(Single ? 4.25 : 8);
  V t = x, product = c<V>(1);
  for (int i = 0; i < (Single ? 2 : 6); i++) {
    Mask<V> above = t >= c<V>(2.25);
    t = select<V>(above, t - c<V>(1), t);
    product = select<V>(above, product * t, product);
  }
  Mask<V> below1 = x < c<V>(0.25), below2 = x < c<V>(1.25);
  product = select<V>(below2, select<V>(below1, x * (x + c<V>(1)), x), product);
  V offset = select<V>(below2, select<V>(below1, x, x - c<V>(1)), t - c<V>(2)), u = offset + c<V>(0.25);
  V inverse = c<V>(1) / x, z = inverse * inverse, r, log_of, series;
  if constexpr (Single) {
    r = poly(u, 0x1.d282d5a6962f4p-14, -0x1.bd81dbbeb9f8ep-13, 0x1.56042e9f21f89p-12, -0x1.4f8652ea08d88p-11,
             0x1.55091306e0925p-10, -0x1.5c24a83e6ad47p-9, 0x1.6f7066b8fdbc2p-8, -0x1.98ab403744ec6p-7,
             0x1.ef49b9c05065ep-6, -0x1.60a138d221402p-4, 0x1.712e48b775cbep-2, 0x1.59b4fd68946acp-2);
    log_of = short_log(select<V>(large, x, product));
    series = poly(z, -0x1.0e381650eebaap-11, 0x1.9eb8cfdaa768ap-11, -0x1.6c15cbe2dd61dp-9, 0x1.55555551f2704p-4);
  } else {
    r = poly(u, -0x1.2ddb9be0236eap-21, 0x1.e527da0224f6fp-21, -0x1.f4f426ddd6093p-21, 0x1.faa0f39b5c9b1p-20,
             -0x1.063a52da78b32p-18, 0x1.e213fce0d9cd2p-18, -0x1.be11da5200087p-17, 0x1.a322880c82019p-16,
             -0x1.8bd4e0d1c37b8p-15, 0x1.781c7bdd51d24p-14, -0x1.684bd411f8ce8p-13, 0x1.5ca7d6e95260cp-12,
             -0x1.55c7a54e23baep-11, 0x1.54d0dc2fe6118p-10, -0x1.5befb4e201713p-9, 0x1.6f713bc9178a8p-8,
             -0x1.98ac08e32d17bp-7, 0x1.ef49b89a9ab42p-6, -0x1.60a13847d2b06p-4, 0x1.712e48b786214p-2,
             0x1.59b4fd6875a6ep-2);
    log_of = log(select<V>(large, x, product));
    series = poly(z, 0x1.4c38ac0a0456dp-8, -0x1.ef98257985fffp-10, 0x1.b92c947357898p-11, -0x1.38134e1837fc2p-11,
                  0x1.a01a017e8c594p-11, -0x1.6c16c16c14af8p-9, 0x1.5555555555555p-4);
  }
  r *= offset;
  V small = select<V>(below2, r - log_of, r + log_of);
  // (x - 1/2)(log x - 1) + (log(2 pi) - 1) / 2 + series / x
  V stirling = fma(x - c<V>(0.5), log_of - c<V>(1), c<V>(0x1.acfe390c97d69p-2) + inverse * series);
  V y = select<V>(large, stirling, small);
  return select<V>(x == c<V>(FpOf<V>::inf), x, y);
}

// x < 0: log(pi / |sin(pi x)|) - log|x| - lgamma(|x|); the poles give inf. Max error: 3.2 ULP for x > 0 (f32: 0.51);
// for x < 0 5.4 * 2^-53 times the larger of |lgamma| and log(2 + |x|), since the zeros there are differences.
template <bool Single = false>
MIELINA_INLINE vf64 lgamma(vf64 x) {
  using V = vf64;
  V a = abs(x), y = lgamma_positive<Single>(a);
  Mask<V> left = x < c<V>(0);
  if (__builtin_expect(any_lane(left), 0)) {
    V r = a - round_even(a), z = r * r, sine, mirrored;
    if constexpr (Single) {
      sine = abs(r) * poly(z, -0x1.cc9b5f3456538p-8, 0x1.5014072bd9c60p-4, -0x1.32d12ebe6b55ep-1, 0x1.466bc06900900p+1,
                           -0x1.4abbce51c31dap+2, 0x1.921fb54425516p+1);
      mirrored = -short_log(a * sine * c<V>(0x1.45f306dc9c883p-2)) - y;
    } else {
      sine = abs(r) * poly(z, 0x1.9d1b88fe418bep-21, -0x1.6f79771fbbb73p-16, 0x1.e8f35e9dd27a7p-12,
                           -0x1.e3074ddd1ed7cp-8, 0x1.50783485190eap-4, -0x1.32d2cce627543p-1, 0x1.466bc6775aa6ep1,
                           -0x1.4abbce625be52p2, 0x1.921fb54442d18p1);
      mirrored = -log(a * sine * c<V>(0x1.45f306dc9c883p-2)) - y;
    }
    mirrored = select<V>(sine == c<V>(0), c<V>(FpOf<V>::inf), mirrored);  // also where y overflows
    mirrored = select<V>(a < c<V>(0x1p-60), y, mirrored);
    y = select<V>(left, select<V>((r == c<V>(0)) | (a == c<V>(FpOf<V>::inf)), c<V>(FpOf<V>::inf), mirrored), y);
  }
  return y;
}

// digamma for x > 0. x >= 8: asymptotic series. Below, x is shifted into [1, 2], where (x - x0) P(x - 1.5) carries the
// root x0 as a pair; the 1 / (x + i) of the shift are summed as one fraction.
MIELINA_INLINE vf64 digamma_positive(vf64 x) {
  using V = vf64;
  Mask<V> large = x >= c<V>(8), below1 = x < c<V>(1);
  V t = x, top = c<V>(0), bottom = c<V>(1);
  for (int i = 0; i < 6; i++) {
    Mask<V> above = t > c<V>(2);
    t = select<V>(above, t - c<V>(1), t);
    top = select<V>(above, fma(top, t, bottom), top);
    bottom = select<V>(above, bottom * t, bottom);
  }
  t = select<V>(below1, x + c<V>(1), t);
  top = select<V>(below1, c<V>(-1), top);
  bottom = select<V>(below1, x, bottom);
  V p = poly(t - c<V>(1.5), 0x1.fc2b0fbda47c2p-14, -0x1.760749b67f15cp-13, 0x1.876a2a6f2fe76p-14,
             -0x1.2f51a2758e9c8p-13, 0x1.55b1681bfd053p-12, -0x1.fda858c683109p-12, 0x1.69e8f55aa149p-11,
             -0x1.0fb181b5f8bbep-10, 0x1.99dcd5eeebd3p-10, -0x1.336df0cbf657fp-9, 0x1.cd1f79d9367b1p-9,
             -0x1.5a06a2c65f3cp-8, 0x1.03c0b0ec7dbdap-7, -0x1.863564122653ep-7, 0x1.2564716283e18p-6,
             -0x1.b9f8b11b4eb0ep-6, 0x1.4de9aa17d185p-5, -0x1.fb44202a25369p-5, 0x1.8512e59038514p-4,
             -0x1.2feeeb98a78dp-3, 0x1.eca189b8e6f76p-3, -0x1.b1cb63005ee98p-2, 0x1.e6f0cbb873616p-1);
  V root = (t - c<V>(0x1.762d86356be3fp0)) - c<V>(0x1.b86a722197829p-54);
  V inverse = c<V>(1) / select<V>(large, x, bottom), z = inverse * inverse;
  V small = fma(root, p, top * inverse);
  V series = z * poly(z, 0x1.f820051469997p-5, -0x1.5154f11c6bc2cp-6, 0x1.f012ce0eebbc1p-8, -0x1.11105582bd908p-8,
                      0x1.041040501c9a3p-8, -0x1.11111110e7fcbp-7, 0x1.5555555555549p-4);
  V y = select<V>(large, log(x) - fma(c<V>(0.5), inverse, series), small);
  return y;
}

// x < 0: digamma(-x) - 1/x - pi cot(pi x); NaN at the poles and -inf, and -+inf at +-0. Max error: 4.3 ULP for
// x > 0 (f32: 0.51); for x < 0 6.9 * 2^-53 times the larger of |digamma| and log(2 + |x|).
MIELINA_INLINE vf64 digamma(vf64 x) {
  using V = vf64;
  V a = abs(x), y = digamma_positive(a);
  Mask<V> left = x < c<V>(0);
  if (__builtin_expect(any_lane(left), 0)) {
    V r = a - round_even(a), z = r * r;
    V cot = poly(z, -0x1.02d25c0a2d5aep4, 0x1.c98f5059f8365p3, -0x1.7174d9e7ac274p3, 0x1.7cb8d518994ffp0,
                 -0x1.6e45298179fd1p1, -0x1.d9c170742fcd7p0, -0x1.025df837261cdp1, -0x1.ff9d84a661918p0,
                 -0x1.00136bee0df12p1, -0x1.00410a9404b12p1, -0x1.010b37aa3d106p1, -0x1.04709847e4c73p1,
                 -0x1.151322ac86ad8p1, -0x1.a51a662530753p1, 0x1p0) /
            r;
    V mirrored = y + c<V>(1) / a + cot;
    mirrored = select<V>((r == c<V>(0)) | is_nan(r), c<V>(FpOf<V>::nan), mirrored);
    y = select<V>(left, select<V>(a < c<V>(0x1p-60), c<V>(-1) / x, mirrored), y);
  }
  return select<V>(x == c<V>(0), c<V>(-1) / x, y);
}

// x^n for a whole n >= 0.
MIELINA_INLINE vf64 whole_power(vf64 x, int n) {
  vf64 y = c<vf64>(1);
  for (; n; n >>= 1, x *= x)
    if (n & 1) y *= x;
  return y;
}

// zeta(s, a) = sum_{k >= 0} (a + k)^-s for a whole s >= 2 and a > 0: 10 + s terms, then the Euler-Maclaurin formula
// with B_2j / (2j)! up to j = 7 (Abramowitz & Stegun 23.1.30), whose rest is below 2^-56 of the sum.
MIELINA_INLINE vf64 hurwitz(int s, vf64 a) {
  using V = vf64;
  static constexpr double bernoulli[] = {
      1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1209600, 1.0 / 47900160, -691.0 / 1307674368e3, 1.0 / 74724249600};
  V sum{};
  for (int i = 0; i < 10 + s; i++, a += c<V>(1)) sum += whole_power(c<V>(1) / a, s);
  V w = c<V>(1) / a, p = whole_power(w, s - 1), term = p * w * w * c<V>(s);
  sum += p * c<V>(1.0 / (s - 1)) + p * w * c<V>(0.5);
  for (int j = 0; j < 7; j++, term *= w * w * c<V>(double(s + 2 * j - 1) * double(s + 2 * j)))
    sum += term * c<V>(bernoulli[j]);
  return sum;
}

// sum_{k >= 0} (x + k)^-s for any x. Left of 0 it is the sum over all whole k, which depends on x's distance to the
// nearest of them only, less the sum from 1 - x. inf at the poles 0, -1, ...
MIELINA_INLINE vf64 zeta(int s, vf64 x) {
  using V = vf64;
  Mask<V> left = x < c<V>(0);
  V y = hurwitz(s, select<V>(left, c<V>(1) - x, x));
  if (__builtin_expect(any_lane(left), 0)) {
    V r = x - round_even(x), sign = c<V>(s & 1 ? -1 : 1);
    V all = whole_power(c<V>(1) / r, s) + hurwitz(s, c<V>(1) + r) + sign * hurwitz(s, c<V>(1) - r);
    y = select<V>(left, select<V>(r == c<V>(0), c<V>(FpOf<V>::inf), all - sign * y), y);
  }
  return select<V>(x == c<V>(0), c<V>(FpOf<V>::inf), y);
}

MIELINA_INLINE vf32 lgamma(vf32 x) {
  Wide w = widen(x);
  return narrow(lgamma<true>(w.low), lgamma<true>(w.high));
}
MIELINA_INLINE vf32 digamma(vf32 x) {
  Wide w = widen(x);
  return narrow(digamma(w.low), digamma(w.high));
}

}  // namespace MIELINA_ISA
}  // namespace mielina
