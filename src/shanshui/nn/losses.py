"""Losses as scalars, and the named terms of a training step (`G/adv`, `G/feat`, ..., `D/real`, `D/fake`).

Every term is already weighted, so that a step minimises their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast

from shanshui.backend.lazy import jt
from shanshui.nn.loss_kernels import ABSOLUTE, GAN, applies, weighted_means

if TYPE_CHECKING:
    from jittor import Var


VGG_WEIGHTS: Sequence[float] = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of relu1_1 .. relu5_1
INCEPTION_WEIGHTS: Sequence[float] = (1 / 16, 1 / 8, 1 / 4, 1.0)  # of two max pools, Mixed_6e, the global average

Features = list[list["Var"]]  # feature maps of each discriminator; its scores are the last
GanLoss = Literal["hinge", "ls", "bce", "w"]
GAN_LOSSES: dict[str, tuple[Callable[[Var], Var], Callable[[Var], Var], Callable[[Var], Var]]] = {
    "hinge": (lambda p: -p, lambda p: (1 - p).maximum(0), lambda p: (1 + p).maximum(0)),  # Lim and Ye 2017
    "ls": (lambda p: (p - 1).sqr(), lambda p: (p - 1).sqr(), lambda p: p.sqr()),  # Mao et al. 2017
    "bce": (lambda p: softplus(-p), lambda p: softplus(-p), lambda p: softplus(p)),  # Goodfellow et al. 2014
    "w": (lambda p: -p, lambda p: -p, lambda p: p),  # Arjovsky et al. 2017
}  # of a prediction: for the generator, for the discriminator on photos, and on fakes


def generator_losses(
    fake: Var, real: Var, fake_features: Features, real_features: Features,
    weights: Mapping[str, float], perceptual: Callable[[Var, Var], Var] | None = None, gan: GanLoss = "hinge",
) -> dict[str, Var]:  # fmt: skip
    """Compute the loss terms of G and E, each (1,).

    Args:
        fake: generated images (N, 3, h, w), not augmented.
        real: photographs of the same size.
        fake_features: feature maps and scores of the discriminators for the fakes.
        real_features: the same for the photographs; held constant.
        weights: factors "feat", "perceptual", "rec"; a term with factor 0 is left out.
        perceptual: (fake, real) -> perceptual loss, or None.
        gan: kind of the adversarial term.
    """
    terms = {"G/adv": gan_loss(gan, 0, fake_features)}
    if weights.get("feat"):
        terms["G/feat"] = weights["feat"] * feature_matching(fake_features, real_features)
    return terms | image_losses(fake, real, weights, perceptual)


def image_losses(
    fake: Var, real: Var, weights: Mapping[str, float], perceptual: Callable[[Var, Var], Var] | None
) -> dict[str, Var]:
    """Compute the terms of `generator_losses` that need no discriminator."""
    terms = {}
    if perceptual is not None and weights.get("perceptual"):
        terms["G/perceptual"] = weights["perceptual"] * perceptual(fake, real)
    if weights.get("rec"):
        distance = weighted_l1([1.0], [fake], [real]) if applies(fake) else l1(fake, real)
        terms["G/rec"] = weights["rec"] * distance
    return terms


def discriminator_losses(fake_features: Features, real_features: Features, gan: GanLoss = "hinge") -> dict[str, Var]:
    """Compute the loss terms of D, each (1,), of kind `gan`, averaged over the discriminators, without a factor 1/2."""
    return {"D/real": gan_loss(gan, 1, real_features), "D/fake": gan_loss(gan, 2, fake_features)}


def gan_loss(gan: GanLoss, role: int, features: Features) -> Var:
    """Average the loss of all discriminators' scores (1,); `role` is the place of the formula in `GAN_LOSSES`."""
    scores = [maps[-1] for maps in features]
    if applies(scores[0]):
        return weighted_means(GAN[gan][role], [1 / len(scores)] * len(scores), scores)
    return average(mean(GAN_LOSSES[gan][role](score)) for score in scores)


def feature_matching(fake_features: Features, real_features: Features) -> Var:
    """Compute L1 between feature maps of fake and real, summed over the maps of a discriminator, averaged over D's.

    Scores do not count; the real side is held constant. Wang et al. 2018 (pix2pixHD).
    """
    if applies(fake_features[0][0]):
        fakes, reals = ([one for maps in features for one in maps[:-1]] for features in (fake_features, real_features))
        return weighted_l1([1 / len(fake_features)] * len(fakes), fakes, reals)
    return average(
        total(l1(f, r.detach()) for f, r in zip(fakes[:-1], reals[:-1], strict=True))
        for fakes, reals in zip(fake_features, real_features, strict=True)
    )


def weighted_l1(weights: Sequence[float], a: Sequence[Var], b: Sequence[Var]) -> Var:
    """Sum weighted mean absolute differences (1,) of arrays and others, which are held constant, on a GPU."""
    return weighted_means(ABSOLUTE, weights, a, [one.detach() for one in b])


def perceptual(features: Callable[[Var], Sequence[Var]], weights: Sequence[float], fake: Var, real: Var) -> Var:
    """Compute the weighted sum of L1 between features of fake and real (held constant).

    Args:
        features: image -> one map per entry of `weights`.
        weights: weight of each map.
        fake: generated images (N, 3, h, w) in [-1, 1].
        real: photographs of the same size.
    """
    with jt.no_grad():
        wanted = features(real)
    found = features(fake)
    if applies(found[0]):
        return weighted_l1(weights, found, wanted)
    return total(w * l1(f, r.detach()) for w, f, r in zip(weights, found, wanted, strict=True))


def l1(a: Var, b: Var) -> Var:
    """Compute the mean absolute difference (1,)."""
    return mean((a - b).abs())


def mean(x: Var) -> Var:
    """Average all elements (1,), summed in double precision: Jittor's float32 sum is 0.6 % off at 10^7."""
    return x.float64().mean().float32()


def average(terms: Iterable[Var]) -> Var:
    """Average some scalars."""
    terms = list(terms)
    return total(terms) / len(terms)


def total(terms: Iterable[Var]) -> Var:
    """Sum some tensors of one shape, at least one."""
    return cast("Var", sum(terms))


def kl_divergence(mean: Var, log_variance: Var, reduction: Literal["sum", "mean"] = "sum") -> Var:
    """Compute the KL divergence (1,) of normal distributions from the standard normal one.

    Kingma and Welling 2014, appendix B.

    Args:
        mean, log_variance: (N, z_dim).
        reduction: "sum" over the images too, as GauGAN does, so that the term grows with the batch; or their "mean".
    """
    terms = 1 + log_variance - mean.sqr() - log_variance.exp()
    total = -0.5 * terms.float64().sum().float32()
    return total if reduction == "sum" else total / mean.shape[0]


def softplus(x: Var) -> Var:
    """Compute log(1 + exp(x)), elementwise, without overflow."""
    return x.maximum(0) + (1 + (-x.abs()).exp()).log()
