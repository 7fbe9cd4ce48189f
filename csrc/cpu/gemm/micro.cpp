// The micro-kernels' one copy a level; see gemm/micro.h.
#include "cpu/gemm/micro.h"

namespace mielina {
namespace MIELINA_ISA {

template <class Op, bool Packed>
const MicroTable<Op, Packed> MicroKernels<Op, Packed>::table{};

#if MIELINA_V256 || MIELINA_V512
namespace {
template <int... I>
constexpr ThreeKernels three_kernels(Indices<I...>) {
  return {{{micro<ThreeVectors, I + ThreeKernels::kFewest, 3, false>}...}};
}
}  // namespace
const ThreeKernels ThreeKernels::table = three_kernels(IndicesTo<ThreeVectors::MR - ThreeKernels::kFewest + 1>::type{});
#endif

template struct MicroKernels<Plain<float>, true>;
template struct MicroKernels<Plain<float>, false>;
template struct MicroKernels<Plain<double>, true>;
template struct MicroKernels<Plain<double>, false>;
template struct MicroKernels<Plain<uint32_t>, true>;
template struct MicroKernels<Plain<uint32_t>, false>;
template struct MicroKernels<Plain<uint64_t>, true>;
template struct MicroKernels<Plain<uint64_t>, false>;
#if MIELINA_REAL512
template struct MicroKernels<Bf16Pair, true>;
#endif

}  // namespace MIELINA_ISA
}  // namespace mielina
