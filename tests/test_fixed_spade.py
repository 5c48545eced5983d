"""SPADE layers with constant weights: the bits of the layers that training evaluates, with fewer operations."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from shanshui.backend.lazy import jt
from shanshui.data.labels import one_hot
from shanshui.data.patches import patch_pyramid
from shanshui.nn import fixed_spade
from shanshui.nn.patch_spade import to_device
from shanshui.nn.spade import SPADE
from shanshui.storage.size import Size

CLASSES, CHANNELS = 5, 12


@pytest.fixture
def label_maps() -> np.ndarray:
    """Two label maps (2, 32, 24) of a few regions, with pixels that are no class."""
    maps = np.zeros((2, 32, 24), np.uint8)
    maps[0, 10:, :14], maps[0, 20:25, 3:20], maps[1, :, 9:], maps[1, 4:9, 4:9] = 1, 4, 2, 255
    return maps


def random(*shape: int) -> jt.Var:
    return jt.array(np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32))


@pytest.mark.parametrize("slope", [1.0, 0.2])
@pytest.mark.parametrize(("norm", "noisy"), [("batch", True), ("batch", False), ("instance", False)])
def test_has_the_bits_of_the_layer_with_gradients(
    label_maps: np.ndarray, norm: Literal["batch", "instance"], noisy: bool, slope: float
) -> None:
    if jt.flags.use_cuda:
        pytest.skip("on a GPU")
    layer = SPADE(CHANNELS, CLASSES, 9, noisy, norm=norm)
    if norm == "batch":
        layer.param_free_norm.running_mean.assign(random(CHANNELS))
        layer.param_free_norm.running_var.assign(random(CHANNELS).abs() + 0.5)
    layer.eval()
    size = Size(32, 24)
    patches = to_device(patch_pyramid(label_maps, [size]), CLASSES)[size]
    segmap = jt.array(one_hot(label_maps, CLASSES))
    x, noise = random(2, CHANNELS, 32, 24), random(2, 1, 32, 24) if noisy else None
    expected = layer(x, segmap, noise, patches, slope).numpy()
    assert not fixed_spade.usable(layer, patches, noise)
    with jt.no_grad():
        assert fixed_spade.usable(layer, patches, noise)
        assert np.array_equal(layer(x, segmap, noise, patches, slope).numpy(), expected)
        layer.mlp_gamma.weight.assign(layer.mlp_gamma.weight * 2)
        assert not np.array_equal(layer(x, segmap, noise, patches, slope).numpy(), expected)
