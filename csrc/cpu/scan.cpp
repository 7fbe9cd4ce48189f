// scan: see table/scan.h. A row is scanned in blocks; where another axis is nearer in memory, a tile of neighbouring
// rows is scanned side by side, so that vectors run across them. Work is cut across rows only.
#include "cpu/rows.h"
#include "cpu/simd_math.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kWidth = 64;  // rows side by side
constexpr int64_t kDepth = kBlock / kWidth;

// ---- operations: step(state, a, b, i) gives y_i; Two says whether b is read -----------------------------------------
// A scalar chain costs an addition's latency an element. Where the operation is associative, vectors are scanned inside
// first (log2 L steps), and the chain is one operation a vector: what it passes on is made apart from what is stored.
template <int K, class V>
MIELINA_INLINE V shifted(V v, V fill) {
  constexpr int L = int(sizeof(V) / sizeof(Elem<V>));
  Mask<V> m;
#pragma GCC unroll 16
  for (int i = 0; i < L; i++) m[i] = i < K ? i : L + i - K;
  return __builtin_shuffle(fill, v, m);
}
// In each run of 2 K lanes the upper half holds what stands last in the lower one, which itself is filled.
template <int K, class V>
MIELINA_INLINE V carried(V v, V fill) {
  constexpr int L = int(sizeof(V) / sizeof(Elem<V>));
  Mask<V> m;
#pragma GCC unroll 16
  for (int i = 0; i < L; i++) m[i] = i & K ? L + (i & -2 * K) + K - 1 : i;
  return __builtin_shuffle(fill, v, m);
}
// A vector of T, kept as S: T itself, or float for double.
template <class T, class S>
MIELINA_INLINE void store_as(S* p, Vec<T> v) {
  const auto to = __builtin_convertvector(v, typename VecOf<S, lanes<T>* int(sizeof(S))>::type);
  __builtin_memcpy(p, &to, sizeof to);
}
template <class Type, bool Product>
struct Running {
  using T = Type;
  using V = Vec<T>;
  struct State {
    T value = Product;
  };
  static constexpr bool Two = false, Associative = true, kProduct = Product;
  template <class X>
  MIELINA_INLINE X join(X a, X b) {
    return Product ? a * b : a + b;
  }
  MIELINA_INLINE T step(State& s, T a, T, int64_t) { return s.value = join(s.value, a); }
  template <class S>
  [[gnu::noinline]] static void row(State& s, S* y, const S* x, int64_t n) {
    constexpr int L = lanes<T>;
    const V one = splat<V>(T(Product));
    V carry = splat<V>(s.value);
    int64_t i = 0;
    for (; i + L <= n; i += L) {
      V v = load_as<T>(x + i);
      v = join(v, carried<1>(v, one));
      if constexpr (L > 2) v = join(v, carried<2>(v, one));
      if constexpr (L > 4) v = join(v, carried<4>(v, one));
      store_as<T>(y + i, join(carry, v));
      carry = join(carry, __builtin_shuffle(v, Mask<V>{} + (L - 1)));
    }
    s.value = carry[0];
    for (; i < n; i++) y[i] = S(step(s, T(x[i]), T(0), i));
  }
};
// `width` rows side by side, whose elements lie ys and xs apart: states stay in registers for kHeld elements, no more
// since of strides that are powers of two a set of the L1 cache holds eight lines (with 16 1024x1024 took 2.8 times as
// long). One copy for sums and products: 0.5 KB each.
constexpr int64_t kHeld = 4;
template <class T, class S>
[[gnu::noinline]] void columns(bool product, T* state, S* y, int64_t ys, const S* x, int64_t xs, int64_t n,
                               int64_t width) {
  constexpr int L = lanes<T>;
  for (int64_t i = 0; i < n; i += kHeld, y += kHeld * ys, x += kHeld * xs) {
    const int64_t depth = min64(kHeld, n - i);
    int64_t j = 0;
    for (; j + 2 * L <= width; j += 2 * L) {
      Vec<T> v = load(state + j), w = load(state + j + L);
      for (int64_t k = 0; k < depth; k++) {
        const Vec<T> a = load_as<T>(x + k * xs + j), b = load_as<T>(x + k * xs + j + L);
        v = product ? v * a : v + a;
        w = product ? w * b : w + b;
        store_as<T>(y + k * ys + j, v);
        store_as<T>(y + k * ys + j + L, w);
      }
      store(state + j, v);
      store(state + j + L, w);
    }
    for (; j < width; j++)
      for (int64_t k = 0; k < depth; k++) {
        const T a = T(x[k * xs + j]);
        state[j] = product ? state[j] * a : state[j] + a;
        y[k * ys + j] = S(state[j]);
      }
  }
}

