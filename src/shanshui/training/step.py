"""One GAN training step: generator and encoder first, then the discriminators, on the same batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from shanshui.architectures.base import DiscriminatorBatch, LossConfig
from shanshui.architectures.generator_networks import BuiltGenerator, Conditioning
from shanshui.architectures.networks import BuiltDiscriminator
from shanshui.architectures.schedule import Step
from shanshui.backend.lazy import jt
from shanshui.nn import resize
from shanshui.storage.size import Size
from shanshui.training.accumulation import BatchDraws, update
from shanshui.training.augment import augment
from shanshui.training.fakes import StyleLoss, sample_fakes
from shanshui.training.moving_average import MovingAverage

if TYPE_CHECKING:
    from jittor import Module, Var
    from jittor.optim import Adam

    from shanshui.architectures.base import Terms


@dataclass
class Networks:
    """The trained networks and their optimisers, and the moving average of G and E, if any."""

    generator: BuiltGenerator
    discriminator: BuiltDiscriminator
    opt_g: Adam
    opt_d: Adam
    average: MovingAverage | None = None

    def parts(self) -> dict[str, Module]:
        """Return the networks by letter, as in a checkpoint."""
        return {**self.generator.networks(), "D": self.discriminator.D}


@dataclass(frozen=True)
class StepConfig:
    """Losses and augmentation, the same for every step of a phase.

    Attributes:
        loss_config: losses and their weights.
        operations: DiffAugment operations.
        style: the style encoder's loss, if there is one.
        soft_labels: downsample label maps bilinearly, as the winner did, instead of by nearest neighbour.
        grow_always: copy a discriminator into its successor before every forward pass of a fade's first epoch.
        reuse_fakes: train D on the fakes that the loss of G was computed on, instead of generating others with the
            updated weights. It saves a forward pass of G, and the fakes are older by one update.
    """

    loss_config: LossConfig
    operations: tuple[str, ...] = ()
    style: StyleLoss = field(default_factory=StyleLoss)
    soft_labels: bool = False
    grow_always: bool = False
    reuse_fakes: bool = False

    def without_growing(self) -> StepConfig:
        """Return the same for epochs in which no discriminator copies another's weights."""
        return replace(self, grow_always=False)


def train_step(
    nets: Networks, step_config: StepConfig, step: Step, real: Var, conditioning: Conditioning, rng: np.random.Generator
) -> dict[str, Var]:
    """Update G and E, then D, on one batch or on this MPI rank's part of it, with gradients of the whole batch.

    Args:
        nets: networks and optimisers.
        step_config: losses and augmentation.
        step: of the progressive schedule.
        real: photographs (N, 3, H, W) in [-1, 1] at full size.
        conditioning: their label maps and additional inputs.
        rng: source of the random numbers of augmentation and LabelMix.

    Returns:
        Loss terms by name ("G/adv", "G/feat", "D/real", ...), scalars still on the device; of this rank's part.
    """
    return accumulated_step(nets, step_config, step, [(real, conditioning)], rng)


def accumulated_step(
    nets: Networks, step_config: StepConfig, step: Step, parts: Sequence[tuple[Var, Conditioning]],
    rng: np.random.Generator,
) -> dict[str, Var]:  # fmt: skip
    """Update as `train_step` does, on a batch in equal parts, of which one at a time is computed.

    Args:
        nets: networks and optimisers.
        step_config: losses and augmentation.
        step: of the progressive schedule.
        parts: photographs, and label maps with additional inputs, of each part.
        rng: source of the random numbers of augmentation and LabelMix.
    """
    count, networks = len(parts), nets.parts().values()
    pairs: list[tuple[Var, Var]] = []  # photographs and label maps at the size of the fakes
    generated: list[Var] = []  # fakes to be used once more

    def batch_of(part: int, fake: Var, draws: BatchDraws) -> DiscriminatorBatch:
        """Augment photographs, fakes and label maps for the discriminators."""
        if step_config.grow_always and part == 0:
            nets.discriminator.grow(cast("int", step.level))
        photo, labels = pairs[part]
        drawn = draws.augmentation(step_config.operations, len(photo), Size.of_maps(photo))
        return DiscriminatorBatch(*augment(photo, fake, labels, drawn))

    def fakes(part: int, draws: BatchDraws) -> tuple[Var, Terms]:
        real, conditioning = parts[part]
        return sample_fakes(
            nets.generator, conditioning, real, step, step_config.style, draws.noise_source, parts=count
        )

    def generator_terms(part: int) -> Terms:
        real, conditioning = parts[part]
        fake, style_terms = fakes(part, for_g)
        if step_config.reuse_fakes:
            generated.append(fake.detach())
        pairs.append(reduce_pair(real, conditioning.with_edges(), Size.of_maps(fake), step_config.soft_labels))
        batch = batch_of(part, fake, for_g)
        return (
            nets.discriminator.generator_loss(fake, pairs[part][0], batch, step, step_config.loss_config) | style_terms
        )

    def discriminator_terms(part: int) -> Terms:
        if step_config.reuse_fakes:
            fake = generated[part]
        else:
            with jt.no_grad():
                fake = fakes(part, for_d)[0].detach()
        return nets.discriminator.discriminator_loss(batch_of(part, fake, for_d), step, step_config.loss_config, rng)

    for_g = BatchDraws(count, rng)
    losses_g = update(nets.opt_g, networks, for_g, generator_terms)
    for_d = BatchDraws(count, rng)
    losses_d = update(nets.opt_d, networks, for_d, discriminator_terms)
    jt.sync_all()
    return losses_g | losses_d


def reduce_pair(real: Var, segmap: Var, size: Size, soft_labels: bool) -> tuple[Var, Var]:
    """Downsample photographs and label maps to the `size` of the generated images."""
    if Size.of_maps(real) == size:
        return real, segmap
    if soft_labels:
        return resize.bilinear(real, size), resize.bilinear(segmap, size)
    return resize.area(real, size), resize.nearest(segmap, size)
