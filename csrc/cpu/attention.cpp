// attention: see table/attention.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_attention(Kernels&);
void fill_attention(Kernels&) {}

}  // namespace MIELINA_ISA
}  // namespace mielina