template <class Type>
struct Recurrence {
  using T = Type;
  struct State {
    T value = 0;
  };
  static constexpr bool Two = true, Associative = false;
  MIELINA_INLINE T step(State& s, T a, T b, int64_t) {
#ifdef __FMA__
    return s.value = __builtin_fma(a, s.value, b);  // half the wait of a product and a sum
#else
    return s.value = a * s.value + b;
#endif
  }
};

// ---- driver ---------------------------------------------------------------------------------------------------------
// One operand's tile: rows of the last outer dim lie `across` apart, elements of a row `along`.
struct Tile {
  char* data;
  int64_t across, along, size;
  DType dtype;
};
// buf[k * width + j] = element i + k of row j; a single row is read along itself.
template <class T>
void read(const Tile& t, int64_t i, int64_t depth, int64_t width, T* buf) {
  auto row = row_from_fn<T>(t.dtype);
  if (width == 1) row(t.data + i * t.along * t.size, t.along, buf, depth);
  else
    for (int64_t k = 0; k < depth; k++) row(t.data + (i + k) * t.along * t.size, t.across, buf + k * width, width);
}
template <class T>
void write(const Tile& t, int64_t i, int64_t depth, int64_t width, const T* buf) {
  auto row = row_to_fn<T>(t.dtype);
  if (width == 1) row(buf, t.data + i * t.along * t.size, t.along, depth);
  else
    for (int64_t k = 0; k < depth; k++) row(buf + k * width, t.data + (i + k) * t.along * t.size, t.across, width);
}

// ---- log-sum-exp ----------------------------------------------------------------------------------------------------
// y_i = top + log sum, sum = sum_j exp(x_j - top), top being the largest so far, or of a block.
struct RunningLogSumExp {
  static constexpr bool kVectors = VBYTES > 16;  // 2 KB that the baseline is spared
  double top[kWidth], sum[kWidth] = {};

