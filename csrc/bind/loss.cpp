#include "ops/loss.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_loss(PyObject*) {}

}  // namespace mielina::bind
