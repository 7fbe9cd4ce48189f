#include "ops/attention.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_attention(PyObject*) {}

}  // namespace mielina::bind
