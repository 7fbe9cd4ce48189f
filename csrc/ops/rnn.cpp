#include "ops/rnn.h"

#include <algorithm>

#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/reduce.h"

namespace mielina::ops {
namespace {

const char* const kName = "rnn";

struct Mode {
  const char* name;
  Recurrence kind;
  int64_t gates;
};
constexpr Mode kModes[] = {{"RNN_TANH", Recurrence::rnn_tanh, 1},
                           {"RNN_RELU", Recurrence::rnn_relu, 1},
                           {"LSTM", Recurrence::lstm, 4},
                           {"GRU", Recurrence::gru, 3}};

Mode mode_of(const std::string& name) {
  for (const Mode& m : kModes)
    if (name == m.name) return m;
  fail(Kind::Value, kName, ": unknown mode '", name, "'; expected RNN_TANH, RNN_RELU, LSTM or GRU");
}

void expect(const Array& a, const Dims& shape, DType dtype, const char* what) {
  check(a.dims() == shape, Kind::Runtime, kName, ": expected ", what, " of shape ", text(shape), ", got ",
        text(a.dims()));
  check(a.dtype == dtype, Kind::Runtime, kName, ": expected ", what, " of dtype ", name_of(dtype), ", got ",
        name_of(a.dtype));
}

// The number of rows of each step, checked: (T) int64. Without packing one number, repeated.
Array step_sizes(const Array& x, const MaybeArray& sizes, int64_t N) {
  if (!sizes) {
    Array one = empty(Dims{1}, DType::i64);
    fill(one, Number{double(N), N, true});
    return as_strided(one, Dims{x.shape[0]}, Dims{0}, 0);
  }
  check(sizes->ndim == 1 && sizes->dtype == DType::i64, Kind::Runtime, kName, ": batch_sizes must be one row of int64");
  const Array host = on_host(*sizes);
  int64_t before = N, rows = 0;
  for (int64_t t = 0; t < sizes->shape[0]; t++) {
    const int64_t n = read<int64_t>(host, t);
    check(n > 0 && n <= before && (t > 0 || n == N), Kind::Runtime, kName,
          ": batch_sizes must start with the number of samples (", N, "), be positive and never grow, got ", n,
          " at step ", t);
    rows += n;
    before = n;
  }
  check(rows == x.shape[0], Kind::Runtime, kName, ": batch_sizes add up to ", rows, ", but the data has ", x.shape[0],
        " rows");
  return to_device(*sizes, x.device());
}

Array rows_contiguous(const Array& w) { return w.shape[1] <= 1 || w.stride[1] == 1 ? w : contiguous(w); }

// The layer's sizes and its weights by direction, all checked.
struct Layer {
  Mode mode;
  int64_t D, N, R, I, H, P;
  bool bias, projected;
  Array x, sizes;  // x: (R, I)
  std::vector<Array> weights;

