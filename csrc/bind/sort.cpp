#include "ops/sort.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_sort(PyObject* m) {
  def<&ops::sort>(m, "sort", "x, axis, descending");
  def<&ops::topk>(m, "topk", "x, k, axis, largest, sorted");
  def<&ops::kthvalue>(m, "kthvalue", "x, k, axis, keepdim");
  def<&ops::median>(m, "median", "x, axis, keepdim, skip_nan");
  def<&ops::mode>(m, "mode", "x, axis, keepdim");
  def<&ops::searchsorted>(m, "searchsorted", "s, v, right, sorter");
  def<&ops::isin>(m, "isin", "elements, test");
  def<&ops::unique>(m, "unique", "x, axis, consecutive, details");
  def<&ops::bincount>(m, "bincount", "x, weights, minlength");
  def<&ops::histc>(m, "histc", "x, bins, lo, hi");
}

}  // namespace mielina::bind
