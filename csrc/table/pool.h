// pool: max, average and adaptive pooling, unfold and fold.
#pragma once
#include "core/view.h"

namespace mielina {

struct PoolTable {};

}  // namespace mielina
