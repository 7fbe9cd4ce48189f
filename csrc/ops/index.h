// index ops: windows and checked indices; the moving is in the kernels.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// y[i][j] = x[index[i][j]][j] for axis 0.
Array gather(const Array& x, int64_t axis, const Array& index);
// x[index[i][j]][j] op= src[i][j], in x's memory. src: at least as large as index; a 0-dim one counts everywhere.
void scatter(const Array& x, int64_t axis, const Array& index, const Array& src, const std::string& op, bool fresh);
Array index_select(const Array& x, int64_t axis, const Array& index);
Array embedding(const Array& weight, const Array& index);  // index_select of rows; IndexError outside the table
// x[.., index[i], ..] op= src[.., i, ..], in x's memory.
void index_into(const Array& x, int64_t axis, const Array& index, const Array& src, const std::string& op);
// Advanced indexing: integer tensors (broadcast together) along some axes. The axes that the indices make stand where
// the indexed axes stood if those are neighbours, else first.
Array index(const Array& x, const std::vector<Array>& indices, const Dims& axes);
void index_put(const Array& x, const std::vector<Array>& indices, const Dims& axes, const Array& values,
               bool accumulate);
Array take(const Array& x, const Array& index);  // of the flat x

Array nonzero(const Array& x, bool flat);  // places in C order, (n) flat or (n, ndim)
Array masked_fill(const Array& x, const Array& mask, const Operand& value);
void masked_fill_into(const Array& x, const Array& mask, const Operand& value);
Array repeat_index(const Array& counts);  // 0 counts[0] times, 1 counts[1] times, ...

}  // namespace mielina::ops