  MIELINA_INLINE double step(double& top, double& sum, double x) {
    if (x > top) {
      sum = sum == 0 ? 1 : sum * __builtin_exp(top - x) + 1;
      top = x;
    } else if (x != -__builtin_inf()) {
      sum += x == top ? 1 : __builtin_exp(x - top);
    }
    return top + __builtin_log(sum);
  }
  // p[j] = f(p[j], j) in one copy of f for whole vectors and the last one.
  template <class F>
  MIELINA_INLINE void each(double* p, int64_t n, F f) {
    for (int64_t j = 0; j < n; j += lanes<double>) {
      const int64_t l = min64(lanes<double>, n - j);
      store_part(p + j, f(load_part(p + j, l), j), l);
    }
  }
  // p[i] = base[i] + log s[i], or base[0] + log s[i]: one copy of the logarithm.
  [[gnu::noinline]] static void add_logs(double* p, const double* base, int64_t step, const double* s, int64_t n) {
    each(p, n, [&](vf64 v, int64_t i) __attribute__((always_inline)) {
      const int64_t l = min64(lanes<double>, n - i);
      v = step ? load_part(base + i, l) : splat<vf64>(*base);
      return v + log(load_part(s + i, l));
    });
  }
  // A single row, by blocks whose exponentials have one base where that loses nothing: the largest of the block, unless
  // the block begins far below it (or with none, or holds an infinity).
  void row(double* p, int64_t n) {
    constexpr int64_t kPart = 256;
    constexpr double kNear = 32;
    for (int64_t i = 0; i < n; i += kPart, p += kPart) {
      const int64_t count = min64(kPart, n - i);
      double most = top[0];
      for (int64_t k = 0; k < count; k++) most = p[k] > most ? p[k] : most;
      if (!kVectors || !(most - (p[0] > top[0] ? p[0] : top[0]) < kNear)) {
        for (int64_t k = 0; k < count; k++) p[k] = step(top[0], sum[0], p[k]);
        continue;
      }
      const vf64 base = splat<vf64>(most);
      Running<double, false>::State s{sum[0] * __builtin_exp(top[0] - most)};
      each(p, count, [&](vf64 v, int64_t) __attribute__((always_inline)) { return exp_below(v - base); });
      Running<double, false>::row(s, p, (const double*)p, count);
      add_logs(p, &most, 0, p, count);
      top[0] = most;
      sum[0] = s.value;
    }
  }
  // Rows side by side: one exponential an element, of whichever is smaller.
  void rows(double* p, int64_t n, int64_t width) {
    const vf64 none = splat<vf64>(-__builtin_inf()), one = splat<vf64>(1), zero{};
    for (int64_t k = 0; k < n; k++, p += width) {
      if (!kVectors) {
        for (int64_t j = 0; j < width; j++) p[j] = step(top[j], sum[j], p[j]);
        continue;
      }
      each(p, width, [&](vf64 x, int64_t j) __attribute__((always_inline)) {
        const vf64 old = load(top + j), d = x - old;
        const vi64 above = d > zero;
        vf64 e = exp_below(-abs(d)), s = load(sum + j);
        e = select<vf64>(x == old, select<vf64>(x == none, zero, one), e);  // of two infinities, too
        s = select<vf64>(above, fma(s, e, one), s + e);
        const vf64 t = select<vf64>(above, x, old);
        store(top + j, t);
        store(sum + j, s);
        return t;
      });
      add_logs(p, top, 1, sum, width);
    }
  }
  static void tile(const Tile& y, const Tile& a, const Tile&, int64_t n, int64_t width, bool) {
    RunningLogSumExp s;
    alignas(64) double p[kBlock];
    for (double& t : s.top) t = -__builtin_inf();
    const int64_t depth = width == 1 ? kBlock : kDepth;
    for (int64_t i = 0; i < n; i += depth) {
      const int64_t count = min64(depth, n - i);
      read(a, i, count, width, p);
      if (width == 1) s.row(p, count);
      else s.rows(p, count, width);
      write(y, i, count, width, p);
    }
  }
};

