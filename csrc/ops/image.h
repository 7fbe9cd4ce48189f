// image ops.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// (C, spatial...) or (N, C, spatial...) with `dims` spatial axes as an (N, C, D, H, W) view, and back. Runtime error
// for other ranks and for sizes of 0 beside N.
Array as_volume(const Array& x, int64_t dims, const char* name);
Array from_volume(const Array& y, int64_t dims, bool batched);
// A new array for a result of x: channels-last where x is.
Array empty_image(const Dims& shape, DType dtype, const Array& like);
// One number for each of `dims` axes from one for all, or from as many.
Dims spread(const Dims& d, int64_t dims, const char* name, const char* what);
// The sizes of an (N, C, D, H, W) view of an input of `shape`.
Dims volume_shape(const Dims& shape, int64_t dims, const char* name);
// A map that leaves all three axes as they are.
ImageMap unit_map();
// The map on x's volume, or transposed on g's; x has `dims` spatial axes.
Array resample(const char* name, const Array& x, int64_t dims, const ImageMap& map);

// Resizing to `size`. mode: an AxisKind's name. scales: one an axis, outputs an input, 0 where the sizes decide.
Array resize(const Array& x, int64_t dims, const Dims& size, const std::vector<double>& scales, const std::string& mode,
             bool align_corners, bool antialias);
Array resize_backward(const Array& g, const Dims& shape, int64_t dims, const std::vector<double>& scales,
                      const std::string& mode, bool align_corners, bool antialias);
// pads: (before, after) of the last axis, then of the one before it ...
Array pad_constant(const Array& x, const std::vector<int64_t>& pads, Number value);
Array pad_image(const Array& x, const std::vector<int64_t>& pads, const std::string& mode);
Array pad_image_backward(const Array& g, const std::vector<int64_t>& pads, const std::string& mode);
Array grid_sample(const Array& x, const Array& grid, const std::string& mode, const std::string& border,
                  bool align_corners);
// The gradients of x and of grid.
Array grid_sample_backward(const Array& g, const Array& x, const Array& grid, const std::string& mode,
                           const std::string& border, bool align_corners);
Array grid_sample_backward_grid(const Array& g, const Array& x, const Array& grid, const std::string& mode,
                                const std::string& border, bool align_corners);
// Each image of x (N, C, H, W; f32 or u8) through its matrix (N, 2, 3), which leads from an output pixel (column, row,
// 1) to one of the input; size: rows and columns of the result.
Array warp(const Array& x, const Array& matrices, const Dims& size, const std::string& mode, const std::string& border);

}  // namespace mielina::ops
