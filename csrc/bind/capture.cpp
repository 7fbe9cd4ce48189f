// Recording a step and replaying it, and the profiler: both stand at the door of launch.
#include "bind/families.h"
#include "bind/fast.h"
#include "core/launch.h"
#include "ops/elementwise.h"

namespace mielina::bind {
namespace {

constexpr const char* kCapsule = "mielina.Recording";

PyObject* begin() {
  Ref<Recording> r = record_begin();
  PyObject* capsule = PyCapsule_New(new Ref<Recording>(r), kCapsule, [](PyObject* c) {
    delete static_cast<Ref<Recording>*>(PyCapsule_GetPointer(c, kCapsule));
  });
  if (!capsule) record_end();
  return capsule;
}
Recording& of(Object capsule) {
  void* p = PyCapsule_IsValid(capsule.p, kCapsule) ? PyCapsule_GetPointer(capsule.p, kCapsule) : nullptr;
  check(p, Kind::Type, "expected a recording");
  return *static_cast<Ref<Recording>*>(p)->get();
}

bool fits(PyObject* recorded, PyObject* given) {
  if (!is_tensor(recorded)) return true;
  if (!is_tensor(given)) return false;
  const Array &a = as_tensor(recorded)->array, &b = as_tensor(given)->array;
  return a.dtype == b.dtype && a.dims() == b.dims();
}
// Copies the tensors among the inputs into the recorded ones and runs the calls: -1. Or, before anything is copied, the
// place of an input that is not like the recorded one. From Python this took as long as a small network's kernels.
int64_t run(Object capsule, Object recorded, Object inputs) {
  Recording& r = of(capsule);
  check(PyTuple_Check(recorded.p) && PyTuple_Check(inputs.p) &&
            PyTuple_GET_SIZE(recorded.p) == PyTuple_GET_SIZE(inputs.p),
        Kind::Type, "expected two tuples of one length");
  const Py_ssize_t n = PyTuple_GET_SIZE(inputs.p);
  for (Py_ssize_t i = 0; i < n; i++)
    if (!fits(PyTuple_GET_ITEM(recorded.p, i), PyTuple_GET_ITEM(inputs.p, i))) return i;
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject* to = PyTuple_GET_ITEM(recorded.p, i);
    if (is_tensor(to)) ops::copy_into(as_tensor(to)->array, as_tensor(PyTuple_GET_ITEM(inputs.p, i))->array);
  }
  replay(r);
  return -1;
}
std::vector<std::string> calls(Object capsule) {
  std::vector<std::string> names;
  for (auto& c : of(capsule).calls) names.push_back(c.name);
  return names;
}
std::vector<std::tuple<std::string, int64_t, double, double, double>> profiled() {
  std::vector<std::tuple<std::string, int64_t, double, double, double>> rows;
  for (auto& r : profile_end()) rows.emplace_back(r.name, r.calls, r.seconds, r.bytes, r.flops);
  return rows;
}

}  // namespace

void add_capture(PyObject* m) {
  def<&begin>(m, "record_begin", "");
  def<&record_end>(m, "record_end", "");
  def<&recording>(m, "recording", "");
  def<&record_suspend>(m, "record_suspend", "");
  def<&record_resume>(m, "record_resume", "");
  def<&run>(m, "replay", "recording, recorded, inputs");
  def<&calls>(m, "recorded_calls", "recording");
  def<&profile_begin>(m, "profile_begin", "");
  def<&profiled>(m, "profile_end", "");
}

}  // namespace mielina::bind
