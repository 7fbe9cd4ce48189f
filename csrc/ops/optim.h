// optim ops: one call a parameter group.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

void adam(const std::vector<Array>& p, const std::vector<Array>& m, const std::vector<Array>& v, const std::vector<Array>& vmax,
          const std::vector<Array>& g, const Array& hyper, bool decoupled, bool amsgrad, bool maximize);

}  // namespace mielina::ops
