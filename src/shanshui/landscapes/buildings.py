"""Houses, pagodas, lighthouses, towns and bridges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shanshui.landscapes.noise import Array
from shanshui.landscapes.stamps import Patch, Site, Stamp, Thing, patch, polygon

BUILDING, BRIDGE, HOUSE = 11, 21, 27
WALLS = (
    (0.50, 0.48, 0.45),
    (0.48, 0.40, 0.29),
    (0.34, 0.30, 0.26),
    (0.34, 0.10, 0.065),
    (0.22, 0.15, 0.095),
    (0.52, 0.5, 0.46),
)
ROOFS = (
    (0.28, 0.10, 0.06),
    (0.10, 0.10, 0.105),
    (0.20, 0.115, 0.075),
    (0.16, 0.15, 0.15),
    (0.085, 0.07, 0.065),
    (0.30, 0.13, 0.07),
)


def house(x: float, z: float, size: float, seed: int) -> Thing:
    """Create a gabled house about `size` metres long, at a random angle."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 20])
        style = int(rng.integers(len(WALLS)))
        length, depth = size, size * float(rng.uniform(0.6, 0.8))
        tall, ridge = size * float(rng.uniform(0.34, 0.55)), size * float(rng.uniform(0.26, 0.42))
        turn = float(rng.uniform(-1.1, 1.1))
        base = site.foot(x, z)
        if base is None:
            return
        p = patch(site.view, x, base, z, (size, size, 0.12 * size, tall + ridge * 1.2))
        if p is None:
            return
        box = _Box(site, p, x, z, base, turn)
        wall, roof = np.array(WALLS[style]), np.array(ROOFS[style])
        low = -0.1 * size
        u, v = length / 2, depth / 2
        for a, b, gabled in (
            ((-u, -v), (u, -v), False),
            ((u, -v), (u, v), True),
            ((u, v), (-u, v), False),
            ((-u, v), (-u, -v), True),
        ):
            if not box.faces_us(a, b):
                continue
            outline = [(*a, low), (*b, low), (*b, tall), (*a, tall)]
            if gabled:
                outline.insert(3, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, tall + ridge))
            box.face(outline, wall, box.normal(a, b))
            box.windows(a, b, tall, 1 if gabled else 3, rng)
        over = 0.09 * size
        eave = tall - over * ridge / v
        sides = sorted((-1, 1), key=lambda s: -box.depth_of(0, s * v))
        for s in sides:
            corners = [
                (-u - over, s * (v + over), eave),
                (u + over, s * (v + over), eave),
                (u + over, 0, tall + ridge),
                (-u - over, 0, tall + ridge),
            ]
            box.face(corners, roof, box.roof_normal(s, v, ridge), roof=True)
        yield p.stamp(site, x, box.colour, box.alpha, HOUSE)

    return draw


