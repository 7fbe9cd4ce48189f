// sort: see table/sort.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_sort(Kernels&);
void fill_sort(Kernels&) {}

}  // namespace MIELINA_ISA
}  // namespace mielina
