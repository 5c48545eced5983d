"""The sea: beaches and cliffs."""

from __future__ import annotations

import numpy as np

from shanshui.landscapes.buildings import lighthouse
from shanshui.landscapes.camera import Ground
from shanshui.landscapes.forms import camera, fit, mountains, rolling, spot
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, Values, fbm, sample, smoothstep, soft
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Scenery, mottled, scatter
from shanshui.landscapes.small import boat, person, ship
from shanshui.landscapes.trees import palm
from shanshui.landscapes.water import SEA, Water

DEEP = ((0.004, 0.035, 0.07), (0.004, 0.05, 0.075), (0.01, 0.04, 0.05))
SHALLOW = ((0.05, 0.24, 0.24), (0.10, 0.20, 0.17))


def beach(rng: RandomSource, light: Light) -> Scenery:
    """Compose sand, surf and the open sea, with palms or stones, perhaps a headland in the distance."""
    view = camera(rng, (0.34, 0.56), (2.4, 9), (1.0, 1.3))
    side = rng.sign()
    lean = rng.uniform(0.0, 0.4)  # 0: the shore runs across the picture
    start = view.eye * rng.uniform(2.0, 3.6)
    cove = spot(rng)
    head = mountains(rng, rng.uniform(900, 2600), rng.uniform(9, 16), rng.bernoulli(0.6))
    amp = fit(view, head, rng.uniform(0.05, 0.17)) * rng.bernoulli(0.6)
    reach, slope = rng.uniform(0.0, 0.35), rng.uniform(0.03, 0.06)

    def base(x: Array, z: Array) -> Array:
        bend = view.eye * 1.1 * sample(soft(), x / view.eye * 2 + cove[0], z / view.eye * 1.2 + cove[1])
        inland = (start - z) * (1 - lean) + (side * x + 0.15 * start) * lean * 3.2 + bend
        h = inland * slope
        h = np.where(h > 1.1, 1.1 + (h - 1.1) * 2.2, np.maximum(h, -9))
        h = h + 0.03 * sample(fbm(), x * 4, z * 4) * (inland > 0)
        if amp:
            cape = np.clip((side * x / z + 0.55 - reach) * 5, 0, 1)
            h = h + (amp * head(x, z) + 9 * (z > 900)) * cape
        return h

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.SAND, np.uint8)
        materials[g.depth < 0.14 + 0.03 * mottled(g, 2.0)] = M.WET_SAND
        materials[g.depth + 0.5 * mottled(g, 1.0) > 2.4] = M.GRASS
        cape = (g.z > 700) & (g.depth > 0)
        materials[cape] = M.HILL
        materials[cape & (np.hypot(g.slope_x, g.slope_z) > 0.75)] = M.CLIFF
        return materials

    water = Water(SEA, rng.choice(DEEP), rng.choice(SHALLOW), 1.2, rng.uniform(0.4, 1.0), True)
    scene = Scenery(view, light, base, surface, water)
    _shore_things(rng, scene, start, side)
    _sea_things(rng, scene, start)
    return scene


def _shore_things(rng: RandomSource, scene: Scenery, start: float, side: float) -> None:
    """Add palms or stones to the beach, perhaps people."""
    style = rng.uniform(0, 1)
    if style < 0.35:
        for _ in range(rng.integer(1, 4)):
            z = start * rng.uniform(0.7, 1.6)
            scene.things.append(palm(side * z * rng.uniform(0.22, 0.5), z, start * rng.uniform(0.5, 0.85), rng.seed()))
    elif style < 0.6:
        scene.boulders(rng, scatter(rng, 12, start * 0.7, start * 2.4), (0.02 * start, 0.12 * start))
    if rng.bernoulli(0.35):
        for x, z in scatter(rng, rng.integer(1, 3), max(start * 0.7, 10), start * 1.2 + 12):
            scene.things.append(person(x, z, rng.seed()))


def _sea_things(rng: RandomSource, scene: Scenery, start: float) -> None:
    """Add a ship or a boat to the sea, or nothing."""
    style = rng.uniform(0, 1)
    if style < 0.3:
        z = rng.uniform(900, 3500)
        scene.things.append(ship(z * rng.uniform(-0.4, 0.4), z, rng.uniform(0.05, 0.12) * z, rng.seed()))
    elif style < 0.65:
        z = rng.uniform(4, 14) * start
        scene.things.append(boat(z * rng.uniform(-0.4, 0.4), z, rng.uniform(0.06, 0.12) * z, rng.seed(), True))


def cliffs(rng: RandomSource, light: Light) -> Scenery:
    """Compose a high coast: grass on top, rock faces, the sea far below, perhaps a lighthouse."""
    view = camera(rng, (0.32, 0.46), (34, 60), (1.0, 1.25))
    side = rng.sign()
    top = view.eye * rng.uniform(0.6, 0.86)
    cove, uneven = spot(rng), rolling(rng, 6, 160)
    bays, runs = rng.uniform(18, 45), rng.uniform(-0.02, 0.12)

    def inland(x: Values, z: Values) -> Array:
        """Return the metres from the edge of the cliff."""
        far = bays * (1 + z / 500)
        wander = sample(soft(), z / 14 + cove[0], cove[1]) + 0.25 * sample(soft(), z / 4 + cove[1], cove[0])
        return (
            side * x
            - runs * z
            + 8
            + far * wander * smoothstep(20, 200, np.asarray(z))
            + 2.5 * sample(fbm(), x / 4, z / 4)
        )

    def base(x: Array, z: Array) -> Array:
        d = inland(x, z)
        fade = 1 - 0.8 * smoothstep(1500, 6000, z)
        stacks = np.clip(sample(fbm(), x / 6 + cove[1], z / 6) - 1.7, 0, 0.8) * 60 * ((d < -8) & (d > -110))
        edge = smoothstep(-4, 12, d + 1.5 * sample(fbm(), x / 2, z / 2))
        land = (top + uneven(x, z)) * edge + 0.02 * np.maximum(d, 0)
        return np.maximum(land * fade, stacks) + np.clip(d * 0.2 + 1.0, -9, 0)

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.GRASS, np.uint8)
        steep = np.hypot(g.slope_x, g.slope_z) > 0.8 + 0.2 * mottled(g, 4.0)
        materials[steep | (g.depth < top * 0.4)] = M.CLIFF
        materials[(np.abs(inland(g.x, g.z) - 26) < 1.4) & ~steep & (g.z < 300)] = M.PATH
        materials[(g.z > 1200) & ~steep] = M.HILL
        return materials

    water = Water(SEA, (0.004, 0.04, 0.065), (0.05, 0.17, 0.17), 3.0, rng.uniform(0.5, 1.0), True)
    scene = Scenery(view, light, base, surface, water)
    if rng.bernoulli(0.55):
        for x, z in scatter(rng, 40, 150, 420, lambda x, z: 12 < float(inland(x, z)) < 70)[:1]:
            scene.things.append(lighthouse(x, z, rng.uniform(18, 30) + 0.05 * z, rng.seed()))
    if rng.bernoulli(0.4):
        z = rng.uniform(700, 2500)
        scene.things.append(ship(-side * z * rng.uniform(0.1, 0.4), z, 0.09 * z, rng.seed()))
    scene.bushes(rng, scatter(rng, 10, view.eye * 0.6, view.eye * 2), (0.6, 1.6))
    return scene
