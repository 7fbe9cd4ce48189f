// y = f(a, b) and y = f(a, b, c). See table/elementwise.h for the contracts.
#include "cpu/elementwise/rows.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

template <Binary op>
struct Fn;
template <class V>
constexpr bool is_int = __is_same(V, vi64);
template <class V>
MIELINA_INLINE V one() {
  return c<V>(1);
}

// ---- arithmetic -----------------------------------------------------------------------------------------------------
struct Integers {
  static constexpr bool integers = true;
};
struct Arithmetic : Integers {
  static constexpr bool halves = true;
};
template <>
struct Fn<Binary::add> : Arithmetic {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return (V)((Wrap<V>)a + (Wrap<V>)b);
  }
};
template <>
struct Fn<Binary::sub> : Arithmetic {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return (V)((Wrap<V>)a - (Wrap<V>)b);
  }
};
template <>
struct Fn<Binary::mul> : Arithmetic {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return (V)((Wrap<V>)a * (Wrap<V>)b);
  }
};
template <>
struct Fn<Binary::div> {
  static constexpr bool halves = true;
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return a / b;
  }
};

// Integer quotients: neither b = 0 nor min / -1 may reach the instruction, which traps.
MIELINA_INLINE vi64 quotient(vi64 a, vi64 b) {
  vi64 zero = b == 0, minus = b == -1;
  vi64 q = a / select<vi64>(zero | minus, one<vi64>(), b);
  return select<vi64>(zero, vi64{}, select<vi64>(minus, (vi64)(-(vu64)a), q));
}
MIELINA_INLINE vi64 rest(vi64 a, vi64 b) { return (vi64)((vu64)a - (vu64)quotient(a, b) * (vu64)b); }
MIELINA_INLINE vi64 crosses(vi64 r, vi64 b) { return (r != 0) & ((r < 0) != (b < 0)); }  // r has not b's sign

template <>
struct Fn<Binary::trunc_divide> : Integers {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    if constexpr (is_int<V>) return quotient(a, b);
    else return trunc(a / b);
  }
};
template <>
struct Fn<Binary::floor_divide> : Integers {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    if constexpr (is_int<V>) {
      return quotient(a, b) + select<V>(b == 0, V{}, crosses(rest(a, b), b));
    } else {
      // Python's: (a - a mod b) / b is within rounding of an integer, which floor alone would miss by one.
      V r = fmod(a, b), q = (a - r) / b;
      q = select<V>((r != V{}) & ((r < V{}) != (b < V{})), q - one<V>(), q);
      V n = floor(q);
      n = select<V>(q - n > c<V>(0.5), n + one<V>(), n);
      n = select<V>(q == V{}, copysign(V{}, a / b), n);
      return select<V>(b == V{}, a / b, n);
    }
  }
};
template <>
struct Fn<Binary::remainder> : Integers {  // the sign of b
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    if constexpr (is_int<V>) return rest(a, b) + (crosses(rest(a, b), b) & b);
    else return remainder(a, b);
  }
};
template <>
struct Fn<Binary::fmod> : Integers {  // the sign of a
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    if constexpr (is_int<V>) return rest(a, b);
    else return fmod(a, b);
  }
};
template <>
struct Fn<Binary::pow> : Integers {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    if constexpr (is_int<V>) {  // by squaring; a negative power is 0 unless |a| = 1
      vu64 y = (vu64)one<V>(), x = (vu64)a;
      V e = select<V>(b < 0, b & select<V>((a == 1) | (a == -1), one<V>(), V{}), b);
      V left = e;
      for (; any_lane(left); left = (V)((vu64)left >> 1), x *= x)
        y = (vu64)select<V>((left & 1) != 0, (V)(y * x), (V)y);
      return select<V>((b < 0) & (a != 1) & (a != -1), V{}, (V)y);
    } else {
      return pow(a, b);
    }
  }
};

// ---- order ----------------------------------------------------------------------------------------------------------
template <>
struct Fn<Binary::maximum> : Integers {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return max<V>(a, b);
  }
};
template <>
struct Fn<Binary::minimum> : Integers {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return min<V>(a, b);
  }
};
template <>
struct Fn<Binary::fmax> : Integers {  // a number beside NaN wins; of equals (0 and -0) the first
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return select<V>((a >= b) | (b != b), a, b);
  }
};
template <>
struct Fn<Binary::fmin> : Integers {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return select<V>((a <= b) | (b != b), a, b);
  }
};
template <>
struct Fn<Binary::max_share> {  // what maximum(a, b) passes on to a: ties are shared, NaN reaches both
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return select<V>(a < b, V{}, select<V>(a == b, c<V>(0.5), one<V>()));
  }
};
template <>
struct Fn<Binary::heaviside> : Integers {
  template <class V>
  MIELINA_INLINE V f(V x, V v) {
    return select<V>(x == V{}, v, select<V>(x > V{}, one<V>(), V{}));
  }
};
template <>
struct Fn<Binary::copysign> {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return copysign(a, b);
  }
};

