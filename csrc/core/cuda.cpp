#include "core/cuda.h"

#include <dlfcn.h>
#include <unistd.h>

#include <mutex>
#include <utility>

#include "core/device.h"
#include "core/error.h"
#include "core/isa.h"

namespace mielina {
namespace {

std::string g_path;

struct Loaded {
  const cuda::Library* library = nullptr;
  const Kernels* kernels = nullptr;  // known without a card, too
  int32_t cards = 0;
  std::string missing;
};

Loaded load() {
  Loaded l;
  if (access(g_path.c_str(), R_OK) != 0) {
    l.missing = "this build has no libmielina_cuda (pip install . -C cmake.define.MIELINA_CUDA=ON)";
    return l;
  }
  void* handle = dlopen(g_path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    l.missing = std::string("libmielina_cuda does not load: ") + dlerror();
    return l;
  }
  auto open = reinterpret_cast<const cuda::Library* (*)()>(dlsym(handle, "mielina_cuda_library"));
  const cuda::Library* library = open ? open() : nullptr;
  if (!library || library->abi != cuda::kAbi || library->kernels_size != int64_t(sizeof(Kernels)) ||
      library->device_size != int64_t(sizeof(cuda::Device))) {
    l.missing = "libmielina_cuda belongs to another version of mielina; build both together";
    return l;
  }
  l.kernels = library->kernels;
  if (int code = library->device->count(&l.cards))
    l.missing = std::string("no usable card: ") + library->device->error(code);
  else if (l.cards == 0) l.missing = "no CUDA card";
  if (l.missing.empty()) {
    l.library = library;
    register_cuda(library->kernels);
    g_cards = true;
  }
  return l;
}

const Loaded& loaded() {
  static const Loaded* l = new Loaded(load());
  return *l;
}

// The library's own stream on each card, made when it is first wanted, and the ones that this thread chose.
constexpr int kMaxCards = 64;
std::mutex g_streams_lock;
void* g_streams[kMaxCards];
struct Chosen {
  void* stream[kMaxCards] = {};
};
thread_local Chosen t_chosen;
thread_local int32_t t_card = -1;  // in use on this thread

}  // namespace

void set_cuda_library(const std::string& path) { g_path = path; }

std::string cuda_missing() { return loaded().missing; }

const Kernels* cuda_kernels() { return loaded().kernels; }

int32_t cuda_count() { return loaded().cards; }

const cuda::Device& cuda_device(int32_t card) {
  const Loaded& l = loaded();
  check(l.library, Kind::Runtime, "CUDA: no: ", l.missing);
  check(card >= 0 && card < l.cards && card < kMaxCards, Kind::Runtime, "CUDA: no card ", card, ", this machine has ",
        l.cards);
  return *l.library->device;
}

void cuda_check(int code) {
  if (code) [[unlikely]]
    fail(code == cuda::kUnsupported ? Kind::NoKernel : Kind::Runtime, "CUDA: ", loaded().library->device->error(code));
}

void* cuda_stream(int32_t card) {
  if (void* chosen = t_chosen.stream[card]) return chosen;
  std::lock_guard<std::mutex> hold(g_streams_lock);
  void*& own = g_streams[card];
  if (!own) {
    const cuda::Device& table = cuda_device(card);
    cuda_check(table.use(card));
    t_card = card;
    cuda_check(table.stream_create(&own));
  }
  return own;
}

void* set_cuda_stream(int32_t card, void* stream) {
  cuda_device(card);
  return std::exchange(t_chosen.stream[card], stream);
}

void* cuda_use(int32_t card) {
  if (t_card != card) {
    cuda_check(cuda_device(card).use(card));
    t_card = card;
  }
  return cuda_stream(card);
}

void cuda_settle(const char* name) {
  const cuda::Device& table = *loaded().library->device;
  int code = table.take_error();
  if (code == 0) [[likely]]
    return;
  check(code != cuda::kUnsupported, Kind::NoKernel, name, " has no CUDA kernel for these arguments");
  fail(Kind::Runtime, name, ": CUDA: ", table.error(code));
}

}  // namespace mielina