  const Array& weight(int64_t d, size_t i) const { return weights[size_t(d) * (weights.size() / size_t(D)) + i]; }
  const Array& w_ih(int64_t d) const { return weight(d, 0); }
  const Array& w_hh(int64_t d) const { return weight(d, 1); }
  MaybeArray w_hr(int64_t d) const { return projected ? MaybeArray(weight(d, bias ? 4 : 2)) : MaybeArray(); }
  RnnArgs args(int64_t d) const { return {mode.kind, d == 1}; }
  int64_t width() const { return mode.gates * H; }
  bool lstm() const { return mode.kind == Recurrence::lstm; }
  bool gru() const { return mode.kind == Recurrence::gru; }
  // Whether the kernel makes the input's products step by step, too.
  bool fused() const { return I > 0 && N >= 16 && (I + P) * width() <= 256 * 1024; }
};

Layer layer(const std::string& name, const Array& x, const Array& h0, const MaybeArray& c0,
            const std::vector<Array>& weights, bool bias, const MaybeArray& sizes) {
  Layer l;
  l.mode = mode_of(name);
  check(x.dtype == DType::f32 || x.dtype == DType::f64, Kind::Runtime, kName, ": expected float32 or float64, got ",
        name_of(x.dtype));
  check(x.ndim == (sizes ? 2 : 3), Kind::Runtime, kName, ": expected an input of ",
        sizes ? "2 dimensions (rows, I)" : "3 dimensions (T, N, I)", ", got ", text(x.dims()));
  check(h0.ndim == 3 && (h0.shape[0] == 1 || h0.shape[0] == 2), Kind::Runtime, kName,
        ": expected a state of shape (directions, N, hidden), got ", text(h0.dims()));
  l.D = h0.shape[0];
  l.N = h0.shape[1];
  l.bias = bias;
  const size_t each = weights.size() / size_t(l.D), plain = bias ? 4 : 2;
  l.projected = each == plain + 1;
  check(weights.size() == each * size_t(l.D) && (each == plain || (l.projected && l.lstm())), Kind::Runtime, kName,
        ": expected ", plain, " weights for each direction", l.lstm() ? " (one more with a projection)" : "", ", got ",
        weights.size(), " for ", l.D);
  check(weights[0].ndim == 2 && weights[1].ndim == 2 && weights[1].shape[0] % l.mode.gates == 0, Kind::Runtime, kName,
        ": expected weights of shapes (", l.mode.gates, " H, I) and (", l.mode.gates, " H, H)");
  l.I = weights[0].shape[1];
  l.H = weights[1].shape[0] / l.mode.gates;
  l.P = l.projected ? weights[1].shape[1] : l.H;
  check(x.shape[x.ndim - 1] == l.I, Kind::Runtime, kName, ": input.size(-1) must be equal to input_size. Expected ",
        l.I, ", got ", x.shape[x.ndim - 1]);
  for (int64_t d = 0; d < l.D; d++) {
    const Array* w = weights.data() + size_t(d) * each;
    expect(w[0], Dims{l.width(), l.I}, x.dtype, "w_ih");
    expect(w[1], Dims{l.width(), l.P}, x.dtype, "w_hh");
    for (size_t i = 2; i < plain; i++) expect(w[i], Dims{l.width()}, x.dtype, i == 2 ? "b_ih" : "b_hh");
    if (l.projected) expect(w[plain], Dims{l.P, l.H}, x.dtype, "w_hr");
  }
  for (const Array& w : weights) l.weights.push_back(w.ndim == 2 ? rows_contiguous(w) : contiguous(w));
  check(sizes || x.shape[1] == l.N, Kind::Runtime, kName, ": expected a state of ", sizes ? 0 : x.shape[1],
        " samples, got ", l.N);
  expect(h0, Dims{l.D, l.N, l.P}, x.dtype, "h0");
  if (l.lstm()) {
    check(c0.has_value(), Kind::Runtime, kName, ": an LSTM needs c0");
    expect(*c0, Dims{l.D, l.N, l.H}, x.dtype, "c0");
  }
  l.R = sizes ? x.shape[0] : x.shape[0] * l.N;
  l.sizes = step_sizes(x, sizes, l.N);
  l.x = reshape(x, Dims{l.R, l.I});
  return l;
}

// c = or += a b + bias
void product(const Array& c, const Array& a, const Array& b, const MaybeArray& bias, bool accumulate) {
  Cost cost;
  cost.flops = 2.0 * double(c.numel()) * double(a.shape[1]);
  cost.workspace = workspace_of<&Kernels::gemm_workspace>(c.device(), c.view(), a.view(), b.view());
  launch<&Kernels::gemm>("rnn_product", cost, out(c), in(a), in(b), in(bias), GemmArgs{accumulate});
}

Array turned(const Array& x) { return transpose(x, 0, 1); }
Array part(const Array& x, int64_t d) { return select(x, 0, d); }
Array none(DType dtype) { return empty(Dims{0}, dtype); }

Array copy_of(const MaybeArray& from, const Dims& shape, DType dtype) {
  Array to = empty(shape, dtype);
  if (from) copy_into(to, *from);
  else fill(to, Number{0, 0, true});
  return to;
}

// What is added to W_ih x before the recurrence: both biases, but of GRU's b_hh not the part that the reset acts on.
MaybeArray input_bias(const Layer& l, int64_t d) {
  if (!l.bias) return {};
  Array sum = clone(l.weight(d, 2));
  const int64_t n = l.gru() ? 2 * l.H : l.width();
  const Array hidden = slice(l.weight(d, 3), 0, 0, n, 1);
  binary_into(Binary::add, slice(sum, 0, 0, n, 1), Operand{&hidden, {}, {}});
  return sum;
}

// The gradients of one direction's biases.
void bias_gradients(const Layer& l, const Array& dgates, const Array& dhidden, std::vector<Array>& to) {
  if (!l.bias) return;
  to.push_back(sum_to(dgates, Dims{l.width()}));
  to.push_back(l.gru() ? sum_to(dhidden, Dims{l.width()}) : clone(to.back()));
}

}  // namespace

std::vector<Array> rnn_layer(const std::string& mode, const Array& x, const Array& h0, const MaybeArray& c0,
                             const std::vector<Array>& weights, bool bias, const MaybeArray& sizes, bool keep) {
  const Layer l = layer(mode, x, h0, c0, weights, bias, sizes);
  const DType dtype = x.dtype;
  const bool fused = l.fused();
  const Array input = rows_contiguous(l.x);
  const int64_t rows = keep || !fused ? l.R : 0;
  Array y = empty(Dims{l.R, l.D * l.P}, dtype), h = copy_of(h0, h0.dims(), dtype);
  Array c = l.lstm() ? copy_of(c0, c0->dims(), dtype) : none(dtype);
  Array gates = empty(Dims{l.D, rows, l.width()}, dtype);
  Array cells = l.lstm() || l.gru() ? empty(Dims{l.D, rows, l.H}, dtype) : none(dtype);
  for (int64_t d = 0; d < l.D; d++) {
    const Array g = part(gates, d), hd = part(h, d), cd = l.lstm() ? part(c, d) : c;
    MaybeArray b = input_bias(l, d), w_ih;
    if (fused) {
      w_ih = l.w_ih(d);
    } else {
      if (b) b = expand(*b, Dims{l.R, l.width()}, kName);
      product(g, input, turned(l.w_ih(d)), b, false);
      b.reset();
    }
    const MaybeArray b_hn = l.gru() && bias ? MaybeArray(slice(l.weight(d, 3), 0, 2 * l.H, 3 * l.H, 1)) : MaybeArray();
    const MaybeArray w_hr = l.w_hr(d);
    Cost cost;
    cost.flops = 2.0 * double(l.R) * double(l.width()) * double(fused ? l.I + l.P : l.P);
    cost.workspace = workspace_of<&Kernels::rnn_workspace>(x.device(), hd.view(), w_ih ? w_ih->view() : View{},
                                                           l.w_hh(d).view(), w_hr ? w_hr->view() : View{}, l.args(d));
    launch<&Kernels::rnn>(kName, cost, out(slice(y, 1, d * l.P, (d + 1) * l.P, 1)), out(hd), out(cd), out(g),
                          out(cells.ndim == 3 ? part(cells, d) : cells), in(input), in(w_ih), in(b), in(l.w_hh(d)),
                          in(b_hn), in(w_hr), in(l.sizes), l.args(d));
  }
  Dims shape = x.dims();
  shape[shape.n - 1] = l.D * l.P;
  return {*try_view(y, shape), h, c, gates, cells};
}

std::vector<Array> rnn_layer_backward(const std::string& mode, const MaybeArray& gy, const MaybeArray& gh,
                                      const MaybeArray& gc, const Array& x, const Array& h0, const MaybeArray& c0,
                                      const std::vector<Array>& weights, bool bias, const MaybeArray& sizes,
                                      const Array& y, const Array& gates, const Array& cells, bool need_x) {
  const Layer l = layer(mode, x, h0, c0, weights, bias, sizes);
  const DType dtype = x.dtype;
  const bool has_cells = l.lstm() || l.gru();
  expect(gates, Dims{l.D, l.R, l.width()}, dtype, "gates");
  expect(cells, has_cells ? Dims{l.D, l.R, l.H} : Dims{0}, dtype, "cells");
  check(is_contiguous(gates) && is_contiguous(cells) && is_contiguous(y) && y.numel() == l.R * l.D * l.P &&
            y.dtype == dtype,
        Kind::Value, kName, ": saved arrays do not belong to this layer");
  if (gy) expect(*gy, y.dims(), dtype, "the gradient of the output");
  const Array rows = *try_view(y, Dims{l.R, l.D * l.P}), first = contiguous(h0);
  const MaybeArray g = gy ? MaybeArray(rows_contiguous(reshape(*gy, Dims{l.R, l.D * l.P}))) : MaybeArray();
  const Array first_c = l.lstm() ? contiguous(*c0) : none(dtype);
  Array dx = need_x ? empty(x.dims(), dtype) : none(dtype), dh = copy_of(gh, h0.dims(), dtype);
  Array dc = l.lstm() ? copy_of(gc, c0->dims(), dtype) : none(dtype);
  std::vector<Array> result{dx, dh, dc};
  Array dgates = empty(Dims{l.R, l.width()}, dtype), dhidden = l.gru() ? empty(dgates.dims(), dtype) : none(dtype);
  // [x h]: the gradients of W_ih and W_hh are one product, which packs dgates once; not GRU's, where they differ.
  Array inputs = l.gru() ? l.x : empty(Dims{l.R, l.I + l.P}, dtype);
  if (!l.gru() && l.I > 0) copy_into(slice(inputs, 1, 0, l.I, 1), l.x);
  Array prev = l.gru() ? empty(Dims{l.R, l.P}, dtype) : slice(inputs, 1, l.I, l.I + l.P, 1);
  Array dproj = l.projected ? empty(prev.dims(), dtype) : none(dtype);
  Array full = l.projected ? empty(Dims{l.R, l.H}, dtype) : none(dtype);
  for (int64_t d = 0; d < l.D; d++) {
    auto columns = [&](const Array& a) { return slice(a, 1, d * l.P, (d + 1) * l.P, 1); };
    auto state = [&](const Array& a) { return a.ndim == 3 ? part(a, d) : a; };
    const MaybeArray w_hr = l.w_hr(d);
    Cost cost;
    cost.flops = 2.0 * double(l.R) * double(l.width()) * double(l.P);
    cost.workspace = workspace_of<&Kernels::rnn_backward_workspace>(x.device(), state(first).view(), l.w_hh(d).view(),
                                                                    w_hr ? w_hr->view() : View{}, l.args(d));
    launch<&Kernels::rnn_backward>("rnn_backward", cost, out(dgates), out(dhidden), out(state(dh)), out(state(dc)),
                                   out(prev), out(dproj), out(full), in(g ? MaybeArray(columns(*g)) : MaybeArray()),
                                   in(state(gates)), in(state(cells)), in(columns(rows)), in(state(first)),
                                   in(state(first_c)), in(l.w_hh(d)), in(w_hr), in(l.sizes), l.args(d));
    Array dw = empty(Dims{l.width(), inputs.shape[1]}, dtype);
    product(dw, turned(dgates), inputs, {}, false);
    result.push_back(l.gru() ? dw : contiguous(slice(dw, 1, 0, l.I, 1)));
    if (l.gru()) {
      result.push_back(empty(l.w_hh(d).dims(), dtype));
      product(result.back(), turned(dhidden), prev, {}, false);
    } else {
      result.push_back(contiguous(slice(dw, 1, l.I, l.I + l.P, 1)));
    }
    bias_gradients(l, dgates, dhidden, result);
    if (l.projected) {
      result.push_back(empty(Dims{l.P, l.H}, dtype));
      product(result.back(), turned(dproj), full, {}, false);
    }
    if (need_x) product(*try_view(dx, Dims{l.R, l.I}), dgates, l.w_ih(d), {}, d > 0);
  }
  return result;
}

// ---- CTC ------------------------------------------------------------------------------------------------------------
namespace {

// Where each target starts in the row of all of them, and the longest one; every number that the kernel follows is
// checked. All on x's device.
struct Targets {
  Array row, start, lengths, steps;
  int64_t longest;
};

Targets check_ctc(const Array& x, const Array& targets, const Array& input_lengths, const Array& target_lengths,
                  int64_t blank) {
  const char* const name = "ctc_loss";
  check(x.ndim == 3 && is_floating(x.dtype), Kind::Runtime, name, ": expected floating log_probs (T, N, C), got ",
        name_of(x.dtype), " ", text(x.dims()));
  const int64_t T = x.shape[0], N = x.shape[1], C = x.shape[2];
  check(blank >= 0 && blank < C, Kind::Runtime, name, ": blank must be in label range [0, ", C, "), got ", blank);
  for (const Array* a : {&input_lengths, &target_lengths})
    check(a->ndim == 1 && a->shape[0] == N && a->dtype == DType::i64, Kind::Runtime, name,
          ": expected int64 lengths of shape (", N, ",), got ", name_of(a->dtype), " ", text(a->dims()));
  check(targets.dtype == DType::i64 && (targets.ndim == 1 || (targets.ndim == 2 && targets.shape[0] == N)),
        Kind::Runtime, name, ": expected int64 targets of shape (", N, ", S) or in one row, got ",
        name_of(targets.dtype), " ", text(targets.dims()));
  check(targets.ndim == 2 || !recording(), Kind::Runtime, name,
        ": in a captured step targets must be (N, S), not in one row");
  const Array row = on_host(reshape(targets, Dims{targets.numel()})), all_steps = on_host(input_lengths),
              lengths = on_host(target_lengths);
  On host(0);
  // Memory of its own: a replay does not write it anew.
  const bool suspended = record_suspend();
  Array starts = empty(Dims{N}, DType::i64);
  if (suspended) record_resume();
  int64_t at = 0, longest = 0;
  for (int64_t n = 0; n < N; n++) {
    const int64_t steps = read<int64_t>(all_steps, n), length = read<int64_t>(lengths, n);
    check(steps >= 0 && steps <= T, Kind::Runtime, name, ": expected input_lengths to have value at most ", T,
          ", but got ", steps, " for sample ", n);
    const int64_t room = targets.ndim == 2 ? targets.shape[1] : targets.numel() - at;
    check(length >= 0 && length <= room, Kind::Runtime, name, ": target_lengths: ", length, " for sample ", n,
          " where the targets have ", room);
    const int64_t start = targets.ndim == 2 ? n * targets.shape[1] : at;
    reinterpret_cast<int64_t*>(starts.data())[n] = start;
    for (int64_t s = 0; s < length; s++) {
      const int64_t label = read<int64_t>(row, start + s);
      check(label >= 0 && label < C, Kind::Runtime, name, ": target ", label, " of sample ", n, " is not in [0, ", C,
            ")");
    }
    at += length;
    longest = std::max(longest, length);
  }
  if (recording()) longest = targets.shape[1];  // of any replay
  check(targets.ndim == 2 || at == targets.numel(), Kind::Runtime, name, ": target_lengths add up to ", at,
        ", but there are ", targets.numel(), " targets");
  auto there = [&](const Array& a) { return to_device(a, x.device()); };
  return {there(row), there(starts), there(lengths), there(all_steps), longest};
}

Cost ctc_cost(const Array& alpha, const Array& x) {
  Cost cost;
  cost.flops = 60.0 * double(alpha.numel());
  cost.workspace = workspace_of<&Kernels::ctc_workspace>(x.device(), alpha.view(), x.view());
  return cost;
}

}  // namespace

std::pair<Array, Array> ctc(const Array& x, const Array& targets, const Array& input_lengths,
                            const Array& target_lengths, int64_t blank, bool zero_infinity) {
  const Targets t = check_ctc(x, targets, input_lengths, target_lengths, blank);
  const DType dtype = compute_type(x.dtype);
  Array nll = empty(Dims{x.shape[1]}, dtype), alpha = empty(Dims{x.shape[1], x.shape[0], 2 * t.longest + 3}, dtype);
  launch<&Kernels::ctc>("ctc_loss", ctc_cost(alpha, x), out(nll), out(alpha), in(x), in(t.row), in(t.start),
                        in(t.lengths), in(t.steps), blank, zero_infinity);
  return {nll, alpha};
}

Array ctc_backward(const Array& g, const Array& alpha, const Array& x, const Array& targets, const Array& input_lengths,
                   const Array& target_lengths, int64_t blank, bool zero_infinity) {
  const Targets t = check_ctc(x, targets, input_lengths, target_lengths, blank);
  const DType dtype = compute_type(x.dtype);
  check(alpha.dtype == dtype && g.dims() == Dims{x.shape[1]} && is_contiguous(alpha) &&
            alpha.dims() == Dims{x.shape[1], x.shape[0], 2 * t.longest + 3},
        Kind::Value, "ctc_backward: saved arrays do not belong to this loss");
  Array dx = empty_like(x);
  launch<&Kernels::ctc_backward>("ctc_backward", ctc_cost(alpha, x), out(dx), in(g), in(alpha), in(x), in(t.row),
                                 in(t.start), in(t.lengths), in(t.steps), blank, zero_infinity);
  return dx;
}

}  // namespace mielina::ops
