"""Running water: a river in its valley, karst towers over a slow river, a waterfall."""

from __future__ import annotations

import numpy as np

from shanshui.landscapes.buildings import bridge, pagoda
from shanshui.landscapes.camera import Ground
from shanshui.landscapes.forms import camera, fit, forest, karst, mountains, rolling, spot, winding
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, Values, fbm, sample, smoothstep, soft
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Scenery, add_canopy, cover_forest, mottled, peaks_for, scatter
from shanshui.landscapes.small import boat, person
from shanshui.landscapes.water import RIVER, WATER, Water, fresh


def river(rng: RandomSource, light: Light) -> Scenery:
    """Compose a winding river in a valley, with meadows and woods on its banks and ranges behind."""
    view = camera(rng, (0.36, 0.5), (6, 22))
    line = winding(rng, rng.uniform(-6, 6), 0.2)
    wide = view.eye * rng.uniform(0.55, 1.1)
    uneven = rolling(rng, 30, 700)
    texel = rng.uniform(20, 38)
    range_ = mountains(rng, rng.uniform(1500, 3500), texel, rng.bernoulli(0.35))
    amp = fit(view, range_, rng.uniform(0.12, min(0.3, view.horizon - 0.07)))
    trees = forest(rng, rng.uniform(0.3, 0.62), 260, rng.uniform(200, 500))

    def base(x: Array, z: Array) -> Array:
        away = line.distance(x, z) + wide * 0.18 * sample(fbm(), x / wide * 5, z / wide * 5)
        bank = 0.35 + 0.012 * (away - wide) + 0.10 * sample(fbm(), x * 2, z * 2)
        sides = smoothstep(3 * wide, 900, away) * (45 + uneven(x, z))
        bed = -1.6 * np.clip(1 - away / wide, 0, 1) - 0.05
        return np.where(away < wide, bed, np.minimum(bank, 2.5) + sides) + amp * range_(x, z)

    dress = peaks_for(rng, amp, texel)
    meadow = rng.choice((M.GRASS, M.MEADOW))

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, meadow, np.uint8)
        mountain = (g.z > 2500) & (g.depth > 140)
        dress.paint(materials, g, mountain)
        cover_forest(materials, g, trees, ~mountain)
        shore = (g.depth < 0.28 + 0.1 * mottled(g, 1.5)) & (g.z < 400)
        materials[shore] = M.ROCK if meadow == M.GRASS else M.EARTH
        return materials

    scene = Scenery(view, light, add_canopy(base, trees), surface, fresh(rng, RIVER, (0.15, 0.6)), forest=trees)
    scene.mist = (rng.uniform(0, 0.6), 80)
    if rng.bernoulli(0.4):
        z = rng.uniform(9, 16) * wide
        scene.things.append(bridge(float(line.at(z)), z, wide * 3.0, rng.seed()))
    dry = line.keeps_off(wide * 1.25)
    eye = view.eye
    scene.grove(rng, trees, base, 44, eye * 4)
    scene.trees(
        rng, scatter(rng, rng.integer(2, 7), eye * 3, eye * 12, dry), (0.4 * eye + 3, 0.8 * eye + 3), trees.pointed
    )
    scene.boulders(rng, scatter(rng, 10, eye * 2, eye * 5), (0.03 * eye, 0.11 * eye))
    scene.bushes(rng, scatter(rng, 8, eye * 2, eye * 7, dry), (0.08 * eye, 0.2 * eye))
    return scene


def karst_river(rng: RandomSource, light: Light) -> Scenery:
    """Compose steep green towers over still water and paddies, in mist, with a raft or a pagoda."""
    view = camera(rng, (0.5, 0.64), (4, 16))
    towers = karst(rng, rng.uniform(260, 500), rng.uniform(5, 9))
    amp = fit(view, towers, rng.uniform(0.22, view.horizon - 0.1))
    line = winding(rng, rng.uniform(-4, 4), 0.22)
    wide = view.eye * rng.uniform(1.4, 3.2)
    trees = forest(rng, 0.5, 120, 60, near=200, pointed=False)
    paddies = rng.bernoulli(0.6)

    def base(x: Array, z: Array) -> Array:
        away = line.distance(x, z) - wide * (1 + 0.2 * sample(soft(), x / wide * 10, z / wide * 10))
        bank = np.where(away > 0, np.minimum(0.3 + 0.03 * away, 2.2), np.maximum(away * 0.2, -2))
        return bank + 0.05 * sample(fbm(), x * 2, z * 2) + amp * towers(x, z) * smoothstep(0, 30, away)

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.GRASS, np.uint8)
        if paddies:
            dykes = sample(soft(), g.x / 3, g.z / 3) + np.sin(g.x * 0.11) + np.sin(g.z * 0.07)
            materials[(np.abs(dykes) > 0.16) & (g.depth > 0.8)] = M.PADDY
        cover_forest(materials, g, trees)
        materials[(g.depth < 0.3 + 0.12 * mottled(g, 1.0)) & (g.z < 300)] = M.EARTH
        tower = (g.depth > 14) & (g.z > 200)
        materials[tower] = M.MOUNTAIN_GREEN
        materials[tower & (np.hypot(g.slope_x, g.slope_z) > 3.6 + 1.2 * mottled(g, 3.0))] = M.MOUNTAIN
        return materials

    scene = Scenery(view, light, add_canopy(base, trees), surface, fresh(rng, RIVER, (0.05, 0.3)), forest=trees)
    scene.mist = (rng.uniform(0.8, 2.6), 40)
    dry = line.keeps_off(wide * 1.25)
    eye = view.eye
    scene.bushes(rng, scatter(rng, 18, eye * 3, eye * 12, dry), (0.1 * eye, 0.3 * eye))
    scene.reeds(rng, scatter(rng, 10, eye * 2, eye * 5, dry), (0.08 * eye, 0.2 * eye))
    scene.trees(rng, scatter(rng, rng.integer(3, 11), eye * 4, eye * 18, dry), (6, 13), False)
    if rng.bernoulli(0.7):
        z = eye * rng.uniform(3.5, 8)
        x = float(line.at(z)) + wide * rng.uniform(-0.4, 0.4)
        size = 0.10 * z + 1.5
        scene.things.append(boat(x, z, size, rng.seed()))
        if size > 3:
            scene.things.append(person(x + 0.2 * size, z * 0.999, rng.seed(), 0.2))
    if rng.bernoulli(0.35):
        z = rng.uniform(160, 260)
        scene.things.append(pagoda(float(line.at(z)) + wide * 2.2, z, 0.2 * z, rng.seed()))
    return scene


