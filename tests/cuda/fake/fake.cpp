// A libmielina_cuda without a card, for tests: two "cards" whose memory is host memory that nobody may touch except
// while a kernel or a copy runs on that card. So a host that follows a device's address crashes in the test, and so
// does a kernel that is given another card's memory. The kernels are the CPU's, from the table of the process
// (fake_use). fake_remove takes a kernel away, fake_calls counts what ran.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <map>
#include <mutex>
#include <utility>

#include "cuda/export.h"

namespace {

using mielina::Ctx;
using mielina::Kernels;
using mielina::View;
using mielina::Views;

constexpr int kCards = 2;
constexpr size_t kMemory = size_t(512) << 20, kPage = 4096;
enum Code { kOk = 0, kOutOfMemory = 2, kBadAddress = 700, kBadGraph = 900 };

// One card's memory: a reserved range, handed out first fit in pages.
struct Memory {
  char* base = nullptr;
  size_t used = 0;  // high-water mark: what has to be opened and closed
  std::map<char*, size_t> blocks;
  int open = 0;
  std::recursive_mutex lock;

  Memory() {
    base = static_cast<char*>(mmap(nullptr, kMemory, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  }
  void* allocate(size_t bytes) {
    bytes = (bytes + kPage - 1) / kPage * kPage;
    char* at = base;
    for (auto& [start, size] : blocks) {
      if (size_t(start - at) >= bytes) break;
      at = start + size;
    }
    if (at + bytes > base + kMemory) return nullptr;
    blocks[at] = bytes;
    if (size_t(at + bytes - base) > used) used = size_t(at + bytes - base);
    return at;
  }
  bool holds(const void* p) const { return p >= base && p < base + kMemory; }
  void enter() {
    lock.lock();
    if (open++ == 0 && used) mprotect(base, used, PROT_READ | PROT_WRITE);
  }
  void leave() {
    if (--open == 0 && used) mprotect(base, used, PROT_NONE);
    lock.unlock();
  }
};
Memory& memory(int card) {
  static Memory* m = new Memory[kCards];
  return m[card];
}
struct Opened {
  Memory& m;
  explicit Opened(int card) : m(memory(card)) { m.enter(); }
  ~Opened() { m.leave(); }
};

// ---- kernels
const Kernels* g_cpu = nullptr;
Kernels g_table;
int64_t g_calls = 0;
int g_noted = 0;

template <class F>
void run(int card, F f) {
  g_calls++;
  Opened opened(card);
  f();
}

template <auto Member, class Type>
struct Slot;
template <auto Member, class... A>
struct Slot<Member, void (*)(const Ctx&, A...) noexcept> {
  static void call(const Ctx& ctx, A... args) noexcept {
    Ctx host = ctx;
    host.device = 0;
    host.stream = nullptr;
    run(ctx.device - 1, [&] { (g_cpu->*Member)(host, args...); });
  }
};
template <auto Member, class... A>
struct Slot<Member, int64_t (*)(const Ctx&, A...) noexcept> {  // a query: looks at shapes only, so nothing is opened
  static int64_t call(const Ctx& ctx, A... args) noexcept { return (g_cpu->*Member)(ctx, args...); }
};
template <auto Member, class... A>
struct Slot<Member, int64_t (*)(A...) noexcept> {
  static int64_t call(A... args) noexcept { return (g_cpu->*Member)(args...); }
};
template <class T>
struct TypeOf;
template <class C, class T>
struct TypeOf<T C::*> {
  using type = T;
};

struct Entry {
  const char* name;
  size_t place;
  void* code;
};
template <auto Member>
Entry entry(const char* name) {
  using Type = typename TypeOf<decltype(Member)>::type;
  g_table.*Member = Slot<Member, Type>::call;
  char* slot = reinterpret_cast<char*>(&(g_table.*Member));
  return {name, size_t(slot - reinterpret_cast<char*>(&g_table)), reinterpret_cast<void*>(Slot<Member, Type>::call)};
}

#define KERNEL(name) entry<&Kernels::name>(#name)
const Entry* entries(size_t* count) {
  static const Entry all[] = {
#include "kernels.inc"
  };
  static_assert(sizeof all / sizeof *all == sizeof(Kernels) / sizeof(void*), "a kernel is missing in kernels.inc");
  *count = sizeof all / sizeof *all;
  return all;
}

// ---- the device table
int count(int32_t* cards) noexcept {
  *cards = kCards;
  return kOk;
}
int describe(int32_t card, mielina::cuda::Card* c) noexcept {
  *c = {};
  strcpy(c->name, "Fake card");
  c->major = 9;
  c->multiprocessors = card + 1;
  c->memory = kMemory;
  return kOk;
}
int use(int32_t) noexcept { return kOk; }
int free_memory(int32_t card, uint64_t* free, uint64_t* total) noexcept {
  Memory& m = memory(card);
  std::lock_guard<std::recursive_mutex> hold(m.lock);
  *total = *free = kMemory;
  for (auto& block : m.blocks) *free -= block.second;
  return kOk;
}
int allocate(int32_t card, size_t bytes, void** data) noexcept {
  Opened opened(card);  // new pages are then poisoned and closed with the rest
  *data = opened.m.allocate(bytes);
  if (!*data) return kOutOfMemory;
  mprotect(*data, (bytes + kPage - 1) / kPage * kPage, PROT_READ | PROT_WRITE);
  memset(*data, 0xFF, bytes);  // a NaN in every float format
  return kOk;
}
int release(int32_t card, void* data) noexcept {
  Memory& m = memory(card);
  std::lock_guard<std::recursive_mutex> hold(m.lock);
  return m.blocks.erase(static_cast<char*>(data)) ? kOk : kBadAddress;
}
int copy(void*, void* to, const void* from, size_t bytes) noexcept {
  int involved = 0;
  for (int card = 0; card < kCards; card++)
    if (memory(card).holds(to) || memory(card).holds(from)) {
      memory(card).enter();
      involved |= 1 << card;
    }
  if (involved) memmove(to, from, bytes);
  for (int card = 0; card < kCards; card++)
    if (involved >> card & 1) memory(card).leave();
  g_calls++;
  return involved ? kOk : kBadAddress;  // host to host is not a card's business
}
int set(void*, void* to, int byte, size_t bytes) noexcept {
  for (int card = 0; card < kCards; card++)
    if (memory(card).holds(to)) {
      Opened opened(card);
      memset(to, byte, bytes);
      return kOk;
    }
  return kBadAddress;
}
int synchronize(int32_t) noexcept { return kOk; }

// Streams and events are counted objects: work is done when a call returns.
double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) * 1e3 + double(t.tv_nsec) * 1e-6;
}
struct Event {
  double at;
};
int stream_create(void** s) noexcept {
  *s = malloc(1);
  return kOk;
}
int stream_destroy(void* s) noexcept {
  free(s);
  return kOk;
}
int stream_synchronize(void*) noexcept { return kOk; }
int stream_query(void*, bool* done) noexcept {
  *done = true;
  return kOk;
}
int stream_wait(void*, void*) noexcept { return kOk; }
int event_create(bool, void** e) noexcept {
  *e = new Event{0};
  return kOk;
}
int event_destroy(void* e) noexcept {
  delete static_cast<Event*>(e);
  return kOk;
}
int event_record(void* e, void*) noexcept {
  static_cast<Event*>(e)->at = now();
  return kOk;
}
int event_synchronize(void*) noexcept { return kOk; }
int event_query(void*, bool* done) noexcept {
  *done = true;
  return kOk;
}
int event_elapsed(void* a, void* b, float* ms) noexcept {
  *ms = float(static_cast<Event*>(b)->at - static_cast<Event*>(a)->at);
  return kOk;
}
// No graphs: a step is replayed call by call.
int no_graph(void*) noexcept { return kBadGraph; }
int no_graph_end(void*, void**) noexcept { return kBadGraph; }
int no_graph_launch(void*, void*) noexcept { return kBadGraph; }

int take_error() noexcept { return std::exchange(g_noted, 0); }
const char* error(int code) noexcept {
  return code == kOutOfMemory ? "out of memory" : code == kBadAddress ? "an address that is not the card's" : "error";
}

}  // namespace

