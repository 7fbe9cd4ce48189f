// scan: see table/scan.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_scan(Kernels&);
void fill_scan(Kernels&) {}

}  // namespace MIELINA_ISA
}  // namespace mielina
