// image: see table/image.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_image(Kernels&);
void fill_image(Kernels&) {}

}  // namespace MIELINA_ISA
}  // namespace mielina
