"""Boats, ships, piers, fences, walls and people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shanshui.landscapes.stamps import Patch, Site, Stamp, Thing, patch, patch_around, polygon

PERSON, BOAT, WALL, PIER, FENCE, SHIP = 14, 15, 17, 18, 25, 26
HULLS = ((0.30, 0.16, 0.08), (0.72, 0.71, 0.68), (0.45, 0.07, 0.05), (0.08, 0.13, 0.26), (0.16, 0.12, 0.09))
CLOTHES = ((0.5, 0.08, 0.06), (0.08, 0.14, 0.35), (0.6, 0.55, 0.5), (0.62, 0.45, 0.08), (0.1, 0.1, 0.11))


def boat(x: float, z: float, length: float, seed: int, sail: bool = False) -> Thing:
    """Create a boat seen from the side, `length` metres long, perhaps under sail."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 30])
        half = length / 2
        mast = length * float(rng.uniform(1.1, 1.4))
        p = patch(site.view, x, 0.0, z, (half * 1.1, half * 1.1, 0.0, mast if sail else length * 0.4))
        if p is None:
            return
        side = float(rng.choice([-1, 1]))
        t = side * p.a / half
        sheer = length * (0.09 + 0.06 * t * t + 0.03 * t) + 0.4 * p.pixel
        ends = 0.9 + 0.1 * np.clip(p.b / (0.12 * length), 0, 1)
        hull = (np.abs(t) < ends) & (p.b < sheer) & (p.b > -0.02 * length)
        paint = np.array(HULLS[int(rng.integers(len(HULLS)))])
        d = site.light.direction
        colour = site.lit(paint, np.clip(0.35 - 0.5 * d[2] + 0.2 * p.b / sheer, 0.06, 1), 0.7)
        rim = hull & (p.b > sheer * 0.78)
        colour = np.where(rim[..., None], site.lit((0.6, 0.55, 0.46), 0.5, 0.8), colour)
        alpha = hull
        if sail:
            foot = 0.16 * length
            up = (p.b - foot) / (mast - foot)
            main = (t > -0.75 * (1 - up)) & (t < -0.02) & (up > 0) & (up < 1)
            jib = (t < 0.62 * (1 - up * 1.15)) & (t > 0.03) & (up > 0) & (up < 0.86)
            pole = (np.abs(t) < 0.012 + 0.4 * p.pixel / half) & (p.b > 0) & (p.b < mast)
            cloth = site.lit((0.78, 0.76, 0.70), np.clip(0.45 - 0.4 * d[2] + 0.25 * t * d[0] * side, 0.15, 1), 0.85)
            colour = np.where((main | jib)[..., None], cloth, colour)
            colour = np.where((pole & ~main)[..., None], site.lit((0.2, 0.15, 0.1), 0.4, 0.7), colour)
            alpha = hull | main | jib | pole
        yield p.stamp(site, x, colour, alpha.astype(np.float32), BOAT)

    return draw


def ship(x: float, z: float, length: float, seed: int) -> Thing:
    """Create a freighter or ferry `length` metres long."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 31])
        half = length / 2
        p = patch(site.view, x, 0.0, z, (half, half, 0.0, length * 0.24))
        if p is None:
            return
        t = float(rng.choice([-1, 1])) * p.a / half
        hull = (p.b < length * (0.075 + 0.02 * t**2)) & (np.abs(t) < 0.9 + 0.1 * np.clip(p.b / (0.09 * length), 0, 1))
        house = (t > 0.45) & (t < 0.78) & (p.b < 0.19 * length) & ~hull
        funnel = (t > 0.58) & (t < 0.66) & (p.b < 0.235 * length)
        cargo = (t > -0.8) & (t < 0.42) & (p.b < length * (0.11 + 0.02 * np.sign(np.sin(t * 19)))) & ~hull
        lit = np.clip(0.4 - 0.45 * site.light.direction[2], 0.08, 1)
        colour = np.broadcast_to(site.lit(HULLS[int(rng.integers(2, 5))], lit, 0.7), (*p.shape, 3))
        colour = np.where(house[..., None], site.lit((0.72, 0.72, 0.7), lit, 0.8), colour)
        boxes = np.where((np.sin(t * 47) > 0)[..., None], np.array([0.4, 0.14, 0.09]), np.array([0.13, 0.24, 0.34]))
        colour = np.where(cargo[..., None], site.lit(np.broadcast_to(boxes, (*p.shape, 3)), lit, 0.7), colour)
        colour = np.where((funnel & ~house)[..., None], site.lit((0.12, 0.1, 0.1), lit, 0.7), colour)
        yield p.stamp(site, x, colour, (hull | house | funnel | cargo).astype(np.float32), SHIP)

    return draw


def person(x: float, z: float, seed: int, foot: float | None = None) -> Thing:
    """Create a standing person, on the ground or at height `foot`."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 32])
        base = site.foot(x, z) if foot is None else foot
        if base is None:
            return
        p = patch(site.view, x, base, z, (0.5, 0.5, 0.05, 1.8))
        if p is None:
            return
        head = (p.a / 0.13) ** 2 + ((p.b - 1.58) / 0.15) ** 2 < 1
        coat = (np.abs(p.a) < 0.26 - 0.06 * (p.b - 0.75)) & (p.b > 0.75) & (p.b < 1.44)
        gap = 0.05 * (p.b < 0.6)
        legs = (np.abs(p.a) < 0.17) & (np.abs(p.a) > gap) & (p.b <= 0.78) & (p.b > -0.05)
        top, trousers = (CLOTHES[int(i)] for i in rng.integers(0, len(CLOTHES), 2))
        facing = np.clip(0.4 - 0.4 * site.light.direction[2] + p.a * site.light.direction[0], 0.06, 1)
        colour = np.where(coat[..., None], site.lit(top, facing, 0.7), site.lit(np.array(trousers) * 0.6, facing, 0.6))
        colour = np.where(head[..., None], site.lit((0.34, 0.2, 0.14), facing, 0.7), colour)
        yield p.stamp(site, x, colour, (head | coat | legs).astype(np.float32), PERSON)

    return draw


