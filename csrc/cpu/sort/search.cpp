// Searching sorted rows, runs of equal rows, histograms: see table/sort.h.
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {
namespace {

// f(T()) for the three types that searches and runs compute in.
template <class F>
void dispatch(DType d, F f) {
  if (d == DType::f32) f(float());
  else if (d == DType::f64) f(double());
  else f(int64_t());
}

constexpr int64_t kSearches = 8;  // side by side, so that their misses overlap

// at[i] = how many of n elements stand before the first for which `before` (its place, x[i]) is false, for count values
// x. No branch depends on the data. Places are looked at as PyTorch does, which shows in rows that hold NaN.
template <class T, class F>
MIELINA_INLINE void partition_points(int64_t n, const T* x, int64_t count, int64_t* at, F before) {
  int64_t steps = n ? 64 - __builtin_clzll(uint64_t(n)) : 0;
  for (int64_t i = 0; i < count; i += kSearches) {
    int64_t base[kSearches] = {}, left[kSearches], m = min64(kSearches, count - i);
    for (int64_t j = 0; j < m; j++) left[j] = n;
    for (int64_t step = 0; step < steps; step++)
      for (int64_t j = 0; j < m; j++) {
        int64_t half = left[j] / 2, middle = base[j] + half;
        int64_t after = -int64_t(left[j] > 0 && before(min64(middle, n - 1), x[i + j]));
        base[j] += (half + 1) & after;
        left[j] = half + ((left[j] - 2 * half - 1) & after);
      }
    for (int64_t j = 0; j < m; j++) at[i + j] = base[j];
  }
}

void searchsorted(const Ctx& ctx, const View& y, const View& s, const View& v, const View& sorter,
                  bool right) noexcept {
  int64_t n = s.shape[1], m = v.shape[1];
  dispatch(s.dtype, [&]<class T>(T) {
    parallel_ranges(ctx, v.shape[0] * m, 4096, [&](int64_t b, int64_t e) {
      for (int64_t i = b, run; i < e; i += run) {
        int64_t r = i / m, c = i % m;
        run = min64(e - i, m - c);
        const int64_t* order = sorter.data ? (const int64_t*)sorter.data + r * sorter.stride[0] : nullptr;
        const T *p = (const T*)s.data + r * s.stride[0], *x = (const T*)v.data + r * v.stride[0] + c;
        int64_t* to = (int64_t*)y.data + r * y.stride[0] + c;
        auto search = [&](auto place) __attribute__((always_inline)) {  // NaN go to the end
          if (right) partition_points(n, x, run, to, [&](int64_t at, T x) { return !(p[place(at)] > x); });
          else partition_points(n, x, run, to, [&](int64_t at, T x) { return !(p[place(at)] >= x); });
        };
        if (order) search([order](int64_t at) { return order[at]; });
        else search([](int64_t at) { return at; });
      }
    });
  });
}

void contains(const Ctx& ctx, const View& y, const View& s, const View& v) noexcept {
  int64_t n = s.shape[0];
  dispatch(s.dtype, [&]<class T>(T) {
    const T* p = (const T*)s.data;
    parallel_ranges(ctx, v.shape[0], 4096, [&](int64_t b, int64_t e) {
      int64_t at[4096];
      const T* x = (const T*)v.data + b;
      partition_points(n, x, e - b, at, [&](int64_t j, T x) { return p[j] < x; });
      for (int64_t i = 0; i < e - b; i++) ((uint8_t*)y.data)[b + i] = at[i] < n && p[at[i]] == x[i];
    });
  });
}

// ---- runs -----------------------------------------------------------------------------------------------------------
template <class T>
int compare(const T* a, const T* b, int64_t m) {
  for (int64_t j = 0; j < m; j++) {
    if (a[j] < b[j] || (a[j] == a[j] && b[j] != b[j])) return -1;
    if (a[j] > b[j] || (a[j] != a[j] && b[j] == b[j])) return 1;
  }
  return 0;
}

// Merge sort of indices, bottom up; ctx.workspace holds the other half.
void sort_rows(const Ctx& ctx, const View& order, const View& x) noexcept {
  int64_t n = x.shape[0], m = x.shape[1];
  int64_t *a = (int64_t*)order.data, *b = (int64_t*)ctx.workspace;
  for (int64_t i = 0; i < n; i++) a[i] = i;
  dispatch(x.dtype, [&]<class T>(T) {
    const T* p = (const T*)x.data;
    for (int64_t w = 1; w < n; w *= 2) {
      for (int64_t begin = 0; begin < n; begin += 2 * w) {
        int64_t middle = min64(n, begin + w), end = min64(n, begin + 2 * w), i = begin, j = middle;
        for (int64_t k = begin; k < end; k++) {
          bool second = i == middle || (j < end && compare(p + a[j] * m, p + a[i] * m, m) < 0);
          b[k] = second ? a[j++] : a[i++];
        }
      }
      int64_t* t = a;
      a = b;
      b = t;
    }
  });
  if (a != order.data) __builtin_memcpy(order.data, a, size_t(n) * 8);
}

void runs(const Ctx&, const View& group, const View& x, const View& order) noexcept {
  int64_t n = x.shape[0], m = x.shape[1], g = 0;
  const int64_t* o = (const int64_t*)order.data;
  int64_t* to = (int64_t*)group.data;
  dispatch(x.dtype, [&]<class T>(T) {
    const T* p = (const T*)x.data;
    for (int64_t i = 0; i < n; i++) {
      if (i > 0) {
        const T *mine = p + (o ? o[i] : i) * m, *before = p + (o ? o[i - 1] : i - 1) * m;
        bool differs = false;
        for (int64_t j = 0; j < m && !differs; j++) differs = mine[j] != before[j];
        g += differs;
      }
      to[i] = g;
    }
  });
}

void collect_runs(const Ctx&, const View& values, const View& inverse, const View& counts, const View& x,
                  const View& group, const View& order) noexcept {
  int64_t n = x.shape[0], row = x.shape[1] * kDTypeSize[int(x.dtype)];
  const int64_t *o = (const int64_t*)order.data, *g = (const int64_t*)group.data;
  int64_t *c = (int64_t*)counts.data, *to = (int64_t*)inverse.data;
  for (int64_t i = 0; i < n; i++) {
    int64_t from = o ? o[i] : i;
    to[from] = g[i];
    if (i == 0 || g[i] != g[i - 1]) {
      c[g[i]] = 0;
      __builtin_memcpy((char*)values.data + g[i] * row, (const char*)x.data + from * row, size_t(row));
    }
    c[g[i]]++;
  }
}

// ---- histograms -----------------------------------------------------------------------------------------------------
void histogram(const Ctx&, const View& y, const View& x, double lo, double hi) noexcept {
  int64_t bins = y.shape[0];
  int64_t* count = (int64_t*)y.data;
  __builtin_memset(count, 0, size_t(bins) * 8);
  const Space<1> s({&x});
  double buf[kBlock];
  for (int64_t i = 0; i < s.n; i += kBlock) {
    int64_t n = min64(kBlock, s.n - i);
    const double* p = fetch<double>(s, 0, i, n, buf);
    for (int64_t j = 0; j < n; j++) {
      if (!(p[j] >= lo && p[j] <= hi)) continue;
      int64_t at = int64_t((p[j] - lo) / (hi - lo) * double(bins));
      count[min64(at, bins - 1)]++;
    }
  }
}

void bincount(const Ctx&, const View& y, const View& x, const View& weights) noexcept {
  __builtin_memset(y.data, 0, size_t(y.shape[0]) * 8);
  const int64_t* p = (const int64_t*)x.data;
  const double* w = (const double*)weights.data;
  for (int64_t i = 0; i < x.shape[0]; i++) {
    if (w) ((double*)y.data)[p[i]] += w[i];
    else ((int64_t*)y.data)[p[i]]++;
  }
}

}  // namespace

void fill_search(Kernels&);
void fill_search(Kernels& k) {
  k.searchsorted = searchsorted;
  k.contains = contains;
  k.sort_rows = sort_rows;
  k.runs = runs;
  k.collect_runs = collect_runs;
  k.histogram = histogram;
  k.bincount = bincount;
}

}  // namespace MIELINA_ISA
}  // namespace mielina
