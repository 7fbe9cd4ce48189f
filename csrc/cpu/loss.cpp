// loss: see table/loss.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_loss(Kernels&);
void fill_loss(Kernels&) {}

}  // namespace MIELINA_ISA
}  // namespace mielina
