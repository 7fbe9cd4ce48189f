// The elementwise half of a step: what each kind of cell makes of its gates, and back.
#pragma once
#include "cpu/kernel.h"
#include "cpu/rnn/lanes.h"
#include "cpu/simd_math.h"
#include "table/rnn.h"

namespace mielina {
namespace MIELINA_ISA {

// sigmoid as 1 / (1 + exp(-x)) in 16 instructions instead of 26, since a gate below exp(-86) may be just that: 4.9 ns a
// vector of 8 on a Zen 3 instead of 5.9. Max error: 2.2 ULP (f32) for x > -86.
template <class V>
MIELINA_INLINE V gate(V x) {
  if constexpr (!is_f32<V>) return sigmoid(x);
  else {  // n by way of its bits, as in tanh
    const V b = at_least(at_most(x, 86), -86), shift = c<V>(0x1.8p23 + 127);
    const V shifted = fma(b, c<V>(-0x1.71547652b82fep0), shift), n = shifted - shift;
    const V r = -fma(n, c<V>(kLn2Lo<V>), fma(n, c<V>(kLn2Hi<V>), b)), scale = from_bits<V>(bits(shifted) << 23);
    return c<V>(1) / fma(scale, exp_tail(r), scale + c<V>(1));
  }
}

enum class Function { none, sigmoid, tanh };

// to = f(sums + plus), over a tile at a time. plus: rows of what is still missing, or nullptr.
template <Function F, class T>
__attribute__((noinline)) static void activate(int64_t rows, T* to, int64_t ldt, const T* from, int64_t ldf,
                                               const T* plus, int64_t ldp, int64_t n) {
  for (; rows > 0; rows--, to += ldt, from += ldf, plus = plus ? plus + ldp : nullptr)
    for (int64_t j = 0; j < n; j += lanes<T>) {
      const int64_t m = min64(lanes<T>, n - j);
      Vec<T> x = get(from + j, m);
      if (plus) x += get(plus + j, m);
      put_lanes(to + j, F == Function::tanh ? tanh(x) : F == Function::sigmoid ? gate(x) : x, m);
    }
}

// One sample at one step; pointers are to the first of a panel's numbers.
template <class T>
struct CellRow {
  const T* in;    // G of H, `gap` apart: LSTM's gates, GRU's r and z, the sums of the others; GRU: then W_hn h
  T* gates;       // G of H, out, or nullptr
  T* cells;       // LSTM: c out; GRU: W_hn h + b_hn out; or nullptr
  T* c;           // LSTM: c in and out
  const T* h;     // GRU: the h before
  const T* b_hn;  // GRU, or nullptr
  T* out;
};
template <class T>
struct CellRowBack {
  const T* gates;
  const T* cells;
  const T* c;  // LSTM: the c before
  const T* h;  // GRU: the h before
  const T* dh;
  T* dc;     // LSTM: in and out
  T* carry;  // GRU: what reaches the h before other than through gates; may be dh
  T* dgates;
  T* dhidden;  // GRU
  T* full;     // LSTM with a projection: o tanh(c), or nullptr
};

// Elman 1990: h = tanh(s) or max(0, s). The gate keeps h.
template <bool Relu>
struct ElmanCell {
  static constexpr int gates = 1;
  template <class T>
  MIELINA_INLINE void forward(const CellRow<T>& r, int64_t, int64_t, int64_t j, int64_t n) {
    const Vec<T> s = get(r.in + j, n), h = Relu ? select<Vec<T>>(s < Vec<T>{}, Vec<T>{}, s) : tanh(s);
    if (r.gates) put_lanes(r.gates + j, h, n);
    put_lanes(r.out + j, h, n);
  }
  template <class T>
  MIELINA_INLINE void backward(const CellRowBack<T>& r, int64_t, int64_t j, int64_t n) {
    using V = Vec<T>;
    const V h = get(r.gates + j, n), dh = get(r.dh + j, n);
    put_lanes(r.dgates + j, Relu ? select<V>(h > V{}, dh, V{}) : dh * fma(-h, h, splat<V>(1)), n);
  }
};

// Hochreiter & Schmidhuber 1997 with Gers's forget gate: c = f c + i g, h = o tanh(c).
struct LstmCell {
  static constexpr int gates = 4;
  template <class T>
  MIELINA_INLINE void forward(const CellRow<T>& r, int64_t gap, int64_t H, int64_t j, int64_t n) {
    using V = Vec<T>;
    const T* in = r.in + j;
    const V i = get(in, n), f = get(in + gap, n), g = get(in + 2 * gap, n), o = get(in + 3 * gap, n);
    const V c = fma(f, get(r.c + j, n), i * g);
    if (r.gates) {
      T* p = r.gates + j;
      put_lanes(p, i, n);
      put_lanes(p + H, f, n);
      put_lanes(p + 2 * H, g, n);
      put_lanes(p + 3 * H, o, n);
      put_lanes(r.cells + j, c, n);
    }
    put_lanes(r.c + j, c, n);
    put_lanes(r.out + j, o * tanh(c), n);
  }
  template <class T>
  MIELINA_INLINE void backward(const CellRowBack<T>& r, int64_t H, int64_t j, int64_t n) {
    using V = Vec<T>;
    const V one = splat<V>(1);
    const T* p = r.gates + j;
    const V i = get(p, n), f = get(p + H, n), g = get(p + 2 * H, n), o = get(p + 3 * H, n),
            t = tanh(get(r.cells + j, n));
    const V dh = get(r.dh + j, n), dc = fma(dh * o, fma(-t, t, one), get(r.dc + j, n));
    T* d = r.dgates + j;
    put_lanes(d, dc * g * i * (one - i), n);
    put_lanes(d + H, dc * get(r.c + j, n) * f * (one - f), n);
    put_lanes(d + 2 * H, dc * i * fma(-g, g, one), n);
    put_lanes(d + 3 * H, dh * t * o * (one - o), n);
    put_lanes(r.dc + j, dc * f, n);
    if (r.full) put_lanes(r.full + j, o * t, n);
  }
};

// Cho et al. 2014, with the reset after the product: n = tanh(s_n + r (W_hn h + b_hn)), h = (1 - z) n + z h.
struct GruCell {
  static constexpr int gates = 3;
  template <class T>
  MIELINA_INLINE void forward(const CellRow<T>& x, int64_t gap, int64_t H, int64_t j, int64_t n) {
    using V = Vec<T>;
    const T* in = x.in + j;
    V hidden = get(in + 3 * gap, n);
    if (x.b_hn) hidden += get(x.b_hn + j, n);
    const V r = get(in, n), z = get(in + gap, n), m = tanh(fma(r, hidden, get(in + 2 * gap, n)));
    if (x.gates) {
      T* p = x.gates + j;
      put_lanes(p, r, n);
      put_lanes(p + H, z, n);
      put_lanes(p + 2 * H, m, n);
      put_lanes(x.cells + j, hidden, n);
    }
    put_lanes(x.out + j, fma(z, get(x.h + j, n) - m, m), n);
  }
  template <class T>
  MIELINA_INLINE void backward(const CellRowBack<T>& x, int64_t H, int64_t j, int64_t n) {
    using V = Vec<T>;
    const V one = splat<V>(1);
    const T* p = x.gates + j;
    const V r = get(p, n), z = get(p + H, n), m = get(p + 2 * H, n), dh = get(x.dh + j, n);
    const V dm = dh * (one - z) * fma(-m, m, one), dr = dm * get(x.cells + j, n) * r * (one - r);
    const V dz = dh * (get(x.h + j, n) - m) * z * (one - z);
    T* const both[] = {x.dgates + j, x.dhidden + j};
    for (T* d : both) {
      put_lanes(d, dr, n);
      put_lanes(d + H, dz, n);
    }
    put_lanes(x.dgates + j + 2 * H, dm, n);
    put_lanes(x.dhidden + j + 2 * H, dm * r, n);
    put_lanes(x.carry + j, dh * z, n);
  }
};

// A kind of cell: the loops around it are compiled once for all.
template <class T>
struct CellKind {
  int64_t gates;
  void (*forward)(const CellRow<T>&, int64_t gap, int64_t H, int64_t n);
  void (*backward)(const CellRowBack<T>&, int64_t H);
};
template <class Cell, class T>
constexpr CellKind<T> kCell{Cell::gates,
                            [](const CellRow<T>& r, int64_t gap, int64_t H, int64_t n) {
                              for (int64_t j = 0; j < n; j += lanes<T>)
                                Cell::forward(r, gap, H, j, min64(lanes<T>, n - j));
                            },
                            [](const CellRowBack<T>& r, int64_t H) {
                              for (int64_t j = 0; j < H; j += lanes<T>) Cell::backward(r, H, j, min64(lanes<T>, H - j));
                            }};

}  // namespace MIELINA_ISA
}  // namespace mielina
