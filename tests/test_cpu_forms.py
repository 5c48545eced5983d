"""Convolutions with weights kept in oneDNN's order: the same bits as Jittor's own, and what makes them new."""

from __future__ import annotations

import numpy as np
import pytest

from shanshui.backend import constants, cpu_forms
from shanshui.backend.lazy import jt, nn
from shanshui.nn.norms import instance_norm
from shanshui.nn.spectral_norm import conv

pytestmark = pytest.mark.usefixtures("cpu")
SHAPES = [  # features, outputs, kernel, stride, padding
    ((1, 29, 32, 32), 16, 3, 2, 1),
    ((1, 64, 8, 8), 58, 3, 1, 1),  # outputs that fill up no block
    ((1, 16, 24, 16), 5, 1, 1, 0),
    ((3, 7, 9, 11), 32, 3, 1, 1),
    ((1, 4, 6, 10), 3, 5, 3, 2),
]


@pytest.fixture
def cpu() -> None:
    """Skip on a GPU, where convolutions are cuDNN's."""
    if jt.flags.use_cuda:
        pytest.skip("on a GPU")


def random(*shape: int) -> jt.Var:
    return jt.array(np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32))


@pytest.mark.parametrize(("shape", "outputs", "kernel", "stride", "padding"), SHAPES)
@pytest.mark.parametrize("kind", ["biased", "bias inside", "without bias", "spectral norm"])
def test_has_the_bits_of_jittors_convolution(
    shape: tuple[int, ...], outputs: int, kernel: int, stride: int, padding: int, kind: str
) -> None:
    layer = conv(
        shape[1], outputs, kernel, stride=stride, padding=padding, bias=kind != "without bias",
        spectral_norm=kind == "spectral norm",
    )  # fmt: skip
    layer.eval()
    if kind == "bias inside":
        setattr(layer, cpu_forms.BIAS_INSIDE, True)
    x = random(*shape)
    expected = layer(x).numpy()  # with gradients: as Jittor computes it
    with jt.no_grad():
        assert cpu_forms.convolves(layer, x)
        first, second = layer(x).numpy(), layer(x).numpy()
    assert np.array_equal(first, expected)
    assert np.array_equal(second, expected)


def test_each_image_alone_is_convolved_by_the_kernel_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """On many machines a batch has the same bits, so that the kernel asked for is looked at, too."""
    asked, order = [], cpu_forms.order_of_weights
    monkeypatch.setattr(cpu_forms, "order_of_weights", lambda *given: asked.append(given[1]) or order(*given))
    layer, x = nn.Conv(5, 7, 3, padding=1), random(3, 5, 14, 22)
    layer.eval()
    with jt.no_grad():
        with cpu_forms.each_image_alone():
            together = layer(x).numpy()
            alone = np.concatenate([layer(x[i : i + 1]).numpy() for i in range(3)])
        layer(x).sync()
    assert np.array_equal(together, alone)
    assert asked == [1, 3]


@pytest.mark.parametrize("channels", [3, 6, 13, 16])
def test_each_image_alone_is_standardised_in_the_same_way(channels: int) -> None:
    x = random(4, channels, 64, 64)
    with jt.no_grad(), cpu_forms.each_image_alone():
        together = instance_norm(x, 0.2).numpy()
        alone = np.concatenate([instance_norm(x[i : i + 1], 0.2).numpy() for i in range(4)])
    assert np.array_equal(together, alone)
    np.testing.assert_allclose(together, instance_norm(x, 0.2).numpy(), atol=5e-6)


def test_new_weights_are_ordered_again() -> None:
    layer, x = nn.Conv(8, 20, 3, padding=1), random(1, 8, 16, 16)
    layer.eval()
    with jt.no_grad():
        before = layer(x).numpy()
        layer.weight.assign(layer.weight * 2)
        after = layer(x).numpy()
        layer.weight = layer.weight / 2
        again = layer(x).numpy()
    bias = layer.bias.numpy()[:, None, None]
    np.testing.assert_allclose(after - bias, 2 * (before - bias), rtol=1e-5, atol=1e-6)
    assert np.array_equal(again, before)


def test_weights_are_kept_once_for_each_order_and_released_with_their_layer() -> None:
    held = sum(1 for _ in constants.kept(cpu_forms.ORDERED))
    layer = nn.Conv(8, 20, 3, padding=1)
    layer.eval()
    with jt.no_grad():
        for _ in range(3):
            layer(random(1, 8, 16, 16)).sync()
    assert sum(1 for _ in constants.kept(cpu_forms.ORDERED)) == held + 1
    del layer
    assert sum(1 for _ in constants.kept(cpu_forms.ORDERED)) == held


def test_without_room_weights_are_ordered_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    held = sum(1 for _ in constants.kept(cpu_forms.ORDERED))
    layer, x = nn.Conv(8, 20, 3, padding=1), random(1, 8, 16, 16)
    layer.eval()
    expected = layer(x).numpy()
    monkeypatch.setattr(cpu_forms, "MOST_KEPT", 0)
    with jt.no_grad():
        assert np.array_equal(layer(x).numpy(), expected)
    assert sum(1 for _ in constants.kept(cpu_forms.ORDERED)) == held


@pytest.mark.parametrize("why", ["training", "gradients", "groups", "dilation"])
def test_other_convolutions_are_jittors(why: str) -> None:
    layer = nn.Conv(8, 8, 3, padding=1, groups=2 if why == "groups" else 1, dilation=2 if why == "dilation" else 1)
    if why != "training":
        layer.eval()
    x = random(1, 8, 16, 16)
    with jt.flag_scope(no_grad=0 if why == "gradients" else 1):
        assert not cpu_forms.convolves(layer, x)
        assert layer(x).shape[1] == 8
