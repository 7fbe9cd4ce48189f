#include "ops/image.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_image(PyObject*) {}

}  // namespace mielina::bind
