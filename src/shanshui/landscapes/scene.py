"""Draw a landscape from a seed: choose scene and light, render at twice the size, reduce to image and label map."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shanshui.errors import ShanshuiError
from shanshui.landscapes.camera import Ground, Slices, View, cut, trace
from shanshui.landscapes.light import Light, choose_light, to_display
from shanshui.landscapes.materials import LABELS, season
from shanshui.landscapes.noise import Array
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scenery import Scenery
from shanshui.landscapes.scenes import PURE, SCENES
from shanshui.landscapes.shading import fog, shade
from shanshui.landscapes.sky import paint_sky
from shanshui.landscapes.stamps import Canvas, Site, Stamp, cast_shadows
from shanshui.landscapes.water import mirror, shade_water
from shanshui.storage.size import Size

SKY = 1
OVERSAMPLING, SMALLEST = 2, 16


def draw_landscape(seed: int, size: Size, scene: str | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one landscape: the same seed gives the same bytes, and at every size the same scene.

    Args:
        seed: 0 or more.
        size: of the images; 4:3 suits the compositions best.
        scene: a name of `SCENES` or `PURE`; None lets the seed choose.

    Returns:
        The photograph, uint8 (H, W, 3) sRGB, and its label map, uint8 (H, W) class ids.

    Raises:
        ShanshuiError: unknown scene, negative seed or a side below 16 pixels.
    """
    known = {**PURE, **{name: builder for name, (builder, _) in SCENES.items()}}
    if scene is not None and scene not in known:
        raise ShanshuiError(f"unknown scene {scene!r}", "one of " + ", ".join(known), "correct the name")
    if seed < 0 or min(size) < SMALLEST:
        raise ShanshuiError(
            f"cannot draw a landscape of {size} pixels with seed {seed}",
            f"sides of at least {SMALLEST} pixels and a seed of 0 or more",
            "change the size or the seed",
        )
    rng = RandomSource(seed, 1)
    light = choose_light(rng)
    name = rng.choice(list(SCENES), [share for _, share in SCENES.values()])
    scenery = known[scene or name](rng, light)
    scenery.view = replace(scenery.view, width=size.width * OVERSAMPLING, height=size.height * OVERSAMPLING)
    colour, label = paint(scenery, seed, season(RandomSource(seed, 2)))
    return develop(colour, scenery.light.exposure, seed), majority(label)


def paint(scenery: Scenery, seed: int, albedo: tuple[Array, Array]) -> tuple[Array, NDArray[np.uint8]]:
    """Render linear colour (H, W, 3) and class ids (H, W) at the size of the view."""
    view, light = scenery.view, scenery.light
    extra = 0 if scenery.water is None else max(0, math.ceil((1 - 2 * view.horizon) * view.height))
    sky = paint_sky(view, light, seed, extra)
    slices = cut(view, scenery.height)
    ground = trace(view, slices, scenery.water is not None)
    materials = scenery.surface(ground)
    land = shade(scenery, ground, materials, albedo, seed)
    site = Site(view, light, slices, albedo, scenery.water is not None)
    cast_shadows(land, ground, site, scenery.shadows)
    colour, label, z = _blank(view, sky[extra:])
    lower = slice(ground.top, view.height)
    colour[lower] = np.where(ground.hit[..., None], land, colour[lower])
    label[lower] = np.where(ground.hit, LABELS[materials], label[lower])
    z[lower] = np.where(ground.hit, ground.z, z[lower])
    stamps = sorted((s for thing in scenery.things for s in thing(site)), key=lambda s: -s.z)
    canvas = Canvas(colour, z, label)
    if scenery.water is not None:
        _add_water(scenery, slices, ground, canvas, stamps, sky, seed)
    if scenery.spray is not None:
        _add_spray(view, light, canvas, scenery.spray)
    for stamp in stamps:
        canvas.put(stamp)
    return canvas.colour, canvas.label


def _blank(view: View, sky: Array) -> tuple[Array, NDArray[np.uint8], Array]:
    """Return the sky's colour, class ids of sky (H, W), and infinite distances (H, W)."""
    shape = (view.height, view.width)
    return sky.copy(), np.full(shape, SKY, np.uint8), np.full(shape, np.inf, np.float32)


def _add_water(
    scenery: Scenery, slices: Slices, ground: Ground, canvas: Canvas, stamps: list[Stamp], sky: Array, seed: int
) -> None:
    """Cover everything below height 0 with water that mirrors the rest."""
    view, light, water = scenery.view, scenery.light, scenery.water
    wet = ground.hit & (ground.depth < 0)
    touched = np.flatnonzero(wet.any(axis=1))
    if water is None or touched.size == 0:
        return
    first, last = int(touched[0]) + ground.top, int(touched[-1]) + 1 + ground.top
    part = ground.rows(first, last)
    seen = mirror(view, slices, part, canvas.colour, sky, sky.shape[0] - view.height)
    for stamp in stamps:
        seen.put_mirrored(stamp)
    surface = shade_water(view, light, part, seen.colour, water, seed)
    surface = fog(view, light, surface, part.z * np.float32(0.35), part.h, (0.0, 1.0))
    shows = wet[first - ground.top : last - ground.top]
    canvas.colour[first:last] = np.where(shows[..., None], surface, canvas.colour[first:last])
    canvas.label[first:last][shows] = water.label


def _add_spray(view: View, light: Light, canvas: Canvas, spray: tuple[float, float, float, float]) -> None:
    """Add a bright cloud of drops (x, height, z, radius) in front of what lies behind it."""
    x, h, z, radius = spray
    a = (view.across * z - x)[None, :] / radius
    b = (view.eye + view.up * z - h)[:, None] / (1.3 * radius)
    cloud = np.exp(-(a * a) - b * b).astype(np.float32) * np.float32(0.75) * (canvas.z > z * 0.8)
    white = 0.75 * np.array(light.ambient, np.float32) + 0.22 * np.array(light.sun, np.float32)
    canvas.colour += (white - canvas.colour) * cloud[..., None]


def develop(colour: Array, exposure: float, seed: int) -> NDArray[np.uint8]:
    """Average the oversampled light, map it to uint8 (H, W, 3), and add grain that prevents banding in skies."""
    n = OVERSAMPLING
    small: Array = np.mean([colour[i::n, j::n] for i in range(n) for j in range(n)], axis=0, dtype=np.float32)
    bright = float(np.exp(np.log(small.mean(-1) + 1e-3).mean()))
    exposure *= float(np.clip((0.27 / bright) ** 0.4, 0.65, 1.4))  # half-way to a camera's automatic
    shown: Array = to_display(small, exposure) * 255
    shown += np.random.default_rng([seed, 3]).normal(0, 0.9, shown.shape[:2]).astype(np.float32)[..., None]
    return np.clip(shown + np.float32(0.5), 0, 255).astype(np.uint8)


def majority(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the most frequent id of every 2 x 2 block; on a tie the first."""
    a, b, c, d = label[::2, ::2], label[::2, 1::2], label[1::2, ::2], label[1::2, 1::2]
    first = (a == b) | (a == c) | (a == d)
    return np.where(first, a, np.where((b == c) | (b == d), b, np.where(c == d, c, a)))
