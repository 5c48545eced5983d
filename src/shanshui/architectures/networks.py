"""From settings and checkpoints to networks in use: the one seam between declarations and what trains or generates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shanshui.architectures.base import Discriminator, DiscriminatorBatch, LossConfig, Terms
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.registry import discriminator_of, generator_of
from shanshui.architectures.schedule import Step
from shanshui.backend.modules import gather, restore
from shanshui.nn.init import init_weights
from shanshui.storage.checkpoint import Arrays

Settings = dict[str, Any]


@dataclass
class BuiltDiscriminator:
    """A discriminator in use.

    Attributes:
        declared: the declaration (`architectures.registry`).
        D: the network.
    """

    declared: Discriminator
    D: Any

    def generator_loss(
        self, fake: Any, photo: Any, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig
    ) -> Terms:
        """Terms of G and E; `fake` and `photo` are those of `batch` before augmentation."""
        return self.declared.generator_loss(self.D, fake, photo, batch, step, loss_config)

    def discriminator_loss(
        self, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig, rng: np.random.Generator
    ) -> Terms:
        """Terms of D, to which the fakes are constant; `rng` draws alike on all MPI ranks."""
        return self.declared.discriminator_loss(self.D, batch, step, loss_config, rng)


def build_generator(settings: Settings, seg_noise: bool = False, heads: int = 0) -> BuiltGenerator:
    """Generator and encoder as in `settings` (sections data, model, encoder, parity), freshly initialised.

    Args:
        seg_noise: noise in the SPADE layers of generators that know it.
        heads: output sizes below the full one, of generators that grow.
    """
    declared = generator_of(settings).in_phase(heads, seg_noise)
    generator = BuiltGenerator(declared, *declared.build())
    declared.initialise(*generator.networks().values())
    return generator


def restore_generator(arrays: Arrays, meta: Settings, source: str) -> BuiltGenerator:
    """Generator and encoder in evaluation mode from a checkpoint's arrays ("G.", "E.") and metadata."""
    declared = generator_of(meta, source)
    generator = BuiltGenerator(declared, *declared.build())
    for letter, network in generator.networks().items():
        start = f"{letter}."
        restore(network, {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}, source)
        network.eval()
    return generator


def load_generator(arrays: Arrays, meta: Settings, source: str) -> tuple[Any, Any]:
    """Generator and encoder (None without one) of `restore_generator`."""
    generator = restore_generator(arrays, meta, source)
    return generator.G, generator.E


def build_discriminator(settings: Settings) -> BuiltDiscriminator:
    """The discriminator, or bank of them, as in `settings`, freshly initialised."""
    declared = discriminator_of(settings)
    D = declared.build()
    init_weights(D)
    return BuiltDiscriminator(declared, D)


def adopt(network: Any, arrays: Arrays, source: str, fresh: Sequence[str] = (), dropped: Sequence[str] = ()) -> None:
    """Set `network` from `arrays`, strictly but for declared differences.

    Args:
        fresh: layer names that may be new in the network and keep their initial values ("seg_noise").
        dropped: layer names in the arrays that the network no longer has ("heads").
    """
    own = gather(network)
    kept = {name: a for name, a in arrays.items() if not any(part in dropped for part in name.split("."))}
    new = {name: a for name, a in own.items() if name not in kept and any(part in fresh for part in name.split("."))}
    restore(network, kept | new, source)
