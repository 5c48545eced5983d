"""Losses of many arrays by kernels for GPUs, run on the CPU: as Jittor's own operations, gradients too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shanshui.backend.runtime import load_jittor
from shanshui.nn import loss_kernels, losses
from shanshui.nn.loss_kernels import GAN
from shanshui.nn.losses import GAN_LOSSES, discriminator_losses, generator_losses, perceptual

jt = load_jittor()
WEIGHTS = {"feat": 10.0, "rec": 0.0}
Result = list[np.ndarray]


def maps(seed: int, scale: float = 2.0) -> list[list[Any]]:
    """Feature maps and scores of two discriminators; one map is longer than the part of a block."""
    rng, found = np.random.default_rng(seed), []
    for shapes in (((1, 2, 100, 90), (1, 3, 5, 7), (1, 1, 4, 4)), ((2, 3, 5, 6), (2, 1, 3, 3))):
        found.append([jt.array(rng.normal(0, scale, shape).astype(np.float32)) for shape in shapes])
    return found


def both_ways(
    monkeypatch: pytest.MonkeyPatch, compute: Callable[[], tuple[list[Any], list[Any]]]
) -> tuple[Result, Result]:
    """Terms, and gradients of their sum, by Jittor's operations and by the kernels."""
    results = []
    for kernels in (False, True):
        monkeypatch.setattr(losses, "applies", lambda x, kernels=kernels: kernels)
        terms, inputs = compute()
        found = [*terms, *jt.grad(sum(terms), inputs)]
        jt.sync(found)
        results.append([one.numpy() for one in found])
    return results[0], results[1]


def same(results: tuple[Result, Result]) -> None:
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-6, atol=2e-6 * np.abs(one).max())


@pytest.mark.parametrize("gan", GAN_LOSSES)
def test_losses_of_scores_and_features(monkeypatch: pytest.MonkeyPatch, gan: Any) -> None:
    def compute() -> tuple[list[Any], list[Any]]:
        fake, real = maps(0), maps(1)
        image = jt.ones((1, 3, 4, 4))
        g = generator_losses(image, image, fake, real, WEIGHTS, gan=gan)
        d = discriminator_losses(fake, real, gan)
        assert [*g, *d] == ["G/adv", "G/feat", "D/real", "D/fake"]
        return [*g.values(), *d.values()], [one for each in (*fake, *real) for one in each]

    same(both_ways(monkeypatch, compute))


def test_distance_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def compute() -> tuple[list[Any], list[Any]]:
        fake, real = (
            jt.array(np.random.default_rng(seed).normal(size=(2, 3, 70, 90)).astype(np.float32)) for seed in (1, 2)
        )
        return [*losses.image_losses(fake, real, {"rec": 7.0}, None).values()], [fake]

    same(both_ways(monkeypatch, compute))


def test_perceptual_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    def compute() -> tuple[list[Any], list[Any]]:
        fake, real = (
            jt.array(np.random.default_rng(seed).normal(size=(1, 3, 8, 8)).astype(np.float32)) for seed in (1, 2)
        )
        return [perceptual(lambda x: [x, x[:, :2] * 2], [0.25, 3.0], fake, real)], [fake]

    same(both_ways(monkeypatch, compute))


def test_more_arrays_than_fit_one_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_kernels, "MOST", 2)

    def compute() -> tuple[list[Any], list[Any]]:
        fake, real = maps(0), maps(1)
        return [losses.feature_matching(fake, real)], [one for each in fake for one in each[:-1]]

    same(both_ways(monkeypatch, compute))


def test_every_loss_has_its_kernels() -> None:
    assert GAN.keys() == GAN_LOSSES.keys()
    assert {len(formulas) for formulas in (*GAN.values(), *GAN_LOSSES.values())} == {3}
