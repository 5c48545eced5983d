"""Worked land: fields, a country road, a village."""

from __future__ import annotations

import numpy as np

from shanshui.landscapes.buildings import house
from shanshui.landscapes.camera import Ground
from shanshui.landscapes.dice import Dice
from shanshui.landscapes.forms import Line, camera, fit, forest, mountains, rolling, winding
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, sample, smoothstep
from shanshui.landscapes.scenery import Place, Scenery, add_canopy, cover_forest, mottled, peaks_for, scatter
from shanshui.landscapes.scenes.parcels import Parcels
from shanshui.landscapes.small import fence, person, stone_wall


def fields(dice: Dice, light: Light) -> Scenery:
    """Compose rolling farmland under a wide sky: parcels, hedges, a farm, hills on the horizon."""
    view = camera(dice, (0.36, 0.58), (7, 24))
    parcels = Parcels(dice, dice.between(60, 140))
    swell = rolling(dice, view.eye * 0.55, dice.between(180, 420))
    hills_ = mountains(dice, dice.between(900, 2200), dice.between(14, 24), True)
    amp = fit(view, hills_, dice.between(0.05, 0.16))
    trees = forest(dice, dice.between(0.15, 0.5), 500, 400, near=420)
    track = winding(dice, dice.between(-4, 4), 0.2) if dice.chance(0.5) else None

    def height(x: Array, z: Array) -> Array:
        h = swell(x, z) * smoothstep(0, 160, z) + 20 * smoothstep(400, 3000, z) + amp * hills_(x, z)
        hedge = parcels.hedge(x, z) * smoothstep(60, 90, z) * (z < 2500)
        if track is not None:
            hedge = hedge * (track.distance(x, z) > 4)
        return h + np.maximum(hedge, trees.cover(x, z, h) * trees.canopy(x, z))

    def surface(g: Ground) -> Materials:
        materials = parcels.crop(g.x, g.z)
        row = parcels.furrows(g.x, g.z) * (g.z < 14 * view.eye)
        materials[(row > 0.55) & (materials == M.CROP_VIOLET)] = M.SOIL
        materials[(row > 0.75) & (materials == M.CROP_GREEN)] = M.SOIL
        far = g.z > 1500
        materials[far] = M.HILL
        materials[(parcels.hedge(g.x, g.z) > 0.5) & (g.z > 70) & ~far] = M.BROADLEAF
        cover_forest(materials, g, trees)
        if track is not None:
            materials[(track.distance(g.x, g.z) < 1.5) & (g.z < 900)] = M.PATH
        return materials

    scene = Scenery(view, light, height, surface, forest=trees)
    scene.mist = (dice.between(0, 0.5), 40)
    eye = view.eye
    if dice.chance(0.75):
        _farm(dice, scene, eye * 5, 420)
    free = track.keeps_off(6) if track is not None else None
    scene.trees(dice, scatter(dice, dice.count(1, 8), eye * 3.5, 260, free), (7, 14), False)
    if dice.chance(0.4):
        scene.bushes(dice, scatter(dice, 12, eye * 1.6, eye * 4, free), (0.04 * eye, 0.1 * eye))
    return scene


def _farm(dice: Dice, scene: Scenery, near: float, far: float) -> None:
    """Add one to three houses with trees around them."""
    [(x, z)] = scatter(dice, 1, near, far)
    x *= 0.75
    for _ in range(dice.count(1, 3)):
        place = (x + dice.normal(0, 9), z + dice.normal(0, 7))
        scene.things.append(house(*place, dice.between(8, 13), dice.seed()))
    places = [(x + dice.normal(0, 20), z + dice.between(4, 22)) for _ in range(dice.count(2, 6))]
    scene.trees(dice, places, (7, 14), False)


def road(dice: Dice, light: Light) -> Scenery:
    """Compose a road that winds towards hills or mountains, with grass on both sides and a fence or trees along it."""
    view = camera(dice, (0.38, 0.56), (2.2, 6))
    line = winding(dice, dice.between(-1.5, 1.5), 0.11)
    paved, bare = dice.chance(0.65), dice.chance(0.4)
    wide = dice.between(2.6, 3.8) if paved else dice.between(0.9, 1.6)
    swell = rolling(dice, dice.between(1.0, 2.0) * view.eye, 220)
    texel = dice.between(18, 36)
    range_ = mountains(dice, dice.between(900, 2500), texel, not bare)
    amp = fit(view, range_, dice.between(0.07, 0.24))
    trees = forest(dice, dice.between(0.2, 0.6), 300, 300)

    def height(x: Array, z: Array) -> Array:
        away = line.distance(x, z)
        level = swell(line.at(z), z) * smoothstep(20, 200, z)
        beside = swell(x, z) * smoothstep(20, 200, z) + 0.10 * sample(fbm(), x * 2.0, z * 2.0)
        ditch = -0.25 * np.exp(-(((away - wide - 1.6) / 0.9) ** 2))
        free = smoothstep(wide, wide + 14, away)
        h = level * (1 - free) + beside * free + ditch + 20 * smoothstep(300, 3000, z) + amp * range_(x, z)
        return h + trees.cover(x, z, h) * trees.canopy(x, z) * (away > wide + 6)

    verge = dice.pick((M.GRASS, M.MEADOW, M.DRY_GRASS))
    dress = peaks_for(dice, amp, texel)

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, verge, np.uint8)
        away = line.distance(g.x, g.z)
        cover_forest(materials, g, trees, away > wide + 6)
        far = (g.z > 1400) & (g.depth > 70)
        if bare:
            dress.paint(materials, g, far)
        else:
            materials[far] = M.HILL
        shoulder = (away < wide + 0.7 + 0.2 * mottled(g, 0.6)) & (g.z < 1500)
        materials[shoulder] = M.EARTH if paved else verge
        materials[(away < wide) & (g.z < 1800)] = M.ROAD if paved else M.PATH
        if paved:
            dash = (np.mod(np.log(g.z) * 9, 1) < 0.5) & (away < 0.09 + 0.0006 * g.z)
            edge = np.abs(away - wide + 0.3) < 0.07 + 0.0003 * g.z
            materials[(dash | edge) & (g.z < 300)] = M.ROAD_MARK
        return materials

    scene = Scenery(view, light, height, surface, forest=trees)
    scene.mist = (dice.between(0, 0.5), 50)
    _roadside(dice, scene, line, wide)
    return scene


