"""Land divided into fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shanshui.landscapes.forms import spot
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, sample, soft
from shanshui.landscapes.random_source import RandomSource

CROPS = (M.CROP_GREEN, M.CROP_GOLD, M.CROP_YELLOW, M.SOIL, M.CROP_VIOLET, M.MEADOW, M.GRASS)
SHARES = (0.3, 0.22, 0.1, 0.1, 0.08, 0.1, 0.1)


class Parcels:
    """Strips of fields about `metres` long, each with its crop, and hedges along some edges."""

    def __init__(self, rng: RandomSource, metres: float) -> None:
        self.offset, self.metres = spot(rng), metres
        turn = rng.uniform(-0.5, 0.5)
        self.cos, self.sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        self.widths = rng.generator.uniform(0.6, 1.7, 64).astype(np.float32)
        self.shifts = rng.generator.uniform(0, 9, 64).astype(np.float32)
        favourites = np.array([rng.choice(CROPS, SHARES) for _ in range(6)], np.uint8)
        self.crops = favourites[rng.generator.integers(0, 6, 1024)]

    def _at(self, x: Array, z: Array) -> tuple[NDArray[np.int64], Array, Array]:
        """Return the index of the field, and the position in it, 0..1 along the strip and across."""
        bend = sample(soft(), x / self.metres * 9 + self.offset[0], z / self.metres * 9)
        bend = bend * np.float32(0.35 * self.metres)
        v = (z * self.cos + x * self.sin + bend) / np.float32(0.7 * self.metres)
        strip = np.floor(v)
        row = strip.astype(np.int64) & 63
        u = (x * self.cos - z * self.sin + bend) / (self.metres * self.widths[row]) + self.shifts[row]
        column = np.floor(u)
        return (column.astype(np.int64) * 7 + row * 131) & 1023, u - column, v - strip

    def crop(self, x: Array, z: Array) -> Materials:
        """Return the material of the field at each place."""
        return self.crops[self._at(x, z)[0]]

    def furrows(self, x: Array, z: Array) -> Array:
        """Return -1..1 across the rows of a field, which run along or across the strip."""
        number, u, v = self._at(x, z)
        metres = np.where(number % 3 > 0, v * np.float32(0.7 * self.metres), u * np.float32(self.metres))
        return np.sin(metres * np.float32(3.0))

    def hedge(self, x: Array, z: Array) -> Array:
        """Return the height of hedges and trees on field edges, in metres."""
        number, u, v = self._at(x, z)
        across = np.minimum(v, 1 - v) * np.float32(0.7 * self.metres)
        ends = np.minimum(u, 1 - u) * np.float32(self.metres)
        edge = np.where(number % 2 == 0, np.minimum(across, ends), across)
        grown = sample(fbm(), x / 6 + 50, z / 6)
        return np.clip(4.0 - edge, 0, 1.5) * np.clip(grown + 0.2, 0, 1.6) * 3.0
