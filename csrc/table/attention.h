// attention: scaled dot-product attention. B batch, H heads of k and v, G heads of q to each of them, L queries, S
// keys, E size of a query and a key, F size of a value.
#pragma once
#include "core/view.h"

namespace mielina {

struct AttentionArgs {
  double scale;
  bool causal;     // query i sees keys j <= i
  double dropout;  // of the probabilities: ((b H G + head) L + i) S + j is the index in the key's stream
};

struct AttentionTable {
  // y_i = sum_j p_ij v_j, p_ij = softmax_j(scale q_i k_j + mask_ij). A row in which nothing may take part gives zeros.
  // y: (B, H, G, L, F), q: (B, H, G, L, E), k: (B, H, S, E), v: (B, H, S, F), any strides, one dtype; halves accumulate
  // in f32. mask: (B, H, G, L, S), any strides, bool (true takes part), q's dtype or its accumulator's, or data ==
  // nullptr. key: see random.h, or data == nullptr. lse: (B, H, G, L) f32 or f64, contiguous, saved: logsumexp of the
  // scores in the kernel's own base, +inf for a row without any.
  void (*attention)(const Ctx&, const View& y, const View& lse, const View& q, const View& k, const View& v,
                    const View& mask, const View& key, AttentionArgs) noexcept;
  int64_t (*attention_workspace)(const Ctx&, const View& q, const View& k, const View& v) noexcept;

  // dq, dk, dv: like q, k, v; g: like y. Assigns. The sums over queries are cut by the shape alone.
  void (*attention_backward)(const Ctx&, const View& dq, const View& dk, const View& dv, const View& g, const View& q,
                             const View& k, const View& v, const View& mask, const View& key, const View& y,
                             const View& lse, AttentionArgs) noexcept;
  int64_t (*attention_backward_workspace)(const Ctx&, const View& q, const View& k, const View& v) noexcept;
};

}  // namespace mielina
