// The elementwise half of a step: what each kind of cell makes of its gates, and back.
#pragma once
#include "cpu/kernel.h"
#include "cpu/rnn/lanes.h"
#include "cpu/simd_math.h"
#include "table/rnn.h"

namespace mielina {
namespace MIELINA_ISA {

// One sample at one step; pointers are to the first of H numbers.
template <class T>
struct CellRow {
  T* gates;       // G of H: sums in, gates out
  T* cells;       // LSTM: c out; GRU: W_hn h in, W_hn h + b_hn out
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
  MIELINA_INLINE void forward(const CellRow<T>& r, int64_t, int64_t j, int64_t n) {
    const Vec<T> s = get(r.gates + j, n), h = Relu ? select<Vec<T>>(s < Vec<T>{}, Vec<T>{}, s) : tanh(s);
    put_lanes(r.gates + j, h, n);
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
  MIELINA_INLINE void forward(const CellRow<T>& r, int64_t H, int64_t j, int64_t n) {
    using V = Vec<T>;
    T* p = r.gates + j;
    const V i = sigmoid(get(p, n)), f = sigmoid(get(p + H, n)), g = tanh(get(p + 2 * H, n)),
            o = sigmoid(get(p + 3 * H, n));
    const V c = fma(f, get(r.c + j, n), i * g);
    put_lanes(p, i, n);
    put_lanes(p + H, f, n);
    put_lanes(p + 2 * H, g, n);
    put_lanes(p + 3 * H, o, n);
    put_lanes(r.c + j, c, n);
    put_lanes(r.cells + j, c, n);
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
  MIELINA_INLINE void forward(const CellRow<T>& x, int64_t H, int64_t j, int64_t n) {
    using V = Vec<T>;
    T* p = x.gates + j;
    V hidden = get(x.cells + j, n);
    if (x.b_hn) hidden += get(x.b_hn + j, n);
    const V r = sigmoid(get(p, n)), z = sigmoid(get(p + H, n)), m = tanh(fma(r, hidden, get(p + 2 * H, n)));
    put_lanes(p, r, n);
    put_lanes(p + H, z, n);
    put_lanes(p + 2 * H, m, n);
    put_lanes(x.cells + j, hidden, n);
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

}  // namespace MIELINA_ISA
}  // namespace mielina
