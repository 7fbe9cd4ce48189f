// An AxisMap as a sparse matrix: the taps of each output of an axis, or of each input (the transpose).
#pragma once
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

template <class T>
struct Taps {
  int64_t n;       // rows
  int32_t* start;  // (n + 1): row o has entries [start[o], start[o + 1])
  int32_t* index;
  T* weight;
  T* divisor;    // (n): 1 unless outputs are divided
  int64_t each;  // every row has so many entries; 0: they differ
  // In rows [first, last) row o + period is row o with its indices `step` further: vectors may run over every period-th
  // row.
  int64_t first, last, period, step;
  bool flat;  // in every row all weights are equal and the indices have no gap: a window of an average
};

// Keys 1981, equation 4, at distance t >= 0.
MIELINA_INLINE double cubic(double t, double a) {
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

// Output o of a linear or cubic axis with antialiasing: f(i, weight).
template <class F>
MIELINA_INLINE void stretched_taps(const AxisMap& m, int64_t o, const F& f) {
  double stretch = m.scale > 1 ? m.scale : 1, support = (m.kind == AxisKind::cubic ? 2 : 1) * stretch;
  double centre = m.scale * (double(o) + 0.5);
  int64_t low = max64(int64_t(centre - support + 0.5), 0), high = min64(int64_t(centre + support + 0.5), m.in);
  auto weight = [&](int64_t i) {
    double t = (double(i) - centre + 0.5) / stretch;
    t = t < 0 ? -t : t;
    return m.kind == AxisKind::cubic ? cubic(t, -0.5) : t < 1 ? 1 - t : 0;
  };
  double sum = 0;
  for (int64_t i = low; i < high; i++) sum += weight(i);
  for (int64_t i = low; i < high; i++) f(i, weight(i) / sum);
}

// visit(arg, i, weight) for the taps of output o.
using VisitTap = void (*)(void* arg, int64_t i, double weight);
[[gnu::noinline]] inline void visit_taps(const AxisMap& m, int64_t o, VisitTap visit, void* arg) {
  auto f = [=](int64_t i, double weight) { visit(arg, i, weight); };
  switch (m.kind) {
    case AxisKind::window:
      for (int64_t t = 0, i = o * m.stride - m.padding; t < m.kernel && i < m.in; t++, i += m.dilation)
        if (i >= 0) f(i, 1.0);
      return;
    case AxisKind::adaptive:
      for (int64_t i = o * m.in / m.out; i < ceil_div((o + 1) * m.in, m.out); i++) f(i, 1.0);
      return;
    case AxisKind::nearest:
    case AxisKind::nearest_exact: {  // rounded to single precision, as PyTorch: otherwise other pixels would be picked
      double place = double(o) + (m.kind == AxisKind::nearest ? 0 : 0.5);
      return f(min64(int64_t(__builtin_floorf(float(place * m.scale))), m.in - 1), 1.0);
    }
    case AxisKind::reflect: {
      int64_t i = o - m.padding;
      i = i < 0 ? -i : i >= m.in ? 2 * (m.in - 1) - i : i;
      return f(i, 1.0);
    }
    case AxisKind::replicate: return f(max64(0, min64(o - m.padding, m.in - 1)), 1.0);
    case AxisKind::circular: return f((o - m.padding + m.in) % m.in, 1.0);
    default: break;
  }
  if (m.antialias) return stretched_taps(m, o, f);
  double centre = m.align_corners ? double(o) * m.scale : (double(o) + 0.5) * m.scale - 0.5;
  if (m.kind == AxisKind::linear && centre < 0) centre = 0;
  int64_t low = int64_t(__builtin_floor(centre));
  double t = centre - double(low);
  auto clip = [&](int64_t i) { return max64(0, min64(i, m.in - 1)); };
  if (m.kind == AxisKind::linear) {
    f(clip(low), 1 - t);
    f(clip(low + 1), t);
  } else {
    for (int k = -1; k <= 2; k++) f(clip(low + k), cubic(k <= 0 ? t - k : k - t, -0.75));
  }
}
// f(i, weight) for the taps of output o. By a call for each: spelled out wherever taps are made, they took 80 KB.
template <class F>
MIELINA_INLINE void each_tap(const AxisMap& m, int64_t o, F f) {
  visit_taps(m, o, [](void* g, int64_t i, double weight) { (*(F*)g)(i, weight); }, &f);
}

// At most so many taps have all outputs together.
MIELINA_INLINE int64_t tap_count(const AxisMap& m) {
  switch (m.kind) {
    case AxisKind::window: return m.out * min64(m.kernel, m.in);
    case AxisKind::adaptive: return m.in + 2 * m.out;
    case AxisKind::linear:
    case AxisKind::cubic: {
      double support = (m.kind == AxisKind::cubic ? 2.0 : 1.0) * (m.antialias && m.scale > 1 ? m.scale : 1.0);
      return m.out * min64(int64_t(2 * support) + 3, max64(m.in, 4));
    }
    default: return m.out;
  }
}
MIELINA_INLINE int64_t round_up(int64_t bytes) { return (bytes + 63) / 64 * 64; }
template <class T>
MIELINA_INLINE int64_t taps_bytes(const AxisMap& m) {
  int64_t rows = max64(m.in, m.out) + 2, count = tap_count(m);
  return 2 * round_up(rows * 4) + round_up(rows * int64_t(sizeof(T))) + round_up(count * 4) +
         round_up(count * int64_t(sizeof(T)));
}

// Cuts pieces off a workspace.
struct Scratch {
  char* at;
  template <class T>
  T* take(int64_t n) {
    T* p = (T*)at;
    at += round_up(n * int64_t(sizeof(T)));
    return p;
  }
};

MIELINA_INLINE int64_t divisor_of(const AxisMap& m, int64_t o, int64_t taps) {
  if (m.divide == Divide::taps) return taps;
  int64_t low = o * m.stride - m.padding;
  return min64(low + m.kernel, m.in + m.padding) - low;
}

// The longest run of rows about the middle one that repeat with the period.
template <class T>
void find_regular(Taps<T>& t, int64_t period) {
  t.first = t.last = 0;
  t.period = period;
  t.step = 0;
  int64_t low = t.n / 2, high = low + period;
  if (high > t.n) return;
  auto repeats = [&](int64_t o) {  // row o + period is like row o
    if (o < 0 || o + period >= t.n) return false;
    int64_t a = t.start[o], b = t.start[o + period], count = t.start[o + 1] - a;
    if (count == 0 || t.start[o + period + 1] - b != count) return false;
    for (int64_t k = 0; k < count; k++)
      if (t.weight[a + k] != t.weight[b + k] || t.index[b + k] - t.index[a + k] != t.step) return false;
    return true;
  };
  if (high < t.n) t.step = t.index[t.start[high]] - t.index[t.start[low]];
  while (repeats(low - 1)) low--;
  while (repeats(high - period)) high++;
  t.first = low;
  t.last = high - (high - low) % period;
}

// Transposed, the divisors go into the weights: each output is divided before it is handed back.
template <class T>
void make_taps(Taps<T>& t, const AxisMap& m, bool transposed, Scratch& scratch) {
  int64_t rows = max64(m.in, m.out) + 2, count = tap_count(m);
  t.n = transposed ? m.in : m.out;
  t.start = scratch.take<int32_t>(rows);
  int32_t* fill = scratch.take<int32_t>(rows);
  t.divisor = scratch.take<T>(rows);
  t.index = scratch.take<int32_t>(count);
  t.weight = scratch.take<T>(count);
  for (int64_t i = 0; i <= t.n; i++) t.start[i] = 0;
  for (int64_t o = 0; o < m.out; o++) {
    int64_t taps = 0;
    each_tap(m, o, [&](int64_t i, double) {
      t.start[(transposed ? i : o) + 1]++;
      taps++;
    });
    t.divisor[o] = m.divide == Divide::none ? T(1) : T(divisor_of(m, o, taps));
  }
  for (int64_t i = 0; i < t.n; i++) t.start[i + 1] += t.start[i];
  for (int64_t i = 0; i < t.n; i++) fill[i] = t.start[i];
  for (int64_t o = 0; o < m.out; o++)
    each_tap(m, o, [&](int64_t i, double w) {
      int32_t at = fill[transposed ? i : o]++;
      t.index[at] = int32_t(transposed ? o : i);
      t.weight[at] = transposed ? T(w) / t.divisor[o] : T(w);
    });
  if (transposed)
    for (int64_t i = 0; i < t.n; i++) t.divisor[i] = T(1);
  t.each = t.n > 0 ? t.start[1] : 0;
  for (int64_t o = 1; o < t.n; o++)
    if (t.start[o + 1] - t.start[o] != t.each) t.each = 0;
  t.flat = true;
  for (int64_t o = 0; o < t.n && t.flat; o++)
    for (int64_t k = t.start[o] + 1; k < t.start[o + 1]; k++)
      t.flat &= t.weight[k] == t.weight[k - 1] && t.index[k] == t.index[k - 1] + 1;
  find_regular(t, 1);
  if (t.last - t.first < t.n / 2) find_regular(t, 2);
}

// The taps of the three axes of an image.
template <class T>
int64_t image_taps_bytes(const ImageMap& map) {
  return taps_bytes<T>(map.axis[0]) + taps_bytes<T>(map.axis[1]) + taps_bytes<T>(map.axis[2]);
}
template <class T>
void make_image_taps(Taps<T> (&t)[3], const ImageMap& map, bool transposed, Scratch& scratch) {
  for (int a = 0; a < 3; a++) make_taps(t[a], map.axis[a], transposed, scratch);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
