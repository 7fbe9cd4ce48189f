"""Fresh layers are drawn from PyTorch's distributions: the same bounds, mean and deviation for every parameter."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest

torch = pytest.importorskip("torch")

# Large enough that a deviation is known to 2 %: 4 / sqrt(2 * 20,000).
LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Linear", (200, 150), {}),
    ("Bilinear", (30, 40, 50), {}),
    ("Conv1d", (40, 80, 9), {"groups": 2}),
    ("Conv2d", (30, 60, (3, 5)), {}),
    ("Conv3d", (20, 30, 4), {}),
    ("ConvTranspose1d", (40, 80, 9), {}),
    ("ConvTranspose2d", (60, 40, 4), {"groups": 2}),
    ("ConvTranspose3d", (20, 30, 4), {}),
    ("RNN", (150, 150), {}),
    ("LSTM", (80, 90, 2), {"bidirectional": True, "proj_size": 60}),
    ("GRU", (80, 90), {}),
    ("RNNCell", (150, 150), {}),
    ("LSTMCell", (80, 90), {}),
    ("GRUCell", (80, 90), {}),
    ("Embedding", (200, 150), {"padding_idx": 3}),
    ("EmbeddingBag", (200, 150), {}),
    ("MultiheadAttention", (120, 4), {}),
    ("MultiheadAttention", (150, 5), {"kdim": 140, "vdim": 160, "add_bias_kv": True}),
    ("TransformerEncoderLayer", (120, 4, 200), {}),
    ("TransformerDecoderLayer", (120, 4, 200), {}),
    ("Transformer", (120, 4, 1, 1, 200), {}),
    ("BatchNorm2d", (50,), {}),
    ("InstanceNorm1d", (50,), {"affine": True, "track_running_stats": True}),
    ("LayerNorm", (50,), {}),
    ("GroupNorm", (5, 50), {}),
    ("RMSNorm", (50,), {}),
    ("PReLU", (50,), {}),
    ("AdaptiveLogSoftmaxWithLoss", (200, 300, [100]), {"head_bias": True}),
]


@pytest.mark.parametrize("name, args, kwargs", LAYERS, ids=[f"{c[0]}-{i}" for i, c in enumerate(LAYERS)])
@pytest.mark.filterwarnings("ignore")
def test_fresh_parameters(name: str, args: Any, kwargs: Any) -> None:
    mi.manual_seed(0)
    torch.manual_seed(0)
    mine, theirs = (getattr(lib.nn, name)(*args, **kwargs).state_dict() for lib in (mi, torch))
    for key, p in mine.items():
        a, b = p.numpy().ravel().astype(float), theirs[key].numpy().ravel().astype(float)
        if b.std() == 0:
            np.testing.assert_array_equal(a, b, key)
            continue
        n, spread = a.size, b.std()
        assert abs(a.mean() - b.mean()) < 7 * spread / np.sqrt(n), key  # 5 deviations of a difference of means
        assert abs(a.std() / spread - 1) < 5 / np.sqrt(n), key
        if abs(b).max() < 1.8 * spread:  # uniform: its ends are sqrt(3) deviations out
            bound = abs(b).max()
            assert abs(a).max() <= bound * (1 + 20 / n) and abs(a).max() >= bound * (1 - 20 / n), key
