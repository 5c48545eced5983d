"""Materials of the ground: class id, colours and grain of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from shanshui.landscapes.noise import Array
from shanshui.landscapes.random_source import RandomSource

Materials = NDArray[np.uint8]


class M(IntEnum):
    """Materials, each a row of TABLE."""

    GRASS = 0
    MEADOW = 1
    DRY_GRASS = 2
    SAND = 3
    WET_SAND = 4
    EARTH = 5
    LAND = 6
    ROCK = 7
    CLIFF = 8
    HILL = 9
    MOUNTAIN = 10
    MOUNTAIN_GREEN = 11
    SNOW = 12
    CONIFER = 13
    BROADLEAF = 14
    PLANT = 15
    CROP_GREEN = 16
    CROP_GOLD = 17
    CROP_YELLOW = 18
    CROP_VIOLET = 19
    SOIL = 20
    PATH = 21
    ROAD = 22
    ROAD_MARK = 23
    WALL = 24
    FALL = 25
    DUNE = 26
    MESA = 27
    PADDY = 28


@dataclass(frozen=True)
class Material:
    """Class id `label`, albedo from `dark` to `pale` in patches of `patch` metres, strength of the grain in 0..1."""

    label: int
    dark: tuple[float, float, float]
    pale: tuple[float, float, float]
    patch: float
    grain: float
    relief: float  # how strongly the grain catches the light from the side


TABLE = {
    M.GRASS: Material(12, (0.065, 0.118, 0.024), (0.155, 0.20, 0.05), 6, 0.30, 0.25),
    M.MEADOW: Material(12, (0.085, 0.135, 0.028), (0.22, 0.23, 0.065), 9, 0.30, 0.2),
    M.DRY_GRASS: Material(12, (0.24, 0.2, 0.07), (0.42, 0.34, 0.14), 9, 0.28, 0.2),
    M.SAND: Material(9, (0.42, 0.33, 0.215), (0.55, 0.45, 0.31), 14, 0.10, 0.18),
    M.WET_SAND: Material(9, (0.19, 0.15, 0.105), (0.26, 0.205, 0.145), 14, 0.05, 0.05),
    M.EARTH: Material(6, (0.17, 0.112, 0.07), (0.30, 0.215, 0.14), 8, 0.22, 0.4),
    M.LAND: Material(10, (0.20, 0.18, 0.09), (0.40, 0.33, 0.19), 30, 0.28, 0.3),
    M.ROCK: Material(4, (0.11, 0.105, 0.095), (0.29, 0.275, 0.25), 3, 0.32, 0.9),
    M.CLIFF: Material(4, (0.12, 0.105, 0.09), (0.30, 0.262, 0.218), 22, 0.30, 0.9),
    M.HILL: Material(7, (0.075, 0.12, 0.035), (0.19, 0.22, 0.075), 160, 0.22, 0.25),
    M.MOUNTAIN: Material(0, (0.13, 0.122, 0.115), (0.27, 0.25, 0.225), 260, 0.26, 0.7),
    M.MOUNTAIN_GREEN: Material(0, (0.04, 0.07, 0.025), (0.13, 0.16, 0.055), 300, 0.26, 0.4),
    M.SNOW: Material(0, (0.68, 0.72, 0.78), (0.80, 0.82, 0.85), 200, 0.05, 0.25),
    M.CONIFER: Material(5, (0.022, 0.045, 0.02), (0.065, 0.095, 0.035), 45, 0.35, 0.4),
    M.BROADLEAF: Material(5, (0.045, 0.085, 0.018), (0.13, 0.175, 0.04), 40, 0.38, 0.4),
    M.PLANT: Material(13, (0.06, 0.12, 0.025), (0.20, 0.27, 0.07), 3, 0.5, 0.5),
    M.CROP_GREEN: Material(22, (0.09, 0.18, 0.03), (0.16, 0.25, 0.05), 60, 0.16, 0.2),
    M.CROP_GOLD: Material(22, (0.40, 0.29, 0.10), (0.56, 0.43, 0.18), 50, 0.16, 0.2),
    M.CROP_YELLOW: Material(22, (0.50, 0.42, 0.02), (0.68, 0.58, 0.04), 50, 0.22, 0.2),
    M.CROP_VIOLET: Material(22, (0.16, 0.10, 0.27), (0.30, 0.2, 0.42), 30, 0.25, 0.3),
    M.SOIL: Material(22, (0.15, 0.095, 0.06), (0.25, 0.17, 0.11), 40, 0.2, 0.4),
    M.PATH: Material(19, (0.30, 0.23, 0.155), (0.43, 0.35, 0.255), 3, 0.18, 0.3),
    M.ROAD: Material(23, (0.12, 0.12, 0.125), (0.19, 0.19, 0.19), 12, 0.08, 0.05),
    M.ROAD_MARK: Material(23, (0.75, 0.74, 0.68), (0.82, 0.8, 0.75), 5, 0.05, 0.0),
    M.WALL: Material(17, (0.26, 0.22, 0.18), (0.45, 0.39, 0.32), 5, 0.3, 0.5),
    M.FALL: Material(16, (0.72, 0.78, 0.84), (0.95, 0.97, 1.0), 4, 0.05, 0.0),
    M.DUNE: Material(9, (0.50, 0.29, 0.135), (0.62, 0.40, 0.205), 120, 0.08, 0.14),
    M.MESA: Material(4, (0.36, 0.17, 0.09), (0.55, 0.30, 0.17), 120, 0.26, 0.7),
    M.PADDY: Material(22, (0.06, 0.16, 0.02), (0.13, 0.26, 0.04), 20, 0.2, 0.3),
}
LABELS = np.array([TABLE[m].label for m in M], np.uint8)
_DARK = np.array([TABLE[m].dark for m in M], np.float32)
_PALE = np.array([TABLE[m].pale for m in M], np.float32)
PATCH = np.array([TABLE[m].patch for m in M], np.float32)
GRAIN = np.array([TABLE[m].grain for m in M], np.float32)
RELIEF = np.array([TABLE[m].relief for m in M], np.float32)
LAYERED = np.array([{M.CLIFF: 2.5, M.MESA: 6, M.MOUNTAIN: 2}.get(m, 1) for m in M], np.float32)  # strata
GREEN = (M.GRASS, M.MEADOW, M.HILL, M.MOUNTAIN_GREEN, M.BROADLEAF, M.PLANT, M.CROP_GREEN)


def season(rng: RandomSource) -> tuple[Array, Array]:
    """Draw the albedo tables (dark, pale), each (materials, 3), with the greens of a time of year."""
    dark, pale = _DARK.copy(), _PALE.copy()
    warmth = rng.normal(0, 0.16)
    autumn = rng.bernoulli(0.16)
    for material in GREEN:
        shift = np.array([1 + 1.1 * warmth, 1 + 0.15 * warmth, 1 - 0.6 * warmth]) * rng.uniform(0.85, 1.15)
        dark[material] *= shift
        pale[material] *= shift
    if autumn:
        dark[M.BROADLEAF], pale[M.BROADLEAF] = (0.24, 0.075, 0.015), (0.50, 0.27, 0.045)
        pale[M.GRASS] = (0.27, 0.24, 0.07)
        pale[M.HILL] = (0.32, 0.22, 0.075)
    for material in (M.MOUNTAIN, M.ROCK, M.CLIFF, M.SAND, M.DUNE, M.MESA, M.EARTH):
        shift = 1 + rng.normal(0, 0.05) * np.array([1, 0, -1.2])
        dark[material] *= shift
        pale[material] *= shift
    return dark.astype(np.float32), pale.astype(np.float32)
