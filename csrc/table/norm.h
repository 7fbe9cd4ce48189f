// norm: batch, layer, group, instance, rms and local response normalisation.
#pragma once
#include "core/view.h"

namespace mielina {

struct NormTable {};

}  // namespace mielina
