"""What all optimisers share: parameter groups, state, and the numbers that kernels read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _core, dtypes
from ..capture import refreshers
from ..tensor import Tensor

# Slots of the `hyper` array, in the order of `Hyper` in csrc/table/optim.h.
HYPER = ("lr", "step", "beta1", "beta2", "eps", "weight_decay", "momentum", "dampening", "alpha", "lr_decay")


class Optimizer:
    """Base class. `param_groups[i]["lr"] = v` acts on the next step, also on a captured one."""

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        self._hyper: list[tuple[Tensor, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for g in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(g)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Adds {"params": [...], **settings}; settings that are missing take the defaults. ValueError for a parameter twice."""
        given = group["params"]
        params = [given] if isinstance(given, Tensor) else list(given)
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer: parameters must be Tensors, got {type(p).__name__}")
            if p._node is not None:
                raise ValueError("optimizer: cannot optimise a tensor that is not a leaf")
            if id(p) in known:
                raise ValueError("optimizer: a parameter appears in more than one group")
            known.add(id(p))
        self.param_groups.append({**self.defaults, **group, "params": params})
        hyper = _core.empty((len(HYPER),), dtypes.float64)
        _core.fill_(hyper, 0)
        self._hyper.append((hyper, hyper.numpy()))

    def _numbers(self, group: dict[str, Any]) -> dict[str, float]:
        """The slots of `hyper` that this optimiser's kernel reads, from a group."""
        raise NotImplementedError

    def _write_hyper(self) -> None:
        for group, (_, array) in zip(self.param_groups, self._hyper):
            for name, value in self._numbers(group).items():
                array[HYPER.index(name)] = value

    def _begin(self) -> None:
        """Before the kernels of a step: their numbers, now and at each replay."""
        self._write_hyper()
        if _core.recording():
            refreshers.append(self._write_hyper)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients (or fills them with zeros)."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    _core.fill_(p._grad, 0)

    def step(self, closure: Any = None) -> Any:
        raise NotImplementedError
