#include "ops/attention.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_attention(PyObject* m) {
  def<&ops::attention>(m, "attention", "q, k, v, mask, key, scale, causal, dropout, grouped");
  def<&ops::attention_backward>(m, "attention_backward",
                                "g, q, k, v, mask, key, y, lse, scale, causal, dropout, grouped");
}

}  // namespace mielina::bind
