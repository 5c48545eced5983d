"""Sources of the random numbers of images: seed and image name, or none.

Noise comes from (seed, image name) alone: any batch, order or subset gives the same image.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend.lazy import jt

if TYPE_CHECKING:
    from jittor import Var

Noise = Callable[[int, int, int, int], "Var"]  # (number of the layer, n, h, w) -> (n, 1, h, w)


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


def image_noise(seed: int, name: str, layer: int, height: int, width: int) -> np.ndarray:
    """Draw standard normal noise float32 (1, height, width) for one SPADE layer of one image."""
    return _stream(seed, name, str(layer)).standard_normal((1, height, width), dtype=np.float32)


def batch_noise(seed: int, names: Sequence[str], to_var: Callable[[np.ndarray], Var]) -> Noise:
    """Create a generator's noise function, for a batch of named images: (layer, n, h, w) -> tensor (n, 1, h, w)."""

    def draw(layer: int, n: int, height: int, width: int) -> Var:
        if n != len(names):
            raise ValueError(f"batch of {n} for {len(names)} names")
        return to_var(np.stack([image_noise(seed, name, layer, height, width) for name in names]))

    return draw


def image_style(seed: int, name: str, z_dim: int, sample: int = 0) -> np.ndarray:
    """Draw a standard normal style vector float32 (z_dim,) of one image; `sample` numbers several of the same image."""
    return _stream(seed, name, f"z{sample}").standard_normal(z_dim, dtype=np.float32)


class _Stream(threading.local):
    """One random number generator for each thread, which is set to a key in less time than one is created."""

    def __init__(self) -> None:
        self.numbers = np.random.Philox(key=0)
        self.start = self.numbers.state
        self.generator = np.random.Generator(self.numbers)


_streams = _Stream()


def _stream(seed: int, name: str, use: str) -> np.random.Generator:
    """Return the random number generator of (seed, name, use), at its beginning; valid until the next call."""
    digest = hashlib.sha256(f"{seed}\0{name}\0{use}".encode()).digest()
    _streams.start["state"]["key"] = np.frombuffer(digest[:16], np.uint64)  # little-endian, as CPUs are
    _streams.numbers.state = _streams.start
    return _streams.generator
