// The CUDA library, loaded on demand: nothing here touches the driver before somebody asks for a card.
#pragma once
#include <cstdint>
#include <string>

#include "cuda/export.h"

namespace mielina {

struct Kernels;

// Where to look: the path of libmielina_cuda, beside the Python package. Set once, at import; loads nothing.
void set_cuda_library(const std::string& path);

// Loads the library on the first call. Empty if there is a card to work on, else why not.
std::string cuda_missing();
const Kernels* cuda_kernels();  // the library's table, card or not; nullptr if there is no library
int32_t cuda_count();           // cards; 0 where cuda_missing() says why

// The device table; Runtime error with the reason where there is none, or no such card.
const cuda::Device& cuda_device(int32_t card);
void cuda_check(int code);  // Runtime error in CUDA's words, unless 0

// The stream that this thread's launches on a card take: the library's own, unless another was chosen.
void* cuda_stream(int32_t card);
void* set_cuda_stream(int32_t card, void* stream);  // nullptr: the library's own. Returns what was there, or nullptr

// Sends this thread's calls to a card and returns its stream.
void* cuda_use(int32_t card);
// What the last launches left behind: Runtime error, or NotImplemented for an operation without code. Not a wait.
void cuda_settle(const char* name);

}  // namespace mielina
