"""Sources of the random numbers of images: seed and image name, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shanshui.architectures.apf_generator import Noise
from shanshui.architectures.noise import batch_noise, image_style
from shanshui.backend.lazy import jt

if TYPE_CHECKING:
    from jittor import Var


@dataclass(frozen=True)
class NoiseSource:
    """The random numbers of a batch of images.

    Attributes:
        layer: (number, n, h, w) -> (n, 1, h, w), noise of each SPADE layer in turn; None for no noise.
        vector: (n, length) -> (n, length), one vector for each image.
    """

    layer: Noise | None
    vector: Callable[[int, int], Var]


NoiseByName = Callable[[Sequence[str]], NoiseSource]  # by names of images


def seeded_noise(seed: int | None) -> NoiseByName:
    """Create a source of random numbers by (seed, name), so that batches do not matter.

    With seed None there is no noise, and vectors are zero.
    """

    def noise_source(names: Sequence[str]) -> NoiseSource:
        if seed is None:
            return NoiseSource(None, lambda n, length: jt.zeros((n, length)))
        return NoiseSource(
            batch_noise(seed, names, jt.array),
            lambda n, length: jt.array(np.stack([image_style(seed, name, length) for name in names])),
        )

    return noise_source
