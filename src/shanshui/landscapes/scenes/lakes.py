"""Still water: a lake below mountains, a town across the bay, a pond among reeds."""

from __future__ import annotations

import numpy as np

from shanshui.landscapes.buildings import house, town
from shanshui.landscapes.camera import Ground
from shanshui.landscapes.dice import Dice
from shanshui.landscapes.forms import camera, fit, forest, mountains, rolling, spot
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, sample, smoothstep, soft
from shanshui.landscapes.scenery import Scenery, add_canopy, cover_forest, mottled, peaks_for, scatter
from shanshui.landscapes.small import boat, pier
from shanshui.landscapes.water import LAKE, WATER, fresh


def lake(dice: Dice, light: Light) -> Scenery:
    """Compose a lake below mountains, with wooded shores and the near bank in the foreground."""
    view = camera(dice, (0.36, 0.54), (2.6, 8))
    near = view.eye * dice.between(1.5, 3.2) * dice.chance(0.75)
    far = float(np.exp(dice.between(5.6, 7.4)))
    bay, uneven = spot(dice), rolling(dice, 14, 500)
    texel = dice.between(24, 42)
    range_ = mountains(dice, far * 1.15 + 500, texel)
    amp = fit(view, range_, dice.between(0.13, min(0.33, view.horizon - 0.06)))
    trees = forest(dice, dice.between(0.4, 0.85), 700, dice.between(150, 500), near=near + 60)

    def base(x: Array, z: Array) -> Array:
        edge = far * np.exp(0.5 * sample(soft(), x / z * 70 + bay[0], bay[1]))
        rise = (z - edge) / far
        far_bank = np.where(rise > 0, 1.0 + 60 * rise + uneven(x, z) * np.clip(rise * 3, 0, 1), rise * 90)
        lip = near * (1 + 0.3 * sample(soft(), x / max(near, 3) * 20 + bay[1], bay[0]))
        near_bank = (lip - z) * 0.10 + 0.10 * sample(fbm(), x * 3, z * 3) * (z < lip + 3)
        return np.maximum(np.maximum(far_bank, near_bank), -8) + amp * range_(x, z)

    dress = peaks_for(dice, amp, texel)
    bank = dice.pick((M.GRASS, M.MEADOW, M.ROCK, M.EARTH))
    high = dice.between(60, 130)

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.GRASS, np.uint8)
        mountain = (g.z > far * 1.3 + 600) & (g.depth > high)
        dress.paint(materials, g, mountain)
        cover_forest(materials, g, trees, ~mountain)
        shore = (g.depth < 0.22 + 0.12 * mottled(g, 1.0)) & (g.z < far)
        materials[g.z < near + 20] = bank
        materials[shore] = M.ROCK if bank != M.EARTH else M.EARTH
        return materials

    scene = Scenery(view, light, add_canopy(base, trees), surface, fresh(dice, LAKE, (0.14, 0.7)), forest=trees)
    scene.mist = (dice.between(0, 0.5), 60)
    if near:
        _bank_things(dice, scene, near)
    _floating_things(dice, scene, near)
    if dice.chance(0.3):
        for _ in range(dice.count(2, 6)):
            z = far * dice.between(1.0, 1.6)
            scene.things.append(house(z * dice.between(-0.5, 0.5), z, far * 0.035, dice.seed()))
    return scene


def _bank_things(dice: Dice, scene: Scenery, near: float) -> None:
    """Add a tree that frames the view, stones and reeds at the water's edge."""
    if dice.chance(0.5):
        z = near * dice.between(0.75, 0.95)
        place = (dice.side() * z * dice.between(0.28, 0.48), z)
        scene.tree(dice, place, dice.between(0.55, 0.9) * z, dice.chance(0.5))
    stones = scatter(dice, dice.count(0, 8), near * 0.7, near * 1.3)
    scene.boulders(dice, stones, (0.03 * near, 0.1 * near))
    if dice.chance(0.5):
        scene.reeds(dice, scatter(dice, 14, near * 0.9, near * 1.15), (0.05 * near, 0.12 * near))


def _floating_things(dice: Dice, scene: Scenery, near: float) -> None:
    """Add a pier, or boats, or nothing."""
    view = scene.view
    style = dice.between(0, 1)
    if style < 0.25:
        edge = (view.eye - 0.7) * view.focal / (1 - view.horizon)  # where the picture's lower edge meets the deck
        place, end = dice.between(-0.3, 0.3) * edge, max(edge, near) * dice.between(2, 3.2)
        scene.things.append(pier(place, edge * 0.7, end, 0.22 * edge, dice.seed()))
    elif style < 0.6:
        for _ in range(dice.count(1, 3)):
            z = dice.between(2.2, 6) * max(near, 12)
            length = dice.between(0.1, 0.2) * z
            scene.things.append(boat(z * dice.between(-0.45, 0.45), z, length, dice.seed(), dice.chance(0.4)))


def bay_town(dice: Dice, light: Light) -> Scenery:
    """Compose a town across the water, with hills behind it and boats in front of it."""
    scene = lake(dice, light)
    base, quay = scene.height, dice.between(500, 1100)

    def height(x: Array, z: Array) -> Array:
        h = base(x, z)
        water = np.where(z > 40, np.minimum(h, -2), h)
        land = np.maximum(h * smoothstep(quay, quay * 2.5, z), smoothstep(quay * 0.93, quay * 0.95, z) * 3.0)
        return np.where(z < quay * 0.93, water, land)

    scene.height = height
    wide, tall = quay * dice.between(0.18, 0.4), quay * dice.between(0.06, 0.12)
    scene.things.append(town(quay * dice.between(-0.25, 0.25), quay * 0.99, wide, tall, dice.seed()))
    return scene


def pond(dice: Dice, light: Light) -> Scenery:
    """Compose still water among reeds and trees."""
    view = camera(dice, (0.4, 0.54), (2.2, 4))
    near, far = view.eye * dice.between(1.5, 2.4), dice.between(45, 130)
    bay, uneven = spot(dice), rolling(dice, 4, 120)
    trees = forest(dice, dice.between(0.6, 0.95), 90, 400, near=max(far * 1.1, 200), pointed=dice.chance(0.3))

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

    water = fresh(dice, WATER, (0.04, 0.25))
    scene = Scenery(view, light, add_canopy(base, trees), surface, water, forest=trees)
    scene.mist = (dice.between(0, 1.2), 12)
    scene.reeds(dice, scatter(dice, dice.count(14, 34), near * 0.85, near * 1.6), (0.5, 1.5))
    scene.reeds(dice, scatter(dice, 24, far * 0.85, far * 1.1), (1.0, 2.2))
    scene.bushes(dice, scatter(dice, 14, far * 1.02, far * 1.4), (1.0, 3.0))
    scene.trees(dice, scatter(dice, dice.count(12, 36), far * 1.05, 200), (7, 16), trees.pointed, 0.1)
    if dice.chance(0.3):
        scene.things.append(boat(near * dice.between(-0.5, 0.5), near * 2.4, 3.6, dice.seed()))
    if dice.chance(0.35):
        scene.things.append(house(far * dice.between(-0.3, 0.3), far * 1.25, 11, dice.seed()))
    return scene
