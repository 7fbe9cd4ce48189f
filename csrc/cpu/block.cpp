// Conversion of rows, for every pair of a compute type and a dtype.
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {

template <class T>
MIELINA_INLINE void put(float* p, T x) {
  *p = float(x);
}
template <class T>
MIELINA_INLINE void put(double* p, T x) {
  *p = double(x);
}
// Float to integer goes through i64, so that every width wraps the same way.
template <class T>
MIELINA_INLINE int64_t integer(T x) {
  if constexpr (T(0.5) != T(0)) return x >= T(-9.3e18) && x <= T(9.2e18) ? int64_t(x) : INT64_MIN;
  else return int64_t(x);
}
template <class T>
MIELINA_INLINE void put(int64_t* p, T x) {
  *p = integer(x);
}
template <class T>
MIELINA_INLINE void put(int32_t* p, T x) {
  *p = int32_t(integer(x));
}
template <class T>
MIELINA_INLINE void put(int16_t* p, T x) {
  *p = int16_t(integer(x));
}
template <class T>
MIELINA_INLINE void put(int8_t* p, T x) {
  *p = int8_t(integer(x));
}
template <class T>
MIELINA_INLINE void put(uint8_t* p, T x) {
  *p = uint8_t(integer(x));
}
template <class T>
MIELINA_INLINE void put(bool* p, T x) {
  *(uint8_t*)p = x != T(0);
}
template <class T>
MIELINA_INLINE void put(half_t* p, T x) {
  store_half_n(p, to_f16(splat<vf32>(float(x))), 1);
}
template <class T>
MIELINA_INLINE void put(bfloat_t* p, T x) {
  store_half_n(p, to_bf16(splat<vf32>(float(x))), 1);
}

// A piece's numbers without their fractions, if 32 bits hold them all.
[[gnu::noinline, maybe_unused]] static bool whole_piece(const float* from, int32_t* to) {
  auto fit = vf32{} == 0;
  for (int64_t i = 0; i < kPiece; i += lanes<float>) {
    const vf32 x = load(from + i);
    fit &= abs(x) < splat<vf32>(0x1p31f);
    store(to + i, __builtin_convertvector(x, vi32));
  }
  return !any_lane(~fit);
}

// Streamed: halves go past the caches, `to` is aligned then.
template <class S, class T, bool Streamed = false>
static void row_to(const void* source, void* to, int64_t stride, int64_t n) {
  S* p = (S*)to;
  const T* from = (const T*)source;
  if (stride == 1) {
    int64_t i = 0;
    if constexpr (__is_same(S, T)) {
      __builtin_memcpy(p, from, size_t(n) * sizeof(T));
      return;
    } else if constexpr (__is_same(T, float) && (__is_same(S, half_t) || __is_same(S, bfloat_t))) {
      for (; i + lanes<float> <= n; i += lanes<float>) {
        vf32 x = load(from + i);
        const vu16h h = __is_same(S, half_t) ? to_f16(x) : to_bf16(x);
        if constexpr (Streamed) stream_half(p + i, h);
        else store_half(p + i, h);
      }
    } else if constexpr ((__is_same(T, int64_t) || __is_same(T, double)) &&
                         (__is_same(S, half_t) || __is_same(S, bfloat_t))) {
      // By way of floats, as one by one: 524,288 int64 to bf16 1740 us, 309 so.
      alignas(64) float piece[kPiece];
      for (; i + kPiece <= n; i += kPiece) {
        row_from<T, float>(from + i, 1, piece, kPiece);
        row_to<S, float>(piece, p + i, 1, kPiece);
      }
    } else if constexpr (VBYTES == 32 && __is_same(T, float) && !__is_same(S, bool) && requires { S{} % 2; }) {
      // AVX2 makes no int64 of floats. By way of 32 bits where these hold a piece's numbers: 1024 x 1024 floats to
      // bytes 780 us, 146 so (one core of a Zen 3), to int64 850 and 260.
      alignas(64) int32_t piece[kPiece];
      for (; i + kPiece <= n; i += kPiece)
        if (whole_piece(from + i, piece)) row_to<S, int32_t>(piece, p + i, 1, kPiece);
        else
          for (int64_t j = i; j < i + kPiece; j++) put(p + j, from[j]);
    }
    for (; i < n; i++) put(p + i, from[i]);
  } else {
    for (int64_t i = 0; i < n; i++) put(p + i * stride, from[i]);
  }
}

template <class T>
RowFrom<T> row_from_fn(DType d) {
  switch (d) {
    case DType::f32: return row_from<float, T>;
    case DType::f64: return row_from<double, T>;
    case DType::f16: return row_from<half_t, T>;
    case DType::bf16: return row_from<bfloat_t, T>;
    case DType::i64: return row_from<int64_t, T>;
    case DType::i32: return row_from<int32_t, T>;
    case DType::i16: return row_from<int16_t, T>;
    case DType::i8: return row_from<int8_t, T>;
    case DType::u8: return row_from<uint8_t, T>;
    default: return row_from<bool, T>;
  }
}
template <class T>
RowTo<T> row_to_fn(DType d) {
  switch (d) {
    case DType::f32: return row_to<float, T>;
    case DType::f64: return row_to<double, T>;
    case DType::f16: return row_to<half_t, T>;
    case DType::bf16: return row_to<bfloat_t, T>;
    case DType::i64: return row_to<int64_t, T>;
    case DType::i32: return row_to<int32_t, T>;
    case DType::i16: return row_to<int16_t, T>;
    case DType::i8: return row_to<int8_t, T>;
    case DType::u8: return row_to<uint8_t, T>;
    default: return row_to<bool, T>;
  }
}

RowTo<float> streamed_row_fn(DType d) {
  constexpr bool streamed = VBYTES > 16;  // four halves are less than the instructions store
  return d == DType::f16 ? row_to<half_t, float, streamed> : row_to<bfloat_t, float, streamed>;
}

template RowFrom<float> row_from_fn<float>(DType);
template RowFrom<double> row_from_fn<double>(DType);
template RowFrom<int64_t> row_from_fn<int64_t>(DType);
template RowFrom<int32_t> row_from_fn<int32_t>(DType);
template RowFrom<uint64_t> row_from_fn<uint64_t>(DType);
template RowFrom<uint32_t> row_from_fn<uint32_t>(DType);
template RowFrom<bool> row_from_fn<bool>(DType);
template RowTo<float> row_to_fn<float>(DType);
template RowTo<double> row_to_fn<double>(DType);
template RowTo<int64_t> row_to_fn<int64_t>(DType);
template RowTo<int32_t> row_to_fn<int32_t>(DType);
template RowTo<uint64_t> row_to_fn<uint64_t>(DType);
template RowTo<uint32_t> row_to_fn<uint32_t>(DType);

}  // namespace MIELINA_ISA
}  // namespace mielina
