// sort: see table/sort.h for the contracts, cpu/sort/items.h for the algorithms on packed items, cpu/sort/search.cpp
// for searching, runs and histograms. Rows are packed, sorted or selected, and their values read again through the
// indices.
#include "cpu/sort/items.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_search(Kernels&);

namespace {

constexpr int64_t kItems = 32 * 1024;  // elements a task, when rows are short

// Row r of a view (outer..., n).
struct Row {
  char* data;
  int64_t stride, size;
  DType dtype;
};
Row row_of(const View& v, int64_t r, bool whole = true) {
  int last = v.ndim - (whole ? 1 : 0);
  int64_t offset = 0, size = kDTypeSize[int(v.dtype)];
  for (int d = last - 1; d >= 0; d--) {
    offset += r % v.shape[d] * v.stride[d];
    r /= v.shape[d];
  }
  return {(char*)v.data + offset * size, whole ? v.stride[last] : 1, size, v.dtype};
}

// Scratch: two arrays of n items for each worker, or for one long row two arrays and the counts of its chunks.
bool wide_keys(DType d) { return d == DType::f64 || d == DType::i64; }
int64_t item_bytes(const View& x) { return ceil_div((wide_keys(x.dtype) ? 32 : 16) * x.shape[x.ndim - 1], 64) * 64; }
int64_t sort_workspace(const Ctx& ctx, const View& x) noexcept {
  int64_t n = x.shape[x.ndim - 1], counts = n > kLong ? ceil_div(n, kCut) * 256 * 4 : 0;
  return item_bytes(x) * (ctx.threads > 0 ? ctx.threads : 1) + counts;
}

// Elements of 64-bit integers that lie within 2^32 of each other are sorted as 32-bit ones, less the smallest.
struct Bias {
  bool narrow;
  int64_t least;
};
Bias bias_of(const View& x) {
  if (x.dtype != DType::i64) return {false, 0};
  const Space<1> s({&x});
  int64_t buf[kBlock], lo = INT64_MAX, hi = INT64_MIN;
  for (int64_t i = 0; i < s.n; i += kBlock) {
    int64_t n = min64(kBlock, s.n - i);
    const int64_t* p = fetch<int64_t>(s, 0, i, n, buf);
    for (int64_t j = 0; j < n; j++) {
      lo = p[j] < lo ? p[j] : lo;
      hi = p[j] > hi ? p[j] : hi;
    }
  }
  return {uint64_t(hi) - uint64_t(lo) <= 0xffffffffu, lo};
}

template <class T>
void pack_range(const Row& x, int64_t begin, int64_t end, bool descending, Bias bias, Item<T>* to) {
  T buf[kBlock];
  auto read = row_from_fn<T>(x.dtype);
  for (int64_t i = begin; i < end; i += kBlock) {
    int64_t n = min64(kBlock, end - i);
    const char* from = x.data + i * x.stride * x.size;
    if (__is_same(T, int32_t) && bias.narrow)
      for (int64_t j = 0; j < n; j++)
        buf[j] = T(uint64_t(((const int64_t*)from)[j * x.stride]) - uint64_t(bias.least) - 0x80000000u);
    else read(from, x.stride, buf, n);
    for (int64_t j = 0; j < n; j++) to[i + j] = pack<T>(buf[j], i + j, descending);
  }
}

// values[i] = x[index[i]] for elements of one size, whatever they mean.
template <class W>
void gather(const Row& x, const int64_t* index, const Row& values, int64_t at, int64_t n) {
  const W* from = (const W*)x.data;
  W* to = (W*)values.data + at * values.stride;
  for (int64_t i = 0; i < n; i++) to[i * values.stride] = from[index[i] * x.stride];
}
template <class U>
void unpack_range(const Row& x, const U* items, int64_t begin, int64_t end, const Row& values, const Row& indices) {
  int64_t index[kBlock];
  auto take = x.size == 1   ? gather<uint8_t>
              : x.size == 2 ? gather<uint16_t>
              : x.size == 4 ? gather<uint32_t>
                            : gather<uint64_t>;
  for (int64_t i = begin; i < end; i += kBlock) {
    int64_t n = min64(kBlock, end - i);
    for (int64_t j = 0; j < n; j++) index[j] = index_of(items[i + j]);
    take(x, index, values, i, n);
    row_to_fn<int64_t>(DType::i64)(index, indices.data + i * indices.stride * 8, indices.stride, n);
  }
}

// f(T(), bias) for the type that holds x's elements and whose key is as narrow as they are.
template <class F>
void dispatch(const View& x, F f) {
  Bias bias = bias_of(x);
  if (x.dtype == DType::f64) f(double(), bias);
  else if (x.dtype == DType::i64 && !bias.narrow) f(int64_t(), bias);
  else if (x.dtype <= DType::bf16) f(float(), bias);
  else f(int32_t(), bias);
}

// f(row, items, spare) for each row of x.
template <class U, class F>
void each_row(const Ctx& ctx, const View& x, F f) {
  int64_t n = x.shape[x.ndim - 1], rows = numel(x) / n, group = max64(1, kItems / n), bytes = item_bytes(x);
  parallel_for(ctx, ceil_div(rows, group), [&](int64_t g, int worker) {
    U* items = (U*)((char*)ctx.workspace + worker * bytes);
    for (int64_t r = g * group; r < min64(rows, (g + 1) * group); r++) f(r, items, items + n);
  });
}

template <class T>
void sort_long(const Ctx& ctx, const View& values, const View& indices, const View& x, bool descending, Bias bias) {
  using U = Item<T>;
  int64_t n = x.shape[x.ndim - 1];
  U* items = (U*)ctx.workspace;
  uint32_t* counts = (uint32_t*)((char*)ctx.workspace + item_bytes(x));
  for (int64_t r = 0; r < numel(x) / n; r++) {
    Row xr = row_of(x, r), vr = row_of(values, r), ir = row_of(indices, r);
    parallel_ranges(ctx, n, kCut, [&](int64_t b, int64_t e) { pack_range<T>(xr, b, e, descending, bias, items); });
    const U* sorted = radix_sort_long(ctx, items, items + n, n, counts);
    parallel_ranges(ctx, n, kCut, [&](int64_t b, int64_t e) { unpack_range(xr, sorted, b, e, vr, ir); });
  }
}

void sort(const Ctx& ctx, const View& values, const View& indices, const View& x, bool descending) noexcept {
  if (numel(x) == 0) return;
  int64_t n = x.shape[x.ndim - 1];
  dispatch(x, [&]<class T>(T, Bias bias) {
    if (n > kLong) return sort_long<T>(ctx, values, indices, x, descending, bias);
    each_row<Item<T>>(ctx, x, [&](int64_t r, Item<T>* items, Item<T>* spare) {
      Row xr = row_of(x, r);
      pack_range<T>(xr, 0, n, descending, bias, items);
      unpack_range(xr, sort_items(items, spare, n), 0, n, row_of(values, r), row_of(indices, r));
    });
  });
}

void topk(const Ctx& ctx, const View& values, const View& indices, const View& x, bool largest) noexcept {
  if (numel(values) == 0) return;
  int64_t n = x.shape[x.ndim - 1], k = values.shape[values.ndim - 1];
  dispatch(x, [&]<class T>(T, Bias bias) {
    each_row<Item<T>>(ctx, x, [&](int64_t r, Item<T>* items, Item<T>* spare) {
      Row xr = row_of(x, r);
      pack_range<T>(xr, 0, n, largest, bias, items);
      if (k < n) {
        select_items(items, n, k, spare);
        Item<T>* t = items;
        items = spare;
        spare = t;
      }
      unpack_range(xr, sort_items(items, spare, k), 0, k, row_of(values, r), row_of(indices, r));
    });
  });
}

// The number among the row's NaN-free items that `which` asks for, or -1: the first NaN itself.
template <class U>
int64_t wanted(const U* items, int64_t n, Kth which, int64_t k) {
  if (which == Kth::kth) return k;
  U nan = (U(1) << kHalf<U>)-1;
  int64_t broken = 0;
  for (int64_t i = 0; i < n; i++) broken += key_of(items[i]) == nan;
  if (which == Kth::median && broken) return n - broken;  // NaN sort last, the first of them first
  return broken == n ? 0 : (n - broken - 1) / 2;
}

void kth(const Ctx& ctx, const View& values, const View& indices, const View& x, Kth which, int64_t k) noexcept {
  if (numel(x) == 0) return;
  int64_t n = x.shape[x.ndim - 1];
  if (x.dtype > DType::bf16 && which != Kth::kth) {  // no integer is NaN, whatever its key
    which = Kth::kth;
    k = (n - 1) / 2;
  }
  dispatch(x, [&]<class T>(T, Bias bias) {
    using U = Item<T>;
    each_row<U>(ctx, x, [&](int64_t r, U* items, U* spare) {
      Row xr = row_of(x, r);
      pack_range<T>(xr, 0, n, false, bias, items);
      int64_t place = wanted(items, n, which, k);
      select_items(items, n, place + 1, spare);
      U last = spare[0];
      for (int64_t i = 1; i <= place; i++) last = spare[i] > last ? spare[i] : last;
      unpack_range(xr, &last, 0, 1, row_of(values, r, false), row_of(indices, r, false));
    });
  });
}

void mode(const Ctx& ctx, const View& values, const View& indices, const View& x) noexcept {
  if (numel(x) == 0) return;
  int64_t n = x.shape[x.ndim - 1];
  dispatch(x, [&]<class T>(T, Bias bias) {
    using U = Item<T>;
    each_row<U>(ctx, x, [&](int64_t r, U* items, U* spare) {
      Row xr = row_of(x, r);
      pack_range<T>(xr, 0, n, false, bias, items);
      const U* s = sort_items(items, spare, n);
      int64_t longest = 0, start = 0;
      U found = s[0];
      for (int64_t i = 1; i <= n; i++) {
        if (i < n && key_of(s[i]) == key_of(s[start])) continue;
        if (i - start > longest) {
          longest = i - start;
          found = s[i - 1];
        }
        start = i;
      }
      unpack_range(xr, &found, 0, 1, row_of(values, r, false), row_of(indices, r, false));
    });
  });
}

}  // namespace

void fill_sort(Kernels&);
void fill_sort(Kernels& k) {
  k.sort = sort;
  k.topk = topk;
  k.kth = kth;
  k.mode = mode;
  k.sort_workspace = sort_workspace;
  fill_search(k);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
