// loss: losses between predictions and targets.
#pragma once
#include "core/view.h"

namespace mielina {

struct LossTable {};

}  // namespace mielina
