// pool: see table/pool.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_pool(Kernels&);
void fill_pool(Kernels&) {}

}  // namespace MIELINA_ISA
}  // namespace mielina
