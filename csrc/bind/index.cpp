#include "ops/index.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_index(PyObject*) {}

}  // namespace mielina::bind
