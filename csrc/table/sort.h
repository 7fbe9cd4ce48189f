// sort: sort, topk, search, unique, histograms.
#pragma once
#include "core/view.h"

namespace mielina {

struct SortTable {};

}  // namespace mielina
