// The one door through which every kernel runs: launch<&Kernels::softmax>("softmax", out(y), in(x), args...).
//
// Arrays become Views, `out` bumps the version that autograd checks, and the kernel is called directly. Two things may
// stand at the door, both off the hot path: a profiler that times the call, and a recorder that keeps it for replay.
#pragma once
#include <chrono>
#include <functional>
#include <tuple>
#include <type_traits>

#include "core/array.h"
#include "core/device.h"
#include "core/isa.h"
#include "core/types.h"

namespace mielina {

struct Out {
  const Array& a;
};
struct In {
  const Array& a;
};
struct OutList {
  const std::vector<Array>& list;
};
struct InList {
  const std::vector<Array>& list;
};
struct MaybeIn {
  const Array* a;
};
// An input that may be a number: encoded in the compute type, seen as an array of `shape` with strides of 0.
struct InOperand {
  const Operand& o;
  DType compute;
  const Dims& shape;
};
inline Out out(const Array& a) { return {a}; }
inline In in(const Array& a) { return {a}; }
inline OutList out(const std::vector<Array>& list) { return {list}; }
inline InList in(const std::vector<Array>& list) { return {list}; }
inline InOperand in(const Operand& o, DType compute, const Dims& shape) { return {o, compute, shape}; }
inline MaybeIn in(const MaybeArray& a) { return {a ? &*a : nullptr}; }

// What a call costs, for the profiler and for the choice to release the interpreter's lock; scratch in bytes.
struct Cost {
  double flops = 0;
  int64_t workspace = 0;
};

Ctx make_ctx(int32_t device);
// The scratch that a kernel asks for; 0 where the device has no such kernel, which the launch will say.
template <auto Query, class... Args>
int64_t workspace_of(int32_t device, const Args&... args) {
  auto query = kernels(device).*Query;
  return query ? query(make_ctx(device), args...) : 0;
}

namespace door {

enum : uint32_t { kProfile = 1, kRecord = 2 };
extern thread_local uint32_t t_watch;  // who stands at the door of this thread

// Installed by the binding: let other Python threads run during a long kernel.
extern void* (*g_unlock)();
extern void (*g_lock)(void*);

struct Call {
  const char* name = nullptr;
  double bytes = 0, flops = 0;
  int32_t device = -1;  // whose kernel it is; -1: what cannot be part of a card's graph
  std::vector<Ref<Storage>> outs, ins;
  std::function<void()> run;
};
void watched(Call&& call);  // runs the call; profiles and records as asked
void long_call(Call&& call);

// How a kernel's argument is held between record and replay, and what the kernel is given.
inline View hold(const Out& o) { return o.a.view(); }
inline View hold(const In& i) { return i.a.view(); }
inline View hold(const MaybeIn& i) { return i.a ? i.a->view() : View{}; }
inline std::vector<View> views(const std::vector<Array>& list) {
  std::vector<View> v;
  v.reserve(list.size());
  for (const Array& a : list) v.push_back(a.view());
  return v;
}
struct HeldOperand {
  View view;
  union {
    float f;
    double d;
    int64_t i;
  } value;
  bool number;
};
HeldOperand hold(const InOperand& in);
inline std::vector<View> hold(const OutList& o) { return views(o.list); }
inline std::vector<View> hold(const InList& i) { return views(i.list); }
template <class T>
const T& hold(const T& x) {
  return x;
}

inline View give(const HeldOperand& h) {
  View v = h.view;
  if (h.number) v.data = const_cast<void*>(static_cast<const void*>(&h.value));
  return v;
}
inline Views give(const std::vector<View>& v) { return {v.data(), int64_t(v.size())}; }
template <class T>
const T& give(const T& x) {
  return x;
}

inline void tally(Call& c, const Out& o) {
  c.outs.push_back(o.a.storage);
  c.bytes += double(o.a.numel()) * o.a.itemsize();
}
inline void tally(Call& c, const In& i) {
  c.ins.push_back(i.a.storage);
  c.bytes += double(i.a.numel()) * i.a.itemsize();
}
inline void tally(Call& c, const MaybeIn& i) {
  if (i.a) tally(c, In{*i.a});
}
inline void tally(Call& c, const OutList& o) {
  for (const Array& a : o.list) tally(c, Out{a});
}
inline void tally(Call& c, const InList& i) {
  for (const Array& a : i.list) tally(c, In{a});
}
inline void tally(Call& c, const InOperand& i) {
  if (i.o.array) tally(c, In{*i.o.array});
}
template <class T>
void tally(Call&, const T&) {}

inline int64_t bytes_of(const Out& o) { return o.a.numel() * o.a.itemsize(); }
inline int64_t bytes_of(const In& i) { return i.a.numel() * i.a.itemsize(); }
inline int64_t bytes_of(const OutList& o) {
  int64_t n = 0;
  for (const Array& a : o.list) n += a.numel() * a.itemsize();
  return n;
}
inline int64_t bytes_of(const InOperand& i) { return i.o.array ? bytes_of(In{*i.o.array}) : 0; }
template <class T>
int64_t bytes_of(const T&) {
  return 0;
}

// Whether an argument can be used on the device; where it is if not, else -1.
inline int32_t elsewhere(const Array& a, int32_t device) { return a.device() == device ? -1 : a.device(); }
inline int32_t elsewhere(const Out& o, int32_t device) { return elsewhere(o.a, device); }
inline int32_t elsewhere(const In& i, int32_t device) { return elsewhere(i.a, device); }
inline int32_t elsewhere(const MaybeIn& i, int32_t device) { return i.a ? elsewhere(*i.a, device) : -1; }
// A 0-dim array on the CPU counts as a number.
inline int32_t elsewhere(const InOperand& i, int32_t device) {
  return !i.o.array || (i.o.array->ndim == 0 && i.o.array->device() == 0) ? -1 : elsewhere(*i.o.array, device);
}
inline int32_t elsewhere(const std::vector<Array>& list, int32_t device) {
  for (const Array& a : list)
    if (a.device() != device) return a.device();
  return -1;
}
inline int32_t elsewhere(const OutList& o, int32_t device) { return elsewhere(o.list, device); }
inline int32_t elsewhere(const InList& i, int32_t device) { return elsewhere(i.list, device); }
template <class T>
int32_t elsewhere(const T&, int32_t) {
  return -1;
}

inline int device_of(const Out& o) { return o.a.device(); }
inline int device_of(const OutList& o) { return o.list.empty() ? 0 : o.list[0].device(); }

inline void bump(const Out& o) { o.a.storage->version++; }
inline void bump(const OutList& o) {
  for (const Array& a : o.list) a.storage->version++;
}
template <class T>
void bump(const T&) {}

[[noreturn]] void no_kernel(const char* name, int32_t device);
void settle(const char* name);  // what a launch on a card left behind, as an error

}  // namespace door

constexpr int64_t kLongBytes = 512 * 1024;  // about 20 us at 25 GB/s
constexpr double kLongFlops = 1.5e6;        // about 20 us at 75 GFLOP/s

template <auto Kernel, class First, class... Args>
void launch(const char* name, const Cost& cost, const First& first, const Args&... args) {
  int32_t device = door::device_of(first);
  auto kernel = kernels(device).*Kernel;
  if (!kernel) [[unlikely]]
    door::no_kernel(name, device);
  if (g_cards) [[unlikely]] {
    for (int32_t other : {door::elsewhere(first, device), door::elsewhere(args, device)...})
      if (other >= 0) wrong_devices(name, device, other);
  }
  Ctx ctx = make_ctx(device);
  Ref<Storage> scratch;
  if (cost.workspace) {
    On there(device);
    scratch = allocate(size_t(cost.workspace));
    ctx.workspace = scratch->data;
    ctx.workspace_bytes = cost.workspace;
  }
  door::bump(first);
  (door::bump(args), ...);
  // A launch on a card does not wait for its work.
  bool large =
      device == 0 && (cost.flops > kLongFlops || door::bytes_of(first) + (door::bytes_of(args) + ... + 0) > kLongBytes);
  if (door::t_watch == 0 && !large) [[likely]] {
    kernel(ctx, door::give(door::hold(first)), door::give(door::hold(args))...);
    if (device) [[unlikely]]
      door::settle(name);
    return;
  }
  door::Call call;
  call.name = name;
  call.flops = cost.flops;
  door::tally(call, first);
  (door::tally(call, args), ...);
  if (scratch) call.outs.push_back(scratch);
  call.device = device;
  call.run = [name, kernel, ctx,
              held = std::make_tuple(std::decay_t<decltype(door::hold(first))>(door::hold(first)),
                                     std::decay_t<decltype(door::hold(args))>(door::hold(args))...)] {
    std::apply([&](const auto&... h) { kernel(ctx, door::give(h)...); }, held);
    if (ctx.device) door::settle(name);
  };
  if (door::t_watch) door::watched(std::move(call));
  else door::long_call(std::move(call));
}

template <auto Kernel, class First, class... Args>
  requires(!std::is_same_v<First, Cost>)
void launch(const char* name, const First& first, const Args&... args) {
  launch<Kernel>(name, Cost{}, first, args...);
}

// ---- profiler -------------------------------------------------------------------------------------------------------
struct ProfileRow {
  const char* name = nullptr;
  int64_t calls;
  double seconds, bytes, flops;
};
void profile_begin();
std::vector<ProfileRow> profile_end();

// ---- recorder -------------------------------------------------------------------------------------------------------
// A recorded list of calls. Outputs and inputs that live outside the recording's arena are kept alive by it.
struct Recording;
Ref<Recording> record_begin();  // from here on, this thread's launches are run and kept
void record_end();
bool recording();
// Persistent state that a step makes on its first run (an optimiser's moments) is made outside the recording: its
// memory is its own, and a replay does not make it anew. Returns whether a recording was suspended.
bool record_suspend();
void record_resume();
void refuse_while_recording(const char* what);  // Runtime error: the value depends on data

struct Recording {
  std::atomic<int32_t> refs{1};
  void (*release)(Recording*);
  Ref<Arena> arena;
  std::vector<door::Call> calls;
  std::vector<Ref<Storage>> written;  // outside the arena; their versions move on at each replay
};
void replay(Recording& r);

}  // namespace mielina
