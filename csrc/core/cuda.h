// The CUDA library, loaded on demand: nothing here touches the driver before somebody asks for a card.
#pragma once
#include <cstdint>
#include <string>

namespace mielina {

struct Kernels;

// Where to look: the path of libmielina_cuda, beside the Python package. Set once, at import; loads nothing.
void set_cuda_library(const std::string& path);

// Loads the library on the first call. Empty if there is a card to work on, else why not.
std::string cuda_missing();
const Kernels* cuda_kernels();        // the library's table, card or not; nullptr if there is no library
int32_t cuda_count();                 // cards; 0 where cuda_missing() says why
void cuda_synchronize(int32_t card);  // Runtime error: no such card, or what a kernel left behind

}  // namespace mielina
