// sort ops.
#pragma once
#include "core/launch.h"

namespace mielina::ops {}  // namespace mielina::ops
