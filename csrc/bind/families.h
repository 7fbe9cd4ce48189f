// Each family's registration; defined in bind/<family>.cpp.
#pragma once
#include <Python.h>

namespace mielina::bind {

void add_capture(PyObject* m);
void add_conv(PyObject* m);
void add_elementwise(PyObject* m);
void add_gemm(PyObject* m);
void add_interop(PyObject* m);
void add_layout(PyObject* m);
void add_optim(PyObject* m);
void add_random(PyObject* m);
void add_reduce(PyObject* m);
void add_softmax(PyObject* m);

}  // namespace mielina::bind
