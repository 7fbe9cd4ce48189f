// Conversion of rows, for every pair of a compute type and a dtype.
#include "cpu/block.h"

namespace mielina {
namespace MIELINA_ISA {

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
