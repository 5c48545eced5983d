"""Losses as scalars, and the terms of a training step by name (`G/adv`, `G/feat`, ..., `D/real`, `D/fake`).

Every term comes weighted, so that a step minimises their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from shanshui.runtime import load_jittor

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.models.discriminator import Features

jt = load_jittor()

VGG_WEIGHTS: Sequence[float] = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of relu1_1 .. relu5_1
INCEPTION_WEIGHTS: Sequence[float] = (1 / 16, 1 / 8, 1 / 4, 1.0)  # of two max pools, Mixed_6e, the global average


def generator_losses(
    fake: Var, real: Var, fake_features: Features, real_features: Features,
    weights: Mapping[str, float], perceptual: Callable[[Var, Var], Var] | None = None,
) -> dict[str, Var]:  # fmt: skip
    """Terms of G and E, each (1,).

    Args:
        fake: generated images (N, 3, h, w), not augmented.
        real: photos of the same size.
        fake_features: what the discriminators say of the fakes.
        real_features: what they say of the photos; held constant.
        weights: factors "feat", "perceptual", "rec"; a term with factor 0 is left out.
        perceptual: (fake, real) -> perceptual loss, or None.
    """
    terms = {"G/adv": hinge_generator(fake_features)}
    if weights.get("feat"):
        terms["G/feat"] = weights["feat"] * feature_matching(fake_features, real_features)
    if perceptual is not None and weights.get("perceptual"):
        terms["G/perceptual"] = weights["perceptual"] * perceptual(fake, real)
    if weights.get("rec"):
        terms["G/rec"] = weights["rec"] * l1(fake, real)
    return terms


def discriminator_losses(fake_features: Features, real_features: Features) -> dict[str, Var]:
    """Terms of D, each (1,): hinge losses averaged over the discriminators, without a factor 1/2."""
    return {
        "D/real": average(mean((1 - maps[-1]).maximum(0)) for maps in real_features),
        "D/fake": average(mean((1 + maps[-1]).maximum(0)) for maps in fake_features),
    }


def hinge_generator(fake_features: Features) -> Var:
    """-mean(D(fake)), averaged over the discriminators."""
    return average(-mean(maps[-1]) for maps in fake_features)


def feature_matching(fake_features: Features, real_features: Features) -> Var:
    """L1 between feature maps of fake and real, summed over the maps of a discriminator, averaged over D's.

    Predictions do not count; the real side is held constant.
    """
    return average(
        sum(l1(f, r.detach()) for f, r in zip(fakes[:-1], reals[:-1], strict=True))
        for fakes, reals in zip(fake_features, real_features, strict=True)
    )


def perceptual(features: Callable[[Var], Sequence[Var]], weights: Sequence[float], fake: Var, real: Var) -> Var:
    """Weighted sum of L1 between features of fake and real (held constant), images (N, 3, h, w) in [-1, 1].

    Args:
        features: image -> one map per entry of `weights`.
        weights: weight of each map.
        fake: generated images.
        real: photos of the same size.
    """
    with jt.no_grad():
        wanted = features(real)
    return sum(w * l1(f, r.detach()) for w, f, r in zip(weights, features(fake), wanted, strict=True))


def l1(a: Var, b: Var) -> Var:
    """Mean absolute difference (1,)."""
    return mean((a - b).abs())


def mean(x: Var) -> Var:
    """Mean of all elements (1,), summed in double precision: Jittor's float32 sum is 0.6 % off at 10^7."""
    return x.float64().mean().float32()


def average(terms: Iterable[Var]) -> Var:
    """Mean of some scalars."""
    terms = list(terms)
    return sum(terms) / len(terms)
