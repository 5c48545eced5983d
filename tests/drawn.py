"""Drawn pictures for tests of scores: sky, ground and texture, all different, all seeded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage


def picture(seed: int, width: int = 96, height: int = 64) -> np.ndarray:
    """uint8 (H, W, 3): a graded sky above textured ground."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / height
    horizon = generator.uniform(0.3, 0.6) + 0.1 * np.sin(4 * x + generator.uniform(0, 6))
    noise = ndimage.gaussian_filter(generator.standard_normal((height, width)), 1.0) * 60
    sky = np.stack([90 + 80 * y, 130 + 60 * y, 220 - 20 * y], axis=-1)
    ground = np.stack([90 + noise, 120 + noise - 40 * y, 50 + 0.5 * noise], axis=-1)
    return np.clip(np.where((y < horizon)[..., None], sky, ground), 0, 255).astype(np.uint8)


def pictures(count: int, first: int = 0) -> list[np.ndarray]:
    """`count` different pictures."""
    return [picture(first + i) for i in range(count)]


def blurred(photos: list[np.ndarray], sigma: float) -> list[np.ndarray]:
    """The same, blurred."""
    return [ndimage.gaussian_filter(photo, (sigma, sigma, 0)) for photo in photos]


def noisy(photos: list[np.ndarray], deviation: float) -> list[np.ndarray]:
    """The same with noise."""
    generator = np.random.default_rng(0)
    grains = [generator.normal(0, deviation, photo.shape) for photo in photos]
    return [np.clip(p + g, 0, 255).astype(np.uint8) for p, g in zip(photos, grains, strict=True)]


def grey(photos: list[np.ndarray], share: float) -> list[np.ndarray]:
    """The same with `share` of the colour taken out."""
    return [((1 - share) * p + share * p.mean(axis=-1, keepdims=True)).astype(np.uint8) for p in photos]


def save(folder: Path, photos: list[np.ndarray], suffix: str = ".png") -> Path:
    """Write them as 000.png, 001.png, ..."""
    folder.mkdir(parents=True)
    for i, photo in enumerate(photos):
        Image.fromarray(photo).save(folder / f"{i:03d}{suffix}")
    return folder
