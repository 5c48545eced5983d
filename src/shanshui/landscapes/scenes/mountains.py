"""High country: alps, ridges in mist, a wall along the crest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shanshui.landscapes.buildings import house, pagoda
from shanshui.landscapes.camera import Ground
from shanshui.landscapes.forms import Line, camera, fit, forest, mountains, rolling, spot
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, Values, fbm, sample, smoothstep
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Scenery, add_canopy, cover_forest, mottled, peaks_for, scatter
from shanshui.landscapes.small import person
from shanshui.landscapes.water import LAKE, fresh


def alps(rng: RandomSource, light: Light) -> Scenery:
    """Compose a flowering meadow, scattered conifers and a mountain range behind, sometimes with a lake."""
    view = camera(rng, (0.46, 0.68), (8, 24), (1.0, 1.5))
    texel = rng.uniform(26, 44)
    range_ = mountains(rng, rng.uniform(1200, 2600), texel)
    amp = fit(view, range_, rng.uniform(0.2, max(0.24, view.horizon - 0.1)))
    near_hills, shelf = rolling(rng, view.eye * 0.3, 240), rolling(rng, 40, 900)
    trees = forest(rng, rng.uniform(0.35, 0.6), 300, rng.uniform(150, 450), near=300, pointed=True)
    tarn = rng.uniform(60, 160) * rng.bernoulli(0.35)
    tarn_x = tarn * rng.uniform(-0.25, 0.25)

    def in_tarn(x: Values, z: Values, size: float) -> Values:
        """Return the squared distance from the lake's centre, 1 at its shore scaled by `size`."""
        return ((x - tarn_x) / (tarn * 0.55 * size)) ** 2 + ((z - tarn) / (tarn * 0.42 * size)) ** 2

    def base(x: Array, z: Array) -> Array:
        h = 0.15 * view.eye + near_hills(x, z) + (shelf(x, z) + 25) * smoothstep(250, 1800, z)
        if tarn:
            basin = np.exp(-in_tarn(x, z, 1.0))
            h = h * (1 - basin) + basin * -3 + 0.5 * (1 - basin)
        else:
            h = np.maximum(h, 0.3)
        return h + amp * range_(x, z)

    dress = peaks_for(rng, amp, texel)
    meadow = rng.choice((M.MEADOW, M.GRASS))

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, meadow, np.uint8)
        mountain = (g.z > 1400) & (g.depth > 130)
        dress.paint(materials, g, mountain)
        cover_forest(materials, g, trees, ~mountain)
        materials[(sample(fbm(), g.x / 1.6 + 80, g.z / 2.5) > 2.0) & (g.z < 300)] = M.ROCK
        return materials

    scene = Scenery(view, light, add_canopy(base, trees), surface, forest=trees)
    scene.water = fresh(rng, LAKE, (0.05, 0.3)) if tarn else None
    scene.mist = (rng.uniform(0, 0.4), 100)

    def dry(x: float, z: float) -> bool:
        """Test whether a place is outside of the lake."""
        return not tarn or float(in_tarn(x, z, 1.35)) > 1

    eye = view.eye
    scene.trees(rng, scatter(rng, rng.integer(4, 22), eye * 2.6, 260, dry), (9, 19), True)
    scene.boulders(rng, scatter(rng, rng.integer(2, 14), eye * 1.5, eye * 6, dry), (0.04 * eye, 0.14 * eye))
    scene.bushes(rng, scatter(rng, rng.integer(0, 16), eye * 1.5, eye * 4, dry), (0.04 * eye, 0.09 * eye))
    if rng.bernoulli(0.25):
        for place in scatter(rng, 3, 90, 300, dry):
            scene.things.append(house(*place, 10.0, rng.seed()))
    return scene


