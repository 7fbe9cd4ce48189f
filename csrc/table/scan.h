// scan: running sums, products and extrema.
#pragma once
#include "core/view.h"

namespace mielina {

struct ScanTable {};

}  // namespace mielina
