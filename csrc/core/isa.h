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
void register_cuda(const Kernels* table);  // from libmielina_cuda

}  // namespace mielina
