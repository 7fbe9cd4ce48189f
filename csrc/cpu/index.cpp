// index: see table/index.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_index(Kernels&);
void fill_index(Kernels&) {}

}  // namespace MIELINA_ISA
}  // namespace mielina
