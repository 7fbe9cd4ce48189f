// What libmielina_cuda shows: one function, mielina_cuda_library(), that returns this struct. Read by the host's
// loader.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "core/kernels.h"

namespace mielina::cuda {

enum { kAbi = 1 };

// Cards are counted from 0. Functions return 0, or a nonzero code that error() puts into words.
struct Device {
  int (*count)(int32_t* cards) noexcept;
  int (*allocate)(int32_t card, size_t bytes, void** data) noexcept;
  int (*free)(int32_t card, void* data) noexcept;
  // Between host and card, or within a card, by address; returns when the host's memory may be used again.
  int (*copy)(int32_t card, void* to, const void* from, size_t bytes) noexcept;
  int (*synchronize)(int32_t card) noexcept;
  const char* (*error)(int code) noexcept;
};

struct Library {
  int32_t abi;
  int64_t kernels_size;
  const Kernels* kernels;
  const Device* device;
};

// Kernels return nothing: the first failure of a launch, or an operation that has no code yet, is kept here and comes
// out of the next Device::copy or synchronize.
enum { kUnsupported = -1 };
void note(int code) noexcept;

void fill_conv(Kernels&);
void fill_elementwise(Kernels&);
void fill_gemm(Kernels&);
void fill_optim(Kernels&);
void fill_random(Kernels&);
void fill_reduce(Kernels&);
void fill_softmax(Kernels&);

}  // namespace mielina::cuda
