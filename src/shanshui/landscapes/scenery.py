"""A scene before it is rendered: camera, ground, materials, water, objects; and parts that many scenes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from shanshui.landscapes.camera import Ground, Height, View
from shanshui.landscapes.forms import Forest
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, grain, sample
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.stamps import Shadow, Thing
from shanshui.landscapes.trees import boulder, broadleaf, bush, conifer, reeds
from shanshui.landscapes.water import Water

Surface = Callable[[Ground], Materials]
Place = tuple[float, float]
FLOWERS = ((0.8, 0.78, 0.7), (0.75, 0.6, 0.05), (0.6, 0.1, 0.3), (0.4, 0.2, 0.6), (0.7, 0.12, 0.06))


@dataclass
class Scenery:
    """Description of a scene, from which it is rendered.

    The size of `view` is set when the scene is rendered; `surface` returns the material of every pixel's ground. `mist`
    is (thickness, metres of height over which it thins out); `spray` (x, h, z, radius) is a cloud of drops.
    """

    view: View
    light: Light
    height: Height
    surface: Surface
    water: Water | None = None
    things: list[Thing] = field(default_factory=list)
    shadows: list[Shadow] = field(default_factory=list)
    forest: Forest | None = None  # the canopy that `height` carries, if any
    mist: tuple[float, float] = (0.0, 60.0)
    spray: tuple[float, float, float, float] | None = None

    def tree(self, rng: RandomSource, place: Place, tall: float, pointed: bool) -> None:
        """Add a tree `tall` metres high and its shadow."""
        self.things.append((conifer if pointed else broadleaf)(*place, tall, rng.seed()))
        self.shadows.append(Shadow(*place, tall * (0.18 if pointed else 0.36), tall))

    def trees(
        self, rng: RandomSource, places: list[Place], tall: tuple[float, float], pointed: bool, mixed: float = 0.0
    ) -> None:
        """Add trees of heights in the range `tall`; a share `mixed` of them is of the other kind."""
        for place in places:
            self.tree(rng, place, rng.uniform(*tall), pointed != rng.bernoulli(mixed))

    def grove(self, rng: RandomSource, trees: Forest, base: Height, count: int, near: float) -> None:
        """Add single trees where the forest's cover has them, from distance `near` to where the canopy begins."""
        places = scatter(rng, count, near, trees.near * 1.08)
        x, z = (np.array(v, np.float32)[:, None] for v in zip(*places, strict=True))
        stands = trees.cover(x, np.maximum(z, trees.near * 1.01), base(x, z))[:, 0] > 0.5
        self.trees(
            rng,
            [place for place, wooded in zip(places, stands, strict=True) if wooded],
            (trees.tall * 0.6, trees.tall * 1.1),
            trees.pointed,
        )

    def bushes(self, rng: RandomSource, places: list[Place], tall: tuple[float, float]) -> None:
        """Add bushes of heights in the range `tall`, some in flower, and their shadows."""
        for x, z in places:
            flowers = rng.choice(FLOWERS) if rng.bernoulli(0.35) else None
            size = rng.uniform(*tall)
            self.things.append(bush(x, z, size, rng.seed(), flowers))
            self.shadows.append(Shadow(x, z, size, size * 0.6))

    def boulders(self, rng: RandomSource, places: list[Place], tall: tuple[float, float]) -> None:
        """Add boulders of heights in the range `tall`, and their shadows."""
        for x, z in places:
            size = rng.uniform(*tall)
            self.things.append(boulder(x, z, size, rng.seed()))
            self.shadows.append(Shadow(x, z, size, size * 0.6))

    def reeds(self, rng: RandomSource, places: list[Place], tall: tuple[float, float]) -> None:
        """Add stands of reeds of heights in the range `tall`."""
        for x, z in places:
            size = rng.uniform(*tall)
            self.things.append(reeds(x, z, size * rng.uniform(0.8, 2.5), size, rng.seed()))


def scatter(
    rng: RandomSource,
    count: int,
    near: float,
    far: float,
    keep: Callable[[float, float], bool] | None = None,
) -> list[Place]:
    """Draw up to `count` places (x, z) between two distances, evenly over the image, that pass the test `keep`."""
    z = np.exp(rng.generator.uniform(np.log(near), np.log(far), count))
    x = z * rng.generator.uniform(-0.58, 0.58, count)
    places = list(zip(x.tolist(), z.tolist(), strict=True))
    return [p for p in places if keep is None or keep(*p)]


def add_canopy(height: Height, forest: Forest) -> Height:
    """Add the height of a forest's canopy to the ground."""

    def wooded(x: Array, z: Array) -> Array:
        h = height(x, z)
        return h + forest.cover(x, z, h) * forest.canopy(x, z)

    return wooded


def cover_forest(materials: Materials, ground: Ground, trees: Forest, where: np.ndarray | None = None) -> None:
    """Set the material of the ground to forest where one stands (within `where`)."""
    possible = (ground.z > trees.near) & (ground.depth > 0.6)
    if where is not None:
        possible &= where
    place = np.flatnonzero(possible)
    x, z, h = (a.ravel()[place] for a in (ground.x, ground.z, ground.depth))
    materials.ravel()[place[trees.cover(x, z, h) > 0.5]] = M.CONIFER if trees.pointed else M.BROADLEAF


def mottled(ground: Ground, scale: float) -> Array:
    """Return noise for irregular edges between materials, with features about `scale` metres wide."""
    return sample(fbm(), ground.x / scale, ground.z / scale) + np.float32(0.3) * sample(
        grain(), ground.x * 2, ground.z * 2
    )


@dataclass(frozen=True)
class Peaks:
    """Materials of a mountain range: snow above `snow`, green below `green` (metres); `steep` is its usual slope."""

    snow: float
    green: float
    steep: float

    def paint(self, materials: Materials, ground: Ground, where: np.ndarray) -> None:
        """Set the materials of the range within `where`."""
        place = np.flatnonzero(where)
        x, z, h, slope_x, slope_z = (
            a.ravel()[place] for a in (ground.x, ground.z, ground.h, ground.slope_x, ground.slope_z)
        )
        noise = sample(fbm(), x / 22, z / 22)
        slope = np.hypot(slope_x, slope_z) / np.float32(self.steep)
        kinds = np.full(place.shape, M.MOUNTAIN, np.uint8)
        kinds[(h + noise * np.float32(0.12 * self.green) < self.green) & (slope < 1.5)] = M.MOUNTAIN_GREEN
        wander = noise * np.float32(0.10 * max(self.snow, 1)) - slope * np.float32(0.16 * self.snow)
        kinds[h + wander > self.snow * 0.9] = M.SNOW
        materials.ravel()[place] = kinds


def peaks_for(rng: RandomSource, amp: float, texel: float) -> Peaks:
    """Draw the materials of a range `amp` metres high, from snowy to bare to green."""
    return Peaks(rng.uniform(0.4, 1.15) * amp, rng.uniform(0.1, 0.6) * amp, amp / (texel * 40))
