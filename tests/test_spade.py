"""SPADE layer, residual block and the first values of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.backend.modules import gather
from shanshui.backend.runtime import load_jittor
from shanshui.nn.init import init_weights
from shanshui.nn.spade import SPADE, SPADEResBlock

jt = load_jittor()

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, (2, 4, 6))
SEGMAP = (LABELS[:, None] == np.arange(3)[:, None, None]).astype(np.float32)
X = RNG.normal(size=(2, 8, 4, 6)).astype(np.float32)
NOISE = RNG.normal(size=(2, 1, 4, 6)).astype(np.float32)


def standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5)


def constant(layer: Any, bias: float) -> None:
    """A convolution that answers `bias` everywhere."""
    layer.weight.assign(jt.zeros(layer.weight.shape))
    layer.bias.assign(jt.full(layer.bias.shape, bias))


def plain_layer(seg_noise: bool) -> Any:
    """A SPADE layer with gamma 0.5 and beta 2."""
    layer = SPADE(8, 3, 5, seg_noise)
    constant(layer.mlp_gamma, 0.5)
    constant(layer.mlp_beta, 2.0)
    jt.sync_all()
    return layer


def test_modulation_of_the_normalised_features() -> None:
    found = plain_layer(seg_noise=False)(jt.array(X), jt.array(SEGMAP))
    np.testing.assert_allclose(found.numpy(), 1.5 * standardised(X) + 2, atol=1e-5)


def test_scale_and_shift_follow_the_label_map() -> None:
    layer = SPADE(8, 3, 5, seg_noise=False)
    one, other = (layer(jt.array(X), jt.array(s)).numpy() for s in (SEGMAP, SEGMAP[:, [1, 0, 2]]))
    changed = np.abs(one - other).max(axis=(0, 1))
    assert (changed > 1e-4).all()


def test_noise_is_scaled_by_class_and_added_before_the_norm() -> None:
    layer = plain_layer(seg_noise=True)
    amplitude = np.zeros((8, 3), np.float32)
    amplitude[:, 1] = 3  # only class 1 is noisy
    layer.seg_noise_var.weight.assign(jt.array(amplitude.reshape(8, 3, 1, 1)))
    layer.seg_noise_var.bias.assign(jt.zeros(8))
    jt.sync_all()
    noisy = X + 3 * NOISE * SEGMAP[:, 1:2]
    found = layer(jt.array(X), jt.array(SEGMAP), jt.array(NOISE))
    np.testing.assert_allclose(found.numpy(), 1.5 * standardised(noisy) + 2, atol=1e-5)
    silent = layer(jt.array(X), jt.array(SEGMAP))
    np.testing.assert_allclose(silent.numpy(), 1.5 * standardised(X) + 2, atol=1e-5)


@pytest.mark.parametrize(("out_channels", "draws"), [(8, 2), (4, 3)])
def test_block(out_channels: int, draws: int) -> None:
    """Shapes, one draw per layer, and the bare shortcut when the last convolution says nothing."""
    block = SPADEResBlock(8, out_channels, 3, 5, seg_noise=True, spectral_norm=False)
    constant(block.conv_1, 0.0)
    jt.sync_all()
    asked = []

    def draw() -> Any:
        asked.append(1)
        return jt.array(NOISE)

    found = block(jt.array(X), jt.array(SEGMAP), draw)
    assert tuple(found.shape) == (2, out_channels, 4, 6)
    assert len(asked) == draws
    if draws == 2:
        np.testing.assert_allclose(found.numpy(), X)
    assert block.learned_shortcut == (draws == 3)


def test_xavier_with_a_small_gain() -> None:
    block = SPADEResBlock(64, 32, 3, 16, seg_noise=True, spectral_norm=False)
    init_weights(block, gain=0.02, seg_noise="zero")
    values = gather(block)
    for name, array in values.items():
        if name.endswith("bias") or "seg_noise_var" in name:
            assert (array == 0).all(), name
    weight = values["conv_0.weight"]
    assert weight.std() == pytest.approx(0.02 * np.sqrt(2 / ((64 + 32) * 9)), rel=0.05)
    init_weights(block, gain=0.02, seg_noise="xavier")
    assert gather(block)["norm_0.seg_noise_var.weight"].std() == pytest.approx(0.02 * np.sqrt(2 / 67), rel=0.3)
