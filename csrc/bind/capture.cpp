// Recording a step and replaying it, and the profiler: both stand at the door of launch.
#include "bind/families.h"
#include "bind/fast.h"
#include "core/launch.h"

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
void run(Object capsule) { replay(of(capsule)); }
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
  def<&run>(m, "replay", "recording");
  def<&calls>(m, "recorded_calls", "recording");
  def<&profile_begin>(m, "profile_begin", "");
  def<&profiled>(m, "profile_end", "");
}

}  // namespace mielina::bind
