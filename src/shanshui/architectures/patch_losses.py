"""Discriminators that score patches and have features to match: what the declarations of all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from shanshui.architectures.base import SMALL_CLASSES, Discriminator, Generator, Goal, Seen, Terms
from shanshui.backend.lazy import jt

if TYPE_CHECKING:
    import numpy as np

    from shanshui.architectures.schedule import Step


class PatchDiscriminator(Discriminator):
    """Scores patches of label map and image together.

    Attributes:
        matching: factor of feature matching.
    """

    loss_options: ClassVar[frozenset[str]] = frozenset({"gan", "feature_matching"})
    matching: ClassVar[float] = 1.0

    def look(self, D: Any, step: Step, labels: Any, *images: Any) -> Any:
        """Feature maps and scores of batches of images of the same label maps."""
        return D(labels, *images)

    def generator_loss(self, D: Any, fake: Any, photo: Any, seen: Seen, step: Step, goal: Goal) -> Terms:
        from shanshui.nn.losses import generator_losses

        (of_fake,) = self.look(D, step, seen.labels, seen.fake)
        with jt.no_grad():
            (of_real,) = self.look(D, step, seen.labels, seen.photo)
        weights = {**goal.weights, "feat": self.matching * goal.weights["feat"]}
        return generator_losses(fake, photo, of_fake, of_real, weights, goal.perceptual, goal.gan)

    def discriminator_loss(self, D: Any, seen: Seen, step: Step, goal: Goal, rng: np.random.Generator) -> Terms:
        from shanshui.nn.losses import discriminator_losses

        of_fake, of_real = self.look(D, step, seen.labels, seen.fake, seen.photo)
        return discriminator_losses(of_fake, of_real, goal.gan)


class SeesSegmap(PatchDiscriminator):
    """One that is shown the segmap, edges counted, of `channels` channels."""

    channels: int

    @classmethod
    def own_options(cls, options: Mapping[str, Any], classes: int) -> dict[str, Any]:
        return {"channels": classes + (options["edges"] != "none")}

    def minimal_for(self, generator: Generator) -> Self:
        return self.minimal().model_copy(update={"channels": SMALL_CLASSES + generator.edges})
