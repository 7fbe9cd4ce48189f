"""Module.freeze: no gradients, and batch norm that stays in inference mode."""

import mielina as mi
import numpy as np
from mielina import nn


def test_frozen_parts_stay_as_they_are():
    mi.manual_seed(0)
    features = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    model = nn.Sequential(features, nn.Linear(4, 2))
    features.freeze()
    before = {k: v.tolist() for k, v in model.state_dict().items()}
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    mi.fit(model, x, y, epochs=3, verbose=0)
    changed = {k for k, v in model.state_dict().items() if v.tolist() != before[k]}
    assert changed == {"1.weight", "1.bias"}
    model.train()
    assert not features[1].training and features[2].training and model.training
    features.freeze(False)
    assert features[1].training and all(p.requires_grad for p in model.parameters())
    mi.fit(model, x, y, epochs=1, verbose=0)
    assert features[1].running_mean.tolist() != before["0.1.running_mean"]


def test_undone_in_eval_mode():
    norm = nn.Sequential(nn.BatchNorm1d(2)).freeze().eval().freeze(False)
    assert not norm[0].training and norm.train()[0].training
