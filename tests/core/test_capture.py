"""A captured step gives eager's bits, with new inputs, a changed learning rate and dropout."""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest


def make(seed=0):
    """A perceptron 16-32-5 with dropout, its Adam, and one training step."""
    rng = np.random.default_rng(seed)
    p = []
    for i, o in ((16, 32), (32, 5)):
        p.append(mi.tensor(rng.standard_normal((o, i)).astype(np.float32) * np.float32(0.2)).requires_grad_())
        p.append(mi.zeros(o).requires_grad_())
    optimizer = mi.optim.Adam(p, lr=1e-2)

    def step(x, y):
        h = F.dropout(F.relu(F.linear(x, p[0], p[1])), 0.3)
        loss = F.cross_entropy(F.linear(h, p[2], p[3]), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return p, optimizer, step


def batches(n):
    rng = np.random.default_rng(1)
    for _ in range(n):
        yield mi.tensor(rng.standard_normal((8, 16)).astype(np.float32)), mi.tensor(rng.integers(0, 5, 8))


def run(captured, n=100):
    p, optimizer, step = make()
    mi.manual_seed(3)
    f = mi.capture(step) if captured else step
    losses = []
    for i, (x, y) in enumerate(batches(n)):
        optimizer.param_groups[0]["lr"] = 1e-2 / (1 + i)
        losses.append(f(x, y).item())
    return losses, [t.detach().numpy().copy() for t in p], mi.rand(3).numpy()


def test_replay_gives_eager_bits():
    eager, captured = run(False), run(True)
    assert eager[0] == captured[0]
    for a, b in zip(eager[1], captured[1]):
        assert a.tobytes() == b.tobytes()
    assert eager[2].tobytes() == captured[2].tobytes()  # the generator has moved on by the same amount


def test_replay_is_not_a_rerun():
    _, _, step = make()
    counted = []

    def spy(x, y):
        counted.append(1)
        return step(x, y)

    f = mi.capture(spy)
    for x, y in batches(5):
        f(x, y)
    assert len(counted) == 1
    assert "adam" in f.calls and "dropout" in f.calls


def test_results_are_not_overwritten():
    f = mi.capture(lambda x: x + 1.0)
    a = f(mi.zeros(3))
    b = f(mi.ones(3))
    assert a.tolist() == [1, 1, 1] and b.tolist() == [2, 2, 2]


def test_memory_is_reused_inside_a_recording():
    x = mi.zeros(1 << 16)
    mi._core.empty_cache()

    def chain(x):
        for _ in range(50):
            x = x + 1.0
        return x

    f = mi.capture(chain)
    mi._core.reset_peak()
    assert f(x).tolist()[0] == 50 and f(x).tolist()[0] == 50


@pytest.mark.parametrize("bad", [lambda x: x.sum().item(), lambda x: x.numpy()])
def test_values_cannot_be_read_while_recording(bad):
    with pytest.raises(RuntimeError, match="captured"):
        mi.capture(bad)(mi.zeros(3))
    assert (mi.zeros(2) + 1).tolist() == [1, 1]  # the recording ended


def test_wrong_inputs():
    f = mi.capture(lambda x: x + 1.0)
    f(mi.zeros(3))
    with pytest.raises(ValueError, match="recorded as"):
        f(mi.zeros(4))
    with pytest.raises(ValueError, match="recorded as"):
        f(mi.zeros(3, dtype=mi.float64))
    with pytest.raises(ValueError, match="got int"):
        f(3)
    with pytest.raises(TypeError, match="1 inputs"):
        f(mi.zeros(3), mi.zeros(3))
    both = mi.capture(lambda x, n, y: x * n + y)
    assert both(mi.ones(2), 3, mi.ones(2)).tolist() == [4, 4]
    with pytest.raises(ValueError, match="constant 3, got 4"):
        both(mi.ones(2), 4, mi.ones(2))
    with pytest.raises(ValueError, match=r"input 2 was recorded as \(2,\)"):
        both(mi.zeros(2), 3, mi.ones(1))
    assert both(mi.ones(2), 3, mi.zeros(2)).tolist() == [3, 3]
    with pytest.raises(TypeError, match="tuples of one length"):
        mi._core.replay(both._recording, both._inputs, ())


def test_weights_changed_by_hand_are_seen():
    w = mi.ones(3)
    f = mi.capture(lambda x: x * w)
    f(mi.ones(3))
    w.mul_(5.0)
    assert f(mi.ones(3)).tolist() == [5, 5, 5]
