"""What all optimisers share: parameter groups, state, and the numbers that kernels read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .. import _core, dtypes
from ..autograd import enable_grad
from ..capture import outside, refreshers
from ..devices import made_on
from ..tensor import RemovableHandle, Tensor

# Slots of the `hyper` array and numbers of the rules: the order of `Hyper` and `OptimRule` in csrc/table/optim.h.
HYPER = ("lr", "beta1", "beta2", "eps", "weight_decay", "momentum", "dampening", "alpha", "lr_decay", "momentum_decay")
RULES = ("sgd", "adam", "adamax", "nadam", "radam", "rmsprop", "adagrad", "adadelta")

_SLOT = {name: i for i, name in enumerate(HYPER)}
_SCALARS = ("step", "mu_product", "eta", "mu")  # float32 whatever the parameter's dtype


class Optimizer:
    """Base class. `param_groups[i]["lr"] = v` acts on the next step, also on a captured one.

    A subclass sets `state[p]` (a dict a parameter) and overrides `step`.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor"
            )
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for g in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(g)

    def _check(self, group: dict[str, Any], **bounds: bool) -> None:
        for name, good in bounds.items():
            if not good:
                raise ValueError(f"{type(self).__name__}: invalid {name}: {group[name]}")

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Adds {"params": [...], **settings}; missing settings take the defaults. ValueError for a parameter twice."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f'a parameter group must be a dict with "params", got {group!r:.100}')
        given = group["params"]
        if isinstance(given, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections: a set has no order")
        params = [given] if isinstance(given, Tensor) else list(given)
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if p._node is not None:
                raise ValueError("can't optimize a non-leaf Tensor")
            if id(p) in known:
                raise ValueError("some parameters appear in more than one parameter group")
            known.add(id(p))
        self.param_groups.append(
            {"params": params, **self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients (or fills them with zeros)."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    p._grad = p._grad.detach()
                    _core.fill_(p._grad, 0)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; returns what closure() returned, if given."""
        raise NotImplementedError

    # ---- hooks -------------------------------------------------------------------------------------------------------
    def _with_hooks(self) -> dict[str, dict[int, Any]]:
        """The hooks of steps. The first one puts a step of its own over the class's: without hooks nothing is asked."""
        hooks: dict[str, dict[int, Any]] = self.__dict__.setdefault("_step_hooks", {"pre": {}, "post": {}})
        if "step" not in self.__dict__:
            plain = self.step

            def step(*args: Any, **kwargs: Any) -> Any:
                args = (self, *args)  # hooks see the optimiser among the arguments, as PyTorch's do
                for hook in list(hooks["pre"].values()):
                    changed = hook(self, args, kwargs)
                    args, kwargs = (args, kwargs) if changed is None else changed
                result = plain(*args[1:], **kwargs)
                for hook in list(hooks["post"].values()):
                    hook(self, args, kwargs)
                return result

            self.step = step  # type: ignore[method-assign]
        return hooks

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(optimizer, args, kwargs) before each step; a result that is not None replaces args and kwargs."""
        return RemovableHandle(self._with_hooks()["pre"], hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(optimizer, args, kwargs) after each step."""
        return RemovableHandle(self._with_hooks()["post"], hook)

    # ---- state dicts -------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {...}}, "param_groups": [...]}: parameters are numbered over all groups, as in PyTorch."""
        numbers = {id(p): i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}
        groups = [
            {**{k: v for k, v in g.items() if k != "params"}, "params": [numbers[id(p)] for p in g["params"]]}
            for g in self.param_groups
        ]
        return {
            "state": {numbers[id(p)]: dict(s) for p, s in self.state.items() if id(p) in numbers},
            "param_groups": groups,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes copies of a state (ours or PyTorch's), in the dtypes of the parameters.

        ValueError: other numbers of groups or parameters.
        """
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
            raise ValueError('load_state_dict: expected an optimizer\'s state_dict(), with "state" and "param_groups"')
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(saved, self.param_groups)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        params = {n: p for a, b in zip(saved, self.param_groups) for n, p in zip(a["params"], b["params"])}
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, values in state_dict["state"].items():
            p = params[number]
            state[p] = {k: _restored(k, v, p) for k, v in values.items() if v is not None}
            if state[p]:
                state[p].setdefault(
                    "step", _restored("step", 1.0, p)
                )  # PyTorch's SGD counts no steps: not the first, then
        self.state = state
        for mine, theirs in zip(self.param_groups, saved):
            mine.update({k: v for k, v in theirs.items() if k != "params"})

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_hyper", "_step_hooks", "step")}

    def __repr__(self) -> str:
        lines = [type(self).__name__ + " ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _restored(name: str, value: Any, p: Tensor) -> Any:
    from ..nn.parameter import as_value

    if isinstance(value, (str, bool)):
        return value
    source = as_value(value)
    if source.ndim and source.shape != p.shape:
        return _core.clone(source)
    mine = _empty(name, p)
    _core.copy_into(mine, source)
    return mine


def _empty(name: str, p: Tensor) -> Tensor:
    """A parameter's state of a name, on its device."""
    return made_on(p, _core.empty, (), dtypes.float32) if name in _SCALARS else _core.empty_like(p, p.dtype)


class _Numbers:
    """A group's numbers where its kernels read them: on a card a copy, sent there when they change."""

    def __init__(self, device: int) -> None:
        self.device = device
        self._host = made_on("cpu", _core.empty, (len(HYPER),), dtypes.float64)
        _core.fill_(self._host, 0)
        self._array = self._host.numpy()
        self._sent: dict[str, float] = {}
        self.tensor = _core.to_device(self._host, device)

    def write(self, numbers: dict[str, Any]) -> None:
        values = {name: float(value) for name, value in numbers.items()}
        if values == self._sent:
            return
        for name, value in values.items():
            self._array[_SLOT[name]] = value
        if self.device:
            with outside():
                _core.copy_into(self.tensor, self._host)
        self._sent = values


class Fused(Optimizer):
    """An optimiser whose step is one kernel call a group.

    A subclass names its rule and, in the order of csrc/table/optim.h, the state tensors of a group (None: not kept).
    """

    rule: str
    first_value = {"mu_product": 1.0}  # of state that does not start as zeros

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any], **options: Any) -> None:
        for name in options:
            if name not in ("foreach", "fused", "capturable", "differentiable"):
                raise TypeError(f"{type(self).__name__}: unexpected keyword argument '{name}'")
        if options.get("differentiable"):
            raise NotImplementedError(f"{type(self).__name__}: a step cannot be differentiated")
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
        raise NotImplementedError

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """The slots of `hyper` that the kernel reads, from a group."""
        raise NotImplementedError

    def _new_state(self, p: Tensor, names: tuple[str | None, ...], clock: tuple[str, ...]) -> dict[str, Any]:
        s = self.state[p]
        with outside():  # a replay must not start it anew
            for name in (*clock, *names):
                if name is not None and name not in s:
                    s[name] = _empty(name, p)
                    _core.fill_(s[name], self.first_value.get(name, 0.0))
        return s

    _hyper: list[_Numbers]

    def _write_hyper(self) -> None:
        for group, hyper in zip(self.param_groups, self._hyper):
            hyper.write(self._numbers(group))

    def _begin(self) -> None:
        """Before the kernels of a step: their numbers, now and at each replay."""
        hyper = self.__dict__.setdefault("_hyper", [])
        for i, group in enumerate(self.param_groups):
            device = group["params"][0]._device if group["params"] else 0
            if i == len(hyper) or hyper[i].device != device:
                with outside():
                    hyper[i : i + 1] = [_Numbers(device)]
                    self._follow(group)
        self._write_hyper()
        if _core.recording():
            refreshers.append(self._write_hyper)

    def _follow(self, group: dict[str, Any]) -> None:
        """Brings the state to where its parameters are: they may have been moved since."""
        for p in group["params"]:
            s = self.state.get(p, {})
            for name, value in s.items():
                if isinstance(value, Tensor):
                    s[name] = _core.to_device(value, p._device)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._begin()
        for group, hyper in zip(self.param_groups, self._hyper):
            params = [p for p in group["params"] if p._grad is not None]
            names = self._names(group)
            clock = () if names == (None, None, None) else ("step", "mu_product") if self.rule == "nadam" else ("step",)
            needed = {n for n in (*clock, *names) if n is not None}
            states = [
                s if needed <= s.keys() else self._new_state(p, names, clock) for p in params for s in (self.state[p],)
            ]
            a, b, c = ([s[n] for s in states] if n is not None else () for n in names)
            _core.optim_step(
                RULES.index(self.rule),
                params,
                a,
                b,
                c,
                [s[n] for n in clock for s in states],
                [p._grad for p in params],
                hyper.tensor,
                group.get("decoupled_weight_decay", False),
                group["maximize"],
                group.get("nesterov", False),
            )
        return loss