// ---- bits -----------------------------------------------------------------------------------------------------------
// Rows for i64 only: what floating lanes would do is never asked for.
struct Bitwise {
  static constexpr bool integers = true, only = true;
};
template <>
struct Fn<Binary::bitwise_and> : Bitwise {
  MIELINA_INLINE vi64 f(vi64 a, vi64 b) { return a & b; }
};
template <>
struct Fn<Binary::bitwise_or> : Bitwise {
  MIELINA_INLINE vi64 f(vi64 a, vi64 b) { return a | b; }
};
template <>
struct Fn<Binary::bitwise_xor> : Bitwise {
  MIELINA_INLINE vi64 f(vi64 a, vi64 b) { return a ^ b; }
};
template <>
struct Fn<Binary::left_shift> : Bitwise {
  MIELINA_INLINE vi64 f(vi64 a, vi64 b) {
    vi64 fits = (b >= 0) & (b < 64);
    return (vi64)((vu64)a << (vu64)(b & 63)) & fits;
  }
};
template <>
struct Fn<Binary::right_shift> : Bitwise {
  MIELINA_INLINE vi64 f(vi64 a, vi64 b) { return a >> select<vi64>((b >= 0) & (b < 64), b, c<vi64>(63)); }
};

// ---- floating functions ---------------------------------------------------------------------------------------------
template <>
struct Fn<Binary::atan2> {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return atan2(a, b);
  }
};
template <>
struct Fn<Binary::hypot> {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    return hypot(a, b);
  }
};
template <>
struct Fn<Binary::xlogy> {
  template <class V>
  MIELINA_INLINE V f(V x, V y) {
    return select<V>((x == V{}) & (y == y), V{}, x * log(y));
  }
};
template <>
struct Fn<Binary::logaddexp> {  // equal infinities have no difference
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    V gap = select<V>(a == b, V{}, a - b);
    return max<V>(a, b) + log1p_exp_minus(gap);
  }
};
template <>
struct Fn<Binary::logaddexp2> {
  template <class V>
  MIELINA_INLINE V f(V a, V b) {
    V gap = select<V>(a == b, V{}, a - b);
    return max<V>(a, b) + log1p_unit(exp2(-abs(gap))) * c<V>(1.44269504088896340736);
  }
};

template <class F>
struct Call2 {
  template <class V>
  MIELINA_INLINE V call(const V* x, V, V) {
    return F::f(x[0], x[1]);
  }
};
// Four vectors of each operand are read before any is written: the loop over 4,096 products in the caches of a Zen 3
// takes 0.57 us instead of 0.67, over a million from the L3 161 instead of 170.
template <class F, class T>
void row_by_fours(void* to, const Operand* x, int64_t n, const void* parameters) {
  using V = Vec<T>;
  constexpr int64_t L = lanes<T>;
  T* y = (T*)to;
  const T *a = (const T*)x[0].at, *b = (const T*)x[1].at;
  const int64_t as = x[0].step * L, bs = x[1].step * L;
  for (; n >= 4 * L; n -= 4 * L, y += 4 * L) {
    V r[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      r[j] = F::f(load(a), load(b));
      a += as;
      b += bs;
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) store(y + j * L, r[j]);
  }
  const Operand rest[2] = {{a, x[0].step}, {b, x[1].step}};
  if (n > 0) row<Call2<F>, 2, T>(y, rest, n, parameters);
}

template <int op>
struct Pick2 {
  using F = Fn<Binary(op)>;
  using Call = Call2<F>;
  static constexpr int operands = 2;
  template <class T>
  static constexpr RowFn of() {
    if constexpr (!is_integer<T> && requires { F::halves; }) return row_by_fours<F, T>;
    else if constexpr (has_row<F, T> && (is_integer<T> || !requires { F::only; })) return row<Call, operands, T>;
    else return nullptr;
  }
};

void run_binary(const Ctx& ctx, const Space<3>& s, Binary op, DType compute) {
  run_picked<Pick2, int(Binary::count)>(ctx, s, int(op), compute, Number{}, Number{});
}

