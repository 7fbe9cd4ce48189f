"""Recurrent layers and cells; the sequence kernels stand in ops/rnn.py."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .. import _core
from ..devices import made_on
from ..ops import rnn as kernels
from ..tensor import Tensor, check_tensors
from . import init
from .linear import parameter
from .module import Module
from .utils.rnn import PackedSequence


class RNNBase(Module):
    """What RNN, LSTM and GRU share. Parameters of layer k: weight_ih_lk (gates, in), weight_hh_lk (gates, hidden),
    bias_ih_lk, bias_hh_lk, with proj_size weight_hr_lk; those of the reverse direction end in _reverse.
    """

    mode: str
    gates: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers=1",
                stacklevel=3 if self.mode == "LSTM" else 5,  # RNN and GRU come here from an __init__ of their own
            )
        if not isinstance(hidden_size, int):
            raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        rows, out = self.gates * hidden_size, proj_size or hidden_size
        self._names: list[str] = []
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * (1 + bidirectional)
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse") if bidirectional else ("",):
                for name, shape in shapes.items():
                    self._names.append(f"{name}_l{layer}{suffix}")
                    setattr(self, self._names[-1], parameter(*shape, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._names]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters, one list a layer and direction."""
        n = len(self._names) // (self.num_layers * (1 + self.bidirectional))
        weights = self._flat_weights
        return [weights[i : i + n] for i in range(0, len(weights), n)]

    def flatten_parameters(self) -> None:
        """Nothing to do: the kernels read the weights where they lie."""

    def _run(self, input: Tensor, hx: Any, batch_first: bool, batch_sizes: Tensor | None = None) -> tuple[Tensor, Any]:
        """The kernel of this kind of layer; hx is a tuple for the LSTM, else a tensor."""
        raise NotImplementedError

    def _states(self) -> tuple[int, ...]:
        """The widths of the states: (hidden,), or (projected, hidden) for the LSTM."""
        return (self.hidden_size,)

    def _zeros(self, batch: int, like: Tensor) -> Any:
        states = []
        for width in self._states():
            shape = (self.num_layers * (1 + self.bidirectional), batch, width)
            states.append(made_on(like, _core.empty, shape, like.dtype))
            _core.fill_(states[-1], 0)
        return self._pack_states(states)

    def _pack_states(self, states: list[Tensor]) -> Any:
        return states[0]

    def _unpack_states(self, hx: Any) -> list[Tensor]:
        return [hx]

    def _check(self, input: Tensor, hx: Any, batch: int | None) -> None:
        if not input.dtype.is_floating_point:
            raise ValueError(f"RNN input must be floating, got {input.dtype}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )
        states = self._unpack_states(hx)
        check_tensors(f"{type(self).__name__}: hidden state", *states)
        if len(states) != len(self._states()):
            raise ValueError(f"{type(self).__name__}: expected {len(self._states())} states, got {len(states)}")
        for state, width in zip(states, self._states()):
            layers = self.num_layers * (1 + self.bidirectional)
            expected = (layers, width) if batch is None else (layers, batch, width)
            if tuple(state.shape) != expected:
                raise RuntimeError(f"Expected hidden size {expected}, got {list(state.shape)}")

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """input: (T, N, in), (N, T, in) with batch_first, (T, in), or a PackedSequence. Returns the last layer's
        outputs at all times, and the final states of all layers."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        check_tensors(type(self).__name__, input)
        if input.ndim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        single = input.ndim == 2
        if single:
            if hx is not None:
                self._check(input, hx, None)
                hx = self._pack_states([s.unsqueeze(1) for s in self._unpack_states(hx)])
            input = input.unsqueeze(0 if self.batch_first else 1)
        batch = input.shape[0 if self.batch_first else 1]
        hx = self._zeros(batch, input) if hx is None else hx
        self._check(input, hx, batch)
        output, hx = self._run(input, hx, self.batch_first)
        if single:
            output = output.squeeze(0 if self.batch_first else 1)
            hx = self._pack_states([s.squeeze(1) for s in self._unpack_states(hx)])
        return output, hx

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        batch = int(input.batch_sizes.numpy()[0])
        hx = self._zeros(batch, input.data) if hx is None else self.permute_hidden(hx, input.sorted_indices)
        self._check(input.data, hx, batch)
        output, hx = self._run(input.data, hx, False, input.batch_sizes)
        return input._replace(data=output), self.permute_hidden(hx, input.unsorted_indices)

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        if permutation is None:
            return hx
        from ..ops import index_select

        return self._pack_states([index_select(s, 1, permutation) for s in self._unpack_states(hx)])

    def _settings(self, batch_first: bool) -> dict[str, Any]:
        return {
            "weights": self._flat_weights,
            "bias": self.bias,
            "num_layers": self.num_layers,
            "dropout": self.dropout,
            "training": self.training,
            "bidirectional": self.bidirectional,
            "batch_first": batch_first,
        }

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)}")
        return ", ".join(parts)


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), or relu. Source: Elman 1990.

    >>> output, h = nn.RNN(3, 5)(mi.ones(7, 2, 3))
    >>> output.shape
    (7, 2, 5)
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        self.nonlinearity = nonlinearity
        self.mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype=dtype)

    def _run(self, input: Tensor, hx: Any, batch_first: bool, batch_sizes: Tensor | None = None) -> tuple[Tensor, Any]:
        settings = self._settings(batch_first)
        return kernels.rnn(input, hx, nonlinearity=self.nonlinearity, batch_sizes=batch_sizes, **settings)


class GRU(RNNBase):
    """Gates r, z and candidate n: h_t = (1 - z) n + z h_(t-1). Source: Cho et al. 2014.

    >>> output, h = nn.GRU(3, 5)(mi.ones(7, 2, 3))
    >>> output.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    mode = "GRU"
    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype=dtype)

    def _run(self, input: Tensor, hx: Any, batch_first: bool, batch_sizes: Tensor | None = None) -> tuple[Tensor, Any]:
        return kernels.gru(input, hx, batch_sizes=batch_sizes, **self._settings(batch_first))


