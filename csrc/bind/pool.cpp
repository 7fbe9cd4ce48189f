#include "ops/pool.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_pool(PyObject*) {}

}  // namespace mielina::bind
