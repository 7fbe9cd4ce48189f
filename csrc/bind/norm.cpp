#include "ops/norm.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_norm(PyObject*) {}

}  // namespace mielina::bind
