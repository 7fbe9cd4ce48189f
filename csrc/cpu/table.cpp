// Fills the table of one ISA level, family by family.
#include "cpu/kernel.h"

namespace mielina {
namespace MIELINA_ISA {

void fill_attention(Kernels&);
void fill_conv(Kernels&);
void fill_elementwise(Kernels&);
void fill_gemm(Kernels&);
void fill_image(Kernels&);
void fill_index(Kernels&);
void fill_layout(Kernels&);
void fill_limits(Kernels&);
void fill_loss(Kernels&);
void fill_norm(Kernels&);
void fill_optim(Kernels&);
void fill_pool(Kernels&);
void fill_random(Kernels&);
void fill_reduce(Kernels&);
void fill_rnn(Kernels&);
void fill_scan(Kernels&);
void fill_softmax(Kernels&);
void fill_sort(Kernels&);

void fill_kernels(Kernels&);
void fill_kernels(Kernels& k) {
  fill_gemm(k);
  fill_attention(k);
  fill_conv(k);
  fill_elementwise(k);
  fill_image(k);
  fill_index(k);
  fill_layout(k);
  fill_limits(k);
  fill_loss(k);
  fill_norm(k);
  fill_optim(k);
  fill_pool(k);
  fill_random(k);
  fill_reduce(k);
  fill_rnn(k);
  fill_scan(k);
  fill_softmax(k);
  fill_sort(k);
}

}  // namespace MIELINA_ISA
}  // namespace mielina