def waterfall(rng: RandomSource, light: Light) -> Scenery:
    """Compose a fall over a rock wall into its pool, with woods above and on both sides."""
    view = camera(rng, (0.52, 0.7), (3.5, 7), (1.0, 1.25))
    wall = rng.uniform(70, 130)
    tall = wall * rng.uniform(0.26, 0.42)
    fall_x, wide = wall * rng.uniform(-0.18, 0.18), tall * rng.uniform(0.05, 0.16)
    bowl, two_steps = rng.uniform(0.3, 0.7), rng.bernoulli(0.35)
    stream, notch = winding(rng, fall_x * 0.2, 0.08), spot(rng)

    def face(x: Values, z: Values) -> Array:
        """Return the metres behind the foot of the wall."""
        ragged = 4.0 * sample(fbm(), x / 5 + notch[0], notch[1])
        calm = np.clip(np.abs(x - fall_x) / (3 * wide), 0.1, 1)
        return z - wall + bowl * np.maximum(np.abs(x - fall_x) - 2.5 * wide, 0) ** 1.18 + ragged * calm

    def base(x: Array, z: Array) -> Array:
        d = face(x, z)
        lip = (
            1 + 0.06 * sample(fbm(), x / 4 + notch[1], notch[0]) - 0.10 * np.exp(-(((x - fall_x) / (1.3 * wide)) ** 2))
        )
        rise = smoothstep(0, 5, d)
        if two_steps:
            rise = 0.55 * smoothstep(0, 3, d) + 0.45 * smoothstep(13, 16, d)
        away = stream.distance(x - fall_x * np.clip(z / wall, 0, 1), z)
        pool = np.sqrt((x - fall_x) ** 2 + ((z - wall + 7) * 1.4) ** 2) - 3.2 * wide - 7
        wet = np.minimum(away - 0.055 * wall - 0.8 * sample(fbm(), x, z), pool)
        floor = np.clip(wet * 0.16, -1.2, 2.5) + 0.14 * sample(fbm(), x * 2.2, z * 2.2)
        talus = 4.5 * smoothstep(-14, 0, d) * smoothstep(0, 9, wet)
        return floor + talus + tall * lip * rise + 0.12 * np.maximum(d - 18, 0)

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.GRASS, np.uint8)
        d = face(g.x, g.z)
        steep = np.hypot(g.slope_x, g.slope_z) > 0.8
        materials[(g.depth > 1.5) & (steep | ((d > -2) & (d < 8)))] = M.CLIFF
        materials[(g.depth < 0.4 + 0.3 * mottled(g, 0.8)) & (d < 0)] = M.ROCK
        spread = wide * (0.92 - 0.30 * np.clip(g.h / tall, 0, 1) + 0.10 * sample(fbm(), g.h / 2, notch[0]))
        bent = g.x - fall_x - 0.05 * wide * sample(fbm(), g.h / 1.5, notch[1])
        materials[(np.abs(bent) < spread) & (d > -3) & (d < 30) & (g.depth > 0)] = M.FALL
        return materials

    water = Water(rng.choice((RIVER, WATER)), (0.012, 0.055, 0.055), (0.10, 0.2, 0.17), 1.2, rng.uniform(0.35, 0.8))
    scene = Scenery(view, light, base, surface, water, spray=(fall_x, 0.0, wall, wide * 2.4))

    def dry(x: float, z: float) -> bool:
        return float(stream.distance(x - fall_x * z / wall, z)) > 0.07 * wall and float(face(x, z)) < -6

    def rim(x: float, z: float) -> bool:
        return 5 < float(face(x, z)) < 22 and abs(x - fall_x) > 2.2 * wide

    pointed = rng.bernoulli(0.6)
    scene.boulders(rng, scatter(rng, 26, view.eye * 1.8, wall * 0.9), (0.25, 1.3))
    scene.bushes(rng, scatter(rng, 14, view.eye * 2, wall * 0.6, dry), (0.4, 1.2))
    scene.trees(rng, scatter(rng, rng.integer(4, 13), view.eye * 4, wall * 0.9, dry), (6, 14), pointed)
    scene.trees(rng, scatter(rng, 200, wall * 0.4, wall * 1.4, rim)[:24], (5, 11), pointed)
    return scene
