#include "ops/rnn.h"

#include "bind/families.h"
#include "bind/fast.h"

namespace mielina::bind {

void add_rnn(PyObject* m) {
  def<&ops::rnn_layer>(m, "rnn_layer", "mode, x, h0, c0, weights, bias, sizes, keep");
  def<&ops::rnn_layer_backward>(m, "rnn_layer_backward",
                                "mode, gy, gh, gc, x, h0, c0, weights, bias, sizes, y, gates, cells, need_x");
  def<&ops::ctc>(m, "ctc", "x, targets, input_lengths, target_lengths, blank, zero_infinity");
  def<&ops::ctc_backward>(m, "ctc_backward",
                          "g, alpha, x, targets, input_lengths, target_lengths, blank, zero_infinity");
}

}  // namespace mielina::bind
