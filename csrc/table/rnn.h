// rnn: recurrent sequences: RNN, LSTM, GRU.
#pragma once
#include "core/view.h"

namespace mielina {

struct RnnTable {};

}  // namespace mielina
