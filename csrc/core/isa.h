// The kernel tables, and the choice of the instruction set that fills the CPU's.
#pragma once
#include <string>
#include <vector>

#include "core/kernels.h"

namespace mielina {

struct IsaLevel {
  const char* name;  // "avx512", as in MIELINA_ISA
  bool supported;    // by this CPU and this operating system
  bool selected;
};
std::vector<IsaLevel> isa_levels();     // from the baseline up, those this library was built with
void set_isa(const std::string& name);  // Value error naming what is available

const Kernels& kernels(int32_t device);

// One row an entry of the table. `filled`: a letter a level of isa_levels(), then one for CUDA: 'x' the level has a
// kernel of its own, '.' it takes the one of the level below (CUDA: it has none), '?' not known here.
struct KernelEntry {
  const char* family;
  const char* name;
  std::string filled;
};
std::vector<KernelEntry> kernel_entries(const Kernels* cuda);
void register_cuda(const Kernels* table);  // from libmielina_cuda

}  // namespace mielina
