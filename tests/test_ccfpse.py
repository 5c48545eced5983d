"""CC-FPSE: its convolution by hand, sizes, parameters, memory, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.ccfpse_generator import ConditionalGenerator
from shanshui.architectures.fpse_discriminator import FPSEDiscriminator, halved
from shanshui.backend.runtime import load_jittor
from shanshui.errors import ShanshuiError
from shanshui.nn.ccfpse_shape import LEVELS, WIDTHS
from shanshui.nn.conditional_conv import ConditionalBlock, depthwise_by_pixel
from shanshui.nn.cost import cost
from shanshui.nn.init import init_weights
from shanshui.nn.norms import AffineBatchNorm
from shanshui.storage.size import Size
from shanshui.training.optim import trainable

jt = load_jittor()


def count(network: Any) -> int:
    return sum(int(np.prod(p.shape)) for p in trainable([network]))


# --- the convolution --------------------------------------------------------------------------------------


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_loops(x: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """The definition, pixel by pixel."""
    n, c, h, w = x.shape
    padded, y = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), np.zeros(x.shape)
    for image, channel, i, j in np.ndindex(n, c, h, w):
        weights = kernels[image, 9 * channel : 9 * channel + 9, i, j].reshape(3, 3)
        y[image, channel, i, j] = (padded[image, channel, i : i + 3, j : j + 3] * weights).sum()
    return y


def test_every_pixel_is_convolved_with_its_own_weights() -> None:
    x, kernels = normal(2, 3, 5, 6), normal(2, 27, 5, 6, seed=1)
    found = depthwise_by_pixel(jt.array(x), jt.array(kernels)).numpy()
    np.testing.assert_allclose(found, by_loops(x, kernels), atol=1e-5)


def test_known_kernels() -> None:
    """A one in the middle changes nothing, nine ninths are a mean over a window with zeros around the map."""
    x = normal(1, 2, 4, 5)
    middle, box = np.zeros((1, 2, 9, 4, 5), np.float32), np.full((1, 18, 4, 5), 1 / 9, np.float32)
    middle[:, :, 4] = 1
    np.testing.assert_array_equal(depthwise_by_pixel(jt.array(x), jt.array(middle.reshape(1, 18, 4, 5))).numpy(), x)
    found = depthwise_by_pixel(jt.array(x), jt.array(box)).numpy()
    assert found[0, 0, 0, 0] == pytest.approx(x[0, 0, :2, :2].sum() / 9, abs=1e-6)
    assert found[0, 1, 2, 3] == pytest.approx(x[0, 1, 1:4, 2:5].sum() / 9, abs=1e-6)


def test_gradients_of_the_convolution() -> None:
    """The result is linear in either argument: sum(g * y(x, k)) must change with them as the gradients say."""
    x, kernels, g = normal(2, 3, 4, 5), normal(2, 27, 4, 5, seed=1), normal(2, 3, 4, 5, seed=2)
    a, b = jt.array(x), jt.array(kernels)
    of_x, of_kernels = jt.grad((depthwise_by_pixel(a, b) * jt.array(g)).sum(), [a, b])
    dx, dk = normal(2, 3, 4, 5, seed=3), normal(2, 27, 4, 5, seed=4)
    jt.sync([of_x, of_kernels])
    assert (of_x.numpy() * dx).sum() == pytest.approx((g * by_loops(dx, kernels)).sum(), rel=1e-4)
    assert (of_kernels.numpy() * dk).sum() == pytest.approx((g * by_loops(x, dk)).sum(), rel=1e-4)
    for i, j in ((0, 0), (1, 2), (3, 4)):  # single pixels, so that errors cannot cancel
        one = np.zeros_like(x)
        one[1, 2, i, j] = 1
        assert of_x.numpy()[1, 2, i, j] == pytest.approx((g * by_loops(one, kernels)).sum(), abs=1e-5)


# --- the block --------------------------------------------------------------------------------------------


def test_closed_gates_leave_the_shortcut() -> None:
    """Gates at sigmoid(-100) = 0: the block passes its input on, where the width stays."""
    block = ConditionalBlock(4, 4, 3)
    init_weights(block, gain=0.02)
    for gate in (block.gen_se_weights1, block.gen_se_weights2):
        gate[2].bias.assign(jt.full(gate[2].bias.shape, -100.0))
    x = normal(1, 4, 3, 5)
    np.testing.assert_allclose(block(jt.array(x), jt.array(normal(1, 3, 3, 5, seed=1))).numpy(), x, atol=1e-6)


def test_scale_and_shift_of_the_affine_norm() -> None:
    norm, x = AffineBatchNorm(2), normal(3, 2, 4, 5)
    norm.weight.assign(jt.array(np.array([2, -1], np.float32)))
    norm.bias.assign(jt.array(np.array([0.5, 3], np.float32)))
    found = norm(jt.array(x)).numpy()
    np.testing.assert_allclose(found.mean((0, 2, 3)), [0.5, 3], atol=1e-5)
    np.testing.assert_allclose(found.std((0, 2, 3)), [2, 1], atol=1e-3)
    assert np.corrcoef(found[:, 1].ravel(), x[:, 1].ravel())[0, 1] == pytest.approx(-1, abs=1e-5)


# --- sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "parameters", "millions"), [
    ({}, 119_536_067, 119.54), ({"z_dim": 256, "size": Size(384, 512)}, 169_796_035, 169.80),
    ({"z_dim": 256, "size": Size(192, 256)}, 131_899_843, 131.9),
])  # fmt: skip
def test_parameters_of_the_generator(arguments: dict[str, Any], parameters: int, millions: float) -> None:
    """The published numbers are rounded."""
    assert count(ConditionalGenerator(29, 64, **arguments)) == parameters
    assert parameters / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize(("classes", "channels", "upsampling", "size"), [
    (5, 1, "normal", (32, 96)), (3, 3, "more", (64, 128)), (40, 2, "normal", (64, 32)),
])  # fmt: skip
def test_other_widths_sizes_and_classes(classes: int, channels: int, upsampling: Any, size: tuple[int, int]) -> None:
    network = ConditionalGenerator(classes, channels, upsampling, spectral_norm=False)
    init_weights(network, gain=0.02)
    image = network(jt.array(one_hot(classes, *size)))
    assert tuple(image.shape) == (2, 3, *size)
    assert np.abs(image.numpy()).max() <= 1


def one_hot(classes: int, height: int, width: int) -> np.ndarray:
    labels = np.random.default_rng(0).integers(0, classes, (2, 1, height, width))
    return (labels == np.arange(classes).reshape(1, -1, 1, 1)).astype(np.float32)


@pytest.mark.parametrize(("arguments", "size", "told"), [
    ({}, (48, 64), "multiples of 32"),
    ({"upsampling": "more"}, (96, 128), "multiples of 64"),
    ({"z_dim": 4, "size": Size(32, 64)}, (64, 32), "64x32"),
])  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(arguments: dict[str, Any], size: tuple[int, int], told: str) -> None:
    network = ConditionalGenerator(3, 1, **arguments)
    z = jt.zeros((2, 4)) if "z_dim" in arguments else None
    with pytest.raises(ShanshuiError, match=told):
        network(jt.array(one_hot(3, *size)), z)
    with pytest.raises(ShanshuiError, match="multiples"):
        ConditionalGenerator(3, 1, z_dim=4, size=Size(48, 64))


def test_gradients_reach_every_parameter() -> None:
    network = ConditionalGenerator(3, 2)  # a normalised weight of one number would be 1 for ever
    init_weights(network, gain=1.0)
    parameters = trainable([network])
    gradients = jt.grad((network(jt.array(one_hot(3, 32, 64))) ** 2).sum(), parameters)
    jt.sync(gradients)
    still = [p.name() for p, g in zip(parameters, gradients, strict=True) if not np.abs(g.numpy()).max() > 0]
    assert still == []


# --- memory -----------------------------------------------------------------------------------------------


def test_memory_is_what_was_published_less_what_is_not_counted() -> None:
    """7059 MiB at 512x384 count depthwise convolutions and nine copies of their inputs, which we never store."""
    size, network = Size(384, 512), ConditionalGenerator(29, 64)
    outputs = cost(network, lambda: network(jt.zeros((1, 29, *size)))).outputs
    depthwise = sum(
        64 * (fin + fout) * size.pixels // 4 ** (5 - level)
        for fin, fout, level in zip(WIDTHS, WIDTHS[1:], LEVELS["normal"], strict=False)
    )
    assert 4 * (outputs + 10 * depthwise) / 2**20 == pytest.approx(7059, abs=0.5)
    assert 2.77 * outputs == pytest.approx(2.6 * (outputs + depthwise), rel=0.002)


# --- the discriminator ------------------------------------------------------------------------------------


def test_parameters_of_the_discriminator() -> None:
    assert count(FPSEDiscriminator(29, 64)) == 5_174_977


def test_sizes_of_the_discriminators_maps() -> None:
    network = FPSEDiscriminator(4, 2)
    init_weights(network, gain=0.02)
    segmap, image = jt.array(one_hot(4, 64, 96)), jt.array(normal(2, 3, 64, 96))
    fakes, reals = network(segmap, image, image * -1, level=1, alpha=0.5)
    assert [[tuple(f.shape[1:]) for f in maps] for maps in fakes] == [
        [(4, 16, 24), (1, 16, 24)], [(8, 8, 12), (1, 8, 12)], [(16, 4, 6), (16, 2, 3), (1, 4, 6)],
    ]  # fmt: skip
    (alone,) = network(segmap, image * -1)
    for found_maps, wanted_maps in zip(reals, alone, strict=True):
        for found, wanted in zip(found_maps, wanted_maps, strict=True):
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=2e-3)


def test_without_embedding_the_label_map_does_not_matter() -> None:
    network = FPSEDiscriminator(4, 2, spectral_norm=False)
    init_weights(network, gain=1.0)
    image = jt.array(normal(2, 3, 32, 64))
    labels = [jt.array(one_hot(4, 32, 64)), jt.array(one_hot(4, 32, 64)[:, ::-1].copy())]
    scores = [network(segmap, image)[0][0][-1].numpy() for segmap in labels]
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    network.embedding.weight.assign(jt.zeros(network.embedding.weight.shape))
    scores = [network(segmap, image)[0][0][-1].numpy() for segmap in labels]
    np.testing.assert_array_equal(scores[0], scores[1])


def test_the_discriminator_refuses_sides_it_cannot_halve() -> None:
    with pytest.raises(ShanshuiError, match="multiples of 32"):
        FPSEDiscriminator(4, 2)(jt.zeros((1, 4, 48, 64)), jt.zeros((1, 3, 48, 64)))


def test_the_discriminator_scores_the_small_images_of_a_schedule() -> None:
    network = FPSEDiscriminator(4, 2)
    init_weights(network, gain=0.02)
    segmap, image = jt.array(one_hot(4, 24, 40)), jt.array(normal(2, 3, 24, 40))
    (maps,) = network(segmap, image, level=0)
    assert [[tuple(f.shape[1:]) for f in of_size] for of_size in maps] == [
        [(4, 6, 10), (1, 6, 10)], [(8, 3, 5), (1, 3, 5)], [(16, 2, 3), (16, 1, 2), (1, 2, 3)],
    ]  # fmt: skip


@pytest.mark.parametrize(("height", "width"), [(4, 6), (3, 6), (4, 5), (3, 1)])
def test_halved_labels_are_shares_of_the_classes(height: int, width: int) -> None:
    labels = one_hot(4, height, width)
    found = halved(jt.array(labels)).numpy()
    assert found.shape[2:] == (-(-height // 2), -(-width // 2))
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(found.mean((2, 3)), labels.mean((2, 3)), atol=1e-6)
