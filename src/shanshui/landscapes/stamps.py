"""Objects on the ground: small images at one distance each, composited from far to near."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shanshui.landscapes.camera import Ground, Slices, View
from shanshui.landscapes.light import Light
from shanshui.landscapes.noise import Array, grain, sample
from shanshui.landscapes.sky import gradient

Colour = Sequence[float] | Array


class Site:
    """What objects need to draw themselves: camera, light, ground, and albedo tables of the season."""

    def __init__(self, view: View, light: Light, slices: Slices, albedo: tuple[Array, Array], water: bool) -> None:
        self.view, self.light, self.slices, self.albedo, self.water = view, light, slices, albedo, water
        self.sun, self.ambient = np.array(light.sun, np.float32), np.array(light.ambient, np.float32)
        self.haze = gradient(light, np.float32(0.012), view.across)

    def foot(self, x: float, z: float) -> float | None:
        """Return the height of dry ground at a place; None under water."""
        h = self.ground(x, z)
        return None if self.water and h < 0.0 else h

    def ground(self, x: float, z: float) -> float:
        """Return the height of the solid ground at a place; outside of the image, that at its edge."""
        distances = self.slices.z[:, 0]
        k = int(np.clip(np.searchsorted(distances, z), 1, len(distances) - 1))
        t = float(np.clip((z - distances[k - 1]) / (distances[k] - distances[k - 1]), 0, 1))
        column = int(np.clip(self.view.column(x, z), 0, self.view.width - 1))
        return float(self.slices.solid[k - 1, column] * (1 - t) + self.slices.solid[k, column] * t)

    def lit(self, albedo: Colour, facing: Array | float, open_sky: Array | float = 1.0) -> Array:
        """Compute the light reflected by `albedo` (..., 3).

        Args:
            albedo: (..., 3).
            facing: cosine of the angle between surface and sun, (...).
            open_sky: share of the sky that the surface sees, 0..1.
        """
        light = np.asarray(facing, np.float32)[..., None] * self.sun
        light = light + np.asarray(open_sky, np.float32)[..., None] * self.ambient
        return np.asarray(albedo, np.float32) * light

    def hazed(self, colour: Array, x: float, z: float) -> Array:
        """Apply aerial perspective at one distance."""
        haze = self.haze[int(np.clip(self.view.column(x, z), 0, self.view.width - 1))]
        through = np.exp(np.array([-0.75, -1.0, -1.3], np.float32) * np.float32(z / self.light.reach))
        return haze * (1 - through) + colour * through


@dataclass
class Stamp:
    """Linear `colour` (h, w, 3), opacity `alpha` (h, w) at row `top`, column `left`, distance `z`; class id `label`."""

    top: int
    left: int
    colour: Array
    alpha: Array
    z: float
    label: int
    waterline: float | None = None  # row about which water mirrors it


Thing = Callable[[Site], Iterable[Stamp]]


@dataclass
class Patch:
    """A rectangle of the image around a place: `a` metres to the right (1, w), `b` metres above its foot (h, 1)."""

    top: int
    left: int
    a: Array
    b: Array
    z: float
    pixel: float  # metres per pixel
    waterline: float

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        return self.b.shape[0], self.a.shape[1]

    def pixels(self) -> tuple[Array, Array]:
        """Return the pixel centres: columns (1, w) and rows (h, 1)."""
        columns = self.left + np.arange(self.shape[1], dtype=np.float32) + np.float32(0.5)
        rows = self.top + np.arange(self.shape[0], dtype=np.float32) + np.float32(0.5)
        return columns[None, :], rows[:, None]

    def leaves(self, seed: int, pixels: float = 2.0) -> Array:
        """Return noise whose details are about `pixels` wide in the image, (h, w)."""
        scale = np.float32(2.0 ** np.round(np.log2(1 / (self.pixel * pixels))))
        return sample(grain(), self.a * scale + np.float32(seed % 509), self.b * scale)

    def stamp(self, site: Site, x: float, colour: Array, alpha: Array, label: int) -> Stamp:
        """Create the stamp of this patch, with aerial perspective applied to `colour`."""
        full = np.broadcast_to(colour, (*self.shape, 3))
        hazed = site.hazed(full, x, self.z)
        return Stamp(self.top, self.left, hazed, np.broadcast_to(alpha, self.shape), self.z, label, self.waterline)


def patch(view: View, x: float, foot: float, z: float, size: tuple[float, float, float, float]) -> Patch | None:
    """Return the image part of `size` (left, right, down, up) in metres around a foot; None if outside or too small."""
    left, right, down, up = size
    pixel = z / (view.focal * view.height)
    c0, c1 = (int(np.floor(view.column(x - left, z))), int(np.ceil(view.column(x + right, z))))
    r0, r1 = (int(np.floor(view.row(foot + up, z))), int(np.ceil(view.row(foot - down, z))))
    c0, c1, r0, r1 = max(c0, 0), min(c1, view.width), max(r0, 0), min(r1, view.height)
    if c1 <= c0 or r1 <= r0 or (up + down) < pixel:
        return None
    a = (view.across[c0:c1] * z - x)[None, :].astype(np.float32)
    b = (view.eye + view.up[r0:r1] * z - foot)[:, None].astype(np.float32)
    return Patch(r0, c0, a, b, z, pixel, float(view.row(0.0, z)))


def patch_around(view: View, points: Sequence[tuple[float, float, float]]) -> Patch | None:
    """Return the part of the image that holds (x, height, z) `points`; metres are those at the first point."""
    x, foot, z = points[0]
    columns = [view.column(px, pz) * z / view.focal / view.height for px, _, pz in points]
    rows = [view.row(ph, pz) for _, ph, pz in points]
    centre = view.column(x, z) * z / view.focal / view.height
    up = (view.row(foot, z) - min(rows)) * z / view.focal / view.height
    down = (max(rows) - view.row(foot, z)) * z / view.focal / view.height
    edge = 1.5 * z / view.focal / view.height
    return patch(view, x, foot, z, (centre - min(columns) + edge, max(columns) - centre + edge, down + edge, up + edge))


def polygon(columns: Array, rows: Array, points: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """Test which pixels, rows (h, 1) and columns (1, w), are inside a convex polygon of (column, row) points."""
    left = np.ones(np.broadcast(rows, columns).shape, bool)
    right = left.copy()
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        side = (x1 - x0) * (rows - y0) - (y1 - y0) * (columns - x0)
        left &= side >= 0
        right &= side <= 0
    return left | right


@dataclass
class Canvas:
    """The image being rendered, from row `top` down: linear colour (h, W, 3), distance and class ids (h, W)."""

    colour: Array
    z: Array
    label: NDArray[np.uint8]
    top: int = 0

    def put(self, stamp: Stamp) -> None:
        """Composite a stamp where nearer ground does not hide it."""
        self._paint(stamp, stamp.top, stamp.colour, stamp.alpha)

    def put_mirrored(self, stamp: Stamp) -> None:
        """Composite a stamp upside down below its waterline (this canvas is the mirror image of the scene)."""
        if stamp.waterline is not None:
            top = round(2 * stamp.waterline) - (stamp.top + stamp.alpha.shape[0])
            self._paint(stamp, top, stamp.colour[::-1], stamp.alpha[::-1])

    def _paint(self, stamp: Stamp, top: int, colour: Array, alpha: Array) -> None:
        """Composite colour and opacity at row `top` where the distance allows it."""
        first, last = max(top, self.top), min(top + alpha.shape[0], self.top + self.z.shape[0])
        if last <= first:
            return
        part = slice(first - top, last - top)
        here = (slice(first - self.top, last - self.top), slice(stamp.left, stamp.left + alpha.shape[1]))
        shown = alpha[part] * (self.z[here] > stamp.z * 0.97)
        self.colour[here] += (colour[part] - self.colour[here]) * shown[..., None]
        solid = shown > 0.5
        self.label[here][solid] = stamp.label
        self.z[here][solid] = stamp.z


@dataclass(frozen=True)
class Shadow:
    """A round crown of `radius` at height `tall` that shades the ground, in metres."""

    x: float
    z: float
    radius: float
    tall: float


def cast_shadows(colour: Array, ground: Ground, site: Site, shadows: Sequence[Shadow]) -> None:
    """Darken the ground in the shadows of crowns, as the sun stands."""
    view, d = site.view, site.light.direction
    if d[1] < 0.12 or site.light.name in ("overcast", "night"):
        return
    dark = np.zeros(ground.z.shape, np.float32)
    for s in shadows:
        reach = s.tall * 0.4 / max(float(d[1]), 0.4)
        cx, cz = s.x - float(d[0]) * reach, s.z - float(d[2]) * reach
        half = s.radius * 1.7
        if cz < half + 1:
            continue
        foot = site.ground(cx, cz)
        c0, c1 = int(view.column(cx - half, cz)), int(view.column(cx + half, cz))
        r0, r1 = int(view.row(foot, cz + half)) - 6, int(view.row(foot, cz - half)) + 6
        here = (slice(max(r0 - ground.top, 0), max(r1 - ground.top, 0)), slice(max(c0, 0), max(c1, 0)))
        u, v = (ground.x[here] - cx) / (s.radius * 1.25), (ground.z[here] - cz) / (s.radius * 1.1)
        dark[here] = np.maximum(dark[here], np.clip(1.6 - 1.6 * (u * u + v * v), 0, 1) * np.float32(0.55))
    colour *= (1 - dark)[..., None]
