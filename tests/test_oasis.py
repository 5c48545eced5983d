"""OASIS: parameters, sizes, and its losses against numpy and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.oasis_networks import OasisDiscriminator, OasisGenerator
from shanshui.backend.runtime import load_jittor
from shanshui.errors import ShanshuiError
from shanshui.nn.init import init_weights
from shanshui.nn.oasis_losses import (
    class_loss,
    class_weights,
    consistency,
    draw_classes,
    generated_loss,
    mix,
    mix_mask,
    oasis_discriminator_losses,
    oasis_generator_losses,
)
from shanshui.training.optim import trainable

jt = load_jittor()

NO_CLASS = 255


def count(network: Any) -> int:
    return sum(int(np.prod(p.shape)) for p in trainable([network]))


def segmap(labels: np.ndarray, classes: int) -> Any:
    return jt.array((labels[:, None] == np.arange(classes).reshape(1, -1, 1, 1)).astype(np.float32))


# --- networks ---------------------------------------------------------------------------------------------


def test_parameters() -> None:
    assert count(OasisGenerator(29, 64)) == 70_941_635
    assert count(OasisGenerator(29, 64, noise_channels=0)) == 69_172_163
    assert count(OasisDiscriminator(29, 64)) == 22_250_974


@pytest.mark.parametrize(("classes", "channels", "noise", "size"), [(3, 1, 0, (32, 64)), (7, 2, 5, (64, 96))])
def test_sizes_of_pictures(classes: int, channels: int, noise: int, size: tuple[int, int]) -> None:
    G = OasisGenerator(classes, channels, noise_channels=noise, spade_hidden=4)
    init_weights(G, gain=0.02)
    labels = segmap(np.zeros((2, *size), np.uint8), classes)
    image = G(labels, jt.randn(2, noise) if noise else None)
    assert tuple(image.shape) == (2, 3, *size)
    assert np.abs(image.numpy()).max() <= 1


def test_noise_is_the_same_everywhere_or_painted() -> None:
    """One vector per picture equals a map that repeats it; other noise in one region changes the picture there."""
    G = OasisGenerator(3, 2, noise_channels=4, spade_hidden=4)
    init_weights(G, gain=1.0)
    G.eval()
    rng = np.random.default_rng(0)
    labels = segmap(rng.integers(0, 3, (2, 32, 64)), 3)
    vector = rng.normal(size=(2, 4)).astype(np.float32)
    painted = np.broadcast_to(vector[:, :, None, None], (2, 4, 32, 64)).copy()
    same = G(labels, jt.array(vector)).numpy()
    np.testing.assert_allclose(G(labels, jt.array(painted)).numpy(), same, atol=1e-5)
    painted[0, :, :, :4] += 3
    changed = np.abs(G(labels, jt.array(painted)).numpy() - same).max((1, 2))
    assert changed[0, :4].max() > 1e-3
    assert changed[1].max() < 1e-5


def convolve(layer: Any, x: np.ndarray) -> np.ndarray:
    """A plain convolution of numpy arrays, 3x3 or 1x1, which keeps the size."""
    weight = layer.weight.numpy()
    bias = np.zeros(len(weight)) if layer.bias is None else layer.bias.numpy()
    side = weight.shape[2] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (side, side), (side, side)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (2, 3))  # (N, C, h, w, k, k)
    return np.einsum("nchwij,ocij->nohw", windows, weight) + bias.reshape(1, -1, 1, 1)


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def doubled(x: np.ndarray) -> np.ndarray:
    return x.repeat(2, 2).repeat(2, 3)


def halved(x: np.ndarray) -> np.ndarray:
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def test_discriminator_against_numpy() -> None:
    """In the paper's order: but for the first, shortcuts change their width before pooling, and after doubling."""
    D = OasisDiscriminator(3, 1, spectral_norm=False)
    init_weights(D, gain=1.0)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32)
    x, passed = image, []
    for i, block in enumerate(D.body_down):
        y = halved(convolve(block.conv2, leaky(convolve(block.conv1, leaky(x) if i else x))))
        if i == 0:
            shortcut = convolve(block.conv_s, halved(x))
        else:
            shortcut = halved(convolve(block.conv_s, x) if x.shape[1] != y.shape[1] else x)
        x = shortcut + y
        passed.append(x)
    for i, block in enumerate(D.body_up):
        x = np.concatenate([passed[5 - i], x], 1) if i else x
        y = convolve(block.conv2, leaky(convolve(block.conv1, doubled(leaky(x)))))
        x = y + (convolve(block.conv_s, doubled(x)) if x.shape[1] != y.shape[1] else doubled(x))
    wanted = convolve(D.layer_up_last, x)
    np.testing.assert_allclose(D(jt.array(image)).numpy(), wanted, atol=1e-4 * np.abs(wanted).max())


