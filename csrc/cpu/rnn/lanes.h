// The first n lanes of a vector from memory and back, 0 < n <= lanes; whole vectors by a plain load and store.
#pragma once
#include "cpu/simd.h"

namespace mielina {
namespace MIELINA_ISA {

template <class T>
MIELINA_INLINE Vec<T> get(const T* p, int64_t n) {
  return n == lanes<T> ? load(p) : load_n(p, n);
}
template <class T>
MIELINA_INLINE void put_lanes(T* p, Vec<T> v, int64_t n) {
  if (n == lanes<T>) store(p, v);
  else store_n(p, v, n);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
