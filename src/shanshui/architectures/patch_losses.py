"""Discriminators that score patches and whose features are matched: what their declarations have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from shanshui.architectures.base import Discriminator, DiscriminatorBatch, LossConfig, Terms
from shanshui.backend.lazy import jt

if TYPE_CHECKING:
    import numpy as np
    from jittor import Module, Var

    from shanshui.architectures.schedule import Step
    from shanshui.nn.losses import Features


class PatchDiscriminator(Discriminator):
    """Discriminator that scores patches of label map and image together.

    Attributes:
        matching: factor of feature matching.
    """

    loss_options: ClassVar[frozenset[str]] = frozenset({"gan", "feature_matching"})
    matching: ClassVar[float] = 1.0

    def forward_features(self, D: Module, step: Step, labels: Var, *images: Var) -> list[Features]:
        """Compute feature maps and scores of batches of images of the same label maps."""
        return D(labels, *images)

    def features(self, D: Module, step: Step, labels: Var, *images: Var) -> list[Features]:
        """Compute `forward_features`, with the layers' weights normalised together."""
        from shanshui.nn.spectral_together import normalised_together

        with normalised_together([D], (step.level, step.alpha > 0)):
            return self.forward_features(D, step, labels, *images)

    def generator_loss(
        self, D: Module, fake: Var, photo: Var, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig
    ) -> Terms:
        """Compute the loss terms of G and E; `fake` and `photo` are those of `batch` before augmentation."""
        from shanshui.nn.losses import generator_losses

        (of_fake,) = self.features(D, step, batch.labels, batch.fake)
        with jt.no_grad():
            (of_real,) = self.features(D, step, batch.labels, batch.photo)
        weights = {**loss_config.weights, "feat": self.matching * loss_config.weights["feat"]}
        return generator_losses(fake, photo, of_fake, of_real, weights, loss_config.perceptual, loss_config.gan)

    def discriminator_loss(
        self, D: Module, batch: DiscriminatorBatch, step: Step, loss_config: LossConfig, rng: np.random.Generator
    ) -> Terms:
        """Compute the loss terms of D, with the fakes held constant; `rng` is the same on all MPI ranks."""
        from shanshui.nn.losses import discriminator_losses

        of_fake, of_real = self.features(D, step, batch.labels, batch.fake, batch.photo)
        return discriminator_losses(of_fake, of_real, loss_config.gan)


class SegmapDiscriminator(PatchDiscriminator):
    """Patch discriminator whose input is the segmap, edges counted."""

    @property
    def channels(self) -> int:
        """Return the channels of the segmap, edges counted."""
        return self.num_classes + self.edges