class _Box:
    """Draws the faces of a rotated box into a patch.

    Plan coordinates are (u, v) in metres along and across the ridge; heights are above the box's base.
    """

    def __init__(self, site: Site, p: Patch, x: float, z: float, base: float, turn: float) -> None:
        self.site, self.p, self.x, self.z, self.base = site, p, x, z, base
        self.cos, self.sin = float(np.cos(turn)), float(np.sin(turn))
        self.colour = np.zeros((*p.shape, 3), np.float32)
        self.alpha = np.zeros(p.shape, np.float32)
        self.columns = (p.left + np.arange(p.shape[1], dtype=np.float32) + 0.5)[None, :]
        self.rows = (p.top + np.arange(p.shape[0], dtype=np.float32) + 0.5)[:, None]

    def plan(self, u: float, v: float) -> tuple[float, float]:
        """Convert plan coordinates to world coordinates (x, z)."""
        return self.x + u * self.cos - v * self.sin, self.z + u * self.sin + v * self.cos

    def depth_of(self, u: float, v: float) -> float:
        """Return the distance z of a point in plan coordinates."""
        return self.plan(u, v)[1]

    def normal(self, a: tuple[float, float], b: tuple[float, float]) -> Array:
        """Return the outward unit normal (x, h, z) of the wall from `a` to `b`, for edges counter-clockwise in plan."""
        (x0, z0), (x1, z1) = self.plan(*a), self.plan(*b)
        n = np.array([z1 - z0, 0, x0 - x1])
        return n / np.linalg.norm(n)

    def roof_normal(self, side: float, v: float, ridge: float) -> Array:
        """Return the unit normal (x, h, z) of the roof on one `side` (-1 or 1) of the ridge."""
        n = np.array([-self.sin * side * ridge, v, self.cos * side * ridge])
        return n / np.linalg.norm(n)

    def faces_us(self, a: tuple[float, float], b: tuple[float, float]) -> bool:
        """Test whether the wall from `a` to `b` faces the camera."""
        n = self.normal(a, b)
        x, z = self.plan((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        return bool(n[0] * x + n[2] * z < 0)

    def project(self, point: tuple[float, float, float]) -> tuple[float, float]:
        """Project a point (u, v, height) to (column, row) in pixels."""
        x, z = self.plan(point[0], point[1])
        z = max(z, 0.3)
        return float(self.site.view.column(x, z)), float(self.site.view.row(self.base + point[2], z))

    def face(self, corners: list[tuple[float, float, float]], albedo: Array, normal: Array, roof: bool = False) -> None:
        """Draw a polygon of (u, v, height) corners in lit `albedo`; a roof only if it faces the camera."""
        if roof:
            middle = np.mean([self.plan(c[0], c[1]) for c in corners], axis=0)
            height = self.base + np.mean([c[2] for c in corners]) - self.site.view.eye
            if normal[0] * middle[0] + normal[1] * height + normal[2] * middle[1] > 0:
                return
        inside = polygon(self.columns, self.rows, [self.project(c) for c in corners])
        grain = np.clip(1 + self.p.leaves(int(abs(normal[0]) * 99), 1.6) * np.float32(0.10 if roof else 0.05), 0.6, 1.4)
        lit = self.site.lit(albedo, max(float(normal @ self.site.light.direction), 0.0), 0.62 + 0.3 * float(normal[1]))
        self.colour = np.where(inside[..., None], lit * grain[..., None], self.colour)
        self.alpha = np.maximum(self.alpha, inside)

    def windows(
        self,
        a: tuple[float, float],
        b: tuple[float, float],
        tall: float,
        count: int,
        rng: np.random.Generator,
    ) -> None:
        """Draw `count` dark panes on a wall; some are lit at night and dusk."""
        glows = self.site.light.name in ("night", "dusk")
        for i in range(count):
            s0, s1 = (i + 0.34) / count, (i + 0.66) / count
            (u0, v0), (u1, v1) = ((a[0] + s * (b[0] - a[0]), a[1] + s * (b[1] - a[1])) for s in (s0, s1))
            bottom = 0.0 if i == count // 2 and count > 1 else 0.38 * tall
            outline = [(u0, v0, bottom), (u1, v1, bottom), (u1, v1, 0.74 * tall), (u0, v0, 0.74 * tall)]
            inside = polygon(self.columns, self.rows, [self.project(c) for c in outline])
            if glows and rng.random() < 0.7:
                pane = np.array([1.3, 0.75, 0.25], np.float32)
            else:
                pane = self.site.lit((0.05, 0.055, 0.07), 0.1, 0.9)
            self.colour = np.where(inside[..., None], pane, self.colour)


def pagoda(x: float, z: float, tall: float, seed: int) -> Thing:
    """Create a tower of tiers with curved roofs, `tall` metres high."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 21])
        foot = site.foot(x, z)
        if foot is None:
            return
        base = foot - 0.05 * tall
        tiers = int(rng.integers(3, 8))
        wide = tall * float(rng.uniform(0.14, 0.2)) * (1 + 0.5 / tiers)
        p = patch(site.view, x, base, z, (wide * 1.7, wide * 1.7, 0.05 * tall, tall * 1.02))
        if p is None:
            return
        body = np.array([0.42, 0.2, 0.13]) if rng.random() < 0.5 else np.array([0.55, 0.5, 0.42])
        step = tall * 0.88 / tiers
        tier = np.clip(np.floor(p.b / step), 0, tiers - 1)
        within = p.b / step - tier
        shrink = 1 - 0.5 * tier / tiers
        across = np.abs(p.a) / (wide * shrink)
        wall = (across < 0.72) & (within < 0.62) & (p.b < tiers * step) & (p.b > -0.04 * tall)
        roof = (
            (across < 1.25)
            & (within > 0.56 + 0.16 * across**2)
            & (within < 0.66 + (1 - 0.66) * np.clip(1.5 - 1.35 * across, 0, 1) + 0.16 * across**3)
        )
        roof &= (p.b < tiers * step) & (p.b > 0)
        spire = (np.abs(p.a) < 0.03 * wide + (tall - p.b) * 0.06) & (p.b >= tiers * step * 0.98) & (p.b < tall)
        side = np.clip(0.5 + 0.5 * p.a / wide * site.light.direction[0] - 0.35 * site.light.direction[2], 0.05, 1)
        slit = (np.abs(np.mod(across * 2.5, 1) - 0.5) < 0.16) & (within > 0.18) & (within < 0.48)
        colour = np.where(
            slit[..., None], site.lit((0.07, 0.05, 0.045), side * 0.5, 0.6), site.lit(body, side * 0.8, 0.7)
        )
        tiles = site.lit((0.10, 0.11, 0.115), np.clip(side + 0.1, 0, 1) * site.light.direction[1] + 0.05, 0.8)
        colour = np.where((roof | spire)[..., None], tiles, colour)
        yield p.stamp(site, x, colour, (wall | roof | spire).astype(np.float32), BUILDING)

    return draw


def lighthouse(x: float, z: float, tall: float, seed: int) -> Thing:
    """Create a tapered tower, white or striped, with its lantern, `tall` metres high."""

    def draw(site: Site) -> Iterator[Stamp]:
        base = site.ground(x, z) - 0.5
        p = patch(site.view, x, base, z, (0.2 * tall, 0.2 * tall, 0.05 * tall, tall))
        if p is None:
            return
        t = p.b / tall
        half = tall * (0.095 - 0.035 * t)
        shaft = (np.abs(p.a) < half) & (t < 0.82) & (t > -0.05)
        gallery = (np.abs(p.a) < tall * 0.085) & (t >= 0.80) & (t < 0.835)
        lantern = (np.abs(p.a) < tall * 0.05) & (t >= 0.835) & (t < 0.92)
        cap = (np.abs(p.a) < tall * 0.06 * np.clip((1 - t) / 0.08, 0, 1)) & (t >= 0.92)
        nx = np.clip(p.a / half, -1, 1)
        d = site.light.direction
        facing = np.clip(nx * d[0] - np.sqrt(1 - nx * nx) * d[2], 0, 1)
        red = np.array([0.5, 0.07, 0.05], np.float32)
        striped = (np.mod(np.floor(t * 5), 2) == 0)[..., None] & (seed % 2 == 0)
        albedo = np.where(striped, red, np.array([0.75, 0.74, 0.71], np.float32))
        colour = site.lit(np.broadcast_to(albedo, (*p.shape, 3)), facing, 0.75)
        glass = (
            np.array([1.6, 1.3, 0.6])
            if site.light.name in ("night", "dusk")
            else site.lit((0.14, 0.16, 0.18), 0.4, 1.0)
        )
        colour = np.where(lantern[..., None], glass, colour)
        colour = np.where(
            (gallery | cap)[..., None], site.lit(red if seed % 3 else (0.08, 0.08, 0.09), facing, 0.7), colour
        )
        yield p.stamp(site, x, colour, (shaft | gallery | lantern | cap).astype(np.float32), BUILDING)

    return draw


def town(x: float, z: float, wide: float, tall: float, seed: int) -> Thing:
    """Create a town of houses in rows along a shore, up to `tall` metres above it, with one church tower."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 22])
        base = max(site.ground(x, z), 0.0)
        unit = tall * 0.2
        d = site.light.direction
        for i in range(46):
            back = float(rng.uniform(0, 1))
            left = wide * float(np.clip(rng.normal(0, 0.42), -1, 1)) * (1 - 0.35 * back)
            spire = i == 30
            w, h = unit * float(rng.uniform(0.5, 1.0)), unit * float(rng.uniform(0.8, 1.7))
            if spire:
                left, back, w, h = 0.1 * wide, 0.4, unit * 0.4, unit * 3.4
            foot = base + back * (tall - 1.6 * unit) * float(np.exp(-((left / wide) ** 2)))
            away = z * (1 + 0.1 * back)
            p = patch(site.view, x + left, foot, away, (w, w, unit * 1.5, h + unit * (1.2 if spire else 0.45)))
            if p is None:
                continue
            pitch = unit * (1.2 if spire else 0.45) * np.clip(1 - np.abs(p.a) / w, 0, 1)
            roof = (p.b > h) & (p.b < h + pitch)
            turned = rng.random() < 0.5 and not spire  # eaves towards us: the roof is a band
            if turned:
                roof = (p.b > h) & (p.b < h + unit * 0.35) & (np.abs(p.a) < w)
            side = np.clip(0.45 - 0.5 * d[2] + 0.25 * rng.normal() * d[0], 0.06, 1)
            wall = np.array(WALLS[int(rng.integers(len(WALLS)))]) * rng.uniform(0.7, 1.1)
            colour = np.broadcast_to(site.lit(wall, float(side), 0.65), (*p.shape, 3))
            rows, columns = max(unit * 0.34, 3.0 * p.pixel), max(unit * 0.3, 3.0 * p.pixel)
            pane = (np.mod(p.b / rows, 1) > 0.5) & (np.mod(p.a / columns, 1) > 0.55)
            glows = site.light.name in ("night", "dusk") and rng.random() < 0.6
            glass = np.array([1.1, 0.65, 0.22], np.float32) if glows else site.lit((0.06, 0.06, 0.07), 0.1, 0.8)
            colour = np.where(pane[..., None], glass, colour)
            tiles = site.lit(ROOFS[0 if rng.random() < 0.7 else 5], 0.25 + 0.6 * max(float(d[1]), 0), 0.8)
            colour = np.where(roof[..., None], tiles, colour)
            yield p.stamp(site, x + left, colour, (roof | (p.b <= h)).astype(np.float32), BUILDING)

    return draw


def bridge(x: float, z: float, span: float, seed: int) -> Thing:
    """Create a stone bridge of `span` metres across the view, on one to three arches."""

    def draw(site: Site) -> Iterator[Stamp]:
        rng = np.random.default_rng([seed, 23])
        arches = int(rng.choice([1, 2, 3]))
        rise = span * float(rng.uniform(0.16, 0.24)) / arches**0.5
        p = patch(site.view, x, 0.0, z, (span * 0.62, span * 0.62, 1.0, rise * 1.6))
        if p is None:
            return
        camber = float(rng.uniform(0.1, 0.3)) * rise * np.clip(1 - (2 * p.a / span) ** 2, 0, 1)
        top = rise * 1.12 + camber
        opening = span * 0.92 / arches
        within = np.mod(p.a / opening + (0.5 if arches % 2 else 0.0), 1) - 0.5
        inside = np.abs(p.a) < span * 0.46
        hole = ((within / 0.43) ** 2 + (p.b / (rise * 0.92)) ** 2 < 1) & inside
        ring = ((within / 0.49) ** 2 + (p.b / (rise * 1.03)) ** 2 < 1) & inside & ~hole
        rail = (p.b < top + 0.11 * rise) & (p.b > top)
        alpha = ((p.b < top + 0.11 * rise) & ~hole & (p.b > -0.5)).astype(np.float32)
        d = site.light.direction
        stone = np.array([0.40, 0.36, 0.30]) * rng.uniform(0.75, 1.2)
        course = np.clip(1 + 0.16 * p.leaves(seed, 2.0), 0.5, 1.5)
        colour = site.lit(stone, np.clip(-d[2] + 0.12, 0.05, 1) * course, 0.75 * course)
        colour = np.where(ring[..., None], colour * np.float32(1.18), colour)
        colour = np.where(rail[..., None], site.lit(stone, 0.6 * d[1] + 0.2, 0.9), colour)
        yield p.stamp(site, x, colour, alpha, BRIDGE)

    return draw
