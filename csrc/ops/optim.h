// optim ops: one call a parameter group.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

using Arrays = std::vector<Array>;

// rule: its number in OptimRule; what a, b, c and clock hold for it stands in table/optim.h.
void optim_step(int64_t rule, const Arrays& p, const Arrays& a, const Arrays& b, const Arrays& c, const Arrays& clock,
                const Arrays& g, const Array& hyper, bool decoupled, bool maximize, bool nesterov);

Array global_norm(const Arrays& g, double order);
void clip_by_norm(const Arrays& g, const Array& norm, double max_norm);

}  // namespace mielina::ops
