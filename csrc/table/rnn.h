// rnn: recurrent sequences, and CTC. One launch is one layer in one direction over all steps. T steps, N samples, H
// hidden, P the size of h (H, or the projection), G gates: 1 of RNN, 4 of LSTM (i f g o), 3 of GRU (r z n).
//
// Sequences are packed: step t holds the rows of samples 0 ... sizes_t - 1, R rows in all, and sizes never grow. sizes:
// (T) i64, stride 0 where all are N. All arrays are of one dtype, f32 or f64.
#pragma once
#include "core/view.h"

namespace mielina {

enum class Recurrence : int32_t { rnn_tanh, rnn_relu, lstm, gru };

struct RnnArgs {
  Recurrence mode;
  bool reverse;  // from each sample's last step to its first
};

struct RnnTable {
  // y: (R, P), contiguous rows. h: (N, P), c: (N, H; LSTM only), contiguous: the first state, left as the last one.
  // gates: (R, G H) contiguous, the gates after their nonlinearity; cells: (R, H) contiguous: LSTM's c, GRU's W_hn h +
  // b_hn. With w_ih (G H, I), x is (R, I) and bias (G H) or data == nullptr, and gates and cells may have no rows: they
  // are not kept. Without it gates hold W_ih x + bias on entry. w_hh: (G H, P), w_hr: (P, H) or data == nullptr; all
  // with contiguous rows. b_hn: (H) or data == nullptr, GRU only.
  void (*rnn)(const Ctx&, const View& y, const View& h, const View& c, const View& gates, const View& cells,
              const View& x, const View& w_ih, const View& bias, const View& w_hh, const View& b_hn, const View& w_hr,
              const View& sizes, RnnArgs) noexcept;
  int64_t (*rnn_workspace)(const Ctx&, const View& h, const View& w_ih, const View& w_hh, const View& w_hr,
                           RnnArgs) noexcept;

  // dgates: (R, G H), the gradient of what `rnn` found in gates; dhidden: (R, 3 H), GRU only: that of W_hh h + b_hh.
  // dh, dc: gradients of the last state on entry, of the first on return. prev: (R, P), the h that entered each step.
  // With a projection, dproj: (R, P), the gradient of its result, and full: (R, H), what it was applied to. g: (R, P),
  // contiguous rows, or data == nullptr. Assigns.
  void (*rnn_backward)(const Ctx&, const View& dgates, const View& dhidden, const View& dh, const View& dc,
                       const View& prev, const View& dproj, const View& full, const View& g, const View& gates,
                       const View& cells, const View& y, const View& h0, const View& c0, const View& w_hh,
                       const View& w_hr, const View& sizes, RnnArgs) noexcept;
  int64_t (*rnn_backward_workspace)(const Ctx&, const View& h, const View& w_hh, const View& w_hr, RnnArgs) noexcept;

  // nll: (N), minus the logarithm of the probability of all paths that spell target n; +inf if there are none. x: (T,
  // N, C) log probabilities, any strides; all targets stand one after the other in target, start_n and length_n say
  // where (i64, (N)); only steps t < steps_n count. alpha: (N, T, 2 S + 3) contiguous, S the longest target, saved. nll
  // and alpha are f32, or f64 for f64. zero_infinity: +inf becomes 0. Graves et al. 2006, equations 5 to 8.
  void (*ctc)(const Ctx&, const View& nll, const View& alpha, const View& x, const View& target, const View& start,
              const View& length, const View& steps, int64_t blank, bool zero_infinity) noexcept;
  // dx like x, of its dtype: -g_n times the expected number of times that a path is in class c at step t. Assigns;
  // steps that do not count get zeros, and so does, if zero_infinity, a sample without a path.
  void (*ctc_backward)(const Ctx&, const View& dx, const View& g, const View& alpha, const View& x, const View& target,
                       const View& start, const View& length, const View& steps, int64_t blank,
                       bool zero_infinity) noexcept;
  int64_t (*ctc_workspace)(const Ctx&, const View& alpha, const View& x) noexcept;
};

}  // namespace mielina
