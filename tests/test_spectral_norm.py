"""Spectral norm against the singular value decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.apf_discriminator import Discriminator
from shanshui.architectures.apf_encoder import MaskEncoder
from shanshui.architectures.apf_generator import Generator
from shanshui.backend.runtime import load_jittor
from shanshui.nn.spectral_norm import SpectralConv, conv
from shanshui.training.optim import trainable

jt = load_jittor()


@pytest.fixture
def layer() -> Any:
    layer = conv(6, 8, 3, padding=1, spectral_norm=True)
    weight = np.random.default_rng(0).normal(size=(8, 6, 3, 3))
    weight[0] *= 2  # sets the largest singular value apart, as training does; else 50 passes are few
    layer.weight.assign(jt.array(weight.astype(np.float32)))
    jt.sync_all()
    return layer


def matrix(layer: Any) -> np.ndarray:
    return layer.weight.numpy().reshape(8, -1).astype(np.float64)


def passes(layer: Any, times: int) -> float:
    """Sigma after some training forwards."""
    for _ in range(times):
        sigma = layer.sigma()
        sigma.sync()
    return float(sigma.item())


def test_fifty_passes_find_the_largest_singular_value(layer: Any) -> None:
    wanted = np.linalg.svd(matrix(layer), compute_uv=False)[0]
    assert passes(layer, 1) < wanted
    assert passes(layer, 50) == pytest.approx(wanted, rel=1e-3)
    assert np.linalg.norm(layer.weight_u.numpy()) == pytest.approx(1, abs=1e-5)


def test_the_convolution_is_by_the_normalised_weight(layer: Any) -> None:
    passes(layer, 50)
    plain = conv(6, 8, 3, padding=1)
    sigma = np.linalg.svd(matrix(layer), compute_uv=False)[0]
    plain.weight.assign(jt.array((layer.weight.numpy() / sigma).astype(np.float32)))
    plain.bias.assign(jt.array(layer.bias.numpy()))
    x = jt.array(np.random.default_rng(1).normal(size=(2, 6, 5, 7)).astype(np.float32))
    np.testing.assert_allclose(layer(x).numpy(), plain(x).numpy(), atol=1e-3)


def test_gradient_runs_through_sigma_but_not_through_the_vectors(layer: Any) -> None:
    """d sum(A * W / sigma) / dW = A / sigma - sum(A * W) / sigma^2 * u v^T, long before u and v have settled."""
    start, w = layer.weight_u.numpy().astype(np.float64), matrix(layer)
    v = w.T @ start / np.linalg.norm(w.T @ start)
    sigma = np.linalg.norm(w @ v)
    a = np.random.default_rng(2).normal(size=(8, 54))
    wanted = a / sigma - (a * w).sum() / sigma**2 * np.outer(w @ v / sigma, v)
    normalised = layer.weight.reshape(8, -1) / layer.sigma()
    (gradient,) = jt.grad((normalised * jt.array(a.astype(np.float32))).sum(), [layer.weight])
    np.testing.assert_allclose(gradient.numpy().reshape(8, -1), wanted, atol=1e-5)
    np.testing.assert_allclose(layer.weight_u.numpy(), w @ v / sigma, atol=1e-5)


def test_the_vector_is_saved_but_not_trained(layer: Any) -> None:
    assert set(layer.state_dict()) == {"weight", "bias", "weight_u"}
    assert len(trainable([layer])) == 2
    passes(layer, 1)
    assert len(trainable([layer])) == 2


def test_evaluation_leaves_the_vector_alone(layer: Any) -> None:
    passes(layer, 50)
    before = layer.weight_u.numpy().copy()
    wanted = passes(layer, 1)
    layer.eval()
    kept = layer.weight_u.numpy().copy()
    assert passes(layer, 3) == pytest.approx(wanted, rel=1e-4)
    assert (layer.weight_u.numpy() == kept).all()
    assert np.abs(before - kept).max() < 1e-2


def test_off_is_a_plain_convolution() -> None:
    layer = conv(6, 8, 3, padding=1, bias=False)
    assert not isinstance(layer, SpectralConv)
    assert set(layer.state_dict()) == {"weight"}


def test_which_layers_wear_it() -> None:
    """Every convolution of E, those of G's blocks outside SPADE, D's between from-RGB and prediction."""
    networks = {
        "E": MaskEncoder(3, 2, 5, spectral_norm=True),
        "G": Generator(3, 2, 5, heads=1, spectral_norm=True),
        "D": Discriminator(3, 4, 2, spectral_norm=True),
    }
    worn = {
        letter: {name.split(".")[-1] for name, module in network.named_modules() if isinstance(module, SpectralConv)}
        for letter, network in networks.items()
    }
    assert worn == {
        "E": {"layer1", "layer2", "layer3", "layer4", "layer5"},
        "G": {"conv_0", "conv_1", "conv_s"},
        "D": {"extra_1", "model_0", "model_1", "model_2", "model_3"},
    }
