#include "ops/sort.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_sort(PyObject*) {}

}  // namespace mielina::bind
