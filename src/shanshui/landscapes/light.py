"""Light by time of day, which couples the colours of sky, clouds, haze and everything lit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from shanshui.landscapes.noise import Array
from shanshui.landscapes.random_source import RandomSource

CLOUDS = ("clear", "cumulus", "cirrus", "bands")
Colour = tuple[float, float, float]  # linear light, 1 = white paper in the sun


@dataclass(frozen=True)
class Light:
    """Directions in degrees (azimuth 0 is straight ahead, positive to the right) and colours in linear light."""

    name: str
    azimuth: float
    elevation: float
    sun: Colour  # on a surface that faces the sun
    ambient: Colour  # from the whole sky
    zenith: Colour
    middle: Colour
    horizon: Colour
    glow: Colour  # around the sun
    cloud_lit: Colour
    cloud_dark: Colour
    clouds: str  # clear, cumulus, cirrus, bands, overcast
    cover: float  # 0..1
    reach: float  # metres after which haze has taken 1 - 1/e of a view
    stars: bool = False
    exposure: float = 1.0

    @cached_property
    def direction(self) -> Array:
        """Unit vector (x, h, z) towards the sun or moon."""
        a, e = np.radians(self.azimuth), np.radians(self.elevation)
        return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], np.float32)


_DAY = Light(
    "day", 120, 40, (2.35, 2.18, 1.92), (0.42, 0.52, 0.68), (0.085, 0.22, 0.56), (0.22, 0.42, 0.76),
    (0.62, 0.74, 0.86), (0.5, 0.48, 0.42), (1.25, 1.23, 1.2), (0.52, 0.58, 0.68), "cumulus", 0.45, 19000,
)  # fmt: skip
_GOLDEN = Light(
    "golden", 30, 9, (2.6, 1.55, 0.72), (0.36, 0.38, 0.46), (0.13, 0.24, 0.48), (0.46, 0.48, 0.52),
    (1.0, 0.72, 0.42), (1.5, 0.8, 0.3), (1.35, 0.95, 0.6), (0.45, 0.38, 0.42), "cirrus", 0.5, 12000,
)  # fmt: skip
_DAWN = Light(
    "dawn", -20, 5, (1.5, 0.9, 0.62), (0.36, 0.36, 0.48), (0.2, 0.27, 0.5), (0.58, 0.5, 0.62),
    (1.0, 0.72, 0.6), (1.2, 0.62, 0.42), (1.1, 0.72, 0.66), (0.42, 0.38, 0.5), "bands", 0.45, 9000,
)  # fmt: skip
_DUSK = Light(
    "dusk", 15, 2, (1.0, 0.42, 0.18), (0.2, 0.2, 0.32), (0.07, 0.1, 0.27), (0.36, 0.22, 0.34),
    (1.1, 0.46, 0.16), (1.5, 0.5, 0.12), (1.25, 0.5, 0.28), (0.2, 0.14, 0.24), "bands", 0.6, 9000,
)  # fmt: skip
_OVERCAST = Light(
    "overcast", 60, 50, (0.35, 0.35, 0.35), (0.72, 0.76, 0.8), (0.5, 0.54, 0.6), (0.6, 0.64, 0.68),
    (0.76, 0.79, 0.82), (0.05, 0.05, 0.05), (0.86, 0.88, 0.9), (0.4, 0.44, 0.5), "overcast", 1.0, 8000,
)  # fmt: skip
_NIGHT = Light(
    "night", 20, 16, (0.26, 0.30, 0.40), (0.06, 0.08, 0.14), (0.014, 0.024, 0.062), (0.03, 0.05, 0.105),
    (0.09, 0.125, 0.2), (0.1, 0.12, 0.16), (0.16, 0.18, 0.24), (0.03, 0.04, 0.07), "cirrus", 0.35, 12000,
    stars=True, exposure=1.3,
)  # fmt: skip

# Daylight is the majority, so that a small network sees enough of each.
_SHARES = ((_DAY, 0.6), (_GOLDEN, 0.13), (_DAWN, 0.07), (_DUSK, 0.07), (_OVERCAST, 0.1), (_NIGHT, 0.03))


def choose_light(rng: RandomSource) -> Light:
    """Draw a time of day with its position of the sun, clouds and visibility."""
    base = rng.choice([light for light, _ in _SHARES], [share for _, share in _SHARES])
    tint = rng.generator.normal(0, 0.03, 3)
    azimuth, elevation, clouds, cover = base.azimuth, base.elevation, base.clouds, base.cover
    if base.name == "day":
        azimuth = rng.sign() * rng.uniform(45, 160)
        elevation = rng.uniform(24, 58)
        clouds = rng.choice(CLOUDS, (0.14, 0.5, 0.22, 0.14))
        cover = rng.uniform(0.25, 0.68)
    elif base.name == "golden":
        azimuth = rng.sign() * (rng.uniform(3, 24) if rng.bernoulli(0.5) else rng.uniform(50, 140))
        elevation = rng.uniform(5, 13)
        clouds = rng.choice(CLOUDS)
        cover = rng.uniform(0.25, 0.6)
    elif base.name in ("dawn", "dusk", "night"):
        azimuth = rng.uniform(-24, 24)
        elevation *= rng.uniform(0.7, 1.5)
        clouds = rng.choice(CLOUDS, (0.15, 0.1, 0.3, 0.45))
        cover = rng.uniform(0.3, 0.65)
    warm = np.array([1 + tint[0], 1.0, 1 - tint[0]])
    return replace(
        base, azimuth=azimuth, elevation=elevation, clouds=clouds, cover=cover,
        sun=_times(base.sun, warm), horizon=_times(base.horizon, warm), zenith=_times(base.zenith, 1 + tint * 2),
        reach=base.reach * float(np.exp(rng.normal(0, 0.4))), exposure=base.exposure * rng.uniform(0.92, 1.1),
    )  # fmt: skip


def _times(colour: Colour, factor: np.ndarray) -> Colour:
    r, g, b = (float(c * f) for c, f in zip(colour, factor, strict=True))
    return (r, g, b)


def to_display(linear: Array, exposure: float) -> Array:
    """Convert linear light to display values 0..1 by a film curve (toe, straight part, shoulder) and the power 1/2.2.

    The curve is Narkowicz's fit of ACES (2015).
    """
    x = np.maximum(linear, 0) * np.float32(0.72 * exposure)
    x = (
        x
        * (np.float32(2.51) * x + np.float32(0.03))
        / (x * (np.float32(2.43) * x + np.float32(0.59)) + np.float32(0.14))
    )
    return np.clip(x, 0, 1) ** np.float32(1 / 2.2)
