"""Shading of the ground, and aerial perspective."""

from __future__ import annotations

import numpy as np

from shanshui.landscapes.camera import Ground, View
from shanshui.landscapes.forms import Forest
from shanshui.landscapes.light import Light
from shanshui.landscapes.materials import GRAIN, LAYERED, PATCH, RELIEF, M, Materials
from shanshui.landscapes.noise import Array, fbm, grain, sample, streaks
from shanshui.landscapes.scenery import Scenery
from shanshui.landscapes.sky import gradient


def texture(view: View, ground: Ground) -> tuple[Array, Array]:
    """Return grain of constant fineness in the image, fixed to the ground, and its sideways relief, both (H, W).

    The octave follows the distance; in grazing views the texture is compressed by at most 4, as for upright blades.
    """
    metres = ground.z / np.float32(view.focal * view.height)  # one pixel
    level = np.log2(metres * np.float32(1.6))
    low = np.floor(level)
    blend = level - low
    reach = np.float32(4 * max(view.eye, 2.0))
    deep = np.where(ground.z < reach, ground.z, reach * (1 + np.log(np.maximum(ground.z / reach, 1))))
    size = np.exp2(-low)
    u, v = ground.x + ground.h * np.float32(0.35), deep + ground.h
    coarse = sample(grain(), u * (size * np.float32(0.5)), v * (size * np.float32(0.5)))
    fine = sample(grain(), u * size, v * size)
    mixed = fine + blend * (coarse - fine)
    relief = np.zeros_like(mixed)
    relief[1:, 1:] = mixed[1:, 1:] - mixed[:-1, :-1]
    return mixed, relief


def fog(view: View, light: Light, colour: Array, z: Array, h: Array, mist: tuple[float, float]) -> Array:
    """Apply aerial perspective: far points fade to the horizon's colour, blue first.

    Args:
        view: the camera.
        light: its `reach` is the distance in metres over which haze takes 1 - 1/e of the light.
        colour: linear, (H, W, 3).
        z: distance in metres.
        h: height in metres.
        mist: (thickness, metres of height over which it thins out).
    """
    thick = z / np.float32(light.reach)
    if mist[0]:
        low = np.exp(-np.maximum(h, 0) / np.float32(mist[1]))
        thick = thick + np.float32(mist[0]) * low * np.clip((z - 2 * mist[1]) / np.float32(60 * mist[1]), 0, 2)
    haze = gradient(light, np.float32(0.012), view.across[None, :])
    through = np.exp(-thick[..., None] * np.array([0.75, 1.0, 1.3], np.float32))
    return haze + (colour - haze) * through


def shade(scenery: Scenery, ground: Ground, materials: Materials, albedo: tuple[Array, Array], seed: int) -> Array:
    """Compute the ground's linear colour, (H, W, 3): albedo, sun with relief and cloud shadows, sky light, haze."""
    view, light = scenery.view, scenery.light
    fine, relief = texture(view, ground)
    kind = materials.astype(np.intp)
    scale = (18 / PATCH).take(kind)
    u, v = ground.x + ground.h * np.float32(0.3), ground.z + ground.h * LAYERED.take(kind)
    tone = sample(fbm(), u * scale + np.float32(seed % 997), v * scale)
    weight = np.clip(np.float32(0.5) + tone * np.float32(0.3) + fine * np.float32(0.08), 0, 1)[..., None]
    _add_threads(ground, materials, fine, relief)
    colour = albedo[0].take(kind, axis=0)
    colour += (albedo[1] - albedo[0]).take(kind, axis=0) * weight
    colour *= np.exp(fine * (GRAIN * np.float32(0.75)).take(kind))[..., None]
    steep = 1 / np.sqrt(1 + ground.slope_x**2 + ground.slope_z**2)
    d = light.direction
    facing = (d[1] - ground.slope_x * d[0] - ground.slope_z * d[2]) * steep
    facing = np.maximum(facing + relief * (RELIEF * np.float32(0.22)).take(kind), 0)
    if light.clouds in ("cumulus", "bands"):
        shadow = sample(fbm(), ground.x / 90 + np.float32(seed % 503), ground.z / 90)
        facing *= 1 - np.float32(0.62) * np.clip(shadow * np.float32(1.3) - np.float32(0.35), 0, 1)
    sky_open = np.float32(0.72) + np.float32(0.28) * steep
    if scenery.forest is not None:
        gap = _between_crowns(view, ground, materials, scenery.forest)
        facing, sky_open = facing * gap, sky_open * gap
    colour *= facing[..., None] * np.array(light.sun, np.float32) + sky_open[..., None] * np.array(
        light.ambient, np.float32
    )
    return fog(view, light, colour, ground.z, ground.h, scenery.mist)


def _add_threads(ground: Ground, materials: Materials, fine: Array, relief: Array) -> None:
    """Draw falling water in threads and crack rock faces from top to bottom."""
    for material, across, down, strength in (
        (M.FALL, 7.0, 0.8, 4.0),
        (M.CLIFF, 1.4, 0.3, 0.9),
        (M.MESA, 0.09, 0.02, 0.9),
    ):
        where = materials == material
        if where.any():
            x, z, h = (a[where] for a in (ground.x, ground.z, ground.h))
            thread = sample(streaks(), (x + np.float32(0.8) * z) * np.float32(across), h * np.float32(down))
            fine[where] = thread * np.float32(strength) + (0 if material == M.FALL else fine[where])
            if material == M.FALL:
                relief[where] = np.float32(0.5)
            else:
                relief[where] += thread * np.float32(0.7)


def _between_crowns(view: View, ground: Ground, materials: Materials, forest: Forest) -> Array:
    """Return the share of light that reaches into a canopy: less between the crowns, 1 elsewhere and far away."""
    wooded = (materials == M.CONIFER) | (materials == M.BROADLEAF)
    gap = np.ones(ground.z.shape, np.float32)
    z = ground.z[wooded]
    seen = np.clip(np.float32(forest.spacing * view.focal * view.height / 5) / z, 0, 1)  # crowns of 5 pixels and more
    depth = np.float32(0.25) + np.float32(1.1) * forest.crown(ground.x[wooded], z)
    gap[wooded] = np.float32(0.85) + (depth - np.float32(0.85)) * seen
    return gap
