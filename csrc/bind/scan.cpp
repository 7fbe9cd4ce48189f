#include "ops/scan.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_scan(PyObject*) {}

}  // namespace mielina::bind
