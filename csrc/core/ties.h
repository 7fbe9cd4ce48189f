// Kernels that give equals PyTorch's order; see core/ties.cpp.
#pragma once
#include "core/kernels.h"

namespace mielina {

void fill_ties(Kernels&);

}  // namespace mielina