def test_generator_against_numpy() -> None:
    """In evaluation mode with fresh running statistics, under which batch norm changes next to nothing."""
    G = OasisGenerator(3, 1, noise_channels=2, spade_hidden=4, spectral_norm=False)
    init_weights(G, gain=1.0)
    G.eval()
    rng = np.random.default_rng(0)
    labels = (rng.integers(0, 3, (1, 1, 32, 64)) == np.arange(3).reshape(1, 3, 1, 1)).astype(np.float32)
    noise = rng.normal(size=(1, 2)).astype(np.float32)
    whole = np.concatenate([np.broadcast_to(noise[:, :, None, None], (1, 2, 32, 64)), labels], 1)

    def spade(layer: Any, x: np.ndarray, seen: np.ndarray) -> np.ndarray:
        hidden = np.maximum(convolve(layer.mlp_shared, seen), 0)
        return x / np.sqrt(1 + 1e-5) * (1 + convolve(layer.mlp_gamma, hidden)) + convolve(layer.mlp_beta, hidden)

    x = convolve(G.fc, whole[:, :, ::32, ::32])
    for i, block in enumerate(G.body):
        x, seen = doubled(x) if i else x, whole[:, :, :: 32 >> i, :: 32 >> i]
        y = convolve(block.conv_0, leaky(spade(block.norm_0, x, seen)))
        y = convolve(block.conv_1, leaky(spade(block.norm_1, y, seen)))
        x = y + (convolve(block.conv_s, spade(block.norm_s, x, seen)) if x.shape[1] != y.shape[1] else x)
    wanted = np.tanh(convolve(G.conv_img, leaky(x)))
    np.testing.assert_allclose(G(jt.array(labels), jt.array(noise)).numpy(), wanted, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 128), (128, 64)])
def test_sizes_of_logits(size: tuple[int, int]) -> None:
    D = OasisDiscriminator(5, 1)
    init_weights(D, gain=0.02)
    assert tuple(D(jt.array(np.zeros((2, 3, *size), np.float32))).shape) == (2, 6, *size)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShanshuiError, match="multiples of 64"):
        OasisDiscriminator(5, 1)(jt.zeros((1, 3, 96, 128)))
    with pytest.raises(ShanshuiError, match="multiples of 32"):
        OasisGenerator(5, 1, noise_channels=0)(jt.zeros((1, 5, 48, 64)))


# --- losses -----------------------------------------------------------------------------------------------


def cross_entropy(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """-log softmax at the target, (N, H, W), in float64."""
    x = logits.astype(np.float64)
    x = x - x.max(1, keepdims=True)
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    return -np.take_along_axis(log_p, target[:, None].astype(int), 1)[:, 0]


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    """Label maps (2, 6, 8) of 5 classes, of which 3 is absent, some pixels without one; logits (2, 6, 6, 8)."""
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 4], (2, 6, 8), p=[0.6, 0.2, 0.15, 0.05])
    labels[0, 0, :3] = NO_CLASS
    return labels, (rng.normal(size=(2, 6, 6, 8)) * 5).astype(np.float32)


def test_class_loss_is_the_mean_over_classes_of_the_mean_over_their_pixels(batch: Any) -> None:
    labels, logits = batch
    found = class_loss(jt.array(logits), segmap(labels, 5)).item()
    by_pixel = cross_entropy(logits, np.where(labels == NO_CLASS, 0, labels + 1))
    wanted = np.mean([by_pixel[labels == k].mean() for k in (0, 1, 2, 4)])
    assert found == pytest.approx(wanted, rel=1e-5)


def test_class_weights(batch: Any) -> None:
    """Pixels times weight are the same for every class that is there, and add up to all pixels."""
    labels, _ = batch
    weights = class_weights(segmap(labels, 5)).numpy()
    pixels = np.array([(labels == k).sum() for k in range(5)])
    np.testing.assert_allclose(weights * pixels, np.array([1, 1, 1, 0, 1]) * labels.size / 4, rtol=1e-5)
    np.testing.assert_array_equal(class_weights(segmap(np.full((1, 4, 4), NO_CLASS), 3)).numpy(), 0)


def test_generated_loss(batch: Any) -> None:
    labels, logits = batch
    wanted = cross_entropy(logits, np.zeros_like(labels)).mean()
    assert generated_loss(jt.array(logits)).item() == pytest.approx(wanted, rel=1e-5)


def test_losses_of_even_logits() -> None:
    """All six answers equally likely: log 6, whatever the label map."""
    logits, labels = jt.zeros((1, 6, 4, 4)), segmap(np.arange(16).reshape(1, 4, 4) % 3, 5)
    terms = oasis_generator_losses(logits, labels) | oasis_discriminator_losses(logits, logits, labels)
    assert set(terms) == {"G/adv", "D/real", "D/fake"}
    for term in terms.values():
        assert term.item() == pytest.approx(np.log(6), rel=1e-6)


def test_large_logits_do_not_overflow() -> None:
    logits = np.zeros((1, 3, 2, 2), np.float32)
    logits[:, 2] = 3e4
    labels = segmap(np.ones((1, 2, 2), int), 2)
    assert class_loss(jt.array(logits), labels).item() == pytest.approx(0, abs=1e-4)
    assert generated_loss(jt.array(logits)).item() == pytest.approx(3e4, rel=1e-5)


