#include "ops/scan.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {
namespace {

using MaybeDType = std::optional<DType>;
Array cumsum(const Array& x, int64_t axis, bool reverse, MaybeDType dtype) {
  return ops::scan("cumsum", Scan::sum, x, axis, reverse, dtype);
}
Array cumprod(const Array& x, int64_t axis, bool reverse, MaybeDType dtype, bool before) {
  return ops::scan("cumprod", Scan::prod, x, axis, reverse, dtype, before);
}
Array logcumsumexp(const Array& x, int64_t axis) {
  return ops::scan("logcumsumexp", Scan::logsumexp, x, axis, false, std::nullopt);
}
std::pair<Array, Array> cummax(const Array& x, int64_t axis) { return ops::scan_extreme("cummax", x, axis, true); }
std::pair<Array, Array> cummin(const Array& x, int64_t axis) { return ops::scan_extreme("cummin", x, axis, false); }

}  // namespace

void add_scan(PyObject* m) {
  def<&cumsum>(m, "cumsum", "x, axis, reverse, dtype");
  def<&cumprod>(m, "cumprod", "x, axis, reverse, dtype, before");
  def<&logcumsumexp>(m, "logcumsumexp", "x, axis");
  def<&cummax>(m, "cummax", "x, axis");
  def<&cummin>(m, "cummin", "x, axis");
  def<&ops::recurrence>(m, "recurrence", "a, b, axis, reverse, late");
}

}  // namespace mielina::bind