// And, or, xor of arrays that lie side by side, or of one and a number, are those of longer numbers: masks of 1024 x
// 1024 took 886 us as int64, 39 so (one core of a Zen 3).
bool in_words(const Space<3>& s, Binary op) {
  const bool bits = op == Binary::bitwise_and || op == Binary::bitwise_or || op == Binary::bitwise_xor;
  const DType d = s.dtype[0];
  const bool second = s.constant(2) ? s.dtype[2] == DType::i64 : s.linear[2] && s.dtype[2] == d;
  const bool many = s.n * kDTypeSize[int(d)] >= 16;  // one alone would be read as an aligned number
  return bits && d != DType::i64 && many && s.linear[0] && s.linear[1] && s.dtype[1] == d && second;
}
__attribute__((cold, noinline)) void run_words(const Ctx& ctx, const Space<3>& s, Binary op) {
  const int64_t size = kDTypeSize[int(s.dtype[0])], words = s.n * size / 8, rest = s.n - words * (8 / size);
  View part[3] = {};
  uint8_t number[8];  // repeated
  for (int64_t i = 0; i < 8; i++) number[i] = ((const uint8_t*)s.data[2])[i % size];
  auto run = [&](int64_t n, int64_t from, bool wide) {
    for (int k = 0; k < 3; k++) {
      const bool constant = s.stride[k][0] == 0;
      part[k].data = s.data[k] + (constant ? 0 : from * size);
      part[k].dtype = wide ? DType::i64 : s.dtype[k];
      part[k].ndim = 1;
      part[k].shape[0] = n;
      part[k].stride[0] = s.stride[k][0];
      if (constant && wide) part[k].data = number;
    }
    run_binary(ctx, Space<3>({&part[0], &part[1], &part[2]}), op, DType::i64);
  };
  run(words, 0, true);
  if (rest) run(rest, s.n - rest, false);
}

void binary(const Ctx& ctx, const View& y, const View& a, const View& b, Binary op, DType compute) noexcept {
  const Space<3> s({&y, &a, &b});
  if (in_words(s, op)) run_words(ctx, s, op);
  else run_binary(ctx, s, op, compute);
}

// ---- three operands -------------------------------------------------------------------------------------------------
template <Ternary op>
struct Fn3;
template <>
struct Fn3<Ternary::clamp> : Integers {  // p: which bounds count; an x that equals a bound stays as it is (0 and -0)
  template <class V>
  MIELINA_INLINE V f(V x, V low, V high, V p) {
    V y = select<V>((x >= low) | (x != x) | (p == c<V>(2)), x, low);
    return select<V>((y <= high) | (y != y) | (p == one<V>()), y, high);
  }
};
template <>
struct Fn3<Ternary::lerp> {  // from the nearer end, so that both ends are met exactly
  template <class V>
  MIELINA_INLINE V f(V a, V b, V w, V) {
    Mask<V> near = abs(w) < c<V>(0.5);
    return fma(select<V>(near, w, w - one<V>()), b - a, select<V>(near, a, b));
  }
};
template <>
struct Fn3<Ternary::add_scaled> : Integers {  // a + alpha b
  template <class V>
  MIELINA_INLINE V f(V a, V b, V alpha, V) {
    if constexpr (is_int<V>) return (V)((Wrap<V>)a + (Wrap<V>)alpha * (Wrap<V>)b);
    else return fma(alpha, b, a);
  }
};
template <>
struct Fn3<Ternary::addcmul> : Integers {
  template <class V>
  MIELINA_INLINE V f(V a, V b, V x, V p) {
    return (V)((Wrap<V>)a + (Wrap<V>)p * (Wrap<V>)b * (Wrap<V>)x);
  }
};
template <>
struct Fn3<Ternary::addcdiv> {
  template <class V>
  MIELINA_INLINE V f(V a, V b, V x, V p) {
    return a + p * b / x;
  }
};

template <class F>
struct Call3 {
  template <class V>
  MIELINA_INLINE V call(const V* x, V p, V) {
    return F::f(x[0], x[1], x[2], p);
  }
};
template <int op>
struct Pick3 {
  using F = Fn3<Ternary(op)>;
  using Call = Call3<F>;
  static constexpr int operands = 3;
  template <class T>
  static constexpr RowFn of() {
    if constexpr (has_row<F, T>) return row<Call, operands, T>;
    else return nullptr;
  }
};

void ternary(const Ctx& ctx, const View& y, const View& a, const View& b, const View& x, Ternary op, DType compute,
             Number p) noexcept {
  const Space<4> s({&y, &a, &b, &x});
  run_picked<Pick3, int(Ternary::count)>(ctx, s, int(op), compute, p, Number{});
}

}  // namespace

void fill_elementwise_binary(Kernels&);
void fill_elementwise_binary(Kernels& k) {
  k.binary = binary;
  k.ternary = ternary;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
