// What libmielina_cuda shows: one function, mielina_cuda_library(), that returns this struct. Read by the host's
// loader.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "core/kernels.h"

namespace mielina::cuda {

enum { kAbi = 5 };

struct Card {
  char name[256];
  int32_t major, minor;  // compute capability
  int32_t multiprocessors;
  uint64_t memory;  // bytes
};

// Cards are counted from 0; streams, events and graphs are the CUDA runtime's own, so that other libraries' streams
// may be given. Functions return 0, or a nonzero code that error() puts into words.
struct Device {
  int (*count)(int32_t* cards) noexcept;
  int (*describe)(int32_t card, Card* what) noexcept;
  int (*use)(int32_t card) noexcept;  // from here on, this thread's launches go there
  int (*memory)(int32_t card, uint64_t* free, uint64_t* total) noexcept;
  int (*allocate)(int32_t card, size_t bytes, void** data) noexcept;
  int (*free)(int32_t card, void* data) noexcept;
  // By address, in either direction or within or between cards, in the stream's order. Host memory may be used again
  // when it returns; between cards it does not wait.
  int (*copy)(void* stream, void* to, const void* from, size_t bytes) noexcept;
  int (*set)(void* stream, void* to, int byte, size_t bytes) noexcept;
  int (*synchronize)(int32_t card) noexcept;

  int (*stream_create)(
      void** stream) noexcept;  // on the card in use; waits for the legacy default stream and it for it
  int (*stream_destroy)(void* stream) noexcept;
  int (*stream_synchronize)(void* stream) noexcept;
  int (*stream_query)(void* stream, bool* done) noexcept;
  int (*stream_wait)(void* stream, void* event) noexcept;
  int (*event_create)(bool timing, void** event) noexcept;  // on the card in use
  int (*event_destroy)(void* event) noexcept;
  int (*event_record)(void* event, void* stream) noexcept;
  int (*event_synchronize)(void* event) noexcept;
  int (*event_query)(void* event, bool* done) noexcept;
  int (*event_elapsed)(void* start, void* end, float* milliseconds) noexcept;
  // Launches between begin and end are kept instead of run.
  int (*graph_begin)(void* stream) noexcept;
  int (*graph_end)(void* stream, void** graph) noexcept;
  int (*graph_launch)(void* graph, void* stream) noexcept;
  int (*graph_destroy)(void* graph) noexcept;

  int (*take_error)() noexcept;  // the first thing that went wrong in this process's launches since the last call
  const char* (*error)(int code) noexcept;
};

struct Library {
  int32_t abi;
  int64_t kernels_size, device_size;
  const Kernels* kernels;
  const Device* device;
};

// Kernels return nothing: the first failure of a launch, or an operation that has no code yet, is kept here until
// Device::take_error asks.
enum { kUnsupported = -1 };
void note(int code) noexcept;

void fill_binary(Kernels&);
void fill_conv(Kernels&);
void fill_copy(Kernels&);
void fill_gemm(Kernels&);
void fill_index(Kernels&);
void fill_layout(Kernels&);
void fill_logic(Kernels&);
void fill_norm(Kernels&);
void fill_optim(Kernels&);
void fill_pool(Kernels&);
void fill_random(Kernels&);
void fill_reduce(Kernels&);
void fill_softmax(Kernels&);
void fill_unary(Kernels&);

}  // namespace mielina::cuda
