// Array: a strided window on a Storage.
#pragma once
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/storage.h"
#include "core/view.h"

namespace mielina {

// Up to kMaxDims sizes, strides or axes, without the heap.
struct Dims {
  int n = 0;
  int64_t v[kMaxDims];
  Dims() = default;
  Dims(std::initializer_list<int64_t> list) {
    for (int64_t x : list) push(x);
  }
  Dims(const int64_t* p, int count) : n(count) { std::memcpy(v, p, sizeof(int64_t) * size_t(count)); }
  void push(int64_t x) {
    check(n < kMaxDims, Kind::Value, "arrays have at most ", int(kMaxDims), " dimensions");
    v[n++] = x;
  }
  int64_t& operator[](int i) { return v[i]; }
  int64_t operator[](int i) const { return v[i]; }
  const int64_t* begin() const { return v; }
  const int64_t* end() const { return v + n; }
  bool operator==(const Dims& o) const { return n == o.n && std::memcmp(v, o.v, sizeof(int64_t) * size_t(n)) == 0; }
};
// A shape in a message, "(2, 3)": written when the message is. As strings, built before each check, shapes took 0.4 us
// of the 1.3 of a small product.
struct ShapeText {
  const Dims& dims;
};
inline ShapeText text(const Dims& d) { return {d}; }
std::ostream& operator<<(std::ostream& s, const ShapeText& t);

struct Array {
  Ref<Storage> storage;
  int64_t offset = 0;  // elements from the storage's start to element (0, ..., 0)
  DType dtype = DType::f32;
  int32_t ndim = 0;
  int64_t shape[kMaxDims];
  int64_t stride[kMaxDims];

  Array() = default;
  Array(const Array& o) { *this = o; }
  Array(Array&& o) noexcept { *this = static_cast<Array&&>(o); }
  Array& operator=(const Array& o) {
    storage = o.storage;
    take_layout(o);
    return *this;
  }
  Array& operator=(Array&& o) noexcept {
    storage = static_cast<Ref<Storage>&&>(o.storage);
    take_layout(o);
    return *this;
  }

  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < ndim; i++) n *= shape[i];
    return n;
  }
  int itemsize() const { return kDTypeSize[int(dtype)]; }
  char* data() const { return static_cast<char*>(storage->data) + offset * itemsize(); }
  Dims dims() const { return Dims(shape, ndim); }
  Dims strides() const { return Dims(stride, ndim); }
  int32_t device() const { return storage->device; }
  View view() const;

 private:
  void take_layout(const Array& o) {
    offset = o.offset;
    dtype = o.dtype;
    ndim = o.ndim;
    std::memcpy(shape, o.shape, sizeof shape);  // all of it: a few moves instead of two calls
    std::memcpy(stride, o.stride, sizeof stride);
  }
};

using MaybeArray = std::optional<Array>;

// New arrays: C order; or with a given order of strides.
Array empty(const Dims& shape, DType dtype);
Array empty_like(const Array& x, DType dtype);  // dense, in x's order of strides; C order if x is expanded or flipped
inline Array empty_like(const Array& x) { return empty_like(x, x.dtype); }

bool is_contiguous(const Array& x);    // C order
bool is_dense(const Array& x);         // some order of the axes makes it contiguous
bool overlaps_itself(const Array& x);  // two indices may reach one element (expanded memory)
bool same_layout(const Array& a, const Array& b);
bool may_overlap(const Array& a, const Array& b);  // the byte ranges intersect

// The axis as 0 <= axis < ndim. Index error otherwise, in the words "NAME: dimension out of range ...".
int axis_of(int64_t axis, int ndim, const char* name);
int64_t checked_numel(const Dims& shape);  // RuntimeError on negative sizes and overflow

// Views that fail nowhere a check above them did not already.
Array as_strided(const Array& x, const Dims& shape, const Dims& stride, int64_t offset);
Array expand(const Array& x, const Dims& shape, const char* name);
Dims broadcast_shapes(const Dims& a, const Dims& b, const char* name);

}  // namespace mielina
