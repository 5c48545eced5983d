"""Scenes whose label maps hold a single class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shanshui.landscapes.camera import Ground, Height, View
from shanshui.landscapes.forms import camera, dunes, forest, mountains, rolling
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, sample
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Scenery, add_canopy
from shanshui.landscapes.scenes.coasts import DEEP, SHALLOW
from shanshui.landscapes.water import SEA, Water

DOWN = (-0.45, -0.12)  # the horizon lies above the picture's upper edge


def _all(view: View, light: Light, height: Height, material: M) -> Scenery:
    """Return a scene whose ground is all of one material."""
    return Scenery(view, light, height, lambda g: np.full(g.z.shape, material, np.uint8))


def only_sky(rng: RandomSource, light: Light) -> Scenery:
    """Compose sky alone: the horizon is below the image's lower edge."""
    view = replace(camera(rng, (1.04, 1.3), (5, 6), (0.9, 1.3)), far=40.0)
    return _all(view, light, lambda x, z: 0 * (x + z), M.GRASS)


def only_sea(rng: RandomSource, light: Light) -> Scenery:
    """Compose sea alone, seen from above."""
    view = replace(camera(rng, DOWN, (5, 20), (1.2, 1.7)), far=2000.0)
    scene = _all(view, light, lambda x, z: 0 * (x + z) - 9, M.SAND)
    scene.water = Water(SEA, rng.choice(DEEP), rng.choice(SHALLOW), 2.0, rng.uniform(0.5, 1.0))
    return scene


def only_grass(rng: RandomSource, light: Light) -> Scenery:
    """Compose a meadow alone, seen from above."""
    view = replace(camera(rng, DOWN, (3, 8), (1.2, 1.7)), far=500.0)
    uneven = rolling(rng, 0.5, 30)
    return _all(view, light, uneven, rng.choice((M.GRASS, M.MEADOW)))


def only_sand(rng: RandomSource, light: Light) -> Scenery:
    """Compose sand dunes alone, seen from above."""
    view = replace(camera(rng, DOWN, (20, 40), (1.2, 1.7)), far=2000.0)
    form = dunes(rng, 60)
    return _all(view, light, lambda x, z: 7 * form(x, z), M.DUNE)


def only_trees(rng: RandomSource, light: Light) -> Scenery:
    """Compose the canopy of a forest alone, seen from above."""
    view = replace(camera(rng, DOWN, (60, 130), (1.2, 1.7)), far=4000.0)
    uneven = rolling(rng, 22, 300)
    trees = forest(rng, 1.6, 200, 9000, near=0)
    height = add_canopy(lambda x, z: uneven(x, z) + 40, trees)
    view = replace(view, eye=view.eye + 50)
    scene = _all(view, light, height, M.CONIFER if trees.pointed else M.BROADLEAF)
    scene.forest = trees
    return scene


def only_mountain(rng: RandomSource, light: Light) -> Scenery:
    """Compose a mountain range alone, seen from above."""
    view = replace(camera(rng, (-0.25, -0.08), (2050, 2150), (1.3, 1.9)), far=40000.0)
    range_ = mountains(rng, 300, rng.uniform(18, 30))
    snow = rng.uniform(500, 1500)

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.MOUNTAIN, np.uint8)
        steep = np.hypot(g.slope_x, g.slope_z)
        height = g.h + 130 * sample(fbm(), g.x / 22, g.z / 22)
        materials[(height < snow * 0.5) & (steep < 1.6)] = M.MOUNTAIN_GREEN
        materials[height - 220 * steep > snow] = M.SNOW
        return materials

    def height(x: Array, z: Array) -> Array:
        return 1500 * range_(x, z)

    return Scenery(view, replace(light, reach=light.reach * 2.5), height, surface)
