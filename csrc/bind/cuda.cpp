// CUDA as Python asks for it.
#include "core/cuda.h"

#include "bind/families.h"
#include "bind/fast.h"
#include "core/isa.h"

namespace mielina::bind {
namespace {

void choose_library(const std::string& path) { set_cuda_library(path); }
int count() { return cuda_count(); }
std::vector<std::tuple<std::string, std::string, std::string>> entries() {
  std::vector<std::tuple<std::string, std::string, std::string>> rows;
  for (const KernelEntry& e : kernel_entries(cuda_kernels())) rows.emplace_back(e.family, e.name, e.filled);
  return rows;
}
void synchronize(int card) { cuda_synchronize(card); }

}  // namespace

void add_cuda(PyObject* m) {
  def<&choose_library>(m, "cuda_library", "path");
  def<&cuda_missing>(m, "cuda_missing", "");
  def<&entries>(m, "kernel_entries", "");
  def<&count>(m, "cuda_count", "");
  def<&synchronize>(m, "cuda_synchronize", "card");
}

}  // namespace mielina::bind
