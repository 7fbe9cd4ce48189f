// The catalogue: one typed function pointer a kernel, one struct a family. Each CPU level fills a table, and so does
// CUDA; nullptr means "this device has no such kernel".
#pragma once
#include "table/attention.h"
#include "table/conv.h"
#include "table/elementwise.h"
#include "table/gemm.h"
#include "table/image.h"
#include "table/index.h"
#include "table/layout.h"
#include "table/limits.h"
#include "table/loss.h"
#include "table/norm.h"
#include "table/optim.h"
#include "table/pool.h"
#include "table/random.h"
#include "table/reduce.h"
#include "table/rnn.h"
#include "table/scan.h"
#include "table/softmax.h"
#include "table/sort.h"

namespace mielina {

struct Kernels : AttentionTable,
                 ConvTable,
                 ElementwiseTable,
                 GemmTable,
                 ImageTable,
                 IndexTable,
                 LayoutTable,
                 LimitsTable,
                 LossTable,
                 NormTable,
                 OptimTable,
                 PoolTable,
                 RandomTable,
                 ReduceTable,
                 RnnTable,
                 ScanTable,
                 SoftmaxTable,
                 SortTable {};

}  // namespace mielina
