// reduce: from many elements to one, along axes.
#pragma once
#include "core/view.h"

namespace mielina {

enum class Reduce : int32_t {
  // one result: reduce()
  sum,
  mean,
  nansum,
  prod,
  max,
  min,
  nonzero,
  valid,
  any,
  all,  // valid counts what is not NaN
  norm1,
  norm2,
  norm_p,
  norm_inf,
  norm_minus_inf,  // (sum |x|^p)^(1/p) and its limits
  logsumexp,
  var,
  std,
  argmax,
  argmin,
  // two results: reduce_pair()
  var_mean,
  std_mean,
  max_index,
  min_index,
  minmax,
  count
};

struct ReduceTable {
  // x: (outer..., reduced...), y: (outer...); `reduced` trailing dims of x are folded. Any strides. Halves and f32
  // compute in f32, f64 in f64, integers and bool in i64; the result is converted to y's dtype. Sums of f32 run over
  // blocks in f32 and over blocks in f64, so the error is that of a few additions, whatever the length. Moments are
  // shifted by each block's mean (Chan, Golub, LeVeque 1983): one pass over memory, no cancellation. param: the order
  // of norm_p, the correction of var and std. max and min: NaN wins. arg and index: the first of equals; the position
  // in C order of the reduced dims. An empty reduction gives the op's identity; there is none for max, min and arg.
  void (*reduce)(const Ctx&, const View& y, const View& x, Reduce op, int32_t reduced, double param) noexcept;
  // y, z: var and mean, std and mean, max and its index, min and its index, min and max.
  void (*reduce_pair)(const Ctx&, const View& y, const View& z, const View& x, Reduce op, int32_t reduced,
                      double param) noexcept;
  int64_t (*reduce_workspace)(const Ctx&, const View& x, int32_t reduced) noexcept;
};

}  // namespace mielina
