// What a kernel sees: plain aggregates without member functions, and nothing of the host's classes.
#pragma once
#include <stdint.h>

#include "core/dtype.h"

namespace mielina {

enum { kMaxDims = 8 };

// A strided array: `data` points at element (0, ..., 0); strides count elements and may be 0 (expanded) or negative.
// number: data points at one number in the host's memory, whatever the device; all strides are 0.
struct View {
  void* data;
  DType dtype;
  bool number;
  int32_t ndim;
  int64_t shape[kMaxDims];
  int64_t stride[kMaxDims];
};

// A list of arrays for kernels that work on many at once (optimisers, cat).
struct Views {
  const View* items;
  int64_t count;
};

// A number from Python: `i` is exact when `integer` is set, `d` holds the same number rounded to double.
struct Number {
  double d;
  int64_t i;
  bool integer;
};

// The place a kernel runs in. `threads` is how many may work at once; run(pool, n, body, arg) calls body(arg, i,
// worker) for every i in [0, n), 0 <= worker < threads, and returns when all are done. `workspace` is 64-byte aligned
// scratch of the size that the kernel's *_workspace query asked for; its contents are undefined on entry.
struct Ctx {
  void* pool;
  void (*run)(void* pool, int64_t n, void (*body)(void* arg, int64_t i, int worker), void* arg, bool brief);
  int32_t threads;
  int32_t device;  // 0: CPU, 1 + k: CUDA card k
  void* stream;
  void* workspace;
  int64_t workspace_bytes;
};

}  // namespace mielina
