"""Losses of fine-tuning for a student: photographs, and a discriminator that learns with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.base import DiscriminatorBatch, LossConfig, Terms
from shanshui.architectures.generator_networks import FULL
from shanshui.architectures.networks import BuiltDiscriminator
from shanshui.backend.modules import gather, gather_optimizer, restore, restore_optimizer
from shanshui.compression.examples import Examples
from shanshui.config.training_settings import PhaseSettings
from shanshui.nn.losses import total
from shanshui.storage.checkpoint import Arrays, Checkpoint, prefixed
from shanshui.storage.size import Size
from shanshui.training.augment import augment, draw_augmentation
from shanshui.training.optim import adam

if TYPE_CHECKING:
    from jittor import Var

OF_TEACHER = ("G/rec", "G/perceptual")  # terms that compare with the teacher's images under these names


class Photographs:
    """A discriminator in training, and the losses of a student by it and by photographs.

    Args:
        discriminator: with the weights that it begins with.
        options: of fine-tuning.
        perceptual: (fake, real) -> perceptual loss of fine-tuning, or None.
    """

    def __init__(
        self, discriminator: BuiltDiscriminator, options: PhaseSettings,
        perceptual: Callable[[Var, Var], Var] | None,
    ) -> None:  # fmt: skip
        self._discriminator, self._options = discriminator, options
        self.betas = options.beta1, options.beta2
        self._optimizer = adam([discriminator.D], options.lr_d, self.betas)
        weights = {
            "feat": options.feature_matching, "rec": options.reconstruction, "perceptual": options.perceptual.weight,
        }  # fmt: skip
        self._losses = LossConfig(weights, perceptual, options.gan, options.label_mix)
        self._rng = np.random.default_rng(0)

    def begin(self, factor: float, rng: np.random.Generator) -> None:
        """Begin an epoch, with a factor of the learning rate and the random numbers of augmentation and LabelMix."""
        self._optimizer.lr, self._rng = self._options.lr_d * factor, rng

    def generator_terms(self, fake: Var, examples: Examples) -> Terms:
        """Compute the loss terms of the student's images (N, 3, H, W)."""
        batch = self._augmented(fake, examples)
        terms = self._discriminator.generator_loss(fake, examples.photographs(), batch, FULL, self._losses)
        return {f"{name}_photo" if name in OF_TEACHER else name: term for name, term in terms.items()}

    def update(self, fake: Var, examples: Examples) -> Terms:
        """Update the discriminator on the student's images (N, 3, H, W), held constant; return its loss terms."""
        batch = self._augmented(fake, examples)
        terms = self._discriminator.discriminator_loss(batch, FULL, self._losses, self._rng)
        self._optimizer.step(total(terms.values()))
        return terms

    def state(self) -> Arrays:
        """Return the arrays of discriminator and optimiser."""
        return prefixed("D", gather(self._discriminator.D)) | prefixed("opt_d", gather_optimizer(self._optimizer))

    def restore(self, state: Checkpoint) -> None:
        """Restore what `state` returned."""
        restore(self._discriminator.D, state.part("D"), "training state (D)")
        restore_optimizer(self._optimizer, state.part("opt_d"), "training state (opt_d)")

    def _augmented(self, fake: Var, examples: Examples) -> DiscriminatorBatch:
        """Augment photographs, fakes and label maps alike."""
        photo, labels = examples.photographs(), examples.conditioning.with_edges()
        draws = draw_augmentation(self._rng, self._options.augment, photo.shape[0], Size.of_maps(photo))
        return DiscriminatorBatch(*augment(photo, fake, labels, draws))
