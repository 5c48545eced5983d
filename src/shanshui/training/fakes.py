"""How a batch becomes fakes while training: the random numbers, the style of the photographs, and what that costs."""

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
    """How styles are held to the standard normal distribution: weight, and sum or mean over the batch."""

    weight: float = 0.05
    reduction: Literal["sum", "mean"] = "sum"


def random_noise(layer: int, n: int, height: int, width: int) -> Var:
    """Fresh noise (n, 1, height, width) for a SPADE layer while training; MPI ranks draw for all and keep their own."""
    noise = jt.randn(n * ranks.world_size(), 1, height, width)
    return noise[ranks.shard(n)] if ranks.world_size() > 1 else noise


def random_vector(n: int, length: int) -> Var:
    """Fresh vectors (n, length), likewise."""
    vector = jt.randn(n * ranks.world_size(), length)
    return vector[ranks.shard(n)] if ranks.world_size() > 1 else vector


FRESH = NoiseSource(random_noise, random_vector)


def sample_fakes(
    generator: BuiltGenerator, conditioning: Conditioning, real: Var, step: Step, style: StyleLoss
) -> tuple[Var, Terms]:
    """Fakes (N, 3, h, w) of label maps, and loss terms that come with making them.

    With a style encoder each fake takes a style drawn from what the encoder makes of its photograph in `real`
    (N, 3, H, W); the term holds these distributions to the one styles are drawn from without a photograph.
    """
    if generator.style_encoder is None:
        return generator.generate(conditioning, FRESH, step), {}
    mean, log_variance = generator.style_encoder(real)  # (N, z_dim) each
    z = reparameterise(mean, log_variance, FRESH.vector(*mean.shape))
    fake = generator.generate(conditioning, replace(FRESH, vector=lambda n, length: z), step)
    whole = ranks.world_size() if style.reduction == "sum" else 1  # gradients are averaged over the ranks
    return fake, {"G/kl": style.weight * whole * kl_divergence(mean, log_variance, style.reduction)}
