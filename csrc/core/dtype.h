// The ten element types. Plain data only: this header is seen by every ISA's kernels, so it defines no function.
#pragma once
#include <stdint.h>

namespace mielina {

enum class DType : uint8_t { f32, f64, f16, bf16, i64, i32, i16, i8, u8, b8 };
enum { kDTypes = 10 };

// Indexed by DType. `static` gives each file its own copy, so that no symbol is shared between ISA levels.
static const uint8_t kDTypeSize[kDTypes] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 1};

// Storage types of the two half formats: the bits, never arithmetic. simd.h converts them to float.
struct half_t {
  uint16_t bits;
};
struct bfloat_t {
  uint16_t bits;
};

}  // namespace mielina
