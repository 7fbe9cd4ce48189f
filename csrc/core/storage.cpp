#include "core/storage.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "core/cgroup.h"
#include "core/cuda.h"
#include "core/device.h"
#include "core/error.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MIELINA_NO_CACHE 1
#else
#define MIELINA_NO_CACHE 0
#endif

namespace mielina {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kHuge = size_t(2) << 20;
constexpr int kClasses = 8 * 42;
constexpr size_t kGuard = 64;
constexpr unsigned char kGuardByte = 0xA5;

// Class c holds blocks of (8 + c % 8) << (c / 8 + 3) bytes: 64, 72, ... rounded up to the alignment.
size_t class_bytes(int c) { return ((size_t(8 + c % 8) << (c / 8 + 3)) + (kAlign - 1)) & ~(kAlign - 1); }
int class_of(size_t bytes) {
  if (bytes <= 64) return 0;
  int top = 63 - __builtin_clzll(bytes - 1);     // bytes in (2^top, 2^(top+1)]
  int step = int((bytes - 1) >> (top - 3)) & 7;  // which eighth
  return (top - 6) * 8 + step + 1;
}

// A spin lock: held for a few instructions only; an uncontended std::mutex costs twice as much on the hot path.
class Spin {
 public:
  void lock() {
    while (flag_.exchange(true, std::memory_order_acquire)) usleep(0);
  }
  void unlock() { flag_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> flag_{false};
};

struct Cache {
  Spin lock;
  std::vector<Storage*> free[kClasses];
  MemoryStats stats{};
  bool debug = false;

