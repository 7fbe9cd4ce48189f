// rnn: see table/rnn.h.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_rnn(Kernels&);
void fill_rnn(Kernels&) {}

}  // namespace MIELINA_ISA
}  // namespace mielina
