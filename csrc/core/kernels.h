// The catalogue: one typed function pointer a kernel, one struct a family. Each CPU level fills a table, and so does CUDA;
// nullptr means "this device has no such kernel".
#pragma once
#include "table/conv.h"
#include "table/elementwise.h"
#include "table/gemm.h"
#include "table/optim.h"
#include "table/random.h"
#include "table/reduce.h"
#include "table/softmax.h"

namespace mielina {

struct Kernels : ElementwiseTable, ReduceTable, GemmTable, ConvTable, SoftmaxTable, RandomTable, OptimTable {};

}  // namespace mielina
