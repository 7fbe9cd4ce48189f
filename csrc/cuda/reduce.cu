// reduce: see table/reduce.h. Floating numbers are folded in double, integers in int64, in an order that the shape
// alone decides: a block folds a piece of one result's elements, thread t every 256th from t on, the threads in a fixed
// tree; pieces of long reductions wait in the workspace and are folded in turn. Many short reductions go one to a
// thread.
#include <utility>

#include "cuda/scalar.cuh"

namespace mielina::cuda {
namespace {

constexpr int64_t kPiece = 64 * 1024;  // elements of one result that a block folds
constexpr int64_t kShort = 32;         // reductions up to this length go one to a thread

template <class T>
constexpr bool whole = __is_same(T, int64_t);
template <class T>
struct AccOf {
  using type = double;
};
template <>
struct AccOf<int64_t> {
  using type = int64_t;
};
template <class T>
using Acc = typename AccOf<T>::type;

// Where the results of one reduction go.
struct Places {
  View y, z;
  int64_t at_y, at_z;
  template <class T>
  __device__ void put_y(T v) const {
    put(y, at_y, v);
  }
  template <class T>
  __device__ void put_z(T v) const {
    if (z.data) put(z, at_z, v);
  }
};

// Sums and what is made of them: add(s, x) folds an element in, merge(s, other) another piece, which comes later.
template <class T, Reduce op>
struct Total {
  Acc<T> s;
  __device__ void init() {
    if constexpr (op == Reduce::norm_minus_inf && !whole<T>) s = INFINITY;
    else s = op == Reduce::prod || op == Reduce::all ? 1 : 0;
  }
  __device__ void add(T x, int64_t, double p) {
    using W = Wrap<Acc<T>>;
    const Acc<T> v = Acc<T>(x);
    if constexpr (op == Reduce::sum || op == Reduce::mean) s = Acc<T>(W(s) + W(v));
    else if constexpr (op == Reduce::prod) s = Acc<T>(W(s) * W(v));
    else if constexpr (op == Reduce::nansum) s += x != x ? Acc<T>(0) : v;
    else if constexpr (op == Reduce::nonzero) s += x != T(0);
    else if constexpr (op == Reduce::valid) s += x == x;
    else if constexpr (op == Reduce::any) s = s != 0 || x != T(0);
    else if constexpr (op == Reduce::all) s = s != 0 && x != T(0);
    else if constexpr (op == Reduce::norm1) s += abs(double(x));
    else if constexpr (op == Reduce::norm2) s += double(x) * double(x);
    else if constexpr (op == Reduce::norm_p) s += pow(abs(double(x)), p);
    else if constexpr (op == Reduce::norm_inf) s = max<double>(s, abs(double(x)));
    else s = min<double>(s, abs(double(x)));
  }
  __device__ void merge(const Total& o) {
    using W = Wrap<Acc<T>>;
    if constexpr (op == Reduce::prod) s = Acc<T>(W(s) * W(o.s));
    else if constexpr (op == Reduce::any) s = s != 0 || o.s != 0;
    else if constexpr (op == Reduce::all) s = s != 0 && o.s != 0;
    else if constexpr (op == Reduce::norm_inf) s = max<double>(s, o.s);
    else if constexpr (op == Reduce::norm_minus_inf) s = min<double>(s, o.s);
    else s = Acc<T>(W(s) + W(o.s));
  }
  __device__ void finish(const Places& to, int64_t n, double p) const {
    if constexpr (op == Reduce::mean) to.put_y(double(s) / double(n));
    else if constexpr (op == Reduce::norm2) to.put_y(sqrt(double(s)));
    else if constexpr (op == Reduce::norm_p) to.put_y(pow(double(s), 1 / p));
    else if constexpr (op == Reduce::norm_minus_inf) to.put_y(n ? double(s) : 0.0);
    else to.put_y(s);
  }
};

// The first of equals; NaN wins. minmax keeps both ends.
template <class T, Reduce op>
struct Extreme {
  static constexpr bool both = op == Reduce::minmax;
  static constexpr bool largest = op == Reduce::max || op == Reduce::argmax || op == Reduce::max_index;
  T v, w;
  int64_t i;  // -1: nothing yet
  __device__ void init() { i = -1; }
  __device__ static bool beats(T x, T v) { return v == v && (x != x || (largest ? x > v : x < v)); }
  __device__ void add(T x, int64_t at, double) {
    if (both) {
      w = i < 0 || (w == w && (x != x || x > w)) ? x : w;
      v = i < 0 || (v == v && (x != x || x < v)) ? x : v;
      i = 0;
    } else if (i < 0 || beats(x, v)) {
      v = x;
      i = at;
    }
  }
  __device__ void merge(const Extreme& o) {
    if (o.i < 0) return;
    if (both) {
      add(o.v, 0, 0);
      add(o.w, 0, 0);
      return;
    }
    bool equal = i >= 0 && !beats(o.v, v) && !beats(v, o.v);
    if (i < 0 || beats(o.v, v) || (equal && o.i < i)) *this = o;
  }
  __device__ void finish(const Places& to, int64_t, double) const {
    if constexpr (op == Reduce::argmax || op == Reduce::argmin) to.put_y(i);
    else to.put_y(v);
    if constexpr (op == Reduce::max_index || op == Reduce::min_index) to.put_z(i);
    if constexpr (both) to.put_z(w);
  }
};

// Chan, Golub & LeVeque 1983.
template <class T, Reduce op>
struct Moments {
  double n, mean, m2;
  __device__ void init() { n = mean = m2 = 0; }
  __device__ void add(T x, int64_t, double) {
    n += 1;
    double d = double(x) - mean;
    mean += d / n;
    m2 += d * (double(x) - mean);
  }
  __device__ void merge(const Moments& o) {
    if (o.n == 0) return;
    double all = n + o.n, d = o.mean - mean;
    mean += d * (o.n / all);
    m2 += o.m2 + d * d * (n * o.n / all);
    n = all;
  }
  __device__ void finish(const Places& to, int64_t count, double correction) const {
    double degrees = double(count) - correction, var = m2 / (degrees > 0 ? degrees : 0);
    if (count == 0) var = NAN;
    to.put_y(op == Reduce::std || op == Reduce::std_mean ? sqrt(var) : var);
    to.put_z(count == 0 ? NAN : mean);
  }
};

template <class T, Reduce op>
struct LogSumExp {
  double m, s;  // s exp(m)
  __device__ void init() {
    m = -INFINITY;
    s = 0;
  }
  __device__ void add(T x, int64_t, double) { merge({double(x), 1}); }
  __device__ void merge(const LogSumExp& o) {
    double top = max<double>(m, o.m);
    if (top == -INFINITY) return;
    // Equal infinities have no difference.
    s = (m == top ? s : s * exp(m - top)) + (o.m == top ? o.s : o.s * exp(o.m - top));
    m = top;
  }
  __device__ void finish(const Places& to, int64_t, double) const { to.put_y(m != m ? m : m + log(s)); }
};

template <class T, Reduce op>
struct FoldOf {
  using type = Total<T, op>;
};
#define MIELINA_FOLD(op, kind)        \
  template <class T>                  \
  struct FoldOf<T, Reduce::op> {      \
    using type = kind<T, Reduce::op>; \
  };
MIELINA_FOLD(max, Extreme)
MIELINA_FOLD(min, Extreme)
MIELINA_FOLD(argmax, Extreme)
MIELINA_FOLD(argmin, Extreme)
MIELINA_FOLD(max_index, Extreme)
MIELINA_FOLD(min_index, Extreme)
MIELINA_FOLD(minmax, Extreme)
MIELINA_FOLD(var, Moments)
MIELINA_FOLD(std, Moments)
MIELINA_FOLD(var_mean, Moments)
MIELINA_FOLD(std_mean, Moments)
MIELINA_FOLD(logsumexp, LogSumExp)
#undef MIELINA_FOLD
constexpr int64_t kStateBytes = 24;

struct Job {
  View y, z, x;
  int outer;                   // the first dims of x, those of the results
  int64_t results, n, pieces;  // n elements each, in pieces of kPiece
  double param;
  __device__ Places places(int64_t r) const { return {y, z, place(y, r), z.data ? place(z, r) : 0}; }
};

template <class F>
__device__ F block_merge(F mine) {
  __shared__ F shared[kThreads];
  __syncthreads();
  shared[threadIdx.x] = mine;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x].merge(shared[threadIdx.x + half]);
    __syncthreads();
  }
  return shared[0];
}

