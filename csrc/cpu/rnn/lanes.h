// The first n lanes of a vector from memory and back, 0 < n <= lanes; whole vectors by a plain load and store.
#pragma once
#include "cpu/simd.h"

namespace mielina {
namespace MIELINA_ISA {

// Parts of vectors are many instructions without masks: one copy of them.
template <class T>
__attribute__((noinline, cold)) static Vec<T> get_part(const T* p, int64_t n) {
  return load_n(p, n);
}
template <class T>
__attribute__((noinline, cold)) static void put_part(T* p, Vec<T> v, int64_t n) {
  store_n(p, v, n);
}

template <class T>
MIELINA_INLINE Vec<T> get(const T* p, int64_t n) {
  if (n == lanes<T>) return load(p);
  if constexpr (VBYTES == 64) return load_n(p, n);
  else return get_part(p, n);
}
template <class T>
MIELINA_INLINE void put_lanes(T* p, Vec<T> v, int64_t n) {
  if (n == lanes<T>) store(p, v);
  else if constexpr (VBYTES == 64) store_n(p, v, n);
  else put_part(p, v, n);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
