"""DiffAugment (Zhao et al. 2020) for conditional training: real, fake and label map are transformed together.

Operations are color, crop and translation, always in this order. Parameters are drawn first, in NumPy, so that a step
can be repeated from its random state; applying them is differentiable with respect to the images.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend.lazy import jt
from shanshui.data.nearest import nearest_index
from shanshui.nn.colour_kernel import recolour
from shanshui.nn.resize import bicubic_window, pick_pixels
from shanshui.nn.small_kernels import halves
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from jittor import Var


OPERATIONS = ("color", "crop", "translation")
ENLARGEMENT = 1.2
SHIFT = 0.125  # largest translation, of height and width


@dataclass(frozen=True)
class Colour:
    """Change of colour per image, each (N,) float32."""

    brightness: np.ndarray  # added
    saturation: np.ndarray  # factor of the distance from grey
    contrast: np.ndarray  # factor of the distance from the image's mean

    def rows(self, part: slice) -> Colour:
        """Select the changes of some images."""
        return Colour(self.brightness[part], self.saturation[part], self.contrast[part])

    def followed_by(self, other: Colour) -> Colour:
        """Return the changes of these images and of others after them."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Colour(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class Window:
    """Window of the enlarged images, at the original size: its corner, and which images it replaces."""

    offset: tuple[int, int]  # row and column, the same for the batch
    chosen: np.ndarray  # (N,) bool


@dataclass(frozen=True)
class Draws:
    """Augmentation parameters of a batch of N images; None for operations that are off."""

    real: Colour | None = None
    fake: Colour | None = None
    window: Window | None = None
    shift: np.ndarray | None = None  # (N, 2) int: rows up and columns to the left

    def rows(self, part: slice) -> Draws:
        """Select the parameters of some images."""
        return Draws(
            self.real and self.real.rows(part),
            self.fake and self.fake.rows(part),
            self.window and replace(self.window, chosen=self.window.chosen[part]),
            None if self.shift is None else self.shift[part],
        )


def draw_augmentation(rng: np.random.Generator, operations: Collection[str], n: int, size: Size) -> Draws:
    """Draw the parameters of `n` images; photograph and fake get different colours, all else is shared.

    Raises:
        ValueError: an operation is unknown.
    """
    if unknown := set(operations) - set(OPERATIONS):
        raise ValueError(f"augmentations {sorted(unknown)}; known are {OPERATIONS}")
    real, fake = (_draw_colour(rng, n) if "color" in operations else None for _ in range(2))
    window = _draw_window(rng, n, size) if "crop" in operations else None
    shift = _draw_shift(rng, n, size) if "translation" in operations else None
    return Draws(real, fake, window, shift)


def _draw_colour(rng: np.random.Generator, n: int) -> Colour:
    ranges = (-0.5, 0.5), (0.0, 2.0), (0.5, 1.5)
    return Colour(*(rng.uniform(low, high, n).astype(np.float32) for low, high in ranges))


def _draw_window(rng: np.random.Generator, n: int, size: Size) -> Window:
    row, column = (int(rng.integers(enlarged(side) - side + 1)) for side in size)
    return Window((row, column), rng.random(n) < 0.5)


def _draw_shift(rng: np.random.Generator, n: int, size: Size) -> np.ndarray:
    reach = [int(side * SHIFT + 0.5) for side in size]
    return np.stack([rng.integers(-r, r + 1, n) for r in reach], axis=1)


def augment(real: Var, fake: Var, segmap: Var, draws: Draws) -> tuple[Var, Var, Var]:
    """Augment real and fake (N, 3, h, w) in [-1, 1], and segmap (N, num_classes, h, w), all of one size.

    Nothing is clamped. Where content moves out, images become 0 (grey) and the label map has no class.
    """
    if jt.flags.use_cuda:  # on a CPU sums would be rounded otherwise
        return (*augment_both(real, fake, draws), augment_labels(segmap, draws))
    if draws.real is not None and draws.fake is not None:
        real, fake = colour(real, draws.real), colour(fake, draws.fake)
    if draws.window is not None:
        real, fake = crop(real, draws.window), crop(fake, draws.window)
        segmap = crop_labels(segmap, draws.window)
    if draws.shift is not None:
        real, fake, segmap = (translate(x, draws.shift) for x in (real, fake, segmap))
    return real, fake, segmap


def augment_labels(segmap: Var, draws: Draws) -> Var:
    """Crop and translate a segmap (N, num_classes, h, w)."""
    segmap = segmap if draws.window is None else crop_labels(segmap, draws.window)
    return segmap if draws.shift is None else translate(segmap, draws.shift)


def augment_both(real: Var, fake: Var, draws: Draws) -> tuple[Var, Var]:
    """Augment real and fake as one batch, with half the launches."""
    if not (draws.real or draws.window or draws.shift is not None):
        return real, fake
    both = jt.concat([real, fake], 0)
    if draws.real is not None and draws.fake is not None:
        change = draws.real.followed_by(draws.fake)
        both = recolour(both, change.brightness, change.saturation, change.contrast)
    if draws.window is not None:
        both = crop(both, replace(draws.window, chosen=np.tile(draws.window.chosen, 2)))
    if draws.shift is not None:
        both = translate(both, np.tile(draws.shift, (2, 1)))
    return halves(both)


def colour(image: Var, change: Colour) -> Var:
    """Change brightness, then saturation, then contrast: (N, 3, h, w) -> (N, 3, h, w)."""
    image = image + _per_image(change.brightness)
    grey = image.mean(1, keepdims=True)  # (N, 1, h, w)
    image = grey + (image - grey) * _per_image(change.saturation)
    level = image.mean(3, keepdims=True).mean([1, 2], keepdims=True)  # (N, 1, 1, 1)
    return level + (image - level) * _per_image(change.contrast)


def crop(image: Var, window: Window) -> Var:
    """Replace the chosen images by their window, enlarged by bicubic interpolation to the same size."""
    target = Size(*(enlarged(side) for side in image.shape[2:]))
    return _choose(window.chosen, bicubic_window(image, target, window.offset), image)


def crop_labels(segmap: Var, window: Window) -> Var:
    """Crop a one-hot label map like `crop`, by nearest neighbour."""
    rows, columns = (
        nearest_index(side, enlarged(side))[start : start + side]
        for side, start in zip(segmap.shape[2:], window.offset, strict=True)
    )
    return _choose(window.chosen, pick_pixels(segmap, rows, columns), segmap)


def translate(x: Var, shift: np.ndarray) -> Var:
    """Move images: pixel (i, j) of image n becomes the one at (i, j) + shift[n], or 0; (N, C, h, w) -> (N, C, h, w)."""
    rows, columns = (jt.array(part.astype(np.int32)) for part in shift.T)
    return x.reindex(list(x.shape), ["i0", "i1", "i2+@e0(i0)", "i3+@e1(i0)"], extras=[rows, columns])


def enlarged(side: int) -> int:
    """Return the side of the enlarged image, rounded down."""
    return int(side * ENLARGEMENT)


def _per_image(values: np.ndarray) -> Var:
    return jt.array(np.asarray(values, np.float32)).reshape(-1, 1, 1, 1)


def _choose(where: np.ndarray, yes: Var, no: Var) -> Var:
    mask = _per_image(where)
    return yes * mask + no * (1 - mask)