// ---- extremes: the last of the equal ones counts, and NaN more than anything ----------------------------------------
// The smallest are the largest of the elements turned round: -x, or ~x of an integer.
template <class Type>
struct RunningExtreme {
  using T = Type;
  using V = Vec<T>;
  using At = Mask<V>;
  using I = Elem<At>;  // a place in the block, or -1 for one in front of it
  static constexpr bool kFloat = T(0.5) != T(0);
  static constexpr T kWorst = kFloat ? T(-__builtin_inf()) : T(INT64_MIN);
  template <class X>
  MIELINA_INLINE auto wins(X later, X before) {
    if constexpr (kFloat) return (later != later) | (later >= before);
    else return later >= before;
  }
  [[gnu::noinline]] static void turn(T* p, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
      if constexpr (kFloat) p[i] = -p[i];
      else p[i] = ~p[i];
    }
  }
  template <int K>
  MIELINA_INLINE void look_back(V& v, At& at) {
    V before = shifted<K>(v, splat<V>(kWorst));
    At m = wins(v, before);
    at = m ? at : shifted<K>(at, At{});
    v = m ? v : before;
  }
  // A single row.
  static void row(T& value, T* p, I* places, int64_t n) {
    constexpr int L = lanes<T>;
    V carry = splat<V>(value);
    At carried = At{} - I(1), at{};
    for (int i = 0; i < L; i++) at[i] = I(i);
    for (int64_t i = 0; i < n; i += L, at += I(L)) {
      V v = load_part(p + i, n - i);
      At here = at;
      look_back<1>(v, here);
      if constexpr (L > 2) look_back<2>(v, here);
      if constexpr (L > 4) look_back<4>(v, here);
      if constexpr (L > 8) look_back<8>(v, here);
      At m = wins(v, carry);
      v = m ? v : carry;
      here = m ? here : carried;
      store(p + i, v);  // blocks end with whole vectors
      store(places + i, here);
      carry = splat<V>(v[L - 1]);
      carried = At{} + here[L - 1];
    }
    value = p[n - 1];
  }
  // Rows side by side.
  static void rows(T* value, T* p, I* places, int64_t n, int64_t width) {
    I at[kWidth];
    for (int64_t j = 0; j < width; j++) at[j] = -1;
    for (int64_t k = 0; k < n; k++, p += width, places += width) {
#pragma GCC ivdep
      for (int64_t j = 0; j < width; j++) {
        bool m = wins(p[j], value[j]);
        p[j] = value[j] = m ? p[j] : value[j];
        places[j] = at[j] = m ? I(k) : at[j];
      }
    }
  }
  static void tile(const Tile& y, const Tile& a, const Tile& index, int64_t n, int64_t width, bool largest) {
    alignas(64) T p[kBlock], value[kWidth];
    alignas(64) I places[kBlock];
    alignas(64) int64_t to[kBlock], last[kWidth] = {};
    for (T& v : value) v = kWorst;
    int64_t depth = width == 1 ? kBlock : kDepth;
    for (int64_t i = 0; i < n; i += depth) {
      int64_t count = min64(depth, n - i);
      read(a, i, count, width, p);
      if (!largest) turn(p, count * width);
      if (width == 1) row(value[0], p, places, count);
      else rows(value, p, places, count, width);
      if (width == 1)
        for (int64_t k = 0; k < count; k++) to[k] = places[k] < 0 ? last[0] : i + places[k];
      else
        for (int64_t k = 0; k < count * width; k += width)
          for (int64_t j = 0; j < width; j++) to[k + j] = places[k + j] < 0 ? last[j] : i + places[k + j];
      for (int64_t j = 0; j < width; j++) last[j] = to[(count - 1) * width + j];
      if (!largest) turn(p, count * width);
      write(y, i, count, width, p);
      write(index, i, count, width, to);
    }
  }
};

constexpr int64_t kShort = 16;  // rows of fewer floats are not worth the call
// late: a is read one element behind, and 0 in front of the first.
template <class Op>
void one_tile(const Tile& y, const Tile& a, const Tile& b, int64_t n, int64_t width, bool late) {
  using T = typename Op::T;
  if constexpr (Op::Associative)
    if (width == 1 && a.along == 1 && y.along == 1 && a.dtype == y.dtype) {
      typename Op::State one;
      if (y.dtype == dtype_of<T>) return Op::row(one, (T*)y.data, (const T*)a.data, n);
      if constexpr (T(0.5) != T(0))
        if (y.dtype == DType::f32) {
          float* to = (float*)y.data;
          const float* from = (const float*)a.data;
          if (n >= kShort) return Op::row(one, to, from, n);
          for (int64_t i = 0; i < n; i++) to[i] = float(Op::step(one, T(from[i]), T(0), i));
          return;
        }
    }
  typename Op::State s[kWidth];
  if constexpr (Op::Associative)
    if (width > 1 && a.across == 1 && y.across == 1 && a.dtype == y.dtype) {
      if (y.dtype == dtype_of<T>)
        return columns(Op::kProduct, &s->value, (T*)y.data, y.along, (const T*)a.data, a.along, n, width);
      if constexpr (T(0.5) != T(0))
        if (y.dtype == DType::f32)
          return columns(Op::kProduct, &s->value, (float*)y.data, y.along, (const float*)a.data, a.along, n, width);
    }
  alignas(64) T p[kBlock], q[kBlock];
  int64_t depth = width == 1 ? kBlock : kDepth;
  for (int64_t i = 0; i < n; i += depth) {
    int64_t count = min64(depth, n - i);
    if constexpr (Op::Two) {
      const int64_t none = late && i == 0;
      for (int64_t j = 0; j < none * width; j++) p[j] = 0;
      read(a, i - (late && i > 0), count - none, width, p + none * width);
      read(b, i, count, width, q);
    } else {
      read(a, i, count, width, p);
    }
    if constexpr (Op::Associative) {
      if (width == 1) Op::row(s[0], p, (const T*)p, count);
      else columns(Op::kProduct, &s->value, p, width, (const T*)p, width, count, width);
    } else {
      for (int64_t k = 0; k < count; k++)
        for (int64_t j = 0; j < width; j++) {
          const int64_t at = k * width + j;
          p[at] = Op::step(s[j], p[at], q[at], i + k);
        }
    }
    write(y, i, count, width, p);
  }
}

