"""Tileable noise textures, drawn once per process, and their lookup.

A texture is a periodic float32 square of SIDE x SIDE texels. Lookups are bilinear and wrap around, so a scene reads any
texture at any offset, scale and distance: a place of the world has the same value at any image size.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

Array = NDArray[Any]  # float32 where nothing else is said
Values = NDArray[Any] | np.floating[Any] | float
SIDE = 512  # a power of two: wrapping is a bit mask
BITS = 9
MASK = SIDE - 1
CROWNS, TOWERS = 48, 10  # cells per side of the cell textures
BANK_SEED = 20220716  # the bank is part of the drawing style, not of a scene


def sample(texture: Array, u: Values, v: Values) -> Array:
    """Interpolate a periodic texture bilinearly at texel coordinates `u` (along rows), `v` (down); they broadcast."""
    u, v = np.asarray(u, np.float32), np.asarray(v, np.float32)
    left, top = np.floor(u), np.floor(v)
    j, i = left.astype(np.int32), top.astype(np.int32)
    fu, fv = u - left, v - top
    row0, row1 = (i & MASK) << BITS, ((i + 1) & MASK) << BITS
    col0, col1 = j & MASK, (j + 1) & MASK
    flat = texture.reshape(-1)
    upper = flat.take(row0 | col0)
    upper += fu * (flat.take(row0 | col1) - upper)
    lower = flat.take(row1 | col0)
    lower += fu * (flat.take(row1 | col1) - lower)
    lower -= upper
    lower *= fv
    lower += upper
    return lower


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Interpolate from 0 at `low` to 1 at `high` with zero slope at both ends; low > high gives the falling step."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _rng(key: int) -> np.random.Generator:
    return np.random.default_rng([BANK_SEED, key])


def _frequencies() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    fx = np.fft.rfftfreq(SIDE, 1 / SIDE)[None, :]
    fy = np.fft.fftfreq(SIDE, 1 / SIDE)[:, None]
    return fx, fy, np.hypot(fx, fy)


def _shaped(key: int, amplitude: NDArray[np.float64]) -> Array:
    """Draw Gaussian noise whose spectrum has the given amplitude; mean 0, standard deviation 1."""
    white = np.fft.rfft2(_rng(key).standard_normal((SIDE, SIDE)))
    field = np.fft.irfft2(white * amplitude, s=(SIDE, SIDE))
    field -= field.mean()
    return (field / field.std()).astype(np.float32)


@functools.cache
def fbm() -> Array:
    """Return fractal noise, amplitude ~ f^-1.9: soft shapes with detail (clouds, patches)."""
    _, _, f = _frequencies()
    return _shaped(1, np.where(f >= 2, np.maximum(f, 1) ** -1.9, 0))


@functools.cache
def soft() -> Array:
    """Return `fbm` without its detail, for rolling ground."""
    smooth = ndimage.gaussian_filter(fbm(), 10, mode="wrap")
    return (smooth / smooth.std()).astype(np.float32)


@functools.cache
def grain() -> Array:
    """Return nearly white noise, for grass, leaves and gravel."""
    _, _, f = _frequencies()
    return _shaped(2, np.where(f >= 6, np.maximum(f, 1) ** -0.75, 0))


@functools.cache
def waves() -> Array:
    """Return slopes of wind waves, whose crests are longer along rows than across."""
    fx, fy, f = _frequencies()
    along = np.exp(-((fx / (0.45 * np.abs(fy) + 4)) ** 2))
    return _shaped(3, np.where(f >= 6, along * np.maximum(f, 1) ** -1.1, 0))


@functools.cache
def streaks() -> Array:
    """Return threads along the second axis (v), for falling water, bark and blades."""
    fx, fy, f = _frequencies()
    return _shaped(4, np.where(f >= 4, np.maximum(f, 1) ** -0.7 * np.exp(-((np.abs(fy) / (0.15 * fx + 3)) ** 2)), 0))


def _cells(key: int, per_side: int, neighbours: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Compute distances to the nearest jittered points (unit: mean spacing) and indices, (SIDE, SIDE, neighbours)."""
    base = np.stack(np.meshgrid(np.arange(per_side), np.arange(per_side)), -1).reshape(-1, 2)
    points = (base + _rng(key).uniform(0.05, 0.95, base.shape)) / per_side
    axis = (np.arange(SIDE) + 0.5) / SIDE
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    distance, number = cKDTree(points, boxsize=1.0).query(grid, k=neighbours)
    shape = (SIDE, SIDE, neighbours)
    return distance.reshape(shape) * per_side, number.reshape(shape)


@functools.cache
def conifers() -> Array:
    """Return a canopy of pointed crowns, 0..1; CROWNS crowns per side of the texture."""
    distance, number = _cells(30, CROWNS, 3)
    tall = _rng(31).uniform(0.5, 1.0, CROWNS**2)[number]
    return (tall - 0.95 * distance).max(-1).clip(0).astype(np.float32)


@functools.cache
def crowns() -> Array:
    """Return a canopy of round crowns, 0..1; CROWNS crowns per side of the texture."""
    distance, number = _cells(32, CROWNS, 3)
    tall = _rng(33).uniform(0.6, 1.0, CROWNS**2)[number]
    return (tall * np.sqrt(np.clip(1 - (distance / 0.95) ** 2, 0, 1))).max(-1).astype(np.float32)


@functools.cache
def towers() -> Array:
    """Return karst peaks, 0..1: steep domes, TOWERS per side of the texture."""
    distance, number = _cells(34, TOWERS, 4)
    rng = _rng(35)
    tall = rng.uniform(0.15, 1, TOWERS**2)[number]
    radius = rng.uniform(0.4, 0.62, TOWERS**2)[number]
    d = distance * (1 + 0.07 * fbm()[..., None]) / radius
    dome = tall * np.clip(1 - d**2.4, 0, 1) ** 0.7
    return ndimage.gaussian_filter((dome**6).sum(-1) ** (1 / 6), 0.7, mode="wrap").astype(np.float32)
