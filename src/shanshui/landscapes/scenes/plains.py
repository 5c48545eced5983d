"""Open dry land: dunes, stony desert, steppe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shanshui.landscapes.camera import Ground
from shanshui.landscapes.forms import camera, dunes, fit, karst, mountains, rolling, winding
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, sample, smoothstep, soft
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Scenery, mottled, peaks_for, scatter
from shanshui.landscapes.small import fence, person


def _low_sun(rng: RandomSource, light: Light) -> Light:
    """Lower the sun and move it to the side in daylight, which brings out the relief of bare ground."""
    if light.name != "day":
        return light
    return replace(light, elevation=rng.uniform(13, 26), azimuth=rng.sign() * rng.uniform(40, 85))


def sand_sea(rng: RandomSource, light: Light) -> Scenery:
    """Compose dunes with sharp crests, seen from one of them, perhaps with table mountains on the horizon."""
    view = camera(rng, (0.32, 0.5), (30, 60))
    metres = rng.uniform(130, 260)
    sand = dunes(rng, metres)
    tall = view.eye * rng.uniform(0.8, 1.3)
    mesa = karst(rng, rng.uniform(1500, 3000), rng.uniform(22, 50))
    amp = fit(view, mesa, rng.uniform(0.06, 0.16)) * rng.bernoulli(0.4)

    def base(x: Array, z: Array) -> Array:
        ripples = np.sin(z * 3 + 3 * sample(soft(), x * 2, z * 2)) * (z < 150)
        h = tall * sand(x, z) * (1 + smoothstep(500, 5000, z)) + 0.06 * ripples
        if amp:
            m = mesa(x, z)
            h = h + amp * (np.minimum(m * 1.9, 0.62) + 0.38 * m)
        return h

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.DUNE, np.uint8)
        if amp:
            steep = np.hypot(g.slope_x, g.slope_z) > 0.5
            materials[(g.z > 1400) & (g.depth > tall * 2) & (steep | (g.depth > 0.4 * amp))] = M.MESA
        return materials

    scene = Scenery(view, _low_sun(rng, light), base, surface)
    if rng.bernoulli(0.3):
        for x, z in scatter(rng, 3, view.eye * 1.6, view.eye * 3):
            scene.things.append(person(x, z, rng.seed()))
    return scene


def stony_desert(rng: RandomSource, light: Light) -> Scenery:
    """Compose bare earth with dry bushes and stones in front of table mountains."""
    view = camera(rng, (0.4, 0.6), (4, 16))
    mesa = karst(rng, rng.uniform(900, 2500), rng.uniform(18, 40))
    amp = fit(view, mesa, rng.uniform(0.1, 0.24))
    uneven = rolling(rng, 6, 160)

    def base(x: Array, z: Array) -> Array:
        m = mesa(x, z)
        ground = uneven(x, z) * smoothstep(10, 150, z) + 0.15 * sample(fbm(), x * 1.5, z * 1.5)
        return ground + amp * (np.minimum(m * 1.9, 0.62) + 0.38 * m)

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, M.EARTH, np.uint8)
        materials[(mottled(g, 5.0) > 0.6) & (g.z < 1500)] = M.LAND
        steep = np.hypot(g.slope_x, g.slope_z) > 0.35
        materials[(g.z > 850) & (g.depth > 14) & (steep | (g.depth > 0.4 * amp))] = M.MESA
        return materials

    scene = Scenery(view, _low_sun(rng, light), base, surface)
    scene.bushes(rng, scatter(rng, rng.integer(10, 40), view.eye * 1.4, 200), (0.4, 1.6))
    scene.boulders(rng, scatter(rng, rng.integer(6, 20), view.eye * 1.4, 160), (0.4, 2.4))
    return scene


def steppe(rng: RandomSource, light: Light) -> Scenery:
    """Compose a wide dry plain in front of a bare range."""
    view = camera(rng, (0.4, 0.62), (3, 12), (1.0, 1.5))
    texel = rng.uniform(20, 40)
    range_ = mountains(rng, rng.uniform(2000, 4500), texel)
    amp = fit(view, range_, rng.uniform(0.12, 0.28))
    uneven = rolling(rng, view.eye * 0.5, 200)
    track = winding(rng, rng.uniform(-2, 2), 0.12) if rng.bernoulli(0.5) else None

    def base(x: Array, z: Array) -> Array:
        ground = uneven(x, z) * smoothstep(10, 120, z) + 0.05 * sample(fbm(), x * 2, z * 2)
        return ground + 15 * smoothstep(500, 4000, z) + amp * range_(x, z)

    dress = peaks_for(rng, amp, texel)
    cover = rng.choice((M.LAND, M.DRY_GRASS, M.LAND))

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, cover, np.uint8)
        materials[mottled(g, 3.0) > 0.95] = M.EARTH
        dress.paint(materials, g, (g.z > 1800) & (g.depth > 60))
        if track is not None:
            materials[(track.distance(g.x, g.z) < 1.4) & (g.z < 900)] = M.PATH
        return materials

    scene = Scenery(view, light, base, surface)
    scene.mist = (rng.uniform(0, 0.5), 60)
    free = track.keeps_off(2) if track is not None else None
    eye = view.eye
    scene.bushes(rng, scatter(rng, rng.integer(0, 30), eye * 2, 160, free), (0.25, 0.9))
    scene.boulders(rng, scatter(rng, rng.integer(0, 10), eye * 2, 80, free), (0.2, 1.0))
    scene.trees(rng, scatter(rng, rng.integer(0, 4), 40, 160, free), (5, 9), False)
    if rng.bernoulli(0.3):
        near = eye * 2.2
        points = [(x, near + 0.05 * x) for x in np.linspace(-0.8 * near, 0.8 * near, 8).tolist()]
        scene.things.append(fence(points, 1.2, rng.seed()))
    return scene
