"""The sky: gradient, sun or moon with glow, clouds in perspective, stars."""

from __future__ import annotations

import numpy as np

from shanshui.landscapes.camera import View
from shanshui.landscapes.light import Light
from shanshui.landscapes.noise import SIDE, Array, Values, fbm, grain, sample, smoothstep


def gradient(light: Light, up: Values, across: Values) -> Array:
    """Compute the clear sky in linear light, (..., 3), at tangent of elevation `up` and x / z `across` (broadcast)."""
    up, across = np.broadcast_arrays(np.maximum(up, 0), across)
    low = np.exp(up * np.float32(-9.0))[..., None]
    high = (1 - np.exp(up * np.float32(-2.2)))[..., None]
    horizon, middle, zenith = (np.array(c, np.float32) for c in (light.horizon, light.middle, light.zenith))
    colour = (middle + (zenith - middle) * high) * (1 - low) + horizon * low
    near_sun = 1 - _cosine(light, up, across)
    colour += (np.exp(near_sun * -14) * np.float32(0.45) + np.exp(near_sun * -160) * np.float32(0.6))[
        ..., None
    ] * np.array(light.glow, np.float32)
    return colour


def _cosine(light: Light, up: Array, across: Array) -> Array:
    """Return the cosine of the angle to the sun."""
    d = light.direction
    return (across * d[0] + up * d[1] + d[2]) / np.sqrt(1 + across * across + up * up)


def paint_sky(view: View, light: Light, seed: int, extra: int = 0) -> Array:
    """Render the whole sky without ground, linear (extra + H, W, 3), with haze below the horizon.

    `extra` more rows are rendered above the image, for the water to mirror.
    """
    rng = np.random.default_rng([seed, 11])
    across = view.across[None, :]
    above = extra + int(np.clip(np.ceil(view.horizon * view.height), 1 - extra, view.height))
    rows = np.arange(-extra, above - extra, dtype=np.float32)[:, None] + np.float32(0.5)
    up = (np.float32(view.horizon) - rows / view.height) / np.float32(view.focal)
    colour = gradient(light, up, across)
    if light.stars:
        colour += _stars(view, above, rng)
    colour += _disc(light, up, across)
    alpha, lit = _clouds(light, up, across, rng)
    cloud = np.array(light.cloud_dark, np.float32) + lit[..., None] * (
        np.array(light.cloud_lit, np.float32) - np.array(light.cloud_dark, np.float32)
    )
    near_sun = np.exp((_cosine(light, up, across) - 1) * 9)
    cloud += (near_sun * np.float32(0.35))[..., None] * np.array(light.glow, np.float32)
    haze = np.exp(up * np.float32(-11))[..., None] * np.float32(0.75)
    cloud += (gradient(light, np.float32(0.01), across) - cloud) * haze
    colour += (cloud - colour) * alpha[..., None]
    below = np.broadcast_to(colour[-1:], (view.height + extra - above, *colour.shape[1:]))
    return np.concatenate([colour, below])


def _disc(light: Light, up: Array, across: Array) -> Array:
    """Return the light of the sun's or moon's disc."""
    radius = 0.016 if light.stars else 0.02
    angle = np.arccos(np.clip(_cosine(light, up, across), -1, 1))
    bright = 1.3 if light.stars else 6.0
    colour = np.array([1, 0.97, 0.9] if light.stars else light.sun, np.float32)
    return smoothstep(radius * 1.15, radius * 0.85, angle)[..., None] * colour * np.float32(bright)


def _stars(view: View, rows: int, rng: np.random.Generator) -> Array:
    """Return the light of randomly placed stars, (rows, W, 3)."""
    points = np.zeros((rows, view.width, 3), np.float32)
    count = int(160 * view.width / view.height)
    r, c = rng.uniform(0, 1, count), rng.uniform(0, 1, count)
    size = (rng.uniform(0, 1, count) ** 4 * 0.5 + 0.04).astype(np.float32)
    i, j = (r * rows).astype(int), (c * view.width).astype(int)
    points[i, j] = size[:, None]
    return points


