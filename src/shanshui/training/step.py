"""One training step of the GAN: first generator and encoder, then the discriminators, on the same batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shanshui.models import resize
from shanshui.models.patch_spade import PatchPyramid
from shanshui.runtime import load_jittor
from shanshui.training import ranks
from shanshui.training.augment import augment, draw
from shanshui.training.losses import discriminator_losses, generator_losses
from shanshui.training.moving_average import MovingAverage
from shanshui.training.schedule import Step

jt = load_jittor()


@dataclass
class Networks:
    """What is trained: generator, encoder, discriminators and their two optimisers; the average of G and E, if any."""

    G: Any
    E: Any
    D: Any
    opt_g: Any
    opt_d: Any
    average: MovingAverage | None = None


@dataclass(frozen=True)
class Recipe:
    """How it is trained, the same for every step of a phase.

    Attributes:
        weights: factors of the generator's loss terms: feat, rec, perceptual.
        perceptual: (fake, real) -> perceptual loss, or None.
        operations: DiffAugment operations.
        noise: whether SPADE layers draw noise.
        soft_labels: reduce label maps bilinearly, as the winner did, instead of by nearest neighbour.
        grow_always: copy a discriminator into its successor before every forward pass of a fade's first epoch.
    """

    weights: Mapping[str, float]
    perceptual: Callable[[Any, Any], Any] | None
    operations: tuple[str, ...]
    noise: bool
    soft_labels: bool
    grow_always: bool

    def without_growing(self) -> Recipe:
        """The same for epochs in which no discriminator takes over another's weights."""
        return replace(self, grow_always=False)


def one_hot(label_map: np.ndarray, num_classes: int) -> Any:
    """Class ids uint8 (N, H, W) -> segmap (N, num_classes, H, W), made on the device; 255 is no class."""
    ids = jt.array(label_map.astype(np.int32)).unsqueeze(1)  # (N, 1, H, W)
    classes = jt.array(np.arange(num_classes, dtype=np.int32)).reshape(1, -1, 1, 1)
    return (ids == classes).float32()


def random_noise(layer: int, n: int, height: int, width: int) -> Any:
    """Fresh noise (n, 1, height, width) for a SPADE layer while training; MPI ranks draw for all and keep their own."""
    noise = jt.randn(n * ranks.count(), 1, height, width)
    return noise[ranks.own_rows(n)] if ranks.count() > 1 else noise


def train_step(
    nets: Networks, recipe: Recipe, step: Step, real: Any, segmap: Any, rng: np.random.Generator,
    patches: PatchPyramid | None = None,
) -> Any:  # fmt: skip
    """Update G and E, then D, on one batch, or on this MPI rank's part of it: the gradients are the whole batch's.

    Args:
        real: photographs (N, 3, H, W) in [-1, 1] at full size.
        segmap: one-hot label maps (N, num_classes, H, W) at full size.
        rng: source of the augmentation's draws.
        patches: distinct patches of the label maps, for G's SPADE layers.

    Returns:
        Loss terms by name ("G/adv", "G/feat", "D/real", ...), scalars still on the device; of this rank's part.
    """

    def generate() -> Any:
        noise = random_noise if recipe.noise else None
        return nets.G(nets.E(segmap), segmap, level=step.level, alpha=step.alpha, noise=noise, patches=patches)

    def see(fake: Any) -> tuple[Any, Any, Any]:
        """Photographs, fakes and label maps as the discriminators see them."""
        if recipe.grow_always:
            nets.D.grow(step.level)
        n = len(photo)
        draws = draw(rng, recipe.operations, n * ranks.count(), tuple(photo.shape[2:])).rows(ranks.own_rows(n))
        return augment(photo, fake, labels, draws)

    fake = generate()
    photo, labels = reduce_pair(real, segmap, tuple(fake.shape[2:]), recipe.soft_labels)
    seen_real, seen_fake, seen_labels = see(fake)
    (of_fake,) = nets.D(seen_labels, seen_fake, level=step.level, alpha=step.alpha)
    with jt.no_grad():
        (of_real,) = nets.D(seen_labels, seen_real, level=step.level, alpha=step.alpha)
    losses_g = generator_losses(fake, photo, of_fake, of_real, recipe.weights, recipe.perceptual)
    nets.opt_g.step(sum(losses_g.values()))

    with jt.no_grad():
        fake = generate().detach()
    seen_real, seen_fake, seen_labels = see(fake)
    of_fake, of_real = nets.D(seen_labels, seen_fake, seen_real, level=step.level, alpha=step.alpha)
    losses_d = discriminator_losses(of_fake, of_real)
    nets.opt_d.step(sum(losses_d.values()))
    jt.sync_all()
    return losses_g | losses_d


def reduce_pair(real: Any, segmap: Any, size: tuple[int, int], soft_labels: bool) -> tuple[Any, Any]:
    """Photographs and label maps at the size (height, width) of the generated pictures."""
    if tuple(real.shape[2:]) == size:
        return real, segmap
    if soft_labels:
        return resize.bilinear(real, size), resize.bilinear(segmap, size)
    return resize.area(real, size), resize.nearest(segmap, size)
