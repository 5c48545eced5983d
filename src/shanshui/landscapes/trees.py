"""Single trees, bushes, reeds and boulders in the fore- and middle ground."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shanshui.landscapes.materials import M
from shanshui.landscapes.noise import Array, fbm, grain, sample, streaks
from shanshui.landscapes.stamps import Patch, Site, Stamp, Thing, patch

TREE, PLANT, ROCK = 5, 13, 4


def _crown(site: Site, p: Patch, blobs: Array, albedo: tuple[Array, Array], seed: int) -> tuple[Array, Array]:
    """Compute colour and opacity of a heap of leafy spheres; `blobs` (n, 3) are x, height and radius in metres."""
    size = np.float32(blobs[:, 2].mean())
    tuft = sample(grain(), p.a / size * 3.2 + seed % 400, p.b / size * 3.2 + seed % 77)
    spray = p.leaves(seed, 2.4)
    dx = (p.a - blobs[:, :1]) / blobs[:, 2:]  # (n, w)
    dy = (p.b[:, 0] - blobs[:, 1:2]) / blobs[:, 2:]  # (n, h)
    d = (dx * dx)[:, None, :] + (dy * dy)[:, :, None]
    ball = d.argmin(axis=0)
    best = d.min(axis=0)
    nx, ny = dx[ball, np.arange(p.shape[1])], dy[ball, np.arange(p.shape[0])[:, None]]
    if size > 16 * p.pixel:
        spray = np.float32(0.7) * spray + np.float32(0.7) * p.leaves(seed + 5, 6.0)
    best += tuft * np.float32(0.26) + spray * np.float32(0.22)
    alpha = np.clip((np.float32(1.0) - best) * 3 + np.float32(0.5), 0, 1)
    nx, ny = np.clip(nx + np.float32(0.34) * tuft, -1, 1), np.clip(ny - np.float32(0.34) * spray, -1, 1)
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.05, 1))
    s = site.light.direction
    facing = np.clip(nx * s[0] + ny * s[1] - nz * s[2], 0, 1) + np.float32(0.24) * max(float(s[2]), 0.0)
    low, high = blobs[:, 1].min(), blobs[:, 1].max() + size
    inside = np.clip((p.b - low) / (high - low + 1e-3), 0, 1) * np.float32(0.5) + np.float32(0.5)
    tone = np.clip(np.float32(0.38) + np.float32(0.3) * ny + np.float32(0.2) * spray + np.float32(0.12) * tuft, 0, 1)
    leafy = albedo[0] + (albedo[1] - albedo[0]) * tone[..., None]
    return site.lit(leafy, facing * inside, np.clip(0.6 + 0.3 * ny + 0.12 * spray, 0.2, 1) * inside), alpha


def broadleaf(x: float, z: float, tall: float, seed: int) -> Thing:
    """Create a leafy tree `tall` metres high: spreading, round or slender."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 3])
        base = site.foot(x, z)
        if base is None:
            return
        habit = float(rng.choice([0.20, 0.36, 0.44, 0.52], p=[0.12, 0.3, 0.33, 0.25]))
        wide = habit * float(rng.uniform(0.9, 1.1)) * tall
        clear = float(rng.uniform(0.10, 0.24)) * tall  # bare stem
        p = patch(site.view, x, base, z, (wide * 1.25, wide * 1.25, 0.02 * tall, tall * 1.08))
        if p is None:
            return
        n = 12
        angle, out = rng.uniform(0, 6.28, n), np.sqrt(rng.uniform(0.0, 1, n))
        radius = rng.uniform(0.30, 0.52, n) * min(wide, 0.4 * tall)
        middle, half = (tall + clear) / 2, (tall - clear) / 2
        blobs = np.stack(
            [
                np.cos(angle) * out * (wide - 0.6 * radius),
                middle + np.sin(angle) * out * (half - 0.8 * radius),
                radius,
            ],
            1,
        ).astype(np.float32)
        blobs[0] = (0, middle, min(wide, half) * 0.75)
        tint = np.exp(rng.normal(0, 0.13, 3) * np.array([1, 0.6, 0.6])) * rng.uniform(0.8, 1.2)
        albedo = (
            (site.albedo[0][M.BROADLEAF] * tint).astype(np.float32),
            (site.albedo[1][M.BROADLEAF] * tint).astype(np.float32),
        )
        colour, alpha = _crown(site, p, blobs, albedo, seed)
        trunk = 0.016 * tall * (1.5 - p.b / tall) + np.float32(0.35 * p.pixel)
        lean = np.float32(rng.normal(0, 0.03)) * p.b
        bark = (np.abs(p.a - lean) < trunk) & (p.b < 0.5 * tall) & (p.b > -0.02 * tall)
        side = np.clip(0.35 + (p.a - lean) / trunk * site.light.direction[0], 0.05, 1)
        brown = site.lit((0.13, 0.10, 0.075), side * 0.6, 0.5)
        colour = np.where(bark[..., None], brown + (colour - brown) * alpha[..., None], colour)
        yield p.stamp(site, x, colour, np.maximum(alpha, bark), TREE)

    return draw


