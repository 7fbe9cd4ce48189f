// y = f(a, b) and y = f(a, b, c): one thread an element, any strides and dtypes. The rules are those of
// cpu/elementwise/binary.cpp.
#include <utility>

#include "cuda/scalar.cuh"

namespace mielina::cuda {
namespace {

template <class T>
constexpr bool whole = __is_same(T, int64_t);

// Integer quotients: x / 0 is 0, min / -1 wraps around.
__device__ inline int64_t quotient(int64_t a, int64_t b) {
  return b == 0 ? 0 : b == -1 ? int64_t(-uint64_t(a)) : a / b;
}
__device__ inline int64_t rest(int64_t a, int64_t b) {
  return int64_t(uint64_t(a) - uint64_t(quotient(a, b)) * uint64_t(b));
}
template <class T>
__device__ inline bool crosses(T r, T b) {  // r has not b's sign
  return r != T(0) && (r < T(0)) != (b < T(0));
}

template <class T>
__device__ T floor_divide(T a, T b) {
  if constexpr (whole<T>) {
    return quotient(a, b) - (b != 0 && crosses(rest(a, b), b));
  } else {
    // Python's: (a - a mod b) / b is within rounding of an integer, which floor alone would miss by one.
    T r = fmod(a, b), q = (a - r) / b;
    if (crosses(r, b)) q -= T(1);
    T n = floor(q);
    if (q - n > T(0.5)) n += T(1);
    if (q == T(0)) n = copysign(T(0), a / b);
    return b == T(0) ? a / b : n;
  }
}
template <class T>
__device__ T remainder_of(T a, T b) {  // the sign of b
  if constexpr (whole<T>) {
    int64_t r = rest(a, b);
    return crosses(r, b) ? r + b : r;
  } else {
    T r = fmod(a, b);
    if (r == T(0)) return copysign(T(0), b);
    return crosses(r, b) ? r + b : r;
  }
}
template <class T>
__device__ T power(T a, T b) {
  if constexpr (whole<T>) {  // by squaring; a negative power is 0 unless |a| = 1
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    uint64_t y = 1, x = uint64_t(a);
    for (uint64_t e = uint64_t(b); e; e >>= 1, x *= x)
      if (e & 1) y *= x;
    return int64_t(y);
  } else {
    return pow(a, b);
  }
}

template <Binary op, class T>
__device__ T apply(T a, T b) {
  using W = Wrap<T>;
  if constexpr (op == Binary::add) return T(W(a) + W(b));
  else if constexpr (op == Binary::sub) return T(W(a) - W(b));
  else if constexpr (op == Binary::mul) return T(W(a) * W(b));
  else if constexpr (op == Binary::maximum) return max<T>(a, b);
  else if constexpr (op == Binary::minimum) return min<T>(a, b);
  else if constexpr (op == Binary::fmax) return a > b || b != b ? a : b;  // a number beside NaN wins
  else if constexpr (op == Binary::fmin) return a < b || b != b ? a : b;
  else if constexpr (op == Binary::floor_divide) return floor_divide(a, b);
  else if constexpr (op == Binary::remainder) return remainder_of(a, b);
  else if constexpr (op == Binary::pow) return power(a, b);
  else if constexpr (op == Binary::heaviside) return a == T(0) ? b : T(a > T(0));
  else if constexpr (op == Binary::trunc_divide) {
    if constexpr (whole<T>) return quotient(a, b);
    else return trunc(a / b);
  } else if constexpr (op == Binary::fmod) {
    if constexpr (whole<T>) return rest(a, b);
    else return fmod(a, b);
  } else if constexpr (whole<T>) {
    if constexpr (op == Binary::bitwise_and) return a & b;
    else if constexpr (op == Binary::bitwise_or) return a | b;
    else if constexpr (op == Binary::bitwise_xor) return a ^ b;
    else if constexpr (op == Binary::left_shift) return b >= 0 && b < 64 ? T(W(a) << b) : 0;
    else return a >> (b >= 0 && b < 64 ? b : 63);
  } else {
    if constexpr (op == Binary::div) return a / b;
    else if constexpr (op == Binary::atan2) return atan2(a, b);
    else if constexpr (op == Binary::copysign) return copysign(a, b);
    else if constexpr (op == Binary::hypot) return hypot(a, b);
    else if constexpr (op == Binary::max_share) return a < b ? T(0) : a == b ? T(0.5) : T(1);
    else if constexpr (op == Binary::xlogy) return a == T(0) && b == b ? T(0) : a * log(b);
    else {
      const T gap = a == b ? T(0) : a - b;  // equal infinities have no difference
      if constexpr (op == Binary::logaddexp) return max<T>(a, b) + log1p_exp_minus(gap);
      else return max<T>(a, b) + log1p(exp2(-abs(gap))) * T(1.44269504088896340736);
    }
  }
}
// Bitwise ops exist for integers only, those from div on for floating numbers only.
template <class T>
constexpr bool exists(Binary op) {
  bool bits = op >= Binary::bitwise_and && op <= Binary::right_shift;
  return whole<T> ? op < Binary::div : !bits;
}

template <Binary op, class T>
__global__ void binary_kernel(View y, Input a, Input b, int64_t n, bool flat) {
  for (int64_t i = first_index(); i < n; i += index_step())
    put(y, place(y, i, flat), apply<op>(get<T>(a, place(a.view, i, flat)), get<T>(b, place(b.view, i, flat))));
}

using Launch = void (*)(const Ctx&, const View&, const Input&, const Input&);
template <class T, int op>
constexpr Launch launch_of() {
  if constexpr (!exists<T>(Binary(op))) return nullptr;
  else
    return [](const Ctx& ctx, const View& y, const Input& a, const Input& b) {
      int64_t n = numel(y);
      // The place of a number does not matter.
      bool flat_all = flat(y) && (a.number || flat(y, a.view)) && (b.number || flat(y, b.view));
      binary_kernel<Binary(op), T><<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, a, b, n, flat_all);
    };
}
template <class T, int... I>
Launch pick(int op, std::integer_sequence<int, I...>) {
  static constexpr Launch table[] = {launch_of<T, I>()...};
  return table[op];
}

void binary(const Ctx& ctx, const View& y, const View& a, const View& b, Binary op, DType compute) noexcept {
  if (numel(y) == 0) return;
  with_compute(compute, [&](auto zero) {
    Launch launch = pick<decltype(zero)>(int(op), std::make_integer_sequence<int, int(Binary::count)>());
    if (!launch) return note(kUnsupported);
    launch(ctx, y, input_of(a), input_of(b));
    note(cudaGetLastError());
  });
}

// ---- three operands -------------------------------------------------------------------------------------
template <class T>
__device__ T apply(Ternary op, T a, T b, T x, T p) {
  using W = Wrap<T>;
  switch (op) {
    case Ternary::clamp: return min<T>(max<T>(a, b), x);
    case Ternary::addcmul: return T(W(a) + W(p) * W(b) * W(x));
    case Ternary::lerp:  // from the nearer end, so that both ends are met exactly
      if constexpr (!whole<T>) return abs(x) < T(0.5) ? a + x * (b - a) : b - (b - a) * (T(1) - x);
    default:
      if constexpr (!whole<T>) return a + p * b / x;
  }
  return a;
}
template <class T>
__global__ void ternary_kernel(View y, Input a, Input b, Input x, int64_t n, Ternary op, T p) {
  for (int64_t i = first_index(); i < n; i += index_step())
    put(y, place(y, i),
        apply(op, get<T>(a, place(a.view, i)), get<T>(b, place(b.view, i)), get<T>(x, place(x.view, i)), p));
}
void ternary(const Ctx& ctx, const View& y, const View& a, const View& b, const View& x, Ternary op, DType compute,
             Number p) noexcept {
  int64_t n = numel(y);
  if (n == 0) return;
  with_compute(compute, [&](auto zero) {
    using T = decltype(zero);
    if (whole<T> && op != Ternary::clamp && op != Ternary::addcmul) return note(kUnsupported);
    T value = p.integer ? T(p.i) : T(p.d);
    ternary_kernel<T>
        <<<blocks_for(n), kThreads, 0, stream_of(ctx)>>>(y, input_of(a), input_of(b), input_of(x), n, op, value);
    note(cudaGetLastError());
  });
}

}  // namespace

void fill_binary(Kernels& k) {
  k.binary = binary;
  k.ternary = ternary;
}

}  // namespace mielina::cuda
