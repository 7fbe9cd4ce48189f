// Where arrays live: 0 is the CPU, 1 + k CUDA card k.
#pragma once
#include <cstring>

#include "core/array.h"

namespace mielina {

// Whether a card is in use. Until then all arrays are on the CPU, and nothing about devices is looked at.
extern bool g_cards;

// Where this thread's new arrays are made: where the inputs of the op that runs are, else the thread's default.
int32_t current_device();

// While it lives, new arrays are made there.
class On {
 public:
  explicit On(int32_t device);
  ~On();
  On(const On&) = delete;
  On& operator=(const On&) = delete;

 private:
  int32_t before_;
};
int32_t set_current_device(int32_t device);  // the thread's default; returns the one before

std::string device_name(int32_t device);  // "cpu", "cuda:0"
void check_device(int32_t device);        // Runtime error with the reason if there is no such device
[[noreturn]] void wrong_devices(const char* name, int32_t a, int32_t b);

// The one way bytes take between devices. Waits until both sides may be used again.
void copy_bytes(int32_t to_device, void* to, int32_t from_device, const void* from, size_t bytes);

// Element i of a vector (or the number), wherever it is. Waits for what computes it.
template <class T>
T read(const Array& x, int64_t i = 0) {
  T value;
  const char* p = x.data() + (x.ndim ? i * x.stride[0] : 0) * int64_t(sizeof(T));
  if (x.device() == 0) std::memcpy(&value, p, sizeof(T));
  else copy_bytes(0, &value, x.device(), p, sizeof(T));
  return value;
}
Number read_number(const Array& x);  // of any dtype; x has one element

// A copy on another device (x itself if it is there) with x's values and stride order.
Array to_device(const Array& x, int32_t device);
// x as the host may read it, element after element in C order.
Array on_host(const Array& x);
// to = from across devices; one shape and dtype.
void transfer(const Array& to, const Array& from);

}  // namespace mielina
