// fmod, remainder, hypot.
#pragma once
#include "cpu/math/core.h"

namespace mielina {
namespace MIELINA_ISA {

// fmod of finite x >= y > 0 by long division, 11 bits a step; exact.
MIELINA_RARE double fmod_far(double x, double y) noexcept {
  uint64_t u, v;
  __builtin_memcpy(&u, &x, sizeof u);
  __builtin_memcpy(&v, &y, sizeof v);
  constexpr uint64_t one = uint64_t(1) << 52;
  int ex = int(u >> 52), ey = int(v >> 52);
  uint64_t mx = u & (one - 1), my = v & (one - 1);
  ex ? mx |= one : ex++;
  ey ? my |= one : ey++;
  mx %= my;
  for (int left = ex - ey; left > 0 && mx;) {
    int step = left < 11 ? left : 11;
    mx = (mx << step) % my;
    left -= step;
  }
  if (mx == 0) return 0;
  int shift = __builtin_clzll(mx) - 11;  // normalise, but no lower than the subnormals' exponent
  if (shift > ey - 1) shift = ey - 1;
  mx <<= shift;
  ey -= shift;
  u = mx & one ? (uint64_t(ey) << 52) | (mx & (one - 1)) : mx;
  __builtin_memcpy(&x, &u, sizeof x);
  return x;
}

// r[i] = fmod(a[i], b[i]) in the lanes of the mask.
template <class V>
MIELINA_RARE V fmod_lanes(V a, V b, V r, Mask<V> mask) noexcept {
#pragma GCC unroll 1
  for (int i = 0; i < lanes<Elem<V>>; i++)
    if (mask[i]) r[i] = Elem<V>(fmod_far(double(a[i]), double(b[i])));
  return r;
}

// x - trunc(x / y) y, exact, with the sign of x. A quotient below 2^(digits - 1) takes one division, whose rounding can
// only lift it by one; the product is exact as a pair. Larger quotients and extreme exponents are mended lane by lane.
template <class V>
MIELINA_INLINE V fmod(V x, V y) {
  using F = FpOf<V>;
  V a = abs(x), b = abs(y);
  V q = trunc(a / b), low, p = two_prod(q, b, low);
  V r = (a - p) - low;
  r = select<V>(r < c<V>(0), r + b, r);
  r = select<V>(a < b, a, r);
  Mask<V> plain = (q < c<V>(is_f32<V> ? 0x1p22 : 0x1p51)) & (a < c<V>(is_f32<V> ? 0x1p100 : 0x1p970)) &
                  (b > c<V>(is_f32<V> ? 0x1p-70 : 0x1p-900));
  Mask<V> invalid = ~(a < c<V>(F::inf)) | (b == c<V>(0)) | is_nan(b);
  Mask<V> rare = ~(plain | invalid | (a < b));
  if (__builtin_expect(any_lane(rare), 0)) r = fmod_lanes<V>(a, b, r, rare);
  return select<V>(invalid, c<V>(F::nan), copysign(r, x));
}

// fmod with the sign of y, as Python's %.
template <class V>
MIELINA_INLINE V remainder(V x, V y) {
  V r = fmod(x, y);
  Mask<V> opposite = (r != c<V>(0)) & ((r < c<V>(0)) != (y < c<V>(0)));
  return select<V>(opposite, r + y, r);
}

// sqrt(x^2 + y^2) without overflow or underflow: both are scaled by a power of two when the larger is far from 1.
// Max error: 1.15 ULP (f32), 1.18 (f64).
template <class V>
MIELINA_INLINE V hypot(V x, V y) {
  using F = FpOf<V>;
  V a = abs(x), b = abs(y), large = select<V>(a > b, a, b), small = select<V>(a > b, b, a);
  V up = c<V>(is_f32<V> ? 0x1p80 : 0x1p600), down = c<V>(is_f32<V> ? 0x1p-80 : 0x1p-600);
  Mask<V> big = large > c<V>(is_f32<V> ? 0x1p50 : 0x1p400), tiny = large < c<V>(is_f32<V> ? 0x1p-40 : 0x1p-400);
  V scale = select<V>(big, down, select<V>(tiny, up, c<V>(1)));
  V back = select<V>(big, up, select<V>(tiny, down, c<V>(1)));
  large = large * scale;
  small = small * scale;
  V y2 = sqrt(fma(large, large, small * small)) * back;
  return select<V>((a == c<V>(F::inf)) | (b == c<V>(F::inf)), c<V>(F::inf), y2);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
