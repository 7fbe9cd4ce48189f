#include "core/cuda.h"

#include <dlfcn.h>
#include <unistd.h>

#include "core/error.h"
#include "core/isa.h"
#include "cuda/export.h"

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
  if (!library || library->abi != cuda::kAbi || library->kernels_size != int64_t(sizeof(Kernels))) {
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
  }
  return l;
}

const Loaded& loaded() {
  static const Loaded* l = new Loaded(load());
  return *l;
}

}  // namespace

void set_cuda_library(const std::string& path) { g_path = path; }

std::string cuda_missing() { return loaded().missing; }

const Kernels* cuda_kernels() { return loaded().kernels; }

int32_t cuda_count() { return loaded().cards; }

void cuda_synchronize(int32_t card) {
  const Loaded& l = loaded();
  check(l.library, Kind::Runtime, "CUDA: ", l.missing);
  check(card >= 0 && card < l.cards, Kind::Runtime, "CUDA: no card ", card, ", this machine has ", l.cards);
  if (int code = l.library->device->synchronize(card)) fail(Kind::Runtime, "CUDA: ", l.library->device->error(code));
}

}  // namespace mielina