def ridges(rng: RandomSource, light: Light) -> Scenery:
    """Compose range behind range, seen from a rocky ledge with pines or a pagoda, over valleys full of mist."""
    view = camera(rng, (0.32, 0.5), (380, 620), (1.1, 1.7))
    clear = rng.uniform(3, 6)  # metres from the ledge up to the eye
    range_ = mountains(rng, 500, rng.uniform(9, 16), rng.bernoulli(0.3))
    tall = fit(view, range_, rng.uniform(0.04, 0.2))
    side, edge = rng.sign(), clear * rng.uniform(2.6, 4.0)
    texture = spot(rng)

    def over(x: Values, z: Values) -> Values:
        """Return the metres beyond the edge of the ledge."""
        return z - edge - 0.9 * side * x

    def base(x: Array, z: Array) -> Array:
        far = tall * range_(x, z) + 12 * sample(fbm(), x / 8 + texture[0], z / 8)
        rough = sample(fbm(), x * 2.5 + texture[1], z * 2.5)
        beyond = over(x, z) + 0.6 * rough
        ledge = view.eye - clear + 0.05 * (z + side * x) + 0.25 * rough - 3 * np.maximum(beyond, 0)
        return np.maximum(far, np.where(beyond < 60, ledge, -1e3))

    floor = rng.choice((M.ROCK, M.GRASS))

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.MOUNTAIN_GREEN, np.uint8)
        slope = np.hypot(g.slope_x, g.slope_z)
        materials[slope > 1.5 + 0.4 * mottled(g, 20.0)] = M.MOUNTAIN
        materials[g.z < 200] = floor
        materials[(g.z < 200) & (slope > 0.9)] = M.ROCK
        return materials

    scene = Scenery(view, replace(light, reach=light.reach * rng.uniform(0.6, 1.1)), base, surface)
    scene.mist = (rng.uniform(0.5, 2.5), tall * rng.uniform(0.08, 0.14))

    def on_ledge(x: float, z: float) -> bool:
        return float(over(x, z)) < -0.8

    if rng.bernoulli(0.75):
        for place in scatter(rng, 14, edge * 0.8, edge * 1.6, on_ledge)[: rng.integer(1, 6)]:
            scene.tree(rng, place, rng.uniform(0.25, 0.5) * place[1], rng.bernoulli(0.75))
    else:
        for place in scatter(rng, 9, edge * 0.9, edge * 1.4, on_ledge)[:1]:
            scene.things.append(pagoda(*place, edge * 0.55, rng.seed()))
    if rng.bernoulli(0.35):
        for place in scatter(rng, 6, edge * 0.7, edge, on_ledge)[:1]:
            scene.things.append(person(*place, rng.seed()))
    scene.boulders(rng, scatter(rng, 12, edge * 0.5, edge * 1.4, on_ledge), (0.15, 0.7))
    scene.bushes(rng, scatter(rng, 10, edge * 0.5, edge * 1.2, on_ledge), (0.2, 0.6))
    return scene


def great_wall(rng: RandomSource, light: Light) -> Scenery:
    """Compose a wall with towers that follows the hills into the distance."""
    view = camera(rng, (0.36, 0.5), (80, 120), (1.1, 1.5))
    line = Line(0.0, rng.uniform(-0.1, 0.1), rng.uniform(0.16, 0.26), rng.uniform(2.6, 4), rng.uniform(0, 6.28))
    hills_ = mountains(rng, 160, rng.uniform(7, 11), True)
    tall = view.eye * rng.uniform(1.4, 2.0)
    far = mountains(rng, 2500, 26)
    amp = fit(view, far, rng.uniform(0.08, 0.2))
    trees = forest(rng, 0.85, 120, 900, near=60, pointed=False)
    uneven = rolling(rng, 16, 160)

    def tower(z: Array) -> Array:
        return np.mod(np.log(z) * 6.5, 1) < 0.06

    def base(x: Array, z: Array) -> Array:
        near = smoothstep(60, 700, z)
        away = line.distance(x, z)
        h = view.eye * 0.35 * (1 - near) + tall * hills_(x, z) * near + uneven(x, z) + amp * far(x, z) + 10
        h = h + 26 * np.exp(-((away / 60) ** 2)) * smoothstep(20, 200, z)  # the wall keeps to the crest
        wide = 3.2 + 2.4 * tower(z)
        wooded = trees.cover(x, z, h) * trees.canopy(x, z) * 0.6
        return h + np.where((away < wide) & (z < 2600), 7.0 + 6.0 * tower(z), wooded * (away > wide + 2))

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.GRASS, np.uint8)
        cover_forest(materials, g, trees)
        materials[g.z > 2400] = M.MOUNTAIN_GREEN
        materials[(g.z > 2400) & (np.hypot(g.slope_x, g.slope_z) > 1.0)] = M.MOUNTAIN
        materials[(line.distance(g.x, g.z) < 3.3 + 2.5 * tower(g.z)) & (g.z < 2600)] = M.WALL
        return materials

    scene = Scenery(view, light, base, surface, forest=trees)
    scene.mist = (rng.uniform(0.2, 1.2), 60)
    return scene