def conifer(x: float, z: float, tall: float, seed: int) -> Thing:
    """Create a pointed tree with drooping tiers, `tall` metres high."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 4])
        base = site.foot(x, z)
        if base is None:
            return
        wide = float(rng.uniform(0.15, 0.23)) * tall
        p = patch(site.view, x, base, z, (wide * 1.2, wide * 1.2, 0.02 * tall, tall))
        if p is None:
            return
        t = p.b / np.float32(tall)
        tiers, clear = (
            float(rng.uniform(7, 12)),
            float(rng.uniform(0.03, 0.12)) + 0.03 * p.leaves(seed + 1, 3.0),
        )
        noise = p.leaves(seed, 2.0)
        if wide > 24 * p.pixel:
            noise = np.float32(0.7) * (noise + p.leaves(seed + 2, 6.0))
        droop = (
            (t + np.float32(0.10) * np.abs(p.a) / wide) * tiers
            + noise * np.float32(0.16)
            + np.float32(rng.uniform(0, 1))
        )
        saw = 1 - (droop - np.floor(droop))
        half = wide * np.clip(1.02 - t, 0, 1) ** np.float32(0.9) * (np.float32(0.62) + np.float32(0.38) * saw)
        half = half * (1 + np.float32(0.22) * noise) + np.float32(0.3 * p.pixel)
        alpha = np.clip((half - np.abs(p.a)) / p.pixel * np.float32(0.7), 0, 1) * (t > clear) * (t < 1)
        d = site.light.direction
        nx = np.clip(p.a / (half + 1e-3), -1, 1)
        facing = np.clip(nx * d[0] + 0.4 * d[1] - np.sqrt(1 - nx * nx) * d[2], 0, 1) * (0.35 + 0.65 * saw)
        facing = facing * np.clip(1 + noise * np.float32(0.4), 0.1, 2)
        tint = rng.uniform(0.75, 1.3)
        tone = np.clip(0.25 + 0.45 * saw + 0.2 * noise, 0, 1)[..., None]
        albedo = (site.albedo[0][M.CONIFER] * (1 - tone) + site.albedo[1][M.CONIFER] * tone) * np.float32(tint)
        colour = site.lit(albedo, facing, 0.5 + 0.4 * saw)
        trunk = (np.abs(p.a) < 0.018 * tall + 0.4 * p.pixel) & (t <= 0.16) & (t > -0.02)
        colour = np.where(trunk[..., None] & (alpha[..., None] < 0.5), site.lit((0.12, 0.09, 0.07), 0.3, 0.6), colour)
        yield p.stamp(site, x, colour, np.maximum(alpha, trunk), TREE)

    return draw


def palm(x: float, z: float, tall: float, seed: int) -> Thing:
    """Create a leaning palm, `tall` metres high."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 5])
        base = site.foot(x, z)
        if base is None:
            return
        p = patch(site.view, x, base, z, (tall * 0.75, tall * 0.75, 0.03 * tall, tall * 1.25))
        if p is None:
            return
        bend = float(rng.normal(0, 0.22))
        t = p.b / np.float32(tall)
        middle = bend * tall * t * t
        trunk = (np.abs(p.a - middle) < 0.02 * tall * (1.3 - 0.6 * t) + 0.4 * p.pixel) & (t < 1) & (t > -0.03)
        ox, oy = p.a - np.float32(bend * tall), p.b - np.float32(tall)
        fronds = np.zeros(p.shape, bool)
        upper = np.zeros(p.shape, np.float32)
        for _ in range(13):
            side, reach = float(rng.choice([-1, 1])), float(rng.uniform(0.12, 0.5)) * tall
            along = side * ox / reach
            spine = tall * (float(rng.uniform(0.02, 0.24)) * along - float(rng.uniform(0.15, 0.34)) * along * along)
            thick = 0.045 * tall * np.sqrt(np.clip(1 - along, 0, 1)) + 0.3 * p.pixel
            leaf = (along > -0.05) & (along < 1) & (np.abs(oy - spine) < thick)
            fronds |= leaf
            upper = np.where(leaf, np.clip((oy - spine) / thick, -1, 1), upper)
        d = site.light.direction
        facing = np.clip(0.35 + 0.45 * upper * d[1] - 0.3 * d[2], 0.05, 1) * np.clip(1 + 0.4 * p.leaves(seed), 0.2, 2)
        green = site.lit((0.075, 0.13, 0.03), facing, 0.7)
        round_ = np.clip(0.4 + 0.45 * (p.a - middle) / (0.026 * tall) * np.sign(d[0]) - 0.25 * d[2], 0.05, 1)
        rings = 0.85 + 0.15 * np.sin(t * 90)
        bark = site.lit((0.21, 0.165, 0.12), round_ * rings, 0.6 * rings)
        yield p.stamp(site, x, np.where(fronds[..., None], green, bark), (fronds | trunk).astype(np.float32), TREE)

    return draw


