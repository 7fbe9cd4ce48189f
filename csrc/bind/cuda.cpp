// CUDA as Python asks for it.
#include "core/cuda.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {
namespace {

void choose_library(const std::string& path) { set_cuda_library(path); }
int count() { return cuda_count(); }
void synchronize(int card) { cuda_synchronize(card); }

}  // namespace

void add_cuda(PyObject* m) {
  def<&choose_library>(m, "cuda_library", "path");
  def<&cuda_missing>(m, "cuda_missing", "");
  def<&count>(m, "cuda_count", "");
  def<&synchronize>(m, "cuda_synchronize", "card");
}

}  // namespace mielina::bind