template <class F, class T>
__global__ void pieces_kernel(Job job, F* states) {
  for (int64_t b = blockIdx.x; b < job.results * job.pieces; b += gridDim.x) {
    const int64_t r = b / job.pieces, piece = b % job.pieces, start = place(job.x, r, 0, job.outer);
    const int64_t begin = piece * kPiece, end = begin + kPiece < job.n ? begin + kPiece : job.n;
    F mine;
    mine.init();
    for (int64_t i = begin + threadIdx.x; i < end; i += kThreads)
      mine.add(get<T>(job.x, start + place(job.x, i, job.outer, job.x.ndim)), i, job.param);
    F all = block_merge(mine);
    if (threadIdx.x != 0) continue;
    if (job.pieces == 1) all.finish(job.places(r), job.n, job.param);
    else states[b] = all;
  }
}
template <class F>
__global__ void join_kernel(Job job, const F* states) {
  for (int64_t r = first_index(); r < job.results; r += index_step()) {
    F all = states[r * job.pieces];
    for (int64_t piece = 1; piece < job.pieces; piece++) all.merge(states[r * job.pieces + piece]);
    all.finish(job.places(r), job.n, job.param);
  }
}
template <class F, class T>
__global__ void short_kernel(Job job) {
  for (int64_t r = first_index(); r < job.results; r += index_step()) {
    const int64_t start = place(job.x, r, 0, job.outer);
    F all;
    all.init();
    for (int64_t i = 0; i < job.n; i++)
      all.add(get<T>(job.x, start + place(job.x, i, job.outer, job.x.ndim)), i, job.param);
    all.finish(job.places(r), job.n, job.param);
  }
}

