"""Open dry land: dunes, stony desert, steppe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shanshui.landscapes.camera import Ground
from shanshui.landscapes.dice import Dice
from shanshui.landscapes.forms import camera, dunes, fit, karst, mountains, rolling, winding
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import M, Materials
from shanshui.landscapes.noise import Array, fbm, sample, smoothstep, soft
from shanshui.landscapes.scenery import Scenery, mottled, peaks_for, scatter
from shanshui.landscapes.small import fence, person


def _low_sun(dice: Dice, light: Light) -> Light:
    """Lower the sun and move it to the side in daylight, which brings out the relief of bare ground."""
    if light.name != "day":
        return light
    return replace(light, elevation=dice.between(13, 26), azimuth=dice.side() * dice.between(40, 85))


def sand_sea(dice: Dice, light: Light) -> Scenery:
    """Compose dunes with sharp crests, seen from one of them, perhaps with table mountains on the horizon."""
    view = camera(dice, (0.32, 0.5), (30, 60))
    metres = dice.between(130, 260)
    sand = dunes(dice, metres)
    tall = view.eye * dice.between(0.8, 1.3)
    mesa = karst(dice, dice.between(1500, 3000), dice.between(22, 50))
    amp = fit(view, mesa, dice.between(0.06, 0.16)) * dice.chance(0.4)

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

    scene = Scenery(view, _low_sun(dice, light), base, surface)
    if dice.chance(0.3):
        for x, z in scatter(dice, 3, view.eye * 1.6, view.eye * 3):
            scene.things.append(person(x, z, dice.seed()))
    return scene


def stony_desert(dice: Dice, light: Light) -> Scenery:
    """Compose bare earth with dry bushes and stones in front of table mountains."""
    view = camera(dice, (0.4, 0.6), (4, 16))
    mesa = karst(dice, dice.between(900, 2500), dice.between(18, 40))
    amp = fit(view, mesa, dice.between(0.1, 0.24))
    uneven = rolling(dice, 6, 160)

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

    scene = Scenery(view, _low_sun(dice, light), base, surface)
    scene.bushes(dice, scatter(dice, dice.count(10, 40), view.eye * 1.4, 200), (0.4, 1.6))
    scene.boulders(dice, scatter(dice, dice.count(6, 20), view.eye * 1.4, 160), (0.4, 2.4))
    return scene


def steppe(dice: Dice, light: Light) -> Scenery:
    """Compose a wide dry plain in front of a bare range."""
    view = camera(dice, (0.4, 0.62), (3, 12), (1.0, 1.5))
    texel = dice.between(20, 40)
    range_ = mountains(dice, dice.between(2000, 4500), texel)
    amp = fit(view, range_, dice.between(0.12, 0.28))
    uneven = rolling(dice, view.eye * 0.5, 200)
    track = winding(dice, dice.between(-2, 2), 0.12) if dice.chance(0.5) else None

    def base(x: Array, z: Array) -> Array:
        ground = uneven(x, z) * smoothstep(10, 120, z) + 0.05 * sample(fbm(), x * 2, z * 2)
        return ground + 15 * smoothstep(500, 4000, z) + amp * range_(x, z)

    dress = peaks_for(dice, amp, texel)
    cover = dice.pick((M.LAND, M.DRY_GRASS, M.LAND))

    def surface(g: Ground) -> Materials:
        materials = np.full(g.z.shape, cover, np.uint8)
        materials[mottled(g, 3.0) > 0.95] = M.EARTH
        dress.paint(materials, g, (g.z > 1800) & (g.depth > 60))
        if track is not None:
            materials[(track.distance(g.x, g.z) < 1.4) & (g.z < 900)] = M.PATH
        return materials

    scene = Scenery(view, light, base, surface)
    scene.mist = (dice.between(0, 0.5), 60)
    free = track.keeps_off(2) if track is not None else None
    eye = view.eye
    scene.bushes(dice, scatter(dice, dice.count(0, 30), eye * 2, 160, free), (0.25, 0.9))
    scene.boulders(dice, scatter(dice, dice.count(0, 10), eye * 2, 80, free), (0.2, 1.0))
    scene.trees(dice, scatter(dice, dice.count(0, 4), 40, 160, free), (5, 9), False)
    if dice.chance(0.3):
        near = eye * 2.2
        points = [(x, near + 0.05 * x) for x in np.linspace(-0.8 * near, 0.8 * near, 8).tolist()]
        scene.things.append(fence(points, 1.2, dice.seed()))
    return scene
