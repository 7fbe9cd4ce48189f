"""The tape and the way back: `tape` records, `engine` walks, `gradients` asks, `modes` switch."""

from __future__ import annotations

from typing import Any

from .anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .gradients import backward, grad
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled, traced
from .tape import OPS, OUTPUT, OUTPUTS, Op, op, record

_LATER = {"Function": "function", "once_differentiable": "function", "functional": "functional"}


def __getattr__(name: str) -> Any:
    """What stands on Tensor, which stands on this package, comes on first use."""
    if name in _LATER:
        import importlib

        module = importlib.import_module(f"{__name__}.{_LATER[name]}")
        return module if name == _LATER[name] else getattr(module, name)
    if name in ("gradcheck", "gradgradcheck"):
        from .. import testing

        return getattr(testing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
