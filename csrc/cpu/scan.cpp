// scan: see table/scan.h. A row is scanned in blocks; where another axis is nearer in memory, a tile of neighbouring
// rows is scanned side by side, so that vectors run across them. Work is cut across rows only.
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kWidth = 64;  // rows side by side
constexpr int64_t kDepth = kBlock / kWidth;

// ---- operations: step(state, a, b, i) gives y_i; Two says whether b is read -----------------------------------------
// A scalar chain costs an addition's latency an element. Where the operation is associative, vectors are scanned inside
// first (log2 L steps), and the chain goes from vector to vector.
template <int K, class V>
MIELINA_INLINE V shifted(V v, V fill) {
  constexpr int L = int(sizeof(V) / sizeof(Elem<V>));
  Mask<V> m;
#pragma GCC unroll 16
  for (int i = 0; i < L; i++) m[i] = i < K ? i : L + i - K;
  return __builtin_shuffle(fill, v, m);
}
template <class Type, bool Product>
struct Running {
  using T = Type;
  using V = Vec<T>;
  struct State {
    T value = Product;
  };
  static constexpr bool Two = false, Associative = true;
  template <class X>
  MIELINA_INLINE X join(X a, X b) {
    return Product ? a * b : a + b;
  }
  MIELINA_INLINE T step(State& s, T a, T, int64_t) { return s.value = join(s.value, a); }
  static void row(State& s, T* p, int64_t n) {
    constexpr int L = lanes<T>;
    V one = splat<V>(T(Product)), carry = splat<V>(s.value);
    int64_t i = 0;
    for (; i + L <= n; i += L) {
      V v = load(p + i);
      v = join(v, shifted<1>(v, one));
      if constexpr (L > 2) v = join(v, shifted<2>(v, one));
      if constexpr (L > 4) v = join(v, shifted<4>(v, one));
      v = join(carry, v);
      store(p + i, v);
      carry = splat<V>(v[L - 1]);
    }
    s.value = carry[0];
    for (; i < n; i++) p[i] = step(s, p[i], T(0), i);
  }
};

struct RunningLogSumExp {
  using T = double;
  struct State {
    double top = -__builtin_inf(), sum = 0;
  };
  static constexpr bool Two = false, Associative = false;
  MIELINA_INLINE double step(State& s, double x, double, int64_t) {
    if (x > s.top) {
      s.sum = s.sum == 0 ? 1 : s.sum * __builtin_exp(s.top - x) + 1;
      s.top = x;
    } else if (x != -__builtin_inf()) {
      s.sum += x == s.top ? 1 : __builtin_exp(x - s.top);
    }
    return s.top + __builtin_log(s.sum);
  }
};

template <class Type>
struct Recurrence {
  using T = Type;
  struct State {
    T value = 0;
  };
  static constexpr bool Two = true, Associative = false;
  MIELINA_INLINE T step(State& s, T a, T b, int64_t) { return s.value = a * s.value + b; }
};

// ---- driver ---------------------------------------------------------------------------------------------------------
// One operand's tile: rows of the last outer dim lie `across` apart, elements of a row `along`.
struct Tile {
  char* data;
  int64_t across, along, size;
  DType dtype;
};
Tile tile_of(const View& v, int64_t batch, int64_t c0, bool wide) {
  int outer = v.ndim - 1 - (wide ? 1 : 0);
  int64_t offset = wide ? c0 * v.stride[outer] : 0;
  for (int d = outer - 1; d >= 0; d--) {
    offset += batch % v.shape[d] * v.stride[d];
    batch /= v.shape[d];
  }
  int64_t size = kDTypeSize[int(v.dtype)];
  return {(char*)v.data + offset * size, wide ? v.stride[outer] : 0, v.stride[v.ndim - 1], size, v.dtype};
}
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
  static void turn(T* p, int64_t n) {
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
      V v = n - i >= L ? load(p + i) : load_n(p + i, n - i);
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

constexpr int64_t kShort = 32;  // rows of fewer floats are scanned where they lie
template <class Op>
void one_tile(const Tile& y, const Tile& a, const Tile& b, int64_t n, int64_t width, bool) {
  using T = typename Op::T;
  if constexpr (Op::Associative && T(0.5) != T(0))
    if (width == 1 && n < kShort && a.dtype == DType::f32 && y.dtype == DType::f32) {
      typename Op::State one;
      for (int64_t i = 0; i < n; i++)
        ((float*)y.data)[i * y.along] = float(Op::step(one, T(((const float*)a.data)[i * a.along]), T(0), i));
      return;
    }
  typename Op::State s[kWidth];
  alignas(64) T p[kBlock], q[kBlock];
  int64_t depth = width == 1 ? kBlock : kDepth;
  for (int64_t i = 0; i < n; i += depth) {
    int64_t count = min64(depth, n - i);
    read(a, i, count, width, p);
    if constexpr (Op::Two) read(b, i, count, width, q);
    bool done = false;
    if constexpr (Op::Associative)
      if (width == 1) {
        Op::row(s[0], p, count);
        done = true;
      }
    for (int64_t k = 0; !done && k < count; k++)
      for (int64_t j = 0; j < width; j++) {
        int64_t at = k * width + j;
        p[at] = Op::step(s[j], p[at], Op::Two ? q[at] : T(0), i + k);
      }
    write(y, i, count, width, p);
  }
}

// tile(y, a, b, elements, rows, flag). One copy for all operations: it was 1.2 KB of each.
using TileFn = void (*)(const Tile&, const Tile&, const Tile&, int64_t, int64_t, bool);
void run(const Ctx& ctx, const View& y, const View& a, const View& b, TileFn tile, bool flag = false) {
  int last = y.ndim - 1;
  int64_t n = y.shape[last];
  if (numel(y) == 0) return;
  auto length = [](int64_t s) { return s < 0 ? -s : s; };
  bool wide = last > 0 && y.shape[last - 1] >= 4 && length(a.stride[last - 1]) < length(a.stride[last]);
  int64_t columns = wide ? y.shape[last - 1] : 1, tiles = ceil_div(columns, kWidth), rows = numel(y) / n;
  int64_t work = n * min64(columns, kWidth);
  parallel_ranges(ctx, rows / columns * tiles, max64(1, kGrain / 8 / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      int64_t batch = i / tiles, c0 = i % tiles * kWidth;
      tile(tile_of(y, batch, c0, wide), tile_of(a, batch, c0, wide), b.data ? tile_of(b, batch, c0, wide) : Tile{}, n,
           min64(kWidth, columns - c0), flag);
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
    case Scan::logsumexp: run(ctx, y, x, View{}, one_tile<RunningLogSumExp>); break;
    default: break;
  }
}

void scan_extreme(const Ctx& ctx, const View& y, const View& index, const View& x, bool largest) noexcept {
  TileFn tile = x.dtype == DType::f64    ? RunningExtreme<double>::tile
                : x.dtype <= DType::bf16 ? RunningExtreme<float>::tile
                                         : RunningExtreme<int64_t>::tile;
  run(ctx, y, x, index, tile, largest);
}

void recurrence(const Ctx& ctx, const View& y, const View& a, const View& b) noexcept {
  run(ctx, y, a, b, one_tile<Recurrence<double>>);
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
