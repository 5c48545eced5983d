"""Building blocks of a terrain: winding lines, ranges, hills, forests, karst, dunes. All in metres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shanshui.landscapes.camera import Height, View
from shanshui.landscapes.noise import (
    CROWNS,
    SIDE,
    Array,
    Values,
    conifers,
    crowns,
    fbm,
    sample,
    smoothstep,
    soft,
    towers,
)
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.relief import alps, hills

# Ground nearer than this shows single trees (drawn one by one); farther off, canopy is part of the ground.
FOREST_FROM = 240.0


@dataclass(frozen=True)
class Line:
    """A line that leads away from the camera: x = z * (start + swing * sin(turns * ln z + phase)) + offset."""

    offset: float
    start: float
    swing: float
    turns: float
    phase: float

    def at(self, z: Values) -> Array:
        """Return x in metres at distance `z`."""
        return z * (self.start + self.swing * np.sin(self.turns * np.log(z) + self.phase)) + self.offset

    def distance(self, x: Values, z: Values) -> Array:
        """Return the distance to the line in metres, across its direction, so that the line has constant width."""
        angle = self.turns * np.log(z) + self.phase
        lean = self.start + self.swing * (np.sin(angle) + self.turns * np.cos(angle))
        return np.abs(x - self.at(z)) / np.sqrt(1 + lean * lean)

    def keeps_off(self, metres: float) -> Callable[[float, float], bool]:
        """Return a test for places (x, z) farther than `metres` from the line."""
        return lambda x, z: float(self.distance(x, z)) > metres


def winding(rng: RandomSource, offset: float = 0.0, swing: float = 0.16) -> Line:
    """Draw a winding line that starts at `offset` metres from the middle."""
    return Line(
        offset, rng.uniform(-0.12, 0.12), rng.uniform(0.6, 1.2) * swing, rng.uniform(1.2, 2.2),
        rng.uniform(0, 6.28),
    )  # fmt: skip


def camera(
    rng: RandomSource, horizon: tuple[float, float], eye: tuple[float, float], focal: tuple[float, float] = (1.0, 1.35)
) -> View:
    """Draw a view with horizon, camera height (metres) and focal length from the ranges; its size is set later."""
    return View(256, 192, rng.uniform(*focal), rng.uniform(*horizon), rng.uniform(*eye))


def spot(rng: RandomSource) -> tuple[np.float32, np.float32]:
    """Draw a position in a texture."""
    u, v = rng.generator.uniform(0, SIDE, 2)
    return np.float32(u), np.float32(v)


def rolling(rng: RandomSource, height: float, metres: float) -> Height:
    """Create gentle ground: heights of +-`height`, features about `metres` wide."""
    ou, ov = spot(rng)
    scale = np.float32(70 / metres)
    tall = np.float32(height * 0.6)
    return lambda x, z: tall * sample(soft(), x * scale + ou, z * scale + ov)


def mountains(rng: RandomSource, near: float, texel: float, rounded: bool = False) -> Height:
    """Create a mountain range that starts at distance `near`, of height 0..1 (scale it with `fit`).

    Args:
        rng: random draws of the scene.
        near: metres.
        texel: metres per texel of the relief.
        rounded: hills instead of sharp crests.
    """
    ou, ov = spot(rng)
    shift = rng.uniform(0, SIDE)
    flip = np.float32(rng.sign())
    relief = hills() if rounded else alps()

    def height(x: Array, z: Array) -> Array:
        rise = smoothstep(near, near * 2.4, z + 0.25 * near * sample(fbm(), x / near * 40 + shift, z * 0))
        lateral = np.float32(0.72) + np.float32(0.3) * sample(fbm(), x / z * 55 + shift, np.float32(0))
        h = sample(relief, flip * x / texel + ou, z / texel + ov)
        fine = sample(alps(), x / texel * 5.3 + ou, z / texel * 5.3 + ov)
        return rise * np.clip(lateral, 0.15, 1.4) * (h + np.float32(0.07) * fine * (np.float32(0.3) + h))

    return height


def karst(rng: RandomSource, near: float, texel: float) -> Height:
    """Create steep rounded towers from distance `near` on, of height 0..1; `texel` metres per texel."""
    ou, ov = spot(rng)

    def height(x: Array, z: Array) -> Array:
        rise = smoothstep(near, near * 1.25, z)
        rough = sample(fbm(), x / texel * 4 + ou, z / texel * 4)
        return rise * sample(towers(), x / texel + ou + rough, z / texel + ov + rough)

    return height


def dunes(rng: RandomSource, metres: float) -> Height:
    """Create sand dunes `metres` apart, of height 0..1: long windward slopes, sharp crests, steep lee slopes."""
    ou, ov = spot(rng)
    angle = rng.sign() * rng.uniform(0.6, 1.25)
    across = np.float32(np.cos(angle) / metres), np.float32(np.sin(angle) / metres)

    def height(x: Array, z: Array) -> Array:
        bend = sample(soft(), x / metres * 9 + ou, z / metres * 9 + ov)
        phase = z * across[0] + x * across[1] + bend * np.float32(0.62)
        saw = phase - np.floor(phase)
        shape = np.where(saw < 0.72, saw / 0.72, (1 - saw) / 0.28)
        tall = np.float32(0.62) + np.float32(0.3) * sample(soft(), x / metres * 5 + ov, z / metres * 5)
        return shape * shape * (3 - 2 * shape) * np.clip(tall, 0.1, 1.3)

    return height


@dataclass(frozen=True)
class Forest:
    """A forest drawn as canopy where `cover(x, z, h)` > 0.5; crowns are `tall` metres high, pointed or round."""

    pointed: bool
    tall: float
    share: float
    offset: tuple[np.float32, np.float32]
    patch: float
    above: float  # tree line, metres
    near: float

    def cover(self, x: Array, z: Array, h: Array) -> Array:
        """Return how wooded places are, 0..1; below the tree line and beyond `near` only."""
        noise = sample(
            fbm(),
            x * np.float32(30 / self.patch) + self.offset[0],
            z * np.float32(30 / self.patch) + self.offset[1],
        )
        line = np.clip((self.above - h) / (0.2 * abs(self.above) + 1) + noise * np.float32(0.3), -3, 3)
        wooded = noise + np.float32(3.0 * self.share - 1.5)
        return np.clip(np.minimum(wooded, line) * 4 + np.float32(0.5), 0, 1) * ((z > self.near) & (h > 0.6))

    def crown(self, x: Array, z: Array) -> Array:
        """Return the relative height of the canopy: 0 between the crowns, 1 on top of them."""
        scale = np.float32(SIDE / CROWNS / self.spacing)
        return sample(conifers() if self.pointed else crowns(), x * scale, z * scale)

    @property
    def spacing(self) -> float:
        """Metres between crowns."""
        return self.tall * (0.42 if self.pointed else 0.75)

    def canopy(self, x: Array, z: Array) -> Array:
        """Return the height of the canopy in metres."""
        base = 0.35 if self.pointed else 0.5
        return np.float32(self.tall) * (np.float32(base) + np.float32(1 - base) * self.crown(x, z))


def forest(
    rng: RandomSource,
    share: float,
    patch: float,
    above: float,
    near: float = FOREST_FROM,
    pointed: bool | None = None,
) -> Forest:
    """Draw a forest.

    Args:
        rng: random draws of the scene.
        share: of the ground that is wooded, about.
        patch: metres across a patch of forest.
        above: height of the tree line in metres.
        near: metres from which trees are canopy; nearer ones are drawn one by one.
        pointed: conifers; None draws the kind.
    """
    kind = rng.bernoulli(0.5) if pointed is None else pointed
    tall = rng.uniform(14, 24) if kind else rng.uniform(9, 16)
    return Forest(kind, tall, share, spot(rng), patch, above, near)


def fit(view: View, height: Height, lift: float) -> float:
    """Return the factor that raises the highest point of `height` to `lift` image heights above the horizon."""
    z = np.geomspace(50, view.far * 0.9, 90, dtype=np.float32)[:, None]
    x = z * np.linspace(-0.55, 0.55, 45, dtype=np.float32)[None, :]
    allowed = (lift / view.focal * z + view.eye) / np.maximum(height(x, z), 1e-3)
    return float(allowed.min())