class LSTM(RNNBase):
    """Gates i, f, g, o: c_t = f c_(t-1) + i g, h_t = o tanh(c_t), projected with proj_size.

    Source: Hochreiter & Schmidhuber 1997.

    >>> output, (h, c) = nn.LSTM(3, 5, num_layers=2, batch_first=True)(mi.ones(2, 7, 3))
    >>> output.shape, h.shape
    ((2, 7, 5), (2, 2, 5))
    """

    mode = "LSTM"
    gates = 4

    def _states(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)

    def _pack_states(self, states: list[Tensor]) -> Any:
        return tuple(states)

    def _unpack_states(self, hx: Any) -> list[Tensor]:
        return list(hx)

    def _run(self, input: Tensor, hx: Any, batch_first: bool, batch_sizes: Tensor | None = None) -> tuple[Tensor, Any]:
        settings = self._settings(batch_first)
        y, h, c = kernels.lstm(input, hx, proj_size=self.proj_size, batch_sizes=batch_sizes, **settings)
        return y, (h, c)


class RNNCellBase(Module):
    """One step of one layer: a sequence of length 1."""

    gates: int
    nonlinearity: str = "tanh"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = self.gates * hidden_size
        self.weight_ih = parameter(rows, input_size, dtype=dtype)
        self.weight_hh = parameter(rows, hidden_size, dtype=dtype)
        self.bias_ih = parameter(rows, dtype=dtype) if bias else None
        self.bias_hh = parameter(rows, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    @property
    def _weights(self) -> Any:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _states(self, input: Tensor, states: list[Tensor | None]) -> list[Tensor]:
        """The states, zeros where there are none, after PyTorch's checks."""
        name = type(self).__name__
        check_tensors(name, input, *(s for s in states if s is not None))
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.shape[-1]}, expected {self.input_size}")
        full = []
        for s in states:
            if s is None:
                s = made_on(input, _core.empty, (*input.shape[:-1], self.hidden_size), input.dtype)
                _core.fill_(s, 0)
            elif s.ndim != input.ndim:
                raise ValueError(f"{name}: Expected hidden to be {input.ndim}D, got {s.ndim}D instead")
            elif s.shape[-1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden has inconsistent hidden_size: got {s.shape[-1]}, expected {self.hidden_size}"
                )
            full.append(s)
        return full

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        if self.nonlinearity != "tanh":
            parts.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(parts)


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype=dtype)
        if nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {nonlinearity}")
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        cell = kernels.rnn_tanh_cell if self.nonlinearity == "tanh" else kernels.rnn_relu_cell
        return cell(input, *self._states(input, [hx]), *self._weights)


class GRUCell(RNNCellBase):
    """One step of GRU.

    >>> nn.GRUCell(3, 5)(mi.ones(2, 3)).shape
    (2, 5)
    """

    gates = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return kernels.gru_cell(input, *self._states(input, [hx]), *self._weights)


class LSTMCell(RNNCellBase):
    """One step of LSTM; takes and returns (h, c).

    >>> h, c = nn.LSTMCell(3, 5)(mi.ones(2, 3))
    >>> h.shape
    (2, 5)
    """

    gates = 4

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = self._states(input, [None, None] if hx is None else list(hx))
        return kernels.lstm_cell(input, (h, c), *self._weights)
