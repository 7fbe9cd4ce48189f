// attention ops: heads of any leading shape become the kernel's (B, H, G, L, E) views.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// (y, lse). q: (..., L, E), k: (..., S, E), v: (..., S, F); leading dims broadcast, or with `grouped` each head of k
// and v serves a run of q's. key: a generator's key, wanted if dropout > 0.
std::pair<Array, Array> attention(const Array& q, const Array& k, const Array& v, const MaybeArray& mask,
                                  const MaybeArray& key, double scale, bool causal, double dropout, bool grouped);
// (dq, dk, dv), with the leading dims after broadcasting.
std::tuple<Array, Array, Array> attention_backward(const Array& g, const Array& q, const Array& k, const Array& v,
                                                   const MaybeArray& mask, const MaybeArray& key, const Array& y,
                                                   const Array& lse, double scale, bool causal, double dropout,
                                                   bool grouped);

}  // namespace mielina::ops
