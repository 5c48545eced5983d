"""The camera, and the visible ground of every pixel.

World: x to the right, h up, z away from the viewer, in metres; the camera looks along z at height `eye`. Vertical
positions in the image are fractions of its height, so a view means the same at any size.

The ground is a height function sampled on slices z = const. Every slice is one curve in the image; from near to far, a
slice is visible only where it rises above all nearer ones, so a running minimum of rows computes visibility for a whole
column at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from shanshui.landscapes.noise import Array, Values

Height = Callable[[Array, Array], Array]  # x (K, W), z (K, 1) in metres -> height (K, W) in metres


@dataclass(frozen=True)
class View:
    """An image of `width` x `height` pixels and its camera.

    `horizon` (from the top) and `focal` are fractions of the image height; `eye`, the height of the camera, and `far`,
    the largest distance, are in metres.
    """

    width: int
    height: int
    focal: float = 1.2
    horizon: float = 0.45
    eye: float = 3.0
    far: float = 30000.0

    @property
    def across(self) -> Array:
        """Ratio x / z of the pixel columns, (W,)."""
        u = (np.arange(self.width, dtype=np.float32) + np.float32(0.5 - self.width / 2)) / np.float32(self.height)
        return u / np.float32(self.focal)

    @property
    def up(self) -> Array:
        """Tangent of elevation of the pixel rows, (H,)."""
        v = np.float32(self.horizon) - (np.arange(self.height, dtype=np.float32) + np.float32(0.5)) / self.height
        return v / np.float32(self.focal)

    @overload
    def row(self, h: float, z: float) -> float: ...
    @overload
    def row(self, h: Array, z: Values) -> Array: ...
    @overload
    def row(self, h: float, z: Array) -> Array: ...
    def row(self, h: Values, z: Values) -> Values:
        """Project height `h` at distance `z` to a row, in pixels from the top edge."""
        return np.float32(self.height) * (self.horizon - self.focal * (h - self.eye) / z)

    @overload
    def column(self, x: float, z: float) -> float: ...
    @overload
    def column(self, x: Array, z: Values) -> Array: ...
    @overload
    def column(self, x: float, z: Array) -> Array: ...
    def column(self, x: Values, z: Values) -> Values:
        """Project `x` at distance `z` to a column, in pixels from the left edge."""
        return self.width / 2 + np.float32(self.height) * (self.focal * x / z)

    def pixels(self, metres: float, z: float) -> float:
        """Return the size in pixels of `metres` at distance `z`."""
        return metres * self.focal * self.height / z

    def slices(self, start: float) -> Array:
        """Return the distances of the slices from `start`, (K,): about one per row close by, then in equal ratios."""
        clear = max(start * (1 - self.horizon) / self.focal, 1.0)
        ratio = 0.038 * (192 / self.height) ** 0.8
        z, distances = start, []
        while z < self.far:
            distances.append(z)
            z += min(max(z * z / (self.focal * clear * self.height), 1e-3 * z), ratio * z)
        return np.array(distances, np.float32)


@dataclass(frozen=True)
class Slices:
    """The ground sampled at distances `z` (K, 1): its height `solid` (K, W) in every pixel column."""

    z: Array
    solid: Array


@dataclass
class Ground:
    """The visible ground of the pixels from row `top` down: arrays (H - top, W), valid where `hit` (not sky)."""

    top: int
    hit: NDArray[np.bool_]
    x: Array
    z: Array
    h: Array  # height of the visible surface (water closes at 0)
    depth: Array  # height of the solid ground: below 0 under water
    slope_x: Array
    slope_z: Array

    def rows(self, first: int, last: int) -> Ground:
        """Return the part between two rows of the image."""
        part = slice(first - self.top, last - self.top)
        return Ground(
            first, self.hit[part], self.x[part], self.z[part], self.h[part], self.depth[part],
            self.slope_x[part], self.slope_z[part],
        )  # fmt: skip


def cut(view: View, height: Height) -> Slices:
    """Sample the ground on slices, from the nearest ground in the image on."""
    z = np.geomspace(1.0, view.far, 72, dtype=np.float32)[:, None]
    x = z * view.across[None, :: max(1, view.width // 8)]
    shown = (view.row(height(x, z), z) < view.height).any(axis=1)
    start = float(z[int(shown.argmax()), 0]) * 0.8 if shown.any() else 0.5 * view.far
    z = view.slices(start)[:, None]
    return Slices(z, height(z * view.across[None, :], z).astype(np.float32))


@dataclass(frozen=True)
class _Hits:
    """For every pixel: the slice it shows, the slice before, and the share of the latter."""

    hit: NDArray[np.bool_]
    flat: NDArray[np.int64]
    before: NDArray[np.int64]
    share: Array
    distance: Array

    def mixed(self, values: Array) -> Array:
        """Interpolate values (K, W) of the slices at every pixel."""
        a = values.take(self.flat)
        return a + self.share * (values.take(self.before) - a)


def _find(rows: Array, z: Array, first: int, last: int) -> _Hits:
    """Find the visible slice, and where the line of sight meets it, for the pixel rows from `first` to `last`."""
    slices, width = rows.shape
    top = np.minimum.accumulate(rows, axis=0)
    edge = np.clip(np.ceil(top - (first + 0.5)), 0, last - first).astype(np.int64)
    counts = np.bincount((edge * width + np.arange(width)).ravel(), minlength=(last - first + 1) * width)
    visible = slices - np.cumsum(counts.reshape(last - first + 1, width)[:-1], axis=0)
    index = np.minimum(visible, slices - 1)
    flat = index * width + np.arange(width)
    before = np.where(index > 0, flat - width, flat)
    here, there = rows.take(flat), rows.take(before)
    pixel = np.arange(first, last, dtype=np.float32)[:, None] + np.float32(0.5)
    share = np.clip((pixel - here) / np.maximum(there - here, 1e-6), 0, 1)
    inverse = 1 / z[:, 0]
    far, near = inverse[index], inverse[np.maximum(index - 1, 0)]
    return _Hits(visible < slices, flat, before, share, 1 / (far + share * (near - far)))


def trace(view: View, slices: Slices, water: bool) -> Ground:
    """Find the visible ground of every pixel; with `water`, everything below height 0 is covered by a level surface."""
    surface = np.maximum(slices.solid, 0) if water else slices.solid
    rows = view.row(surface, slices.z)
    top = int(np.clip(np.floor(rows.min()), 0, view.height - 1))
    found = _find(rows, slices.z, top, view.height)
    slope_x = np.gradient(surface, axis=1) / (slices.z / (view.focal * view.height))
    slope_z = np.gradient(surface, axis=0) / np.gradient(slices.z, axis=0)
    z = found.distance
    h = np.float32(view.eye) + z * view.up[top:, None]
    x = z * view.across[None, :]
    return Ground(top, found.hit, x, z, h, found.mixed(slices.solid), found.mixed(slope_x), found.mixed(slope_z))


def trace_mirrored(view: View, slices: Slices, start: Array, first: int, last: int) -> tuple[Array, Array]:
    """Find what a level mirror at height 0 reflects in rows `first` to `last`, all below the horizon.

    It is the view from `eye` below the mirror, looking up. Land nearer than `start` (W,) lies in front of the water and
    is not reflected.

    Returns:
        Distance z and height h of the reflected ground, (last - first, W); z = inf where it is sky.
    """
    shown = np.where((slices.z >= start) & (slices.solid > 0), slices.solid, np.float32(-1e6))
    below = replace(view, eye=-view.eye, horizon=1 - view.horizon)
    upside = slice(view.height - last, view.height - first)
    found = _find(below.row(shown, slices.z), slices.z, upside.start, upside.stop)
    h = np.float32(below.eye) + found.distance * below.up[upside, None]
    return np.where(found.hit, found.distance, np.float32(np.inf))[::-1], h[::-1]
