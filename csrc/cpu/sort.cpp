// sort: see table/sort.h for the contracts, cpu/sort/items.h for the algorithms on packed items, cpu/sort/search.cpp
// for searching, runs and histograms. Rows are packed, sorted or selected, and their values read again through the
// indices.
#include "cpu/sort/items.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_search(Kernels&);

namespace {

constexpr int64_t kItems = 4 * 1024;  // elements a task, when rows are short: 10 us and more

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
template <class U>
int64_t item_bytes(const View& x) {
  return 2 * int64_t(sizeof(U)) * items_room<U>(x.shape[x.ndim - 1]);
}
int64_t sort_workspace(const Ctx& ctx, const View& x) noexcept {
  int64_t n = x.shape[x.ndim - 1], counts = n > kLong / 4 ? ceil_div(n, kCut) * 256 * 4 : 0;
  int64_t bytes = item_bytes<uint64_t>(x);
  if (wide_keys(x.dtype)) bytes = max64(bytes, item_bytes<u128>(x));
  return bytes * (ctx.threads > 0 ? ctx.threads : 1) + counts;
}

// What a row's elements are. whole: integers. narrow: those of 64 bits that lie within 2^32 of each other are sorted as
// 32-bit ones, less the smallest.
struct Bias {
  bool whole, narrow;
  int64_t least;
};
Bias bias_of(const View& x) {
  if (x.dtype != DType::i64) return {x.dtype > DType::bf16, false, 0};
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
  return {true, uint64_t(hi) - uint64_t(lo) <= 0xffffffffu, lo};
}

// What the bits of keys are turned by, for the largest to come first.
uint32_t flip_of(bool descending) { return descending ? ~uint32_t(0) : 0; }

// f(keys, i, count) for vectors of a row's 32-bit keys from place i on. Returns whether every element can be told from
// its key: it is neither NaN nor -0. Floats and integers share this code, the latter
// as the words that they are: a loop for each would be 8 KB more a level.
template <class F>
MIELINA_INLINE bool each_key(const Row& x, int64_t begin, int64_t end, uint32_t flip, Bias bias, F f) {
  constexpr int64_t L = lanes<int32_t>;
  alignas(64) int32_t buf[kBlock];
  vi32 lost{};
  for (int64_t i = begin; i < end; i += kBlock) {
    int64_t n = min64(kBlock, end - i);
    const char* from = x.data + i * x.stride * x.size;
    if (bias.narrow)
      for (int64_t j = 0; j < n; j++)
        buf[j] = int32_t(uint64_t(((const int64_t*)from)[j * x.stride]) - uint64_t(bias.least) - 0x80000000u);
    else if (bias.whole) row_from_fn<int32_t>(x.dtype)(from, x.stride, buf, n);
    else if (x.stride != 1 || x.dtype != DType::f32) row_from_fn<float>(x.dtype)(from, x.stride, (float*)buf, n);
    const int32_t* words = !bias.whole && x.stride == 1 && x.dtype == DType::f32 ? (const int32_t*)from : buf;
    for (int64_t j = 0; j < n; j += L) {
      int64_t count = min64(L, n - j);
      vu32 w = (vu32)load_part(words + j, count);
      vf32 v = from_bits<vf32>(w);
      lost |= is_nan(v) | (w == 0x80000000u);
      f((bias.whole ? w ^ 0x80000000u : key_bits(v)) ^ flip, i + j, count);
    }
  }
  return bias.whole || !any_lane(lost);
}

// Keys of 32 bits are packed in whole vectors: `to` has items_room. Item i has the index (first, the same for all) or
// its place. Returns what each_key does, false for wide keys.
__attribute__((noinline)) bool pack_words(const Row& x, int64_t begin, int64_t end, uint32_t flip, Bias bias,
                                          uint64_t* to, int64_t first = -1) {
  const vu32 index = first < 0 ? count_from(0) : vu32{} + uint32_t(first);
  const uint32_t step = first < 0;
  return each_key(x, begin, end, flip, bias, [&](vu32 k, int64_t i, int64_t) __attribute__((always_inline)) {
    vu32 low, high;
    interleave(index + uint32_t(i) * step, k, low, high);
    store(to + i, (vu64)low);
    store(to + i + lanes<uint64_t>, (vu64)high);
  });
}
template <class T>
bool pack_range(const Row& x, int64_t begin, int64_t end, bool descending, Bias bias, Item<T>* to) {
  if constexpr (sizeof(T) == 4) {
    return pack_words(x, begin, end, flip_of(descending), bias, to);
  } else {
    int64_t words[kBlock];
    auto read = bias.whole ? row_from_fn<int64_t>(x.dtype) : row_from_fn<double>(x.dtype);
    for (int64_t i = begin; i < end; i += kBlock) {
      int64_t n = min64(kBlock, end - i);
      read(x.data + i * x.stride * x.size, x.stride, words, n);
      for (int64_t j = 0; j < n; j++) {
        double number;
        __builtin_memcpy(&number, words + j, 8);
        to[i + j] = bias.whole ? pack<int64_t>(words[j], i + j, descending) : pack<double>(number, i + j, descending);
      }
    }
    return false;
  }
}

// values[i] = x[index[i]] for elements of one size, whatever they mean; of rows side by side, `across` apart, each has
// its own x.
template <class W>
void gather(const Row& x, int64_t across, const int64_t* index, const Row& values, int64_t at, int64_t n) {
  const W* from = (const W*)x.data;
  W* to = (W*)values.data + at * values.stride;
  for (int64_t i = 0; i < n; i++) to[i * values.stride] = from[index[i] * x.stride + i * across];
}
template <class U>
void unpack_range(const Row& x, const U* items, int64_t begin, int64_t end, const Row& values, const Row& indices,
                  int64_t across = 0) {
  int64_t index[kBlock];
  auto take = x.size == 1   ? gather<uint8_t>
              : x.size == 2 ? gather<uint16_t>
              : x.size == 4 ? gather<uint32_t>
                            : gather<uint64_t>;
  for (int64_t i = begin; i < end; i += kBlock) {
    int64_t n = min64(kBlock, end - i);
    for (int64_t j = 0; j < n; j++) index[j] = index_of(items[i + j]);
    take(x, across, index, values, i, n);
    row_to_fn<int64_t>(DType::i64)(index, indices.data + i * indices.stride * 8, indices.stride, n);
  }
}

// The same where elements can be told from their keys: nothing is read again.
void decode_range(const uint64_t* items, int64_t begin, int64_t end, uint32_t flip, bool whole, const Row& values,
                  const Row& indices) {
  constexpr int64_t L = lanes<int32_t>;
  alignas(64) int32_t value[kBlock];
  alignas(64) int64_t index[kBlock];
  vu64 low = vu64{} + 0xffffffffu;
  bool direct = values.stride == 1 && (values.dtype == DType::f32 || values.dtype == DType::i32);
  for (int64_t i = begin; i < end; i += kBlock) {
    int64_t n = min64(kBlock, end - i), full = n / L * L;
    int32_t* to = direct ? (int32_t*)values.data + i : value;
    int64_t* at = indices.stride == 1 ? (int64_t*)indices.data + i : index;
    for (int64_t j = 0; j < n; j += L) {
      int64_t* p = j < full ? at + j : index + j;
      vu64 a = load(items + i + j), b = load(items + i + j + L / 2);
      store(p, (vi64)(a & low));
      store(p + L / 2, (vi64)(b & low));
      vu32 k = odd_lanes((vu32)a, (vu32)b) ^ flip;
      store(j < full ? to + j : value + j, (vi32)(whole ? k ^ 0x80000000u : word_of_key(k)));
    }
    auto rest = [&](int64_t from, auto row, const void* buf, const Row& to) {  // of what is still in the buffers
      if (from < n) row(buf, to.data + (i + from) * to.stride * to.size, to.stride, n - from);
    };
    int64_t from = direct ? full : 0;
    rest(from, whole ? row_to_fn<int32_t>(values.dtype) : row_to_fn<float>(values.dtype), value + from, values);
    from = at == index ? 0 : full;
    rest(from, row_to_fn<int64_t>(DType::i64), index + from, indices);
  }
}
// The same for narrow ones.
void decode_narrow(const uint64_t* items, int64_t begin, int64_t end, uint32_t flip, int64_t least, const Row& values,
                   const Row& indices) {
  alignas(64) int64_t value[kBlock], index[kBlock];
  const vu64 low = vu64{} + 0xffffffffu, base = vu64{} + uint64_t(least);
  for (int64_t i = begin; i < end; i += kBlock) {
    const int64_t n = min64(kBlock, end - i);
    for (int64_t j = 0; j < n; j += lanes<uint64_t>) {
      const vu64 item = load(items + i + j);
      store(index + j, (vi64)(item & low));
      store(value + j, (vi64)(((item >> 32) ^ uint64_t(flip)) + base));
    }
    row_to_fn<int64_t>(DType::i64)(value, values.data + i * values.stride * 8, values.stride, n);
    row_to_fn<int64_t>(DType::i64)(index, indices.data + i * indices.stride * 8, indices.stride, n);
  }
}
template <class T>
void put_range(const Row& x, const Item<T>* items, int64_t begin, int64_t end, uint32_t flip, bool exact, Bias bias,
               const Row& values, const Row& indices, int64_t across = 0) {
  if constexpr (sizeof(T) == 4)
    if (exact) {
      if (bias.narrow) return decode_narrow(items, begin, end, flip, bias.least, values, indices);
      return decode_range(items, begin, end, flip, bias.whole, values, indices);
    }
  unpack_range(x, items, begin, end, values, indices, across);
}

// f(T(), bias) for the type whose key is as narrow as x's elements are: float stands for 32-bit integers, double for
// those of 64 bits.
template <class F>
void dispatch(const View& x, F f) {
  Bias bias = bias_of(x);
  if (wide_keys(x.dtype) && !bias.narrow) f(double(), bias);
  else f(float(), bias);
}

// f(row, count, items, spare) for each row of x, or for `together` of them.
template <class U, class F>
void each_row(const Ctx& ctx, const View& x, int64_t together, F f) {
  int64_t n = x.shape[x.ndim - 1], rows = numel(x) / n, group = max64(1, kItems / n / together) * together,
          bytes = item_bytes<U>(x);
  parallel_for(ctx, ceil_div(rows, group), [&](int64_t g, int worker) {
    U* items = (U*)((char*)ctx.workspace + worker * bytes);
    int64_t end = min64(rows, (g + 1) * group);
    for (int64_t r = g * group; r < end; r += together) f(r, min64(together, end - r), items, items + items_room<U>(n));
  });
}

template <class T>
void sort_long(const Ctx& ctx, const View& values, const View& indices, const View& x, bool descending, Bias bias) {
  using U = Item<T>;
  int64_t n = x.shape[x.ndim - 1];
  U *items = (U*)ctx.workspace, *spare = items + items_room<U>(n);
  uint32_t* counts = (uint32_t*)((char*)ctx.workspace + item_bytes<U>(x));
  for (int64_t r = 0; r < numel(x) / n; r++) {
    Row xr = row_of(x, r), vr = row_of(values, r), ir = row_of(indices, r);
    bool exact = true;
    parallel_ranges(ctx, n, kCut, [&](int64_t b, int64_t e) {
      if (!pack_range<T>(xr, b, e, descending, bias, items)) __atomic_store_n(&exact, false, __ATOMIC_RELAXED);
    });
    const U* sorted = radix_sort_long(ctx, items, spare, n, counts);
    parallel_ranges(ctx, n, kCut, [&](int64_t b, int64_t e) {
      put_range<T>(xr, sorted, b, e, flip_of(descending), exact, bias, vr, ir);
    });
  }
}

// ---- short rows side by side ----------------------------------------------------------------------------------------
// Rows of elements that lie apart, or of very few, are sorted kColumns at a time, a row in each lane: nothing is read
// along a row, and 8 items need 19 steps. Where few of the items are asked for, selecting them overtakes earlier.
constexpr int64_t kColumnsMax = 256, kColumnsFew = 128;

// Neighbouring rows: element 0 of them, and what lies between the elements of each.
struct Columns {
  Row first;
  int64_t along;
  Row at(int64_t i) const { return {first.data + i * along * first.size, first.stride, first.size, first.dtype}; }
};

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

// All rows: the first `many` of each, sorted, or the one that `which` and k ask for. False where rows are better taken
// one by one.
bool sort_columns(const Ctx& ctx, const View& values, const View& indices, const View& x, bool descending, Bias bias,
                  int64_t many, Kth which = Kth::kth, int64_t k = 0) {
  const int last = x.ndim - 1;
  const int64_t n = x.shape[last];
  if (VBYTES == 16 || n > (x.stride[last] == 1 ? kRanked : many == n ? kColumnsMax : kColumnsFew)) return false;
  const View* all[3] = {&x, &values, &indices};
  View outer[3] = {x, values, indices};
  for (View& v : outer) v.ndim = last;
  const Space<3> s({&outer[0], &outer[1], &outer[2]});
  const int64_t columns = s.shape[s.ndim - 1], tiles = ceil_div(columns, kColumns);
  if (columns < kColumns / 2) return false;
  const uint32_t flip = flip_of(descending) ^ (kSigned ? 0x80000000u : 0);
  parallel_ranges(ctx, s.n / columns * tiles, max64(1, kItems / (n * kColumns)), [&](int64_t begin, int64_t end) {
    alignas(64) uint64_t items[kColumnsMax * kColumns], found[kColumns] = {}, row[kColumnsMax];
    for (int64_t t = begin; t < end; t++) {
      const int64_t start = t % tiles * kColumns, width = min64(kColumns, columns - start);
      Columns c[3];
      for (int j = 0; j < 3; j++) {
        const int64_t size = kDTypeSize[int(s.dtype[j])];
        int64_t rest = t / tiles * columns + start, offset = 0;
        for (int d = s.ndim - 1; d >= 0; rest /= s.shape[d--]) offset += rest % s.shape[d] * s.stride[j][d];
        c[j] = {{s.data[j] + offset * size, s.stride[j][s.ndim - 1], size, s.dtype[j]},
                all[j]->ndim > last ? all[j]->stride[last] : 0};
      }
      bool exact = true;
      for (int64_t i = 0; i < n; i++) {
        const Row from = c[0].at(i);
        exact &= pack_words(from, 0, width, flip, bias, items + i * kColumns, i);
        __builtin_prefetch(from.data + width * from.stride * from.size);  // the next rows
        if (i >= many) continue;
        __builtin_prefetch(c[1].at(i).data, 1);
        __builtin_prefetch(c[2].at(i).data, 1);
        __builtin_prefetch(c[2].at(i).data + 64, 1);
      }
      sort_side_by_side(items, n);
      const uint64_t* from = items;
      if (many == 0) {
        const bool all_numbers = exact || which == Kth::kth;
        const int64_t place = which == Kth::kth ? k : (n - 1) / 2;
        from = all_numbers ? items + place * kColumns : found;
        for (int64_t j = 0; !all_numbers && j < width; j++) {
          for (int64_t i = 0; i < n; i++) row[i] = items[i * kColumns + j] ^ (kSigned ? kTop : 0);
          found[j] = items[wanted(row, n, which, k) * kColumns + j];
        }
      }
      const Row along{c[0].first.data, c[0].along, c[0].first.size, c[0].first.dtype};
      for (int64_t i = 0; i < max64(many, 1); i++)
        put_range<float>(along, from + i * kColumns, 0, width, flip, exact, bias, c[1].at(i), c[2].at(i),
                         c[0].first.stride);
    }
  });
  return true;
}

void sort(const Ctx& ctx, const View& values, const View& indices, const View& x, bool descending) noexcept {
  if (numel(x) == 0) return;
  int64_t n = x.shape[x.ndim - 1];
  dispatch(x, [&]<class T>(T, Bias bias) {
    if (n > kLong || (n > kLong / 4 && numel(x) == n)) return sort_long<T>(ctx, values, indices, x, descending, bias);
    if (sizeof(T) == 4 && sort_columns(ctx, values, indices, x, descending, bias, n)) return;
    bool two = sizeof(T) == 4 && n > kRanked && n <= kSquare;  // rows at once
    each_row<Item<T>>(ctx, x, two ? 2 : 1, [&](int64_t r, int64_t count, Item<T>* items, Item<T>* spare) {
      bool exact[2];
      for (int64_t i = 0; i < count; i++)
        exact[i] = pack_range<T>(row_of(x, r + i), 0, n, descending, bias, items + i * kSquare);
      if constexpr (sizeof(T) == 4) {
        if (count == 2) network_sort_two(items, n);
      }
      if (count == 1) items = sort_items(items, spare, n);
      for (int64_t i = 0; i < count; i++)
        put_range<T>(row_of(x, r + i), items + i * kSquare, 0, n, flip_of(descending), exact[i], bias,
                     row_of(values, r + i), row_of(indices, r + i));
    });
  });
}

// A key that k elements of a row do not exceed: the k-th smallest of each lane's smallest.
uint32_t key_within(const Row& x, int64_t n, int64_t k, bool descending, Bias bias) {
  constexpr int64_t L = lanes<uint32_t>;
  uint32_t key[L];
  vu32 least = ~vu32{};
  each_key(x, 0, n / L * L, flip_of(descending), bias,
           [&](vu32 keys, int64_t, int64_t) __attribute__((always_inline)) { least = keys < least ? keys : least; });
  store(key, least);
  insertion_sort(key, L);
  return key[k - 1];
}

// The k smallest items of a row, in order, without packing all of it: only those below a limit are of interest. When
// `room` is full of them the k smallest stay, and the last of these is the new limit.
void few_items(const Row& x, int64_t n, int64_t k, int64_t room, bool descending, Bias bias, uint64_t* items) {
  constexpr int64_t L = lanes<uint32_t>, kFewest = 32;
  int64_t count = 0, start = 0;
  uint32_t limit = 0;
  auto cut = [&] {
    network_sort(items, count);
    count = k;
    limit = uint32_t(key_of(items[k - 1]));
  };
  if (k <= L / 2) limit = key_within(x, min64(n, 2 * kBlock), k, descending, bias) + 1;
  if (limit == 0) {
    pack_words(x, 0, room, flip_of(descending), bias, items);
    start = count = room;
    cut();
  }
  each_key(x, start, n, flip_of(descending), bias, [&](vu32 keys, int64_t i, int64_t m) __attribute__((always_inline)) {
    if (!any_lane(keys < vu32{} + limit)) return;
    uint32_t key[L];
    store(key, keys);
    for (int64_t l = 0; l < m; l++) {
      items[count] = uint64_t(key[l]) << 32 | uint64_t(i + l);
      count += key[l] < limit;
    }
    if (count > room - L) cut();
  });
  if (count > kFewest) network_sort(items, count);
  else insertion_sort(items, count);
}

constexpr int64_t kFewMax = 1024;  // k

void topk(const Ctx& ctx, const View& values, const View& indices, const View& x, bool largest) noexcept {
  if (numel(values) == 0) return;
  int64_t n = x.shape[x.ndim - 1], k = values.shape[values.ndim - 1], room = network_room(4 * k);
  bool few = k <= kFewMax && n >= 2 * room;
  dispatch(x, [&]<class T>(T, Bias bias) {
    if (sizeof(T) == 4 && sort_columns(ctx, values, indices, x, largest, bias, k)) return;
    each_row<Item<T>>(ctx, x, 1, [&](int64_t r, int64_t, Item<T>* items, Item<T>* spare) {
      Row xr = row_of(x, r);
      if constexpr (sizeof(T) == 4)
        if (few) {
          few_items(xr, n, k, room, largest, bias, items);
          return unpack_range(xr, items, 0, k, row_of(values, r), row_of(indices, r));
        }
      pack_range<T>(xr, 0, n, largest, bias, items);
      int64_t sorted = n;
      if (k < n && (sizeof(T) > 4 || n > kFewMax)) {
        select_items(items, n, k, spare);
        Item<T>* t = items;
        items = spare;
        spare = t;
        sorted = k;
      }
      unpack_range(xr, sort_items(items, spare, sorted), 0, k, row_of(values, r), row_of(indices, r));
    });
  });
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
    if (sizeof(T) == 4 && sort_columns(ctx, values, indices, x, false, bias, 0, which, k)) return;
    each_row<U>(ctx, x, 1, [&](int64_t r, int64_t, U* items, U* spare) {
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
    each_row<U>(ctx, x, 1, [&](int64_t r, int64_t, U* items, U* spare) {
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