extern "C" {
const mielina::cuda::Library* mielina_cuda_library() {
  using namespace mielina::cuda;
  static const Device device{
      count,        describe,      use,          free_memory,   allocate,        release,
      copy,         set,           synchronize,  stream_create, stream_destroy,  stream_synchronize,
      stream_query, stream_wait,   event_create, event_destroy, event_record,    event_synchronize,
      event_query,  event_elapsed, no_graph,     no_graph_end,  no_graph_launch, no_graph,
      take_error,   error};
  static const Library library{kAbi, int64_t(sizeof(Kernels)), int64_t(sizeof(Device)), &g_table, &device};
  size_t n;
  entries(&n);
  return &library;
}
// The CPU's table, by the address that _core.kernel_table(0) gives.
void fake_use(const void* cpu) { g_cpu = static_cast<const Kernels*>(cpu); }
int64_t fake_calls() { return g_calls; }
// Takes a kernel out of the table (or puts it back); 0 if there is none of the name.
int fake_remove(const char* name, int remove) {
  size_t n;
  const Entry* all = entries(&n);
  for (size_t i = 0; i < n; i++)
    if (strcmp(all[i].name, name) == 0) {
      void* code = remove ? nullptr : all[i].code;
      memcpy(reinterpret_cast<char*>(&g_table) + all[i].place, &code, sizeof code);
      return 1;
    }
  return 0;
}
void fake_fail(int code) { g_noted = code; }
}
