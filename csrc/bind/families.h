// Each family's registration; defined in bind/<family>.cpp.
#pragma once
#include <Python.h>

namespace mielina::bind {

void add_attention(PyObject* m);
void add_capture(PyObject* m);
void add_conv(PyObject* m);
void add_cuda(PyObject* m);
void add_dlpack(PyObject* m);
void add_elementwise(PyObject* m);
void add_engine(PyObject* m);
void add_gemm(PyObject* m);
void add_image(PyObject* m);
void add_index(PyObject* m);
void add_interop(PyObject* m);
void add_layout(PyObject* m);
void add_limits(PyObject* m);
void add_loss(PyObject* m);
void add_norm(PyObject* m);
void add_optim(PyObject* m);
void add_pool(PyObject* m);
void add_random(PyObject* m);
void add_reduce(PyObject* m);
void add_rnn(PyObject* m);
void add_scan(PyObject* m);
void add_softmax(PyObject* m);
void add_sort(PyObject* m);

}  // namespace mielina::bind
