#include "ops/reduce.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {
namespace {

// The ops' names are template arguments, so that a call carries no more than its operands.
template <size_t N>
struct Name {
  char text[N];
  constexpr Name(const char (&s)[N]) {
    for (size_t i = 0; i < N; i++) text[i] = s[i];
  }
};
using Axis = std::optional<int64_t>;
using Pair = std::pair<Array, Array>;

template <Reduce op, Name name>
Array accumulate(const Array& x, const Dims& axes, bool keepdim, std::optional<DType> dtype) {
  return ops::accumulate(name.text, op, x, axes, keepdim, dtype);
}
template <Reduce op, Name name>
Array logic(const Array& x, const Dims& axes, bool keepdim) {
  return ops::logic(name.text, op, x, axes, keepdim);
}
template <Reduce op, Name name>
Array extreme(const Array& x, const Dims& axes, bool keepdim) {
  return ops::extreme(name.text, op, x, axes, keepdim);
}
template <Reduce op, Name name>
Pair extreme_at(const Array& x, int64_t axis, bool keepdim) {
  return ops::extreme_at(name.text, op, x, axis, keepdim);
}
template <Reduce op, Name name>
Array arg(const Array& x, Axis axis, bool keepdim) {
  return ops::arg(name.text, op, x, axis, keepdim);
}
template <Reduce op, Name name>
Array moment(const Array& x, const Dims& axes, double correction, bool keepdim) {
  return ops::moment(name.text, op, x, axes, correction, keepdim);
}
template <Reduce op, Name name>
Pair moments(const Array& x, const Dims& axes, double correction, bool keepdim) {
  return ops::moments(name.text, op, x, axes, correction, keepdim);
}

}  // namespace

void add_reduce(PyObject* m) {
  def<&accumulate<Reduce::sum, "sum">>(m, "sum", "x, axes, keepdim, dtype");
  def<&accumulate<Reduce::prod, "prod">>(m, "prod", "x, axes, keepdim, dtype");
  def<&accumulate<Reduce::mean, "mean">>(m, "mean", "x, axes, keepdim, dtype");
  def<&accumulate<Reduce::nansum, "nansum">>(m, "nansum", "x, axes, keepdim, dtype");
  def<&ops::sum_to>(m, "sum_to", "x, shape");
  def<&logic<Reduce::any, "any">>(m, "any", "x, axes, keepdim");
  def<&logic<Reduce::all, "all">>(m, "all", "x, axes, keepdim");
  def<&logic<Reduce::nonzero, "count_nonzero">>(m, "count_nonzero", "x, axes, keepdim");
  def<&logic<Reduce::valid, "count_valid">>(m, "count_valid", "x, axes, keepdim");
  def<&extreme<Reduce::max, "amax">>(m, "amax", "x, axes, keepdim");
  def<&extreme<Reduce::min, "amin">>(m, "amin", "x, axes, keepdim");
  def<&extreme_at<Reduce::max_index, "max">>(m, "max", "x, axis, keepdim");
  def<&extreme_at<Reduce::min_index, "min">>(m, "min", "x, axis, keepdim");
  def<&ops::aminmax>(m, "aminmax", "x, axes, keepdim");
  def<&arg<Reduce::argmax, "argmax">>(m, "argmax", "x, axis, keepdim");
  def<&arg<Reduce::argmin, "argmin">>(m, "argmin", "x, axis, keepdim");
  def<&moment<Reduce::var, "var">>(m, "var", "x, axes, correction, keepdim");
  def<&moment<Reduce::std, "std">>(m, "std", "x, axes, correction, keepdim");
  def<&moments<Reduce::var_mean, "var_mean">>(m, "var_mean", "x, axes, correction, keepdim");
  def<&moments<Reduce::std_mean, "std_mean">>(m, "std_mean", "x, axes, correction, keepdim");
  def<&ops::norm>(m, "norm", "x, p, axes, keepdim, dtype");
  def<&ops::logsumexp>(m, "logsumexp", "x, axes, keepdim");
}

}  // namespace mielina::bind
