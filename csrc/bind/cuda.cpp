// Devices as Python asks for them: where arrays are made, cards, streams, events.
#include "core/cuda.h"

#include "bind/families.h"
#include "bind/fast.h"
#include "core/isa.h"
#include "core/launch.h"

namespace mielina::bind {
namespace {

void choose_library(const std::string& path) { set_cuda_library(path); }
int count() { return cuda_count(); }
std::vector<std::tuple<std::string, std::string, std::string>> entries() {
  std::vector<std::tuple<std::string, std::string, std::string>> rows;
  for (const KernelEntry& e : kernel_entries(cuda_kernels())) rows.emplace_back(e.family, e.name, e.filled);
  return rows;
}

void synchronize(int card) {
  const cuda::Device& table = cuda_device(card);
  cuda_check(table.synchronize(card));
  cuda_check(table.take_error());
}

std::tuple<std::string, int, int, int, int64_t> describe(int card) {
  cuda::Card c;
  cuda_check(cuda_device(card).describe(card, &c));
  return {c.name, c.major, c.minor, c.multiprocessors, int64_t(c.memory)};
}
std::pair<int64_t, int64_t> free_memory(int card) {
  uint64_t free, total;
  cuda_check(cuda_device(card).memory(card, &free, &total));
  return {int64_t(free), int64_t(total)};
}

std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t> stats(int device) {
  check_device(device);
  MemoryStats s = memory_stats(device);
  return {int64_t(s.in_use), int64_t(s.peak), int64_t(s.cached), int64_t(s.cap), int64_t(s.hits), int64_t(s.misses)};
}
void clear_cache(int device) {
  check_device(device);
  empty_cache(device);
}
void clear_peak(int device) {
  check_device(device);
  reset_peak(device);
}

bool cards_in_use() { return g_cards; }
int set_device(int device) { return set_current_device(device); }
Array moved(const Array& x, int device) { return to_device(x, device); }

// The kernels that a device lacks, for `mielina info` and for tests: the table is nothing but pointers.
int64_t table_address(int device) {
  check_device(device);
  return int64_t(reinterpret_cast<intptr_t>(&kernels(device)));
}

// ---- streams and events: handles are the runtime's own, as ints -----------------------------------------------------
void* pointer(int64_t handle) { return reinterpret_cast<void*>(intptr_t(handle)); }
int64_t handle(void* p) { return int64_t(reinterpret_cast<intptr_t>(p)); }

int64_t stream_current(int card) {
  cuda_device(card);
  return handle(cuda_stream(card));
}
int64_t stream_choose(int card, int64_t stream) { return handle(set_cuda_stream(card, pointer(stream))); }
int64_t stream_create(int card) {
  const cuda::Device& table = cuda_device(card);
  cuda_use(card);
  void* s = nullptr;
  cuda_check(table.stream_create(&s));
  return handle(s);
}
void stream_destroy(int card, int64_t stream) { cuda_device(card).stream_destroy(pointer(stream)); }
void stream_synchronize(int card, int64_t stream) {
  const cuda::Device& table = cuda_device(card);
  cuda_check(table.stream_synchronize(pointer(stream)));
  cuda_check(table.take_error());
}
bool stream_query(int card, int64_t stream) {
  bool done = false;
  cuda_check(cuda_device(card).stream_query(pointer(stream), &done));
  return done;
}
void stream_wait(int card, int64_t stream, int64_t event) {
  cuda_check(cuda_device(card).stream_wait(pointer(stream), pointer(event)));
}
int64_t event_create(int card, bool timing) {
  const cuda::Device& table = cuda_device(card);
  cuda_use(card);
  void* e = nullptr;
  cuda_check(table.event_create(timing, &e));
  return handle(e);
}
void event_destroy(int card, int64_t event) { cuda_device(card).event_destroy(pointer(event)); }
void event_record(int card, int64_t event, int64_t stream) {
  cuda_check(cuda_device(card).event_record(pointer(event), pointer(stream)));
}
void event_synchronize(int card, int64_t event) { cuda_check(cuda_device(card).event_synchronize(pointer(event))); }
bool event_query(int card, int64_t event) {
  bool done = false;
  cuda_check(cuda_device(card).event_query(pointer(event), &done));
  return done;
}
double event_elapsed(int card, int64_t start, int64_t end) {
  float ms = 0;
  cuda_check(cuda_device(card).event_elapsed(pointer(start), pointer(end), &ms));
  return double(ms);
}

}  // namespace

void add_cuda(PyObject* m) {
  def<&choose_library>(m, "cuda_library", "path");
  def<&cuda_missing>(m, "cuda_missing", "");
  def<&entries>(m, "kernel_entries", "");
  def<&count>(m, "cuda_count", "");
  def<&synchronize>(m, "cuda_synchronize", "card");
  def<&describe>(m, "cuda_describe", "card");
  def<&free_memory>(m, "cuda_memory", "card");
  def<&stats>(m, "device_memory_stats", "device");
  def<&clear_cache>(m, "device_empty_cache", "device");
  def<&clear_peak>(m, "device_reset_peak", "device");
  def<&cards_in_use>(m, "cards_in_use", "");
  def<&set_device>(m, "set_device", "device");
  def<&current_device>(m, "current_device", "");
  def<&moved>(m, "to_device", "x, device");
  def<&table_address>(m, "kernel_table", "device");
  def<&stream_current>(m, "stream_current", "card");
  def<&stream_choose>(m, "stream_choose", "card, stream");
  def<&stream_create>(m, "stream_create", "card");
  def<&stream_destroy>(m, "stream_destroy", "card, stream");
  def<&stream_synchronize>(m, "stream_synchronize", "card, stream");
  def<&stream_query>(m, "stream_query", "card, stream");
  def<&stream_wait>(m, "stream_wait", "card, stream, event");
  def<&event_create>(m, "event_create", "card, timing");
  def<&event_destroy>(m, "event_destroy", "card, event");
  def<&event_record>(m, "event_record", "card, event, stream");
  def<&event_synchronize>(m, "event_synchronize", "card, event");
  def<&event_query>(m, "event_query", "card, event");
  def<&event_elapsed>(m, "event_elapsed", "card, start, end");
}

}  // namespace mielina::bind
