// Fills the table of one ISA level, family by family.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_conv(Kernels&);
void fill_elementwise(Kernels&);
void fill_gemm(Kernels&);
void fill_optim(Kernels&);
void fill_random(Kernels&);
void fill_reduce(Kernels&);
void fill_softmax(Kernels&);

void fill_kernels(Kernels&);
void fill_kernels(Kernels& k) {
  fill_gemm(k);
#ifndef MIELINA_GEMM_ONLY  // a level that only adds instructions for products overrides only those
  fill_conv(k);
  fill_elementwise(k);
  fill_optim(k);
  fill_random(k);
  fill_reduce(k);
  fill_softmax(k);
#endif
}

}  // namespace MIELINA_ISA
}  // namespace mielina
