// attention: scaled dot-product attention.
#pragma once
#include "core/view.h"

namespace mielina {

struct AttentionTable {};

}  // namespace mielina
