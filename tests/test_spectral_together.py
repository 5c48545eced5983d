"""Spectral norm of all layers of a network at once: as layer by layer, for the layers that a pass uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from shanshui.backend.runtime import load_jittor
from shanshui.nn import spectral_norm, spectral_together
from shanshui.nn.spectral_norm import PairedSpectralConv, SpectralConv
from shanshui.nn.spectral_together import normalised_together

jt = load_jittor()
SHAPES = [(5, 3, 3), (70, 4, 1), (6, 33, 3), (1, 2, 4)]  # outputs, inputs, side


@pytest.fixture(autouse=True)
def kernels_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU."""
    monkeypatch.setattr(spectral_norm, "usable", lambda x: True)
    monkeypatch.setattr(spectral_together, "applies", lambda network: network.is_training())
    monkeypatch.setattr(spectral_together, "MOST", 3)  # two launches of each kind


class Layers(jt.nn.Module):  # type: ignore[misc]
    """Weights normalised one after another; the last is left out on request."""

    def __init__(self) -> None:
        kinds = [SpectralConv, PairedSpectralConv, SpectralConv, PairedSpectralConv]
        self.layers = jt.nn.ModuleList([kind(i, o, k) for kind, (o, i, k) in zip(kinds, SHAPES, strict=True)])
        rng = np.random.default_rng(0)
        for layer in self.layers:
            layer.weight.assign(jt.array(rng.normal(size=layer.weight.shape).astype(np.float32)))
            for name in ("weight_u", "weight_v"):
                if (vector := getattr(layer, name, None)) is not None:
                    start = rng.normal(size=vector.shape)
                    vector.assign(jt.array((start / np.linalg.norm(start)).astype(np.float32)))
        jt.sync_all()

    def execute(self, count: int) -> list[Any]:
        return [layer.normalised() for layer in list(self.layers)[:count]]


def passes(together: bool, counts: tuple[int, ...]) -> Iterator[tuple[list[np.ndarray], dict[str, np.ndarray]]]:
    """Normalised weights and gradients of passes that use the first `counts` layers, and all vectors thereafter."""
    net, rng = Layers(), np.random.default_rng(1)
    for count in counts:
        if together:
            with normalised_together([net], count):
                weights = net(count)
        else:
            weights = net(count)
        loss = sum((w * jt.array(rng.normal(size=w.shape).astype(np.float32))).sum() for w in weights[1:])
        used = [layer.weight for layer in net.layers]
        grads = jt.grad(loss, used)
        jt.sync([*weights, *grads])
        vectors = {n: a.numpy() for n, a in net.state_dict().items() if n.endswith(("_u", "_v"))}
        yield [a.numpy() for a in [*weights, *grads]], vectors


def test_weights_gradients_and_vectors_are_those_of_single_layers() -> None:
    """Of a weight that no loss depends on, the first, the gradient is 0; a layer that is not used keeps its vectors."""
    counts = (4, 3, 4, 3)
    for (arrays, vectors), (single, alone) in zip(passes(True, counts), passes(False, counts), strict=True):
        assert len(arrays) == len(single)
        for one, other in zip(arrays, single, strict=True):
            np.testing.assert_allclose(one, other, atol=3e-6 * max(1.0, np.abs(other).max()))
        assert vectors.keys() == alone.keys()
        for name, vector in vectors.items():
            np.testing.assert_allclose(vector, alone[name], atol=2e-6, err_msg=name)


def test_second_pass_of_a_kind_prepares_all_layers_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone: list[Any] = []
    single = spectral_norm.power_iteration
    monkeypatch.setattr(spectral_norm, "power_iteration", lambda *given: alone.append(1) or single(*given))
    net = Layers()
    for _ in range(2):
        with normalised_together([net], "all"):
            net(4)
    assert len(alone) == 4, "the first pass, layer by layer"
    net(4)
    assert len(alone) == 8, "outside, each on its own again"
    before = net.layers[2].weight_u.numpy()
    with normalised_together([net], "all"):
        net(2)  # not as recorded
    net(4)
    jt.sync_all()
    assert len(alone) == 12, "what was prepared for a pass is not used in another"
    assert np.abs(net.layers[2].weight_u.numpy() - before).max() > 0


def test_evaluation_changes_nothing() -> None:
    net = Layers()
    net.eval()
    with normalised_together([net], "all"):
        pass
    assert spectral_together.RECORD not in net.__dict__
