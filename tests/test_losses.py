"""Losses on numbers that can be worked out by hand, and the networks perceptual losses look through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.backend.runtime import load_jittor
from shanshui.nn.losses import (
    VGG_WEIGHTS,
    discriminator_losses,
    generator_losses,
    kl_divergence,
    mean,
    perceptual,
)
from shanshui.nn.vgg import VGG19, imagenet_range
from shanshui.training.optim import adam, trainable

jt = load_jittor()


def constant(value: float, channels: int = 1) -> Any:
    return jt.full((2, channels, 3, 4), value)


FAKE = [[constant(1, 5), constant(-0.5)], [constant(2, 5), constant(1, 5), constant(3.0)]]
REAL = [[constant(4, 5), constant(0.25)], [constant(2, 5), constant(0, 5), constant(2.0)]]


def values(losses: dict[str, Any]) -> dict[str, float]:
    return {name: round(float(loss.item()), 5) for name, loss in losses.items()}


def test_hinge_and_feature_matching() -> None:
    assert values(discriminator_losses(FAKE, REAL)) == {"D/real": 0.375, "D/fake": 2.25}
    losses = generator_losses(constant(1), constant(3), FAKE, REAL, {"feat": 10.0, "rec": 0.5})
    assert values(losses) == {"G/adv": -1.25, "G/feat": 20.0, "G/rec": 1.0}


@pytest.mark.parametrize(
    ("gan", "expected"),
    [
        ("ls", (0.5 * (2.25 + 4), 0.5 * (0.5625 + 1), 0.5 * (0.25 + 9))),
        ("w", (-1.25, -1.125, 1.25)),
        ("bce", tuple(np.log1p(np.exp(np.array(x))).mean() for x in ((0.5, -3), (-0.25, -2), (-0.5, 3)))),
    ],
)
def test_other_adversarial_losses(gan: Any, expected: tuple[float, ...]) -> None:
    losses = generator_losses(constant(1), constant(3), FAKE, REAL, {}, gan=gan)
    losses |= discriminator_losses(FAKE, REAL, gan)
    assert [losses[name].item() for name in ("G/adv", "D/real", "D/fake")] == pytest.approx(expected, abs=1e-5)


def test_binary_cross_entropy_does_not_overflow() -> None:
    far = [[constant(-200.0)]]
    assert generator_losses(constant(1), constant(3), far, far, {}, gan="bce")["G/adv"].item() == pytest.approx(200)


def test_kl_divergence() -> None:
    mean, log_variance = jt.array(np.float32([[1, 0], [0, 2]])), jt.array(np.log(np.float32([[1, 1], [4, 1]])))
    total = 0.5 + (4 - 1 - np.log(4)) / 2 + 2
    assert kl_divergence(mean, log_variance).item() == pytest.approx(total, rel=1e-6)
    assert kl_divergence(mean, log_variance, "mean").item() == pytest.approx(total / 2, rel=1e-6)


def test_terms_of_weight_zero_are_left_out() -> None:
    losses = generator_losses(constant(1), constant(3), FAKE, REAL, {"feat": 0.0}, perceptual=lambda f, r: f)
    assert set(losses) == {"G/adv"}
    weights = {"perceptual": 10.0}
    losses = generator_losses(constant(1), constant(3), FAKE, REAL, weights, lambda f, r: mean(r - f))
    assert values(losses) == {"G/adv": -1.25, "G/perceptual": 20.0}


def test_the_real_side_is_held_constant() -> None:
    fake, real = constant(1, 5), constant(3, 5)
    loss = generator_losses(fake, real, [[fake, constant(0)]], [[real, constant(0)]], {"feat": 1.0})["G/feat"]
    to_fake, to_real = jt.grad(loss, [fake, real])
    assert to_fake.numpy().min() == pytest.approx(-1 / 120)
    assert np.abs(to_real.numpy()).max() == 0


def test_means_of_many_numbers_are_exact() -> None:
    x = np.random.default_rng(0).random((4, 8, 192, 256), dtype=np.float32)
    assert mean(jt.array(x)).item() == pytest.approx(x.mean(dtype=np.float64), rel=1e-6)


def test_perceptual_loss() -> None:
    def features(x: Any) -> list[Any]:
        return [x, 2 * x[:, :1]]

    fake, real = constant(1, 3), constant(2, 3)
    loss = perceptual(features, (0.5, 1.0), fake, real)
    assert loss.item() == pytest.approx(0.5 * 1 + 1.0 * 2)
    to_fake, to_real = jt.grad(loss, [fake, real])
    assert np.abs(to_fake.numpy()).min() > 0
    assert np.abs(to_real.numpy()).max() == 0


def test_vgg() -> None:
    """Sizes, torchvision's names, nothing to train, and gradients for the image all the same."""
    net = VGG19()
    names = [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)]
    assert list(net.state_dict()) == [f"{name}.{part}" for name in names for part in ("weight", "bias")]
    assert trainable([net]) == []
    taps = net(jt.zeros((1, 3, 64, 96)))
    assert [tuple(t.shape[1:]) for t in taps] == [
        (64, 64, 96), (128, 32, 48), (256, 16, 24), (512, 8, 12), (512, 4, 6),
    ]  # fmt: skip
    assert len(taps) == len(VGG_WEIGHTS)


def test_imagenet_range() -> None:
    grey = imagenet_range(jt.zeros((1, 3, 2, 2))).numpy()[0, :, 0, 0]
    np.testing.assert_allclose(grey, (0.5 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5)


def test_adam() -> None:
    """Two steps with beta1 = 0: minus lr times the gradient over the root of its running square."""

    class One(jt.Module):
        def __init__(self) -> None:
            self.weight = jt.array(np.float32([1, -2]))
            self.frozen = jt.ones(2).stop_grad()

    net = One()
    optimizer = adam([net], lr=0.1)
    w, v = np.array([1.0, -2.0]), np.zeros(2)
    for n in (1, 2):
        optimizer.step((net.weight**2).sum() + net.frozen.sum())
        v = 0.9 * v + 0.1 * (2 * w) ** 2
        w = w - 0.1 * np.sqrt(1 - 0.9**n) * 2 * w / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(net.weight.numpy(), w, rtol=1e-5)
    assert net.frozen.numpy().tolist() == [1, 1]
