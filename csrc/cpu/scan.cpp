// scan: see table/scan.h. A row is scanned in blocks; where another axis is nearer in memory, a tile of neighbouring
// rows is scanned side by side, so that vectors run across them. Work is cut across rows only.
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

constexpr int64_t kWidth = 64;  // rows side by side
constexpr int64_t kDepth = kBlock / kWidth;

// ---- operations: step(state, a, b, i) gives y_i; Two says whether b is read
// -------------------------------------------- A scalar chain costs an addition's latency an element. Where the
// operation is associative, vectors are scanned inside first (log2 L steps), and the chain goes from vector to vector.
template <int K, class V>
MIELINA_INLINE V shifted(V v, V fill) {
  constexpr int L = int(sizeof(V) / sizeof(Elem<V>));
  Mask<V> m;
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

template <class Type, bool Largest>
struct RunningExtreme {
  using T = Type;
  struct State {
    T value = 0;
    int64_t index = -1;
  };
  static constexpr bool Two = false, Associative = false;
  MIELINA_INLINE T step(State& s, T x, T, int64_t i) {
    if (s.index < 0 || x != x || (s.value == s.value && (Largest ? x >= s.value : x <= s.value))) s = {x, i};
    return s.value;
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

// ---- driver
// ------------------------------------------------------------------------------------------------------------ One
// operand's tile: rows of the last outer dim lie `across` apart, elements of a row `along`.
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

template <class Op>
void one_tile(const Tile& y, const Tile& index, const Tile& a, const Tile& b, int64_t n, int64_t width) {
  using T = typename Op::T;
  typename Op::State s[kWidth];
  alignas(64) T p[kBlock], q[kBlock];
  alignas(64) int64_t places[kBlock];
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
        if constexpr (requires { s[j].index; }) places[at] = s[j].index;
      }
    write(y, i, count, width, p);
    if (index.data) write(index, i, count, width, places);
  }
}

template <class Op>
void run(const Ctx& ctx, const View& y, const View& index, const View& a, const View& b) {
  int last = y.ndim - 1;
  int64_t n = y.shape[last];
  if (numel(y) == 0) return;
  auto length = [](int64_t s) { return s < 0 ? -s : s; };
  bool wide = last > 0 && y.shape[last - 1] >= 4 && length(a.stride[last - 1]) < length(a.stride[last]);
  int64_t columns = wide ? y.shape[last - 1] : 1, tiles = ceil_div(columns, kWidth), rows = numel(y) / n;
  int64_t work = n * min64(columns, kWidth);
  parallel_ranges(ctx, rows / columns * tiles, max64(1, kGrain / 4 / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      int64_t batch = i / tiles, c0 = i % tiles * kWidth;
      Tile none{};
      one_tile<Op>(tile_of(y, batch, c0, wide), index.data ? tile_of(index, batch, c0, wide) : none,
                   tile_of(a, batch, c0, wide), Op::Two ? tile_of(b, batch, c0, wide) : none, n,
                   min64(kWidth, columns - c0));
    }
  });
}

void scan(const Ctx& ctx, const View& y, const View& x, Scan op) noexcept {
  bool real = x.dtype <= DType::bf16;
  switch (op) {
    case Scan::sum:
      if (real) run<Running<double, false>>(ctx, y, View{}, x, View{});
      else run<Running<int64_t, false>>(ctx, y, View{}, x, View{});
      break;
    case Scan::prod:
      if (real) run<Running<double, true>>(ctx, y, View{}, x, View{});
      else run<Running<int64_t, true>>(ctx, y, View{}, x, View{});
      break;
    case Scan::logsumexp: run<RunningLogSumExp>(ctx, y, View{}, x, View{}); break;
    default: break;
  }
}

void scan_extreme(const Ctx& ctx, const View& y, const View& index, const View& x, bool largest) noexcept {
  if (x.dtype <= DType::bf16) {
    if (largest) run<RunningExtreme<double, true>>(ctx, y, index, x, View{});
    else run<RunningExtreme<double, false>>(ctx, y, index, x, View{});
  } else {
    if (largest) run<RunningExtreme<int64_t, true>>(ctx, y, index, x, View{});
    else run<RunningExtreme<int64_t, false>>(ctx, y, index, x, View{});
  }
}

void recurrence(const Ctx& ctx, const View& y, const View& a, const View& b) noexcept {
  run<Recurrence<double>>(ctx, y, View{}, a, b);
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
