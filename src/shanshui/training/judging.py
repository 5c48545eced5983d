"""How each kind of discriminator judges: its loss terms for the generator, and its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shanshui.architectures.fpse_discriminator import FPSEDiscriminator
from shanshui.architectures.schedule import Step
from shanshui.backend import ranks
from shanshui.backend.runtime import load_jittor
from shanshui.training.losses import GanLoss, discriminator_losses, generator_losses, picture_losses
from shanshui.training.oasis_losses import (
    draw_classes,
    mix,
    mix_mask,
    oasis_discriminator_losses,
    oasis_generator_losses,
)

jt = load_jittor()

Terms = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """What losses are made of, the same for every step of a phase.

    Attributes:
        weights: factors of the generator's loss terms: feat, rec, perceptual.
        perceptual: (fake, real) -> perceptual loss, or None.
        gan: kind of the adversarial loss, where patches are scored.
        label_mix: weight of LabelMix, where pixels are classified.
    """

    weights: Mapping[str, float]
    perceptual: Callable[[Any, Any], Any] | None
    gan: GanLoss = "hinge"
    label_mix: float = 0.0


@dataclass(frozen=True)
class Seen:
    """What a discriminator sees of a batch: photographs, fakes (N, 3, h, w) and label maps, augmented alike."""

    photo: Any
    fake: Any
    labels: Any


class Judge(Protocol):
    """A discriminator in use."""

    D: Any

    def of_generator(self, fake: Any, photo: Any, seen: Seen, step: Step, goal: Goal) -> Terms:
        """Terms of G and E; `fake` and `photo` are those of `seen` before augmentation."""

    def of_discriminator(self, seen: Seen, step: Step, goal: Goal, rng: np.random.Generator) -> Terms:
        """Terms of D, to which the fakes are constant; `rng` draws alike on all MPI ranks."""


class ScoreJudge:
    """Discriminators that score patches and have features to match."""

    matching = 1.0  # factor of feature matching

    def __init__(self, D: Any) -> None:
        self.D = D

    def look(self, step: Step, labels: Any, *images: Any) -> Any:
        """Feature maps and scores of batches of images of the same label maps."""
        return self.D(labels, *images)

    def of_generator(self, fake: Any, photo: Any, seen: Seen, step: Step, goal: Goal) -> Terms:
        (of_fake,) = self.look(step, seen.labels, seen.fake)
        with jt.no_grad():
            (of_real,) = self.look(step, seen.labels, seen.photo)
        weights = {**goal.weights, "feat": self.matching * goal.weights["feat"]}
        return generator_losses(fake, photo, of_fake, of_real, weights, goal.perceptual, goal.gan)

    def of_discriminator(self, seen: Seen, step: Step, goal: Goal, rng: np.random.Generator) -> Terms:
        of_fake, of_real = self.look(step, seen.labels, seen.fake, seen.photo)
        return discriminator_losses(of_fake, of_real, goal.gan)


class BankJudge(ScoreJudge):
    """APF-GAN's bank, of which a growing generator wakes one discriminator after another."""

    def look(self, step: Step, labels: Any, *images: Any) -> Any:
        return self.D(labels, *images, level=step.level, alpha=step.alpha)


class FPSEJudge(ScoreJudge):
    """CC-FPSE's pyramid, whose three scores share four features."""

    matching = FPSEDiscriminator.feat_factor


class ClassJudge:
    """OASIS's discriminator, which classifies pixels; there are no features to match."""

    def __init__(self, D: Any) -> None:
        self.D = D
        self.num_classes = D.layer_up_last.out_channels - 1

    def of_generator(self, fake: Any, photo: Any, seen: Seen, step: Step, goal: Goal) -> Terms:
        terms = oasis_generator_losses(self.D(seen.fake), self.classes(seen))
        return terms | picture_losses(fake, photo, goal.weights, goal.perceptual)

    def of_discriminator(self, seen: Seen, step: Step, goal: Goal, rng: np.random.Generator) -> Terms:
        segmap, n = self.classes(seen), seen.fake.shape[0]
        images, mask = [seen.fake, seen.photo], None
        if goal.label_mix:
            choices = draw_classes(rng, n * ranks.count(), self.num_classes)[ranks.own_rows(n)]
            mask = mix_mask(segmap, choices)
            images.append(mix(seen.photo, seen.fake, mask))
        logits = self.D(jt.concat(images, 0))  # (2 or 3 times N, num_classes + 1, H, W)
        fake, real, mixed = (logits[i * n : (i + 1) * n] if i < len(images) else None for i in range(3))
        return oasis_discriminator_losses(fake, real, segmap, mixed, mask, goal.label_mix)

    def classes(self, seen: Seen) -> Any:
        """The label maps without edges."""
        return seen.labels[:, : self.num_classes]


JUDGES: dict[str, Callable[[Any], Judge]] = {
    "bank": BankJudge, "multiscale": ScoreJudge, "fpse": FPSEJudge, "oasis": ClassJudge,
}  # fmt: skip