def bush(x: float, z: float, tall: float, seed: int, flowers: tuple[float, float, float] | None = None) -> Thing:
    """Create a low leafy plant, wider than high, perhaps in flower."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 6])
        base = site.foot(x, z)
        if base is None:
            return
        wide = tall * float(rng.uniform(0.8, 1.5))
        p = patch(site.view, x, base, z, (wide * 1.3, wide * 1.3, 0.1 * tall, tall * 1.2))
        if p is None:
            return
        n = 7
        blobs = np.stack(
            [
                rng.uniform(-0.75, 0.75, n) * wide,
                tall * rng.uniform(0.15, 0.6, n),
                rng.uniform(0.3, 0.5, n) * tall,
            ],
            1,
        ).astype(np.float32)
        tint = np.exp(rng.normal(0, 0.12, 3))
        albedo = tuple((t[M.PLANT] * tint).astype(np.float32) for t in site.albedo)
        colour, alpha = _crown(site, p, blobs, albedo, seed)
        if flowers is not None:
            dots = (p.leaves(seed + 11, 1.5) > 1.25)[..., None]
            colour = np.where(dots, site.lit(flowers, 0.45 * max(site.light.direction[1], 0.2), 0.8), colour)
        yield p.stamp(site, x, colour, alpha, PLANT)

    return draw


def reeds(x: float, z: float, wide: float, tall: float, seed: int) -> Thing:
    """Create a stand of upright blades at the water's edge."""

    def draw(site: Site) -> Iterator[Stamp]:
        base = max(site.ground(x, z), -0.3)
        p = patch(site.view, x, base, z, (wide, wide, 0.1 * tall, tall * 1.1))
        if p is None:
            return
        scale = np.float32(2.0 ** np.round(np.log2(1 / (p.pixel * 1.3))))
        blade = sample(streaks(), p.a * scale + seed % 500, p.b * scale * np.float32(0.25))
        top = tall * np.clip(1 - (p.a / wide) ** 2, 0, 1) * (np.float32(0.62) + np.float32(0.22) * blade)
        alpha = np.clip((top - p.b) / p.pixel * np.float32(0.6), 0, 1)
        tone = np.clip(0.4 + 0.28 * blade + 0.4 * p.b / tall, 0, 1)[..., None]
        albedo = site.albedo[0][M.PLANT] * (1 - tone) + (site.albedo[1][M.PLANT] * 0.8 + 0.05) * tone
        facing = np.clip(0.5 - 0.35 * site.light.direction[2] + 0.2 * blade, 0.05, 1)
        yield p.stamp(site, x, site.lit(albedo, facing, 0.45 + 0.5 * p.b / tall), alpha, PLANT)

    return draw


def boulder(x: float, z: float, tall: float, seed: int) -> Thing:
    """Create a faceted rock, half sunk into the ground or the water."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 7])
        base = max(site.ground(x, z), -0.1 * tall)
        wide = tall * float(rng.uniform(0.8, 1.7))
        p = patch(site.view, x, base, z, (wide * 1.15, wide * 1.15, 0.2 * tall, tall * 1.15))
        if p is None:
            return
        rough = sample(fbm(), p.a / tall * 11 + seed % 480, p.b / tall * 11)
        dx, dy = p.a / wide, p.b / tall
        n = rng.normal(0, 1, (9, 3)) * (1, 0.9, 0.6)  # normals of the planes that cut the rock: the front one shows
        n[:, 1], n[:, 2] = np.abs(n[:, 1]) * 0.9, np.abs(n[:, 2]) + 0.25
        n = (n / np.linalg.norm(n, axis=1, keepdims=True)).astype(np.float32)
        reach = rng.uniform(0.68, 0.95, 9).astype(np.float32)
        across = (reach[:, None] - n[:, :1] * dx) / n[:, 2:]  # (9, w)
        upwards = n[:, 1:2] * dy[:, 0] / n[:, 2:]  # (9, h)
        planes = across[:, None, :] - upwards[:, :, None]
        front = planes.argmin(axis=0)
        nearest = planes.min(axis=0) + np.float32(0.06) * rough
        s = site.light.direction
        facing = np.maximum(n[:, 0] * s[0] + n[:, 1] * s[1] - n[:, 2] * s[2], 0)[front]
        up = n[:, 1][front]
        outline = np.abs(dx) ** 2.2 + np.abs(dy) ** 2.2 + rough * np.float32(0.08)
        sharp = max(7.0, 0.3 * tall / p.pixel)
        alpha = np.clip(np.minimum(nearest * 4 + 1, (1.02 - outline) * sharp), 0, 1) * (p.b > -0.16 * tall)
        tone = np.clip(0.42 + 0.2 * rough + 0.18 * p.leaves(seed), 0, 1)[..., None]
        albedo = site.albedo[0][M.ROCK] * (1 - tone) + site.albedo[1][M.ROCK] * tone
        albedo = albedo * np.clip(0.55 + 2.2 * (dy + 0.05), 0.4, 1)[..., None]  # damp and shaded at the foot
        yield p.stamp(site, x, site.lit(albedo, facing, 0.45 + 0.5 * up), alpha, ROCK)

    return draw
