"""Forest interiors."""

from __future__ import annotations

import numpy as np

from shanshui.landscapes.camera import Ground
from shanshui.landscapes.forms import Forest, camera, rolling, spot, winding
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, sample, smoothstep
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Scenery, add_canopy, cover_forest, mottled, scatter
from shanshui.landscapes.small import fence, person


def woods(rng: RandomSource, light: Light) -> Scenery:
    """Compose a path into a forest, with trees on both sides and light between the trunks."""
    view = camera(rng, (0.5, 0.64), (1.8, 3), (0.9, 1.2))
    line = winding(rng, rng.uniform(-0.5, 0.5), 0.10)
    wide, opening = rng.uniform(0.7, 1.3), rng.uniform(2.6, 5.5)
    pointed = rng.bernoulli(0.5)
    uneven = rolling(rng, 2.5, 60)
    wall = Forest(pointed, rng.uniform(14, 20), 1.0, spot(rng), 60, 900, 120)

    def base(x: Array, z: Array) -> Array:
        ground = uneven(x, z) * smoothstep(5, 50, z) + 0.05 * sample(fbm(), x * 2, z * 2)
        return ground + 6 * smoothstep(50, 300, z)

    floor = rng.choice((M.GRASS, M.GRASS, M.EARTH))

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, floor, np.uint8)
        materials[mottled(g, 0.5) > 0.8] = M.PLANT
        cover_forest(materials, g, wall)
        edge = wide + 0.12 * mottled(g, 0.4)
        materials[(line.distance(g.x, g.z) < edge) & (g.z < 120)] = M.PATH
        return materials

    scene = Scenery(view, light, add_canopy(base, wall), surface, forest=wall)
    scene.mist = (rng.uniform(0, 1.5), 14)

    def beside(x: float, z: float) -> bool:
        return float(line.distance(x, z)) > opening + 0.05 * z

    scene.trees(rng, scatter(rng, 48, 10, 130, beside), (9, 19), pointed, 0.15)
    scene.bushes(rng, scatter(rng, 18, 4, 40, line.keeps_off(wide + 0.8)), (0.3, 1.1))
    if rng.bernoulli(0.25):
        z = rng.uniform(9, 22)
        scene.things.append(person(float(line.at(z)), z, rng.seed()))
    if rng.bernoulli(0.25):
        along = np.geomspace(4, 60, 16)
        across = line.at(along.astype(np.float32)) + rng.sign() * (wide + 0.8)
        points = list(zip(across.tolist(), along.tolist(), strict=True))
        scene.things.append(fence(points, 1.0, rng.seed()))
    return scene
