"""Still water: a lake below mountains, a town across the bay, a pond among reeds."""

from __future__ import annotations

import numpy as np

from shanshui.landscapes.buildings import house, town
from shanshui.landscapes.camera import Ground
from shanshui.landscapes.forms import camera, fit, forest, mountains, rolling, spot
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, sample, smoothstep, soft
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Scenery, add_canopy, cover_forest, mottled, peaks_for, scatter
from shanshui.landscapes.small import boat, pier
from shanshui.landscapes.water import LAKE, WATER, fresh


def lake(rng: RandomSource, light: Light) -> Scenery:
    """Compose a lake below mountains, with wooded shores and the near bank in the foreground."""
    view = camera(rng, (0.36, 0.54), (2.6, 8))
    near = view.eye * rng.uniform(1.5, 3.2) * rng.bernoulli(0.75)
    far = float(np.exp(rng.uniform(5.6, 7.4)))
    bay, uneven = spot(rng), rolling(rng, 14, 500)
    texel = rng.uniform(24, 42)
    range_ = mountains(rng, far * 1.15 + 500, texel)
    amp = fit(view, range_, rng.uniform(0.13, min(0.33, view.horizon - 0.06)))
    trees = forest(rng, rng.uniform(0.4, 0.85), 700, rng.uniform(150, 500), near=near + 60)

    def base(x: Array, z: Array) -> Array:
        edge = far * np.exp(0.5 * sample(soft(), x / z * 70 + bay[0], bay[1]))
        rise = (z - edge) / far
        far_bank = np.where(rise > 0, 1.0 + 60 * rise + uneven(x, z) * np.clip(rise * 3, 0, 1), rise * 90)
        lip = near * (1 + 0.3 * sample(soft(), x / max(near, 3) * 20 + bay[1], bay[0]))
        near_bank = (lip - z) * 0.10 + 0.10 * sample(fbm(), x * 3, z * 3) * (z < lip + 3)
        return np.maximum(np.maximum(far_bank, near_bank), -8) + amp * range_(x, z)

    dress = peaks_for(rng, amp, texel)
    bank = rng.choice((M.GRASS, M.MEADOW, M.ROCK, M.EARTH))
    high = rng.uniform(60, 130)

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.GRASS, np.uint8)
        mountain = (g.z > far * 1.3 + 600) & (g.depth > high)
        dress.paint(materials, g, mountain)
        cover_forest(materials, g, trees, ~mountain)
        shore = (g.depth < 0.22 + 0.12 * mottled(g, 1.0)) & (g.z < far)
        materials[g.z < near + 20] = bank
        materials[shore] = M.ROCK if bank != M.EARTH else M.EARTH
        return materials

    scene = Scenery(view, light, add_canopy(base, trees), surface, fresh(rng, LAKE, (0.14, 0.7)), forest=trees)
    scene.mist = (rng.uniform(0, 0.5), 60)
    if near:
        _bank_things(rng, scene, near)
    _floating_things(rng, scene, near)
    if rng.bernoulli(0.3):
        for _ in range(rng.integer(2, 6)):
            z = far * rng.uniform(1.0, 1.6)
            scene.things.append(house(z * rng.uniform(-0.5, 0.5), z, far * 0.035, rng.seed()))
    return scene


def _bank_things(rng: RandomSource, scene: Scenery, near: float) -> None:
    """Add a tree that frames the view, stones and reeds at the water's edge."""
    if rng.bernoulli(0.5):
        z = near * rng.uniform(0.75, 0.95)
        place = (rng.sign() * z * rng.uniform(0.28, 0.48), z)
        scene.tree(rng, place, rng.uniform(0.55, 0.9) * z, rng.bernoulli(0.5))
    stones = scatter(rng, rng.integer(0, 8), near * 0.7, near * 1.3)
    scene.boulders(rng, stones, (0.03 * near, 0.1 * near))
    if rng.bernoulli(0.5):
        scene.reeds(rng, scatter(rng, 14, near * 0.9, near * 1.15), (0.05 * near, 0.12 * near))


