// What this process may use: cores and memory, from the affinity mask, the cgroup (v1 and v2) and the machine.
#pragma once
#include <cstddef>

namespace mielina {

struct CpuLimit {
  int threads;         // how many can run at once: min(affinity, quota rounded up), at least 1
  bool fractional;     // the quota is not a whole number of cores: spinning would eat into it
  const char* source;  // "affinity" or "cgroup quota"
};
CpuLimit cpu_limit();
size_t memory_limit();  // bytes

}  // namespace mielina