// tile(y, a, b, elements, rows, flag). One copy for all operations: it was 1.2 KB of each.
using TileFn = void (*)(const Tile&, const Tile&, const Tile&, int64_t, int64_t, bool);
void run(const Ctx& ctx, const View& y, const View& a, const View& b, TileFn tile, bool flag = false) {
  if (numel(y) == 0) return;
  const int last = y.ndim - 1;
  const int64_t n = y.shape[last], along[3] = {y.stride[last], a.stride[last], b.data ? b.stride[last] : 0};
  const Space<3> s({&y, &a, b.data ? &b : &a}, Walk::by_stride, 1);  // the rows, neighbours in memory last
  const int inner = s.ndim - 1;
  auto length = [](int64_t step) { return step < 0 ? -step : step; };
  const bool wide = s.shape[inner] >= 4 && length(s.stride[0][inner]) < length(along[0]);
  const int64_t columns = wide ? s.shape[inner] : 1, tiles = ceil_div(columns, kWidth);
  const int64_t work = n * min64(columns, kWidth);
  // `run` rows from there on, side by side or one after the other.
  auto rows_at = [&](const int64_t* offset, int64_t run) {
    Tile t[3];
    for (int k = 0; k < 3; k++) {
      const int64_t size = kDTypeSize[int(s.dtype[k])];
      t[k] = {s.data[k] + offset[k] * size, s.stride[k][inner], along[k], size, s.dtype[k]};
    }
    if (wide) return tile(t[0], t[1], t[2], n, run, flag);
    for (int64_t j = 0; j < run; j++) {
      tile(t[0], t[1], t[2], n, 1, flag);
      for (Tile& one : t) one.data += one.across * one.size;
    }
  };
  parallel_ranges(ctx, s.n / columns * tiles, max64(1, kGrain / 8 / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += wide ? 1 : end - begin) {
      const int64_t first = i % tiles * kWidth;
      for_runs(s, i / tiles * columns + first, wide ? min64(kWidth, columns - first) : end - begin, rows_at);
    }
  });
}

void scan(const Ctx& ctx, const View& y, const View& x, Scan op) noexcept {
  bool real = x.dtype <= DType::bf16;
  switch (op) {
    case Scan::sum:
      if (real) run(ctx, y, x, View{}, one_tile<Running<double, false>>);
      else run(ctx, y, x, View{}, one_tile<Running<int64_t, false>>);
      break;
    case Scan::prod:
      if (real) run(ctx, y, x, View{}, one_tile<Running<double, true>>);
      else run(ctx, y, x, View{}, one_tile<Running<int64_t, true>>);
      break;
    case Scan::logsumexp: run(ctx, y, x, View{}, RunningLogSumExp::tile); break;
    default: break;
  }
}

void scan_extreme(const Ctx& ctx, const View& y, const View& index, const View& x, bool largest) noexcept {
  TileFn tile = x.dtype == DType::f64    ? RunningExtreme<double>::tile
                : x.dtype <= DType::bf16 ? RunningExtreme<float>::tile
                                         : RunningExtreme<int64_t>::tile;
  run(ctx, y, x, index, tile, largest);
}

void recurrence(const Ctx& ctx, const View& y, const View& a, const View& b, bool late) noexcept {
  run(ctx, y, a, b, one_tile<Recurrence<double>>, late);
}

}  // namespace

void fill_scan(Kernels&);
void fill_scan(Kernels& k) {
  k.scan = scan;
  k.scan_extreme = scan_extreme;
  k.recurrence = recurrence;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
