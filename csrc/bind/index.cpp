#include "ops/index.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_index(PyObject* m) {
  def<&ops::gather>(m, "gather", "x, axis, index");
  def<&ops::scatter>(m, "scatter_", "x, axis, index, src, op, fresh");
  def<&ops::index_select>(m, "index_select", "x, axis, index");
  def<&ops::embedding>(m, "embedding", "weight, index");
  def<&ops::index_into>(m, "index_into", "x, axis, index, src, op");
  def<&ops::index>(m, "index", "x, indices, axes");
  def<&ops::index_put>(m, "index_put_", "x, indices, axes, values, accumulate");
  def<&ops::take>(m, "take", "x, index");
  def<&ops::nonzero>(m, "nonzero", "x, flat");
  def<&ops::masked_fill>(m, "masked_fill", "x, mask, value");
  def<&ops::masked_fill_into>(m, "masked_fill_", "x, mask, value");
  def<&ops::repeat_index>(m, "repeat_index", "counts");
}

}  // namespace mielina::bind
