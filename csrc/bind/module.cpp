// The module _core: families register themselves, one short file each.
#include <pybind11/pybind11.h>
#include <unistd.h>

#include "bind/families.h"
#include "bind/fast.h"
#include "bind/operators.h"
#include "core/launch.h"
#include "core/pool.h"

namespace mielina::bind {

static PyObject* g_no_kernel = nullptr;  // _core.NoKernel, a NotImplementedError

bool no_kernel_raised() { return PyErr_ExceptionMatches(g_no_kernel); }

void set_python_error() {
  try {
    throw;
  } catch (const Error& e) {
    static PyObject* const* types[] = {&PyExc_ValueError,    &PyExc_TypeError,   &PyExc_IndexError,
                                       &PyExc_RuntimeError,  &PyExc_MemoryError, &PyExc_NotImplementedError,
                                       &PyExc_OverflowError, &PyExc_BufferError, &g_no_kernel};
    if (!PyErr_Occurred()) PyErr_SetString(*types[int(e.kind)], e.what());
  } catch (pybind11::error_already_set& e) { e.restore(); } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "out of memory");
  } catch (const std::exception& e) { PyErr_SetString(PyExc_RuntimeError, e.what()); } catch (...) {
    PyErr_SetString(PyExc_SystemError, "unknown C++ exception");
  }
}

void wrong_count(const char* function, size_t expected, Py_ssize_t got) {
  fail(Kind::Type, function, ": expected ", expected, " arguments, got ", got);
}

void blame(const char* function, size_t argument) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_Format(type, "%s: argument %zu: %S", function, argument, value ? value : Py_None);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
}

void add_function(PyObject* module, const char* name, PyCFunction f, const std::string& doc, PyObject* self) {
  // Definitions live as long as the process, as CPython asks.
  auto* method = new PyMethodDef{name, f, METH_FASTCALL, (new std::string(doc))->c_str()};
  PyObject* function = PyCFunction_NewEx(method, self, nullptr);
  PyModule_AddObjectRef(module, name, function);
  Py_XDECREF(function);
}

std::string signature(const char* name, const char* names, std::initializer_list<Parameter> parameters,
                      const char* result) {
  std::string doc = std::string("def ") + name + "(";
  const char* p = names;
  for (const Parameter& one : parameters) {
    while (*p == ' ' || *p == ',') p++;
    while (*p && *p != ',' && *p != ' ') doc += *p++;
    doc += std::string(": ") + one.type + (one.optional ? " | None" : "") + ", ";
  }
  return doc + (parameters.size() ? "/" : "") + ") -> " + result + ": ...";
}

namespace {

// Another Python thread may run during a kernel of more than about 20 us.
void* unlock() { return Py_IsInitialized() && PyGILState_Check() ? PyEval_SaveThread() : nullptr; }
void lock(void* state) {
  if (!state) return;
  try {
    PyEval_RestoreThread(static_cast<PyThreadState*>(state));
  } catch (...) {
    // The interpreter has gone: CPython ends this daemon thread by unwinding it, and no frame of ours may run on the
    // way, with objects to release and no lock. The thread sleeps until the process ends, as CPython 3.14 lets it.
    while (true) pause();
  }
}

std::vector<std::tuple<std::string, bool, bool>> isas() {
  std::vector<std::tuple<std::string, bool, bool>> r;
  for (auto& l : isa_levels()) r.emplace_back(l.name, l.supported, l.selected);
  return r;
}
std::string isa() {
  for (auto& l : isa_levels())
    if (l.selected) return l.name;
  return "";
}
void choose_isa(const std::string& name) { set_isa(name); }
void choose_threads(int n, const std::string& source) {
  check(n >= 1 && n <= 1024, Kind::Value, "set_num_threads: expected a number from 1 to 1024, got ", n);
  set_num_threads(n, (new std::string(source))->c_str());
}
std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t> stats() {
  MemoryStats s = memory_stats();
  return {int64_t(s.in_use), int64_t(s.peak), int64_t(s.cached), int64_t(s.cap), int64_t(s.hits), int64_t(s.misses)};
}
void forget_peak() { reset_peak(); }
void drop_cache() { empty_cache(); }

}  // namespace
}  // namespace mielina::bind

PYBIND11_MODULE(_core, module) {
  using namespace mielina;
  using namespace mielina::bind;
  PyObject* m = module.ptr();
  door::g_unlock = unlock;
  door::g_lock = lock;
  install_fork_handlers();
  g_no_kernel = PyErr_NewException("mielina._core.NoKernel", PyExc_NotImplementedError, nullptr);
  PyModule_AddObjectRef(m, "NoKernel", g_no_kernel);
  add_tensor_type(m);
  add_tape(m);
  add_operators(m);
  def<&isas>(m, "isas", "");
  def<&isa>(m, "isa", "");
  def<&choose_isa>(m, "set_isa", "name");
  def<&num_threads>(m, "num_threads", "");
  def<&num_threads_source>(m, "num_threads_source", "");
  def<&choose_threads>(m, "set_num_threads", "n, source");
  def<&pool_probe>(m, "pool_probe", "threads");
  def<&stats>(m, "memory_stats", "");
  def<&forget_peak>(m, "reset_peak", "");
  def<&drop_cache>(m, "empty_cache", "");
  def<&default_float>(m, "default_dtype", "");
  def<&set_default_float>(m, "set_default_dtype", "dtype");
  add_attention(m);
  add_capture(m);
  add_conv(m);
  add_cuda(m);
  add_dlpack(m);
  add_elementwise(m);
  add_engine(m);
  add_gemm(m);
  add_image(m);
  add_index(m);
  add_interop(m);
  add_layout(m);
  add_limits(m);
  add_loss(m);
  add_norm(m);
  add_optim(m);
  add_pool(m);
  add_random(m);
  add_reduce(m);
  add_rnn(m);
  add_scan(m);
  add_softmax(m);
  add_sort(m);
  if (PyErr_Occurred()) throw pybind11::error_already_set();
}