template <Reduce op, class T>
void run(const Ctx& ctx, const Job& job) {
  using F = typename FoldOf<T, op>::type;
  static_assert(sizeof(F) <= kStateBytes);
  cudaStream_t stream = stream_of(ctx);
  if (job.n <= kShort && job.results >= kThreads) {
    short_kernel<F, T><<<blocks_for(job.results), kThreads, 0, stream>>>(job);
    return;
  }
  F* states = static_cast<F*>(ctx.workspace);
  pieces_kernel<F, T><<<blocks_of_rows(job.results * job.pieces), kThreads, 0, stream>>>(job, states);
  if (job.pieces > 1) join_kernel<F><<<blocks_for(job.results), kThreads, 0, stream>>>(job, states);
}

using Run = void (*)(const Ctx&, const Job&);
template <class T, int... I>
Run pick(Reduce op, std::integer_sequence<int, I...>) {
  static constexpr Run table[] = {run<Reduce(I), T>...};
  return table[int(op)];
}

int64_t pieces_of(int64_t n) { return n <= kPiece ? 1 : (n + kPiece - 1) / kPiece; }
int64_t inner_of(const View& x, int32_t reduced) {
  int64_t n = 1;
  for (int d = x.ndim - reduced; d < x.ndim; d++) n *= x.shape[d];
  return n;
}

void reduce_pair(const Ctx& ctx, const View& y, const View& z, const View& x, Reduce op, int32_t reduced,
                 double param) noexcept {
  Job job{y, z, x, x.ndim - reduced, numel(y), inner_of(x, reduced), 1, param};
  if (job.results == 0) return;
  job.pieces = pieces_of(job.n);
  with_compute(x.dtype, [&](auto zero) {
    pick<decltype(zero)>(op, std::make_integer_sequence<int, int(Reduce::count)>())(ctx, job);
  });
  note(cudaGetLastError());
}
void reduce(const Ctx& ctx, const View& y, const View& x, Reduce op, int32_t reduced, double param) noexcept {
  reduce_pair(ctx, y, View{}, x, op, reduced, param);
}
int64_t reduce_workspace(const Ctx&, const View& x, int32_t reduced) noexcept {
  int64_t n = inner_of(x, reduced), pieces = pieces_of(n);
  return pieces > 1 ? numel(x) / n * pieces * kStateBytes : 0;
}

}  // namespace

void fill_reduce(Kernels& k) {
  k.reduce = reduce;
  k.reduce_pair = reduce_pair;
  k.reduce_workspace = reduce_workspace;
}

}  // namespace mielina::cuda
