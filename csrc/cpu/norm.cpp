// norm: see table/norm.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_norm(Kernels&);
void fill_norm(Kernels&) {}

}  // namespace MIELINA_ISA
}  // namespace mielina