def _clouds(light: Light, up: Array, across: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Compute opacity and brightness (0 dark base to 1 sunlit) of the clouds, both (H, W)."""
    ou, ov = (np.float32(v) for v in rng.uniform(0, SIDE, 2))
    shape = np.broadcast(up, across).shape
    if light.clouds == "clear":
        return np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    painter = {"cumulus": _cumulus, "cirrus": _cirrus, "bands": _bands, "overcast": _overcast}[light.clouds]
    return painter(light, up, across, ou, ov)


def _cumulus(light: Light, up: Array, across: Array, ou: np.float32, ov: np.float32) -> tuple[Array, Array]:
    """Compute opacity and brightness of heaped clouds."""
    away = 1 / (up + np.float32(0.13))
    u, v = across * away * 26 + ou, away * 34 + ov
    thick = sample(fbm(), u, v) + np.float32(0.42) * sample(fbm(), u * 4.1 + 31, v * 4.1)
    thick += np.float32(0.06) * sample(grain(), u * 6.3, v * 6.3)
    edge = np.float32(1.35 - 2.4 * light.cover)
    alpha = smoothstep(0, 0.55, thick - edge)
    per_row = float(up[0, 0] - up[-1, 0]) / max(up.shape[0] - 1, 1)
    rows = np.arange(up.shape[0]) - round(0.022 / max(per_row, 1e-4))
    shade = thick[np.maximum(rows, 0)] - thick  # thicker above: we look at the base
    lit = np.clip(np.float32(0.62) - shade * np.float32(0.9) - (thick - edge) * np.float32(0.12), 0, 1)
    return alpha, lit


def _cirrus(light: Light, up: Array, across: Array, ou: np.float32, ov: np.float32) -> tuple[Array, Array]:
    """Compute opacity and brightness of thin threads of cloud."""
    away = 1 / (up + np.float32(0.2))
    bend = sample(fbm(), across * 30 + ov, away * 6 + ou)
    u, v = across * away * 9 + away * 7 + ou, away * 34 - across * away * 12 + ov + bend * 4
    thread = sample(fbm(), u, v) + np.float32(0.35) * sample(fbm(), u * 3.3, v * 5.7)
    alpha = smoothstep(0.9 - 1.6 * light.cover, 2.6 - 1.2 * light.cover, thread) * np.float32(0.85)
    return alpha, np.clip(np.float32(0.75) + thread * np.float32(0.12), 0, 1)


def _bands(light: Light, up: Array, across: Array, ou: np.float32, ov: np.float32) -> tuple[Array, Array]:
    """Compute opacity and brightness of layered bands of cloud."""
    rise = up * 230
    u = across * 60 + ou
    bend = sample(fbm(), u * 0.7, rise * 0.6 + ov)
    thick = sample(fbm(), u * 0.8, rise * 1.6 + ov + bend * 6) + np.float32(0.4) * sample(
        fbm(), u * 3, rise * 6 + bend * 9
    )
    edge = 1.1 - 2.0 * light.cover
    alpha = smoothstep(edge, edge + 1.1, thick) * np.float32(0.92)
    lit = np.clip(np.float32(0.95) - (thick - np.float32(edge)) * np.float32(0.38), 0, 1)
    return alpha, lit


def _overcast(light: Light, up: Array, across: Array, ou: np.float32, ov: np.float32) -> tuple[Array, Array]:
    """Compute opacity and brightness of a closed layer of cloud."""
    away = 1 / (up + np.float32(0.16))
    u, v = across * away * 20 + ou, away * 22 + ov
    thick = sample(fbm(), u, v) + np.float32(0.3) * sample(fbm(), u * 4, v * 4 + 17)
    alpha = np.full(thick.shape, 0.93, np.float32)
    return alpha, np.clip(np.float32(0.6) - thick * np.float32(0.24), 0, 1)
