"""Water: mirror image of land and sky, ripples, colour of the depth, glitter, surf."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from shanshui.landscapes.camera import Ground, Slices, View, trace_mirrored
from shanshui.landscapes.light import Light
from shanshui.landscapes.noise import Array, fbm, grain, sample, smoothstep, waves
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.stamps import Canvas

WATER, SEA, RIVER, LAKE = 2, 3, 8, 20


@dataclass(frozen=True)
class Water:
    """Class id `label`, own colours in linear light, and roughness `rough` from 0 (mirror) to 1 (open sea)."""

    label: int
    deep: tuple[float, float, float] = (0.012, 0.04, 0.05)
    shallow: tuple[float, float, float] = (0.10, 0.16, 0.12)
    clear: float = 2.5  # metres of depth over which shallow turns to deep
    rough: float = 0.3
    surf: bool = False


def fresh(rng: RandomSource, label: int, rough: tuple[float, float]) -> Water:
    """Draw lake or river water: green to blue, with roughness in the range `rough`."""
    r, g, b = (deep * rng.uniform(0.6, 1.5) for deep in (0.010, 0.04, 0.048))
    return Water(
        label, (r, g, b), (0.10, 0.13, 0.085), rng.uniform(0.8, 2.5),
        float(np.exp(rng.uniform(np.log(rough[0]), np.log(rough[1])))),
    )  # fmt: skip


def mirror(view: View, slices: Slices, ground: Ground, picture: Array, sky: Array, extra: int) -> Canvas:
    """Render what level water mirrors in the rows of `ground`, before any ripple.

    Args:
        view: the camera.
        slices: the sampled ground.
        ground: visible ground, of the rows that are rendered.
        picture: linear colour of the view without water, (H, W, 3).
        sky: linear colour of the sky alone, with `extra` more rows on top.
        extra: number of these rows.
    """
    start = np.where(ground.hit & (ground.depth < 0), ground.z, np.inf).min(axis=0)
    last = ground.top + ground.z.shape[0]
    z, h = trace_mirrored(view, slices, start, ground.top, last)
    is_land = np.isfinite(z)
    behind = is_land & (z < ground.z)  # the ray met a spit before this water: take the plain mirror image
    rows = np.arange(ground.top, last, dtype=np.float32)[:, None]
    flipped = 2 * np.float32(view.horizon * view.height) - 1 - rows
    source = np.where(behind, flipped, view.row(h, np.where(is_land, z, 1)))
    source = np.clip(source, 0, view.height - 1).astype(np.int64)
    above = np.clip(flipped + extra, 0, extra + view.height - 1).astype(np.int64)
    columns = np.arange(view.width)
    colour = np.where(is_land[..., None], picture[source, columns], sky[above, columns])
    return Canvas(colour.astype(np.float32), z, np.zeros(z.shape, np.uint8), ground.top)


def shade_water(view: View, light: Light, ground: Ground, seen: Array, water: Water, seed: int) -> Array:
    """Compute the linear colour of the water surface, (H, W, 3); valid where there is water."""
    slope = _ripples(view, ground, water, seed)
    rows, columns = np.indices(slope.shape, sparse=True)
    lowest = slope.shape[0] - 1
    lift = slope * np.float32(0.16 * water.rough * view.height)
    # rough water tilts towards the viewer: it shows sky from higher up than a mirror would
    lift += np.float32(0.05 * water.rough * view.height) * np.clip(ground.z / (ground.z + 60), 0, 1)
    aside = slope * np.float32(0.02 * water.rough * view.height)
    i = np.clip(rows + lift, 0, lowest).astype(np.int64)
    j = np.clip(columns + aside, 0, view.width - 1).astype(np.int64)
    if water.rough > 0.3:  # each pixel of rough water mirrors a stretch of the sky
        seen = ndimage.uniform_filter1d(seen, max(1, int(0.10 * water.rough * view.height)), axis=0)
    reflected = seen[i, j]
    steep = np.clip(view.eye / np.sqrt(ground.z**2 + view.eye**2) + slope * np.float32(0.34 * water.rough), 0, 1)
    fresnel = np.float32(0.03) + np.float32(0.97) * (1 - steep) ** 4
    body = _body(light, ground, water)
    colour = body + fresnel[..., None] * (np.float32(0.9) * reflected - body)
    colour += _glitter(view, light, ground, slope, water)
    colour *= (1 + slope * np.float32(0.2 * water.rough**0.7))[..., None]
    if water.surf:
        foam = _surf(ground, seed)[..., None]
        white = np.array(light.ambient, np.float32) * 0.9 + np.array(light.sun, np.float32) * np.float32(
            0.35 * max(light.direction[1], 0.15)
        )
        colour += (white - colour) * foam
    return colour


def _ripples(view: View, ground: Ground, water: Water, seed: int) -> Array:
    """Return the slope towards the viewer, about -2..2: finer far away, flat where a pixel holds many waves."""
    metres = ground.z / np.float32(view.focal * view.height)
    level = np.log2(np.maximum(metres * np.float32(3.0), 0.12))
    low = np.floor(level)
    blend = level - low
    size = np.exp2(-low)
    reach = np.float32(6 * max(view.eye, 1.5))
    deep = np.where(ground.z < reach, ground.z, reach * (1 + np.log(np.maximum(ground.z / reach, 1))))
    u, v = ground.x * np.float32(0.6) + np.float32(seed % 991), deep
    size *= np.float32(1.5)
    fine = sample(waves(), u * size, v * size)
    middle = sample(waves(), u * size * np.float32(0.5), v * size * np.float32(0.5))
    coarse = sample(waves(), u * size * np.float32(0.25), v * size * np.float32(0.25))
    slope = np.float32(0.8) * (fine + blend * (middle - fine) + middle + blend * (coarse - middle))
    calm = sample(fbm(), ground.x / 14 + np.float32(seed % 313), ground.z / 40)  # wind leaves patches
    slope *= np.clip(np.float32(0.75) + np.float32(0.35) * calm, 0.15, 1.4)
    return slope / (1 + ground.z / np.float32(900 + 2600 * water.rough))


def _body(light: Light, ground: Ground, water: Water) -> Array:
    """Return the light scattered back out of the water."""
    t = np.exp(np.minimum(ground.depth, 0) / np.float32(water.clear))[..., None]
    own = np.array(water.deep, np.float32) * (1 - t) + np.array(water.shallow, np.float32) * t
    lit = np.array(light.ambient, np.float32) + np.array(light.sun, np.float32) * np.float32(max(light.direction[1], 0))
    return own * lit


def _glitter(view: View, light: Light, ground: Ground, slope: Array, water: Water) -> Array:
    """Return the sun's reflection on waves, strongest straight below it."""
    d = light.direction
    if d[2] <= 0.2 or light.elevation > 35:
        return np.zeros((*slope.shape, 3), np.float32)
    aside = (view.across[None, :] - d[0] / d[2]) / np.float32(0.03 + 0.10 * water.rough)
    tilt = (-_rows(view, ground) - d[1] / d[2]) / np.float32(0.10 + 0.25 * water.rough)
    probability = np.exp(-(aside**2) - tilt**2)
    sparkle = np.clip(slope * np.float32(0.8) + probability * 2 - np.float32(1.2), 0, 1.2) * probability
    return (sparkle * np.float32(1.6))[..., None] * np.array(light.sun, np.float32)


def _rows(view: View, ground: Ground) -> Array:
    """Return the tangent of elevation of the rows of `ground`, as a column."""
    return view.up[ground.top : ground.top + ground.z.shape[0], None]


def _surf(ground: Ground, seed: int) -> Array:
    """Return lines of broken waves that follow the shore, 0..1."""
    wobble = sample(fbm(), ground.x / 1.2 + np.float32(seed % 211), ground.z / 2.0)
    deep = -ground.depth
    phase = deep * np.float32(4.2) + wobble * np.float32(0.9)
    line = smoothstep(0.72, 0.98, np.sin(phase * np.float32(2.2)))
    torn = sample(grain(), ground.x * 2.2, ground.z * 1.1) + sample(grain(), ground.x * 7, ground.z * 3.5)
    near_shore = smoothstep(2.6, 0.4, deep)
    foam = line * near_shore * np.clip(np.float32(0.72) + np.float32(0.36) * torn, 0, 1)
    edge = smoothstep(0.10, 0.0, deep + wobble * np.float32(0.02))
    lace = np.clip(np.float32(0.85) + np.float32(0.25) * torn, 0, 1)
    return np.clip(foam + edge * lace, 0, 1)
