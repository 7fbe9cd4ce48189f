// index: reading and writing by index: gather, scatter, embedding, advanced indexing.
#pragma once
#include "core/view.h"

namespace mielina {

struct IndexTable {};

}  // namespace mielina
