// Tensor's operators: `x + y`, `-x`, `x < y`, ... as slots of its type.
#pragma once
#include <vector>

#include "bind/tensor.h"

namespace mielina::bind {

std::vector<PyType_Slot> operator_slots();  // for the spec of the type; each calls what set_operator named
void add_operators(PyObject* module);

}  // namespace mielina::bind
