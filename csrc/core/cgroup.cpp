#include "core/cgroup.h"

#include <sched.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace mielina {
namespace {

// The directory of this process's group for a v1 controller, or for v2 when `controller` is empty.
std::string group_of(const std::string& controller) {
  std::ifstream f("/proc/self/cgroup");
  for (std::string line; std::getline(f, line);) {
    size_t a = line.find(':'), b = line.find(':', a + 1);
    if (a == std::string::npos || b == std::string::npos) continue;
    std::string names = "," + line.substr(a + 1, b - a - 1) + ",";
    if (controller.empty() ? names == ",," : names.find("," + controller + ",") != std::string::npos)
      return line.substr(b + 1);
  }
  return "/";
}

// Calls f(directory) for the group and each of its ancestors: the tightest limit on the way up is the one that holds.
template <class F>
void for_ancestors(const std::string& root, std::string group, F f) {
  while (true) {
    f(root + (group == "/" ? "" : group));
    if (group.empty() || group == "/") return;
    size_t slash = group.rfind('/');
    group = slash == 0 ? "/" : group.substr(0, slash);
  }
}

std::string first_line(const std::string& path) {
  std::ifstream f(path);
  std::string line;
  std::getline(f, line);
  return line;
}

double cpu_quota() {
  double quota = INFINITY;
  auto take = [&](double used, double period) {
    if (used > 0 && period > 0) quota = std::fmin(quota, used / period);
  };
  for_ancestors("/sys/fs/cgroup", group_of(""), [&](const std::string& dir) {
    std::istringstream s(first_line(dir + "/cpu.max"));
    std::string used;
    double period = 0;
    if (s >> used >> period && used != "max") take(std::atof(used.c_str()), period);
  });
  for_ancestors("/sys/fs/cgroup/cpu", group_of("cpu"), [&](const std::string& dir) {
    std::string used = first_line(dir + "/cpu.cfs_quota_us"), period = first_line(dir + "/cpu.cfs_period_us");
    if (!used.empty() && !period.empty()) take(std::atof(used.c_str()), std::atof(period.c_str()));
  });
  return quota;
}

}  // namespace

CpuLimit cpu_limit() {
  cpu_set_t set;
  int affinity = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : int(sysconf(_SC_NPROCESSORS_ONLN));
  if (affinity < 1) affinity = 1;
  double quota = cpu_quota();
  if (quota >= affinity) return {affinity, false, "affinity"};
  int threads = int(std::ceil(quota));
  return {threads < 1 ? 1 : threads, quota != std::floor(quota), "cgroup quota"};
}

size_t memory_limit() {
  double limit = double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGESIZE));
  auto take = [&](const std::string& text) {
    double v = text.empty() || text == "max" ? 0 : std::atof(text.c_str());
    if (v > 0) limit = std::fmin(limit, v);
  };
  for_ancestors("/sys/fs/cgroup", group_of(""), [&](const std::string& d) { take(first_line(d + "/memory.max")); });
  for_ancestors("/sys/fs/cgroup/memory", group_of("memory"),
                [&](const std::string& d) { take(first_line(d + "/memory.limit_in_bytes")); });
  return size_t(limit);
}

}  // namespace mielina
