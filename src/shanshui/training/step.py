"""One GAN training step: generator and encoder first, then the discriminators, on the same batch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from shanshui.architectures.base import Goal, Seen
from shanshui.architectures.networks import Judge
from shanshui.architectures.painters import Painter, Shown
from shanshui.architectures.schedule import Step
from shanshui.backend import ranks
from shanshui.backend.lazy import jt
from shanshui.nn import resize
from shanshui.training.augment import augment
from shanshui.training.augment import draw as draw_augmentation
from shanshui.training.drawing import StyleLoss, draw
from shanshui.training.moving_average import MovingAverage


@dataclass
class Networks:
    """What is trained: generator with encoder, discriminator, their two optimisers; the average of G and E, if any."""

    painter: Painter
    judge: Judge
    opt_g: Any
    opt_d: Any
    average: MovingAverage | None = None

    def parts(self) -> dict[str, Any]:
        """The networks by letter, as in a checkpoint."""
        return {**self.painter.networks(), "D": self.judge.D}


@dataclass(frozen=True)
class Recipe:
    """How it is trained, the same for every step of a phase.

    Attributes:
        goal: what the losses are made of.
        operations: DiffAugment operations.
        style: the style encoder's loss, where there is one.
        soft_labels: reduce label maps bilinearly, as the winner did, instead of by nearest neighbour.
        grow_always: copy a discriminator into its successor before every forward pass of a fade's first epoch.
    """

    goal: Goal
    operations: tuple[str, ...] = ()
    style: StyleLoss = field(default_factory=StyleLoss)
    soft_labels: bool = False
    grow_always: bool = False

    def without_growing(self) -> Recipe:
        """The same for epochs in which no discriminator takes over another's weights."""
        return replace(self, grow_always=False)


def one_hot(label_map: np.ndarray, num_classes: int) -> Any:
    """Class ids uint8 (N, H, W) -> segmap (N, num_classes, H, W), made on the device; 255 is no class."""
    ids = jt.array(label_map.astype(np.int32)).unsqueeze(1)  # (N, 1, H, W)
    classes = jt.array(np.arange(num_classes, dtype=np.int32)).reshape(1, -1, 1, 1)
    return (ids == classes).float32()


def train_step(
    nets: Networks, recipe: Recipe, step: Step, real: Any, shown: Shown, rng: np.random.Generator
) -> dict[str, Any]:
    """Update G and E, then D, on one batch, or on this MPI rank's part of it: the gradients are the whole batch's.

    Args:
        real: photographs (N, 3, H, W) in [-1, 1] at full size.
        shown: their label maps, and what goes with them.
        rng: source of the draws of augmentation and LabelMix.

    Returns:
        Loss terms by name ("G/adv", "G/feat", "D/real", ...), scalars still on the device; of this rank's part.
    """

    def see(fake: Any) -> Seen:
        """Photographs, fakes and label maps as the discriminators see them."""
        if recipe.grow_always:
            nets.judge.D.grow(step.level)
        n, size = len(photo), tuple(photo.shape[2:])
        draws = draw_augmentation(rng, recipe.operations, n * ranks.count(), size).rows(ranks.own_rows(n))
        return Seen(*augment(photo, fake, labels, draws))

    fake, drawing_terms = draw(nets.painter, shown, real, step, recipe.style)
    photo, labels = reduce_pair(real, shown.with_edges(), tuple(fake.shape[2:]), recipe.soft_labels)
    losses_g = nets.judge.of_generator(fake, photo, see(fake), step, recipe.goal) | drawing_terms
    nets.opt_g.step(sum(losses_g.values()))

    with jt.no_grad():
        fake = draw(nets.painter, shown, real, step, recipe.style)[0].detach()
    losses_d = nets.judge.of_discriminator(see(fake), step, recipe.goal, rng)
    nets.opt_d.step(sum(losses_d.values()))
    jt.sync_all()
    return losses_g | losses_d


def reduce_pair(real: Any, segmap: Any, size: tuple[int, int], soft_labels: bool) -> tuple[Any, Any]:
    """Photographs and label maps at the size (height, width) of the generated images."""
    if tuple(real.shape[2:]) == size:
        return real, segmap
    if soft_labels:
        return resize.bilinear(real, size), resize.bilinear(segmap, size)
    return resize.area(real, size), resize.nearest(segmap, size)
