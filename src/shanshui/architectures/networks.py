"""Networks in use from settings and checkpoints: the one connection of declarations with training and generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from shanshui.architectures.base import INIT_GAIN, Discriminator, DiscriminatorBatch, Generator, LossConfig, Terms
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.registry import discriminator_of, generator_of
from shanshui.architectures.schedule import Step
from shanshui.backend.modules import gather, restore
from shanshui.backend.runtime import load_jittor
from shanshui.errors import ShanshuiError
from shanshui.nn.channel_groups import unknown_groups
from shanshui.nn.init import init_weights
from shanshui.storage.checkpoint import Arrays, Meta

if TYPE_CHECKING:
    from jittor import Module, Var

    from shanshui.architectures.apf_discriminator import Discriminator as ProgressiveDiscriminator


@dataclass
class BuiltDiscriminator:
    """A discriminator's network, called as its declaration says.

    Attributes:
        declared: the declaration (`architectures.registry`).
        D: the network.
    """

    declared: Discriminator
    D: Module

    def grow(self, level: int) -> None:
        """Let the next size's discriminator begin with the weights of that of `level`, if each size has its own."""
        if self.declared.grows:
            cast("ProgressiveDiscriminator", self.D).grow(level)

    def generator_loss(
        self, fake: Var, photo: Var, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig
    ) -> Terms:
        """Compute the loss terms of G and E; `fake` and `photo` are those of `batch` before augmentation."""
        return self.declared.generator_loss(self.D, fake, photo, batch, step, loss_config)

    def discriminator_loss(
        self, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig, rng: np.random.Generator
    ) -> Terms:
        """Compute the loss terms of D, with the fakes held constant; `rng` is the same on all MPI ranks."""
        return self.declared.discriminator_loss(self.D, batch, step, loss_config, rng)


def build_generator(settings: Mapping[str, object], seg_noise: bool = False, heads: int = 0) -> BuiltGenerator:
    """Build generator and encoder from `settings` (sections data, model, encoder, parity), freshly initialised.

    Args:
        settings: of training.
        seg_noise: noise in the SPADE layers of generators that know it.
        heads: output sizes below the full one, of generators that grow.
    """
    return init_generator(generator_of(settings), seg_noise, heads)


def init_generator(
    section: Generator, seg_noise: bool = False, heads: int = 0, gain: float = INIT_GAIN
) -> BuiltGenerator:
    """Build the generator of a section with its encoder, freshly initialised.

    Args:
        section: the generator's.
        seg_noise: as of `build_generator`.
        heads: likewise.
        gain: factor of the initial weights' standard deviation.
    """
    load_jittor()  # as this package sets it up; a plug-in's network may `import jittor`
    declared = section.in_phase(heads, seg_noise)
    generator = BuiltGenerator(declared, *declared.build())
    declared.initialise(*generator.networks().values(), gain=gain)
    return generator


def restore_generator(arrays: Arrays, meta: Meta, source: str) -> BuiltGenerator:
    """Build generator and encoder in evaluation mode from a checkpoint's arrays ("G.", "E.") and metadata.

    Raises:
        ShanshuiError: the metadata describe no known generator or other channels than it has, or the arrays do not fit.
    """
    load_jittor()
    declared = generator_of(meta, source)
    generator = BuiltGenerator(declared, *declared.build())
    if unknown := unknown_groups(generator.G, declared.context.plan):
        raise ShanshuiError(
            f"{source}: model.plan names {', '.join(unknown)}", f"groups of channels of the generator {declared.name}"
        )
    for letter, network in generator.networks().items():
        start = f"{letter}."
        restore(network, {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}, source)
        network.eval()
    return generator


def build_discriminator(settings: Mapping[str, object]) -> BuiltDiscriminator:
    """Build the discriminator, or the progressive discriminators, from `settings`, freshly initialised."""
    return init_discriminator(discriminator_of(settings))


def init_discriminator(declared: Discriminator, gain: float = INIT_GAIN) -> BuiltDiscriminator:
    """Build the discriminator of a section, freshly initialised; `gain` is a factor of its weights' deviation."""
    load_jittor()
    D = declared.build()
    init_weights(D, gain)
    return BuiltDiscriminator(declared, D)


def adopt(network: Module, arrays: Arrays, source: str, fresh: Sequence[str] = (), dropped: Sequence[str] = ()) -> None:
    """Set `network` from `arrays`, strictly but for declared differences.

    Args:
        network: to be set.
        arrays: values by name.
        source: what messages call the arrays.
        fresh: layer names that may be new in the network and keep their initial values ("seg_noise").
        dropped: layer names in the arrays that the network no longer has ("heads").

    Raises:
        ShanshuiError: other names or shapes differ.
    """
    own = gather(network)
    kept = {name: a for name, a in arrays.items() if not any(part in dropped for part in name.split("."))}
    new = {name: a for name, a in own.items() if name not in kept and any(part in fresh for part in name.split("."))}
    restore(network, kept | new, source)
