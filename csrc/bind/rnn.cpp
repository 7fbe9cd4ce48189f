#include "ops/rnn.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_rnn(PyObject*) {}

}  // namespace mielina::bind
