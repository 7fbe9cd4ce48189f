// rnn ops: a layer of a recurrent net over a whole sequence, and CTC.
#pragma once
#include "core/launch.h"

namespace mielina::ops {

// One layer. mode: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU". x: (T, N, I), or packed (R, I) with `sizes`, the number of
// rows of each step. h0: (D, N, P), c0: (D, N, H) for LSTM, D directions. weights: for each direction w_ih, w_hh, then
// b_ih and b_hh if `bias`, then w_hr if there is a projection. Float32 or float64. Returns y (like x, with D P
// columns), h_n, c_n (or an empty array), and what the gradient needs if `keep`: gates and cells.
std::vector<Array> rnn_layer(const std::string& mode, const Array& x, const Array& h0, const MaybeArray& c0,
                             const std::vector<Array>& weights, bool bias, const MaybeArray& sizes, bool keep);
// dx (empty unless need_x), dh0, dc0 (or an empty array), then the weights' gradients. gy, gh, gc: of y, h_n and c_n.
std::vector<Array> rnn_layer_backward(const std::string& mode, const MaybeArray& gy, const MaybeArray& gh,
                                      const MaybeArray& gc, const Array& x, const Array& h0, const MaybeArray& c0,
                                      const std::vector<Array>& weights, bool bias, const MaybeArray& sizes,
                                      const Array& y, const Array& gates, const Array& cells, bool need_x);

// (nll, alpha): see table/rnn.h. x: (T, N, C), targets: (N, S) or all in one row; lengths: (N) int64.
std::pair<Array, Array> ctc(const Array& x, const Array& targets, const Array& input_lengths,
                            const Array& target_lengths, int64_t blank, bool zero_infinity);
Array ctc_backward(const Array& g, const Array& alpha, const Array& x, const Array& targets, const Array& input_lengths,
                   const Array& target_lengths, int64_t blank, bool zero_infinity);

}  // namespace mielina::ops