def _along(line: Line, offset: float, near: float, far: float, count: int) -> list[Place]:
    """Return places along a line, `offset` metres from it, at geometrically spaced distances."""
    z = np.geomspace(near, far, count)
    x = line.at(z.astype(np.float32)) + offset
    return list(zip(x.tolist(), z.tolist(), strict=True))


def _roadside(dice: Dice, scene: Scenery, line: Line, wide: float) -> None:
    """Add a fence, a wall or an avenue; loose trees and bushes, perhaps a farm or a person."""
    eye, side, pointed = scene.view.eye, dice.side(), dice.chance(0.3)
    style = dice.between(0, 1)
    if style < 0.4:
        scene.things.append(fence(_along(line, side * (wide + 2.4), eye * 1.6, 130, 22), 1.15, dice.seed()))
    elif style < 0.55:
        scene.things.append(stone_wall(_along(line, side * (wide + 2.6), eye * 1.6, 130, 24), 1.0, dice.seed()))
    elif style < 0.85:
        for s in (-1.0, 1.0):
            places = _along(line, s * (wide + 4.0), 14 + eye, 200, dice.count(5, 9))
            scene.trees(dice, [(x + dice.normal(0, 0.5), z) for x, z in places], (7, 12), pointed)
    far = line.keeps_off(wide + 5)
    scene.trees(dice, scatter(dice, dice.count(0, 7), 25 + eye * 3, 220, far), (6, 13), pointed)
    scene.bushes(dice, scatter(dice, dice.count(0, 13), eye * 2, eye * 9, line.keeps_off(wide + 1.5)), (0.3, 1.0))
    if dice.chance(0.3):
        _farm(dice, scene, 60, 200)
    if dice.chance(0.2):
        z = dice.between(10, 24)
        scene.things.append(person(float(line.at(z)) + side * wide * 0.6, z, dice.seed()))


def village(dice: Dice, light: Light) -> Scenery:
    """Compose houses on a slope among trees and gardens, a path up to them, wooded hills above."""
    view = camera(dice, (0.46, 0.62), (5, 11), (1.1, 1.5))
    line = winding(dice, dice.between(-3, 3), 0.16)
    swell, rise = rolling(dice, 6, 140), dice.between(10, 26)
    hills_ = mountains(dice, 420, dice.between(9, 16), dice.chance(0.6))
    amp = fit(view, hills_, dice.between(0.14, 0.3))
    trees = forest(dice, dice.between(0.5, 0.8), 160, 700, near=230)
    parcels = Parcels(dice, 45)

    def base(x: Array, z: Array) -> Array:
        slope = rise * smoothstep(40, 260, z) + 30 * smoothstep(260, 900, z)
        return swell(x, z) * smoothstep(15, 90, z) + slope + amp * hills_(x, z)

    def surface(g: Ground) -> Materials:
        gardens = (g.z > 60) & (g.z < 230)
        materials = np.where(gardens, parcels.crop(g.x, g.z), np.uint8(M.GRASS)).astype(np.uint8)
        materials[g.depth > 90] = M.MOUNTAIN_GREEN if amp > 260 else M.HILL
        cover_forest(materials, g, trees)
        materials[(line.distance(g.x, g.z) < 1.3) & (g.z < 200)] = M.PATH
        return materials

    scene = Scenery(view, light, add_canopy(base, trees), surface, forest=trees)
    scene.mist = (dice.between(0, 0.8), 50)
    centre = dice.between(75, 130)
    for _ in range(dice.count(6, 15)):
        z = centre * float(np.exp(dice.normal(0.1, 0.3)))
        x = z * float(np.clip(dice.normal(0, 0.2), -0.5, 0.5))
        scene.things.append(house(x, z, dice.between(7, 12), dice.seed()))
    places = scatter(dice, dice.count(8, 19), 45, 220, line.keeps_off(4))
    scene.trees(dice, places, (5, 11), trees.pointed, 0.4)
    if dice.chance(0.5):
        scene.things.append(stone_wall(_along(line, dice.side() * 2.6, view.eye * 2, 80, 16), 1.1, dice.seed()))
    scene.bushes(dice, scatter(dice, 12, view.eye * 2, 60, line.keeps_off(2.4)), (0.3, 1.2))
    return scene