def pier(x: float, near: float, far: float, wide: float, seed: int) -> Thing:
    """Create a plank walk on posts over the water, `wide` metres wide, from distance `near` to `far`."""

    def draw(site: Site) -> Iterator[Stamp]:
        deck, edges, half = 0.7, np.geomspace(near, far, 22), wide / 2
        d = site.light.direction
        for z0, z1 in zip(edges[-2::-1].tolist(), edges[:0:-1].tolist(), strict=True):
            p = patch_around(site.view, [(x, deck, z0), (x - half, -0.3, z0), (x + half, deck, z0), (x, deck, z1)])
            if p is None:
                continue
            top = quad(
                site, p, [(x - half, deck, z0), (x + half, deck, z0), (x + half, deck, z1), (x - half, deck, z1)]
            )
            flank = x - half if x > 0 else x + half  # the side that faces the middle of the view
            low = deck - 0.16
            side = quad(site, p, [(flank, deck, z0), (flank, low, z0), (flank, low, z1), (flank, deck, z1)])
            if z0 == edges[0]:
                side |= (np.abs(p.a) < half) & (p.b < 0.02) & (p.b > -0.16)
            post = (np.abs(np.abs(p.a) - half * 0.86) < 0.07 + 0.3 * p.pixel) & (p.b <= -0.1) & (p.b > -deck - 0.25)
            wood = np.array([0.34, 0.27, 0.2]) * np.random.default_rng([seed, int(z0 * 10)]).uniform(0.85, 1.1)
            board = np.clip(1 + 0.08 * p.leaves(seed, 2.5), 0.7, 1.3)
            under = site.lit(wood * 0.6, max(-0.6 * float(d[2]), 0.0), 0.5)
            colour = np.where(top[..., None], site.lit(wood, float(d[1]) * board, 0.95 * board), under)
            yield p.stamp(site, x, colour, (top | side | post).astype(np.float32), PIER)

    return draw


def quad(site: Site, p: Patch, corners: Sequence[tuple[float, float, float]]) -> NDArray[np.bool_]:
    """Return the pixels of the patch inside a quadrangle of (x, height, z) corners."""
    columns, rows = p.pixels()
    points = [(float(site.view.column(x, z)), float(site.view.row(h, z))) for x, h, z in corners]
    return polygon(columns, rows, points)


def fence(points: Sequence[tuple[float, float]], tall: float, seed: int) -> Thing:
    """Create posts at (x, z) `points`, `tall` metres high, with two rails between neighbours."""

    def draw(site: Site) -> Iterator[Stamp]:
        feet = [(x, site.ground(x, z), z) for x, z in points]
        tint = np.random.default_rng([seed, 33]).uniform(0.7, 1.25)
        d = site.light.direction
        for (x0, h0, z0), (x1, h1, z1) in pairwise(feet):
            p = patch_around(site.view, [(x0, h0, z0), (x0 - 0.1, h0 + tall, z0), (x1, h1, z1), (x1, h1 + tall, z1)])
            if p is None:
                continue
            mask = (np.abs(p.a) < 0.06 + 0.3 * p.pixel) & (p.b > -0.1) & (p.b < tall)
            pad = 0.3 * p.pixel
            for share in (0.46, 0.84):
                low, high = share * tall - 0.05 - pad, share * tall + 0.05 + pad
                mask |= quad(
                    site,
                    p,
                    [(x0, h0 + low, z0), (x0, h0 + high, z0), (x1, h1 + high, z1), (x1, h1 + low, z1)],
                )
            rough = np.clip(1 + 0.12 * p.leaves(seed, 2.6), 0.4, 1.6)
            facing = np.clip(0.3 - 0.5 * d[2] + 0.25 * d[1], 0.06, 1) * rough
            colour = site.lit(np.array([0.33, 0.27, 0.21]) * tint, facing, 0.7 * rough)
            yield p.stamp(site, x0, colour, mask.astype(np.float32), FENCE)

    return draw


def stone_wall(points: Sequence[tuple[float, float]], tall: float, seed: int) -> Thing:
    """Create a low wall of rough stones along (x, z) `points`, `tall` metres high."""

    def draw(site: Site) -> Iterator[Stamp]:
        feet = [(x, site.ground(x, z), z) for x, z in points]
        tint = np.random.default_rng([seed, 34]).uniform(0.75, 1.2)
        d = site.light.direction
        for (x0, h0, z0), (x1, h1, z1) in pairwise(feet):
            corners = [(x0, h0 - 0.3, z0), (x0, h0 + tall, z0), (x1, h1 + tall, z1), (x1, h1 - 0.3, z1)]
            p = patch_around(site.view, corners)
            if p is None:
                continue
            mask = quad(site, p, corners)
            rough = np.clip(1 + 0.3 * p.leaves(seed, 2.6), 0.35, 1.7)
            facing = np.clip(0.3 - 0.5 * d[2] + 0.25 * d[1], 0.06, 1) * rough
            colour = site.lit(np.array([0.36, 0.33, 0.29]) * tint, facing, 0.7 * rough)
            yield p.stamp(site, x0, colour, mask.astype(np.float32), WALL)

    return draw
