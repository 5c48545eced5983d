"""Worked land: fields, a country road, a village."""

from __future__ import annotations

import numpy as np

from shanshui.landscapes.buildings import house
from shanshui.landscapes.camera import Ground
from shanshui.landscapes.forms import Line, camera, fit, forest, mountains, rolling, winding
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, sample, smoothstep
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Place, Scenery, add_canopy, cover_forest, mottled, peaks_for, scatter
from shanshui.landscapes.scenes.parcels import Parcels
from shanshui.landscapes.small import fence, person, stone_wall


def fields(rng: RandomSource, light: Light) -> Scenery:
    """Compose rolling farmland under a wide sky: parcels, hedges, a farm, hills on the horizon."""
    view = camera(rng, (0.36, 0.58), (7, 24))
    parcels = Parcels(rng, rng.uniform(60, 140))
    swell = rolling(rng, view.eye * 0.55, rng.uniform(180, 420))
    hills_ = mountains(rng, rng.uniform(900, 2200), rng.uniform(14, 24), True)
    amp = fit(view, hills_, rng.uniform(0.05, 0.16))
    trees = forest(rng, rng.uniform(0.15, 0.5), 500, 400, near=420)
    track = winding(rng, rng.uniform(-4, 4), 0.2) if rng.bernoulli(0.5) else None

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
    scene.mist = (rng.uniform(0, 0.5), 40)
    eye = view.eye
    if rng.bernoulli(0.75):
        _farm(rng, scene, eye * 5, 420)
    free = track.keeps_off(6) if track is not None else None
    scene.trees(rng, scatter(rng, rng.integer(1, 8), eye * 3.5, 260, free), (7, 14), False)
    if rng.bernoulli(0.4):
        scene.bushes(rng, scatter(rng, 12, eye * 1.6, eye * 4, free), (0.04 * eye, 0.1 * eye))
    return scene


def _farm(rng: RandomSource, scene: Scenery, near: float, far: float) -> None:
    """Add one to three houses with trees around them."""
    [(x, z)] = scatter(rng, 1, near, far)
    x *= 0.75
    for _ in range(rng.integer(1, 3)):
        place = (x + rng.normal(0, 9), z + rng.normal(0, 7))
        scene.things.append(house(*place, rng.uniform(8, 13), rng.seed()))
    places = [(x + rng.normal(0, 20), z + rng.uniform(4, 22)) for _ in range(rng.integer(2, 6))]
    scene.trees(rng, places, (7, 14), False)


def road(rng: RandomSource, light: Light) -> Scenery:
    """Compose a road that winds towards hills or mountains, with grass on both sides and a fence or trees along it."""
    view = camera(rng, (0.38, 0.56), (2.2, 6))
    line = winding(rng, rng.uniform(-1.5, 1.5), 0.11)
    paved, bare = rng.bernoulli(0.65), rng.bernoulli(0.4)
    wide = rng.uniform(2.6, 3.8) if paved else rng.uniform(0.9, 1.6)
    swell = rolling(rng, rng.uniform(1.0, 2.0) * view.eye, 220)
    texel = rng.uniform(18, 36)
    range_ = mountains(rng, rng.uniform(900, 2500), texel, not bare)
    amp = fit(view, range_, rng.uniform(0.07, 0.24))
    trees = forest(rng, rng.uniform(0.2, 0.6), 300, 300)

    def height(x: Array, z: Array) -> Array:
        away = line.distance(x, z)
        level = swell(line.at(z), z) * smoothstep(20, 200, z)
        beside = swell(x, z) * smoothstep(20, 200, z) + 0.10 * sample(fbm(), x * 2.0, z * 2.0)
        ditch = -0.25 * np.exp(-(((away - wide - 1.6) / 0.9) ** 2))
        free = smoothstep(wide, wide + 14, away)
        h = level * (1 - free) + beside * free + ditch + 20 * smoothstep(300, 3000, z) + amp * range_(x, z)
        return h + trees.cover(x, z, h) * trees.canopy(x, z) * (away > wide + 6)

    verge = rng.choice((M.GRASS, M.MEADOW, M.DRY_GRASS))
    dress = peaks_for(rng, amp, texel)

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
    scene.mist = (rng.uniform(0, 0.5), 50)
    _roadside(rng, scene, line, wide)
    return scene


