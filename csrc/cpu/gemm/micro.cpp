// The micro-kernels' one copy a level; see gemm/micro.h.
#include "cpu/gemm/micro.h"

namespace mielina {
namespace MIELINA_ISA {

template <class Op, bool Packed>
const MicroTable<Op, Packed> MicroKernels<Op, Packed>::table{};

#if defined(MIELINA_GEMM_ONLY)
template struct MicroKernels<Bf16Pair, true>;
#else
template struct MicroKernels<Plain<float>, true>;
template struct MicroKernels<Plain<float>, false>;
template struct MicroKernels<Plain<double>, true>;
template struct MicroKernels<Plain<double>, false>;
template struct MicroKernels<Plain<uint32_t>, true>;
template struct MicroKernels<Plain<uint32_t>, false>;
template struct MicroKernels<Plain<uint64_t>, true>;
template struct MicroKernels<Plain<uint64_t>, false>;
#endif

}  // namespace MIELINA_ISA
}  // namespace mielina
