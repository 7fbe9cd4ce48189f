#include "core/isa.h"

#include <atomic>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core/error.h"
#include "core/ties.h"

// Each ISA level defines fill_kernels in its own namespace (csrc/cpu/table.cpp, compiled once per level).
#define MIELINA_LEVEL(ns)      \
  namespace mielina::ns {      \
  void fill_kernels(Kernels&); \
  }
#if defined(__x86_64__)
MIELINA_LEVEL(v2)
MIELINA_LEVEL(v3)
MIELINA_LEVEL(v4)
// What only some CPUs of this level have, and only products and what is made of them gain from.
namespace mielina::v4 {
void fill_bf16(Kernels&);
void fill_amx(Kernels&);
}  // namespace mielina::v4
#else
MIELINA_LEVEL(neon)
#endif

namespace mielina {
namespace {

#if MIELINA_HAS_V4 && !MIELINA_EMULATE_AVX512
// Tiles of bf16: the CPU has them, and Linux lets this process use them once asked for, since their 8 KB are saved only
// for those who did (https://docs.kernel.org/arch/x86/xstate.html).
bool may_use_tiles() {
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a, b, c, d;
  if (!__builtin_cpu_supports("avx512bw") || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const bool tiles = d >> 24 & 1, bf16 = d >> 22 & 1;
  return tiles && bf16 && syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}
#endif

struct Level {
  const char* name;
  bool (*supported)();
  void (*fill)(Kernels&);
};

const Level kLevels[] = {
#if defined(__x86_64__)
#if MIELINA_HAS_V2
    {"sse4", [] { return bool(__builtin_cpu_supports("sse4.2")); }, v2::fill_kernels},
#endif
#if MIELINA_HAS_V3
    {"avx2",
     [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"); },
     v3::fill_kernels},
#endif
#if MIELINA_HAS_V4 && MIELINA_EMULATE_AVX512
    {"avx512", [] { return bool(__builtin_cpu_supports("avx2")); }, v4::fill_kernels},
    {"amx", [] { return bool(__builtin_cpu_supports("avx2")); }, v4::fill_amx},
#elif MIELINA_HAS_V4
    {"avx512",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512cd");
     },
     v4::fill_kernels},
    {"avx512bf16", [] { return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16"); },
     v4::fill_bf16},
    {"amx", may_use_tiles, v4::fill_amx},
#endif
#else
    {"neon", [] { return true; }, neon::fill_kernels},
#endif
};
constexpr int kCount = int(sizeof kLevels / sizeof kLevels[0]);

// A table for each level: the levels below it first, then its own overrides. Filled once, never changed, so that a
// running kernel is not disturbed when another level is chosen.
struct Tables {
  Kernels level[kCount];
  int best = 0;
  Tables() {
    Kernels k{};
    fill_ties(k);
    for (int i = 0; i < kCount; i++) {
      if (kLevels[i].supported()) {
        kLevels[i].fill(k);
        best = i;
      }
      level[i] = k;
    }
  }
};
Tables& tables() {
  static Tables* t = new Tables;
  return *t;
}
std::atomic<const Kernels*> g_cpu{nullptr};
std::atomic<const Kernels*> g_cuda{nullptr};

int selected() {
  const Kernels* k = g_cpu;
  return k ? int(k - tables().level) : tables().best;
}

}  // namespace

std::vector<IsaLevel> isa_levels() {
  std::vector<IsaLevel> r;
  for (int i = 0; i < kCount; i++) r.push_back({kLevels[i].name, kLevels[i].supported(), i == selected()});
  return r;
}

namespace {
template <auto Member>
bool has(const Kernels& k) {
  return k.*Member != nullptr;
}
struct Entry {
  const char* family;
  const char* name;
  bool (*in)(const Kernels&);
};
const Entry kEntries[] = {
#include "kernel_entries.inc"
};
static_assert(sizeof kEntries / sizeof kEntries[0] * sizeof(void*) == sizeof(Kernels), "an entry was not found");
}  // namespace

std::vector<KernelEntry> kernel_entries(const Kernels* cuda) {
  Kernels own[kCount] = {};
  fill_ties(own[0]);  // compiled once, for all levels
  for (int i = 0; i < kCount; i++)
    if (kLevels[i].supported()) kLevels[i].fill(own[i]);
  std::vector<KernelEntry> rows;
  for (const Entry& e : kEntries) {
    std::string filled;
    for (int i = 0; i < kCount; i++) filled += !kLevels[i].supported() ? '?' : e.in(own[i]) ? 'x' : '.';
    filled += !cuda ? '?' : e.in(*cuda) ? 'x' : '.';
    rows.push_back({e.family, e.name, filled});
  }
  return rows;
}

void set_isa(const std::string& name) {
  std::string have;
  for (int i = 0; i < kCount; i++) {
    if (!kLevels[i].supported()) continue;
    if (name == kLevels[i].name) {
      g_cpu = &tables().level[i];
      return;
    }
    have += (have.empty() ? "" : ", ") + std::string(kLevels[i].name);
  }
  fail(Kind::Value, "MIELINA_ISA=", name, " is not available here; choose one of ", have);
}

const Kernels& kernels(int32_t device) {
  if (device == 0) [[likely]] {
    const Kernels* k = g_cpu.load(std::memory_order_acquire);
    if (!k) [[unlikely]]
      g_cpu = k = &tables().level[tables().best];
    return *k;
  }
  const Kernels* k = g_cuda.load(std::memory_order_acquire);
  check(k, Kind::Runtime, "CUDA is not loaded");
  return *k;
}

void register_cuda(const Kernels* table) { g_cuda = table; }

}  // namespace mielina