def test_gradient_of_the_class_loss(batch: Any) -> None:
    """weight / pixels * (softmax - target), zero where there is no class."""
    labels, logits = batch
    x, labelled = jt.array(logits), segmap(labels, 5)
    (found,) = jt.grad(class_loss(x, labelled), [x])
    softmax = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    softmax /= softmax.sum(1, keepdims=True)
    target = (np.where(labels == NO_CLASS, -1, labels + 1)[:, None] == np.arange(6).reshape(1, -1, 1, 1)).astype(float)
    pixels = np.array([(labels == k).sum() for k in range(5)])
    weight = np.where(labels == NO_CLASS, 0, 1 / (4 * np.maximum(pixels, 1))[np.minimum(labels, 4)])
    np.testing.assert_allclose(found.numpy(), (softmax - target) * weight[:, None], atol=1e-6)


# --- LabelMix ---------------------------------------------------------------------------------------------


def test_a_class_comes_whole_from_one_side() -> None:
    """Classes 0 and 1 included, which the draws themselves are made of; each picture by its own draws."""
    labels = np.arange(2 * 6 * 8).reshape(2, 6, 8) % 5
    labels[1, 0] = NO_CLASS
    for number in range(2**5):
        draws = np.array([[number >> k & 1 for k in range(5)], [1 - (number >> k & 1) for k in range(5)]])
        mask = mix_mask(segmap(labels, 5), draws).numpy()[:, 0]
        wanted = np.stack([np.append(row, np.zeros(251, int))[ids] for row, ids in zip(draws, labels, strict=True)])
        np.testing.assert_array_equal(mask, wanted)


def test_one_choice_for_the_whole_batch() -> None:
    labels = np.arange(2 * 4 * 4).reshape(2, 4, 4) % 3
    mask = mix_mask(segmap(labels, 3), np.array([[1, 0, 1]])).numpy()[:, 0]
    np.testing.assert_array_equal(mask, labels != 1)


def test_draws() -> None:
    draws = draw_classes(np.random.default_rng(0), 400, 29)
    assert draws.shape == (400, 29)
    assert set(np.unique(draws)) == {0, 1}
    assert np.abs(draws.mean(0) - 0.5).max() < 0.1
    assert np.abs(np.corrcoef(draws.T) - np.eye(29)).max() < 0.25


def test_mixture_and_consistency() -> None:
    """Where the mask is 1 the photograph's answer counts; the term is the mean of squares over all logits."""
    rng = np.random.default_rng(1)
    real, fake, mixed = (rng.normal(size=(2, 4, 3, 5)).astype(np.float32) for _ in range(3))
    mask = rng.integers(0, 2, (2, 1, 3, 5)).astype(np.float32)
    pasted = np.where(mask == 1, real, fake)
    np.testing.assert_array_equal(mix(*map(jt.array, (real, fake, mask))).numpy(), pasted)
    found = consistency(*map(jt.array, (mixed, real, fake, mask))).item()
    assert found == pytest.approx(((mixed - pasted) ** 2).mean(), rel=1e-5)
    assert consistency(*map(jt.array, (pasted, real, fake, mask))).item() == 0


def test_consistency_teaches_through_all_three_answers() -> None:
    answers = [jt.array(np.full((1, 2, 2, 2), value, np.float32)) for value in (1, 2, 4)]
    mask = jt.array(np.array([[[[1, 0], [1, 0]]]], np.float32))
    gradients = jt.grad(consistency(*answers, mask), answers)
    jt.sync(gradients)
    mixed, real, fake = (g.numpy()[0, 0, 0] for g in gradients)
    np.testing.assert_allclose(mixed, np.array([-1, -3]) / 4)  # 2 * (1 - 2) / 8, 2 * (1 - 4) / 8
    np.testing.assert_allclose(real, np.array([1, 0]) / 4)
    np.testing.assert_allclose(fake, np.array([0, 3]) / 4)


def test_terms_of_the_discriminator_with_label_mix(batch: Any) -> None:
    labels, logits = batch
    labelled, draws = segmap(labels, 5), np.array([[1, 0, 1, 0, 1], [0, 0, 1, 1, 1]])
    mask = mix_mask(labelled, draws)
    real, fake, mixed = (jt.array(logits * factor) for factor in (1, 0.5, 2))
    terms = oasis_discriminator_losses(fake, real, labelled, mixed, mask, label_mix=5.0)
    assert list(terms) == ["D/real", "D/fake", "D/mix"]
    assert terms["D/mix"].item() == pytest.approx(5 * consistency(mixed, real, fake, mask).item(), rel=1e-6)
    assert terms["D/real"].item() == pytest.approx(class_loss(real, labelled).item(), rel=1e-6)
    assert terms["D/fake"].item() == pytest.approx(generated_loss(fake).item(), rel=1e-6)