  Cache() {
    stats.limit = memory_limit();
    stats.cap = stats.limit / 4;
    const char* mode = std::getenv("MIELINA_ALLOC");
    debug = mode && std::strcmp(mode, "debug") == 0;
  }
  // A card's: nobody else wants its memory, so all of it may be kept.
  explicit Cache(int32_t card) {
    cuda::Card c;
    cuda_check(cuda_device(card).describe(card, &c));
    stats.limit = stats.cap = c.memory;
  }
};
Cache& cache() {
  static Cache* c = new Cache;  // never destroyed: storages may outlive static destructors
  return *c;
}
constexpr int kMaxCards = 64;
Cache& cache_of(int32_t device) {
  if (device == 0) [[likely]]
    return cache();
  static std::mutex lock;
  static Cache* cards[kMaxCards];
  std::lock_guard<std::mutex> hold(lock);
  Cache*& c = cards[device - 1];
  if (!c) c = new Cache(device - 1);
  return *c;
}

thread_local Arena* t_arena = nullptr;

void* raw_alloc(size_t bytes) {
  if (bytes < kHuge) return std::aligned_alloc(kAlign, bytes);
  // Aligned to 2 MB and advised, so that the kernel can back it with huge pages.
  void* p = std::aligned_alloc(kHuge, (bytes + kHuge - 1) / kHuge * kHuge);
  if (p) madvise(p, bytes, MADV_HUGEPAGE);
  return p;
}

void free_block(Storage* s) {
  if (s->device) {
    cuda_device(s->device - 1).free(s->device - 1, s->data);
  } else if (cache().debug) {
    unsigned char* p = static_cast<unsigned char*>(s->data);
    for (size_t i = 0; i < kGuard; i++)
      if (p[-1 - ptrdiff_t(i)] != kGuardByte || p[s->bytes + i] != kGuardByte) {
        std::fprintf(stderr, "mielina: memory beside a block of %zu bytes was overwritten\n", s->bytes);
        std::abort();  // only with MIELINA_ALLOC=debug: going on would hide who did it
      }
    std::free(p - kGuard);
  } else {
    std::free(s->data);
  }
  delete s;
}

void release_cached(Storage* s) {
  Cache& c = cache_of(s->device);
  {
    std::lock_guard<Spin> hold(c.lock);
    c.stats.in_use -= s->bytes;
    if ((s->device || !MIELINA_NO_CACHE) && !c.debug && c.stats.cached + s->bytes <= c.stats.cap) {
      c.stats.cached += s->bytes;
      c.free[s->size_class].push_back(s);
      return;
    }
  }
  free_block(s);
}

// A card's memory. What is cached goes back to the driver if there is not enough.
Storage* fresh_card_block(int32_t device, int size_class, size_t asked) {
  const int32_t card = device - 1;
  const cuda::Device& table = cuda_device(card);
  Storage* s = new Storage;
  s->device = device;
  s->size_class = int16_t(size_class);
  s->bytes = class_bytes(size_class);
  int code = table.allocate(card, s->bytes, &s->data);
  if (code) {
    empty_cache(device);
    code = table.allocate(card, s->bytes, &s->data);
  }
  if (!code) return s;
  delete s;
  const MemoryStats have = memory_stats(device);
  fail(Kind::Memory, "CUDA out of memory: cannot allocate ", asked, " bytes on ", device_name(device), ": of ",
       have.limit, ", tensors hold ", have.in_use, " (", table.error(code), ")");
}

Storage* fresh_block(int32_t device, int size_class, size_t asked) {
  if (device) return fresh_card_block(device, size_class, asked);
  Cache& c = cache();
  size_t bytes = c.debug || MIELINA_NO_CACHE ? asked : class_bytes(size_class);
  check(bytes <= c.stats.limit, Kind::Memory, "cannot allocate ", asked, " bytes: this machine has ", c.stats.limit);
  Storage* s = new Storage;
  s->size_class = int16_t(size_class);
  s->bytes = bytes;
  for (int attempt = 0; attempt < 2 && !s->data; attempt++) {
    if (attempt) empty_cache();
    if (c.debug) {
      unsigned char* p =
          static_cast<unsigned char*>(std::aligned_alloc(kAlign, (bytes + 2 * kGuard + kAlign - 1) & ~(kAlign - 1)));
      if (!p) continue;
      std::memset(p, kGuardByte, kGuard);
      std::memset(p + kGuard, 0xFF, bytes);  // all ones is a NaN in every float format
      std::memset(p + kGuard + bytes, kGuardByte, kGuard);
      s->data = p + kGuard;
    } else if (MIELINA_NO_CACHE) {
      void* p = nullptr;
      s->data = posix_memalign(&p, kAlign, bytes) == 0 ? p : nullptr;
    } else {
      s->data = raw_alloc(bytes);
    }
  }
  if (!s->data) {
    delete s;
    fail(Kind::Memory, "cannot allocate ", asked, " bytes");
  }
  return s;
}

}  // namespace

struct Arena::Impl {
  std::mutex lock;
  std::vector<Storage*> free[kClasses];
  std::vector<Storage*> all;
};

static void release_to_arena(Storage* s) {
  Arena* a = static_cast<Arena*>(s->owner);
  {
    std::lock_guard<std::mutex> hold(a->impl->lock);
    a->impl->free[s->size_class].push_back(s);
  }
  Ref<Arena> drop(a);  // the reference that the block held while it was out
}

static Ref<Storage> allocate_in(Arena* a, int32_t device, size_t bytes, int size_class) {
  Storage* s = nullptr;
  {
    std::lock_guard<std::mutex> hold(a->impl->lock);
    auto& list = a->impl->free[size_class];
    for (size_t i = list.size(); i-- > 0 && !s;)
      if (list[i]->device == device && list[i]->bytes >= bytes) {
        s = list[i];
        list.erase(list.begin() + ptrdiff_t(i));
      }
  }
  if (!s) {
    s = fresh_block(device, size_class, bytes);
    std::lock_guard<std::mutex> hold(a->impl->lock);
    a->impl->all.push_back(s);
  }
  a->refs.fetch_add(1, std::memory_order_relaxed);
  s->owner = a;
  s->release = release_to_arena;
  s->refs.store(1, std::memory_order_relaxed);
  s->readonly = false;
  return Ref<Storage>(s);
}

// A freed block that may be used in `stream`'s order: the latest, since cards' work in other streams may still run.
static Storage* take_free(std::vector<Storage*>& list, void* stream) {
  if (!list.empty() && list.back()->stream == stream) [[likely]] {
    Storage* s = list.back();
    list.pop_back();
    return s;
  }
  for (size_t i = list.size(); i-- > 0;)
    if (list[i]->stream == stream) {
      Storage* s = list[i];
      list.erase(list.begin() + ptrdiff_t(i));
      return s;
    }
  return nullptr;
}

Ref<Storage> allocate(size_t bytes) {
  if (bytes == 0) bytes = 1;
  const int32_t device = g_cards ? current_device() : 0;
  Cache& c = cache_of(device);
  check(bytes <= c.stats.limit, Kind::Memory, "cannot allocate ", bytes,
        " bytes: ", device ? device_name(device) : "this machine", " has ", c.stats.limit);
  int size_class = class_of(bytes);
  if (t_arena) return allocate_in(t_arena, device, bytes, size_class);
  Storage* s = nullptr;
  void* stream = device ? cuda_stream(device - 1) : nullptr;
  {
    std::lock_guard<Spin> hold(c.lock);
    s = take_free(c.free[size_class], stream);
    if (s) {
      c.stats.cached -= s->bytes;
      c.stats.hits++;
    } else {
      c.stats.misses++;
    }
  }
  if (!s) {
    s = fresh_block(device, size_class, bytes);
    s->release = release_cached;
    s->stream = stream;
  }
  s->refs.store(1, std::memory_order_relaxed);
  s->readonly = false;
  s->version = 0;
  std::lock_guard<Spin> hold(c.lock);
  c.stats.in_use += s->bytes;
  if (c.stats.in_use > c.stats.peak) c.stats.peak = c.stats.in_use;
  return Ref<Storage>(s);
}

namespace {
struct Foreign {
  void* owner;
  void (*release)(void*);
};
}  // namespace

Ref<Storage> adopt(void* data, size_t bytes, bool readonly, void* owner, void (*release)(void*), int32_t device) {
  Storage* s = new Storage;
  s->data = data;
  s->device = device;
  s->bytes = bytes;
  s->readonly = readonly;
  s->owner = new Foreign{owner, release};
  s->release = [](Storage* self) {
    Foreign* f = static_cast<Foreign*>(self->owner);
    f->release(f->owner);
    delete f;
    delete self;
  };
  return Ref<Storage>(s);
}

MemoryStats memory_stats(int32_t device) {
  Cache& c = cache_of(device);
  std::lock_guard<Spin> hold(c.lock);
  return c.stats;
}

void reset_peak(int32_t device) {
  Cache& c = cache_of(device);
  std::lock_guard<Spin> hold(c.lock);
  c.stats.peak = c.stats.in_use;
}

void empty_cache(int32_t device) {
  Cache& c = cache_of(device);
  std::vector<Storage*> dead;
  {
    std::lock_guard<Spin> hold(c.lock);
    for (auto& list : c.free) {
      dead.insert(dead.end(), list.begin(), list.end());
      list.clear();
    }
    c.stats.cached = 0;
  }
  for (Storage* s : dead) free_block(s);
}

Ref<Arena> make_arena() {
  Arena* a = new Arena;
  a->impl = new Arena::Impl;
  a->release = [](Arena* self) {
    for (Storage* s : self->impl->all) free_block(s);
    delete self->impl;
    delete self;
  };
  return Ref<Arena>(a);
}

Arena* current_arena() { return t_arena; }

Ref<Arena> swap_arena(Ref<Arena> next) {
  Ref<Arena> previous(t_arena);  // adopts the reference that t_arena holds
  t_arena = next.get();
  if (t_arena) t_arena->refs.fetch_add(1, std::memory_order_relaxed);
  return previous;
}

bool owns(const Arena* arena, const Storage* s) { return arena && s->owner == arena; }

void allocator_lock() { cache().lock.lock(); }
void allocator_unlock() { cache().lock.unlock(); }

}  // namespace mielina