def _along(line: Line, offset: float, near: float, far: float, count: int) -> list[Place]:
    """Return places along a line, `offset` metres from it, at geometrically spaced distances."""
    z = np.geomspace(near, far, count)
    x = line.at(z.astype(np.float32)) + offset
    return list(zip(x.tolist(), z.tolist(), strict=True))


def _roadside(rng: RandomSource, scene: Scenery, line: Line, wide: float) -> None:
    """Add a fence, a wall or an avenue; loose trees and bushes, perhaps a farm or a person."""
    eye, side, pointed = scene.view.eye, rng.sign(), rng.bernoulli(0.3)
    style = rng.uniform(0, 1)
    if style < 0.4:
        scene.things.append(fence(_along(line, side * (wide + 2.4), eye * 1.6, 130, 22), 1.15, rng.seed()))
    elif style < 0.55:
        scene.things.append(stone_wall(_along(line, side * (wide + 2.6), eye * 1.6, 130, 24), 1.0, rng.seed()))
    elif style < 0.85:
        for s in (-1.0, 1.0):
            places = _along(line, s * (wide + 4.0), 14 + eye, 200, rng.integer(5, 9))
            scene.trees(rng, [(x + rng.normal(0, 0.5), z) for x, z in places], (7, 12), pointed)
    far = line.keeps_off(wide + 5)
    scene.trees(rng, scatter(rng, rng.integer(0, 7), 25 + eye * 3, 220, far), (6, 13), pointed)
    scene.bushes(rng, scatter(rng, rng.integer(0, 13), eye * 2, eye * 9, line.keeps_off(wide + 1.5)), (0.3, 1.0))
    if rng.bernoulli(0.3):
        _farm(rng, scene, 60, 200)
    if rng.bernoulli(0.2):
        z = rng.uniform(10, 24)
        scene.things.append(person(float(line.at(z)) + side * wide * 0.6, z, rng.seed()))


def village(rng: RandomSource, light: Light) -> Scenery:
    """Compose houses on a slope among trees and gardens, a path up to them, wooded hills above."""
    view = camera(rng, (0.46, 0.62), (5, 11), (1.1, 1.5))
    line = winding(rng, rng.uniform(-3, 3), 0.16)
    swell, rise = rolling(rng, 6, 140), rng.uniform(10, 26)
    hills_ = mountains(rng, 420, rng.uniform(9, 16), rng.bernoulli(0.6))
    amp = fit(view, hills_, rng.uniform(0.14, 0.3))
    trees = forest(rng, rng.uniform(0.5, 0.8), 160, 700, near=230)
    parcels = Parcels(rng, 45)

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
    scene.mist = (rng.uniform(0, 0.8), 50)
    centre = rng.uniform(75, 130)
    for _ in range(rng.integer(6, 15)):
        z = centre * float(np.exp(rng.normal(0.1, 0.3)))
        x = z * float(np.clip(rng.normal(0, 0.2), -0.5, 0.5))
        scene.things.append(house(x, z, rng.uniform(7, 12), rng.seed()))
    places = scatter(rng, rng.integer(8, 19), 45, 220, line.keeps_off(4))
    scene.trees(rng, places, (5, 11), trees.pointed, 0.4)
    if rng.bernoulli(0.5):
        scene.things.append(stone_wall(_along(line, rng.sign() * 2.6, view.eye * 2, 80, 16), 1.1, rng.seed()))
    scene.bushes(rng, scatter(rng, 12, view.eye * 2, 60, line.keeps_off(2.4)), (0.3, 1.2))
    return scene
