"""Generate the fakes of a training batch, with their random numbers, styles and KL loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from shanshui.architectures.generator_networks import BuiltGenerator, Conditioning
from shanshui.architectures.noise_source import NoiseSource
from shanshui.architectures.schedule import Step
from shanshui.architectures.style_encoder import reparameterise
from shanshui.backend import ranks
from shanshui.backend.lazy import jt
from shanshui.nn.losses import kl_divergence

if TYPE_CHECKING:
    from jittor import Var

    from shanshui.architectures.base import Terms


@dataclass(frozen=True)
class StyleLoss:
    """Weight of the KL divergence of styles from the standard normal distribution, as sum or mean over the batch."""

    weight: float = 0.05
    reduction: Literal["sum", "mean"] = "sum"


def random_noise(layer: int, n: int, height: int, width: int) -> Var:
    """Draw noise (n, 1, height, width) for a SPADE layer; MPI ranks draw for all and keep their own rows."""
    noise = jt.randn(n * ranks.world_size(), 1, height, width)
    return noise[ranks.shard(n)] if ranks.world_size() > 1 else noise


def random_vector(n: int, length: int) -> Var:
    """Draw latent vectors (n, length); MPI ranks draw for all and keep their own rows."""
    vector = jt.randn(n * ranks.world_size(), length)
    return vector[ranks.shard(n)] if ranks.world_size() > 1 else vector


FRESH = NoiseSource(random_noise, random_vector)


def sample_fakes(
    generator: BuiltGenerator, conditioning: Conditioning, real: Var, step: Step, style: StyleLoss,
    noise_source: NoiseSource = FRESH, parts: int = 1,
) -> tuple[Var, Terms]:  # fmt: skip
    """Generate fakes (N, 3, h, w) of label maps; return them with the loss terms of the style encoder.

    With a style encoder, each fake takes a style drawn from the distribution that the encoder computes from its
    photograph; the loss term is the KL divergence of these distributions from the standard normal one.

    Args:
        generator: with its style encoder, if any.
        conditioning: label maps and additional inputs.
        real: photographs (N, 3, H, W) in [-1, 1], whose styles are encoded.
        step: of the progressive schedule.
        style: weight and reduction of the KL divergence.
        noise_source: of the random numbers.
        parts: of the batch, of which this is one; gradients are averaged over them, as over MPI ranks.
    """
    if generator.style_encoder is None:
        return generator.generate(conditioning, noise_source, step), {}
    mean, log_variance = generator.style_encoder(real)  # (N, z_dim) each
    z = reparameterise(mean, log_variance, noise_source.vector(*mean.shape))
    fake = generator.generate(conditioning, replace(noise_source, vector=lambda n, length: z), step)
    whole = ranks.world_size() * parts if style.reduction == "sum" else 1  # gradients are averaged over these
    return fake, {"G/kl": style.weight * whole * kl_divergence(mean, log_variance, style.reduction)}
