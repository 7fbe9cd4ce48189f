// Storage: a reference-counted block of bytes. Views share it, with its version counter and its read-only bit.
//
// Blocks come from a cache of freed ones: a fresh 64 MB buffer costs 16,000 page faults, five times the work of adding
// two arrays into it. Size classes are eight per doubling, so at most 1/8 of a block is waste.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace mielina {

struct Arena;

struct Storage {
  std::atomic<int32_t> refs{1};
  bool readonly = false;
  int16_t size_class = -1;
  int32_t device = 0;
  uint64_t version = 0;  // counts in-place changes, for autograd; only touched with the GIL (or by one thread) held
  void* data = nullptr;
  size_t bytes = 0;                     // usable size; at least what was asked for
  void (*release)(Storage*) = nullptr;  // called when the last reference goes
  void* owner = nullptr;                // the arena, or what `release` needs to free foreign memory
  void* stream = nullptr;               // on a card: the stream in whose order the block was handed out
};

// A counting pointer, the size of a plain one.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* adopted) : p_(adopted) {}
  Ref(const Ref& o) : p_(o.p_) {
    if (p_) p_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_ && p_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) p_->release(p_);
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  explicit operator bool() const { return p_ != nullptr; }

 private:
  T* p_ = nullptr;
};

// `bytes` on the current device (core/device.h), 64-byte aligned, contents undefined. Memory error when the machine (or
// its cgroup) or the card does not have that much; on the CPU before any page is touched.
Ref<Storage> allocate(size_t bytes);

// Foreign memory: `release(owner)` runs once when the last view is gone.
Ref<Storage> adopt(void* data, size_t bytes, bool readonly, void* owner, void (*release)(void* owner),
                   int32_t device = 0);

struct MemoryStats {
  size_t in_use, cached, peak, limit, cap;
  uint64_t hits, misses;
};
MemoryStats memory_stats(int32_t device = 0);
void reset_peak(int32_t device = 0);
void empty_cache(int32_t device = 0);

// While an arena is current on a thread, its allocations come from blocks that only the arena owns: a recorded step
// reuses them among itself in the order of recording, which is the order of every replay.
struct Arena {
  std::atomic<int32_t> refs{1};
  void (*release)(Arena*);
  struct Impl;
  Impl* impl;
};
Ref<Arena> make_arena();
Arena* current_arena();
Ref<Arena> swap_arena(Ref<Arena> next);  // returns the previous one
bool owns(const Arena* arena, const Storage* s);

// For fork: no other thread holds the allocator while a child is made.
void allocator_lock();
void allocator_unlock();

}  // namespace mielina
