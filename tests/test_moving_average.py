"""Moving average of weights: against its recurrence, resumed, and with spectral norm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.backend.runtime import load_jittor
from shanshui.errors import ShanshuiError
from shanshui.nn.spectral_norm import conv
from shanshui.training.moving_average import MovingAverage, follow_together

jt = load_jittor()


def _network(spectral_norm: bool = False) -> Any:
    jt.set_global_seed(1)
    return conv(3, 4, 3, spectral_norm=spectral_norm)


def _values(network: Any) -> dict[str, np.ndarray]:
    return {f"G.{name}": np.array(var.numpy(), np.float64) for name, var in network.state_dict().items()}


def _step(network: Any, average: MovingAverage) -> None:
    for parameter in network.parameters():
        if not parameter.is_stop_grad():
            parameter.update(parameter + 1.0)
    average.update()


def test_follows_its_recurrence() -> None:
    network = _network()
    average, expected = MovingAverage({"G": network}, 0.3), _values(network)
    for step in range(6):
        _step(network, average)
        decay = min(0.3, (1 + step) / (10 + step))
        now = _values(network)
        expected = {name: decay * old + (1 - decay) * now[name] for name, old in expected.items()}
    weights = average.weights()
    assert weights.keys() == expected.keys()
    for name, array in weights.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-6)


def test_networks_are_left_alone() -> None:
    network = _network()
    before = _values(network)
    MovingAverage({"G": network}, 0.9).update()
    for name, array in _values(network).items():
        np.testing.assert_array_equal(array, before[name])


def test_resumed_is_undisturbed() -> None:
    network = _network()
    whole = MovingAverage({"G": network}, 0.99)
    _step(network, whole)
    kept = whole.state()
    resumed = MovingAverage({"G": network}, 0.99)
    resumed.restore(kept, "state")
    _step(network, whole)
    resumed.update()
    for name, array in whole.state().items():
        np.testing.assert_array_equal(array, resumed.state()[name])
    del kept["G.bias"]
    with pytest.raises(ShanshuiError, match=r"G\.bias"):
        resumed.restore(kept, "state")


def test_singular_vectors_fit_the_averaged_weights() -> None:
    network = _network(spectral_norm=True)
    average = MovingAverage({"G": network}, 0.5)
    _step(network, average)
    weights = average.weights()
    u = weights["G.weight_u"]
    matrix = weights["G.weight"].reshape(4, -1)
    assert np.linalg.norm(u @ matrix) == pytest.approx(np.linalg.svd(matrix, compute_uv=False)[0], rel=1e-3)


def test_following_together_is_following_one_by_one() -> None:
    rng = np.random.default_rng(0)
    means, weights = ([rng.standard_normal(shape).astype(np.float32) for shape in ((3,), (2, 5), (1,))] for _ in "ab")
    held, variables = ([jt.array(array).stop_grad() for array in arrays] for arrays in (means, weights))
    for _ in range(2):
        follow_together(held, variables, 0.75)
    for mean, weight, var in zip(means, weights, held, strict=True):
        np.testing.assert_allclose(var.numpy(), 0.5625 * mean.astype(np.float64) + 0.4375 * weight, rtol=0, atol=1e-6)
        assert var.is_stop_grad()
