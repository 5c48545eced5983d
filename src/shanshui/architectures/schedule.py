"""The progressive schedule: what every epoch of pretraining trains, and at which size.

It is shared by generator, discriminators and training loop. With 4 discriminators and 180 epochs
(the recipe of APF-GAN) the output grows 1/8 -> 1/4 -> 1/2 -> 1 of the full size; a new size is first
blended in over 29 epochs, then trained alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from shanshui.errors import ShanshuiError


@dataclass(frozen=True)
class Step:
    """State of the schedule in one epoch, as `Generator` and `Discriminator` take it.

    Attributes:
        level: 0 .. discriminators - 2, or None once everything is full (the networks' own default).
        alpha: share of the next level's output in [0, 1) while it fades in, else 0.
        fading: alpha > 0: the output already has the next level's size.
        full: full size and every discriminator.
    """

    level: int | None
    alpha: float
    fading: bool
    full: bool


class Stage(NamedTuple):
    """Epochs `first_epoch` .. `last_epoch` whose output is 1/`divisor` of the full width and height."""

    divisor: int
    first_epoch: int
    last_epoch: int


@dataclass(frozen=True)
class Schedule:
    """Progressive pretraining of `epochs` epochs (counted from 1) with `discriminators` output sizes.

    With span = epochs / (discriminators - 1), epoch e has level e // span and
    alpha = max(0, (e mod span) / (span / 2) - 1); from epoch `epochs` on everything is full size.

    Raises:
        ShanshuiError: fewer than two discriminators, or epochs that do not divide into equal spans of
            two epochs or more (the first level would then never be trained).
    """

    epochs: int
    discriminators: int

    def __post_init__(self) -> None:
        if self.discriminators < 2:
            raise ShanshuiError(
                f"{self.discriminators} discriminator(s) for a progressive schedule",
                "at least 2, one for each output size",
                "raise the number of discriminators",
            )
        levels = self.discriminators - 1
        if self.epochs % levels or self.epochs < 2 * levels:
            raise ShanshuiError(
                f"{self.epochs} pretraining epochs with {self.discriminators} discriminators",
                f"a multiple of {levels} (discriminators - 1), at least {2 * levels}",
                f"take {max(2 * levels, round(self.epochs / levels) * levels)} epochs",
            )

    @property
    def span(self) -> int:
        """Return the number of epochs of one level."""
        return self.epochs // (self.discriminators - 1)

    def at(self, epoch: int) -> Step:
        """Return the state in a 1-based epoch; epochs beyond the schedule (fine-tuning) are full."""
        if epoch < 1:
            raise ValueError(f"epochs count from 1, got {epoch}")
        if epoch >= self.epochs:
            return Step(level=None, alpha=0.0, fading=False, full=True)
        alpha = max(0.0, (epoch % self.span) / (self.span / 2) - 1)
        return Step(level=epoch // self.span, alpha=alpha, fading=alpha > 0, full=False)

    def scale(self, epoch: int) -> int:
        """Return the factor by which an epoch's output is smaller than the full width and height."""
        step = self.at(epoch)
        return 1 if step.level is None else 2 ** (self.discriminators - 1 - step.level - step.fading)

    def starts_fade(self, epoch: int) -> bool:
        """Return whether a new size begins to fade in: discriminator level + 1 then takes over level's weights."""
        return self.at(epoch).fading and not (epoch > 1 and self.at(epoch - 1).fading)

    def stages(self) -> list[Stage]:
        """List one stage per output size, smallest first; together they cover epochs 1 .. `epochs`."""
        stages: list[Stage] = []
        for epoch in range(1, self.epochs + 1):
            divisor = self.scale(epoch)
            if stages and stages[-1].divisor == divisor:
                stages[-1] = stages[-1]._replace(last_epoch=epoch)
            else:
                stages.append(Stage(divisor, epoch, epoch))
        return stages


@dataclass(frozen=True)
class FullSize:
    """The schedule of networks that do not grow: `epochs` epochs of pretraining, every one at full size."""

    epochs: int

    def at(self, epoch: int) -> Step:
        """Return the state in any epoch."""
        return Step(level=None, alpha=0.0, fading=False, full=True)

    def starts_fade(self, epoch: int) -> bool:
        """Return False: no new size ever begins."""
        return False

    def stages(self) -> list[Stage]:
        """List the one stage."""
        return [Stage(1, 1, self.epochs)]


def schedule(epochs: int, sizes: int) -> Schedule | FullSize:
    """Create the schedule of `epochs` epochs of pretraining through `sizes` output sizes (1: full size only)."""
    return FullSize(epochs) if sizes == 1 else Schedule(epochs, sizes)
