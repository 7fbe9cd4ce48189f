// image: resampling and borders: interpolate, grid_sample, pad, pixel_shuffle.
#pragma once
#include "core/view.h"

namespace mielina {

struct ImageTable {};

}  // namespace mielina
