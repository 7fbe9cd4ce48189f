#include "core/launch.h"

#include <algorithm>
#include <cstring>

#include "core/cuda.h"
#include "core/pool.h"

namespace mielina {

namespace door {

thread_local uint32_t t_watch = 0;
void* (*g_unlock)() = nullptr;
void (*g_lock)(void*) = nullptr;

namespace {
thread_local std::vector<ProfileRow>* t_profile = nullptr;
thread_local Recording* t_recording = nullptr;

// Lets other Python threads run; the call holds its storages, so nothing it touches can be freed meanwhile.
struct Unlocked {
  void* state = g_unlock ? g_unlock() : nullptr;
  ~Unlocked() {
    if (g_lock) g_lock(state);
  }
};
}  // namespace

void long_call(Call&& call) {
  Unlocked unlocked;
  call.run();
}

void watched(Call&& call) {
  auto start = std::chrono::steady_clock::now();
  if (call.device <= 0 && (call.bytes > kLongBytes || call.flops > kLongFlops)) {
    Unlocked unlocked;
    call.run();
  } else {
    call.run();
  }
  if (t_watch & kProfile) {
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    auto row = std::find_if(t_profile->begin(), t_profile->end(),
                            [&](auto& r) { return std::strcmp(r.name, call.name) == 0; });
    if (row == t_profile->end()) row = t_profile->insert(row, ProfileRow{call.name, 0, 0, 0, 0});
    row->calls++;
    row->seconds += seconds;
    row->bytes += call.bytes;
    row->flops += call.flops;
  }
  if (t_watch & kRecord) {
    Recording& r = *t_recording;
    auto inside = [&](const Ref<Storage>& s) { return owns(r.arena.get(), s.get()); };
    for (auto& s : call.outs)
      if (!inside(s) && std::none_of(r.written.begin(), r.written.end(), [&](auto& w) { return w.get() == s.get(); }))
        r.written.push_back(s);
    std::erase_if(call.outs, inside);  // the arena keeps those, and may hand them out again to later calls
    std::erase_if(call.ins, inside);
    r.calls.push_back(std::move(call));
  }
}

HeldOperand hold(const InOperand& in) {
  HeldOperand h;
  // Beside arrays on a card, one number of the CPU's is read here, as in PyTorch.
  const bool host = g_cards && in.o.array && in.o.array->ndim == 0 && in.o.array->device() == 0 && current_device();
  check(!host || !recording(), Kind::Runtime,
        "a 0-dim CPU tensor beside CUDA tensors cannot be captured: a replay would not see its changes");
  h.number = in.o.array == nullptr || host;
  if (!h.number) {
    const Array& a = *in.o.array;
    bool same = a.ndim == in.shape.n && a.dims() == in.shape;
    h.view = same ? a.view() : expand(a, in.shape, "broadcast").view();
    return h;
  }
  h.view.data = nullptr;
  h.view.dtype = in.compute;
  h.view.number = true;
  h.view.ndim = in.shape.n;
  for (int d = 0; d < in.shape.n; d++) {
    h.view.shape[d] = in.shape[d];
    h.view.stride[d] = 0;
  }
  const Number n = host ? read_number(*in.o.array) : in.o.number;
  if (in.compute == DType::f32) h.value.f = float(n.d);
  else if (in.compute == DType::f64) h.value.d = n.d;
  else h.value.i = n.integer ? n.i : int64_t(n.d);
  return h;
}

void no_kernel(const char* name, int32_t device) {
  fail(Kind::NoKernel, name, " has no ", device == 0 ? "CPU" : "CUDA", " kernel");
}

void settle(const char* name) { cuda_settle(name); }

}  // namespace door

using namespace door;

Ctx make_ctx(int32_t device) {
  Ctx c;
  c.threads = num_threads();
  c.pool = reinterpret_cast<void*>(intptr_t(c.threads));
  c.run = pool_run;
  c.device = device;
  c.stream = device ? cuda_use(device - 1) : nullptr;
  c.workspace = nullptr;
  c.workspace_bytes = 0;
  return c;
}

void profile_begin() {
  check(!t_profile, Kind::Runtime, "profile: already profiling on this thread");
  t_profile = new std::vector<ProfileRow>;
  t_watch |= kProfile;
}

std::vector<ProfileRow> profile_end() {
  check(t_profile, Kind::Runtime, "profile: not profiling on this thread");
  t_watch &= ~uint32_t(kProfile);
  std::vector<ProfileRow> rows = std::move(*t_profile);
  delete t_profile;
  t_profile = nullptr;
  return rows;
}

Ref<Recording> record_begin() {
  check(!t_recording, Kind::Runtime, "capture: already recording on this thread");
  Recording* r = new Recording;
  r->release = [](Recording* self) { delete self; };
  r->arena = make_arena();
  swap_arena(r->arena);
  t_recording = r;
  t_watch |= kRecord;
  return Ref<Recording>(r);
}

void record_end() {
  if (!t_recording) return;
  t_recording = nullptr;
  t_watch &= ~uint32_t(kRecord);
  swap_arena({});
}

bool record_suspend() {
  if (!recording()) return false;
  t_watch &= ~uint32_t(kRecord);
  swap_arena({});
  return true;
}

void record_resume() {
  check(t_recording && !recording(), Kind::Runtime, "capture: no recording is suspended");
  t_watch |= kRecord;
  swap_arena(t_recording->arena);
}

bool recording() { return t_watch & kRecord; }

void refuse_while_recording(const char* what) {
  check(!recording(), Kind::Runtime, what,
        " cannot be captured: it needs a value, or has a shape, that depends on data");
}

void replay(Recording& r) {
  check(!recording(), Kind::Runtime, "capture: a replay cannot be recorded");
  for (auto& s : r.written) s->version++;
  Unlocked unlocked;
  for (Call& c : r.calls) c.run();
}

}  // namespace mielina