def _floating_things(rng: RandomSource, scene: Scenery, near: float) -> None:
    """Add a pier, or boats, or nothing."""
    view = scene.view
    style = rng.uniform(0, 1)
    if style < 0.25:
        edge = (view.eye - 0.7) * view.focal / (1 - view.horizon)  # where the picture's lower edge meets the deck
        place, end = rng.uniform(-0.3, 0.3) * edge, max(edge, near) * rng.uniform(2, 3.2)
        scene.things.append(pier(place, edge * 0.7, end, 0.22 * edge, rng.seed()))
    elif style < 0.6:
        for _ in range(rng.integer(1, 3)):
            z = rng.uniform(2.2, 6) * max(near, 12)
            length = rng.uniform(0.1, 0.2) * z
            scene.things.append(boat(z * rng.uniform(-0.45, 0.45), z, length, rng.seed(), rng.bernoulli(0.4)))


def bay_town(rng: RandomSource, light: Light) -> Scenery:
    """Compose a town across the water, with hills behind it and boats in front of it."""
    scene = lake(rng, light)
    base, quay = scene.height, rng.uniform(500, 1100)

    def height(x: Array, z: Array) -> Array:
        h = base(x, z)
        water = np.where(z > 40, np.minimum(h, -2), h)
        land = np.maximum(h * smoothstep(quay, quay * 2.5, z), smoothstep(quay * 0.93, quay * 0.95, z) * 3.0)
        return np.where(z < quay * 0.93, water, land)

    scene.height = height
    wide, tall = quay * rng.uniform(0.18, 0.4), quay * rng.uniform(0.06, 0.12)
    scene.things.append(town(quay * rng.uniform(-0.25, 0.25), quay * 0.99, wide, tall, rng.seed()))
    return scene


def pond(rng: RandomSource, light: Light) -> Scenery:
    """Compose still water among reeds and trees."""
    view = camera(rng, (0.4, 0.54), (2.2, 4))
    near, far = view.eye * rng.uniform(1.5, 2.4), rng.uniform(45, 130)
    bay, uneven = spot(rng), rolling(rng, 4, 120)
    trees = forest(rng, rng.uniform(0.6, 0.95), 90, 400, near=max(far * 1.1, 200), pointed=rng.bernoulli(0.3))

    def base(x: Array, z: Array) -> Array:
        edge = far * np.exp(0.35 * sample(soft(), x / z * 80 + bay[0], bay[1]))
        lip = near * (1 + 0.35 * sample(soft(), x / near * 22 + bay[1], bay[0]))
        shore = np.maximum((lip - z) * 0.12, np.minimum((z - edge) * 0.05, 3))
        return np.maximum(shore, -2.5) + np.clip((z - edge) / 60, 0, 1) * (2 + uneven(x, z))

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.GRASS, np.uint8)
        cover_forest(materials, g, trees)
        materials[g.depth < 0.12 + 0.06 * mottled(g, 0.7)] = M.EARTH
        return materials

    water = fresh(rng, WATER, (0.04, 0.25))
    scene = Scenery(view, light, add_canopy(base, trees), surface, water, forest=trees)
    scene.mist = (rng.uniform(0, 1.2), 12)
    scene.reeds(rng, scatter(rng, rng.integer(14, 34), near * 0.85, near * 1.6), (0.5, 1.5))
    scene.reeds(rng, scatter(rng, 24, far * 0.85, far * 1.1), (1.0, 2.2))
    scene.bushes(rng, scatter(rng, 14, far * 1.02, far * 1.4), (1.0, 3.0))
    scene.trees(rng, scatter(rng, rng.integer(12, 36), far * 1.05, 200), (7, 16), trees.pointed, 0.1)
    if rng.bernoulli(0.3):
        scene.things.append(boat(near * rng.uniform(-0.5, 0.5), near * 2.4, 3.6, rng.seed()))
    if rng.bernoulli(0.35):
        scene.things.append(house(far * rng.uniform(-0.3, 0.3), far * 1.25, 11, rng.seed()))
    return scene
