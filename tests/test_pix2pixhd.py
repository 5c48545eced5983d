"""The baseline generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.pix2pixhd_generator import GlobalGenerator, reflect
from shanshui.backend.runtime import load_jittor
from shanshui.config.settings import validate
from shanshui.errors import ShanshuiError
from shanshui.nn.init import init_weights

jt = load_jittor()


def test_reflected_borders() -> None:
    x = np.random.default_rng(0).random((2, 3, 4, 5), np.float32)
    wanted = np.pad(x, ((0, 0), (0, 0), (3, 3), (3, 3)), mode="reflect")
    np.testing.assert_array_equal(reflect(jt.array(x), 3).numpy(), wanted)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_picture_and_gradients(norm: Any) -> None:
    G = GlobalGenerator(4, 2, halvings=2, blocks=1, norm=norm, spectral_norm=norm == "batch")
    init_weights(G, gain=5)
    segmap = jt.array(np.random.default_rng(0).random((1, 4, 16, 24), np.float32).round())
    image = G(segmap)
    assert tuple(image.shape) == (1, 3, 16, 24)
    weights = {name: p for name, p in G.state_dict().items() if name.endswith("weight")}
    grads = jt.grad((image * jt.randn(image.shape)).sum(), list(weights.values()))
    assert [name for name, grad in zip(weights, grads, strict=True) if not grad.numpy().any()] == []
    with pytest.raises(ShanshuiError, match="multiples of 4"):
        G(jt.zeros((1, 4, 18, 24)))


def test_number_of_parameters() -> None:
    """7x7 in and out, four halvings and doublings, nine blocks; counted by hand for c = 2 and 5 channels."""
    convolutions = [(5, 2, 49), *((2 << i, 4 << i, 9) for i in range(4)), *[(32, 32, 9)] * 18]
    convolutions += [*((4 << i, 2 << i, 9) for i in range(4)), (2, 3, 49)]
    wanted = sum(fin * fout * k + fout for fin, fout, k in convolutions)
    found = GlobalGenerator(5, 2).state_dict()
    assert sum(int(np.prod(p.shape)) for p in found.values()) == wanted


def test_settings_do_not_claim_spectral_norm_for_it() -> None:
    """Checkpoints would say so too; D has it."""
    config = validate({"model": {"generator": "pix2pixhd", "discriminator": "multiscale"}})
    found = config.networks().sections()
    assert "spectral_norm" not in found["model"]["generator"]
    assert found["model"]["discriminator"]["spectral_norm"] == "on"
